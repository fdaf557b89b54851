"""Every form of an answer in every dialect: calls, plans, needs and thoughts, as grammar, as text, and read back."""

from __future__ import annotations

from functools import cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent import dialects
from edge_agent.dialects.base import NEED, Call, CallRules, Message, Reply
from edge_agent.dialects.family import MAX_NEED_CHARS, Family
from edge_agent.errors import InputError
from edge_agent.grammar.gbnf import parse_gbnf, to_gbnf
from edge_agent.grammar.ir import Grammar, Lit, Node, alt, assemble, seq
from edge_agent.grammar.matcher import TextMatcher
from edge_agent.grammar.plan import reference, references

NAMES = dialects.names()
MARKS = {
    "qwen": ("<think>\n", "\n</think>\n\n"),
    "hermes": ("<think>\n", "\n</think>\n"),
    "lfm2": ("<think>", "</think>"),
    "mistral": ("[THINK]", "[/THINK]"),
}
SPOKEN = (
    Call("weather", {"city": "Köln", "days": [1, 2]}),
    Call("weather", {"city": 'a "b"\n\\'}),
    Call("g-2", {}),
)
LATER = (
    Call("send", {"to": "$1.people[0].mail", "note": {"text": "$2"}}),
    Call("send", {"to": "Ann", "note": {"text": "$1"}}),
    Call("weather", {"city": "$1"}),
)
THINK = 40


def family(name: str) -> Family:
    dialect = dialects.get(name)
    assert isinstance(dialect, Family)
    return dialect


def nodes(dialect: Family, calls: tuple[Call, ...]) -> dict[str, Node]:
    """Tool -> the arguments of its calls, as the family writes them."""
    return {
        tool: alt(*(Lit(dialect.arguments(call)) for call in calls if call.name == tool))
        for tool in {call.name: None for call in calls}
    }


@cache
def plans(name: str) -> CallRules:
    dialect = family(name)
    first, later = nodes(dialect, SPOKEN), nodes(dialect, LATER)
    return CallRules(first, ("city",), max_calls=3, need_tool=True, planned=later, think=THINK)


def grammar(dialect: Family, rules: CallRules) -> Grammar:
    return assemble(dialect.wrap_grammar(rules), ())


@cache
def matcher(name: str, kind: str) -> TextMatcher:
    dialect = family(name)
    several = CallRules(nodes(dialect, SPOKEN), max_calls=3, allow_none=False)
    return TextMatcher(grammar(dialect, several if kind == "calls" else plans(name)))


def mutations(text: str) -> st.SearchStrategy[str]:
    """`text` with a piece of it left out, doubled, moved elsewhere, or replaced."""
    pieces = st.tuples(*[st.integers(0, len(text))] * 3).map(sorted)
    new = st.sampled_from(["", " ", "\n", '"', "}", "]", "<", ">", "</think>", "[/THINK]", "$9", "none", "x", ","])

    def changed(cut: list[int], put: str, how: int) -> str:
        first, middle, last, rest = text[: cut[0]], text[cut[0] : cut[1]], text[cut[1] : cut[2]], text[cut[2] :]
        return first + (last, middle + middle + last, last + middle, put + last)[how] + rest

    return st.builds(changed, pieces, new, st.integers(0, 3))


# -- several calls


@pytest.mark.parametrize("name", NAMES)
def test_the_grammar_of_calls_is_exactly_what_is_written(name: str) -> None:
    dialect, texts = family(name), set()
    for count in (1, 2, 3):
        for calls in product(SPOKEN, repeat=count):
            text = dialect.write(calls)
            assert matcher(name, "calls").accepts(text)
            assert dialect.parse_calls(text) == Reply(calls)
            texts.add(text)
    assert len(texts) == 3 + 9 + 27
    four = dialect.write((*SPOKEN, SPOKEN[2]))
    assert not matcher(name, "calls").accepts(four)

    @settings(max_examples=40, deadline=None)
    @given(st.sampled_from(sorted(texts)).flatmap(mutations))
    def refused(text: str) -> None:
        assert matcher(name, "calls").accepts(text) == (text in texts)

    refused()


@pytest.mark.parametrize("name", NAMES)
def test_names_that_begin_alike_are_told_apart(name: str) -> None:
    dialect = family(name)
    calls = [
        Call(tool, {}) for tool in ("g", "g-2", "g-2.x", "n", "need", "need_tool2", "none", "none2", "ask", "ask.me")
    ]
    rules = CallRules({call.name: Lit("{}") for call in calls}, ("g", "g-2"), max_calls=2, need_tool=True)
    alike = TextMatcher(grammar(dialect, rules))
    for pair in product(calls, repeat=2):
        text = dialect.write(pair).replace("()", "({})")
        assert alike.accepts(text)
        assert dialect.parse_calls(text) == Reply(pair)
    assert alike.accepts(NEEDS[name])


#: two calls, as the sources of each family show them
WRITTEN = {
    "smollm2": 'f {"a":1}\ng {}',
    "qwen": '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>\n'
    '<tool_call>\n{"name": "g", "arguments": {}}\n</tool_call>',
    "llama3": '{"name": "f", "parameters": {"a": 1}}; {"name": "g", "parameters": {}}',
    "gemma": '[{"name": "f", "parameters": {"a": 1}}, {"name": "g", "parameters": {}}]',
    "functiongemma": "<start_function_call>call:f{a:1}<end_function_call>"
    "<start_function_call>call:g{}<end_function_call>",
    "mistral": '[TOOL_CALLS]f[ARGS]{"a": 1}[TOOL_CALLS]g[ARGS]{}',
    "phi": '<|tool_call|>[{"name": "f", "arguments": {"a": 1}}, {"name": "g", "arguments": {}}]<|/tool_call|>',
    "lfm2": "<|tool_call_start|>[f(a=1), g()]<|tool_call_end|>",
    "xlam": '[{"name": "f", "arguments": {"a": 1}}, {"name": "g", "arguments": {}}]',
}
WRITTEN |= {"hermes": WRITTEN["qwen"], "granite": WRITTEN["qwen"], "hammer": WRITTEN["xlam"]}


@pytest.mark.parametrize("name", NAMES)
def test_two_calls_in_one_answer(name: str) -> None:
    assert family(name).write((Call("f", {"a": 1}), Call("g", {}))) == WRITTEN[name]


# -- plans


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_refers_to_earlier_results_but_for_its_first_call(name: str) -> None:
    dialect, plan = family(name), matcher(name, "plans")
    for calls in product(SPOKEN, LATER, LATER):
        text = dialect.write(calls)
        assert plan.accepts(text)
        assert dialect.parse_calls(text) == Reply(calls)
        assert references(calls[1].arguments) + references(calls[2].arguments) != []
    wrong: list[tuple[Call, ...]] = [LATER[:1], (SPOKEN[0], SPOKEN[0]), (SPOKEN[0], *LATER)]
    assert not any(plan.accepts(dialect.write(calls)) for calls in wrong)


@pytest.mark.parametrize("name", NAMES)
def test_references_as_a_grammar_inside_of_arguments(name: str) -> None:
    dialect = family(name)

    def text(*values: str) -> str:
        # FunctionGemma's arguments are grammars of JSON, whose strings stand in quotes
        return dialect.write(tuple(Call("f", {"a": value}) for value in values)).replace("<escape>", '"')

    before, after = dialect.arguments(Call("f", {"a": "…"})).replace("<escape>", '"').split('"…"')
    rules = CallRules(
        {"f": Lit(f'{before}"x"{after}')}, max_calls=3, planned={"f": seq(Lit(before), reference(2), Lit(after))}
    )
    allowed = TextMatcher(grammar(dialect, rules))
    assert allowed.accepts(text("x", "$1", "$2.b[0].c"))
    assert dialect.parse_calls(text("x", "$1", "$2.b[0].c")).calls[2].arguments == {"a": "$2.b[0].c"}
    for values in (("$1",), ("x", "x"), ("x", "$3"), ("x", "$0"), ("x", "$1.")):
        assert not allowed.accepts(text(*values))


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_plan_has_one_call(name: str) -> None:
    dialect, calls = family(name), nodes(family(name), SPOKEN)
    one = dialect.wrap_grammar(CallRules(calls))
    assert dialect.wrap_grammar(CallRules(calls, max_calls=3, planned={})) == one


# -- a tool that is not shown

NEEDS = {
    "smollm2": 'need_tool {"description":"Plays music."}',
    "qwen": '<tool_call>\n{"name": "need_tool", "arguments": {"description": "Plays music."}}\n</tool_call>',
    "llama3": '{"name": "need_tool", "parameters": {"description": "Plays music."}}',
    "functiongemma": "<start_function_call>call:need_tool{description:<escape>Plays music.<escape>}<end_function_call>",
    "mistral": '[TOOL_CALLS]need_tool[ARGS]{"description": "Plays music."}',
    "phi": '<|tool_call|>[{"name": "need_tool", "arguments": {"description": "Plays music."}}]<|/tool_call|>',
    "lfm2": '<|tool_call_start|>[need_tool(description="Plays music.")]<|tool_call_end|>',
    "xlam": '[{"name": "need_tool", "arguments": {"description": "Plays music."}}]',
}
NEEDS |= {"hermes": NEEDS["qwen"], "granite": NEEDS["qwen"], "gemma": NEEDS["llama3"], "hammer": NEEDS["xlam"]}


@pytest.mark.parametrize("name", NAMES)
def test_a_tool_is_needed_in_the_form_of_a_call(name: str) -> None:
    dialect, text = family(name), NEEDS[name]
    needing = TextMatcher(grammar(dialect, CallRules({}, allow_none=False, need_tool=True)))
    assert needing.accepts(text)
    assert dialect.parse_calls(text) == Reply(need="Plays music.")
    assert not TextMatcher(grammar(dialect, CallRules(nodes(dialect, SPOKEN)))).accepts(text)
    for described in ("", " x", "a\nb", "a" * (MAX_NEED_CHARS + 1)):
        assert not needing.accepts(text.replace("Plays music.", described))
    assert needing.accepts(text.replace("Plays music.", "é" * MAX_NEED_CHARS))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "calls",
    [
        (Call(NEED.name, {"description": "x"}), SPOKEN[2]),
        (SPOKEN[2], Call(NEED.name, {"description": "x"})),
        (Call(NEED.name, {}),),
        (Call(NEED.name, {"description": " "}),),
        (Call(NEED.name, {"description": 1}),),
        (Call(NEED.name, {"description": "x", "more": 1}),),
    ],
)
def test_a_need_stands_alone(name: str, calls: tuple[Call, ...]) -> None:
    with pytest.raises(InputError, match=f"^{name} answer: expected need_tool alone.* at character 0"):
        family(name).parse_calls(family(name).write(calls))


@pytest.mark.parametrize("name", NAMES)
def test_the_name_is_reserved(name: str) -> None:
    for rules in (CallRules({NEED.name: Lit("{}")}), CallRules({"f": Lit("{}")}, planned={NEED.name: Lit("{}")})):
        with pytest.raises(InputError, match="cannot be named 'need_tool'"):
            family(name).wrap_grammar(rules)


def test_needing_is_shown_as_a_tool() -> None:
    shown = dialects.get("smollm2").render_tools((NEED,))[0]
    assert shown.startswith("need_tool(description:str) Asks for a tool")


# -- thoughts


@pytest.mark.parametrize("name", MARKS)
def test_a_thought_is_any_text_up_to_its_closing_mark(name: str) -> None:
    dialect, thinking = family(name), matcher(name, "plans")
    opening, closing = MARKS[name]
    mark, call = closing.strip(), dialect.write(SPOKEN[:1])
    for thought in ("", "Hm.", "a < b\n\n> c", "é\t日本", mark[:-1], mark[0] * 3, mark.replace("/", "//"), "x" * THINK):
        text = f"{opening}{thought}{closing}{call}"
        assert thinking.accepts(text), thought
        extra = {"thought": thought.strip()} if thought.strip() else {}
        assert dialect.parse_calls(text) == Reply(SPOKEN[:1], extra=extra)
    for thought in ("x" * (THINK + 1), mark, f"a{mark}b", f"{mark[:-1]}{mark}"):
        assert not thinking.accepts(f"{opening}{thought}{closing}{call}"), thought
    for text in (
        opening,
        f"{opening}{closing}",
        f"{opening}Hm.{call}",
        f"{call}{opening}{closing}",
        f"{opening}{closing}" * 2,
    ):
        assert not thinking.accepts(text), text
    assert thinking.accepts(call)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in MARKS])
def test_families_that_were_not_trained_to_think_do_not(name: str) -> None:
    assert family(name).thought is None
    assert family(name).wrap_grammar(CallRules({}, think=THINK)) == family(name).wrap_grammar(CallRules({}))


@pytest.mark.parametrize("think", [-1, 1001])
def test_a_thought_has_a_bound_that_every_engine_takes(think: int) -> None:
    with pytest.raises(InputError, match="from 0 to 1000"):
        family("qwen").wrap_grammar(CallRules({}, think=think))


def test_a_prompt_is_made_open_for_a_thought() -> None:
    for name in NAMES:
        dialect = family(name)
        prompt = dialect.render((Message("user", "Hi"),), (NEED,))
        assert dialect.thinking(prompt).text == prompt.text.removesuffix("<think>\n\n</think>\n\n")
    assert "think" not in dialects.get("qwen").thinking(dialects.get("qwen").render((), ())).text


# -- everything at once


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("think", [THINK, 1000])
def test_all_forms_are_gbnf(name: str, think: int) -> None:
    rules = CallRules(nodes(family(name), SPOKEN), ("city",), 3, True, True, {"send": reference(2)}, think)
    text = to_gbnf(grammar(family(name), rules))
    again = TextMatcher(parse_gbnf(text))
    assert again.accepts(NEEDS[name])
    if name in MARKS:
        opening, closing = MARKS[name]
        assert again.accepts(f"{opening}{closing.strip()[:-1]}{closing}{NEEDS[name]}")
        assert not again.accepts(f"{opening}{closing}{closing}{NEEDS[name]}")


@st.composite
def answers(draw: st.DrawFn, name: str) -> tuple[str, Reply]:
    """A text of `plans(name)`, and what it says."""
    dialect = family(name)
    kinds = {
        "call": st.tuples(st.sampled_from(SPOKEN)),
        "plan": st.tuples(st.sampled_from(SPOKEN), st.sampled_from(LATER)),
        "long": st.tuples(st.sampled_from(SPOKEN), st.sampled_from(LATER), st.sampled_from(LATER)),
    }
    kind = draw(st.sampled_from([*kinds, "need", "none"]))
    if kind == "need":
        described = draw(st.text("ab c.é'/", min_size=1).map(str.strip).filter(bool))
        text, reply = dialect.write((Call(NEED.name, {"description": described}),)), Reply(need=described)
    elif kind == "none":
        text = "none" if name == "smollm2" else "Which one?"
        reply = Reply() if name == "smollm2" else Reply(text=text)
    else:
        calls = draw(kinds[kind])
        text, reply = dialect.write(calls), Reply(calls)
    if name not in MARKS or draw(st.booleans()):
        return text, reply
    opening, closing = MARKS[name]
    mark = closing.strip()
    parts = st.lists(
        st.sampled_from(["<", "[", "/", "think", "THINK", "k>", "\n", " ", "é", mark[:-1], "Hm"]), max_size=8
    )
    thought = draw(parts.map("".join).map(str.strip).filter(lambda text: mark not in text))[:THINK].strip()
    return f"{opening}{thought}{closing}{text}", Reply(
        reply.calls, text=reply.text, need=reply.need, extra={"thought": thought} if thought else {}
    )


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_may_be_said_is_read_and_what_may_not_is_refused(name: str, data: st.DataObject) -> None:
    dialect, legal = family(name), matcher(name, "plans")
    text, reply = data.draw(answers(name))
    assert legal.accepts(text)
    assert dialect.parse_calls(text) == reply
    changed = data.draw(mutations(text))
    if not legal.accepts(changed):
        return
    read = dialect.parse_calls(changed)
    assert not read.calls or (read.calls[0] in SPOKEN and all(call in LATER for call in read.calls[1:]))
    assert len(read.calls) <= 3
    assert len(read.need) <= MAX_NEED_CHARS
    assert len(read.extra.get("thought", "")) <= THINK
    assert sum(map(bool, (read.calls, read.need, read.asks, read.text))) == (changed not in ("none", "[]"))

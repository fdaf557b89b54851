"""Dialects: golden prompts, one table of spellings that mean the same calls, round trips, injection, garbage.

`EDGE_AGENT_UPDATE_GOLDEN=1 pytest tests/test_dialects.py` rewrites the golden files.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_agent import dialects
from edge_agent.dialects.base import Call, CallRules, Message, Reply, ToolSpec
from edge_agent.dialects.escape import ZERO_WIDTH, escape, escape_json
from edge_agent.dialects.family import MAX_TEXT_CHARS, Family
from edge_agent.dialects.reader import MAX_ANSWER_CHARS, NAME
from edge_agent.dialects.signature import type_of
from edge_agent.errors import ConfigError, InputError
from edge_agent.grammar.ir import Alt, Chars, Lit, Node, Repeat, Seq, Token

GOLDEN = Path(__file__).parent / "golden" / "dialects"
NAMES = dialects.names()
FOREIGN = tuple(name for name in NAMES if name != "smollm2")
#: families whose calls quote the tool's name, so that any name can be called
QUOTING = ("smollm2", "qwen", "hermes", "llama3", "gemma", "phi", "granite", "xlam", "hammer")

TOOLS = (
    ToolSpec(
        "set_timer",
        "Starts a countdown.\nRings when it is over.",
        {
            "type": "object",
            "properties": {
                "minutes": {"type": "number", "description": "How long,\n  in minutes."},
                "sound": {"enum": ["bell", "horn"], "default": "bell"},
            },
            "required": ["minutes"],
        },
    ),
    ToolSpec(
        "notes.add",
        "Saves a note.",
        {
            "type": "object",
            "properties": {
                "text": {"type": "string"},
                "tags": {"type": "array", "items": {"type": "string"}, "description": "Labels."},
            },
            "required": ["text"],
        },
    ),
)
CONVERSATION = (
    Message("system", "Be brief."),
    Message("user", "Tea timer, please: 4 minutes."),
    Message("assistant", calls=(Call("set_timer", {"minutes": 4, "sound": "bell"}),)),
    Message("tool", '{"ends": "10:04"}', name="set_timer"),
    Message("user", "Note “buy tea”."),
)


def family(name: str) -> Family:
    dialect = dialects.get(name)
    assert isinstance(dialect, Family)
    return dialect


# -- the table of dialects


def test_get_knows_every_name_and_nothing_else() -> None:
    assert [dialects.get(name).name for name in NAMES] == list(NAMES)
    assert dialects.get("qwen") is dialects.get("qwen")
    with pytest.raises(ConfigError, match="'gpt2'") as caught:
        dialects.get("gpt2")
    assert caught.value.hint is not None
    assert all(name in caught.value.hint for name in NAMES)


def test_families_are_imported_when_asked_for() -> None:
    code = "import sys, edge_agent.dialects as d; d.get('qwen'); print(d.__name__ + '.hammer' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# -- prompts


@pytest.mark.parametrize("name", NAMES)
def test_golden_prompt(name: str) -> None:
    dialect = dialects.get(name)
    prompt = dialect.render(CONVERSATION, TOOLS)
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("EDGE_AGENT_UPDATE_GOLDEN"):
        path.write_text(prompt.text, encoding="utf-8", newline="")
    assert prompt.text == path.read_bytes().decode()
    assert prompt.blocks == dialect.render_tools(TOOLS)
    assert len(prompt.blocks) == 2


@pytest.mark.parametrize("name", NAMES)
def test_head_and_blocks_do_not_depend_on_the_conversation(name: str) -> None:
    dialect = dialects.get(name)
    long = dialect.render(CONVERSATION, TOOLS)
    short = dialect.render((CONVERSATION[0], Message("user", "Hello")), TOOLS)
    assert (long.head, long.blocks) == (short.head, short.blocks)


@pytest.mark.parametrize("name", NAMES)
def test_prompts_without_tools_system_or_user(name: str) -> None:
    dialect = dialects.get(name)
    assert dialect.render((Message("user", "Hello"),), ()).blocks == ()
    assert "Hello" in dialect.render((Message("user", "Hello"),), ()).text
    assert "Be brief." in dialect.render(CONVERSATION[:1], ()).text
    assert "Be brief." in dialect.render(CONVERSATION[:1], TOOLS).text
    assert dialect.render((), TOOLS).text.count("set_timer") >= 1


def test_smollm2_blocks_stand_alone_and_are_compact() -> None:
    dialect = dialects.get("smollm2")
    blocks = dialect.render_tools(TOOLS)
    assert blocks == (
        'set_timer(minutes:num, sound?:"bell"|"horn"="bell") Starts a countdown.\n  minutes: How long, in minutes.\n',
        "notes.add(text:str, tags?:list[str]) Saves a note.\n  tags: Labels.\n",
    )
    assert dialect.render_tools(TOOLS[1:]) == blocks[1:]


def test_consecutive_results_share_a_turn_where_the_family_does_so() -> None:
    messages = (*CONVERSATION[:4], Message("tool", "two", name="notes.add"))
    for name in ("qwen", "granite", "gemma"):
        dialect = family(name)
        assert dialect.render(messages, TOOLS).text.count(dialect.start("user")) == 2
    tail = dialects.get("functiongemma").render(messages, TOOLS).tail
    assert tail.endswith("response:notes.add{value:<escape>two<escape>}<end_function_response>")


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": ["number", "integer"]}, "num|int"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "str|null"),
        ({"type": "array"}, "list[any]"),
        ({"type": "array", "items": {"type": "array", "items": {"type": "boolean"}}}, "list[list[bool]]"),
        ({"properties": {"x": {"type": "integer"}, "y": {}}, "required": ["x"]}, "{x:int,y?:any}"),
        ({"type": "object"}, "dict"),
        ({"const": 3}, "3"),
        ({"enum": ["a", 1, None]}, '"a"|1|null'),
        ({"allOf": [{"description": "x"}, {"type": "string"}]}, "str"),
        ({"$ref": "#/$defs/p"}, "{a:str}"),
        ({"$ref": "#/$defs/loop"}, "list[list[list[list[list[list[list[any]]]]]]]"),
        ({"$ref": "#/$defs/itself"}, "any"),
        ({"$ref": "elsewhere.json"}, "any"),
        ({"type": "object", "properties": {"a b": {"type": "string", "default": "é"}}}, '{"a b"?:str="é"}'),
        (True, "any"),
        ({"type": 7}, "any"),
    ],
)
def test_compact_types(schema: Any, expected: str) -> None:
    root = {
        "$defs": {
            "p": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            "loop": {"type": "array", "items": {"$ref": "#/$defs/loop"}},
            "itself": {"$ref": "#/$defs/itself"},
        }
    }
    assert type_of(schema, root) == expected


# -- answers: one table of spellings

TWO = (Call("a.b-c", {"x": "é\n\"'", "n": [1, -2.5, True, None], "o": {"k": {}}}), Call("g", {}))
X = r'"é\n\"\'"'.replace(r"\'", "'")
ARGS = f'{{"x": {X}, "n": [1, -2.5, true, null], "o": {{"k": {{}}}}}}'
MIN = ARGS.replace(": ", ":").replace(", ", ",")
KWARGS = f"x={X}, n=[1, -2.5, true, null], o=" + '{"k": {}}'
ESCAPED = "{x:<escape>é\n\"'<escape>,n:[1,-2.5,true,null],o:{k:{}}}"
OBJECTS = (f'{{"name": "a.b-c", "arguments": {ARGS}}}', '{"name": "g", "arguments": {}}')
LLAMA = tuple(item.replace("arguments", "parameters") for item in OBJECTS)
LISTED = f"[{', '.join(OBJECTS)}]"
TAGGED = "\n".join(f"<tool_call>\n{item}\n</tool_call>" for item in OBJECTS)

SPELLINGS = [
    ("smollm2", f"a.b-c {MIN}\ng {{}}"),
    ("smollm2", f'\n a.b-c  {ARGS}\r\n\n"g"{{ }} <|im_end|>\n'),
    ("qwen", TAGGED),
    ("qwen", TAGGED.replace("\n", "") + "<|im_end|>"),
    ("qwen", f"<think>\n\n</think>\n\n{TAGGED}\n"),
    ("qwen", TAGGED.removesuffix("</tool_call>")),
    ("hermes", TAGGED.replace("arguments", "parameters")),
    ("hermes", TAGGED.replace(OBJECTS[0], f'{{"arguments": {ARGS}, "name": "a.b-c"}}')),
    ("granite", f"{TAGGED}<|end_of_text|>"),
    ("phi", f"<|tool_call|>{LISTED}<|/tool_call|><|end|>"),
    ("phi", f"<|tool_call|>{LISTED}"),
    ("phi", "".join(f"<|tool_call|>{item}<|/tool_call|>" for item in OBJECTS)),
    ("xlam", LISTED),
    ("xlam", f"```json\n{LISTED}\n```"),
    ("hammer", f"```\n{LISTED}\n```<|im_end|>"),
    ("hammer", LISTED.replace("[{", "[\n    {")),
    ("llama3", "; ".join(LLAMA) + "<|eot_id|>"),
    ("llama3", "\n".join(LLAMA)),
    ("llama3", "<|python_tag|>" + ";".join(item.replace("{", '{"type": "function", ', 1) for item in LLAMA)),
    ("llama3", f"{OBJECTS[0]}, {OBJECTS[1]}"),
    ("gemma", f"[{', '.join(LLAMA)}]<end_of_turn>"),
    ("gemma", f"```tool_code\n[a.b-c({KWARGS}), g()]\n```"),
    ("gemma", f"```json\n{LISTED}```"),
    ("gemma", f"[a.b-c({KWARGS}), g()]"),
    ("lfm2", f"<|tool_call_start|>[a.b-c({KWARGS}), g()]<|tool_call_end|>"),
    ("lfm2", f"<|tool_call_start|>[a.b-c({ARGS}), g({{}})]<|tool_call_end|>"),
    ("lfm2", f"<|tool_call_start|>{LISTED}<|tool_call_end|>"),
    (
        "lfm2",
        "<|tool_call_start|>[ a.b-c( x = 'é\\n\"\\'' , n=[1,-2.5,True,None,], o={'k': {}}, ) ]"
        "<|tool_call_end|><|tool_call_start|>g()<|tool_call_end|>",
    ),
    ("functiongemma", f"<start_function_call>call:a.b-c{ESCAPED}<end_function_call>"
     "<start_function_call>call:g{}<end_function_call><start_function_response>"),
    ("functiongemma", f"<start_function_call>call:a.b-c{ARGS}<end_function_call> "
     "<start_function_call> call:g{ } <end_function_call>"),
    ("mistral", f"[TOOL_CALLS]a.b-c[ARGS]{ARGS}[TOOL_CALLS]g[ARGS]{{}}</s>"),
    ("mistral", f"[TOOL_CALLS]a.b-c[CALL_ID]abcDEF123[ARGS]{ARGS}[TOOL_CALLS]g{{}}"),
    ("mistral", f'[TOOL_CALLS] [{OBJECTS[0]}, {OBJECTS[1][:-1]}, "id": "abcDEF123"}}]'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), SPELLINGS)
def test_spellings_of_the_same_calls(name: str, text: str) -> None:
    assert dialects.get(name).parse_calls(text).calls == TWO


def test_every_dialect_is_in_the_table() -> None:
    assert {name for name, _ in SPELLINGS} == set(NAMES)


@pytest.mark.parametrize(
    ("name", "text", "reply"),
    [
        ("smollm2", "none", Reply()),
        ("smollm2", "ask minutes", Reply(asks=("minutes",))),
        ("smollm2", 'ask a, "b c" ,a<|im_end|>', Reply(asks=("a", "b c"))),
        ("smollm2", '"none" {}', Reply(calls=(Call("none", {}),))),
        ("smollm2", '"ask" {}\n"my tool" {}', Reply(calls=(Call("ask", {}), Call("my tool", {})))),
        ("smollm2", "ask.me {}", Reply(calls=(Call("ask.me", {}),))),
        ("qwen", "Which city?", Reply(text="Which city?")),
        ("qwen", "2 < 3", Reply(text="2 < 3")),
        ("qwen", "<think>Hm.</think>No tool fits.", Reply(text="No tool fits.", extra={"thought": "Hm."})),
        (
            "qwen",
            f"Sure.\n<tool_call>{OBJECTS[1]}</tool_call>",
            Reply(calls=(Call("g", {}),), text="Sure."),
        ),
        (
            "lfm2",
            "<|tool_call_start|>[g()]<|tool_call_end|>Done.",
            Reply(calls=(Call("g", {}),), text="Done."),
        ),
        ("hammer", "[]", Reply()),
        ("xlam", "[]", Reply()),
        ("gemma", "It is [1].", Reply(text="It is [1].")),
        ("llama3", '{"name": "g"}', Reply(calls=(Call("g", {}),))),
        ("mistral", "Sure. [TOOL_CALLS]g[ARGS]{}", Reply(calls=(Call("g", {}),), text="Sure.")),
    ],
)
def test_replies_beside_plain_calls(name: str, text: str, reply: Reply) -> None:
    assert dialects.get(name).parse_calls(text) == reply


# -- answers: what must be refused

DEEP = "[" * 20_000
BAD_JSON = [
    '{"a": NaN}',
    '{"a": 1e999}',
    '{"a": 1, "a": 2}',
    '{"a": "\\ud800"}',
    '{"a": ' + "9" * 5_000 + "}",
    '{"a": ' + DEEP,
    '{"a": 1',
    "[1]",
    "7",
]


@pytest.mark.parametrize("arguments", BAD_JSON)
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("smollm2", "g %s"),
        ("qwen", '<tool_call>{"name": "g", "arguments": %s}</tool_call>'),
        ("llama3", '{"name": "g", "parameters": %s}'),
        ("xlam", '[{"name": "g", "arguments": %s}]'),
        ("mistral", "[TOOL_CALLS]g[ARGS]%s"),
        ("lfm2", "<|tool_call_start|>[g(%s)]<|tool_call_end|>"),
        ("functiongemma", "<start_function_call>call:g%s<end_function_call>"),
    ],
)
def test_bad_arguments_are_refused_with_a_position(name: str, shape: str, arguments: str) -> None:
    with pytest.raises(InputError, match=rf"^{name} answer: expected .* at character \d+, found "):
        dialects.get(name).parse_calls(shape % arguments)


@pytest.mark.parametrize(
    ("name", "text", "position"),
    [
        ("smollm2", "", 0),
        ("smollm2", "none of them", 0),
        ("smollm2", "ask {}", 4),
        ("smollm2", "ask a b", 6),
        ("smollm2", "g {} h {}", 5),
        ("smollm2", "g {}\nsorry", 10),
        ("smollm2", "g [1]", 2),
        ("smollm2", "what a day", 5),
        ("qwen", " \n", 0),
        ("qwen", "<think>hm", 9),
        ("qwen", f"{TAGGED} I did it.", len(TAGGED) + 1),
        ("qwen", "<tool_call>nothing</tool_call>", 11),
        ("qwen", '<tool_call>{"name": "g", "arguments": {}, "why": 1}</tool_call>', 11),
        ("qwen", '<tool_call>{"name": 7, "arguments": {}}</tool_call>', 11),
        ("hermes", '<tool_call>{"name": "g", "arguments": {}, "parameters": {}}</tool_call>', 11),
        ("llama3", '{"name": "g", "parameters": {}} done', 32),
        ("phi", f"<|tool_call|>{LISTED}<|tool_call|>", len(LISTED) + 13),
        ("xlam", f"{LISTED}\nDone", len(LISTED) + 1),
        ("xlam", f"```{LISTED}", len(LISTED) + 3),
        ("gemma", "[g(a=1]", 6),
        ("gemma", "[g(1)]", 4),
        ("gemma", "[g(a=b)]", 5),
        ("lfm2", "<|tool_call_start|>[g(a=1, a=2)]<|tool_call_end|>", 27),
        ("lfm2", "<|tool_call_start|>[g(a=__import__('os'))]<|tool_call_end|>", 24),
        ("lfm2", "<|tool_call_start|>[g(a='\\ud800')]<|tool_call_end|>", 24),
        ("lfm2", "<|tool_call_start|>[g(a='open)]<|tool_call_end|>", 24),
        ("lfm2", "<|tool_call_start|>[g(a=007)]<|tool_call_end|>", 24),
        ("functiongemma", "<start_function_call>call:g{a:<escape>x}<end_function_call>", None),
        ("functiongemma", "<start_function_call>g{}<end_function_call>", 21),
        ("functiongemma", "<start_function_call>call:g{a:1}", None),
        ("mistral", "[TOOL_CALLS]", None),
        ("mistral", "[TOOL_CALLS]g[ARGS]{} and", 22),
    ],
)  # fmt: skip
def test_what_is_not_in_the_dialect(name: str, text: str, position: int | None) -> None:
    with pytest.raises(InputError) as caught:
        dialects.get(name).parse_calls(text)
    at = len(text) if position is None else position
    assert f" at character {at}, found " in caught.value.message


@pytest.mark.parametrize("name", NAMES)
def test_answers_beyond_all_bounds_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"at character {MAX_ANSWER_CHARS}"):
        dialects.get(name).parse_calls("x" * (MAX_ANSWER_CHARS + 1))


FRAGMENTS = [
    "<tool_call>", "</tool_call>", "<|tool_call_start|>[", "<|tool_call|>", "<start_function_call>call:",
    "[TOOL_CALLS]", "[ARGS]", "<think>", "<escape>", "```", "none", "ask", "{", "}", "[", "]", "(", ")",
    "'", '"', "\\", "\\u", "=", ":", ",", "g", "1", "-", "1e9", "null", "\ud800",
]  # fmt: skip
GARBAGE = st.text(max_size=40) | st.lists(
    st.sampled_from([*FRAGMENTS, "\n", " ", '{"name": "g", ', '"arguments": ']), max_size=14
).map("".join)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(NAMES), GARBAGE)
def test_garbage_gives_a_reply_or_an_input_error(name: str, text: str) -> None:
    reply, message = Reply(), "at character"
    try:
        reply = dialects.get(name).parse_calls(text)
    except InputError as error:
        message = error.message
    assert "at character" in message
    assert all(isinstance(call.name, str) and isinstance(call.arguments, dict) for call in reply.calls)


# -- round trips

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TRICKY = st.sampled_from(
    ["none", "ask", "", "a b", "x.y-z", "größe", "日本", '"', "<|im_end|>", "[/INST]", "<escape", "`"]
)
NUMBERS = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS | TRICKY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | TRICKY, inner, max_size=3),
    max_leaves=8,
)
CALLS = st.lists(
    st.builds(Call, WORDS | TRICKY, st.dictionaries(WORDS | TRICKY, JSON, max_size=3)), min_size=1, max_size=3
).map(tuple)


def spoils_escape_strings(value: Any) -> bool:
    """FunctionGemma's strings have no escapes: control tokens inside them are changed."""
    text = json.dumps(value, ensure_ascii=False)
    return bool(re.search("|".join(map(re.escape, ("<|", *family("functiongemma").specials))), text))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(NAMES), CALLS)
@example("llama3", (Call("none", {"a": "<|eot_id|>"}),))
@example("lfm2", (Call("g", {"a b": 1, "c": "\U0001f600\u2028"}),))
def test_what_a_dialect_writes_it_reads_back(name: str, calls: tuple[Call, ...]) -> None:
    dialect = family(name)
    if name not in QUOTING and not all(NAME.fullmatch(call.name) for call in calls):
        with pytest.raises(InputError, match="cannot be called in"):
            dialect.write(calls)
        return
    written = dialect.write(calls)
    if name == "functiongemma" and any(spoils_escape_strings(call.arguments) for call in calls):
        return
    assert dialect.parse_calls(written) == Reply(calls=calls)


#: a hand-made grammar of {"city": one of two, "n"?: a digit}
ARGUMENTS = Seq(
    (
        Lit('{"city":"'),
        Alt((Lit("Rome"), Lit("Köln"))),
        Lit('"'),
        Repeat(Seq((Lit(',"n":'), Chars(((0x30, 0x39),)))), 0, 1),
        Lit("}"),
    )
)


def sentences(node: Node) -> st.SearchStrategy[str]:
    """Texts of the language of `node`."""
    match node:
        case Lit(text):
            return st.just(text)
        case Chars(ranges, negated):
            inside = [chr(point) for low, high in ranges for point in range(low, high + 1)]
            if negated:
                return st.characters(exclude_characters=inside, exclude_categories=["Cs"])
            return st.sampled_from(inside)
        case Seq(items):
            return st.tuples(*map(sentences, items)).map("".join)
        case Alt(options):
            return st.one_of(*map(sentences, options))
        case Repeat(item, low, high):
            high = low + 5 if high is None else min(high, low + 5)
            return st.lists(sentences(item), min_size=low, max_size=high).map("".join)
        case Token(item):
            return sentences(item)
    raise AssertionError(node)


@pytest.mark.parametrize("rules", [
    CallRules({"weather": ARGUMENTS, "g-2": Lit("{}")}, askable=("city", "a b"), max_calls=3),
    CallRules({"weather": ARGUMENTS}, allow_none=False),
    CallRules({}, askable=("city",), allow_none=False),
    CallRules({}),
    CallRules({"weather": ARGUMENTS}, max_calls=0),
])  # fmt: skip
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_the_grammar_says_only_what_can_be_read(name: str, rules: CallRules, data: st.DataObject) -> None:
    dialect = dialects.get(name)
    text = data.draw(sentences(dialect.wrap_grammar(rules)))
    reply = dialect.parse_calls(text)
    assert len(reply.calls) <= rules.max_calls
    for call in reply.calls:
        assert call.name in rules.arguments
        assert call.arguments == {} or call.arguments["city"] in ("Rome", "Köln")
    if not reply.calls:
        assert rules.allow_none or rules.askable
        assert set(reply.asks) <= set(rules.askable)
        assert reply.text or name == "smollm2" or text == "[]"


@pytest.mark.parametrize("name", NAMES)
def test_a_grammar_that_allows_nothing_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="nothing can be answered"):
        dialects.get(name).wrap_grammar(CallRules({}, allow_none=False))


@pytest.mark.parametrize("name", FOREIGN)
def test_plain_answers_are_bounded_and_cannot_open_a_call(name: str) -> None:
    node = family(name).wrap_grammar(CallRules({}))
    text = node.options[1] if name == "hammer" and isinstance(node, Alt) else node
    assert isinstance(text, Token)
    assert isinstance(text.item, Seq)
    first, rest = text.item.items
    assert isinstance(rest, Repeat)
    assert rest.high == MAX_TEXT_CHARS - 1
    for chars in (first, rest.item):
        assert isinstance(chars, Chars)
        assert chars.negated
        for opener in family(name).openers:
            assert any(low <= ord(opener[0]) <= high for low, high in chars.ranges)


# -- injection


def attacks(dialect: Family) -> str:
    return " ".join((*dialect.specials, *dialect.stops, "<|anything|>", "<|im_<|im_end|>end|>"))


@pytest.mark.parametrize("name", NAMES)
def test_content_cannot_spell_control_tokens(name: str) -> None:
    dialect = family(name)

    def render(text: str) -> str:
        described = {"type": "string", "description": text, "default": text}
        tools = (ToolSpec("g", text, {"type": "object", "properties": {"a": described}}), *TOOLS)
        calls = (Call("g", {"a": text}),)
        return dialect.render(
            (
                Message("system", text),
                Message("user", text),
                Message("assistant", text, calls=calls),
                Message("tool", text, name=text),
                Message("tool", json.dumps({"a": text}), name="g"),
                Message("assistant", text),
                Message("system", text),
                Message("user", text),
            ),
            tools,
        ).text

    benign, attacked = render("harmless"), render(attacks(dialect))
    for special in {*dialect.specials, *dialect.stops, "<|"}:
        assert attacked.count(special) == benign.count(special), special


def test_escape_changes_nothing_else_and_json_keeps_its_value() -> None:
    specials = ("<a>", "[b]", "```")
    assert escape("<a> <b> [b] x < y ``", specials) == f"<{ZERO_WIDTH}a> <b> [{ZERO_WIDTH}b] x < y ``"
    assert escape("````", ("```",)) == f"`{ZERO_WIDTH}`{ZERO_WIDTH}``"
    value = {"k<a>": ["[b]", "<|x|>", "\\<a>"]}
    text = escape_json(json.dumps(value), specials)
    assert not any(special in text for special in (*specials, "<|"))
    assert json.loads(text) == value

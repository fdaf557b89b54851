"""Regular languages: automata, intersection and difference against `re`, and the same written as plain rules."""

from __future__ import annotations

import random
import re
import string
import time
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.grammar import TextMatcher, check, parse_gbnf, to_gbnf
from edge_agent.grammar.ir import (
    EMPTY,
    NOTHING,
    Alt,
    And,
    Chars,
    Grammar,
    Lit,
    Minus,
    Node,
    Ref,
    Repeat,
    Seq,
    Token,
    facts,
    optional,
    walk,
)
from edge_agent.grammar.regular import Dfa, dfa, expand, is_empty, matches, overlap, shortest
from edge_agent.grammar.strings import ALL, has

LETTER = Chars(((97, 122),))
ANY = Repeat(Chars((), True))
#: Every text of up to four letters of three.
TEXTS = ["".join(letters) for size in range(5) for letters in product("abc", repeat=size)]
#: The inside of a JSON string.
JSON = parse_gbnf(
    r"""root ::= char*
    char ::= [^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" [0-9a-f]{4})"""
).rules


def _takes(automaton: Dfa, text: str) -> bool:
    state = 0
    for char in text:
        found = [target for ranges, target in automaton.moves[state] if has(ranges, ord(char))]
        if not found:
            return False
        (state,) = found
    return automaton.accepting[state]


def _dfa(node: Node, rules: dict[str, Node] | None = None) -> Dfa:
    automaton = dfa(node, rules or {})
    assert automaton is not None
    return automaton


def _regex(node: Node) -> str:
    match node:
        case Lit(text):
            return re.escape(text)
        case Chars(ranges, negated):
            return f"[{'^' * negated}{''.join(f'{chr(low)}-{chr(high)}' for low, high in ranges)}]"
        case Seq(items):
            return "".join(map(_regex, items))
        case Alt(options):
            return f"(?:{'|'.join(map(_regex, options))})"
        case Token(item):
            return _regex(item)
    assert isinstance(node, Repeat)
    return f"(?:{_regex(node.item)}){{{node.low},{'' if node.high is None else node.high}}}"


def _texts(node: Node) -> set[str]:
    return {text for text in TEXTS if re.fullmatch(_regex(node), text)}


def _boundless(item: Node) -> Node:
    return Repeat(item, 1) if re.fullmatch(_regex(item), "") is None else item


_nodes: st.SearchStrategy[Node] = st.recursive(
    st.sampled_from([Lit("a"), Lit("ab"), Lit("ca"), EMPTY, Chars(((97, 98),)), Chars(((97, 97),), True), LETTER]),
    lambda inner: (
        st.lists(inner, min_size=2, max_size=3).map(lambda items: Seq(tuple(items)))
        | st.lists(inner, min_size=2, max_size=3).map(lambda items: Alt(tuple(items)))
        | st.tuples(inner, st.integers(0, 2), st.integers(0, 2)).map(lambda x: Repeat(x[0], x[1], x[1] + x[2]))
        | inner.map(_boundless)
        | inner.map(Token)
    ),
    max_leaves=7,
)


@given(first=_nodes, second=_nodes, around=_nodes)
@settings(max_examples=150, deadline=None)
def test_as_re_says(first: Node, second: Node, around: Node) -> None:
    one, other, outside = _texts(first), _texts(second), _texts(around)
    for node, expected in ((And(first, second), one & other), (Minus(first, second), one - other)):
        automaton = _dfa(node)
        assert {text for text in TEXTS if _takes(automaton, text)} == expected
        for text in TEXTS[:: len(TEXTS) // 7]:
            assert matches(node, {}, text) == (text in expected)
        if expected:
            short = shortest(node, {})
            assert short is not None
            assert len(short) <= min(map(len, expected))
            assert matches(node, {}, short)
        nested = _dfa(Seq((around, node, around)))
        assert {text for text in TEXTS if _takes(nested, text)} == {
            text
            for text in TEXTS
            for i in range(len(text) + 1)
            for j in range(i, len(text) + 1)
            if text[:i] in outside and text[i:j] in expected and text[j:] in outside
        }
    assert overlap(first, second, {}) == (shortest(And(first, second), {}) is not None)


@given(first=_nodes, second=_nodes, third=_nodes)
@settings(max_examples=60, deadline=None)
def test_laws(first: Node, second: Node, third: Node) -> None:
    assert _dfa(Minus(first, Minus(first, second))) == _dfa(And(first, second))
    assert _dfa(Minus(first, Alt((second, third)))) == _dfa(And(Minus(first, second), Minus(first, third)))
    assert _dfa(And(first, ANY)) == _dfa(first)
    assert is_empty(Minus(first, first), {})
    assert is_empty(And(first, Minus(ANY, first)), {})


@given(first=_nodes, second=_nodes, minus=st.booleans())
@settings(max_examples=60, deadline=None)
def test_expanded_is_the_same(first: Node, second: Node, minus: bool) -> None:
    node = Minus(first, second) if minus else And(first, second)
    inside, again = Seq((Lit("<"), node, Lit(">"))), Seq((Lit("("), Ref("again"), Lit(")")))
    expanded, wider = expand(Grammar({"root": Alt((inside, again)), "again": node}))
    assert wider == ()
    if is_empty(node, {}):
        assert expanded.rules == {"root": NOTHING}
        return
    check(expanded)
    assert not any(isinstance(part, And | Minus) for rule in expanded.rules.values() for part in walk(rule))
    matcher, automaton = TextMatcher(expanded), _dfa(node)
    for text in TEXTS:
        assert matcher.accepts(f"<{text}>") == matcher.accepts(f"({text})") == _takes(automaton, text)


def test_the_smallest_automaton() -> None:
    assert len(_dfa(Alt((Lit("ab"), Lit("cb"), Seq((LETTER, Lit("b"))))))) == 3
    assert _dfa(Repeat(LETTER)) == Dfa((True,), (((((97, 122),), 0),),))
    assert _dfa(And(Lit("a"), Lit("b"))) == Dfa((False,), ((),))
    assert _dfa(EMPTY) == Dfa((True,), ((),))
    # The n-th letter from the end: 2 ** n states.
    assert len(_dfa(Seq((Repeat(LETTER), Lit("a"), Repeat(LETTER, 4, 4))))) == 32


@pytest.mark.parametrize(
    ("low", "high", "good", "bad"),
    [(0, 1000, [0, 1, 1000], [1001]), (3, 5, [3, 5], [2, 6]), (1000, None, [1000, 2500], [0, 999]), (0, 0, [0], [1])],
)
def test_counts(low: int, high: int | None, good: list[int], bad: list[int]) -> None:
    node = Repeat(LETTER, low, high)
    assert [count for count in good if not matches(node, {}, "x" * count)] == []
    assert [count for count in bad if matches(node, {}, "x" * count)] == []
    assert len(_dfa(node)) == max(good[-1] if high else low, 0) + 1


@pytest.mark.parametrize("code", [0, 0x7F, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF])
def test_the_edges_of_unicode(code: int) -> None:
    one, others = Chars(((code, code),)), Chars(((code, code),), True)
    assert matches(one, {}, chr(code))
    assert not matches(others, {}, chr(code))
    assert _dfa(Alt((one, others))).moves[0] == ((ALL, 1),)
    assert is_empty(And(one, others), {})
    assert shortest(Minus(ANY, Minus(ANY, one)), {}) == chr(code)
    expanded, _ = expand(Grammar({"root": Minus(Seq((Chars((), True),)), one)}))
    assert TextMatcher(expanded).accepts("b")
    assert not TextMatcher(expanded).accepts(chr(code))


def test_surrogates_are_no_characters() -> None:
    assert is_empty(Chars(((0xD800, 0xDFFF),)), {})
    assert is_empty(Lit("\ud83d"), {})
    assert not matches(ANY, {}, "\ud83d")
    assert _dfa(Chars(((0xD000, 0xE000),))).moves[0][0][0] == ((0xD000, 0xD7FF), (0xE000, 0xE000))


def test_limits() -> None:
    node = Repeat(LETTER, 1, 1000)
    assert dfa(node, {}, limit=1000) is None
    assert dfa(node, {}, limit=1001) is not None
    hard = And(Repeat(LETTER, 1000, 1000), node)
    assert is_empty(hard, {}, limit=100) is None
    assert overlap(node, Repeat(LETTER, 1000, 1000), {}, limit=100) is None
    assert overlap(node, Repeat(LETTER, 1000, 1000), {}) is True
    assert overlap(node, Repeat(LETTER, 1001, 1001), {}) is False
    assert shortest(hard, {}, limit=100) is None
    assert shortest(hard, {}) == "a" * 1000
    # Few states, yet each of thousands of terms.
    assert dfa(Repeat(Alt((Lit("a"), Lit("aa"))), 900, 1000), {}, limit=60) is None


def test_rules_are_followed_and_must_not_recurse() -> None:
    rules: dict[str, Node] = {"a": Seq((Ref("b"), Ref("b"))), "b": Lit("x"), "c": Alt((Lit("("), Ref("d")))}
    rules["d"] = Ref("c")
    assert matches(Minus(Repeat(Ref("a")), Ref("a")), rules, "xxxx")
    assert not matches(Minus(Repeat(Ref("a")), Ref("a")), rules, "xx")
    with pytest.raises(ValueError, match="cycle"):
        dfa(Ref("d"), rules)
    with pytest.raises(ValueError, match="'e' is not defined"):
        matches(Ref("e"), rules, "")


def _excluding(names: list[str]) -> Node:
    return Minus(Ref("root"), Alt(tuple(map(Lit, names))))


def test_expanded_names_read_well() -> None:
    rules = {"root": Seq((Lit('"'), And(Ref("text"), Repeat(Chars((), True), 2, 9)), Lit('"'))), "text": Repeat(LETTER)}
    assert to_gbnf(Grammar(rules)) == 'root ::= "\\"" [a-z]{2,9} "\\""\ntext ::= [a-z]*\n'
    assert to_gbnf(Grammar({"key": Minus(Repeat(LETTER, 1), Alt((Lit("id"), Lit("if"))))}, "key")).splitlines() == [
        "root ::= key",
        'key ::= [a-hj-z] key--s1 | "i" (([a-ceg-z] | [df] [a-z]) key--s1)?',
        "key--s1 ::= [a-z]*",
    ]


def test_equal_ones_share_rules_and_names_are_free() -> None:
    node = Minus(Repeat(LETTER), Alt((Lit("if"), Lit("in"))))
    grammar = Grammar({"root": Seq((node, Lit("="), node, Minus(node, Lit("a")))), "root--s0": Lit("?")})
    expanded, _ = expand(grammar)
    first, sign, second, third = expanded.rules["root"].items  # type: ignore[union-attr]
    assert (first, sign) == (second, Lit("="))
    assert third != first
    assert expanded.rules["root--s0"] == Lit("?")
    assert all(re.fullmatch("[A-Za-z0-9-]+", name) for name in expanded.rules)
    assert TextMatcher(expanded).accepts("a=ioff")
    assert not TextMatcher(expanded).accepts("if=")


def test_what_cannot_be_is_taken_out() -> None:
    never = And(Lit("a"), Lit("b"))
    grammar = Grammar({"root": Alt((Ref("x"), Seq((Lit("y"), optional(never))))), "x": Seq((Lit("x"), never))})
    assert expand(grammar)[0].rules == {"root": Lit("y")}


def test_too_large_ones_become_wider_and_are_named() -> None:
    node = Minus(And(Repeat(LETTER, 1, 1000), ANY), Lit("no"))
    grammar = Grammar({"root": Alt((Ref("big"), Lit("1"))), "big": node}, notes={"big": "tool.big"})
    expanded, wider = expand(grammar, limit=100)
    assert wider == ("big",)
    assert expanded == Grammar({**grammar.rules, "big": Repeat(LETTER, 1, 1000)}, notes=grammar.notes)
    exact, wider = expand(grammar)
    assert wider == ()
    assert not TextMatcher(exact).accepts("no")


def test_fit_for_engines() -> None:
    rnd = random.Random(3)
    words = ["".join(rnd.choices(string.ascii_letters, k=rnd.randint(30, 90))) for _ in range(12)]
    for node in (
        _excluding(words),
        And(Ref("root"), Repeat(Chars((), True), 5, 150)),
        Minus(Repeat(LETTER, 1, 900), Repeat(Lit("ab"))),
        And(Seq((Repeat(LETTER, 900), Lit("-"), Repeat(LETTER, 0, 900))), Repeat(Chars(((98, 122), (45, 45))))),
    ):
        expanded, wider = expand(Grammar({**JSON, "start": node}, "start"))
        assert wider == ()
        check(expanded)
        assert max(facts(rule).depth for rule in expanded.rules.values()) < 40


def test_fast_enough() -> None:
    start = time.perf_counter()
    assert len(_dfa(Repeat(LETTER, 1, 1000))) == 1001
    assert time.perf_counter() - start < 1  # 0.03 s where it was written
    rnd = random.Random(1)
    names = ["".join(rnd.choices(string.ascii_lowercase, k=rnd.randint(3, 14))) for _ in range(300)]
    start = time.perf_counter()
    node = _excluding(names)
    automaton = _dfa(node, dict(JSON))
    assert time.perf_counter() - start < 3  # 0.2 s
    assert not any(_takes(automaton, name) for name in names)
    assert all(_takes(automaton, text) for name in names[:20] for text in (name + "x", "\\n" + name, name.upper()))
    start = time.perf_counter()
    assert overlap(node, Alt(tuple(map(Lit, names))), JSON) is False
    assert time.perf_counter() - start < 3

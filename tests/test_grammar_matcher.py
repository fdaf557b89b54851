"""The matcher: the same language as the internal form whatever way it is written for llguidance; tokens; spans."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.errors import GrammarError
from edge_agent.grammar import Lit, TextMatcher, TokenMatcher, accepts, compile_schema, parse_gbnf
from edge_agent.grammar.ir import Chars, Grammar, Node, Ref, alt, optional, repeat, seq
from edge_agent.grammar.lexing import to_lark
from edge_agent.grammar.matcher import byte_tokenizer

#: (grammar, taken, refused): each would go wrong if terminals took more than their share.
SPLITS: list[tuple[str, list[str], list[str]]] = [
    ('root ::= ("a" | "ab") "bc"', ["abc", "abbc"], ["abb", "bc"]),
    ('root ::= x | "(" root ")"\nx ::= ("a" | "ab") "bc"', ["abc", "(abbc)"], ["(abc"]),
    ('root ::= [0-9]+ tail\ntail ::= "0" | "<" root ">"', ["10", "1000", "1<20>"], ["0", "1"]),
    ('root ::= "[" (root ("," root)*)? "]" | [0-9]{1,3}', ["[]", "[1,[22,333]]", "12"], ["[1,]", "1234", "[12"]),
    ('root ::= "{" item* "}"\nitem ::= "x" | "xy" | "y" root', ["{xyx}", "{xyy{}}", "{}"], ["{yy}", "{xy"]),
    (
        'root ::= "\\"" c* "\\"" | "[" root? "]"\nc ::= [^"\\\\] | "\\\\" ["\\\\]',
        ['["a\\""]', '"\\\\"', "[]"],
        ['"\\"'],
    ),
    ('root ::= "" | "(" root ")" root', ["", "()()", "(())"], ["(", "())"]),
]


@pytest.mark.parametrize(("text", "good", "bad"), SPLITS)
def test_terminals_lose_nothing(text: str, good: list[str], bad: list[str]) -> None:
    matcher = TextMatcher(parse_gbnf(text))
    assert [one for one in good if not matcher.accepts(one)] == []
    assert [one for one in bad if matcher.accepts(one)] == []


def _regex(node: Node) -> str:
    match node:
        case Lit(text):
            return re.escape(text)
        case Chars(ranges):
            return "[" + "".join(f"{chr(low)}-{chr(high)}" for low, high in ranges) + "]"
    if isinstance(node, Ref):
        raise TypeError
    inner = [_regex(child) for child in getattr(node, "items", getattr(node, "options", ()))]
    if hasattr(node, "item"):
        return f"(?:{_regex(node.item)}){{{node.low},{'' if node.high is None else node.high}}}"
    return "".join(inner) if hasattr(node, "items") else "(?:" + "|".join(inner) + ")"


_nodes = st.recursive(
    st.sampled_from([Lit("a"), Lit("ab"), Lit(","), Lit('"'), Lit('"a"'), Chars(((97, 99),)), Lit("1")]),
    lambda inner: (
        st.lists(inner, min_size=2, max_size=3).map(lambda items: seq(*items))
        | st.lists(inner, min_size=2, max_size=3).map(lambda items: alt(*items))
        | inner.map(optional)
        | st.tuples(inner, st.integers(0, 1), st.integers(1, 3)).map(lambda item: repeat(*item))
    ),
    max_leaves=7,
)


@settings(max_examples=150, deadline=None)
@given(_nodes, st.lists(st.text('ab,"1', max_size=6), min_size=8, max_size=8))
def test_same_language_as_a_regular_expression_flat_and_around_recursion(node: Node, texts: list[str]) -> None:
    pattern = re.compile(_regex(node), re.DOTALL)
    flat = TextMatcher(Grammar({"root": node}))
    recursive = TextMatcher(Grammar({"root": alt(node, seq(Lit("("), Ref("root"), Lit(")")))}))
    for text in texts:
        expected = bool(pattern.fullmatch(text))
        assert flat.accepts(text) == expected
        assert recursive.accepts(f"(({text}))") == expected


def test_recursion_takes_the_fast_way() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {}, "c": {"type": "number"}}}
    lark = to_lark(compile_schema(schema).grammar)
    assert '"\\"a\\""' in lark
    assert len(lark) < 3000


def test_steps_forced_rollback() -> None:
    grammar = compile_schema(
        {"type": "object", "properties": {"n": {"type": "boolean"}}, "required": ["n"]}, call=True
    ).grammar
    matcher = TokenMatcher(grammar, byte_tokenizer())
    assert bytes(matcher.forced()) == b'{"n":'
    assert matcher.forced_text() == '{"n":'
    assert not matcher.accept(ord("x"))
    for byte in b'{"n":':
        assert matcher.accept(byte)
    mask = matcher.mask()
    assert mask.shape == (byte_tokenizer().vocab_size,)
    assert [index for index in range(256) if mask[index]] == sorted(b"tf")
    assert not matcher.complete
    twin = matcher.copy()
    assert matcher.accepted(b"true}") == 5
    assert matcher.accepted(b"trie}") == 2
    for byte in b"true}":
        assert matcher.accept(byte)
    assert matcher.complete
    assert matcher.stopped
    matcher.rollback(5)
    assert not matcher.stopped
    assert twin.accept(ord("f"))
    assert not twin.complete


def test_rollback_too_far_is_an_error() -> None:
    matcher = TokenMatcher(parse_gbnf('root ::= "abc"'), byte_tokenizer())
    with pytest.raises(GrammarError):
        matcher.rollback(3)


def test_the_linter_stands_before_the_engine() -> None:
    with pytest.raises(GrammarError, match="left-recursive"):
        accepts(Grammar({"root": alt(seq(Ref("root"), Lit("a")), Lit("b"))}), "ba")


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, edge_agent.grammar as g; g.compile_schema; "
        "print([m for m in ('llguidance', 'numpy', 'lark', 'jsonschema', 'hypothesis') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

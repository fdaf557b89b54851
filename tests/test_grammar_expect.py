"""What may come next, in words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.errors import GrammarError
from edge_agent.grammar import Ref, TokenMatcher, accepts, compile_schema, parse_gbnf
from edge_agent.grammar.expect import expected, explain
from edge_agent.grammar.ir import Grammar
from edge_agent.grammar.matcher import byte_tokenizer


def _object(**properties: Any) -> Any:
    return {"type": "object", "properties": properties}


TIMER = _object(
    minutes={"type": "integer"},
    label={"type": "string"},
    colour={"enum": ["red", "green", "blue"]},
    on={"type": "boolean"},
    free={},
)
CALLS = [
    ("", '"{"'),
    ("{", '"colour", "free", "label", "minutes", "on" or "}"'),
    ('{"', '"colour", "free", "label", "minutes" or "on"'),
    ('{"mi', "'nutes\":'"),
    ('{"minutes":', 'a digit or "-"'),
    ('{"minutes":1', 'a digit, "," or "}"'),
    ('{"label":"', "any character of a text or '\"'"),
    ('{"colour":"', '"blue", "green" or "red"'),
    ('{"on":', '"false" or "true"'),
    ('{"on":true,', "'\"free\":'"),
    ('{"on":true}', "nothing more"),
]
TEXTS = [
    ('root ::= ""', "", "nothing more"),
    ('root ::= "a"?', "", '"a" or nothing more'),
    ("root ::= [0-9]{4}", "1", "a digit"),
    ("root ::= [1-9]", "", "a digit from 1 to 9"),
    ("root ::= [0-9a-fA-F]", "", "a digit, a letter from a to f or a letter from A to F"),
    ("root ::= [a-zA-Z_]", "", 'a letter or "_"'),
    ("root ::= [ab]", "", '"a" or "b"'),
    ('root ::= "apple" | "angry" | "bird"', "", '"angry", "apple" or "bird"'),
    ('root ::= "apple" | "angry" | "bird"', "a", '"ngry" or "pple"'),
    ('root ::= "a" | "ab" | "abc"', "a", '"b" or nothing more'),
    ('root ::= "1999" | "2026" | "3000"', "", '"1999", "2026" or "3000"'),
    ('root ::= "q" | "w" | "e" | "r" | "t" | "y" | "u"', "", '"e", "q", "r", "t", "u" or others'),
    ('root ::= [^,] | "x"', "", "any character but \",\" or '\"'"),
    ('root ::= "é" | "è" | "日本"', "", '"è", "é" or "日本"'),
    ("root ::= [à-ÿ]+", "é", "a character beyond ASCII or nothing more"),
    ("root ::= [ぁ-ん]", "", "a character beyond ASCII"),
    ("root ::= [ \\t\\n]* [0-9]", "", "a digit or a blank"),
    ('root ::= " x" | "\\n"', "", 'a blank'),
    ('root ::= "a\\x1B\\n" | "b"', "", '"a\\x1b\\n" or "b"'),
    ('root ::= "\\"a b\\":" | "[" ', "", '"a b" or "["'),
    (f'root ::= "{"x" * 100}" | "y"', "", f'"{"x" * 40}…" or "y"'),
    ('root ::= "it\'s \\"so\\""', "", "'it's \"so\"'"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "said"), CALLS)
def test_calls(before: str, said: str) -> None:
    grammar = compile_schema(TIMER, name="t", call=True).grammar
    assert expected(grammar, before) == said


@pytest.mark.parametrize(("grammar", "before", "said"), TEXTS)
def test_texts(grammar: str, before: str, said: str) -> None:
    assert expected(parse_gbnf(grammar), before) == said


EXPLAINED = [
    ('{"minutes":1}', ""),
    ('{"minutes":x', 'after {"minutes": (byte 11): expected a digit or "-", found "x"'),
    ('{"minutes":1', 'after {"minutes":1 (byte 12): expected a digit, "," or "}", found the end'),
    ('{"minutes":1}!', 'after {"minutes":1} (byte 13): expected nothing more, found "!"'),
    ('{"colour":"bläu"}', 'after {"colour":"bl (byte 13): expected \'ue"\', found "ä"'),
    ("", 'at the start: expected "{", found the end'),
    ("\n{", 'at the start: expected "{", found "\\n"'),
    ('{"label":"ä\n', 'after {"label":"ä (byte 12): expected any character of a text or \'"\', found "\\n"'),
    ('{"label":"\ud800"}', 'after {"label":" (byte 10): expected any character of a text or \'"\', found "\\ud800"'),
    (
        '{"label":"' + "x" * 60 + "\n",
        f'after …{"x" * 40} (byte 70): expected any character of a text or \'"\', found "\\n"',
    ),
]


@pytest.mark.parametrize(("text", "said"), EXPLAINED)
def test_explain(text: str, said: str) -> None:
    assert explain(compile_schema(TIMER, name="t", call=True).grammar, text) == said


def test_a_matcher_stays_where_it_is() -> None:
    matcher = TokenMatcher(parse_gbnf('root ::= "a" ("b" | "c") "d"'), byte_tokenizer())
    assert matcher.accept(ord("a"))
    assert expected(matcher) == '"bd" or "cd"'
    assert expected(matcher, "b") == '"d"'
    assert explain(matcher, "bd") == ""
    assert explain(matcher, "x") == 'at the start: expected "bd" or "cd", found "x"'
    assert matcher.accept(ord("c"))


@pytest.mark.model
def test_with_the_tokens_of_a_model(engine: Any) -> None:
    grammar = compile_schema(TIMER, name="t", call=True).grammar
    matcher = TokenMatcher(grammar, engine.guidance_tokenizer())
    for before, said in CALLS:
        assert expected(matcher, before) == said
    for text, said in EXPLAINED[:5]:
        assert explain(matcher, text) == said


def test_an_unsound_grammar_is_an_error() -> None:
    with pytest.raises(GrammarError):
        expected(Grammar({"root": Ref("nope")}))


_GRAMMARS = [parse_gbnf(grammar) for grammar, _, _ in TEXTS] + [compile_schema(TIMER, name="t", call=True).grammar]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(_GRAMMARS), st.text('{"minutes:1,lab}\\éxa 日', max_size=12))
def test_explained_exactly_when_refused(grammar: Grammar, text: str) -> None:
    said = explain(grammar, text)
    assert (said == "") == accepts(grammar, text)
    assert "\n" not in said

"""Random schemas: what the grammar takes and refuses against an independent judge, in both readings.

`EDGE_AGENT_EXAMPLES=2000` looks for new faults, at random; without it the same few examples run each time.
"""

from __future__ import annotations

import json
import os
import time
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, event, given, settings
from hypothesis import strategies as st
from schema_fixture import Judge, read, sampled, schemas, spellings, tools, values

from edge_agent.errors import GrammarError, SchemaError
from edge_agent.grammar import Compiled, TextMatcher, compile_schema, parse_gbnf
from edge_agent.grammar.gbnf import plain
from edge_agent.grammar.strings import json_text

EXAMPLES = int(os.environ.get("EDGE_AGENT_EXAMPLES", "0"))
VALUES = 8
MAX_COMPILE_S = 5

_some = settings(
    max_examples=EXAMPLES or 20,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[*HealthCheck],
)
_seeds = st.integers(0, 2**16)

#: Faults that a search has found: (schema, a text that was judged wrongly).
FOUND: list[tuple[Any, str]] = [
    ({"allOf": [{"const": []}, {"const": [0]}]}, "[]"),
    ({"if": {"const": []}, "then": {"const": [0]}}, "[0]"),
    ({"type": "string", "pattern": "^a+$", "maxLength": 0}, '""'),
    ({"type": "string", "format": "uuid", "pattern": "^$"}, '""'),
    ({"type": "integer", "minimum": 0, "maximum": 9, "multipleOf": 3}, "6.0"),
    ({"type": "number", "multipleOf": 0.25}, "1e+16"),
    ({"type": "number", "minimum": 0, "exclusiveMaximum": 0}, "-0.0"),
    ({"type": "string", "nullable": True}, "null"),
    ({"allOf": [{"type": "string", "nullable": True}, {"anyOf": [{"type": "string"}]}]}, "null"),
    ({"not": {"type": "string", "nullable": True}}, "null"),
    ({"type": "string", "allOf": [{"type": ["number", "integer"]}]}, "3"),
]


def _compiled(schema: Any, *, call: bool = False) -> tuple[Compiled, TextMatcher]:
    """`schema`, compiled within the time allowed; examples that are refused with an error of ours are passed over."""
    start = time.process_time()
    try:
        compiled = compile_schema(schema, call=call)
        assume(not compiled.empty)
        matcher = TextMatcher(compiled.grammar)
    except (SchemaError, GrammarError) as error:
        event(f"refused: {type(error).__name__}")
        assume(False)
        raise
    finally:
        assert time.process_time() - start < MAX_COMPILE_S
    event("exact" if not compiled.report else "relaxed")
    return compiled, matcher


def _sound(compiled: Compiled, judge: Judge, text: str, value: Any) -> None:
    """A text that the grammar takes is of a valid value, or what is left to a validator is said, and done."""
    if judge(value) is False:
        assert compiled.report, f"taken: {text}"
        assert compiled.validate(value), f"not refused by validate: {text}"


@pytest.mark.parametrize(("schema", "text"), FOUND, ids=str)
def test_found_by_a_search(schema: Any, text: str) -> None:
    compiled, valid = compile_schema(schema), Judge(schema)(json.loads(text))
    if not compiled.report:
        assert compiled.accepts(text) == valid
    assert (compiled.validate(json.loads(text)) == []) == valid
    assert compiled.empty or [*sampled(compiled.grammar, Random(1), 20)]


@pytest.mark.parametrize("call", [False, True])
def test_a_property_that_no_value_fits_is_not_begun(call: bool) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^a+$", "maxLength": 0}, "b": {}}}
    matcher = TextMatcher(compile_schema(schema, call=call).grammar)
    assert matcher.accepts('{"b":1}')
    assert not matcher.unfinished('{"a"')


@_some
@given(schemas(), _seeds)
def test_standard_reading_is_what_the_standard_allows(schema: Any, seed: int) -> None:
    random, judge = Random(seed), Judge(schema)
    empty = _is_empty(schema)
    compiled, matcher = (None, None) if empty else _compiled(schema)
    for value in values(schema, random, VALUES):
        valid = judge(value)
        for how, text in spellings(value, random).items():
            taken = matcher is not None and matcher.accepts(text)
            if valid and not (compiled and compiled.narrowed):
                assert taken, f"refused, {how}: {text}"
            if taken:
                assert compiled is not None
                _sound(compiled, judge, text, value)
        event(f"valid: {valid}")
    for text in sampled(compiled.grammar, random, VALUES) if compiled else ():
        if found := read(text):
            _sound(compiled, judge, text, *found)


def _is_empty(schema: Any) -> bool:
    try:
        return compile_schema(schema).empty
    except SchemaError:
        return False


@_some
@given(schemas(), _seeds)
def test_call_takes_nothing_that_is_invalid(schema: Any, seed: int) -> None:
    random, judge = Random(seed), Judge(schema)
    compiled, matcher = _compiled(schema, call=True)
    for value in values(schema, random, VALUES):
        text = json_text(value)
        if matcher.accepts(text):
            _sound(compiled, judge, text, value)
    for text in sampled(compiled.grammar, random, VALUES):
        if found := read(text):
            _sound(compiled, judge, text, *found)


@_some
@given(tools(), _seeds)
def test_call_takes_what_is_valid_and_canonical(schema: Any, seed: int) -> None:
    random, judge = Random(seed), Judge(schema)
    compiled, matcher = _compiled(schema, call=True)
    for value in values(schema, random, VALUES):
        text = json_text(value)
        if judge(value) and _canonical(schema, value):
            event("canonical")
            assert compiled.narrowed or matcher.accepts(text), f"refused: {text}"


def _canonical(schema: Any, value: Any) -> bool:
    """Whether `value` has only declared properties, in order, by a reading of a tool's schema that holds for it."""
    branches = schema.get("anyOf") or schema.get("oneOf")
    if branches:
        return any(Judge(branch)(value) and _canonical(branch, value) for branch in branches)
    if "enum" in schema:
        return True
    if isinstance(value, int | float) and not isinstance(value, bool):
        plain_number = abs(value) < 1e15 and "e" not in json_text(value)
        return plain_number and (schema["type"] == "number" or isinstance(value, int))
    if isinstance(value, list):
        subs = [*schema.get("prefixItems", []), *[schema.get("items", True)] * len(value)]
        return all(isinstance(sub, bool) or _canonical(sub, item) for sub, item in zip(subs, value, strict=False))
    if isinstance(value, dict):
        declared = schema["properties"]
        return [name for name in declared if name in value] == [*value] and all(
            _canonical(declared[name], value[name]) for name in value
        )
    return True


@_some
@given(schemas(), _seeds, st.booleans())
def test_gbnf_says_the_same(schema: Any, seed: int, call: bool) -> None:
    random = Random(seed)
    compiled, matcher = _compiled(schema, call=call)
    wider = any("wider than it says" in note for note in plain(compiled.grammar).notes.values())
    again = TextMatcher(parse_gbnf(compiled.gbnf))
    texts = [json.dumps(value) for value in values(schema, random, VALUES // 2)]
    texts += [text.replace(": ", ":").replace(", ", ",") for text in texts]
    for text in [*texts, *sampled(compiled.grammar, random, VALUES)]:
        taken = matcher.accepts(text)
        assert taken == again.accepts(text) or (wider and not taken), f"{'taken' if taken else 'refused'}: {text}"

"""What kills other engines, and 2,000 random damages: each ends in time, as a grammar or in an error of ours."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import damage_fixture as fixture
import pytest
from damage_fixture import damaged_schema, damaged_text, nested

from edge_agent.errors import GrammarError, SchemaError
from edge_agent.grammar import TextMatcher, compile_schema, parse_gbnf
from edge_agent.grammar.worker import Worker

SECONDS = 5.0
SEED = 20_261_128
MUTANTS = 1_600
GBNF_MUTANTS = 400
#: What the worker says of an exception that the compiler is not meant to raise.
BUG = "the compiler failed"
LIMIT = ": compiling this schema "
#: A schema may be damaged beyond being one: then its error names it.
NAME = "mutant"


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as one:
        one.start()
        yield one


_cycle: dict[str, Any] = {"type": "object", "properties": {}}
_cycle["properties"]["again"] = _cycle
_STRING: dict[str, Any] = {"type": "string"}

#: (schema, how it must end): "grammar", "error", "either" where only that it ends matters, or "limit" where the
#: worker's limits may end it too.
SCHEMAS: dict[str, tuple[Any, str]] = {
    "maxLength 1900": ({**_STRING, "maxLength": 1900}, "grammar"),
    "maxLength 10**9": ({**_STRING, "maxLength": 10**9}, "grammar"),
    "minLength 10**9": ({**_STRING, "minLength": 10**9}, "grammar"),
    "minItems 50000": ({"type": "array", "minItems": 50_000}, "grammar"),
    "maxItems 50000 of objects": (
        {"type": "array", "maxItems": 50_000, "items": {"properties": {"a": {"type": "integer"}}}},
        "grammar",
    ),
    "nested counts": (nested(6, lambda inner: {"type": "array", "minItems": 900, "items": inner}, True), "grammar"),
    "10,000 deep": (nested(10_000, lambda inner: {"properties": {"a": inner}}, True), "error"),
    "500 deep": (nested(500, lambda inner: {"properties": {"a": inner}}, True), "error"),
    "10,000 allOf deep": (nested(10_000, lambda inner: {"allOf": [inner]}, True), "error"),
    "300 anyOf deep": (nested(300, lambda inner: {"anyOf": [inner, {"const": 1}]}, True), "either"),
    "100 not deep": (nested(100, lambda inner: {"not": inner}, {"type": "string"}), "either"),
    "enum of 100,000": ({"enum": [f"value {number}" for number in range(100_000)]}, "limit"),
    "enum of 20,000": ({"enum": list(range(20_000))}, "either"),
    "20,000 properties": ({"properties": {f"p{number}": {"type": "integer"} for number in range(20_000)}}, "either"),
    "2,000 properties, required": (
        {"properties": {f"p{n}": _STRING for n in range(2_000)}, "required": [f"p{n}" for n in range(2_000)]},
        "either",
    ),
    "60 optional properties": ({"properties": {f"p{number}": {} for number in range(60)}}, "grammar"),
    "5,000 anyOf": ({"anyOf": [{"const": {"kind": number}} for number in range(5_000)]}, "either"),
    "anyOf times anyOf": (
        {"allOf": [{"anyOf": [{"properties": {f"{a}{b}": {"const": b}}} for b in range(8)]} for a in range(8)]},
        "either",
    ),
    "oneOf of 200 objects": (
        {"oneOf": [{"properties": {f"p{number}": _STRING}, "required": [f"p{number}"]} for number in range(200)]},
        "either",
    ),
    "huge bounds": ({"type": "integer", "minimum": -(10**400), "maximum": 10**400}, "either"),
    "huge minimum, number": ({"type": "number", "minimum": 10**400}, "either"),
    "huge const": ({"const": 10**400}, "either"),
    "long float": ({"type": "number", "minimum": 5e-324, "maximum": 1.7976931348623157e308}, "grammar"),
    "multipleOf 1e-300": ({"type": "number", "multipleOf": 1e-300}, "grammar"),
    "multipleOf 9973**9": ({"type": "integer", "multipleOf": 9973**9}, "grammar"),
    "multipleOf 0": ({"type": "number", "multipleOf": 0}, "either"),
    "NaN": ({"type": "number", "minimum": math.nan}, "error"),
    "infinite": ({"type": "number", "maximum": math.inf}, "either"),
    "const NaN": ({"const": math.nan}, "either"),
    "1 MB pattern": ({**_STRING, "pattern": "a" * 1_000_000}, "either"),
    "1 MB of choices": ({**_STRING, "pattern": "|".join(f"x{number}" for number in range(150_000))}, "either"),
    "pattern of nested counts": ({**_STRING, "pattern": "((a{1000}){1000}){1000}"}, "grammar"),
    "pattern of open counts": ({**_STRING, "pattern": "^((a{0,99}){0,99}b?){0,99}$"}, "grammar"),
    "catastrophic": ({**_STRING, "pattern": "^(a+)+$"}, "grammar"),
    "catastrophic twice": ({**_STRING, "pattern": "^(([a-z])+.)+[A-Z]([a-z])+$"}, "grammar"),
    "exponential to determine": ({**_STRING, "pattern": "^.*a.{40}$"}, "either"),
    "two patterns, exponential": (
        {"allOf": [{**_STRING, "pattern": "a.{30}$"}, {**_STRING, "pattern": "b.{29}c.{20}$"}]},
        "either",
    ),
    "not an exponential pattern": ({**_STRING, "not": {"pattern": "a.{30}$"}}, "either"),
    "5,000 brackets": ({**_STRING, "pattern": "(" * 5_000 + "a" + ")" * 5_000}, "grammar"),
    "5,000 stars": ({**_STRING, "pattern": "(?:" * 200 + "a" + ")*" * 200}, "grammar"),
    "lookarounds": ({**_STRING, "pattern": "^(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])(?!.*\\s).{8,64}$"}, "grammar"),
    "unclosed set": ({**_STRING, "pattern": "[a"}, "either"),
    "patternProperties, unclosed": ({"patternProperties": {"(": {"type": "integer"}}}, "either"),
    "1,000 patternProperties": (
        {"patternProperties": {f"^{number}.*x{number}$": {"const": number} for number in range(1_000)}},
        "either",
    ),
    "propertyNames, exponential": ({"propertyNames": {"pattern": "a.{40}$"}, "properties": {"b": {}}}, "either"),
    "propertyNames, catastrophic": ({"propertyNames": {"pattern": "^(a+)+$"}, "required": ["a" * 60 + "b"]}, "limit"),
    "$ref to itself": ({"$ref": "#"}, "either"),
    "$defs to itself": ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "either"),
    "$ref in a circle": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        "either",
    ),
    "allOf in a circle": (
        {
            "$ref": "#/$defs/a",
            "$defs": {
                "a": {"allOf": [{"$ref": "#/$defs/b"}, {"properties": {"x": {"$ref": "#/$defs/a"}}}]},
                "b": {"allOf": [{"$ref": "#/$defs/a"}, {"properties": {"y": {"$ref": "#/$defs/b"}}}]},
            },
        },
        "either",
    ),
    "anyOf in a circle": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, _STRING]}}},
        "either",
    ),
    "not itself": ({"$ref": "#/$defs/a", "$defs": {"a": {"not": {"$ref": "#/$defs/a"}}}}, "either"),
    "requires itself": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"]}}},
        "either",
    ),
    "doubling $defs": (
        {
            "$ref": "#/$defs/d0",
            "$defs": {
                f"d{n}": {"properties": {"l": {"$ref": f"#/$defs/d{n + 1}"}, "r": {"$ref": f"#/$defs/d{n + 1}"}}}
                if n < 30
                else {"type": "null"}
                for n in range(31)
            },
        },
        "grammar",
    ),
    "doubling allOf": (
        {
            "$ref": "#/$defs/d0",
            "$defs": {
                f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]}
                if n < 30
                else _STRING
                for n in range(31)
            },
        },
        "either",
    ),
    "pointer to nothing": ({"$ref": "#/a/b/c"}, "error"),
    "pointer of tildes": ({"$ref": "#/" + "~" * 10_000}, "error"),
    "elsewhere": ({"$ref": "http://127.0.0.1:9/never-fetched"}, "grammar"),
    "uniqueItems, contains": (
        {"type": "array", "uniqueItems": True, "contains": {"const": 1}, "minContains": 40, "maxContains": 50},
        "either",
    ),
    "2,000 prefixItems": ({"type": "array", "prefixItems": [{"type": "integer"}] * 2_000, "items": False}, "either"),
    "minProperties 10,000": ({"type": "object", "minProperties": 10_000}, "grammar"),
    "2,000 dependentRequired": ({"dependentRequired": {f"p{n}": [f"p{n + 1}"] for n in range(2_000)}}, "either"),
    "200 if": (
        {"allOf": [{"if": {"required": [f"a{n}"]}, "then": {"required": [f"b{n}"]}} for n in range(200)]},
        "either",
    ),
    "numbers as names": ({"properties": {1: {"type": "string"}, None: True}}, "either"),
    "a text that is no Unicode": ({"const": "\ud800", "properties": {"\udfff": {}}}, "either"),
    "1 MB const": ({"const": "x" * 1_000_000}, "either"),
    "a megabyte of title": ({"title": "t" * 1_000_000, "type": "null"}, "grammar"),
    "a long name": ({"properties": {"n" * 100_000: {"type": "null"}}}, "grammar"),
    "not a schema": (7, "error"),
    "null": (None, "error"),
    "cyclic": (_cycle, "error"),
    "bytes": ({"const": b"x"}, "error"),
    "a set": ({"enum": {1, 2}}, "error"),
}


def _ended(worker: Worker, schema: Any, *, call: bool) -> str:
    """How a schema ends: "grammar", "error" or "limit"; fails when late, or with an error that is not well said."""
    begun = time.monotonic()
    try:
        worker.compile(schema, name=NAME, call=call, timeout_s=SECONDS)
        ended = "grammar"
    except SchemaError as error:
        said = error.message
        ended = "limit" if LIMIT in said else "error"
        if not said.startswith(NAME) or len(said) < len(NAME) + 4 or BUG in said:
            pytest.fail(said)
    assert time.monotonic() - begun < SECONDS + 2
    return ended


@pytest.mark.parametrize("call", [True, False], ids=["call", "value"])
@pytest.mark.parametrize("killer", SCHEMAS)
def test_schemas(worker: Worker, killer: str, call: bool) -> None:
    schema, must = SCHEMAS[killer]
    allowed = {"either": {"grammar", "error"}, "limit": {"grammar", "error", "limit"}}.get(must, {must})
    assert _ended(worker, schema, call=call) in allowed


@pytest.mark.timeout(20)
@pytest.mark.parametrize("schema", [_cycle, SCHEMAS["10,000 deep"][0], {"const": b"x"}, {"enum": {1, 2}}])
def test_objects_that_are_no_json_here(schema: Any) -> None:
    with pytest.raises(SchemaError, match=r"^here"):
        compile_schema(schema, name="here")


def _chain(length: int, body: str) -> str:
    """Rules that each use the next, as `body` has it."""
    rules = (f"r{number} ::= {body.format(number + 1)}" for number in range(length))
    return "\n".join(["root ::= r0", *rules, f'r{length} ::= "a"'])


#: (grammar, what its error says; None where it is sound)
TEXTS: dict[str, tuple[str, str | None]] = {
    "left recursion": ('root ::= root "a" | "b"', "left-recursive"),
    "in two steps": ('root ::= a "x" | "y"\na ::= root "z" | "w"', "left-recursive"),
    "through empties": ('root ::= e e? root "a" | "b"\ne ::= "" | "e"', "left-recursive"),
    "through counts": ('root ::= "x"* ("y"?){0,3} root | "b"', "left-recursive"),
    "no root": ('rot ::= "a"', "no rule named 'root'"),
    "undefined": ("root ::= nowhere", "not defined"),
    "empty": ("", "no rule"),
    "comment only": ("# nothing", "no rule"),
    "never ends": ('root ::= "a" root', "never come to an end"),
    "repeats the empty": ('root ::= ("a"?)*', "without end"),
    "10,000 deep": ("root ::= " + "(" * 10_000 + '"a"' + ")" * 10_000, "nested"),
    "10,000 open": ("root ::= " + "(" * 10_000, "nested"),
    "10,000 counts on one": ('root ::= "a"' + "?" * 10_000, "nested"),
    "unclosed set": ("root ::= [", "unexpected"),
    "unclosed text": ('root ::= "a', "unexpected"),
    "unclosed count": ('root ::= "a"{3', "unexpected"),
    "backwards": ("root ::= [z-a]", "backwards"),
    "empty set": ("root ::= []", "empty set"),
    "no character": ('root ::= "\\UFFFFFFFF"', "not a character"),
    "surrogate": ('root ::= "\\uD800"', "not a character"),
    "nested counts": ('root ::= (("a"{1000}){1000}){1000}', "times"),
    "nested open counts": ('root ::= (("a"{0,900}){0,900})*', ""),
    "1900": ('root ::= "a"{1900}', "1900"),
    "10**30": (f'root ::= "a"{{{10**30}}}', "times"),
    "10**5000": (f'root ::= "a"{{{"9" * 5000}}}', ""),
    "empty count": ('root ::= "a"{5,2}', "count"),
    "twice": ('root ::= "a"\nroot ::= "b"', "twice"),
    "100,000 choices": ("root ::= " + " | ".join(f'"w{number}"' for number in range(100_000)), ""),
    "30,000 rules": ("\n".join(["root ::= r0", *(f'r{n} ::= "a" r{n + 1}?' for n in range(30_000))]), ""),
    "2,000 rules in a row": (_chain(2_000, "r{}"), ""),
    "doubling rules": (_chain(40, "r{0} r{0}"), ""),
    "2 MB": ("root ::= " + '"a" ' * 600_000, "long"),
    "control characters": ('root ::= "\x00\x01"', ""),
    "ambiguous": ('root ::= root2 root2 root2\nroot2 ::= ("a" | "a" "a" | "a"*) "b"?', ""),
}  # fmt: skip


def _parsed(text: str) -> str:
    begun = time.monotonic()
    try:
        TextMatcher(parse_gbnf(text)).unfinished("a")
        said = ""
    except GrammarError as error:
        said = error.message
        assert len(said) > 4
    elapsed_s = time.monotonic() - begun
    assert elapsed_s < SECONDS, f"{elapsed_s:.1f} s"
    return said


@pytest.mark.parametrize("killer", TEXTS)
def test_texts(killer: str) -> None:
    text, said = TEXTS[killer]
    assert (said or "") in _parsed(text)


def test_damaged_schemas(worker: Worker) -> None:
    ended: dict[str, int] = {}
    for number in range(MUTANTS):
        rng = random.Random(SEED + number)
        schema = damaged_schema(rng, fixture.SCHEMAS[number % len(fixture.SCHEMAS)])
        try:
            how = _ended(worker, schema, call=number % 2 == 0)
            assert how != "limit"
        except (AssertionError, pytest.fail.Exception) as error:
            pytest.fail(f"mutant {number}: {error}\n{json.dumps(schema)[:2000]}")
        ended[how] = ended.get(how, 0) + 1
    assert min(ended.values()) > MUTANTS // 10
    assert len(ended) == 2


def test_damaged_texts() -> None:
    files = [path.read_text() for path in sorted((Path(__file__).parent.parent / "grammars").glob("*.gbnf"))]
    sources = [*fixture.GRAMMARS, *files]
    refused = 0
    for number in range(GBNF_MUTANTS):
        text = damaged_text(random.Random(SEED + number), sources[number % len(sources)])
        try:
            refused += bool(_parsed(text))
        except Exception as error:
            pytest.fail(f"mutant {number}: {type(error).__name__}: {error}\n{text}")
    assert GBNF_MUTANTS // 10 < refused < GBNF_MUTANTS

"""Schemas and grammars as people write them, and what chance can do to them."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Callable
from typing import Any


def nested(levels: int, wrap: Callable[[Any], Any], core: Any) -> Any:
    for _ in range(levels):
        core = wrap(core)
    return core


#: As people and programs write them.
SCHEMAS: list[Any] = [
    {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "City and state"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
        },
        "required": ["location"],
        "additionalProperties": False,
    },
    {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "path": {"type": "string", "minLength": 1, "maxLength": 4096},
            "edits": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {"oldText": {"type": "string"}, "newText": {"type": "string"}},
                    "required": ["oldText", "newText"],
                    "additionalProperties": False,
                },
            },
            "dryRun": {"type": "boolean", "default": False},
        },
        "required": ["path", "edits"],
    },
    {
        "$defs": {
            "Node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
                },
                "required": ["name"],
            }
        },
        "$ref": "#/$defs/Node",
    },
    {
        "title": "Search",
        "type": "object",
        "properties": {
            "q": {"title": "Q", "type": "string", "maxLength": 200},
            "page": {"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "null"}], "default": None},
            "since": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
            "price": {"type": "number", "minimum": 0.01, "maximum": 99999.99, "multipleOf": 0.01},
        },
        "required": ["q"],
    },
    {
        "oneOf": [
            {
                "type": "object",
                "properties": {"kind": {"const": "circle"}, "r": {"type": "number"}},
                "required": ["kind"],
            },
            {
                "type": "object",
                "properties": {"kind": {"const": "square"}, "a": {"type": "number"}},
                "required": ["kind"],
            },
        ],
        "discriminator": {"propertyName": "kind"},
    },
    {"type": "object", "additionalProperties": {"type": "integer", "minimum": -5, "maximum": 1000}, "maxProperties": 4},
    {"type": "object", "patternProperties": {"^x-[a-z]+$": {"type": "string"}}, "additionalProperties": False},
    {"type": "array", "prefixItems": [{"type": "number"}, {"type": "string"}], "items": {"type": "boolean"}},
    {"type": "array", "items": {"enum": ["a", 1, None, True, {"x": [1, 2]}]}, "uniqueItems": True, "maxItems": 5},
    {"type": ["string", "null"], "pattern": "^[A-Z]{2}[0-9]{2}([- ]?[A-Z0-9]{4}){2,7}$"},
    {"type": "string", "format": "email", "maxLength": 254},
    {"type": "string", "format": "uuid"},
    {"type": "string", "pattern": "\\d+(\\.\\d{1,2})?", "not": {"const": "0"}},
    {"type": "integer", "minimum": 1, "maximum": 65535, "multipleOf": 5},
    {"type": "number", "exclusiveMinimum": -273.15, "exclusiveMaximum": 1e9},
    {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"properties": {"b": {"type": "integer"}}, "required": ["b"]},
            {"properties": {"a": {"minLength": 2, "pattern": "^x"}}},
        ]
    },
    {
        "type": "object",
        "properties": {"country": {"enum": ["US", "CA"]}, "zip": {"type": "string"}},
        "if": {"properties": {"country": {"const": "US"}}},
        "then": {"properties": {"zip": {"pattern": "^[0-9]{5}$"}}},
        "else": {"properties": {"zip": {"pattern": "^[A-Z][0-9][A-Z]"}}},
    },
    {
        "type": "object",
        "properties": {"card": {"type": "integer"}, "address": {"type": "string"}},
        "dependentRequired": {"card": ["address"]},
        "propertyNames": {"pattern": "^[a-z_]+$", "maxLength": 20},
        "minProperties": 1,
    },
    {"type": "array", "contains": {"type": "integer", "minimum": 10}, "minContains": 1, "maxContains": 2},
    {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "tags": {"$ref": "#/definitions/tags"}},
        "definitions": {"tags": {"type": "array", "items": {"$ref": "#/definitions/tag"}}, "tag": {"type": "string"}},
    },
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "nullable": True, "example": "Bob"},
            "age": {"type": "integer", "format": "int32"},
        },
        "required": ["name"],
    },
    {
        "$id": "https://example.com/",
        "$defs": {"n": {"$anchor": "num", "type": "number"}},
        "items": {"$ref": "#num"},
    },
    {
        "allOf": [{"$ref": "#/$defs/base"}],
        "properties": {"extra": True},
        "unevaluatedProperties": False,
        "$defs": {"base": {"properties": {"id": {"type": "string", "format": "uri"}}, "required": ["id"]}},
    },
    {
        "$dynamicAnchor": "node",
        "type": "object",
        "properties": {"data": True, "children": {"type": "array", "items": {"$dynamicRef": "#node"}}},
    },
    {
        "type": "object",
        "properties": {
            "rows": {
                "type": "array",
                "items": {"type": "array", "items": {"type": ["number", "string", "null"]}, "maxItems": 20},
                "maxItems": 100,
            },
            "range": {"type": "string", "pattern": "^[A-Z]+[0-9]+(:[A-Z]+[0-9]+)?$"},
        },
    },
    {"anyOf": [{"type": "string", "maxLength": 5}, {"type": "number", "minimum": 0}], "not": {"enum": ["", 7]}},
    {"enum": ["red", "green", "blue", 1, 2.5, None, [], {}]},
    {"const": {"a": [1, "two", {"three": 3.0}]}},
    {
        "type": "object",
        "properties": {"when": {"type": "string", "format": "date"}, "at": {"type": "string", "format": "time"}},
        "oneOf": [{"required": ["when"]}, {"required": ["at"]}],
    },
    {
        "type": "object",
        "properties": {"text": {"type": "string", "x-edge-copy": "text"}, "$n": {"type": "integer"}},
    },
]
_KEYWORDS = sorted({key for schema in SCHEMAS for key in json.dumps(schema).split('"')[1::2] if key.isidentifier()})
_WILD: list[Callable[[random.Random], Any]] = [
    lambda rng: rng.choice([None, True, False, "", [], {}, [[]], [None], {"": {}}, "object", "objekt", "integer"]),
    lambda rng: rng.choice(
        [-1, 0, 0.5, 1e308, 5e-324, -(10**9), 1900, 50_000, 10**9, 10**30, 10**400, math.nan, math.inf]
    ),
    lambda rng: rng.choice(
        ["(", "[a-", "a{2,1}", "(?<n>a)\\k<n>", "(a+)+$", "\\p{L}+", "^(?!x).{3,}$", "\\", ".{999}", "|"]
    ),
    lambda rng: rng.choice(["#", "#/", "#/$defs", "#/properties/0", "#nope", "other.json", "http://[", "%", "\ud800"]),
    lambda rng: {rng.choice(_KEYWORDS): copy.deepcopy(rng.choice(SCHEMAS))},
    lambda rng: copy.deepcopy(rng.choice(SCHEMAS)),
    lambda rng: {"$ref": rng.choice(["#", "#/$defs/Node", "#/properties/a", "#/definitions/tags"])},
    lambda rng: nested(rng.randint(1, 60), rng.choice(_WRAPS), copy.deepcopy(rng.choice(SCHEMAS))),
]
_WRAPS: list[Callable[[Any], Any]] = [
    lambda inner: {"properties": {"a": inner}, "required": ["a"]},
    lambda inner: {"items": inner, "type": "array"},
    lambda inner: {"allOf": [inner, {}]},
    lambda inner: {"anyOf": [inner, {"type": "null"}]},
    lambda inner: {"oneOf": [inner, {"type": "null"}]},
    lambda inner: {"not": inner},
    lambda inner: {"additionalProperties": inner, "minProperties": 1},
    lambda inner: {"if": inner, "then": {"title": "so"}, "else": False},
]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything inside `value`."""
    found: list[tuple[Any, Any]] = []
    stack = [value]
    while stack:
        item = stack.pop()
        keys = list(item) if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ()
        found += ((item, key) for key in keys)
        stack += (item[key] for key in keys)
    return found


def damaged_schema(rng: random.Random, schema: Any) -> Any:
    """`schema` with one to four parts dropped, doubled, swapped, replaced, renamed or wrapped."""
    whole = [copy.deepcopy(schema)]
    for _ in range(rng.randint(1, 4)):
        container, key = rng.choice(_places(whole))
        value = container[key]
        match rng.randrange(6):
            case 0 if container is not whole:
                del container[key]
            case 1 if isinstance(container, list):
                container.insert(key, copy.deepcopy(value))
            case 1:
                container[rng.choice(_KEYWORDS)] = copy.deepcopy(value)
            case 2:
                other, place = rng.choice(_places(whole))
                container[key], other[place] = copy.deepcopy(other[place]), copy.deepcopy(value)
            case 3:
                container[key] = rng.choice(_WRAPS)(value)
            case _:
                container[key] = rng.choice(_WILD)(rng)
    return whole[0]


#: Grammars as people write them, beside those of this project.
GRAMMARS = [
    'root ::= "yes" | "no"',
    'root ::= item ("," item)*\nitem ::= [a-z]+ | "\\"" [^"]* "\\""',
    'root ::= (expr "=" term "\\n")+\nexpr ::= term ([-+*/] term)*\nterm ::= [a-z] | [0-9]+ | "(" expr ")"',
    'root ::= "[" (root ("," root)*)? "]" | [0-9]{1,3} # lists\n',
    'root ::= line{1,5}\nline ::= "- " [^\\n]{1,80} "\\n"',
    'root ::= [0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" [0-3] [0-9]',
    'root ::= "<" name ">" (text | root)* "</" name ">"\nname ::= [a-z]{1,9}\ntext ::= [^<]',
    'root ::= move (" " move){0,40}\nmove ::= [KQRBN]? [a-h]? [1-8]? "x"? [a-h] [1-8] ("=" [QRBN])? [+#]?',
]
_SIGNS = [
    *'"[](){}|*+?.-#\n\\\x00é',
    *("::=", "{1900}", "{3,1}", "{0,}", "{99999999999999999999}", "{1000}{1000}", "root", "x", '""', '"a"*', "[^]"),
    *("\\x", "\\uD800", "(" * 80),
]


def damaged_text(rng: random.Random, text: str) -> str:
    """`text` with one or two runs dropped, copied elsewhere, or replaced by signs of GBNF."""
    for _ in range(rng.randint(1, 2)):
        first, last = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        last = min(last, first + 20)
        other = rng.randrange(len(text) + 1)
        match rng.randrange(4):
            case 0:
                text = text[:first] + text[last:]
            case 1:
                text = text[:other] + text[first:last] + text[other:]
            case 2:
                text = text[:first] + rng.choice(_SIGNS) + text[last:]
            case _:
                text = text[:first] + rng.choice(_SIGNS) + text[first:]
    return text

"""Schemas of strings, numbers and fixed values as grammar nodes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from functools import reduce
from typing import TYPE_CHECKING, Any

from ..errors import SchemaError
from .digits import MAX_DIGITS, Numbers, is_whole
from .formats import FORMATS, unheld
from .ir import MAX_COUNT, NOTHING, Lit, Node, Ref, alt, both, repeat, token
from .merge import ASSERTIONS, Schema
from .pattern import Unsupported, translate
from .regular import matches
from .rewriting import changed
from .strings import escape_text, json_text, quote

if TYPE_CHECKING:
    from .schema import Compiler, Path

#: Most multiples that are written out one by one.
MAX_MULTIPLES = 200

JSON_TYPES = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and is_whole(value),
}


def literals(compiler: Compiler, schema: Schema, values: list[Any], path: Path) -> Node:
    """The fixed `values` of an `enum` or `const` that the rest of `schema` allows too."""
    kinds = compiler.types(schema, path)
    if kinds is not None:
        values = [value for value in values if any(JSON_TYPES[kind](value) for kind in kinds)]
    rest = {key: schema[key] for key in ASSERTIONS & schema.keys() - {"enum", "const", "type"}}
    if rest:
        values = _allowed(compiler, rest, values, path)
    numbers = [value for value in values if JSON_TYPES["number"](value)]
    others = [value for value in values if not JSON_TYPES["number"](value)]
    fixed = [token(compiler.numbers.exactly(*numbers))] if numbers else []
    return alt(*fixed, *(constant(compiler, value, path) for value in others))


def _allowed(compiler: Compiler, rest: Schema, values: list[Any], path: Path) -> list[Any]:
    """The values that `rest` allows. Expressions are not run by Python, which some keep busy for ever."""
    texts = [value for value in values if isinstance(value, str)]
    if texts:
        language = compiler.regular(rest, path)
        texts = [text for text in texts if matches(language, compiler.rules, escape_text(text))]
    others = [value for value in values if not isinstance(value, str)]
    standard = _standard(rest)
    if changed(standard, _without_expressions) == standard:
        return texts + [value for value in others if _valid(standard, value)]
    if others:
        compiler.relax(path, "enum", "patterns inside of its values are checked after decoding")
    return texts + others


def _without_expressions(schema: Schema) -> Schema:
    return {key: schema[key] for key in schema if key not in ("pattern", "patternProperties", "format")}


def _valid(schema: Schema, value: Any) -> bool:
    """Whether a fixed value satisfies `schema`; True when that cannot be told."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError as BadSchema
    from jsonschema.exceptions import UnknownType
    from referencing.exceptions import Unresolvable

    from .references import registry

    try:
        return bool(Draft202012Validator(schema, registry=registry({})).is_valid(value))
    except (BadSchema, UnknownType, Unresolvable, TypeError, ValueError, AttributeError, ArithmeticError):
        return True


def _standard(schema: Any) -> Any:
    """`schema` with the tuples of `merge` as standard JSON Schema."""
    if isinstance(schema, list):
        return [_standard(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    plain = {key: _standard(value) for key, value in schema.items() if key != "x-edge-copy"}
    several = [{key: each} for key, value in plain.items() if isinstance(value, tuple) for each in value]
    plain = {key: value for key, value in plain.items() if not isinstance(value, tuple)}
    return {**plain, "allOf": [*plain.get("allOf", []), *several]} if several else plain


def constant(compiler: Compiler, value: Any, path: Path) -> Node:
    """The texts of one value."""
    if isinstance(value, str):
        return quote(compiler.spelling.text(value))
    if isinstance(value, dict):
        fixed = {name: {"const": sub} for name, sub in value.items()}
        closed = {"type": "object", "properties": fixed, "required": [*fixed], "additionalProperties": False}
        return compiler.value(closed, path)
    if isinstance(value, list):
        places = [{"const": sub} for sub in value]
        return compiler.value({"type": "array", "prefixItems": places, "items": False, "minItems": len(places)}, path)
    if isinstance(value, bool | None):
        return token(Lit(json_text(value)))
    return token(compiler.numbers.exactly(value))


def string(compiler: Compiler, schema: Schema, path: Path) -> Node:
    """A string with the lengths, patterns and formats of `schema`."""
    low, high = compiler.counts(schema, "minLength", "maxLength", path)
    if high is not None and low > high:
        return NOTHING
    parts: list[Node] = []
    for pattern in several(schema, "pattern"):
        if not isinstance(pattern, str):
            raise SchemaError(f"{compiler.at(path)}: pattern is not a text")
        try:
            parts.append(compiler.spelling.escape(translate(pattern)))
        except Unsupported as reason:
            compiler.relax(path, "pattern", f"any string ({reason})")
    for kind in map(str, several(schema, "format")) if compiler.formats else ():
        if kind in FORMATS:
            parts.append(compiler.format(FORMATS[kind]))
        if why := unheld(kind):
            compiler.relax(path, "format", why)
    if low or high is not None:
        if low > MAX_COUNT:
            compiler.relax(path, "minLength", f"{low} -> {MAX_COUNT}")
        if high is not None and high > MAX_COUNT:
            compiler.relax(path, "maxLength", f"{high} -> no limit")
            high = None
        parts.append(repeat(Ref(f"{compiler.json.capitalize()}-char"), min(low, MAX_COUNT), high))
    if not parts:
        return compiler.use("string")
    return compiler.filled(quote(reduce(both, parts)))


def several(schema: Schema, keyword: str) -> tuple[Any, ...]:
    """The values of a keyword that `merge` may have joined to a tuple of those that all apply."""
    value = schema.get(keyword, ())
    return value if isinstance(value, tuple) else (value,)


def number(compiler: Compiler, schema: Schema, path: Path, *, whole: bool) -> Node:
    """A number in the range of `schema`, exactly; `whole` for integers."""
    low, open_low = _bound(compiler, schema, "minimum", "exclusiveMinimum", path, max)
    high, open_high = _bound(compiler, schema, "maximum", "exclusiveMaximum", path, min)
    steps = several(schema, "multipleOf")
    for step in steps:
        if not JSON_TYPES["number"](step) or not 0 < step < math.inf:
            raise SchemaError(f"{compiler.at(path)}: multipleOf is not a positive number")
    whole = whole or any(is_whole(step) for step in steps)
    if any(bound is not None and len(f"{bound:f}") > MAX_DIGITS for bound in (low, high)):
        compiler.relax(path, "minimum/maximum", "a bound has too many digits: no limit")
        low = high = None
    parts: list[Node] = []
    if whole:
        least = None if low is None else math.floor(low) + 1 if open_low else math.ceil(low)
        most = None if high is None else math.ceil(high) - 1 if open_high else math.floor(high)
        if len(steps) == 1 and (node := _multiples(compiler.numbers, least, most, steps[0])) is not None:
            return token(node)
        if least is not None or most is not None or any(step != 1 for step in steps):
            parts.append(compiler.numbers.integers(least, most))
    elif low is not None or high is not None:
        parts.append(compiler.numbers.decimals(low, high, open_low=open_low, open_high=open_high))
    for step in steps:
        if step == 1:
            continue
        if (node := compiler.numbers.multiples(Decimal(str(step)))) is not None:
            parts.append(node)
        else:
            compiler.relax(path, "multipleOf", "checked after decoding")
    if not parts:
        return compiler.integer() if whole else compiler.use("number")
    return compiler.filled(token(reduce(both, parts)))


def _multiples(numbers: Numbers, least: int | None, most: int | None, step: int | float) -> Node | None:
    if least is None or most is None or step != int(step) or (most - least) // step > MAX_MULTIPLES:
        return None
    size = int(step)
    return numbers.exactly(*range(-(-least // size) * size, most + 1, size))


def _bound(
    compiler: Compiler, schema: Schema, closed: str, strict: str, path: Path, tighter: Any
) -> tuple[Decimal | None, bool]:
    """The bound that holds and whether it is itself out; draft-04's boolean `exclusiveMinimum` is understood."""
    bounds: list[tuple[Decimal, bool]] = []
    for keyword in (closed, strict):
        value = schema.get(keyword)
        if value is None or (keyword == strict and isinstance(value, bool)):
            continue
        if not JSON_TYPES["number"](value) or value in (math.inf, -math.inf) or value != value:
            raise SchemaError(f"{compiler.at(path)}: {keyword} is not a number")
        bounds.append((Decimal(str(value)), keyword == strict or schema.get(strict) is True))
    if not bounds:
        return None, False
    value = tighter(bound for bound, _ in bounds)
    return value, any(out for bound, out in bounds if bound == value)

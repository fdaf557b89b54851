"""Schemas of strings, numbers and fixed values as grammar nodes."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..errors import SchemaError
from .digits import MAX_DIGITS, decimals, integers
from .ir import NOTHING, Lit, Node, alt, repeat
from .lint import MAX_COUNT
from .merge import ASSERTIONS, Schema
from .pattern import Unsupported, translate
from .strings import escape, json_text, quote

if TYPE_CHECKING:
    from .schema import Compiler, Path

#: `format` of JSON Schema (and four of our own) with a file in `grammars/` that spells it.
FORMATS = frozenset(("date", "time", "date-time", "duration", "email", "uri", "url", "uuid", "path", "identifier"))
#: Most multiples that are written out one by one.
MAX_MULTIPLES = 200

_JSON_TYPES = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
    ),
}


def literals(compiler: Compiler, schema: Schema, values: list[Any], path: Path) -> Node:
    """The fixed `values` of an `enum` or `const` that the rest of `schema` allows too."""
    kinds = compiler.types(schema, path)
    if kinds is not None:
        values = [value for value in values if any(_JSON_TYPES[kind](value) for kind in kinds)]
    rest = {key: schema[key] for key in ASSERTIONS & schema.keys() - {"enum", "const", "type", "nullable"}}
    if rest:
        values = [value for value in values if _valid(rest, value)]
    return alt(*(Lit(text) for value in values for text in _spellings(value)))


def _valid(schema: Schema, value: Any) -> bool:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError as BadSchema
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:  # an empty registry, because jsonschema would fetch what `$ref` names from the network
        return bool(Draft202012Validator(schema, registry=Registry()).is_valid(value))
    except (BadSchema, Unresolvable, TypeError, ValueError, AttributeError, ArithmeticError):
        return True


def _spellings(value: Any) -> list[str]:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return [json_text(int(value)), json_text(value)]
    return [json_text(value)]


def string(compiler: Compiler, schema: Schema, path: Path) -> Node:
    """A string with the lengths, pattern or format of `schema`; one of the three is held, the rest reported."""
    low, high = compiler.counts(schema, "minLength", "maxLength", path)
    if high is not None and low > high:
        return NOTHING
    pattern, kind = schema.get("pattern"), schema.get("format")
    node: Node | None = None
    if pattern is not None:
        if not isinstance(pattern, str):
            raise SchemaError(f"{compiler.at(path)}: pattern is not a text")
        try:
            node = quote(escape(translate(pattern)))
        except Unsupported as reason:
            compiler.relax(path, "pattern", f"any string ({reason})")
    if kind is not None:
        if node is not None or not isinstance(kind, str) or kind not in FORMATS:
            compiler.relax(path, "format", f"{kind!r} is checked after decoding")
        else:
            node = quote(compiler.use(kind, escaped=True))
    if node is not None:
        for keyword in ("minLength", "maxLength"):
            if keyword in schema:
                compiler.relax(path, keyword, "checked after decoding")
        return node
    if not low and high is None:
        return compiler.use("json", "string")
    if low > MAX_COUNT:
        compiler.relax(path, "minLength", f"{low} -> {MAX_COUNT}")
    if high is not None and high > MAX_COUNT:
        compiler.relax(path, "maxLength", f"{high} -> no limit")
        high = None
    return quote(repeat(compiler.use("json", "char"), min(low, MAX_COUNT), high))


def number(compiler: Compiler, schema: Schema, path: Path, *, whole: bool) -> Node:
    """A number in the range of `schema`, exactly; `whole` for integers, which never have a point."""
    low, open_low = _bound(compiler, schema, "minimum", "exclusiveMinimum", path, max)
    high, open_high = _bound(compiler, schema, "maximum", "exclusiveMaximum", path, min)
    step = schema.get("multipleOf")
    if step is not None and (not _JSON_TYPES["number"](step) or not 0 < step < math.inf):
        raise SchemaError(f"{compiler.at(path)}: multipleOf is not a positive number")
    whole = whole or step == 1
    if any(bound is not None and len(f"{bound:f}") > MAX_DIGITS for bound in (low, high)):
        compiler.relax(path, "minimum/maximum", "a bound has too many digits: no limit")
        low = high = None
    if whole:
        least = None if low is None else math.floor(low) + 1 if open_low else math.ceil(low)
        most = None if high is None else math.ceil(high) - 1 if open_high else math.floor(high)
        if step is not None and step != 1:
            if (node := _multiples(least, most, step)) is not None:
                return node
            compiler.relax(path, "multipleOf", "checked after decoding")
        if least is None and most is None:
            return compiler.use("json", "integer")
        return integers(least, most)
    if step is not None:
        compiler.relax(path, "multipleOf", "checked after decoding")
    if low is None and high is None:
        return compiler.use("json", "number")
    return decimals(low, high, open_low=open_low, open_high=open_high)


def _multiples(least: int | None, most: int | None, step: int | float) -> Node | None:
    if least is None or most is None or step != int(step) or (most - least) // step > MAX_MULTIPLES:
        return None
    size = int(step)
    return alt(*(Lit(str(value)) for value in range(-(-least // size) * size, most + 1, size)))


def _bound(
    compiler: Compiler, schema: Schema, closed: str, strict: str, path: Path, tighter: Any
) -> tuple[Decimal | None, bool]:
    """The bound that holds and whether it is itself out; draft-04's boolean `exclusiveMinimum` is understood."""
    bounds: list[tuple[Decimal, bool]] = []
    for keyword in (closed, strict):
        value = schema.get(keyword)
        if value is None or (keyword == strict and isinstance(value, bool)):
            continue
        if not _JSON_TYPES["number"](value) or not math.isfinite(value):
            raise SchemaError(f"{compiler.at(path)}: {keyword} is not a number")
        bounds.append((Decimal(str(value)), keyword == strict or schema.get(strict) is True))
    if not bounds:
        return None, False
    value = tighter(bound for bound, _ in bounds)
    return value, any(out for bound, out in bounds if bound == value)

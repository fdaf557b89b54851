"""The validator behind the grammar: jsonschema, with the formats of `formats`, ECMA-262's regular expressions and
exact decimals. It fetches nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ..errors import SchemaError
from .pattern import category
from .references import registry
from .rewriting import changed, meant

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError


class Validator:
    """Says what a schema has against values. Building one costs about a millisecond; keep it.

    Raises SchemaError when the schema is not valid JSON Schema.
    """

    def __init__(self, schema: Any, *, remotes: Mapping[str, Any], formats: bool) -> None:
        from jsonschema.exceptions import SchemaError as BadSchema
        from jsonschema.validators import Draft202012Validator, extend, validator_for

        from .formats import format_checker

        schema = meant(schema, remotes)
        kind = validator_for(schema, default=Draft202012Validator)
        try:
            kind.check_schema(schema, format_checker=format_checker())
        except BadSchema as error:
            raise SchemaError(f"{error.json_path.removeprefix('$.')}: {error.message}") from None
        kind = extend(kind, {"multipleOf": _multiple})
        known = registry({uri: changed(document, _readable) for uri, document in remotes.items()})
        checker = format_checker() if formats else None
        self._validator = kind(changed(schema, _readable), format_checker=checker, registry=known)

    def errors(self, value: Any) -> list[str]:
        """What is wrong with `value`, each with its place; empty when it is valid. Raises as `faults`."""
        return [f"{fault.json_path.removeprefix('$.')}: {fault.message}" for fault in self.faults(value)]

    def faults(self, value: Any) -> Iterator[ValidationError]:
        """The same as jsonschema puts it, one by one. Raises SchemaError when the schema refers to what is not there,
        or to itself without end."""
        from referencing.exceptions import Unresolvable

        try:
            yield from self._validator.iter_errors(value)
        except Unresolvable as error:
            raise SchemaError(f"cannot follow {error.ref!r}, which is not part of the schema") from None
        except RecursionError:
            raise SchemaError("the schema refers to itself without end") from None
        except re.error as error:
            raise SchemaError(f"pattern {error.pattern!r}: {error}") from None


def _multiple(validator: Any, step: Any, value: Any, schema: Any) -> Iterator[Any]:
    """jsonschema divides floats, by which 0.07 would be no multiple of 0.01."""
    from jsonschema.exceptions import ValidationError

    if validator.is_type(value, "number") and (Fraction(str(value)) / Fraction(str(step))).denominator != 1:
        yield ValidationError(f"{value!r} is not a multiple of {step!r}")


def _readable(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` with expressions that Python reads."""
    if isinstance(schema.get("pattern"), str):
        schema["pattern"] = _expression(schema["pattern"])
    if isinstance(schema.get("patternProperties"), dict):
        schema["patternProperties"] = {_expression(name): sub for name, sub in schema["patternProperties"].items()}
    return schema


def _expression(pattern: str) -> str:
    """An expression of ECMA-262; if Python does not read it, with its Unicode categories written out."""
    try:
        re.compile(pattern)
    except re.error:
        return _CATEGORY.sub(_written, pattern)
    return pattern


def _written(match: re.Match[str]) -> str:
    if match["set"]:
        return "[" + _CATEGORY.sub(_inside, match["set"][1:])
    return f"[{'^' if match['kind'] == 'P' else ''}{_inside(match)}]"


def _inside(match: re.Match[str]) -> str:
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in category(match["name"]))


_CATEGORY = re.compile(r"\\(?P<kind>[pP])\{(?:gc=|General_Category=)?(?P<name>\w+)\}|(?P<set>\[(?:\\.|[^\]\\])*\])")

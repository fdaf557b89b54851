"""Plans: several calls in one answer, of which later ones use the results of earlier ones by reference.

`"$1"` is the whole result of the first call, `"$2.field"` and `"$1.items[0].id"` are values inside of results. A
reference is a whole string; a field is named like an identifier (hyphens too), so `"$1.50"` and `"to $1"` are plain
texts. Limits: a sum of money without cents (`"$5"`) in a later call of a plan reads as a reference; a field with
another name (`"first name"`) cannot be referred to, only the object around it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import InputError
from .ir import Chars, Lit, Node, alt, repeat, seq
from .strings import quote

#: What the grammar lets a model write; any length is read.
MAX_STEPS = 4
MAX_FIELD_CHARS = 32

_STEP = r"\.([A-Za-z_][A-Za-z0-9_-]*)|\[(0|[1-9][0-9]{0,8})\]"
_REFERENCE = re.compile(rf"\$([1-9][0-9]{{0,8}})((?:{_STEP})*)")
_STEPS = re.compile(_STEP)
_DIGIT = (ord("0"), ord("9"))
_LETTERS = ((ord("A"), ord("Z")), (ord("_"), ord("_")), (ord("a"), ord("z")))


def reference(limit: int) -> Node:
    """A JSON string that refers to one of the calls 1 to `limit`, or into its result; `ir.NOTHING` when `limit` is 0.

    It mentions no rules, and is worth one of its own: written out it is some 130 copies, by the lint's count. All later
    calls of a plan share it, so that the second may refer to the third: `resolve_references` refuses that.
    """
    name = seq(Chars(_LETTERS), repeat(Chars(((ord("-"), ord("-")), _DIGIT, *_LETTERS)), 0, MAX_FIELD_CHARS - 1))
    index = alt(Lit("0"), seq(Chars(((ord("1"), ord("9")),)), repeat(Chars((_DIGIT,)), 0, 2)))
    step = alt(seq(Lit("."), name), seq(Lit("["), index, Lit("]")))
    calls = alt(*(Lit(str(number)) for number in range(1, limit + 1)))
    return quote(seq(Lit("$"), calls, repeat(step, 0, MAX_STEPS)))


def references(arguments: Mapping[str, Any]) -> list[str]:
    """Every reference among the values of `arguments`, at any depth, in reading order."""
    found: list[str] = []
    _replaced(arguments, lambda match, path: found.append(match[0]))
    return found


def resolve_references(arguments: Mapping[str, Any], results: Sequence[Any]) -> dict[str, Any]:
    """`arguments` with the value in place of each reference; everything else stays as it is.

    Args:
        arguments: Of one call of a plan, as JSON values.
        results: What the calls before this one gave, as JSON values; the first is `$1`. Not copied.

    Raises InputError, naming the argument and the reference, when the call referred to does not come before this one
    or its result has nothing at that place. Whether the value suits the tool's schema is for the caller to check.
    """
    resolved: dict[str, Any] = _replaced(arguments, lambda match, path: _value(match, results, path))
    return resolved


def _replaced(arguments: Any, replace: Callable[[re.Match[str], str], Any]) -> Any:
    """`arguments` with what `replace` gives for each reference and the path to it."""

    def inside(value: Any, path: str) -> Any:
        match value:
            case str() if found := _REFERENCE.fullmatch(value):
                return replace(found, path)
            case Mapping():
                return {key: inside(item, f"{path}.{key}" if path else key) for key, item in value.items()}
            case list():
                return [inside(item, f"{path}[{index}]") for index, item in enumerate(value)]
        return value

    try:
        return inside(arguments, "")
    except RecursionError:
        raise InputError("the arguments of a call are nested too deep to look for references") from None


def _value(reference: re.Match[str], results: Sequence[Any], path: str) -> Any:
    where, number = f"argument {path!r}: {reference[0]!r}", int(reference[1])
    if number > len(results):
        raise InputError(
            f"{where} refers to call {number}, but {len(results)} come before this one",
            hint="A call can only use results of calls before it.",
        )
    value, place = results[number - 1], f"${number}"
    for step in _STEPS.finditer(reference[2]):
        field, index = step.groups()
        if field and isinstance(value, Mapping) and field in value:
            value = value[field]
        elif index and isinstance(value, list) and int(index) < len(value):
            value = value[int(index)]
        else:
            raise InputError(f"{where} is not there: {place} has no {f'field {field!r}' if field else f'item {index}'}")
        place += step[0]
    return value

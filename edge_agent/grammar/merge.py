"""Several JSON Schemas that all apply, as one: what `allOf` and `$ref` with siblings come down to.

Where two keywords cannot be joined (two patterns, two formats), one is kept and the other noted as relaxed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from ..errors import SchemaError

Schema = dict[str, Any]
#: Told of every keyword that was dropped, and why.
Note = Callable[[str, str], None]

#: The type that a keyword is about.
ABOUT: dict[str, str] = {
    keyword: kind
    for kind, keywords in {
        "object": "properties required additionalProperties patternProperties minProperties maxProperties "
        "propertyNames dependentRequired",
        "array": "items prefixItems minItems maxItems uniqueItems contains additionalItems",
        "string": "pattern minLength maxLength format x-edge-copy",
        "number": "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf",
    }.items()
    for keyword in keywords.split()
}
#: Keywords that are not in the grammar: checked after decoding.
UNHELD = (
    "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "dependencies", "propertyNames",
    "unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef",
)  # fmt: skip
#: Keywords that say which values are valid; all others are notes.
ASSERTIONS = {*ABOUT, *UNHELD, "type", "enum", "const", "$ref", "allOf", "anyOf", "oneOf", "nullable", "minContains"}
MAX_ALTERNATIVES = 64

_LARGER = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
_SMALLER = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}


def resolve(document: Any, ref: str, path: str) -> Any:
    """What `ref` points to inside `document`; None when it points elsewhere. Never fetches anything.

    Raises SchemaError naming `path` when it points into the document but at nothing.
    """
    base, _, pointer = ref.partition("#")
    if base and not (isinstance(document, dict) and document.get("$id") == base):
        return None
    if pointer and not pointer.startswith("/"):
        for found in _subschemas(document):
            if pointer in (found.get("$anchor"), found.get("$dynamicAnchor")):
                return found
        raise SchemaError(f"{path}: $ref {ref!r} names an anchor that does not exist")
    target = document
    for step in pointer.split("/")[1:]:
        key = unquote(step).replace("~1", "/").replace("~0", "~")
        try:
            target = target[int(key)] if isinstance(target, list) else target[key]
        except (KeyError, IndexError, ValueError, TypeError):
            raise SchemaError(f"{path}: $ref {ref!r} points at nothing") from None
    return target


def _subschemas(document: Any) -> list[Schema]:
    found, stack = [], [document]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            found.append(item)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return found


def merge(first: Any, second: Any, note: Note) -> Any:
    """The schema of values valid under both, as far as keywords can be joined."""
    if first is False or second is False:
        return False
    if first is True or not first:
        return second
    if second is True or not second:
        return first
    first, second = _sealed(first, second), _sealed(second, first)
    merged: Schema = dict(first)
    for keyword, value in second.items():
        if keyword not in merged or keyword not in ASSERTIONS:
            merged.setdefault(keyword, value)
        elif merged[keyword] != value:
            merged[keyword] = _joined(keyword, merged[keyword], value, note)
    return merged


def _sealed(schema: Schema, other: Schema) -> Schema:
    """`schema` with its `additionalProperties` applied to the properties that only `other` names."""
    extra = schema.get("additionalProperties", True)
    names, own = other.get("properties", {}), schema.get("properties", {})
    if extra is True or schema.get("patternProperties"):
        return schema
    if not isinstance(names, Mapping) or not isinstance(own, Mapping):
        return schema  # an error, named when it is compiled
    return {**schema, "properties": {**own, **{name: extra for name in names if name not in own}}}


def _joined(keyword: str, a: Any, b: Any, note: Note) -> Any:
    try:
        return _join(keyword, a, b, note)
    except (TypeError, AttributeError):
        note(keyword, "two values that cannot be joined: the first is kept")
        return a


def _join(keyword: str, a: Any, b: Any, note: Note) -> Any:
    if keyword in _LARGER | _SMALLER and not isinstance(a, bool) and not isinstance(b, bool):
        return max(a, b) if keyword in _LARGER else min(a, b)
    match keyword:
        case "properties" | "patternProperties" | "dependentRequired":
            return {**a, **b, **{name: both(a[name], b[name]) for name in a if name in b}}
        case "required":
            return [*a, *(name for name in b if name not in a)]
        case "type":
            return _types(a, b)
        case "enum":
            return [value for value in a if value in b]
        case "const":
            return a if a == b else _IMPOSSIBLE
        case "additionalProperties" | "items" if not isinstance(a, list) and not isinstance(b, list):
            return both(a, b)
        case "anyOf" | "oneOf" if len(a) * len(b) <= MAX_ALTERNATIVES:
            return [both(x, y) for x in a for y in b]
        case "nullable":
            return a and b
        case "uniqueItems":
            return a or b
    note(keyword, "two values that cannot be joined: the first is kept")
    return a


class _Impossible:
    """A `const` that no value equals, since two different ones are asked for."""


_IMPOSSIBLE = _Impossible()


def both(a: Any, b: Any) -> Any:
    """A schema for values valid under `a` and `b`, joined only when it is needed."""
    return a if a == b else {"allOf": [a, b]}


def _types(a: Any, b: Any) -> list[str]:
    first, second = ([a] if isinstance(a, str) else a), ([b] if isinstance(b, str) else b)
    common = [kind for kind in first if kind in second]
    whole = [*first, *second].count("integer") and "number" in {*first} | {*second} and "number" not in common
    return [*common, "integer"] if whole and "integer" not in common else common

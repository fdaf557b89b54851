"""Several JSON Schemas that all apply, as one: what `allOf` and `$ref` with siblings come down to.

Keywords that cannot be joined into one (two patterns) are kept side by side as a tuple; where even that does not
help, one is kept and the other noted as relaxed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from .pattern import may_match

Schema = dict[str, Any]
#: Told of every keyword that was dropped, and why.
Note = Callable[[str, str], None]

#: The type that a keyword is about.
ABOUT: dict[str, str] = {
    keyword: kind
    for kind, keywords in {
        "object": "properties required additionalProperties patternProperties minProperties maxProperties "
        "propertyNames unevaluatedProperties",
        "array": "items prefixItems minItems maxItems uniqueItems contains additionalItems unevaluatedItems",
        "string": "pattern minLength maxLength format x-edge-copy",
        "number": "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf",
    }.items()
    for keyword in keywords.split()
}
#: Keywords that combine schemas.
LOGIC = (
    "$ref", "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf", "not", "if", "then", "else",
    "dependentRequired", "dependentSchemas", "dependencies",
)  # fmt: skip
#: Keywords that mean nothing by themselves.
NOTES = frozenset(("then", "else", "minContains", "maxContains"))
#: Keywords that say which values are valid; all others are notes.
ASSERTIONS = {*ABOUT, *LOGIC, *NOTES, "type", "enum", "const"}
MAX_ALTERNATIVES = 64

_LARGER = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"}
_SMALLER = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains"}
_ITEMS = ("prefixItems", "items", "additionalItems")


def frozen(value: Any) -> Hashable:
    """`value` as something hashable that is equal exactly where JSON is: `1` is `1.0` and is not `true`."""
    match value:
        case bool() | None | str():
            return type(value).__name__, value
        case dict():
            return "object", frozenset((key, frozen(sub)) for key, sub in value.items())
        case list() | tuple():
            return "array", tuple(map(frozen, value))
    return "number", value


def merge(first: Any, second: Any, note: Note) -> Any:
    """The schema of values valid under both, as far as keywords can be joined."""
    if first is False or second is False:
        return False
    if first is True or not first:
        return second
    if second is True or not second:
        return first
    first, second = _sealed(first, second, note), _sealed(second, first, note)
    merged: Schema = dict(first)
    if any(key in first for key in _ITEMS) and any(key in second for key in _ITEMS):
        merged |= _items(first, second)
        second = {key: value for key, value in second.items() if key not in _ITEMS}
    for keyword, value in second.items():
        if keyword not in merged or keyword not in ASSERTIONS:
            merged.setdefault(keyword, value)
        elif keyword == "const" and not equal(merged[keyword], value):
            merged["enum"] = []
        elif not equal(merged[keyword], value):
            merged[keyword] = _joined(keyword, merged[keyword], value, note)
    return merged


def equal(a: Any, b: Any) -> bool:
    """Whether two values are equal as JSON."""
    return a is b or (a == b and frozen(a) == frozen(b))


def _sealed(schema: Schema, other: Schema, note: Note) -> Schema:
    """`schema` with its `additionalProperties` applied to the properties that only `other` names."""
    extra = schema.get("additionalProperties", True)
    if extra is True or extra == {}:
        return schema
    names, own, patterns = (
        other.get("properties", {}), schema.get("properties", {}), schema.get("patternProperties", {})
    )  # fmt: skip
    if not all(isinstance(each, Mapping) for each in (names, own, patterns)):
        return schema  # an error, named when it is compiled
    if other.get("patternProperties", {}).keys() - patterns.keys():
        note("additionalProperties", "names that only another schema's pattern allows are not ruled out")
    unknown = [name for name in names if name not in own and not any(may_match(pattern, name) for pattern in patterns)]
    return {**schema, "properties": {**own, **dict.fromkeys(unknown, extra)}} if unknown else schema


def _items(first: Schema, second: Schema) -> Schema:
    """`prefixItems` and `items` (or draft-07's `items` and `additionalItems`) of both."""
    lists = [_places(first), _places(second)]
    width = max(len(places) for places, _ in lists)
    rests = [rest for _, rest in lists]
    joined = [both(*(places[i] if i < len(places) else rest for places, rest in lists)) for i in range(width)]
    rest = both(*rests)
    return ({"prefixItems": joined} if joined else {}) | ({"items": rest} if rest is not True else {})


def _places(schema: Schema) -> tuple[list[Any], Any]:
    items = schema.get("items", True)
    if isinstance(items, list):
        return items, schema.get("additionalItems", True)
    places = schema.get("prefixItems", [])
    return (places if isinstance(places, list) else []), items


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
        case "properties" | "patternProperties":
            return {**a, **b, **{name: both(a[name], b[name]) for name in a if name in b}}
        case "required":
            return [*a, *(name for name in b if name not in a)]
        case "type":
            return _types(a, b)
        case "enum":
            allowed = {frozen(value) for value in b}
            return [value for value in a if frozen(value) in allowed]
        case "additionalProperties" | "propertyNames" | "unevaluatedProperties" | "unevaluatedItems":
            return both(a, b)
        case "pattern" | "format" | "multipleOf":
            return (*(a if isinstance(a, tuple) else (a,)), *(b if isinstance(b, tuple) else (b,)))
        case "not":
            return {"anyOf": [a, b]}
        case "anyOf" | "oneOf" if len(a) * len(b) <= MAX_ALTERNATIVES:
            return [both(x, y) for x in a for y in b]
        case "uniqueItems":
            return a or b
    note(keyword, "two values that cannot be joined: the first is kept")
    return a


def both(a: Any, b: Any) -> Any:
    """A schema for values valid under `a` and `b`, joined only when it is needed."""
    return b if a is True else a if b is True or equal(a, b) else {"allOf": [a, b]}


def _types(a: Any, b: Any) -> list[str]:
    first, second = ([a] if isinstance(a, str) else a), ([b] if isinstance(b, str) else b)
    common = [kind for kind in first if kind in second]
    whole = ("integer" in first and "number" in second) or ("number" in first and "integer" in second)
    return [*common, "integer"] if whole and not {"integer", "number"} & {*common} else common

"""Copies of a schema with something changed in every schema inside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

#: Keywords whose value maps names to schemas, and those whose value is no schema at all.
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
_VALUES = ("enum", "const", "default", "examples", "example")
#: The vocabulary whose keywords a metaschema may leave out, and these keywords.
_VALIDATION = "https://json-schema.org/draft/2020-12/vocab/validation"
_VALIDATING = frozenset((
    "type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength",
    "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "maxContains", "minContains", "maxProperties",
    "minProperties", "required", "dependentRequired",
))  # fmt: skip


#: The first draft that knows a keyword, of those that came after draft-04.
_SINCE = {
    **dict.fromkeys(("const", "contains", "propertyNames"), 6),
    **dict.fromkeys(("if", "then", "else"), 7),
    **dict.fromkeys((
        "dependentRequired", "dependentSchemas", "unevaluatedProperties", "unevaluatedItems", "minContains",
        "maxContains", "$recursiveRef",
    ), 8),
    **dict.fromkeys(("prefixItems", "$dynamicRef"), 9),
}  # fmt: skip
_DRAFT = re.compile(r"json-schema\.org/draft(?:-0([3-7])|/20(19-09|20-12))/")


def draft(schema: Any) -> int:
    """The draft that a schema names, 8 and 9 being 2019-09 and 2020-12; the newest when it names none."""
    named = _DRAFT.search(str(schema.get("$schema"))) if isinstance(schema, Mapping) else None
    return 9 if named is None else int(named[1]) if named[1] else 8 if named[2] == "19-09" else 9


def parts(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    """(key, value, whether the value maps names to schemas) of all that may be or hold a schema."""
    for key, value in schema.items():
        if key not in _VALUES:
            yield key, value, key in _MAPS and isinstance(value, Mapping)


def schemas(document: Any) -> Iterator[Mapping[str, Any]]:
    """Every object in `document` that may be a schema, outermost first."""
    stack, seen = [document], set[int]()  # a Python object may hold itself
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping) and id(item) not in seen:
            seen.add(id(item))
            yield item
            for _, value, named in parts(item):
                stack.extend(value.values() if named else [value])
        elif isinstance(item, list):
            stack.extend(item)


def changed(item: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """A copy of `item` with `change` made to every schema in it, innermost first."""
    if isinstance(item, list):
        return [changed(each, change) for each in item]
    if not isinstance(item, Mapping):
        return item
    copy = dict(item)
    for key, value, named in parts(item):
        copy[key] = {name: changed(sub, change) for name, sub in value.items()} if named else changed(value, change)
    return change(copy)


def meant(schema: Any, remotes: Mapping[str, Any]) -> Any:
    """`schema` in the standard's own words: OpenAPI's `nullable` written out; without keywords that the draft it names
    does not know; and, where its metaschema is among `remotes` and lacks the vocabulary of validation, without that
    vocabulary's keywords."""
    if any(found.get("nullable") is True for found in schemas(schema)):
        schema = changed(schema, _nullable)
    known = draft(schema)
    if known < max(_SINCE.values()) and any(_SINCE.get(key, 0) > known for each in schemas(schema) for key in each):
        schema = changed(schema, lambda each: {key: each[key] for key in each if _SINCE.get(key, 0) <= known})
    meta = remotes.get(str(schema.get("$schema")), {}) if isinstance(schema, Mapping) else {}
    if isinstance(meta, Mapping) and _VALIDATION not in meta.get("$vocabulary", {_VALIDATION: True}):
        schema = changed(schema, lambda each: {key: each[key] for key in each if key not in _VALIDATING})
    return schema


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.pop("nullable", False) is not True:
        return schema
    kinds = schema.get("type")
    if isinstance(kinds, str | list):
        return {**schema, "type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]}
    logic = {key: schema.pop(key) for key in ("$ref", "allOf", "anyOf", "oneOf") if key in schema}
    return {**schema, "anyOf": [logic, {"type": "null"}]} if logic else schema

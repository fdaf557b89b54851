"""JSON Schema as compact signatures: `set_timer(minutes:int, label?:str="tea") Starts a timer.`

Written for a 135M model: a signature costs about a fifth of the tokens of the schema. What it leaves out
(ranges, patterns, lengths) the grammar and the validation still hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..tools import COPY_KEYWORD
from .calls import minified

_TYPES = {
    "string": "str",
    "number": "num",
    "integer": "int",
    "boolean": "bool",
    "null": "null",
    "object": "dict",
}
_BARE = re.compile(r"[\w.\-]+")
_MAX_DEPTH = 6


def word(name: str, reserved: tuple[str, ...] = ()) -> str:
    """`name` as it stands in signatures and answers: bare, or quoted as JSON when it has other characters."""
    return name if _BARE.fullmatch(name) and name not in reserved else minified(name)


def type_of(schema: Any, root: Mapping[str, Any], depth: int = 0) -> str:
    """The compact type of a schema; `any` for what says nothing, is recursive, or lies too deep."""
    schema = _resolved(schema, root)
    if depth > _MAX_DEPTH or not isinstance(schema, Mapping):
        return "any"
    if COPY_KEYWORD in schema:
        return "copy"
    if "const" in schema:
        return minified(schema["const"])
    if isinstance(choices := schema.get("enum"), list):
        return "|".join(map(minified, choices))
    if branches := schema.get("anyOf") or schema.get("oneOf"):
        return _union(type_of(branch, root, depth + 1) for branch in branches)
    if isinstance(parts := schema.get("allOf"), list) and "type" not in schema:
        return next((kind for part in parts if (kind := type_of(part, root, depth + 1)) != "any"), "any")
    kinds = schema.get("type", "object" if "properties" in schema else "array" if "items" in schema else None)
    return _union(_plain(kind, schema, root, depth) for kind in (kinds if isinstance(kinds, list) else [kinds]))


def parameters(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int = 0) -> list[str]:
    """`a:str`, `b?:int=1` for every property of an object schema, in its order."""
    required = schema.get("required", ())
    written = []
    for name, described in schema.get("properties", {}).items():
        described = _resolved(described, root)
        default = ""
        if isinstance(described, Mapping) and "default" in described:
            default = f"={minified(described['default'])}"
        mark = "" if name in required else "?"
        written.append(f"{word(name)}{mark}:{type_of(described, root, depth)}{default}")
    return written


def documented(schema: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Properties that have a description, with it on one line; those of objects inside as `filter.min`."""
    return list(_documented(schema, schema, "", 0))


def _documented(
    schema: Mapping[str, Any], root: Mapping[str, Any], prefix: str, depth: int
) -> Iterator[tuple[str, str]]:
    for name, described in schema.get("properties", {}).items():
        described = _resolved(described, root)
        if not isinstance(described, Mapping):
            continue
        path = f"{prefix}{word(name)}"
        text = described.get("description")
        if isinstance(text, str) and text.strip():
            yield path, " ".join(text.split())
        inner = described
        while isinstance(inner, Mapping) and isinstance(inner.get("items"), Mapping):
            inner = _resolved(inner["items"], root)
        if depth < _MAX_DEPTH and isinstance(inner, Mapping) and isinstance(inner.get("properties"), Mapping):
            yield from _documented(inner, root, f"{path}.", depth + 1)


def _plain(kind: Any, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> str:
    if kind == "array":
        return f"list[{type_of(schema.get('items'), root, depth + 1)}]"
    if kind == "object" and schema.get("properties"):
        return "{" + ",".join(parameters(schema, root, depth + 1)) + "}"
    return _TYPES.get(kind, "any") if isinstance(kind, str) else "any"


def _union(kinds: Any) -> str:
    return "|".join(dict.fromkeys(kinds))


def _resolved(schema: Any, root: Mapping[str, Any]) -> Any:
    """Follows local references (`#/$defs/x`) a few steps; an unknown one says nothing."""
    for _ in range(_MAX_DEPTH):
        if not isinstance(schema, Mapping) or not isinstance(target := schema.get("$ref"), str):
            return schema
        found: Any = root if target.startswith("#") else None
        for step in target.lstrip("#").split("/")[1:]:
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        schema = found
    return None

"""JSON Schema's `not`, `if`, `oneOf` and dependencies in terms of `anyOf` and `allOf`, where that says the same.

A grammar can only say what is allowed, so "not this" becomes the list of all that is: for each type, what breaks one
of its keywords. Strings and numbers keep a `not` beside their type, since their languages are regular and can be
taken from one another; objects and arrays are taken apart keyword by keyword (De Morgan).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .merge import ABOUT, ASSERTIONS, NOTES, Schema, frozen

KINDS = ("null", "boolean", "object", "array", "string", "number", "integer")
#: Types whose values a grammar can subtract from one another.
SCALARS = ("null", "boolean", "string", "number", "integer")
#: Deepest chain of negations and references that is followed.
MAX_DEPTH = 12
#: Most pairs of branches of a `oneOf` that might both hold and are told apart.
MAX_PAIRS = 60
#: What a `$ref` names; None when it is not known.
Follow = Callable[[Any], Any]


class Undecided(Exception):
    """The opposite of this schema cannot be said; the message names the keyword."""


def negate(schema: Any, follow: Follow, depth: int = 0) -> Any:
    """A schema of exactly the values that `schema` refuses. Raises Undecided."""
    if isinstance(schema, bool):
        return not schema
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        raise Undecided("a schema that refers to itself" if depth > MAX_DEPTH else "what is no schema")
    options: list[Any] = []
    simple: Schema = {}
    for keyword, value in schema.items():
        match keyword:
            case "$ref":
                if (target := follow(value)) is None:
                    raise Undecided("$ref")
                options.append(negate(target, follow, depth + 1))
            case "allOf":
                options += [negate(branch, follow, depth + 1) for branch in value]
            case "anyOf":
                options.append({"allOf": [negate(branch, follow, depth + 1) for branch in value]})
            case "not":
                options.append(value)
            case _ if keyword in ABOUT or keyword in ("type", "enum", "const"):
                simple[keyword] = value
            case "minContains" | "maxContains" | "then" | "else":
                raise Undecided(keyword)
            case _ if keyword in ASSERTIONS and keyword not in NOTES:
                raise Undecided(keyword)
    options += _simple(simple, follow, depth)
    return options[0] if len(options) == 1 else {"anyOf": options} if options else False


def _simple(schema: Schema, follow: Follow, depth: int) -> Iterator[Any]:
    kinds = types(schema)
    fixed = constants(schema)
    for kind in ("null", "boolean", "object", "array", "string", "number"):
        about = {key: value for key, value in schema.items() if ABOUT.get(key) == kind}
        if kind not in kinds and not (kind == "number" and "integer" in kinds):
            yield {"type": kind}
        elif kind in SCALARS:
            kept = about | {key: schema[key] for key in ("enum", "const") if key in schema}
            if kind == "number" and "number" not in kinds:
                kept["type"] = "integer"
            if kept:
                yield {"type": kind, "not": kept}
        elif fixed is not None:
            if any(isinstance(value, dict if kind == "object" else list) for value in fixed):
                raise Undecided("enum")
            yield {"type": kind}
        else:
            yield from (_object if kind == "object" else _array)(about, follow, depth)


def _object(about: Schema, follow: Follow, depth: int) -> Iterator[Any]:
    for keyword, value in about.items():
        match keyword:
            case "required":
                yield from ({"type": "object", "properties": {name: False}} for name in value)
            case "properties":
                for name, sub in value.items():
                    opposite = negate(sub, follow, depth + 1)
                    if opposite is not False:
                        yield {"type": "object", "properties": {name: opposite}, "required": [name]}
            case "minProperties":
                yield {"type": "object", "maxProperties": value - 1} if value >= 1 else False
            case "maxProperties":
                yield {"type": "object", "minProperties": value + 1}
            case _ if value not in (True, {}):
                raise Undecided(keyword)


def _array(about: Schema, follow: Follow, depth: int) -> Iterator[Any]:
    for keyword, value in about.items():
        match keyword:
            case "minItems":
                yield {"type": "array", "maxItems": value - 1} if value >= 1 else False
            case "maxItems":
                yield {"type": "array", "minItems": value + 1}
            case "items" if not isinstance(value, list) and "prefixItems" not in about:
                opposite = negate(value, follow, depth + 1)
                if opposite is not False:
                    yield {"type": "array", "contains": opposite}
            case "contains":
                yield {"type": "array", "items": negate(value, follow, depth + 1)}
            case _ if value not in (True, False, {}) or (keyword, value) == ("uniqueItems", True):
                raise Undecided(keyword)


def conditions(schema: Schema, follow: Follow) -> tuple[list[Any], dict[str, str]]:
    """Takes `if`, `dependent...` and `not` out of `schema`: what says the same with `anyOf`, and what had to be
    widened (keyword -> why)."""
    parts: list[Any] = []
    widened: dict[str, str] = {}
    given = "if" in schema
    condition, then, other = (schema.pop(key, True) for key in ("if", "then", "else"))
    if given:
        try:
            opposite = negate(condition, follow)
            parts.append({"anyOf": [{"allOf": [condition, then]}, {"allOf": [opposite, other]}]})
        except Undecided as reason:
            parts.append({"anyOf": [{"allOf": [condition, then]}, other]})
            widened["if"] = f"the opposite of {reason} cannot be held"
    old = schema.pop("dependencies", {})
    needs = {**schema.pop("dependentRequired", {}), **{k: v for k, v in old.items() if isinstance(v, list)}}
    subs = {**schema.pop("dependentSchemas", {}), **{k: v for k, v in old.items() if not isinstance(v, list)}}
    for name, then in [*((name, {"required": names}) for name, names in needs.items()), *subs.items()]:
        there = {"allOf": [{"type": "object", "required": [name]}, then]}
        parts.append({"anyOf": [{"properties": {name: False}}, there]})
    if "not" in schema and not _only_scalars(schema):
        try:
            opposite = negate(schema["not"], follow)
            parts.append(_of(opposite, types(schema)))
        except Undecided as reason:
            widened["not"] = f"the opposite of {reason} cannot be held"
        del schema["not"]
    return parts, widened


def _only_scalars(schema: Schema) -> bool:
    kinds = schema.get("type")
    return kinds is not None and all(kind in SCALARS for kind in types(schema))


def _of(schema: Any, kinds: set[str]) -> Any:
    """`schema` without the alternatives that are of none of these types."""
    if not isinstance(schema, Mapping) or schema.keys() != {"anyOf"}:
        return schema
    wanted = kinds | ({"number"} if "integer" in kinds else set())
    kept = [branch for branch in schema["anyOf"] if branch is not False and types(branch) & wanted]
    return {"anyOf": kept} if kept else False


def exclusive(branches: list[Any], follow: Follow) -> list[Any] | None:
    """`branches` of a `oneOf` such that at most one can hold; None where that cannot be said."""
    targets = [_target(branch, follow) for branch in branches]
    close: list[list[int]] = []
    for a in targets:
        close.append([j for j, b in enumerate(targets) if j != len(close) and not apart(a, b)])
        if sum(map(len, close)) > MAX_PAIRS:
            return None
    found = []
    for branch, others in zip(branches, close, strict=True):
        try:
            opposites = [negate(branches[j], follow) for j in others]
        except Undecided:
            return None
        found.append({"allOf": [branch, *opposites]} if opposites else branch)
    return found


def _target(schema: Any, follow: Follow) -> Any:
    for _ in range(MAX_DEPTH):
        if not isinstance(schema, Mapping) or "$ref" not in schema or ASSERTIONS & schema.keys() != {"$ref"}:
            break
        schema = follow(schema["$ref"])
    return schema


def apart(a: Any, b: Any) -> bool:
    """Whether two schemas obviously share no value: other types, other constants, or a tag property with such."""
    if not isinstance(a, Mapping) or not isinstance(b, Mapping):
        return a is False or b is False
    first, second = constants(a), constants(b)
    if first is not None and second is not None:
        return not {*map(frozen, first)} & {*map(frozen, second)}
    kinds = _broad(a), _broad(b)
    if not kinds[0] & kinds[1]:
        return True
    if kinds[0] | kinds[1] != {"object"}:
        return False
    tags, others = _required(a), _required(b)
    return any(apart(tags[name], others[name]) for name in tags if name in others)


def types(schema: Any) -> set[str]:
    """The types that a schema names; all when it names none, or nonsense."""
    kinds = schema.get("type", KINDS) if isinstance(schema, Mapping) else KINDS
    kinds = [kinds] if isinstance(kinds, str) else kinds
    known = isinstance(kinds, list | tuple) and all(kind in KINDS for kind in kinds)
    return set(kinds if known else KINDS)


def _broad(schema: Mapping[str, Any]) -> set[str]:
    return {"number" if kind == "integer" else kind for kind in types(schema)}


def _required(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schemas of the properties that are both required and declared."""
    required, declared = schema.get("required"), schema.get("properties")
    if not isinstance(required, list) or not isinstance(declared, Mapping):
        return {}
    return {name: declared[name] for name in required if isinstance(name, str) and name in declared}


def constants(schema: Mapping[str, Any]) -> list[Any] | None:
    """The fixed values of a schema that has such."""
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    return values if isinstance(values, list) else None

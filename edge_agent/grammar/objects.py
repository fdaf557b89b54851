"""Schemas of objects and arrays as grammar nodes, of a size linear in the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import SchemaError
from .ir import EMPTY, NOTHING, Lit, Node, alt, optional, repeat, seq
from .lint import MAX_COUNT
from .merge import Schema
from .pattern import Unsupported, may_match, translate
from .strings import escape, excluding, json_text, quote

if TYPE_CHECKING:
    from .schema import Compiler, Path

#: Most places of a tuple (`prefixItems`); they nest, since each may be the last.
MAX_PLACES = 24
_COMMA = Lit(",")


class Missing(Exception):
    """A required value that must be copied from the person's words, who did not say it; `paths` lists which."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__(", ".join(paths))
        self.paths = paths


def object_(compiler: Compiler, schema: Schema, path: Path) -> Node:
    """An object: declared properties in order, the optional ones each there or not, then any further ones."""
    declared = schema.get("properties", {})
    required = schema.get("required", [])
    if not isinstance(declared, dict):
        raise SchemaError(f"{compiler.at(path)}: properties is not an object")
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise SchemaError(f"{compiler.at(path)}: required is not a list of property names")
    extra = _extra(compiler, schema)
    properties = {**declared, **{name: _undeclared(name, schema, extra) for name in required if name not in declared}}
    members: list[tuple[Node, bool]] = []
    missing: list[str] = []
    for name, sub in properties.items():
        try:
            node = compiler.part(sub, (*path, name))
        except Missing as error:
            if name in required:
                missing += error.paths
            continue
        member = seq(Lit(json_text(name) + ":"), node)
        if member == NOTHING and name in required:
            return NOTHING
        if member != NOTHING:
            members.append((member, name in required))
    if missing and path:
        raise Missing(missing)
    compiler.impossible += missing
    others = _others(compiler, schema, extra, properties, path)
    for keyword in ("minProperties", "maxProperties"):
        if keyword in schema and not (keyword == "minProperties" and schema[keyword] in (0, 1)):
            compiler.relax(path, keyword, "checked after decoding")
    may_be_empty = not schema.get("minProperties")
    return seq(Lit("{"), _members(compiler, members, others, may_be_empty, path), Lit("}"))


def _extra(compiler: Compiler, schema: Schema) -> Any:
    """The schema of properties that are not declared."""
    if "additionalProperties" in schema:
        return schema["additionalProperties"]
    return not compiler.closed or ("properties" not in schema and "patternProperties" not in schema)


def _undeclared(name: str, schema: Schema, extra: Any) -> Any:
    """The schema of a property that is required but not declared."""
    patterns = schema.get("patternProperties", {})
    if not isinstance(patterns, dict):
        return extra
    matching = [sub for pattern, sub in patterns.items() if may_match(pattern, name)]
    return {"allOf": matching} if matching else extra


def _others(compiler: Compiler, schema: Schema, extra: Any, properties: dict[str, Any], path: Path) -> Node:
    """One member that is not declared, or NOTHING."""

    def unlike() -> Node:
        return excluding(properties, lambda node: compiler.rule((*path, "names"), node))

    options: list[Node] = []
    patterns = schema.get("patternProperties", {})
    if not isinstance(patterns, dict):
        raise SchemaError(f"{compiler.at(path)}: patternProperties is not an object")
    for pattern, sub in patterns.items():
        try:
            key = quote(escape(translate(pattern)))
        except Unsupported as reason:
            compiler.relax(path, "patternProperties", f"any name for {pattern!r} ({reason})")
            key = unlike()
        options.append(seq(compiler.rule((*path, "names"), key), Lit(":"), compiler.part(sub, (*path, "*"))))
    if patterns and (len(patterns) > 1 or extra is not False or properties):
        compiler.relax(path, "patternProperties", "a name may match several of the patterns and properties")
    if extra is not False:
        value = compiler.part(extra, (*path, "*"))
        key = compiler.rule((*path, "names"), unlike()) if properties else compiler.use("json", "string")
        options.append(seq(key, Lit(":"), value))
    return alt(*options)


def _members(
    compiler: Compiler, members: list[tuple[Node, bool]], others: Node, may_be_empty: bool, path: Path
) -> Node:
    """The inside of the braces. Commas are right by construction: what comes before the first required member
    brings its comma along after it, what follows brings it along before. With none required, each member may be
    the first, and what may follow it is a rule shared with those before it, so the size stays linear."""
    further = repeat(seq(_COMMA, others))
    first = next((i for i, (_, needed) in enumerate(members) if needed), None)
    if first is not None:
        return seq(
            *(optional(seq(member, _COMMA)) for member, _ in members[:first]),
            members[first][0],
            *(repeat(seq(_COMMA, member), int(needed), 1) for member, needed in members[first + 1 :]),
            further,
        )
    options = [seq(others, further)]
    for member, _ in reversed(members):
        options.append(seq(member, further))
        further = compiler.rule((*path, "more"), seq(optional(seq(_COMMA, member)), further))
    return alt(*reversed(options), EMPTY if may_be_empty else NOTHING)


def array(compiler: Compiler, schema: Schema, path: Path) -> Node:
    """An array: the places of a tuple, then any further items, within the counts."""
    low, high = compiler.counts(schema, "minItems", "maxItems", path)
    places, rest = schema.get("prefixItems", []), schema.get("items", True)
    if isinstance(rest, list):  # draft-07
        places, rest = rest, schema.get("additionalItems", True)
    if not isinstance(places, list):
        raise SchemaError(f"{compiler.at(path)}: prefixItems is not a list")
    for keyword in ("contains", "minContains", "maxContains"):
        if keyword in schema:
            compiler.relax(path, keyword, "checked after decoding")
    if schema.get("uniqueItems") is True and high != 1:
        compiler.relax(path, "uniqueItems", "checked after decoding")
    if len(places) > MAX_PLACES:
        compiler.relax(path, "prefixItems", f"any value after the first {MAX_PLACES}")
        places, rest = places[:MAX_PLACES], True
    if low > MAX_COUNT:
        compiler.relax(path, "minItems", f"{low} -> {MAX_COUNT}")
        low = MAX_COUNT
    if high is not None and high > MAX_COUNT:
        compiler.relax(path, "maxItems", f"{high} -> no limit")
        high = None
    if high is not None and low > high:
        return NOTHING
    try:
        item = compiler.part(rest, (*path, "[]")) if high is None or high > len(places) else NOTHING
        nodes = [compiler.part(place, (*path, f"[{i}]")) for i, place in enumerate(places[:high])]
    except Missing:
        if low:
            raise
        return Lit("[]")
    # From the last place to the first: what may follow n items.
    most = None if high is None else high - len(nodes)
    tail = repeat(seq(_COMMA, item), max(low - len(nodes), 0), most)
    if not nodes:
        body = seq(item, repeat(seq(_COMMA, item), max(low - 1, 0), None if high is None else max(high - 1, 0)))
        return seq(Lit("["), body if low else alt(EMPTY, body if high != 0 else NOTHING), Lit("]"))
    for i in range(len(nodes) - 1, -1, -1):
        tail = seq(_COMMA if i else EMPTY, nodes[i], tail)
        tail = tail if i < low else optional(tail)
    return seq(Lit("["), tail, Lit("]"))

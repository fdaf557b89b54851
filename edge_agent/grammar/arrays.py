"""Arrays of a schema as grammar nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import SchemaError
from .ir import EMPTY, MAX_COUNT, NOTHING, Node, alt, optional, repeat, seq
from .merge import Schema
from .objects import Missing

if TYPE_CHECKING:
    from .schema import Compiler, Path

#: Most places of a tuple (`prefixItems`); they nest, since each may be the last.
MAX_PLACES = 24
#: Most items that `contains` asks for.
MAX_CONTAINED = 4


def array(compiler: Compiler, schema: Schema, path: Path) -> Node:
    """An array: the places of a tuple, then any further items, within the counts."""
    low, high = compiler.counts(schema, "minItems", "maxItems", path)
    places, rest = _items(compiler, schema, path)
    if schema.get("uniqueItems") is True and high not in (0, 1):
        compiler.relax(path, "uniqueItems", "checked after decoding")
    if len(places) > MAX_PLACES:
        compiler.relax(path, "prefixItems", f"any value after the first {MAX_PLACES}")
        places, rest = places[:MAX_PLACES], True
    if high is not None and low > high:
        return NOTHING
    if low > MAX_COUNT:
        compiler.relax(path, "minItems", f"{low} -> {MAX_COUNT}")
        low = MAX_COUNT
    if high is not None and high > MAX_COUNT:
        compiler.relax(path, "maxItems", f"{high} -> no limit")
        high = None
    comma = compiler.mark(",")
    if "contains" in schema and (node := _containing(compiler, schema, places, rest, low, high, path)) is not None:
        return seq(compiler.mark("["), node, compiler.mark("]"))
    try:
        item = compiler.part(rest, (*path, "[]")) if high is None or high > len(places) else NOTHING
        nodes = [compiler.part(place, (*path, f"[{i}]")) for i, place in enumerate(places[:high])]
    except Missing:
        if low:
            raise
        return seq(compiler.mark("["), compiler.mark("]"))
    if not nodes:
        most = None if high is None else max(high - 1, 0)
        some = seq(item, repeat(seq(comma, item), max(low - 1, 0), most))
        body = alt(NOTHING if low else EMPTY, some if high != 0 else NOTHING)
        return seq(compiler.mark("["), body, compiler.mark("]")) if body != NOTHING else NOTHING
    # From the last place to the first: what may follow n items.
    tail = repeat(seq(comma, item), max(low - len(nodes), 0), None if high is None else high - len(nodes))
    for i in range(len(nodes) - 1, -1, -1):
        tail = seq(comma if i else EMPTY, nodes[i], tail)
        tail = tail if i < low else optional(tail)
    return seq(compiler.mark("["), tail, compiler.mark("]")) if tail != NOTHING else NOTHING


def _items(compiler: Compiler, schema: Schema, path: Path) -> tuple[list[Any], Any]:
    """The schemas of the first places, and of what follows."""
    places, rest = schema.get("prefixItems", []), schema.get("items", schema.get("unevaluatedItems", True))
    if isinstance(rest, list):  # draft-07
        places, rest = rest, schema.get("additionalItems", schema.get("unevaluatedItems", True))
    if not isinstance(places, list):
        raise SchemaError(f"{compiler.at(path)}: prefixItems is not a list")
    return places, rest


def _containing(
    compiler: Compiler, schema: Schema, places: list[Any], rest: Any, low: int, high: int | None, path: Path
) -> Node | None:
    """The inside of the brackets where some items are of a certain kind; None where that is not held."""
    least, most = compiler.counts(schema, "minContains", "maxContains", path)
    least = least if "minContains" in schema else 1
    if least == 0 and most is None:
        return None
    if places or high is not None or low > least or least > MAX_CONTAINED or (most or 0) > MAX_CONTAINED:
        compiler.relax(path, "contains", "checked after decoding")
        return None
    if most is not None and most < least:
        return NOTHING
    comma, wanted = compiler.mark(","), {"allOf": [rest, schema["contains"]]}
    other = rest if most is None else {"allOf": [rest, {"not": schema["contains"]}]}
    item, contained = compiler.part(other, (*path, "[]")), compiler.part(wanted, (*path, "[]"))
    # any others, one that is wanted, any others, ...: the commas before all but the first
    others = repeat(seq(comma, item))
    starts = alt(contained, seq(item, others, comma, contained))
    options = [alt(EMPTY, seq(item, others))] if least == 0 else []
    for count in range(max(least, 1), (least if most is None else most) + 1):
        options.append(seq(starts, *([others, comma, contained] * (count - 1)), others))
    return alt(*options)

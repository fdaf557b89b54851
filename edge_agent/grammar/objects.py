"""Objects of a schema as grammar nodes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..errors import SchemaError
from .ir import EMPTY, MAX_COUNT, NOTHING, Node, alt, both, minus, optional, repeat, seq
from .merge import Schema
from .pattern import Unsupported, may_match, translate
from .regular import matches, overlap
from .strings import escape_text, quote

if TYPE_CHECKING:
    from .schema import Compiler, Path

#: Required properties that may come in any order; more than these come in one of a few orders.
MAX_FREE = 4
#: Patterns of names that are told apart; the classes of names double with each.
MAX_PATTERNS = 4
Member = tuple[str, Node]


class Missing(Exception):
    """A required value that must be copied from the person's words, who did not say it; `paths` lists which."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__(", ".join(paths))
        self.paths = paths


def object_(compiler: Compiler, schema: Schema, path: Path) -> Node:
    """An object: its declared properties and, unless it is closed, any further ones."""
    declared, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    required = schema.get("required", [])
    for keyword, value in (("properties", declared), ("patternProperties", patterns)):
        if not isinstance(value, dict):
            raise SchemaError(f"{compiler.at(path)}: {keyword} is not an object")
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise SchemaError(f"{compiler.at(path)}: required is not a list of property names")
    required = list(dict.fromkeys(required))
    low, high = compiler.counts(schema, "minProperties", "maxProperties", path)
    if high is not None and (high < low or high < len(required)):
        return NOTHING
    extra = _extra(compiler, schema)
    names = schema.get("propertyNames", True)
    language = compiler.regular(names, (*path, "names")) if names is not True else None
    needed: list[Member] = []
    free: list[Member] = []
    missing: list[str] = []
    for name in dict.fromkeys((*declared, *required)):
        sub = _declared(name, declared, patterns, schema.get("additionalProperties", True))
        if language is not None and not matches(language, compiler.rules, escape_text(name)):
            sub = False
        try:
            node = compiler.part(sub, (*path, name))
            node = node if path else alt(node, compiler.instead)
        except Missing as error:
            if name in required:
                missing += error.paths
            continue
        if node == NOTHING and name in required:
            return NOTHING
        if node != NOTHING:
            (needed if name in required else free).append(
                (name, compiler.member(quote(compiler.spelling.text(name)), node))
            )
    if missing and path:
        raise Missing(missing)
    compiler.impossible += missing
    others = _others(compiler, patterns, extra, dict.fromkeys((*declared, *required)), language, path)
    if compiler.call:
        order = {name: i for i, name in enumerate(dict.fromkeys((*declared, *required)))}
        members = sorted((*needed, *free), key=lambda member: order[member[0]])
        body = _ordered(compiler, members, {name for name, _ in needed}, others, low == 0, path)
        most = None if others != NOTHING else len(members)
        if low > max(len(needed), 1) or (high is not None and (most is None or most > high)):
            compiler.relax(path, "minProperties/maxProperties", "checked after decoding")
    else:
        optionals = alt(*(node for _, node in free), others)
        body = _unordered(compiler, needed, optionals, (low, high), required, path)
    return seq(compiler.mark("{"), body, compiler.mark("}"))


def _extra(compiler: Compiler, schema: Schema) -> Any:
    """The schema of properties that are not declared."""
    for keyword in ("additionalProperties", "unevaluatedProperties"):
        if keyword in schema:
            return schema[keyword]
    return not compiler.call or ("properties" not in schema and "patternProperties" not in schema)


def _declared(name: str, declared: Schema, patterns: Schema, extra: Any) -> Any:
    """The schema of a property that is named somewhere."""
    matching = [sub for pattern, sub in patterns.items() if may_match(pattern, name)]
    own = [declared[name]] if name in declared else []
    subs = own + matching or [extra]
    return subs[0] if len(subs) == 1 else {"allOf": subs}


def _others(
    compiler: Compiler, patterns: Schema, extra: Any, named: Iterable[str], language: Node | None, path: Path
) -> Node:
    """One member that is not named, or NOTHING."""
    if extra is False and not patterns:
        return NOTHING
    words = alt(*(compiler.spelling.text(name) for name in named))
    free_names = compiler.spelling.any_text if language is None else language
    free_names = minus(free_names, words)
    classes: list[tuple[Node, list[Any]]] = [(free_names, [])]
    for i, (pattern, sub) in enumerate(patterns.items()):
        try:
            if i >= MAX_PATTERNS:
                raise Unsupported(f"more than {MAX_PATTERNS} patterns")
            matching = compiler.spelling.escape(translate(pattern))
        except Unsupported as reason:
            compiler.relax(path, "patternProperties", f"any value where a name is like {pattern!r} ({reason})")
            extra = True
            continue
        split = [(_common(compiler, key, matching), [*subs, sub]) for key, subs in classes]
        classes = [(minus(key, matching), subs) for key, subs in classes] + split
    options = []
    for key, subs in classes:
        if (key := compiler.filled(key) if patterns else key) == NOTHING:
            continue
        value = compiler.part({"allOf": subs} if len(subs) > 1 else subs[0] if subs else extra, (*path, "*"))
        if value != NOTHING:
            whole = key == compiler.spelling.any_text
            name = compiler.use("string") if whole else compiler.rule((*path, "names"), quote(key))
            options.append(compiler.member(name, value))
    return alt(*options)


def _common(compiler: Compiler, key: Node, matching: Node) -> Node:
    return NOTHING if overlap(key, matching, compiler.rules) is False else both(key, matching)


def _ordered(
    compiler: Compiler, members: list[Member], required: set[str], others: Node, may_be_empty: bool, path: Path
) -> Node:
    """The inside of the braces, members in the order of the schema. Commas are right by construction: what comes
    before the first required member brings its comma along after it, what follows brings it along before. With
    none required, each member may be the first, and what may follow it is a rule shared with those before it, so
    the size stays linear."""
    comma = compiler.mark(",")
    further = repeat(seq(comma, others))
    first = next((i for i, (name, _) in enumerate(members) if name in required), None)
    if first is not None:
        return seq(
            *(optional(seq(node, comma)) for _, node in members[:first]),
            members[first][1],
            *(repeat(seq(comma, node), int(name in required), 1) for name, node in members[first + 1 :]),
            further,
        )
    options = [seq(others, further)]
    for _, node in reversed(members):
        options.append(seq(node, further))
        further = compiler.rule((*path, "more"), seq(optional(seq(comma, node)), further))
    return alt(*reversed(options), EMPTY if may_be_empty else NOTHING)


def _unordered(
    compiler: Compiler,
    needed: list[Member],
    free: Node,
    counts: tuple[int, int | None],
    required: list[str],
    path: Path,
) -> Node:
    """The inside of the braces, members in any order: the state is which of the required ones have come. That
    a name comes twice is not ruled out: JSON leaves it open, and no program writes it."""
    low, high = counts
    comma = compiler.mark(",")
    if not needed:
        if max(low, high or 0) > MAX_COUNT:
            compiler.relax(path, "minProperties/maxProperties", f"more than {MAX_COUNT}: checked after decoding")
            low, high = min(low, MAX_COUNT), None
        some = seq(free, repeat(seq(comma, free), max(low - 1, 0), None if high is None else max(high - 1, 0)))
        return alt(NOTHING if low else EMPTY, NOTHING if high == 0 else some)
    if high is not None and high == len(needed):
        free = NOTHING
    elif low > len(needed) or (high is not None and free != NOTHING):
        compiler.relax(path, "minProperties/maxProperties", "checked after decoding")
    free = compiler.rule((*path, "free"), free)
    if len(needed) <= MAX_FREE:
        if len(needed) > 1:
            needed = [(name, compiler.rule((*path, name, "member"), node)) for name, node in needed]
        return _subsets(compiler, needed, free, path)
    places = {name: i for i, name in enumerate(required)}
    listed = sorted(needed, key=lambda member: places[member[0]])
    orders = [needed, listed, sorted(needed, key=lambda member: member[0])]
    compiler.narrow(path, "required", "in the order of the properties, of the list or of the alphabet only")
    chains = dict.fromkeys(tuple(node for _, node in order) for order in orders)
    return alt(*(_chain(compiler, chain, free, path) for chain in chains))


def _subsets(compiler: Compiler, needed: list[Member], free: Node, path: Path) -> Node:
    comma = compiler.mark(",")
    further = repeat(seq(comma, free))
    after: dict[frozenset[int], Node] = {}

    def rest(seen: frozenset[int]) -> Node:
        """What follows once the members `seen` have come."""
        if seen not in after:
            left = [i for i in range(len(needed)) if i not in seen]
            onward = alt(*(seq(comma, needed[i][1], rest(seen | {i})) for i in left)) if left else EMPTY
            after[seen] = compiler.rule((*path, "rest"), seq(further, onward))
        return after[seen]

    starts = [seq(node, rest(frozenset({i}))) for i, (_, node) in enumerate(needed)]
    return alt(*starts, seq(free, rest(frozenset())))


def _chain(compiler: Compiler, needed: Iterable[Node], free: Node, path: Path) -> Node:
    """The required members in this order, the free ones anywhere between."""
    comma = compiler.mark(",")
    between = repeat(seq(comma, free))
    first, *others = needed
    later = seq(between, *(seq(comma, node, between) for node in others))
    return seq(optional(seq(free, between, comma)), first, compiler.rule((*path, "rest"), later))

"""Packs: several rows that are asked over the same few tools, made anew in every pass.

A prompt is mostly tools, so rows that can share them are learned together: the tools are read once and every row is
a branch of its own behind them (`encode`). What a pack shows beside the called tools is chosen so that it stays
wrong: the row's own `near` tools, tools of the same file that neither resemble the called ones nor share words with
the text, and tools of other files under the same test. Further branches are made from rows: the called tool is left
out and `none` is right; two rows become one text. A part of the packs is shown under other names.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any

from ..dialects.base import Call, Message, Reply, ToolSpec
from .rows import Row

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_]+")
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "the a an and or of to in for on at by with from is are be it its this that one all any get set new use used"
        " user default optional name number value returns return given",
    )
)
_JOINTS = (". ", ". And ", ", and ", ". Also ", "; ", "\n", ". Then ", ", then ", " and also ", ". Oh and ")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Shares of what is composed. sizes: how many tools are shown, with weights."""

    sizes: tuple[tuple[int, float], ...] = (
        *((1, 0.20), (2, 0.12), (3, 0.14), (4, 0.12), (5, 0.12), (6, 0.13)),
        *((8, 0.09), (11, 0.05), (15, 0.03)),
    )
    most_branches: int = 10
    without_tool: float = 0.14
    joined: float = 0.08
    restyled: float = 0.10
    opaque: float = 0.03
    undocumented: float = 0.03
    padded: float = 0.5


@dataclass(frozen=True, slots=True)
class Branch:
    messages: tuple[Message, ...]
    reply: Reply


@dataclass(frozen=True, slots=True)
class Pack:
    tools: tuple[ToolSpec, ...]
    branches: tuple[Branch, ...]


class Composer:
    """Makes packs of rows. Rows of one source share their tools; a row is a main branch once in a pass."""

    def __init__(self, rows: Sequence[Row], recipe: Recipe | None = None) -> None:
        self.recipe = recipe or Recipe()
        self._closed = [row for row in rows if row.closed]
        sources: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            if not row.closed:
                sources[row.source].append(row)
        self._sources = [_Source(mine) for mine in sources.values()]
        self._strangers = [tool for source in self._sources for tool in source.tools.values()]

    def packs(self, seed: int) -> list[Pack]:
        """One pass over all rows, in random order; the same for the same seed. About a second per 10,000 rows."""
        rng = random.Random(seed)  # noqa: S311
        made = [pack for source in self._sources for pack in self._of(source, rng)]
        for row in self._closed:
            shown = [row.tools[name] for name in rng.sample(list(row.tools), len(row.tools))]
            made.append(Pack(tuple(shown), (_branch(row),)))
        rng.shuffle(made)
        return made

    def _of(self, source: _Source, rng: random.Random) -> Iterator[Pack]:
        unused = dict.fromkeys(rng.sample(range(len(source.rows)), len(source.rows)))
        sizes, weights = zip(*self.recipe.sizes, strict=True)
        while unused:
            first = source.rows[next(iter(unused))]
            del unused[next(iter(unused))]
            size = max(rng.choices(sizes, weights)[0], len(first.concerned))
            shown = list(first.concerned)
            near = [name for name in first.near if name not in shown]
            if not shown or (near and size > len(shown) and rng.random() < 0.8):
                fitting = rng.randint(1, max(1, size - len(shown)))
                shown += rng.sample(near, min(len(near), fitting))
            members = [first]
            for index in source.about(shown, rng):
                if len(members) >= self.recipe.most_branches:
                    break
                row = source.rows[index]
                more = [name for name in row.concerned if name not in shown]
                if (
                    index in unused
                    and len(shown) + len(more) <= size
                    and all(source.harmless(name, row) for name in shown)
                    and all(source.harmless(name, member) for name in more for member in members)
                ):
                    del unused[index]
                    members.append(row)
                    shown += more
            yield self._pack(source, shown, members, size, rng)

    def _pack(self, source: _Source, shown: list[str], members: list[Row], size: int, rng: random.Random) -> Pack:
        recipe = self.recipe
        for name in dict.fromkeys(chain.from_iterable(row.near for row in members)):
            if len(shown) < size and name not in shown and all(source.harmless(name, row) for row in members):
                shown.append(name)
        branches = [_branch(row) for row in members]
        wanted = sum(rng.random() < recipe.without_tool for _ in members)
        for index in source.about(shown, rng):
            if wanted <= 0:
                break
            row = source.rows[index]
            if row.calls and not {*row.called} & {*shown} and all(source.wrong(name, row) for name in shown):
                branches.append(Branch(_turns(row), Reply()))
                wanted -= 1
        simple = [row for row in members if _joinable(row)]
        if len(simple) > 1 and rng.random() < recipe.joined * len(members):
            branches.append(_joined(rng.sample(simple, 2), rng))
        tools = [source.tools[name] for name in shown]
        if len(tools) < size and rng.random() < recipe.padded:
            for stranger in rng.sample(self._strangers, min(len(self._strangers), 2 * (size - len(tools)))):
                clash = stranger.name in {tool.name for tool in tools}
                if len(tools) < size and not clash and all(_unrelated(stranger, row) for row in members):
                    tools.append(stranger)
        rng.shuffle(tools)
        rng.shuffle(branches)
        return _renamed(Pack(tuple(tools), tuple(branches)), recipe, rng, source.builtin)


class _Source:
    """The rows of one file with their tools."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.tools = rows[0].tools
        self.builtin = rows[0].source.startswith("builtin")
        self._by_tool: dict[str, list[int]] = defaultdict(list)
        for index, row in enumerate(rows):
            for name in {*row.called, *row.near}:
                self._by_tool[name].append(index)

    @cached_property
    def _words(self) -> Mapping[str, frozenset[str]]:
        return {name: _stems(_said(tool)) for name, tool in self.tools.items()}

    def about(self, shown: Iterable[str], rng: random.Random) -> list[int]:
        """Rows that call one of these tools or have it near, in random order."""
        found = list(dict.fromkeys(chain.from_iterable(self._by_tool[name] for name in shown)))
        rng.shuffle(found)
        return found

    def wrong(self, name: str, row: Row) -> bool:
        """Surely not an answer to the row, even when its own tool is not shown."""
        return name in row.near or _unrelated(self.tools[name], row)

    def harmless(self, name: str, row: Row) -> bool:
        """May be shown with the row: one of its own tools, or far from them and from the text."""
        if name in row.concerned or name in row.near:
            return True
        if not row.calls:
            return _unrelated(self.tools[name], row)
        mine = self._words[name]
        alike = max(len(mine & self._words[own]) / (len(mine | self._words[own]) or 1) for own in row.called)
        return alike < 0.12 and not _stems(name) & _stems(row.text)


def _said(tool: ToolSpec) -> str:
    return f"{tool.name} {tool.description} {' '.join(tool.parameters.get('properties', ()))}"


def _stems(text: str) -> frozenset[str]:
    words = (word.lower() for word in _WORDS.findall(text))
    return frozenset(word[:5] for word in words if word not in _COMMON and len(word) > 1)


def _unrelated(tool: ToolSpec, row: Row) -> bool:
    return not _stems(f"{tool.name} {tool.description}") & _stems(row.text)


def _turns(row: Row) -> tuple[Message, ...]:
    from ..prompt import situated

    return tuple(situated(row.messages, row.now))


def _branch(row: Row) -> Branch:
    return Branch(_turns(row), Reply(calls=row.calls, asks=row.asks))


def _joinable(row: Row) -> bool:
    single = len(row.messages) == 1 and len(row.calls) == 1 and not row.now and len(row.text) < 200
    return single and row.language == "en" and '"$' not in str(row.calls)


def _joined(pair: Sequence[Row], rng: random.Random) -> Branch:
    first, second = (row.text for row in pair)
    joint = rng.choice(_JOINTS)
    first = first.rstrip(" .!") if not first.endswith("?") or joint[0] != "." else first
    if first.endswith("?") and joint.startswith((".", ",", ";")):
        joint = joint.lstrip(".,;")
    if joint[-2:] in ("d ", "n ", "o ") and second[:1].isupper() and second[1:2].islower():
        second = second[0].lower() + second[1:]
    calls = tuple(call for row in pair for call in row.calls)
    return Branch((Message("user", first + joint + second),), Reply(calls=calls))


# -- other names ------------------------------------------------------------------------------------------------


def _renamed(pack: Pack, recipe: Recipe, rng: random.Random, builtin: bool) -> Pack:
    """The pack under other names, or without parameter descriptions, as chance wants. Built-in tools keep theirs."""
    if builtin:
        return pack
    if rng.random() < recipe.undocumented:
        pack = replace(pack, tools=tuple(replace(tool, parameters=_bare(tool.parameters)) for tool in pack.tools))
    chance = rng.random()
    if chance < recipe.opaque:
        letters = rng.choice(("f", "tool_", "fn", "x", "api.", "T"))
        numbers = rng.sample(range(10, 1000), len(pack.tools))
        names = {tool.name: f"{letters}{number}" for tool, number in zip(pack.tools, numbers, strict=True)}
        return _with_names(pack, names, lambda key: key)
    if chance < recipe.opaque + recipe.restyled:
        style, keys = rng.choice(_STYLES), rng.choice((str, *_STYLES[:2]))
        names = {tool.name: style(tool.name) for tool in pack.tools}
        if len({*names.values()}) == len(names):
            return _with_names(pack, names, keys)
    return pack


def _bare(schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = {
        key: {word: value for word, value in described.items() if word != "description"}
        for key, described in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties}


def _parts(name: str) -> list[str]:
    return [part.lower() for part in _WORDS.findall(name)] or [name]


def _snake(name: str) -> str:
    return "_".join(_parts(name))


def _camel(name: str) -> str:
    first, *rest = _parts(name)
    return first + "".join(part.capitalize() for part in rest)


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in _parts(name))


def _kebab(name: str) -> str:
    return "-".join(_parts(name))


def _dotted(name: str) -> str:
    first, *rest = _parts(name)
    return ".".join((first, "_".join(rest))) if rest else first


_STYLES = (_snake, _camel, _pascal, _kebab, _dotted)


def _with_names(pack: Pack, names: Mapping[str, str], key: Any) -> Pack:
    """names: old to new tool names; key: how parameter names are written."""
    keys: dict[str, dict[str, str]] = {}
    for tool in pack.tools:
        old = list(tool.parameters.get("properties", ()))
        new = [key(each) for each in old]
        keys[tool.name] = dict(zip(old, new if len({*new}) == len(old) else old, strict=True))

    def call(each: Call) -> Call:
        known = keys.get(each.name, {})
        return Call(names.get(each.name, each.name), {known.get(k, k): v for k, v in each.arguments.items()})

    def message(each: Message) -> Message:
        return replace(each, calls=tuple(map(call, each.calls)), name=names.get(each.name or "", each.name))

    def spec(each: ToolSpec) -> ToolSpec:
        known = keys[each.name]
        schema = dict(each.parameters)
        if known:
            schema["properties"] = {known[k]: v for k, v in schema["properties"].items()}
            schema["required"] = [known.get(k, k) for k in schema.get("required", ())]
        return ToolSpec(names[each.name], each.description, schema)

    ask_keys = {old: new for known in keys.values() for old, new in known.items()}
    return Pack(
        tuple(map(spec, pack.tools)),
        tuple(
            Branch(
                tuple(map(message, branch.messages)),
                Reply(
                    calls=tuple(map(call, branch.reply.calls)),
                    asks=tuple(ask_keys.get(ask, ask) for ask in branch.reply.asks),
                ),
            )
            for branch in pack.branches
        ),
    )

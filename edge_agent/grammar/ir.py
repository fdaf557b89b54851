"""The one internal form of a grammar: six node kinds over Unicode text.

A `Grammar` is an ordered mapping of rule names to nodes. Everything else is a view of it: GBNF text for
llama.cpp and for people, Lark text for the fast matcher. Nodes are immutable and hash by value, so equal
sub-grammars are shared and a whole grammar can be keyed by content.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ..errors import GrammarError


@dataclass(frozen=True, slots=True)
class Lit:
    """Exactly this text (may be empty: the empty string)."""

    text: str


@dataclass(frozen=True, slots=True)
class Chars:
    """One character inside (or, when `negated`, outside) inclusive code-point ranges."""

    ranges: tuple[tuple[int, int], ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Ref:
    """The rule of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class Seq:
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alt:
    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`low` to `high` copies of `item`; `high=None` is unbounded."""

    item: Node
    low: int = 0
    high: int | None = None


Node: TypeAlias = Lit | Chars | Ref | Seq | Alt | Repeat


@dataclass(frozen=True, slots=True)
class Grammar:
    """Rules by name, in the order they read best; `root` names the start rule.

    `notes` maps a rule name to the source path it came from (`set_timer.duration`), printed as comments.
    """

    rules: Mapping[str, Node]
    root: str = "root"
    notes: Mapping[str, str] = field(default_factory=dict)


EMPTY = Lit("")
#: Matches nothing at all, not even the empty text. Never part of a finished grammar.
NOTHING = Alt(())


def seq(*items: Node) -> Node:
    """`items` one after the other: flattened, neighbouring texts joined, NOTHING anywhere makes it NOTHING."""
    flat: list[Node] = []
    for item in items:
        for part in item.items if isinstance(item, Seq) else (item,):
            if part == NOTHING:
                return NOTHING
            if isinstance(part, Lit) and flat and isinstance(flat[-1], Lit):
                flat[-1] = Lit(flat[-1].text + part.text)
            elif part != EMPTY:
                flat.append(part)
    return flat[0] if len(flat) == 1 else Seq(tuple(flat)) if flat else EMPTY


def alt(*options: Node) -> Node:
    """Any of `options`: flattened, without doubles, NOTHING left out."""
    flat: dict[Node, None] = {}
    for option in options:
        flat.update(dict.fromkeys(option.options if isinstance(option, Alt) else (option,)))
    return next(iter(flat)) if len(flat) == 1 else Alt(tuple(flat))


def repeat(item: Node, low: int = 0, high: int | None = None) -> Node:
    """`low` to `high` of `item`, without the repetitions that say nothing (`{1,1}`, `{0,0}`)."""
    if high == 0 or item == EMPTY or (item == NOTHING and low == 0):
        return EMPTY
    if item == NOTHING or low == high == 1:
        return item
    return Repeat(item, low, high)


def optional(item: Node) -> Node:
    """`item` or nothing."""
    return repeat(item, 0, 1)


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly inside `node`."""
    match node:
        case Seq(items):
            return items
        case Alt(options):
            return options
        case Repeat(item):
            return (item,)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """`node` and everything inside it, in reading order. Not recursive, so depth cannot hurt."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children(node)))


def assemble(root: Node, parts: Iterable[Grammar], *, root_name: str = "root") -> Grammar:
    """One grammar from separately compiled `parts`, whose rules keep their names; `root` refers to them.

    Parts may share rules (the JSON strings of all tools are one rule) and may refer to one another's. Only
    the rules `root` reaches are kept. Raises GrammarError when two parts define one name differently.
    Costs one pass over the rules.
    """
    rules: dict[str, Node] = {root_name: root}
    notes: dict[str, str] = {}
    for part in parts:
        for name, node in part.rules.items():
            if rules.setdefault(name, node) is not node and rules[name] != node:
                raise GrammarError(f"rule {name!r} is defined twice, differently")
        notes.update(part.notes)
    return Grammar(reachable(rules, root_name), root_name, notes)


def reachable(rules: Mapping[str, Node], root: str) -> dict[str, Node]:
    """The rules that `root` needs, itself first, in the order they are first mentioned."""
    found: dict[str, Node] = {}
    stack = [root]
    while stack:
        name = stack.pop()
        if name in rules and name not in found:
            found[name] = rules[name]
            stack.extend(reversed([node.name for node in walk(rules[name]) if isinstance(node, Ref)]))
    return found

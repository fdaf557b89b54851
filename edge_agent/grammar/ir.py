"""The one internal form of a grammar: nine node kinds over Unicode text.

A `Grammar` is an ordered mapping of rule names to nodes. Everything else is a view of it: GBNF text for
llama.cpp and for people, Lark text for the fast matcher. Nodes are immutable and hash by value, so equal
sub-grammars are shared and a whole grammar can be keyed by content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

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


class Facts(NamedTuple):
    """What is known of a node: the rules it mentions, in reading order; its levels; how many copies its counts come
    to when written out, nested ones multiplied; what it repeats without end; its first part that no engine may see;
    and, if it mentions no rule, whether it matches the empty text."""

    refs: tuple[str, ...]
    depth: int
    copies: int
    loops: tuple[Node, ...]
    flawed: Node | None
    empty: bool


class _Composite:
    """A node made of nodes: equal by value, its hash and facts worked out once in its life."""

    __slots__ = ("_facts", "_hash")
    __match_args__: tuple[str, ...]
    _facts: Facts
    _hash: int

    def _parts(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__match_args__)

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            object.__setattr__(self, "_hash", hash((type(self), self._parts())))
            return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return type(self) is type(other) and hash(self) == hash(other) and self._parts() == other._parts()

    def __reduce__(self) -> Any:
        return type(self), self._parts()  # texts hash otherwise in another process


@dataclass(frozen=True, slots=True, eq=False)
class Seq(_Composite):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Alt(_Composite):
    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Repeat(_Composite):
    """`low` to `high` copies of `item`; `high=None` is unbounded."""

    item: Node
    low: int = 0
    high: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Token(_Composite):
    """`item`, read as one piece: where it may end, nothing that may follow could also lengthen it (a JSON string, a
    number before a comma). A promise to the lexer; the language is that of `item`, which is regular.
    """

    item: Node


@dataclass(frozen=True, slots=True, eq=False)
class And(_Composite):
    """What is both; the two are regular."""

    first: Node
    second: Node


@dataclass(frozen=True, slots=True, eq=False)
class Minus(_Composite):
    """What is `first` and not `second`; the two are regular."""

    first: Node
    second: Node


#: Largest count in `{m,n}`; llama.cpp writes each copy out.
MAX_COUNT = 1000

Node: TypeAlias = Lit | Chars | Ref | Seq | Alt | Repeat | Token | And | Minus


@dataclass(frozen=True, slots=True)
class Grammar:
    """Rules by name, in the order they read best; `root` names the start rule.

    `notes` maps a rule name to the source path it came from (`set_timer.duration`), printed as comments. `tidy` says
    that all its rules come to an end and none begins with itself or repeats what is empty: `lint.check` believes it.
    """

    rules: Mapping[str, Node]
    root: str = "root"
    notes: Mapping[str, str] = field(default_factory=dict)
    tidy: bool = field(default=False, compare=False, repr=False)


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


def token(item: Node) -> Node:
    """`item` as one piece, once."""
    return item if isinstance(item, Token) or item in (NOTHING, EMPTY) else Token(item)


def both(first: Node, second: Node) -> Node:
    """What is `first` and `second`."""
    return NOTHING if NOTHING in (first, second) else first if first == second else And(first, second)


def minus(first: Node, second: Node) -> Node:
    """What is `first` but not `second`."""
    return first if NOTHING in (first, second) else NOTHING if first == second else Minus(first, second)


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly inside `node`."""
    match node:
        case Seq(items):
            return items
        case Alt(options):
            return options
        case Repeat(item) | Token(item):
            return (item,)
        case And(first, second) | Minus(first, second):
            return (first, second)
    return ()


def rewrite(node: Node, leaf: Callable[[Node], Node], *, tokens: bool = True) -> Node:
    """`node` with every Lit, Chars and Ref in it replaced by `leaf` of it; without Token if `tokens` is False."""

    def inner(node: Node) -> Node:
        match node:
            case Seq(items):
                return seq(*map(inner, items))
            case Alt(options):
                return alt(*map(inner, options))
            case Repeat(item, low, high):
                return repeat(inner(item), low, high)
            case Token(item):
                return token(inner(item)) if tokens else inner(item)
            case And(first, second):
                return both(inner(first), inner(second))
            case Minus(first, second):
                return minus(inner(first), inner(second))
        return leaf(node)

    return inner(node)


def walk(node: Node) -> Iterator[Node]:
    """`node` and everything inside it, in reading order. Not recursive, so depth cannot hurt."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children(node)))


def facts(node: Node) -> Facts:
    """The facts of `node`. Recursive."""
    if isinstance(node, Lit):
        return _NOTHING_SAID if node == EMPTY else _PLAIN
    if isinstance(node, Ref):
        return Facts((node.name,), 1, 0, (), None, False)
    if isinstance(node, Chars):
        return _PLAIN if _sound(node) else _PLAIN._replace(flawed=node)
    try:
        return node._facts
    except AttributeError:
        found = _gathered(node)
        object.__setattr__(node, "_facts", found)
        return found


def _gathered(node: Seq | Alt | Repeat | Token | And | Minus) -> Facts:
    parts = [facts(child) for child in children(node)]
    refs = dict.fromkeys(name for part in parts for name in part.refs)
    copies = sum(part.copies for part in parts)
    loops = tuple(loop for part in parts for loop in part.loops)
    empty = False
    match node:
        case Repeat(item, low, high):
            written = high if high is not None else low
            copies = written * max(copies, 1) if written > 1 else copies
            loops = loops if high is not None else (*loops, item)
            empty = low == 0 or parts[0].empty
        case Alt():
            empty = any(part.empty for part in parts)
        case Minus():
            empty = parts[0].empty and not parts[1].empty
        case _:
            empty = all(part.empty for part in parts)
    flawed = next((part.flawed for part in parts if part.flawed), None if _sound(node) else node)
    return Facts((*refs,), 1 + max((part.depth for part in parts), default=0), copies, loops, flawed, empty)


def _sound(node: Node) -> bool:
    """Whether a node, without what is inside it, is one that says something."""
    match node:
        case Chars(ranges, negated):
            return bool(ranges or negated) and all(low <= high for low, high in ranges)
        case Repeat(_, low, high):
            return max(low, high or 0) <= MAX_COUNT and (high is None or low <= high)
    return node != NOTHING


_PLAIN = Facts((), 1, 0, (), None, False)
_NOTHING_SAID = _PLAIN._replace(empty=True)


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
            stack.extend(reversed(facts(rules[name]).refs))
    return found

"""Whether splitting a text greedily into terminals loses nothing: the check behind `lexing.to_lark`.

Each terminal becomes a position automaton (Glushkov 1961) with counts widened to "any number", so its language
only grows and the answer only errs towards "unsafe".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from .ir import Alt, And, Chars, Lit, Minus, Node, Ref, Repeat, Seq, Token, children
from .lint import fixed_point, nullable
from .strings import Ranges, complement, normal

MAX_POSITIONS = 2000
MAX_PAIRS = 20_000


class TooLarge(Exception):
    """The check would take too long; taken as "unsafe"."""


def is_safe(
    rules: dict[str, Node], terminals: Mapping[str, Node], shared: Mapping[str, Node], promised: Collection[str]
) -> bool:
    """Whether greedy terminals are exact.

    Args:
        rules: The recursive rules, made of references to each other and to `terminals`.
        terminals: What the rules split a text into, never empty; they may refer to `shared`, without recursion.
        shared: The rules inside terminals.
        promised: The terminals that need not be compared with one another.
    """
    try:
        automata = {name: _Automaton.of(node, shared) for name, node in terminals.items()}
        following = _following(rules, automata)
        strings = {name for name, automaton in automata.items() if automaton.is_string()}
        for name, automaton in automata.items():
            after = normal(pair for ranges in following[name] for pair in ranges)
            for other_name, other in automata.items():
                if (name in strings and other_name in strings) or (name in promised and other_name in promised):
                    continue
                if _overlap(other.alphabet, after) and any(
                    _overlap(more, after) for more in automaton.extensions(other)
                ):
                    return False
    except (TooLarge, RecursionError):
        return False
    return True


@dataclass(slots=True)
class _Automaton:
    """Positions are characters of the expression; each knows which may come next."""

    sets: list[Ranges] = field(default_factory=list)
    after: list[set[int]] = field(default_factory=list)
    #: Every character beyond the first.
    alphabet: Ranges = ()
    first: set[int] = field(default_factory=set)
    last: set[int] = field(default_factory=set)

    @staticmethod
    def of(node: Node, shared: Mapping[str, Node]) -> _Automaton:
        automaton = _Automaton()
        _, automaton.first, automaton.last = automaton._add(node, shared)
        later = set().union(*automaton.after)
        automaton.alphabet = normal(pair for position in later for pair in automaton.sets[position])
        return automaton

    def _position(self, ranges: Ranges) -> tuple[bool, set[int], set[int]]:
        if len(self.sets) >= MAX_POSITIONS:
            raise TooLarge
        self.sets.append(ranges)
        self.after.append(set())
        return False, {len(self.sets) - 1}, {len(self.sets) - 1}

    def _add(self, node: Node, shared: Mapping[str, Node]) -> tuple[bool, set[int], set[int]]:
        match node:
            case Ref(name):
                return self._add(shared[name], shared)
            case Token(item) | Minus(item) | And(item):  # widened to the first of the two
                return self._add(item, shared)
            case Lit(text):
                return self._chain(self._position(((ord(char), ord(char)),)) for char in text)
            case Chars(ranges, negated):
                return self._position(complement(ranges) if negated else normal(ranges))
            case Seq(items):
                return self._chain(self._add(item, shared) for item in items)
            case Alt(options):
                parts = [self._add(option, shared) for option in options]
                return (
                    any(part[0] for part in parts),
                    set().union(*(part[1] for part in parts)),
                    set().union(*(part[2] for part in parts)),
                )
        empty, first, last = self._add(node.item, shared)
        if node.high != 1:
            for position in last:
                self.after[position] |= first
        return empty or node.low == 0, first, last

    def _chain(self, parts: Iterable[tuple[bool, set[int], set[int]]]) -> tuple[bool, set[int], set[int]]:
        empty, first, last = True, set[int](), set[int]()
        for part_empty, part_first, part_last in parts:
            for position in last:
                self.after[position] |= part_first
            first = first | part_first if empty else first
            last = last | part_last if part_empty else part_last
            empty = empty and part_empty
        return empty, first, last

    def is_string(self) -> bool:
        """Whether every text is a JSON string, whose closing quote nothing can follow: no such text begins
        another, so strings need no comparing. Follows each position as plain, `\\`, or the one escaped by it.
        """
        quote, slash = ((0x22, 0x22),), ((0x5C, 0x5C),)
        if any(self.sets[p] != quote for p in self.first | self.last) or any(self.after[p] for p in self.last):
            return False
        role: dict[int, str] = dict.fromkeys(self.first, "plain")
        stack = [*self.first]
        while stack:
            position = stack.pop()
            for following in self.after[position]:
                if role[position] == "slash":
                    new = "escaped"
                elif self.sets[following] == slash:
                    new = "slash"
                else:
                    new = "plain"
                    if following not in self.last and _overlap(self.sets[following], quote + slash):
                        return False
                if following not in role:
                    role[following] = new
                    stack.append(following)
                if role[following] != new or (new == "escaped" and following in self.last):
                    return False
        return True

    def extensions(self, other: _Automaton) -> set[Ranges]:
        """Characters with which `other` may still go on where this one could stop, both having read the same."""
        found: set[Ranges] = set()
        seen: set[tuple[int, int]] = set()
        stack = [(a, b) for a in self.first for b in other.first]
        while stack:
            pair = stack.pop()
            a, b = pair
            if pair in seen or not _overlap(self.sets[a], other.sets[b]):
                continue
            seen.add(pair)
            if len(seen) > MAX_PAIRS:
                raise TooLarge
            if a in self.last:
                found.update(other.sets[position] for position in other.after[b])
            stack += [(x, y) for x in self.after[a] for y in other.after[b]]
        return found


def _following(rules: dict[str, Node], automata: Mapping[str, _Automaton]) -> dict[str, set[Ranges]]:
    """For each terminal, the sets of characters that may come right after it (FIRST and FOLLOW of the textbook)."""
    empty = fixed_point(rules, nullable)
    first: dict[str, set[Ranges]] = {name: set() for name in rules}
    follow: dict[str, set[Ranges]] = {name: set() for name in [*rules, *automata]}
    for name, automaton in automata.items():
        first[name] = {automaton.sets[position] for position in automaton.first}

    def starts(node: Node) -> set[Ranges]:
        if isinstance(node, Ref):
            return first[node.name]
        found: set[Ranges] = set()
        for child in children(node):
            found |= starts(child)
            if isinstance(node, Seq) and not nullable(child, empty):
                break
        return found

    def spread(node: Node, after: set[Ranges]) -> None:
        match node:
            case Ref(name):
                follow[name] |= after
            case Seq(items):
                for item in reversed(items):
                    spread(item, after)
                    after = starts(item) | after if nullable(item, empty) else starts(item)
            case Alt(options):
                for option in options:
                    spread(option, after)
            case Repeat(item, _, high):
                spread(item, after | starts(item) if high != 1 else after)

    size = -1
    while size != (size := sum(map(len, first.values()))):
        for name, node in rules.items():
            first[name] |= starts(node)
    size = -1
    while size != (size := sum(map(len, follow.values()))):
        for name, node in rules.items():
            spread(node, follow[name])
    return follow


def _overlap(a: Ranges, b: Ranges) -> bool:
    return any(low <= other_high and other_low <= high for low, high in a for other_low, other_high in b)

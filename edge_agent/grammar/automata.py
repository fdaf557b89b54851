"""Deterministic automata over characters, made of regular nodes one state at a time.

Method: partial derivatives (Antimirov 1996). A *term* is what may still have to be read: a node, and the term after
it. A *state* is a set of terms. `And` and `Minus` inside a term are a pair of states, which step together (product
automaton). Sets of characters stay ranges throughout (Owens, Reppy & Turon 2009). Counts are counted down, not
written out, and of two terms that differ only in how often they may still repeat, the longer one is kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import pairwise
from operator import itemgetter
from typing import TypeAlias

from .ir import Alt, And, Chars, Lit, Minus, Node, Ref, Repeat, Seq, Token, facts
from .strings import Ranges, complement, normal

#: Work that a limit of one state allows, in terms looked at: keeps sets of terms from growing without more states.
WORK_PER_STATE = 50
_END = 0

Move: TypeAlias = tuple[Ranges, int]


class TooLarge(Exception):
    """More work than the limit allows."""


@dataclass(frozen=True, slots=True)
class Dfa:
    """A deterministic automaton with start state 0, of which every state can reach acceptance (save the start when
    there is no text at all). One state's moves are disjoint, one a target, in the order of their characters.
    """

    accepting: tuple[bool, ...]
    moves: tuple[tuple[Move, ...], ...]

    def __len__(self) -> int:
        return len(self.accepting)


@dataclass(frozen=True, slots=True)
class _Count:
    """`low` to `high` more of the node with the number `item`."""

    item: int
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class _Pair:
    """Both of two states (`both`), or the first without the second; the second may be None for "nothing"."""

    first: int
    second: int | None
    both: bool


#: The number of a node, the rest of a text, or one of the above.
_Head: TypeAlias = int | str | _Count | _Pair


class States:
    """The states of nodes over `rules`, each made when asked for and kept.

    `work` bounds what all of it may cost together, in terms looked at (some 3 µs each); TooLarge beyond.
    """

    def __init__(self, rules: Mapping[str, Node], work: float = float("inf")) -> None:
        self._rules, self._work = rules, work
        self._nodes: list[Node] = []
        self._by_id: dict[int, int] = {}
        self._by_value: dict[Node, int] = {}
        self._kept: list[Node] = []  # so that no id is used twice
        self._terms: list[tuple[_Head, int]] = [("", _END)]
        self._term_of: dict[tuple[_Head, int], int] = {}
        self._steps: dict[int, tuple[bool, list[Move]]] = {}
        self._sets: list[frozenset[int]] = []
        self._state_of: dict[frozenset[int], int] = {}
        self._moves: dict[int, tuple[bool, list[Move]]] = {}

    def start(self, node: Node) -> int:
        """The state before any of `node` is read. Raises ValueError for a recursive or undefined rule."""
        graph: dict[str, tuple[str, ...]] = {}
        stack = [*facts(node).refs]
        while stack:
            name = stack.pop()
            if name not in self._rules:
                raise ValueError(f"rule {name!r} is not defined")
            if name not in graph:
                graph[name] = facts(self._rules[name]).refs
                stack += graph[name]
        TopologicalSorter(graph).prepare()
        return self._state(frozenset((self._term(self._number(node), _END),)))

    def at(self, state: int) -> tuple[bool, list[Move]]:
        """Whether a text may end at `state`, and where each next character leads; disjoint, one move a target."""
        if state not in self._moves:
            steps = [self._step(term) for term in self._sets[state]]
            split = _split([move for _, moves in steps for move in moves])
            targets = _grouped((ranges, self._state(terms)) for ranges, terms in split)
            self._moves[state] = any(ends for ends, _ in steps), [(_union(sets), t) for t, sets in targets.items()]
        return self._moves[state]

    def _number(self, node: Node) -> int:
        """One number for all nodes of the same value, hashing each object but once."""
        number = self._by_id.get(id(node))
        if number is None:
            number = self._by_id[id(node)] = self._by_value.setdefault(node, len(self._nodes))
            self._kept.append(node)
            if number == len(self._nodes):
                self._nodes.append(node)
        return number

    def _term(self, head: _Head, rest: int) -> int:
        key = (head, rest)
        term = self._term_of.setdefault(key, len(self._terms))
        if term == len(self._terms):
            self._terms.append(key)
        return term

    def _state(self, terms: frozenset[int]) -> int:
        if len(terms) > 1:
            terms = self._longest(terms)
        state = self._state_of.setdefault(terms, len(self._sets))
        if state == len(self._sets):
            self._sets.append(terms)
            self._spend(len(terms))
        return state

    def _longest(self, terms: frozenset[int]) -> frozenset[int]:
        kept: set[int] = set()
        best: dict[tuple[int, int], tuple[float, int]] = {}
        for term in terms:
            head, rest = self._terms[term]
            if isinstance(head, _Count) and not head.low:
                new = (_most(head), term)
                best[head.item, rest] = max(new, best.get((head.item, rest), new))
            else:
                kept.add(term)
        return frozenset((*kept, *(term for _, term in best.values())))

    def _spend(self, work: int) -> None:
        self._work -= work
        if self._work < 0:
            raise TooLarge

    def _step(self, term: int) -> tuple[bool, list[Move]]:
        """Whether `term` may be empty, and the terms after each first character of it; these may overlap."""
        if term not in self._steps:
            ends, moves = False, list[Move]()
            seen: set[int] = set()
            longest: dict[tuple[int, int], float] = {}
            stack = [term]
            while stack:
                one = stack.pop()
                if one in seen:
                    continue
                seen.add(one)
                head, rest = self._terms[one]
                if one == _END:
                    ends = True
                elif isinstance(head, str):
                    moves.append((normal(((ord(head[0]), ord(head[0])),)), self._rest(head[1:], rest)))
                elif isinstance(head, int):
                    self._enter(self._nodes[head], rest, stack, moves)
                elif isinstance(head, _Pair):
                    self._advance(head, rest, stack, moves)
                else:
                    stack += self._again(head, rest, longest)
            self._spend(len(seen))
            self._steps[term] = ends, moves
        return self._steps[term]

    def _rest(self, text: str, rest: int) -> int:
        return self._term(text, rest) if text else rest

    def _enter(self, node: Node, rest: int, stack: list[int], moves: list[Move]) -> None:
        match node:
            case Lit(text):
                stack.append(self._rest(text, rest))
            case Chars(ranges, negated):
                moves.append((complement(ranges) if negated else normal(ranges), rest))
            case Ref(name):
                stack.append(self._term(self._number(self._rules[name]), rest))
            case Token(item):
                stack.append(self._term(self._number(item), rest))
            case Seq(items):
                for item in reversed(items):
                    rest = self._term(self._number(item), rest)
                stack.append(rest)
            case Alt(options):
                stack.extend(self._term(self._number(option), rest) for option in options)
            case Repeat(item, low, high):
                stack.append(self._term(_Count(self._number(item), low, high), rest))
            case And(first, second) | Minus(first, second):
                states = [self._state(frozenset((self._term(self._number(one), _END),))) for one in (first, second)]
                stack.append(self._term(_Pair(states[0], states[1], isinstance(node, And)), rest))

    def _advance(self, pair: _Pair, rest: int, stack: list[int], moves: list[Move]) -> None:
        ends, first = self.at(pair.first)
        other_ends, second = (False, list[Move]()) if pair.second is None else self.at(pair.second)
        if ends and other_ends == pair.both:
            stack.append(rest)
        # Where both are at once: the states of the first as they are, those of the second below zero.
        both = _split([*first, *((ranges, ~state) for ranges, state in second)])
        for ranges, states in both:
            one = max(states)
            other = ~min(states) if min(states) < 0 else None
            if one >= 0 and not (pair.both and other is None):
                moves.append((ranges, self._term(_Pair(one, other, pair.both), rest)))
        self._spend(len(both))

    def _again(self, count: _Count, rest: int, longest: dict[tuple[int, int], float]) -> Iterable[int]:
        low = count.low
        if low and self._step(self._term(count.item, _END))[0]:
            low = 0  # each of the copies may be empty
        if not low:
            yield rest
            if _most(count) <= longest.get((count.item, rest), 0):
                return
            longest[count.item, rest] = _most(count)
        high = None if count.high is None else count.high - 1
        yield self._term(count.item, rest if high == 0 else self._term(_Count(count.item, max(low - 1, 0), high), rest))


def _most(count: _Count) -> float:
    return float("inf") if count.high is None else count.high


def _grouped(moves: Iterable[Move]) -> dict[int, list[Ranges]]:
    """The ranges of `moves` by where they lead, without empty ones."""
    found: dict[int, list[Ranges]] = {}
    for ranges, target in moves:
        if ranges:
            found.setdefault(target, []).append(ranges)
    return found


def _union(sets: Sequence[Ranges]) -> Ranges:
    return sets[0] if len(sets) == 1 else normal(pair for ranges in sets for pair in ranges)


def _split(moves: Sequence[Move]) -> list[tuple[Ranges, frozenset[int]]]:
    """`moves` that may overlap as disjoint ranges, each with all that it leads to."""
    pieces = sorted([(low, high, key) for ranges, key in moves for low, high in ranges], key=itemgetter(0))
    if all(one[1] < other[0] for one, other in pairwise(pieces)):
        return [(_union(sets), frozenset((key,))) for key, sets in _grouped(moves).items()]
    edges = [edge for low, high, key in pieces for edge in ((low, key, 1), (high + 1, key, -1))]
    edges.sort(key=itemgetter(0))
    found: defaultdict[frozenset[int], list[tuple[int, int]]] = defaultdict(list)
    active: defaultdict[int, int] = defaultdict(int)
    last = 0
    for code, key, change in edges:
        if code > last and active:
            parts = found[frozenset(active)]
            if parts and parts[-1][1] == last - 1:
                parts[-1] = (parts[-1][0], code - 1)
            else:
                parts.append((last, code - 1))
        last = code
        active[key] += change
        if not active[key]:
            del active[key]
    return [(tuple(parts), keys) for keys, parts in found.items()]


def build(node: Node, rules: Mapping[str, Node], limit: int) -> Dfa:
    """The smallest automaton of `node`, numbered breadth first: equal languages have equal ones. Raises TooLarge
    when more than `limit` states are met on the way, ValueError for a recursive rule.
    """
    states = States(rules, limit * WORK_PER_STATE)
    number = {states.start(node): 0}
    accepting: list[bool] = []
    moves: list[list[Move]] = []
    order = list(number)
    for state in order:
        ends, following = states.at(state)
        for _, target in following:
            if number.setdefault(target, len(number)) == len(order):
                order.append(target)
        if len(order) > limit:
            raise TooLarge
        accepting.append(ends)
        moves.append([(ranges, number[target]) for ranges, target in following])
    alive = _alive(accepting, moves)
    moves = [[move for move in one if move[1] in alive] for one in moves]
    return _joined(accepting, moves, _blocks(accepting, moves, alive | {0}))


def _alive(accepting: Sequence[bool], moves: Sequence[Sequence[Move]]) -> set[int]:
    """The states from which acceptance can be reached."""
    before = _before(moves)
    stack = [state for state, ends in enumerate(accepting) if ends]
    found = set(stack)
    while stack:
        fresh = before[stack.pop()] - found
        found |= fresh
        stack += fresh
    return found


def _before(moves: Sequence[Sequence[Move]]) -> defaultdict[int, set[int]]:
    before: defaultdict[int, set[int]] = defaultdict(set)
    for state, one in enumerate(moves):
        for _, target in one:
            before[target].add(state)
    return before


def _blocks(accepting: Sequence[bool], moves: Sequence[Sequence[Move]], alive: set[int]) -> list[int]:
    """For each state a number that it shares with the states of the same language.

    Refines the blocks of accepting and other states until all of one block move alike. Only states whose targets
    changed their block are looked at again, and the largest part of a block keeps its number (Hopcroft 1971), so
    each move is looked at some log2(states) times.
    """
    before = _before(moves)
    block = [int(ends) for ends in accepting]
    clean: list[set[int]] = [set(), set()]

    def alike(state: int) -> frozenset[tuple[int, Ranges]]:
        targets = _grouped((ranges, block[target]) for ranges, target in moves[state])
        return frozenset((target, _union(sets)) for target, sets in targets.items())

    dirty = alive
    while dirty:
        groups: defaultdict[int, defaultdict[object, set[int]]] = defaultdict(lambda: defaultdict(set))
        for state in dirty:
            clean[block[state]].discard(state)
            groups[block[state]][alike(state)].add(state)
        dirty = set()
        for number, group in groups.items():
            *parts, clean[number] = sorted((part for part in (clean[number], *group.values()) if part), key=len)
            for part in parts:
                for state in part:
                    block[state] = len(clean)
                    dirty |= before[state]
                clean.append(part)
    return block


def _joined(accepting: Sequence[bool], moves: Sequence[Sequence[Move]], block: Sequence[int]) -> Dfa:
    """One state for each block that the start reaches."""
    number = {block[0]: 0}
    order = [0]
    joined: list[tuple[Move, ...]] = []
    for state in order:
        member = {block[target]: target for _, target in moves[state]}
        grouped = _grouped((ranges, block[target]) for ranges, target in moves[state])
        following = sorted((_union(sets), target) for target, sets in grouped.items())
        order += (member[target] for _, target in following if target not in number)
        for _, target in following:
            number.setdefault(target, len(number))
        joined.append(tuple((ranges, number[target]) for ranges, target in following))
    return Dfa(tuple(accepting[state] for state in order), tuple(joined))

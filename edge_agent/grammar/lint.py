"""What a grammar must be before any native code sees it.

llama.cpp answers a bad grammar with a crash, an endless loop or a null pointer, depending on its version; here
each of those is a GrammarError first. The checks are linear in the grammar except for the fixed point of "may be
empty", which is linear times the depth of the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from ..errors import GrammarError
from .ir import (
    MAX_COUNT,
    NOTHING,
    Alt,
    And,
    Chars,
    Grammar,
    Lit,
    Minus,
    Node,
    Ref,
    Repeat,
    Seq,
    Token,
    children,
    facts,
    reachable,
)

#: Most nodes between a rule and its innermost part.
MAX_DEPTH = 64
#: Most copies that the repetitions of one rule may come to together, nested counts multiplied.
MAX_EXPANSION = 2000
MAX_RULES = 20_000

Place = tuple[int, int]
NOWHERE: Place = (0, 0)


@dataclass(frozen=True, slots=True)
class Places:
    """Line and column (1-based) of each rule, and of each mention of a rule by (where, which)."""

    rules: Mapping[str, Place] = field(default_factory=dict)
    refs: Mapping[tuple[str, str], Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something odd that does no harm."""

    message: str
    line: int
    column: int


def check(grammar: Grammar, places: Places | None = None) -> tuple[Finding, ...]:
    """Warnings about `grammar` (rules never used). Raises GrammarError for what must not reach an engine:
    no root, an undefined rule, left recursion (direct, indirect, or past parts that may be empty), a rule that
    can never end, repetition of the empty text, too large counts, too deep nesting, an empty range.

    `places` gives the errors their line and column when the grammar came from a text.
    """
    at = places or Places()

    def fail(rule: str, message: str, place: Place | None = None) -> GrammarError:
        line, column = place or at.rules.get(rule, NOWHERE)
        return GrammarError(f"rule {rule!r} {message}", line=line or None, column=column or None)

    rules = dict(grammar.rules)
    if grammar.root not in rules:
        raise GrammarError(f"grammar has no rule named {grammar.root!r} to start from", line=1, column=1)
    if len(rules) > MAX_RULES:
        raise GrammarError(f"grammar has {len(rules)} rules, more than {MAX_RULES}")
    for name, node in rules.items():
        try:
            known = facts(node)
        except RecursionError:
            raise fail(name, f"is nested more than {MAX_DEPTH} deep") from None
        if known.depth > MAX_DEPTH:
            raise fail(name, f"is nested {known.depth} deep, more than {MAX_DEPTH}")
        for ref in known.refs:
            if ref not in rules:
                raise fail(name, f"uses {ref!r}, which is not defined", at.refs.get((name, ref)))
        if known.flawed:
            raise fail(name, _problem(known.flawed))
        if known.copies > MAX_EXPANSION:
            raise fail(name, f"repeats its parts {known.copies} times when written out, more than {MAX_EXPANSION}")
    if grammar.tidy:
        return ()
    endless = rules.keys() - ending(rules)
    if endless:
        raise fail(next(name for name in rules if name in endless), "can never come to an end")
    empty = fixed_point(rules, nullable)
    for name, node in rules.items():
        if any(nullable(item, empty) for item in facts(node).loops):
            raise fail(name, "repeats something that may be empty without end")
    if cycle := _left_cycle(rules, empty):
        raise fail(cycle[0], "is left-recursive: " + " -> ".join(cycle))
    used = reachable(rules, grammar.root)
    return tuple(
        Finding(f"rule {name!r} is never used", *at.rules.get(name, NOWHERE)) for name in rules if name not in used
    )


def ending(rules: dict[str, Node], known: Iterable[str] = ()) -> set[str]:
    """The rules of which some text is finite, given that those `known` are such."""
    return fixed_point(rules, _ends, known)


def _problem(part: Node) -> str:
    match part:
        case Chars(ranges):
            if any(low > high for low, high in ranges):
                return "has a character range whose end comes before its start"
            return "has an empty set of characters"
        case Repeat(_, low, high):
            if max(low, high or 0) > MAX_COUNT:
                return f"repeats {max(low, high or 0)} times, more than {MAX_COUNT}"
            return f"has an empty count {{{low},{high}}}"
    return "has a choice between nothing"


def fixed_point(rules: dict[str, Node], test: Callable[[Node, set[str]], bool], known: Iterable[str] = ()) -> set[str]:
    """The rules that pass `test`, given which others do. Backwards, since rules mostly mention later ones."""
    found = set(known)
    count = -1
    while count != len(found):
        count = len(found)
        found.update(name for name in reversed(rules) if name not in found and test(rules[name], found))
    return found


def _ends(node: Node, known: set[str]) -> bool:
    if isinstance(node, Ref):
        return node.name in known
    if isinstance(node, Lit | Chars) or not facts(node).refs:
        return node != NOTHING
    match node:
        case Seq(items):
            return all(_ends(item, known) for item in items)
        case Alt(options):
            return any(_ends(option, known) for option in options)
        case Repeat(item, low):
            return low == 0 or _ends(item, known)
        case Token(item) | Minus(item):
            return _ends(item, known)
        case And(first, second):
            return _ends(first, known) and _ends(second, known)


def nullable(node: Node, known: set[str]) -> bool:
    """Whether `node` matches the empty text, given the rules `known` to."""
    if isinstance(node, Ref):
        return node.name in known
    if isinstance(node, Lit | Chars) or not facts(node).refs:
        return facts(node).empty
    match node:
        case Seq(items):
            return all(nullable(item, known) for item in items)
        case Alt(options):
            return any(nullable(option, known) for option in options)
        case Repeat(item, low):
            return low == 0 or nullable(item, known)
        case Token(item):
            return nullable(item, known)
        case And(first, second):
            return nullable(first, known) and nullable(second, known)
        case Minus(first, second):
            return nullable(first, known) and not nullable(second, known)


def _leftmost(node: Node, empty: set[str]) -> dict[str, None]:
    """Rules that `node` may begin with, before any character is read."""
    match node:
        case Ref(name):
            return {name: None}
        case Seq(items):
            found: dict[str, None] = {}
            for item in items:
                found |= _leftmost(item, empty)
                if not nullable(item, empty):
                    break
            return found
        case _:
            return {name: None for child in children(node) for name in _leftmost(child, empty)}


def _left_cycle(rules: Mapping[str, Node], empty: set[str]) -> list[str]:
    """A cycle among "may begin with", as `a -> b -> a`; empty when there is none."""
    order = TopologicalSorter({name: _leftmost(node, empty) for name, node in rules.items()})
    try:
        order.prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1][::-1]
        return cycle
    return []

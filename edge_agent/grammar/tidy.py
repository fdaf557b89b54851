"""Makes the rules of a compiled schema fit for every engine: no rule that cannot end, none that is itself."""

from __future__ import annotations

from .ir import NOTHING, Alt, Node, Ref, alt, facts, reachable, rewrite
from .lint import ending


def tidy(rules: dict[str, Node], root: str) -> dict[str, Node]:
    """The rules that `root` needs, after two repairs that leave the language as it was.

    Alternatives without an end (an object that requires itself) are taken out. Rules that may be one another
    (`a: b | "x"`, `b: a | "y"`: an `anyOf` of references in a circle) become the choice of all their other
    options, since that is what each of them means, and left recursion is gone. An unfulfillable `root` comes
    back as NOTHING.
    """
    # Rules defined elsewhere (the person's words) and those of `grammars/`, which are capitalised, come to an end.
    mentioned = {name for node in rules.values() for name in facts(node).refs}
    ends = ending(rules, {name for name in (*rules, *mentioned) if name not in rules or name[:1].isupper()})
    kept = rules
    if not rules.keys() <= ends:
        kept = {name: _without(node, ends) for name, node in rules.items() if name in ends}
    if root not in kept:
        return {root: NOTHING}
    before = dict(kept)
    reach = {name: _same(kept, name) for name in kept}
    for name, others in reach.items():
        if name in others:
            circle = {other for other in others if name in reach[other]}
            options = (option for member in sorted(circle) for option in _options(before[member]))
            kept[name] = alt(*(option for option in options if option not in {Ref(c) for c in circle}))
    return reachable(kept, root)


def _options(node: Node) -> tuple[Node, ...]:
    return node.options if isinstance(node, Alt) else (node,)


def _same(rules: dict[str, Node], start: str) -> set[str]:
    """Every rule that `start` may be, by any number of steps; itself only when in a circle."""
    found: set[str] = set()
    stack = [start]
    while stack:
        for option in _options(rules[stack.pop()]):
            if isinstance(option, Ref) and option.name in rules and option.name not in found:
                found.add(option.name)
                stack.append(option.name)
    return found


def _without(node: Node, ends: set[str]) -> Node:
    return rewrite(node, lambda leaf: NOTHING if isinstance(leaf, Ref) and leaf.name not in ends else leaf)

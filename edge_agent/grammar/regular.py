"""Regular languages over the internal form: what is both, what is one but not the other, and grammars without either.

GBNF has no word for `And` and `Minus`; `expand` writes the automaton of each as rules. The questions (`is_empty`,
`overlap`, `shortest`) visit only the states they need, nearest first. Nodes may mention rules of the mapping given,
as long as those do not recurse: a ValueError otherwise, which is a mistake of the caller, not of the user.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from .automata import WORK_PER_STATE, Dfa, States, TooLarge, build
from .ir import (
    EMPTY,
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
    alt,
    children,
    facts,
    optional,
    repeat,
    seq,
    token,
    walk,
)
from .strings import Ranges, has
from .tidy import tidy

__all__ = ["Dfa", "dfa", "expand", "is_empty", "matches", "overlap", "shortest"]

#: What one rule may hold before a state becomes a rule of its own: levels, nodes, and copies when written out.
_DEPTH, _NODES, _COPIES = 20, 200, 200
#: How many times its limit of states `expand` may meet in all.
_LIMITS = 5
_END = -1


def dfa(node: Node, rules: Mapping[str, Node], *, limit: int = 2000) -> Dfa | None:
    """The smallest automaton of `node`; None when more than `limit` states are met on the way to it.

    Equal languages have equal ones. Costs 30 to 110 µs a state, at worst some 150 µs times `limit`.
    """
    try:
        return build(node, rules, limit)
    except TooLarge:
        return None


def is_empty(node: Node, rules: Mapping[str, Node], *, limit: int = 2000) -> bool | None:
    """Whether there is no text of `node`. None: not decided within `limit` states."""
    try:
        return _shortest(node, rules, limit) is None
    except TooLarge:
        return None


def overlap(first: Node, second: Node, rules: Mapping[str, Node], *, limit: int = 2000) -> bool | None:
    """Whether some text is of both. None: not decided within `limit` states."""
    empty = is_empty(And(first, second), rules, limit=limit)
    return None if empty is None else not empty


def shortest(node: Node, rules: Mapping[str, Node], *, limit: int = 2000) -> str | None:
    """A text of `node`, none shorter, of plain letters where it may be. None: there is none, or `limit` states are
    not enough to find it.
    """
    try:
        return _shortest(node, rules, limit)
    except TooLarge:
        return None


def matches(node: Node, rules: Mapping[str, Node], text: str) -> bool:
    """Whether `text` is one of `node`. Exact, without limit; visits one state a character."""
    states = States(rules)
    state = states.start(node)
    for char in text:
        following = (target for ranges, target in states.at(state)[1] if has(ranges, ord(char)))
        if (state := next(following, -1)) < 0:
            return False
    return states.at(state)[0]


def _shortest(node: Node, rules: Mapping[str, Node], limit: int) -> str | None:
    states = States(rules, limit * WORK_PER_STATE)
    start = states.start(node)
    came: dict[int, tuple[int, Ranges]] = {start: (start, ())}
    order = [start]
    for state in order:
        ends, following = states.at(state)
        if ends:
            text = ""
            while state != start:
                state, ranges = came[state]
                text = next((char for char in "a0A " if has(ranges, ord(char))), chr(ranges[0][0])) + text
            return text
        for ranges, target in following:
            if target not in came:
                came[target] = (state, ranges)
                order.append(target)
        if len(order) > limit:
            raise TooLarge
    return None


def expand(grammar: Grammar, *, limit: int = 2000) -> tuple[Grammar, tuple[str, ...]]:
    """`grammar` without any And or Minus, and the rules that are wider for it.

    Each And or Minus becomes the states of its automaton as right-linear rules, named after the rule it stands in
    (`name--s3`): equal ones share them, states used once are written where they are used, loops and counts are put
    back. Where there are more than `limit` states, or five times that in all, the first operand stands instead, and
    the name of the rule is among those returned. What turns out to have no text is taken out, as `tidy` does. Costs
    about twice what `dfa` does.
    """
    found = {name: list(_outermost(node)) for name, node in grammar.rules.items()}
    if not any(found.values()):
        return grammar, ()
    expander = _Expander(grammar, Counter(node for nodes in found.values() for node in nodes), limit)
    rules: dict[str, Node] = {}
    for name, node in grammar.rules.items():
        rules[name] = expander.plain(node, name) if found[name] else node
        rules |= expander.fresh
        expander.fresh.clear()
    if expander.emptied:
        rules = tidy(rules, grammar.root)
    return Grammar(rules, grammar.root, grammar.notes), tuple(expander.wider)


def _outermost(node: Node) -> Iterator[Node]:
    if isinstance(node, And | Minus):
        yield node
    else:
        for child in children(node):
            yield from _outermost(child)


class _Expander:
    """Replaces And and Minus; `fresh` collects the rules that come with the rule being written."""

    def __init__(self, grammar: Grammar, uses: Counter[Node], limit: int) -> None:
        self.fresh: dict[str, Node] = {}
        self.wider: dict[str, None] = {}
        self.emptied = False
        self._grammar, self._uses, self._limit = grammar, uses, limit
        self._left = limit * _LIMITS
        self._known: dict[Node, Node | None] = {}
        self._heads: set[str] = set()

    def plain(self, node: Node, name: str) -> Node:
        """`node`, which stands in the rule `name`."""
        match node:
            case Seq(items):
                return seq(*(self.plain(item, name) for item in items))
            case Alt(options):
                return alt(*(self.plain(option, name) for option in options))
            case Repeat(item, low, high):
                return repeat(self.plain(item, name), low, high)
            case Token(item):
                return token(self.plain(item, name))
            case And(first) | Minus(first):
                if node not in self._known:
                    limit = min(self._limit, self._left)
                    automaton = dfa(node, self._grammar.rules, limit=limit)
                    self._left -= len(automaton) if automaton else limit
                    self._known[node] = self._written(automaton, node, name) if automaton else None
                if (known := self._known[node]) is None:
                    self.wider[name] = None
                    return self.plain(first, name)
                return known
        return node

    def _written(self, automaton: Dfa, node: Node, name: str) -> Node:
        if not any(automaton.accepting):
            self.emptied = True
            return NOTHING
        head = self._head(name)
        rules = _rules(automaton, head)
        start = rules[head + "0"]
        if self._uses[node] == 1 and not any(head + "0" in facts(one).refs for one in rules.values()):
            whole, mine, its = self._grammar.rules[name] == node, facts(start), facts(node)
            if whole or (mine.depth <= its.depth and mine.copies <= its.copies):
                del rules[head + "0"]
                self.fresh |= rules
                return start
        self.fresh |= rules
        return Ref(head + "0")

    def _head(self, name: str) -> str:
        """What the names of the states of one automaton begin with."""
        count, head = 1, f"{name}--s"
        while head in self._heads or any(other.startswith(head) for other in self._grammar.rules):
            count += 1
            head = f"{name}--{count}-s"
        self._heads.add(head)
        return head


def _rules(automaton: Dfa, head: str) -> dict[str, Node]:
    """`automaton`, which has some text, as rules `head` + state, the start first.

    From the last state back, each gets its ways: what may be read, by the state that follows (`_END`: all of it).
    A later state that nothing else mentions is then written where it is mentioned, unless that would make the rule
    too large. Arden's rule makes loops of a state's ways to itself.
    """
    uses = Counter(target for moves in automaton.moves for _, target in moves)
    done: dict[int, tuple[dict[int, Node], Node]] = {}
    rules: dict[str, Node] = {}
    #: The state where all is said, which needs no rule.
    last = next((s for s, moves in enumerate(automaton.moves) if s and not moves), None)

    def closed(ways: Mapping[int, Node]) -> Node:
        return _choice([node if target == _END else seq(node, Ref(f"{head}{target}")) for target, node in ways.items()])

    for state in reversed([s for s in range(len(automaton)) if s != last]):
        found: defaultdict[int, list[Node]] = defaultdict(list)
        for ranges, target in automaton.moves[state]:
            single = ranges[0][0] == ranges[-1][1]
            found[_END if target == last else target].append(Lit(chr(ranges[0][0])) if single else Chars(ranges))
        room = MAX_COUNT
        while alone := [target for target in found if target in done and uses[target] == len(found[target])]:
            target = min(alone)
            ways, body = done.pop(target)
            if not _fits(body) or facts(body).copies > room:
                rules[f"{head}{target}"] = body
                continue
            room -= facts(body).copies
            exit_, rest = _only(ways, body)
            found[exit_].append(_after(_choice(found.pop(target)), rest))
        for target, nodes in found.items():
            uses[target] -= len(nodes) - (target != state)
        if automaton.accepting[state]:
            found[_END].append(EMPTY)
        ways = {target: _choice(nodes) for target, nodes in found.items()}
        if loop := ways.pop(state, None):
            exit_, rest = _only(ways, closed(ways))
            ways = {exit_: seq(repeat(loop), rest)}
        done[state] = ways, closed(ways)
    rules |= {f"{head}{state}": body for state, (_, body) in done.items() if not state or uses[state]}
    return dict(sorted(rules.items(), key=lambda rule: int(rule[0][len(head) :])))


def _only(ways: Mapping[int, Node], body: Node) -> tuple[int, Node]:
    """The one way there is, or all of them as `body`."""
    return next(iter(ways.items())) if len(ways) == 1 else (_END, body)


def _after(step: Node, rest: Node) -> Node:
    """`step`, then `rest`; the same step again makes a count."""
    first, *others = rest.items if isinstance(rest, Seq) else (rest,)
    if first == step and not isinstance(step, Lit):
        return seq(Repeat(step, 2, 2), *others)
    if isinstance(first, Repeat) and first.item == step and max(first.low, first.high or 0) < MAX_COUNT:
        return seq(Repeat(step, first.low + 1, None if first.high is None else first.high + 1), *others)
    return seq(step, rest)


def _choice(nodes: Sequence[Node]) -> Node:
    """Any of `nodes`, EMPTY the last: `x? y` of `x y | y`, `x{0,3} y` of `x{1,3} y | y`."""
    for i, node in enumerate(nodes if len(nodes) > 1 else ()):
        first, *others = node.items if isinstance(node, Seq) else (node,)
        if _options(seq(*others)) == (*nodes[:i], *nodes[i + 1 :]):
            few = Repeat(first.item, 0, first.high) if isinstance(first, Repeat) and first.low <= 1 else optional(first)
            return seq(few, *others)
    node = alt(*(node for node in nodes if node != EMPTY))
    return optional(node) if EMPTY in nodes else node


def _options(node: Node) -> tuple[Node, ...]:
    match node:
        case Alt(options):
            return options
        case Repeat(item, 0, 1):
            return (*_options(item), EMPTY)
    return (node,)


def _fits(node: Node) -> bool:
    depth, copies = facts(node).depth, facts(node).copies
    few = isinstance(node, Repeat) or copies <= _COPIES
    return few and depth <= _DEPTH and sum(1 for _ in walk(node)) <= _NODES

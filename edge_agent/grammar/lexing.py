"""The internal form as Lark text for llguidance: exactly the same language.

llguidance splits a text greedily: a terminal takes every character it can and never gives one back, so the rule
`("a" | "ab") "bc"` refuses `abc`. Three ways to write a grammar, the first that is exact is taken:

1. Terminals are the tokens of JSON (structural characters, strings, numbers), rules the rest: small terminals, whose
   automata are shared by all that uses them. A `Token` promises to be safe; `greedy.is_safe` checks all others,
   erring towards "no".
2. Without recursion, the whole grammar is one terminal: always exact, since a terminal by itself is matched by
   derivatives; its automaton grows with all that it holds.
3. Else every terminal is one character: exact for any grammar, and some 20 times slower.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter

from ..errors import GrammarError
from .greedy import is_safe
from .ir import (
    EMPTY,
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
    facts,
    minus,
    reachable,
    repeat,
    seq,
    walk,
)
from .lint import fixed_point, nullable
from .regular import expand
from .strings import complement

#: Most rules, written out, of a terminal that is a whole grammar.
MAX_TERMINAL = 50_000
_COUNTS = {(0, 1): "?", (0, None): "*", (1, None): "+"}
_STRUCTURE = frozenset("{}[],:")
_PIECES = re.compile(r'\\.?|[{}\[\],:"]|[^\\{}\[\],:"]+', re.DOTALL)


def to_lark(grammar: Grammar) -> str:
    """Lark text of `grammar` in llguidance's dialect, starting at `start`. Linear in the grammar, save for the
    check of the first way, which is bounded. The grammar is taken to have passed `lint.check`.
    """
    rules = reachable(grammar.rules, grammar.root)
    if (tokens := _tokens(rules, grammar.root)) is not None:
        return _text(*tokens, grammar.root)
    loose = _Split(rules)
    outer = loose.outer(grammar.root)
    inner = _inner(rules, loose.terminals)
    split = inner.keys() <= loose.regular | loose.terminals.keys()
    if split and is_safe(outer, loose.terminals, rules, loose.promised):
        return _text(outer, inner, grammar.root)
    if grammar.root in loose.regular and _written_out(rules, grammar.root) <= MAX_TERMINAL:
        return _text({}, rules, grammar.root)
    plain, wider = expand(grammar, limit=5000)
    if wider:
        raise GrammarError(f"rule {wider[0]!r} has an intersection too large to be matched outside of a token")
    return _text({name: _single(node) for name, node in plain.rules.items()}, {}, grammar.root)


def _written_out(rules: dict[str, Node], root: str) -> int:
    """How many mentions of rules `root`, which has no circles, comes to when they are written out."""
    sizes: dict[str, int] = {}
    for name in TopologicalSorter({name: facts(node).refs for name, node in rules.items()}).static_order():
        mentions = Counter(part.name for part in walk(rules[name]) if isinstance(part, Ref))
        sizes[name] = 1 + sum(count * sizes[ref] for ref, count in mentions.items())
    return sizes[root]


def _inner(rules: dict[str, Node], terminals: dict[str, Node]) -> dict[str, Node]:
    """The terminals and the rules they need."""
    found = reachable(rules | terminals | {"": Seq(tuple(map(Ref, terminals)))}, "")
    del found[""]
    return found


def _tokens(rules: dict[str, Node], root: str) -> tuple[dict[str, Node], dict[str, Node]] | None:
    """Rules and terminals where all there is are structural characters and tokens, which need no check; None where
    something else is among them."""
    known: dict[Node, str] = {}

    def rule(node: Node) -> Node:
        match node:
            case Token(item):
                return Ref(known.setdefault(item, f" {len(known)}"))
            case Lit(text) if _STRUCTURE.issuperset(text):
                return seq(*(Ref(known.setdefault(Lit(char), f" {len(known)}")) for char in text))
            case Seq(items):
                return seq(*map(rule, items))
            case Alt(options):
                return alt(*map(rule, options))
            case Repeat(item, low, high):
                return repeat(rule(item), low, high)
            case Ref(name):
                stack.append(name)
                return node
        raise _Loose

    outer: dict[str, Node] = {}
    stack = [root]
    try:
        while stack:
            name = stack.pop()
            if name not in outer:
                outer[name] = rule(rules[name])
    except _Loose:
        return None
    return outer, _inner(rules, {name: node for node, name in known.items()})


class _Loose(Exception):
    """Something that is neither structure nor a token."""


def _closed(names: dict[str, set[str]], among: set[str]) -> set[str]:
    """Those of `among` that mention only such, however indirectly, and never in a circle."""
    found: set[str] = set()
    count = -1
    while count != len(found):
        count = len(found)
        found.update(name for name in reversed(names) if name in among and names[name] <= found)
    return found


def _names(node: Node) -> set[str]:
    return {*facts(node).refs}


class _Split:
    """Rules in terms of terminals: the tokens of JSON, or whatever lies between structural characters."""

    def __init__(self, rules: dict[str, Node]) -> None:
        self.rules = rules
        names = {name: _names(node) for name, node in rules.items()}
        self.regular = _closed(names, set(names))
        self.empty = fixed_point(rules, nullable)
        #: Rules that may be inside a terminal outside of quotes: no structure in them, no token.
        self.whole = _closed(names, {name for name, node in rules.items() if not _structured(node)})
        self.terminals: dict[str, Node] = {}
        #: Terminals that are tokens.
        self.promised: set[str] = set()
        self._known: dict[Node, Ref] = {}

    def outer(self, root: str) -> dict[str, Node]:
        """The rules that are not inside of terminals."""
        found: dict[str, Node] = {}
        stack = [root]
        while stack:
            name = stack.pop()
            if name not in found and name not in self.terminals:
                found[name] = self.rule(self.rules[name])
                stack.extend(_names(found[name]))
        return found

    def rule(self, node: Node) -> Node:
        """`node` as a choice and sequence of terminals and rules."""
        if isinstance(node, Token):
            return self._terminal(node.item, promised=True)
        if isinstance(node, And | Minus):
            part = self._terminal(minus(node, EMPTY))
            return alt(EMPTY, part) if nullable(node, self.empty) else part
        if self._solid(node) and not nullable(node, self.empty):
            return self._terminal(node)
        match node:
            case Lit() | Seq():
                return seq(*self._pieces(node.items if isinstance(node, Seq) else (node,)))
            case Alt(options):
                return alt(*map(self.rule, options))
            case Repeat(item, low, high):
                return repeat(self.rule(item), low, high)
        return node

    def _pieces(self, items: Iterable[Node]) -> Iterator[Node]:
        """The terminals and rules of a sequence: cut at structure, strings kept whole."""
        quoted = False
        held: list[Node] = []
        for item in items:
            if isinstance(item, Lit):
                for piece in _PIECES.findall(item.text):
                    quoted ^= piece == '"'
                    if piece in _STRUCTURE and not quoted:
                        yield from self._flush(held)
                        yield self._terminal(Lit(piece))
                    else:
                        held.append(Lit(piece))
            elif self._solid(item) or (quoted and _names(item) <= self.regular):
                held.append(item)
            else:
                yield from self._flush(held)
                yield self.rule(item)
        yield from self._flush(held)

    def _flush(self, held: list[Node]) -> list[Node]:
        whole = seq(*held)
        parts: list[Node] = [self._terminal(whole)] if not nullable(whole, self.empty) else list(map(self.rule, held))
        held.clear()
        return parts

    def _solid(self, node: Node) -> bool:
        return _names(node) <= self.whole and not _structured(node)

    def _terminal(self, node: Node, *, promised: bool = False) -> Ref:
        if node not in self._known:
            self._known[node] = Ref(f" {len(self._known)}")
            self.terminals[self._known[node].name] = node
        if promised:
            self.promised.add(self._known[node].name)
        return self._known[node]


def _structured(node: Node) -> bool:
    """Whether there is structure of JSON in `node`, outside of its strings, or a token."""
    quoted = False
    for part in walk(node):
        if isinstance(part, Token):
            return True
        if isinstance(part, Lit):
            for piece in _PIECES.findall(part.text):
                quoted ^= piece == '"'
                if piece in _STRUCTURE and not quoted:
                    return True
    return False


def _single(node: Node) -> Node:
    """`node` with each text as a sequence of single characters."""
    match node:
        case Lit(text) if len(text) > 1:
            return Seq(tuple(Chars(((ord(char), ord(char)),)) for char in text))
        case Seq(items):
            return Seq(tuple(map(_single, items)))
        case Alt(options):
            return Alt(tuple(map(_single, options)))
        case Repeat(item, low, high):
            return Repeat(_single(item), low, high)
        case Token(item):
            return _single(item)
    return node


def _text(rules: dict[str, Node], terminals: dict[str, Node], root: str) -> str:
    names = {name: f"r{i}" for i, name in enumerate(rules)} | {name: f"T{i}" for i, name in enumerate(terminals)}
    lines = [f"start: {names[root]}"]
    lines += [f"{names[name]}: {_written(node, names)}" for name, node in (rules | terminals).items()]
    return "\n".join(lines) + "\n"


def _written(node: Node, names: dict[str, str]) -> str:
    match node:
        case Lit(text):
            return json.dumps(text).replace("\x7f", "\\u007f")  # the one control that JSON leaves as it is
        case Chars(ranges, negated):
            sign = "^" if negated and ranges else ""
            return f"/[{sign}{''.join(_range(*pair) for pair in ranges or complement(()))}]/"
        case Ref(name):
            return names[name]
        case Seq(items):
            return " ".join(_written(item, names) for item in items)
        case Alt(options):
            return "(" + " | ".join(_written(option, names) for option in options) + ")"
        case Repeat(item, low, high):
            return f"({_written(item, names)}){_count(low, high)}"
        case Token(item):
            return _written(item, names)
        case And(first, second):
            return f"({_written(first, names)} & {_written(second, names)})"
        case Minus(first, second):
            return f"({_written(first, names)} & ~({_written(second, names)}))"
    raise AssertionError(node)


def _count(low: int, high: int | None) -> str:
    return _COUNTS.get((low, high), f"{{{low},{'' if high is None else high}}}")


def _range(low: int, high: int) -> str:
    return f"\\u{{{low:x}}}" if low == high else f"\\u{{{low:x}}}-\\u{{{high:x}}}"

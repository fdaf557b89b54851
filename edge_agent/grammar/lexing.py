"""The internal form as Lark text for llguidance: exactly the same language.

llguidance splits a text greedily: a terminal takes every character it can and never gives one back, so the rule
`("a" | "ab") "bc"` refuses `abc`. Three ways to write a grammar, the first that is exact is taken:

1. Without recursion, the whole grammar is one terminal: always exact, since a terminal by itself is matched by
   derivatives. Cheapest to write.
2. With recursion, terminals are the tokens of JSON (structural characters, strings, numbers), rules the rest.
   Exact when no terminal can go on with a character that may also follow it; `greedy.is_safe` checks that,
   erring towards "no".
3. Else every terminal is one character: exact for any grammar, and some 20 times slower.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from .greedy import is_safe
from .ir import Alt, Chars, Grammar, Lit, Node, Ref, Repeat, Seq, alt, reachable, repeat, seq, walk
from .lint import fixed_point, nullable
from .strings import complement

_COUNTS = {(0, 1): "?", (0, None): "*", (1, None): "+"}
_STRUCTURE = frozenset("{}[],:")
_PIECES = re.compile(r'\\.?|[{}\[\],:"]|[^\\{}\[\],:"]+', re.DOTALL)


def to_lark(grammar: Grammar) -> str:
    """Lark text of `grammar` in llguidance's dialect, starting at `start`. Linear in the grammar, save for the
    check of the first way, which is bounded. The grammar is taken to have passed `lint.check`.
    """
    rules = reachable(grammar.rules, grammar.root)
    names = {name: _names(node) for name, node in rules.items()}
    regular = _closed(names, set(names))
    if grammar.root in regular:
        return _text({}, rules, grammar.root)
    split = _Split(rules, names, regular)
    outer = split.outer(grammar.root)
    inner = reachable(rules | split.terminals | {"": Seq(tuple(map(Ref, split.terminals)))}, "")
    del inner[""]
    if inner.keys() <= regular | split.terminals.keys() and is_safe(outer, split.terminals, rules):
        return _text(outer, inner, grammar.root)
    return _text({name: _single(node) for name, node in rules.items()}, {}, grammar.root)


def _closed(names: dict[str, set[str]], among: set[str]) -> set[str]:
    """Those of `among` that mention only such, however indirectly, and never in a circle."""
    found: set[str] = set()
    count = -1
    while count != len(found):
        count = len(found)
        found.update(name for name in reversed(names) if name in among and names[name] <= found)
    return found


def _names(node: Node) -> set[str]:
    return {part.name for part in walk(node) if isinstance(part, Ref)}


class _Split:
    """Rules in terms of terminals: the tokens of JSON, or whatever lies between structural characters."""

    def __init__(self, rules: dict[str, Node], names: dict[str, set[str]], regular: set[str]) -> None:
        self.rules, self.regular = rules, regular
        self.empty = fixed_point(rules, nullable)
        #: Rules that may be inside a terminal outside of quotes: no structure in them.
        self.whole = _closed(names, {name for name, node in rules.items() if not _structured(node)})
        self.terminals: dict[str, Node] = {}
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

    def _terminal(self, node: Node) -> Ref:
        if node not in self._known:
            self._known[node] = Ref(f" {len(self._known)}")
            self.terminals[self._known[node].name] = node
        return self._known[node]


def _structured(node: Node) -> bool:
    """Whether there is structure of JSON in `node`, outside of its strings."""
    quoted = False
    for part in walk(node):
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
            inner = "".join(f"\\u{{{low:x}}}-\\u{{{high:x}}}" for low, high in (ranges or complement(())))
            return f"/[{sign}{inner}]/"
        case Ref(name):
            return names[name]
        case Seq(items):
            return " ".join(_written(item, names) for item in items)
        case Alt(options):
            return "(" + " | ".join(_written(option, names) for option in options) + ")"
    count = f"{{{node.low},{'' if node.high is None else node.high}}}"
    return f"({_written(node.item, names)}){_COUNTS.get((node.low, node.high), count)}"

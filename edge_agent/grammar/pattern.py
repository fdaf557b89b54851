"""Regular expressions of JSON Schema (ECMA-262, unanchored) as grammar nodes.

The common subset, exactly: alternation, groups, sets, `\\d \\w \\s` and their opposites, escapes, counted and lazy
quantifiers (laziness does not change which texts match), anchors at the edges, look-ahead outside of groups, general
categories (`\\p{Lu}`). Look-behind, back references, word boundaries and flags are not regular or not worth it:
`Unsupported` says which.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from .ir import (
    EMPTY,
    MAX_COUNT,
    NOTHING,
    Alt,
    And,
    Chars,
    Lit,
    Minus,
    Node,
    Ref,
    Repeat,
    Seq,
    Token,
    alt,
    both,
    facts,
    minus,
    repeat,
    seq,
)
from .lint import MAX_DEPTH, MAX_EXPANSION
from .strings import Ranges, complement, normal

ANY = repeat(Chars((), negated=True))
MAX_PATTERN = 2000

_START, _END, _HERE = Ref("^"), Ref("$"), Ref("?")
_QUANTIFIER = re.compile(r"(?:([?*+])|\{(\d+)(,?)(\d*)\})\??")
_DIGITS: Ranges = ((0x30, 0x39),)
_WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE: Ranges = normal(
    [(9, 13), (0x2000, 0x200A), *((ord(c), ord(c)) for c in " \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff")]
)
_CLASSES: dict[str, Ranges] = {
    "d": _DIGITS, "D": complement(_DIGITS), "w": _WORD, "W": complement(_WORD), "s": _SPACE, "S": complement(_SPACE),
}  # fmt: skip
_DOT = complement((ord(c), ord(c)) for c in "\n\r\u2028\u2029")
_CONTROL = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "0": 0}


#: Long names of Unicode's general categories that people write.
_CATEGORIES = {
    "Letter": "L", "Uppercase_Letter": "Lu", "Lowercase_Letter": "Ll", "Mark": "M", "Number": "N", "digit": "Nd",
    "Decimal_Number": "Nd", "Punctuation": "P", "Symbol": "S", "Separator": "Z", "Space_Separator": "Zs", "Other": "C",
}  # fmt: skip


class Unsupported(Exception):
    """The expression uses something a grammar cannot hold; the message names it."""


def translate(pattern: str, *, anchored: bool = False) -> Node:
    """All texts in which `pattern` matches somewhere (or, when `anchored`, as a whole), as plain text.

    Raises Unsupported naming what cannot be expressed. Linear in the pattern.
    """
    if len(pattern) > MAX_PATTERN:
        raise Unsupported(f"expression of {len(pattern)} characters")
    reader = _Reader(pattern)
    node = reader.choice(0)
    if reader.at < len(pattern):
        raise Unsupported("unbalanced )")
    node = _open(node, not anchored, not anchored)
    if facts(node).refs:
        raise Unsupported("anchor in the middle")
    if facts(node).copies > MAX_EXPANSION:
        raise Unsupported("nested counts that multiply too far")
    return node


@cache
def category(name: str) -> Ranges:
    """Every character of a Unicode general category (`L`, `Letter`, `Lu`); none when there is no such. About 0.2 s,
    once per process."""
    short = _CATEGORIES.get(name, name)
    codes = (code for code in range(0x110000) if unicodedata.category(chr(code)).startswith(short))
    found: list[list[int]] = []
    for code in codes:
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return normal((low, high) for low, high in found)


def _is_look(node: Node) -> bool:
    return isinstance(node, And | Minus) and node.first == _HERE


def may_match(pattern: str, text: str) -> bool:
    """Whether `pattern` matches somewhere in `text`; False when it is no expression Python understands."""
    try:
        return re.search(pattern, text, re.ASCII) is not None
    except re.error:
        return False


def _open(node: Node, left: bool, right: bool) -> Node:
    """`node` with any text before (`left`) and after (`right`) it, except where an anchor says otherwise."""
    if isinstance(node, Alt):
        return alt(*(_open(option, left, right) for option in node.options))
    items = node.items if isinstance(node, Seq) else (node,)
    ahead = max((i for i, item in enumerate(items) if _is_look(item)), default=None)
    if ahead is not None:
        rest = _open(seq(*items[ahead + 1 :]), False, right)
        match items[ahead]:
            case And(_, wanted):
                rest = both(rest, _open(wanted, False, True))
            case Minus(_, unwanted):
                rest = minus(rest, _open(unwanted, False, True))
        return _open(seq(*items[:ahead], Token(rest)), left, False)
    if items and items[0] == _START:
        return _open(seq(*items[1:]), False, right)
    if items and items[-1] == _END:
        return _open(seq(*items[:-1]), left, False)
    if len(items) > 1 and isinstance(items[0], Alt):
        return seq(_open(items[0], left, False), _open(seq(*items[1:]), False, right))
    if len(items) > 1 and isinstance(items[-1], Alt):
        return seq(_open(seq(*items[:-1]), left, False), _open(items[-1], False, right))
    return seq(ANY if left else EMPTY, node, ANY if right else EMPTY)


class _Reader:
    """Recursive descent over one expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self, count: int = 1) -> str:
        return self.text[self.at : self.at + count]

    def take(self) -> str:
        if self.at >= len(self.text):
            raise Unsupported("unfinished expression")
        self.at += 1
        return self.text[self.at - 1]

    def choice(self, depth: int) -> Node:
        if depth > MAX_DEPTH // 4:
            raise Unsupported("too deeply nested groups")
        options = [self.sequence(depth)]
        while self.peek() == "|":
            self.at += 1
            options.append(self.sequence(depth))
        return alt(*options)

    def sequence(self, depth: int) -> Node:
        items: list[Node] = []
        while self.peek() not in ("", "|", ")"):
            items.append(self.counted(self.atom(depth)))
        return seq(*items)

    def counted(self, node: Node) -> Node:
        while match := _QUANTIFIER.match(self.text, self.at):
            self.at = match.end()
            sign, low, comma, high = match.groups()
            if sign:
                least, most = {"?": (0, 1), "*": (0, None), "+": (1, None)}[sign]
            else:
                least, most = int(low), int(high) if high else None if comma else int(low)
            if max(least, most or 0) > MAX_COUNT:
                raise Unsupported(f"count of {max(least, most or 0)}")
            if most is not None and most < least:
                raise Unsupported("count that runs backwards")
            if node in (_START, _END):
                raise Unsupported("repeated anchor")
            if most is None and (core := _without_empty(node)) != node:
                node, least = core, 0
            node = repeat(node, least, most)
        return node

    def atom(self, depth: int) -> Node:
        char = self.take()
        match char:
            case "^":
                return _START
            case "$":
                return _END
            case ".":
                return Chars(_DOT)
            case "[":
                return self.set()
            case "(":
                return self.group(depth)
            case "\\":
                found = self.escape()
                return Lit(chr(found)) if isinstance(found, int) else Chars(found)
            case "*" | "+" | "?":
                raise Unsupported(f"nothing to repeat before {char}")
        return Lit(char)

    def group(self, depth: int) -> Node:
        if self.peek() == "?":
            if self.peek(2) == "?:":
                self.at += 2
            elif self.peek(2) in ("?=", "?!"):
                return self.look(depth)
            elif named := re.compile(r"\?P?<[A-Za-z_]\w*>").match(self.text, self.at):
                self.at = named.end()
            else:
                raise Unsupported(f"group ({self.peek(3)}")
        node = self.choice(depth + 1)
        if self.peek() != ")":
            raise Unsupported("unfinished group")
        self.at += 1
        return node

    def look(self, depth: int) -> Node:
        kind = And if self.peek(2) == "?=" else Minus
        self.at += 2
        node = self.choice(depth + 1)
        if self.peek() != ")":
            raise Unsupported("unfinished group")
        self.at += 1
        return kind(_HERE, node)

    def escape(self) -> int | Ranges:
        char = self.take()
        if char in _CLASSES:
            return _CLASSES[char]
        if char in _CONTROL:
            return _CONTROL[char]
        if char == "u" and (braced := re.compile(r"\{([0-9A-Fa-f]{1,6})\}").match(self.text, self.at)):
            self.at = braced.end()
            return self.code(braced[1])
        if char in "pP" and (named := re.compile(r"\{(?:gc=|General_Category=)?(\w+)\}").match(self.text, self.at)):
            self.at = named.end()
            found = category(named[1])
            if not found:
                raise Unsupported(f"category {named[1]}")
            return found if char == "p" else complement(found)
        if char in "xu":
            digits = self.peek(2 if char == "x" else 4)
            if not re.fullmatch(r"[0-9A-Fa-f]{2}|[0-9A-Fa-f]{4}", digits):
                raise Unsupported(f"escape \\{char}{digits}")
            self.at += len(digits)
            return self.code(digits)
        if char.isalnum():
            raise Unsupported(f"escape \\{char}")
        return ord(char)

    @staticmethod
    def code(digits: str) -> int:
        code = int(digits, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise Unsupported(f"code point {digits}")
        return code

    def set(self) -> Node:
        negated = self.peek() == "^"
        self.at += negated
        ranges: list[tuple[int, int]] = []
        while self.peek() != "]":
            low = self.member()
            if isinstance(low, int) and self.peek() == "-" and self.peek(2) != "-]":
                self.at += 1
                high = self.member()
                if not isinstance(high, int) or high < low:
                    raise Unsupported("range of characters that runs backwards")
                ranges.append((low, high))
            else:
                ranges += [(low, low)] if isinstance(low, int) else low
        self.at += 1
        found = complement(ranges) if negated else normal(ranges)
        return Chars(found) if found else NOTHING

    def member(self) -> int | Ranges:
        char = self.take()
        if char != "\\":
            return ord(char)
        if self.peek() == "b":
            self.at += 1
            return 8
        return self.escape()


def _without_empty(node: Node) -> Node:
    """`node` less the empty text, so that repeating it without end stays unambiguous and finite."""
    match node:
        case Lit(""):
            return NOTHING
        case Alt(options):
            return alt(*map(_without_empty, options))
        case Repeat(item, low, high):
            core = _without_empty(item)
            return repeat(core, 1 if low == 0 or core != item else low, high)
        case Seq(items):
            cores = [_without_empty(item) for item in items]
            if any(core == item for core, item in zip(cores, items, strict=True)):
                return node
            return alt(*(seq(core, *items[i + 1 :]) for i, core in enumerate(cores)))
    return node

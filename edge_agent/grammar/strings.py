"""JSON strings as grammar: texts, sets of characters and whole nodes, spelled the way JSON spells them.

Two spellings. `SHORT`, for what a model is to write: the shortest one, characters as themselves save for `"`, `\\` and
controls. `DUMPED`, for what programs write: any that `json.dumps` gives, which is the shortest one or, with
`ensure_ascii`, `\\uXXXX` for characters beyond ASCII. A free string may have every legal spelling in both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from .ir import NOTHING, And, Chars, Lit, Minus, Node, Ref, alt, both, minus, repeat, rewrite, seq, token

Ranges = tuple[tuple[int, int], ...]
TOP = 0x10FFFF
#: Every code point that is a character (no surrogates).
ALL: Ranges = ((0, 0xD7FF), (0xE000, TOP))


def json_text(value: Any) -> str:
    """`value` as compact JSON, the one spelling that models are trained on."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair has no other spelling
        text = json.dumps(value, separators=(",", ":"))
    return text


def escape_text(text: str) -> str:
    """`text` as it stands between the quotes of a JSON string."""
    return json_text(text)[1:-1]


def quote(node: Node) -> Node:
    """`node`, which yields escaped text, between quotes."""
    return token(_quoted(node))


def _quoted(node: Node) -> Node:
    """The quotes go inside of And and Minus: llguidance finds it easier to see that any text may go on from there."""
    match node:
        case And(first, second):
            return both(_quoted(first), _quoted(second))
        case Minus(first, second):
            return minus(_quoted(first), _quoted(second))
    return seq(Lit('"'), node, Lit('"'))


def normal(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """`ranges` sorted, joined where they touch, without surrogates."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return tuple(
        (max(low, start), min(high, end))
        for low, high in found
        for start, end in ALL
        if max(low, start) <= min(high, end)
    )


def complement(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Every character outside `ranges`."""
    gaps, after = [], 0
    for low, high in normal(ranges):
        gaps.append((after, low - 1))
        after = high + 1
    return normal((low, high) for low, high in [*gaps, (after, TOP)] if low <= high)


def intersection(first: Iterable[tuple[int, int]], second: Iterable[tuple[int, int]]) -> Ranges:
    """Every character inside both."""
    return complement((*complement(first), *complement(second)))


def has(ranges: Ranges, code: int) -> bool:
    return any(low <= code <= high for low, high in ranges)


class Spelling:
    """One way to write characters inside JSON strings. `file` is the grammar of `grammars/` with its rules."""

    def __init__(self, file: str, *, dumped: bool) -> None:
        title = file.capitalize()
        self.file, self._dumped = file, dumped
        self._special, self._beyond = Ref(f"{title}-special"), Ref(f"{title}-beyond")
        #: Any text.
        self.any_text = repeat(self.char(ALL))

    def text(self, text: str) -> Node:
        """`text`, as it stands between the quotes."""
        if not self._dumped or not any(has(_BEYOND, ord(char)) for char in text):
            return Lit(escape_text(text))
        return seq(*(alt(Lit(escape_text(char)), Lit(json.dumps(char)[1:-1])) for char in text))

    def escape(self, node: Node) -> Node:
        """`node` over plain text as a node over escaped text; what it refers to is left as it is."""

        def leaf(node: Node) -> Node:
            match node:
                case Lit(text):
                    return self.text(text)
                case Chars(ranges, negated):
                    return self.char(complement(ranges) if negated else normal(ranges))
            return node

        return rewrite(node, leaf)

    @lru_cache(4096)  # noqa: B019 - there are two of these, for ever
    def char(self, ranges: Ranges) -> Node:
        """One character of `ranges`. May refer to rules of `file`."""
        plain = intersection(ranges, _PLAIN)
        letters = normal((ord(letter), ord(letter)) for code, letter in _SHORT.items() if has(ranges, code))
        controls = [code for code in _CONTROLS if has(ranges, code)]
        if len(controls) == len(_CONTROLS) and len(letters) == len(_LETTERS):
            special: Node = self._special
        else:
            special = alt(
                seq(Lit("\\"), Chars(letters)) if letters else NOTHING,
                *(Lit(f"\\u{code:04x}") for code in controls),
            )
        return alt(Chars(plain) if plain else NOTHING, special, self._spelled(intersection(ranges, _BEYOND)))

    def _spelled(self, ranges: Ranges) -> Node:
        """One character of `ranges`, all of them beyond ASCII, as `\\uXXXX`."""
        if not self._dumped or not ranges:
            return NOTHING
        return self._beyond if ranges == _BEYOND else alt(*(_units(low, high) for low, high in ranges))


def _units(low: int, high: int) -> Node:
    if high <= 0xFFFF:
        return seq(Lit("\\u"), _hex(low, high, 4))
    if low <= 0xFFFF:
        return alt(_units(low, 0xFFFF), _units(0x10000, high))
    (first, start), (last, end) = divmod(low - 0x10000, 0x400), divmod(high - 0x10000, 0x400)
    return alt(
        *(
            seq(_units(0xD800 + top, 0xD800 + bottom), _units(0xDC00 + begin, 0xDC00 + stop))
            for top, bottom, begin, stop in _blocks(first, last, start, end, 0x3FF)
        )
    )


def _blocks(first: int, last: int, start: int, end: int, most: int) -> list[tuple[int, int, int, int]]:
    """The pairs from (first, start) to (last, end), whose second goes from 0 to `most`, as rectangles."""
    if first == last or (start == 0 and end == most):
        return [(first, last, start, end)]
    middle = [(first + 1, last - 1, 0, most)] if last - first > 1 else []
    return [(first, first, start, most), *middle, (last, last, 0, end)]


def _hex(low: int, high: int, width: int) -> Node:
    """Numbers from `low` to `high` in that many lower-case hexadecimal digits."""
    if width == 0:
        return Lit("")
    size = 16 ** (width - 1)
    (first, start), (last, end) = divmod(low, size), divmod(high, size)
    return alt(
        *(
            seq(
                _digit(top, bottom),
                _hex(begin, stop, width - 1),
            )
            for top, bottom, begin, stop in _blocks(first, last, start, end, size - 1)
        )
    )


def _digit(low: int, high: int) -> Node:
    digits = "0123456789abcdef"[low : high + 1]
    return Lit(digits) if len(digits) == 1 else Chars(normal((ord(digit), ord(digit)) for digit in digits))


_SHORT = {0x22: '"', 0x5C: "\\", 0x08: "b", 0x0C: "f", 0x0A: "n", 0x0D: "r", 0x09: "t"}
_LETTERS = normal((ord(letter), ord(letter)) for letter in _SHORT.values())
_CONTROLS = [code for code in range(0x20) if code not in _SHORT]
_PLAIN = complement([(0, 0x1F), (0x22, 0x22), (0x5C, 0x5C)])
#: What `ensure_ascii` escapes although it need not be.
_BEYOND = complement([(0, 0x7E)])

SHORT = Spelling("json", dumped=False)
DUMPED = Spelling("json-text", dumped=True)

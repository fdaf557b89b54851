"""JSON strings as grammar: texts, sets of characters and whole nodes, spelled the way JSON spells them.

The spelling is the shortest one (`json.dumps(..., ensure_ascii=False)`): characters stand for themselves, except
`"`, `\\` and controls. The free string of `grammars/json.gbnf` also takes every other legal spelling.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import Any

from .ir import EMPTY, NOTHING, Alt, Chars, Lit, Node, Ref, Repeat, Seq, alt, repeat, seq

Ranges = tuple[tuple[int, int], ...]
TOP = 0x10FFFF
#: Every code point that is a character (no surrogates).
ALL: Ranges = ((0, 0xD7FF), (0xE000, TOP))
#: Every character that JSON must escape, in its shortest spelling: a rule of `grammars/json.gbnf`.
SPECIAL = Ref("Json-special")


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


def escape(node: Node) -> Node:
    """`node` over plain text (without Ref) as a node over JSON-escaped text."""
    match node:
        case Lit(text):
            return Lit(escape_text(text))
        case Chars(ranges, negated):
            return json_char(complement(ranges) if negated else normal(ranges))
        case Seq(items):
            return seq(*map(escape, items))
        case Alt(options):
            return alt(*map(escape, options))
        case Repeat(item, low, high):
            return repeat(escape(item), low, high)
    return node


@lru_cache(4096)
def json_char(ranges: Ranges) -> Node:
    """One character of `ranges` inside a JSON string. May mention SPECIAL."""
    plain = intersection(ranges, _PLAIN)
    letters = normal((ord(letter), ord(letter)) for code, letter in _SHORT.items() if has(ranges, code))
    controls = [code for code in _CONTROLS if has(ranges, code)]
    if len(controls) == len(_CONTROLS) and len(letters) == len(_LETTERS):
        return alt(Chars(plain), SPECIAL)
    return alt(
        Chars(plain) if plain else NOTHING,
        seq(Lit("\\"), Chars(letters)) if letters else NOTHING,
        *(Lit(f"\\u{code:04x}") for code in controls),
    )


def excluding(words: Collection[str], share: Callable[[Node], Node]) -> Node:
    """A JSON string that is none of `words`, as the complement of their trie; linear in their length.

    `share` makes a rule of a node, so that long words do not nest too deep. Only the shortest spelling of each
    character counts, so that a word cannot slip in as `\\u0061`.
    """
    return quote(_any_except(words, share, 0))


def _any_except(words: Collection[str], share: Callable[[Node], Node], depth: int) -> Node:
    heads: dict[str, list[str]] = {}
    for word in words:
        if word:
            heads.setdefault(word[0], []).append(word[1:])
    others = complement((ord(head), ord(head)) for head in heads)
    branches = [seq(Lit(escape_text(head)), _any_except(rest, share, depth + 1)) for head, rest in heads.items()]
    node = alt(*branches, seq(json_char(others), ANY_TEXT), NOTHING if "" in words else EMPTY)
    return share(node) if depth % 6 == 5 else node


_SHORT = {0x22: '"', 0x5C: "\\", 0x08: "b", 0x0C: "f", 0x0A: "n", 0x0D: "r", 0x09: "t"}
_LETTERS = normal((ord(letter), ord(letter)) for letter in _SHORT.values())
_CONTROLS = [code for code in range(0x20) if code not in _SHORT]
_PLAIN = complement([(0, 0x1F), (0x22, 0x22), (0x5C, 0x5C)])
#: Any text in its shortest spelling.
ANY_TEXT = repeat(json_char(ALL))

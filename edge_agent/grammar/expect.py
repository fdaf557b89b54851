"""What may come next, in words: for error messages, and for telling a model why its text was refused.

Words come from the bytes that a matcher allows and a bounded look ahead: `"minutes" or "label"` where `m` and `l`
may follow, `a digit or "-"` where a number begins. Blanks and escapes are named last, or not at all beside others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .ir import Grammar
from .matcher import TokenMatcher, byte_tokenizer

#: Most alternatives that are named, most characters of each, and of the text before them.
MOST = 6
MAX_WORD = 40
MAX_BEFORE = 40

_PRINTABLE = frozenset(range(0x20, 0x7F))
_BLANKS = frozenset(b" \t\n\r")
_QUOTE, _ESCAPE = b'"\\'
#: What a JSON string holds as it is; where nearly all of it may follow, the place is inside of a text.
_CONTENT = _PRINTABLE - {_QUOTE, _ESCAPE}
_MISSING = 4
_STRUCTURE = b"{}[],:"
_RUNS = (("digit", b"09"), ("letter", b"az"), ("letter", b"AZ"))
_LEAST_RUN = 3
_ANY, _BEYOND, _BLANK = "any character", "a character beyond ASCII", "a blank"


def expected(place: Grammar | TokenMatcher, before: str = "") -> str:
    """What may follow `before` at `place` (a grammar: its start): `a digit, "-" or nothing more`.

    Forced text is quoted whole; of more than six alternatives the first are named. A matcher stays where it is; its
    tokenizer has to know single bytes, as those of today do. Costs about a millisecond.
    """
    return _listed(_Place.of(place).after(before.encode()).alternatives())


def explain(place: Grammar | TokenMatcher, text: str) -> str:
    """Where and why `text` is refused, on one line; empty when it is not. As `expected` in everything else.

    `after {"minutes": (byte 11): expected a digit or "-", found "x"`
    """
    start = _Place.of(place)
    data = text.encode(errors="surrogatepass")
    taken = start.accepted(data)
    if taken == len(data) and start.after(data).matcher.complete:
        return ""
    legal = data[:taken].decode(errors="ignore")  # up to the character that is refused
    found = _quoted(text[len(legal)]) if len(legal) < len(text) else "the end"
    shown = "…" * (len(legal) > MAX_BEFORE) + _visible(legal[-MAX_BEFORE:])
    where = f"after {shown} (byte {len(legal.encode())})" if legal else "at the start"
    return f"{where}: expected {_listed(start.after(legal.encode()).alternatives())}, found {found}"


class _Place:
    """A matcher read byte by byte, whatever its tokens are."""

    def __init__(self, matcher: TokenMatcher, tokenizer: Any, ids: list[int]) -> None:
        self.matcher, self.tokenizer, self._ids = matcher, tokenizer, ids

    @staticmethod
    def of(place: Grammar | TokenMatcher) -> _Place:
        matcher = TokenMatcher(place, byte_tokenizer()) if isinstance(place, Grammar) else place
        return _Place(matcher, matcher.tokenizer, _byte_ids(matcher.tokenizer))

    def accepted(self, data: bytes) -> int:
        return self.matcher.accepted([self._ids[byte] for byte in data])

    def after(self, data: Iterable[int]) -> _Place:
        """The place after as much of `data` as is legal."""
        matcher = self.matcher.copy()
        all(matcher.accept(self._ids[byte]) for byte in data)
        return _Place(matcher, self.tokenizer, self._ids)

    def following(self) -> set[int]:
        mask = self.matcher.mask()
        if mask.sum() == 1 and not self.matcher.complete:  # a forced token may be longer than a byte
            return {self.tokenizer.decode_bytes([int(mask.argmax())])[0]}
        return {byte for byte, token in enumerate(self._ids) if token >= 0 and mask[token]}

    def alternatives(self) -> list[str]:
        if forced := self.matcher.forced_text():
            return [_quoted(forced)]
        named, single = self._classes(self.following())
        if named and named[0].startswith(_ANY):
            words = [_quoted(chr(byte)) for byte in single]
        else:
            words = [word for byte in sorted(single)[: MOST + 1] for word in self.after([byte]).words(bytes([byte]))]
        end = ["nothing more"] if self.matcher.complete else []
        last = [name for name in named if name == _BLANK]
        return list(dict.fromkeys([*(name for name in named if name != _BLANK), *words, *end, *last]))

    def words(self, text: bytes) -> list[str]:
        """`text`, which led here, completed to the words it may become."""
        if (word := _ended(text)) is not None:
            return [word]
        named, single = self._classes(self.following())
        if named or not 0 < len(single) <= MOST or self.matcher.complete or len(text) > MAX_WORD:
            return [_word(text)]
        return [word for byte in sorted(single) for word in self.after([byte]).words(text + bytes([byte]))]

    def _classes(self, following: set[int]) -> tuple[list[str], set[int]]:
        """Names for the kinds of characters among `following`, and the bytes that are no kind."""
        named: list[str] = []
        rest = set(following)
        missing = _CONTENT - rest
        if len(missing) <= _MISSING:
            but = f" but {_listed([_quoted(chr(byte)) for byte in sorted(missing)])}" if missing else " of a text"
            return [_ANY + but], rest & {_QUOTE}
        for kind, (first, last) in _RUNS:
            run = {byte for byte in rest if first <= byte <= last}
            if len(run) >= _LEAST_RUN and max(run) - min(run) == len(run) - 1 and self._alike(run):
                whole = (min(run), max(run)) == (first, last)
                bounds = f" from {chr(min(run))} to {chr(max(run))}" * (not whole or kind == "letter")
                named.append(f"a {kind}{bounds}")
                rest -= run
        if {*named} >= {"a letter from a to z", "a letter from A to Z"}:
            named = [name for name in named if "letter" not in name] + ["a letter"]
        beyond = {byte for byte in rest if byte >= 0x80}
        if len(beyond) > MOST:
            named.append(_BEYOND)
            rest -= beyond
        if {*b" \n"} <= rest:
            named.append(_BLANK)
            rest -= _BLANKS
        return named, rest - {_ESCAPE} if rest - {_ESCAPE} or named else rest

    def _alike(self, run: set[int]) -> bool:
        """Whether these bytes are one kind, and not the first letters of so many words."""
        return len({self.after([byte]).matcher.forced_text() for byte in run}) == 1


def _byte_ids(tokenizer: Any) -> list[int]:
    """The token that is each byte by itself; -1 where there is none."""
    found = (tokenizer.tokenize_bytes(bytes([byte])) for byte in range(256))
    return [ids[0] if len(ids) == 1 else -1 for ids in found]


def _ended(text: bytes) -> str | None:
    """The first word of `text` if it is over: at the quote that closes it, or before punctuation."""
    if text[0] in _STRUCTURE:
        return _word(text[:1])
    if text[0] == _QUOTE:
        end = text.find(b'"', 1)
        return _word(text[: end + 1]) if end > 0 else None
    end = min((i for i, byte in enumerate(text) if byte == _QUOTE or byte in _STRUCTURE), default=-1)
    return _word(text[:end]) if end > 0 else None


def _word(text: bytes) -> str:
    word = text.decode(errors="ignore")
    return _quoted(word if len(word) <= MAX_WORD else word[:MAX_WORD] + "…") if word else _BEYOND


def _quoted(text: str) -> str:
    if '"' not in text:
        return f'"{_visible(text)}"'
    string = text.count('"') == 2 and len(text) > 2 and text[0] == text[-1] == '"'
    return _visible(text) if string else f"'{_visible(text)}'"


def _visible(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _listed(words: list[str]) -> str:
    if not words:
        return "nothing more"
    if len(words) > MOST:
        words = [*words[: MOST - 1], "others"]
    return f"{', '.join(words[:-1])} or {words[-1]}" if words[1:] else words[0]

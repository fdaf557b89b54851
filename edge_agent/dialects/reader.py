"""One cursor over a model's answer: JSON, pythonic and `<escape>` values; errors name the position."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import InputError

BLANKS = " \t\r\n"
ESCAPE = "<escape>"
MAX_ANSWER_CHARS = 1 << 16
MAX_DEPTH = 64

#: tool names that pythonic and tagged formats can write without quotes
NAME = re.compile(r"[^\s()\[\]{}<>,=\"'`]+")
#: the same for argument names, which a colon or an equals sign follows
KEY = re.compile(r"[^\s()\[\]{}<>,=:\"'`]+")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?P<fraction>(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])", re.ASCII)
_WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'', re.DOTALL)
_BACKSLASH = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": ""}


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key is repeated")
    return members


def _finite(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_distinct, parse_constant=_finite)


def _unescape(match: re.Match[str]) -> str:
    digits = match[1] or match[2]
    return chr(int(digits, 16)) if digits else _ESCAPES.get(match[3], match[3])


@dataclass(slots=True)
class Reader:
    """`text` read from `pos` on. `family` is the dialect's name, for messages. Nothing is ever evaluated.

    Raises (all methods): InputError with a 0-based character position.
    """

    text: str
    family: str
    pos: int = 0

    def refuse(self, expected: str, at: int | None = None) -> InputError:
        at = self.pos if at is None else at
        found = repr(self.text[at : at + 24]) if at < len(self.text) else "the end"
        return InputError(f"{self.family} answer: expected {expected} at character {at}, found {found}")

    def blanks(self) -> None:
        while self.pos < len(self.text) and self.text[self.pos] in BLANKS:
            self.pos += 1

    def peek(self, *tokens: str) -> bool:
        return self.text.startswith(tokens, self.pos)

    def take(self, token: str) -> bool:
        """Skips blanks, then `token` if it is there."""
        self.blanks()
        if not self.peek(token):
            return False
        self.pos += len(token)
        return True

    def need(self, token: str) -> None:
        if not self.take(token):
            raise self.refuse(repr(token))

    def match(self, pattern: re.Pattern[str], expected: str) -> re.Match[str]:
        found = pattern.match(self.text, self.pos)
        if not found:
            raise self.refuse(expected)
        self.pos = found.end()
        return found

    def json(self) -> Any:
        """The JSON value here: finite numbers, distinct keys, text that is valid Unicode."""
        self.blanks()
        start = self.pos
        try:
            value, self.pos = _DECODER.raw_decode(self.text, start)
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except json.JSONDecodeError as error:
            raise self.refuse("JSON", error.pos) from None
        except (ValueError, RecursionError):
            # repeated keys, infinities, lone surrogates, numbers of thousands of digits, bottomless nesting
            raise self.refuse("JSON of distinct keys, finite numbers and moderate depth", start) from None
        return value

    def literal(self, depth: int = 0) -> Any:
        """A pythonic value: Python or JSON words, either quote, `<escape>` strings, bare keys."""
        self.blanks()
        if depth > MAX_DEPTH:
            raise self.refuse(f"no more than {MAX_DEPTH} levels of nesting")
        if self.take("["):
            return self._items("]", lambda: self.literal(depth + 1))
        if self.take("{"):
            return self.members("}", ":", depth + 1)
        if self.peek('"', "'", ESCAPE):
            return self.string()
        if number := _NUMBER.match(self.text, self.pos):
            return self._number(number)
        start = self.pos
        word = self.match(KEY, "a value")[0]
        if word not in _WORDS:
            raise self.refuse("a value", start)
        return _WORDS[word]

    def members(self, closer: str, sign: str, depth: int = 0) -> dict[str, Any]:
        """`key sign value, …` up to and including `closer`."""
        members: dict[str, Any] = {}

        def member() -> None:
            self.blanks()
            start = self.pos
            key = self.string() if self.peek('"', "'", ESCAPE) else self.match(KEY, "a name")[0]
            if key in members:
                raise self.refuse(f"each name once, not {key!r} again", start)
            self.need(sign)
            members[key] = self.literal(depth)

        self._items(closer, member)
        return members

    def string(self) -> str:
        start = self.pos
        if self.take(ESCAPE):
            end = self.text.find(ESCAPE, self.pos)
            if end < 0:
                raise self.refuse(f"a closing {ESCAPE}", len(self.text))
            value = self.text[self.pos : end]
            self.pos = end + len(ESCAPE)
            return value
        quoted = self.match(_QUOTED, "a quoted string")
        raw = _BACKSLASH.sub(_unescape, quoted[1] if quoted[1] is not None else quoted[2])
        try:
            return raw.encode("utf-16", "surrogatepass").decode("utf-16")  # joins surrogate pairs
        except UnicodeDecodeError:
            raise self.refuse("a string of valid Unicode", start) from None

    def _items(self, closer: str, item: Callable[[], Any]) -> list[Any]:
        items: list[Any] = []
        while not self.take(closer):
            if items:
                self.need(",")
                if self.take(closer):  # Python allows a comma before the closer
                    break
            items.append(item())
        return items

    def _number(self, number: re.Match[str]) -> int | float:
        try:
            value = float(number[0]) if number["fraction"] else int(number[0])
        except ValueError:  # Python refuses to convert thousands of digits
            raise self.refuse("a shorter number") from None
        if value in (float("inf"), float("-inf")):
            raise self.refuse("a finite number")
        self.pos = number.end()
        return value

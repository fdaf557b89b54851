"""What `format` of JSON Schema 2020-12 asserts, and three formats of our own, as `x-edge-path`: schemas of others say
`path` and `url` too, and mean other things by them.

Most formats are regular, and their file in `grammars/` says all. `check` adds what no small grammar holds: lengths of
whole names, what internationalised labels stand for (RFC 5890 to 5893, by the library `idna`), leap seconds at an
offset, and `regex`, which nests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING
from unicodedata import bidirectional

from .library import grammar_file
from .matcher import TextMatcher

if TYPE_CHECKING:
    from jsonschema import FormatChecker

#: What the names of our own begin with.
OWN = "x-edge-"
#: Formats with a grammar, and its file in `grammars/`.
FORMATS = {f"{OWN}{file}": file for file in ("identifier", "path", "url")} | {
    file: file for file in (
        "date", "date-time", "duration", "email", "hostname", "idn-email", "idn-hostname", "ipv4", "ipv6", "iri",
        "iri-reference", "json-pointer", "relative-json-pointer", "time", "uri", "uri-reference", "uri-template",
        "uuid",
    )
}  # fmt: skip


def check(kind: str, text: str) -> bool:
    """Whether `text` is of the format `kind`; True for a format that is none of `FORMATS` and not `regex`.

    Costs a few ms at the first text of a kind, then some 3 µs a character. Text that is no Unicode (half a
    surrogate pair) is of no format with a grammar.
    """
    if kind in FORMATS and not _matches(kind, text):
        return False
    return kind not in BEYOND or BEYOND[kind][0](text)


def unheld(kind: str) -> str | None:
    """What the grammar of a format does not hold, in words; None when it holds all."""
    if kind in BEYOND:
        return f"{BEYOND[kind][1]} checked after decoding"
    return None if kind in FORMATS else f"{kind!r} is not known, and not checked"


@cache
def format_checker() -> FormatChecker:
    """For `jsonschema`: asserts by `check` and nothing else."""
    from jsonschema import FormatChecker

    checker = FormatChecker(formats=())
    for kind in FORMATS.keys() | BEYOND.keys():
        checker.checks(kind)(partial(_check_value, kind))
    return checker


def _check_value(kind: str, value: object) -> bool:
    return not isinstance(value, str) or check(kind, value)


@cache
def _matcher(kind: str) -> TextMatcher:
    return TextMatcher(grammar_file(FORMATS[kind]))


def _matches(kind: str, text: str) -> bool:
    try:
        return _matcher(kind).accepts(text)
    except UnicodeEncodeError:
        return False


def _leap(text: str) -> bool:
    """Whether a leap second is the last one of a day in UTC (RFC 3339 section 5.7)."""
    if not (match := _LEAP.search(text)):
        return True
    hour, minute, offset_hour, offset_minute = (int(match[i] or 0) for i in (1, 2, 4, 5))
    offset = offset_hour * 60 + offset_minute
    return (hour * 60 + minute - (-offset if match[3] == "-" else offset)) % 1440 == 1439


def _mail(text: str) -> bool:
    """The lengths of RFC 5321 section 4.5.3.1, in bytes."""
    local, _, domain = text.rpartition("@")
    return len(local.encode()) <= 64 and len(domain.encode()) <= 255


def _host(text: str) -> bool:
    """The length of RFC 1123, and labels with `xn--` that stand for something (RFC 5891 section 5.4)."""
    import idna

    try:
        for label in text.lower().split("."):
            if label.startswith("xn--"):
                idna.ulabel(label)
    except UnicodeError:
        return False
    return len(text) <= 253


def _idn_host(text: str) -> bool:
    """IDNA 2008: each label, their lengths, and all of them fit for a name with text from right to left."""
    import idna

    try:
        labels = idna.decode(idna.encode(text)).split(".")
        leftward = any(bidirectional(char) in ("R", "AL", "AN") for label in labels for char in label)
        return not leftward or all(idna.check_bidi(label, check_ltr=True) for label in labels)
    except UnicodeError:
        return False


def _expression(text: str) -> bool:
    """Whether `text` is a regular expression of ECMA-262 with its flag `u`; as without the flag, any punctuation may
    be escaped and lone closing or curly brackets stand for themselves. Linear.
    """
    names: set[str | None] = {None}
    groups = at = 0
    mentioned: list[str | None] = []
    numbers = [0]
    opened: list[bool] = []  # for each open group, whether a count may follow it
    countable = False
    while at < len(text):
        if not (match := _PIECE.match(text, at)):
            return False
        at, kind = match.end(), match.lastgroup
        match kind:
            case "open":
                names.add(match["name"])
                groups += match[0] == "(" or match["name"] is not None
                opened.append(not match[0].startswith(("(?<=", "(?<!")))
            case "close" if not opened:
                return False
            case "count" if not countable or int(match["low"] or 0) > int(match["high"] or 10**9):
                return False
            case "set" if not _ordered(match[0]):
                return False
            case "back":
                mentioned.append(match["to"])
                numbers.append(int(match["number"] or 0))
        countable = opened.pop() if kind == "close" else kind in ("atom", "set", "back")
    return not opened and names.issuperset(mentioned) and max(numbers) <= groups


def _ordered(found: str) -> bool:
    """Whether the ranges of a set of characters run forwards."""
    ends = ((_code(low), _code(high)) for low, high in _RANGE.findall(found[1:-1].removeprefix("^")))
    return all(low is None or high is None or low <= high for low, high in ends)


def _code(atom: str) -> int | None:
    """The character an atom of a set stands for; None for a class of them."""
    kind, rest = atom[1:2], atom[2:]
    if kind and kind in "dDwWsSpP":
        return None
    if kind == "x" or rest.startswith("{"):
        return int(rest.strip("{}"), 16)
    if kind == "c":
        return ord(rest) % 32
    if kind and kind in "bfnrtu":
        return ord(json.loads(f'"{atom}"'))
    return {"0": 0, "v": 11}.get(kind, ord(atom[-1]))


_LEAP = re.compile(r"(\d\d):(\d\d):60(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))$")
_ESCAPE = (
    r"\\(?:u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|c[A-Za-z]"
    r"|u\{0*(?:10|[0-9A-Fa-f])?[0-9A-Fa-f]{1,4}\}|[pP]\{[A-Za-z0-9_]+(?:=[A-Za-z0-9_]+)?\}|0(?![0-9])"
    r"|[dDwWsSfnrtv]|[^0-9A-Za-z])"
)
_INNER = rf"(?:{_ESCAPE}|\\b|[^\]\\])"
_NAME = r"(?:[^\W\d]|\$)[\w$]*"
_RANGE = re.compile(f"({_INNER})-({_INNER})", re.DOTALL)
_PIECE = re.compile(
    rf"(?P<open>\((?:\?(?:[:=!]|<[=!]|<(?P<name>{_NAME})>|(?:[ims]+(?:-[ims]*)?|-[ims]+):))?)"
    rf"|(?P<close>\))"
    rf"|(?P<count>[*+?]\??|\{{(?P<low>[0-9]{{1,9}})(?:,(?P<high>[0-9]{{1,9}})?)?\}}\??)"
    rf"|(?P<set>\[\^?{_INNER}*\])"
    rf"|(?P<back>\\k<(?P<to>{_NAME})>|\\(?P<number>[1-9][0-9]{{0,8}}))"
    rf"|(?P<edge>[|^$]|\\[bB])"
    rf"|(?P<atom>{_ESCAPE}|[^\\()\[*+?])",
    re.DOTALL,
)
#: What `check` asks of a format beyond its grammar, if it has one, and that in words.
BEYOND: dict[str, tuple[Callable[[str], bool], str]] = {
    **dict.fromkeys(("date-time", "time"), (_leap, "a leap second at an offset is")),
    **dict.fromkeys(("email", "idn-email"), (_mail, "the lengths before and after the @ are")),
    "hostname": (_host, "the length of all and labels with xn-- are"),
    "idn-hostname": (_idn_host, "the characters and lengths of labels are"),
    "regex": (_expression, "whether it is a regular expression is"),
}

"""Where each argument comes from: candidates before decoding, and a trace after it.

A parameter declared with `copied(kind)` may only take spans of the person's own words. Which spans: for
`when`, `duration` and `number` the longest ones that the parsers in `when.py` understand; for `email` and
`url` those that look like one; for `text`, `name` and `path` any run of words. When exactly one moment,
duration or number stands in the sentence and the tool has a slot for it, its words are not part of any text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .tools import COPY_KEYWORD, Tool

_LONGEST_SPAN_WORDS = 9
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_URL = re.compile(
    r"(?:https?://|www\.)[^\s<>\"']+|(?<![\w@.-])[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|io|dev|edu|gov|uk|de|fr|eu|info|me|app)(?:/[^\s<>\"']*)?"
)
_WORD = re.compile(r"\S+")
_PREPOSITION = re.compile(r"^(?:for|at|on|by|in|to|of|from|until|till|before|after|around|about)\s+", re.IGNORECASE)
_EDGE = ".,;:!?\"'“”‘’()[]{}<>«»…"


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the request: text[start:end]. short: the same without its leading preposition, if it means as much."""

    start: int
    end: int
    text: str
    short: str = ""


def copy_kinds(tool: Tool) -> dict[str, str]:
    """Parameter name -> kind, of the tool's copied parameters."""
    properties: Mapping[str, Any] = tool.parameters.get("properties", {})
    found = {}
    for name, schema in properties.items():
        options = [schema, *schema.get("anyOf", ())]
        kind = next((option[COPY_KEYWORD] for option in options if COPY_KEYWORD in option), None)
        if kind:
            found[name] = str(kind)
    return found


def candidates(kind: str, text: str, now: datetime) -> tuple[Span, ...] | None:
    """Legal spans of a kind in `text`, in order; None means any run of words."""
    if kind in ("email", "url"):
        pattern = _EMAIL if kind == "email" else _URL
        found = ((m.start(), m[0].rstrip(_EDGE)) for m in pattern.finditer(text))
        return tuple(Span(start, start + len(piece), piece) for start, piece in found)
    from . import when

    parsers: Mapping[str, Callable[[str], object]] = {
        "when": lambda span: when.parse_moment(span, now),
        "duration": when.parse_duration,
        "number": when.parse_number,
    }
    if kind not in parsers:
        return None
    return _longest(text, parsers[kind])


def free_text(text: str, taken: Iterable[Span]) -> str:
    """`text` with the words of `taken` (which may overlap) replaced by line breaks, which no copied span crosses."""
    kept, end = [], 0
    for span in sorted(taken, key=lambda s: s.start):
        kept.append(text[end : span.start])
        end = max(end, span.end)
    return "\n".join([*kept, text[end:]])


def trace(value: Any, schema: Mapping[str, Any], text: str) -> str:
    """Source of one argument: `request` (stands in the person's words), `option` (a value the tool offers),
    `default`, or `model` (from nowhere that can be shown)."""
    for choice in (schema, *schema.get("anyOf", ())):
        if value in choice.get("enum", [choice["const"]] if "const" in choice else ()):
            return "option"
    if value is None or isinstance(value, bool) or ("default" in schema and value == schema["default"]):
        return "default" if value is None or value == schema.get("default") else "option"
    if isinstance(value, (int, float)):
        from . import when

        spoken = (when.parse_number(word.strip(_EDGE)) for word in text.split())
        return "request" if any(number == value for number in spoken) else "model"
    if isinstance(value, (list, dict)):
        parts = value.items() if isinstance(value, dict) else (("items", item) for item in value)
        about = schema.get("properties", {}) if isinstance(value, dict) else schema
        sources = {trace(part, about.get(name, {}), text) for name, part in parts}
        return "model" if "model" in sources else "request"
    said = " ".join(str(value).casefold().split())
    return "request" if said and said in " ".join(text.casefold().split()) else "model"


def _longest(text: str, parse: Callable[[str], object]) -> tuple[Span, ...]:
    """Spans of up to nine words that `parse` understands and that lie in no longer such span."""
    words = [
        (m.start() + len(m[0]) - len(m[0].lstrip(_EDGE)), m.end() - (len(m[0]) - len(m[0].rstrip(_EDGE))))
        for m in _WORD.finditer(text)
    ]
    words = [(start, end) for start, end in words if start < end]
    found: list[Span] = []
    first = 0
    while first < len(words):
        for last in range(min(len(words), first + _LONGEST_SPAN_WORDS) - 1, first - 1, -1):
            start, end = words[first][0], words[last][1]
            piece = text[start:end]
            if "\n" not in piece and parse(piece) is not None:
                short = _PREPOSITION.sub("", piece)
                means = short != piece and parse(short) is not None
                found.append(Span(start, end, piece, short if means else ""))
                first = last
                break
        first += 1
    return tuple(found)

"""How likely is the call right? A number that says how much it is worth.

The value is the probability of the chosen tool times that of its least certain argument, both renormalised
over what the grammar allowed. It orders calls; it is not calibrated, so its bounds are [0, 1] and
`calibrated` is False. Values that come from nowhere halve it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .decode import Decoding
from .verify import Verdict


@dataclass(frozen=True, slots=True)
class Confidence:
    """value in [low, high], all 0 to 1; `arguments` holds one probability per argument."""

    value: float
    low: float
    high: float
    calibrated: bool
    tool: float
    arguments: Mapping[str, float]


def score(decoding: Decoding, verdict: Verdict, offset: int, *, chosen: float = 1.0) -> tuple[Confidence, int]:
    """Confidence in one call, found in the answer's text from `offset` on; returns the offset after it.

    chosen: probability of its tool where that was chosen before decoding (`choose.posterior`), so that the
    grammar forced its name.
    """
    call = verdict.call
    at = max(decoding.text.find(call.name, offset), offset)
    body = at + len(call.name)
    named = chosen * decoding.probability(offset, body)
    arguments: dict[str, float] = {}
    for name, value in call.arguments.items():
        start = _find(decoding.text, f"{json.dumps(name, ensure_ascii=False)}:", body)
        end = start + len(json.dumps(name)) + 1 + len(_minified(value))
        arguments[name] = decoding.probability(start, end)
        body = max(body, min(end, len(decoding.text)))
    value = named * min(arguments.values(), default=1.0)
    if verdict.outcome == "unsure":
        value /= 2
    return Confidence(value, 0.0, 1.0, False, named, arguments), body


def _find(text: str, piece: str, start: int) -> int:
    found = text.find(piece, start)
    return start if found < 0 else found


def _minified(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def unanswered(call_probability: float) -> Confidence:
    """Confidence in not calling: the probability that the model gave to declining or asking."""
    return Confidence(1.0 - call_probability, 0.0, 1.0, False, 1.0 - call_probability, {})

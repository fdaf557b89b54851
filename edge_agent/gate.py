"""Step 6: act, ask, retry or decline. One place, one decision, with its reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .confidence import Confidence
from .config import Settings
from .dialects.base import Reply
from .events import DecisionKind
from .verify import Verdict


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now. `ask` names the parameters to ask for; `confidence` is that of the weakest call."""

    kind: DecisionKind
    reason: str
    confidence: float
    asks: tuple[str, ...] = ()


def decide(
    reply: Reply,
    verdicts: Sequence[Verdict],
    confidences: Sequence[Confidence],
    settings: Settings,
    *,
    retries_left: int,
    relevance: float = math.inf,
) -> Decision:
    """Decides on one answer.

    A request that resembles no tool is declined (relevance: the best retrieval score over the least usual one;
    infinite where not in use). Failing calls are retried with the diagnosis while there are retries, then asked
    about; weak calls are asked about; an empty answer declines.
    """
    confidence = min((each.value for each in confidences), default=0.0)
    if relevance < 1.0:
        return Decision("decline", f"no tool resembles this (relevance {relevance:.2f})", confidence)
    if reply.asks:
        return Decision("ask", "the model needs " + ", ".join(reply.asks), confidence, reply.asks)
    if not verdicts:
        return Decision("decline", "no tool fits", confidence)
    failed = next((verdict for verdict in verdicts if verdict.outcome == "fail"), None)
    if failed:
        if retries_left:
            return Decision("retry", failed.reason, confidence)
        if failed.parameter:
            return Decision("ask", failed.reason, confidence, (failed.parameter,))
        return Decision("decline", failed.reason, confidence)
    if confidence < settings.act_above:
        weakest = min(zip(confidences, verdicts, strict=True), key=lambda pair: pair[0].value)
        doubtful = min(weakest[0].arguments, key=weakest[0].arguments.__getitem__, default="")
        return Decision(
            "ask",
            f"confidence {confidence:.2f} is below {settings.act_above:.2f}",
            confidence,
            (doubtful,) if doubtful else (),
        )
    return Decision("act", "verified", confidence)

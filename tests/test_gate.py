from __future__ import annotations

from typing import Any

import pytest

from edge_agent.confidence import Confidence
from edge_agent.config import Settings
from edge_agent.dialects.base import Call, Reply
from edge_agent.gate import decide
from edge_agent.verify import Verdict

CALL = Call("jot", {"text": "milk"})


def verdict(outcome: Any = "pass", reason: str = "", parameter: str = "") -> Verdict:
    return Verdict(CALL, None, outcome, reason, parameter, {})


def sure(value: float, **arguments: float) -> Confidence:
    return Confidence(value, 0.0, 1.0, False, value, arguments)


CALLS = Reply(calls=(CALL,))
FAILED = verdict("fail", "text: too long", "text")
NOBODYS = verdict("fail", "no such tool")


@pytest.mark.parametrize(
    ("reply", "verdicts", "confidences", "retries", "kind", "reason", "asks"),
    [
        (CALLS, [verdict()], [sure(0.9)], 1, "act", "verified", ()),
        (CALLS, [verdict("unsure")], [sure(0.9)], 1, "act", "verified", ()),
        (Reply(), [], [sure(0.8)], 1, "decline", "no tool fits", ()),
        (Reply(asks=("when", "text")), [], [sure(0.8)], 1, "ask", "the model needs when, text", ("when", "text")),
        (Reply(asks=("when",)), [FAILED], [sure(0.8)], 1, "ask", "the model needs when", ("when",)),
        (CALLS, [FAILED], [sure(0.8)], 1, "retry", "text: too long", ()),
        (CALLS, [verdict(), FAILED], [sure(0.9), sure(0.8)], 1, "retry", "text: too long", ()),
        (CALLS, [FAILED], [sure(0.8)], 0, "ask", "text: too long", ("text",)),
        (CALLS, [NOBODYS], [sure(0.8)], 0, "decline", "no such tool", ()),
        (CALLS, [verdict()], [sure(0.4, text=0.4, when=0.7)], 1, "ask", "confidence 0.40 is below 0.50", ("text",)),
        (CALLS, [verdict(), verdict()], [sure(0.9, a=0.9), sure(0.3, b=0.3)], 1, "ask", "confidence 0.30 is below 0.50",
         ("b",)),
        (CALLS, [verdict()], [sure(0.4)], 1, "ask", "confidence 0.40 is below 0.50", ()),
        (CALLS, [verdict()], [sure(0.5)], 1, "act", "verified", ()),
    ],
)  # fmt: skip
def test_one_decision_with_its_reason(
    reply: Reply,
    verdicts: list[Verdict],
    confidences: list[Confidence],
    retries: int,
    kind: str,
    reason: str,
    asks: tuple[str, ...],
) -> None:
    decision = decide(reply, verdicts, confidences, Settings(act_above=0.5), retries_left=retries)
    assert (decision.kind, decision.reason, decision.asks) == (kind, reason, asks)
    assert decision.confidence == min(each.value for each in confidences)


def test_without_a_threshold_every_verified_call_is_made() -> None:
    assert decide(CALLS, [verdict()], [sure(0.0)], Settings(act_above=0.0), retries_left=0).kind == "act"

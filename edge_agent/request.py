"""One request as data: what it is while it runs, and what it was when it is over."""

from __future__ import annotations

import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from .dialects.base import Message, Reply
from .errors import EXIT_OK
from .ledger import CallRow, Row

if TYPE_CHECKING:
    from .gate import Decision
    from .tools import Tool
    from .verify import Verdict

T = TypeVar("T")
_TOKENS = ("prompt", "reused", "generated", "forced", "passes")


@dataclass(frozen=True, slots=True)
class Result:
    """A finished request. `exit_code` is what `edge-agent ask` returns; `calls` ran in this order.

    decision: act, ask, decline, or failed (a call was made and its tool failed).
    asks: parameters the person is asked for. tokens: prompt, reused, generated, forced, and forward passes.
    energy: joules with bounds, source, scope and method, None where unknown. steps_ms: by step name.
    """

    id: str
    text: str
    answer: str
    decision: str
    confidence: float
    calls: tuple[CallRow, ...] = ()
    asks: tuple[str, ...] = ()
    error: str = ""
    exit_code: int = EXIT_OK
    tokens: Mapping[str, int] = field(default_factory=dict)
    steps_ms: Mapping[str, float] = field(default_factory=dict)
    elapsed_ms: float = 0.0
    energy: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it: lists, not tuples."""
        return {**asdict(self), "calls": [asdict(call) for call in self.calls], "asks": list(self.asks)}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Result:
        """Inverse of `as_dict`."""
        calls = tuple(CallRow(**row) for row in values["calls"])
        return Result(**{**values, "calls": calls, "asks": tuple(values["asks"])})


@dataclass(frozen=True, slots=True)
class Answer:
    """What steps 1 to 6 came to. calling: the probability of calling a tool rather than declining or asking."""

    reply: Reply
    verdicts: Sequence[Verdict]
    decision: Decision
    calling: float


@dataclass(slots=True)
class Conversation:
    """Earlier turns, and the person's words that still wait for an answer. Pass the same one to every `run`."""

    turns: list[Message] = field(default_factory=list)
    open_words: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Trip:
    """The working state of one request: counters and calls so far."""

    text: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    began: float = field(default_factory=time.perf_counter)
    steps_ms: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_TOKENS, 0))
    kept: tuple[str, ...] = ()
    calls: list[CallRow] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def lap(self, step: str, since: float) -> float:
        """Adds the time since `since` (perf_counter) to a step; returns it in milliseconds."""
        elapsed_ms = (time.perf_counter() - since) * 1e3
        self.steps_ms[step] = self.steps_ms.get(step, 0.0) + elapsed_ms
        return elapsed_ms

    def count(self, **tokens: int) -> None:
        for name, number in tokens.items():
            self.tokens[name] += number

    def close(self, result: Result, energy: Mapping[str, Any]) -> Result:
        """`result` with the calls and figures of this trip, which ends now."""
        return replace(
            result,
            calls=tuple(self.calls),
            tokens=dict(self.tokens),
            steps_ms={step: round(ms, 2) for step, ms in self.steps_ms.items()},
            elapsed_ms=round((time.perf_counter() - self.began) * 1e3, 2),
            energy=energy,
        )

    def row(self, result: Result, stages: Mapping[str, float], *, model: str, offered: int) -> Row:
        """The ledger's row of this trip."""
        return Row(
            id=self.id,
            at=time.time(),
            model=model,
            text=self.text,
            answer=result.answer,
            tools_offered=offered,
            tools_kept=self.kept,
            prompt_tokens=self.tokens["prompt"],
            reused_tokens=self.tokens["reused"],
            generated_tokens=self.tokens["generated"],
            forced_tokens=self.tokens["forced"],
            elapsed_ms=result.elapsed_ms,
            steps_ms=result.steps_ms,
            energy=result.energy or None,
            steps_joules=stages or None,
            confidence=result.confidence,
            decision=result.decision,
            error=result.error or None,
            calls=tuple(self.calls),
        )


def last(steps: Generator[Any, None, T]) -> T:
    """Runs a generator to its end and returns what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            found: T = stop.value
            return found


def question(asks: Sequence[str], tool: Tool | None) -> str:
    """What the person is asked, when these parameters of a tool are missing."""
    described: Mapping[str, Any] = tool.parameters.get("properties", {}) if tool else {}
    parts = []
    for name in asks:
        about = str(described.get(name, {}).get("description") or "").rstrip(".")
        parts.append(f"{name.replace('_', ' ')} ({about})" if about else name.replace("_", " "))
    purpose = f" to {tool.name.replace('_', ' ')}" if tool else ""
    return f"I need more{purpose}: {'; '.join(parts) or 'please say more'}?"

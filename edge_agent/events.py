"""What a request reports while it runs: frozen dataclasses that every surface shares.

Each event is JSON both ways (`to_json`, `from_json`); times are milliseconds, probabilities 0 to 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

DecisionKind = Literal["act", "ask", "retry", "escalate", "decline"]


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """Something the person should know that is not the answer (a model being prepared, a context trimmed)."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Retrieved(Event):
    """Step 1: tools kept of `offered`, best first, with their scores."""

    offered: int = 0
    kept: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    elapsed_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Prompted(Event):
    """Step 2: tokens of the prompt, and how many of them were already evaluated."""

    tokens: int = 0
    reused_tokens: int = 0
    elapsed_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Decoded(Event):
    """Step 4: what the model wrote. forced_tokens cost no choice; passes are forward passes."""

    text: str = ""
    tokens: int = 0
    forced_tokens: int = 0
    passes: int = 0
    call_probability: float = 0.0
    elapsed_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Verified(Event):
    """Step 5: one call's verdict, where each argument came from, and the confidence in it."""

    tool: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    verdict: Literal["pass", "fail", "unsure"] = "pass"
    reason: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class Decided(Event):
    """Step 6: the one decision and why."""

    decision: DecisionKind = "act"
    reason: str = ""
    confidence: float = 0.0
    calibrated: bool = False


@dataclass(frozen=True, slots=True)
class CallStarted(Event):
    """Step 7: a call is about to run."""

    tool: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    effect: str = ""


@dataclass(frozen=True, slots=True)
class CallFinished(Event):
    """Step 7: its result; `error` is empty when it worked. `action` is the journal's id."""

    tool: str = ""
    text: str = ""
    data: Any = None
    error: str = ""
    action: int = 0
    elapsed_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Answered(Event):
    """Step 8: what the person is told, and the whole request in numbers (`result` is `Result.as_dict()`)."""

    text: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)


def all_events() -> dict[str, type[Event]]:
    """Every event type by the name used in JSON."""
    return {cls.__name__: cls for cls in Event.__subclasses__()}


def to_json(event: Event) -> str:
    """One JSON object. What a tool returned that is not JSON (a date, a path) is written as its text."""
    return json.dumps({"event": type(event).__name__, **asdict(event)}, ensure_ascii=False, default=str)


def from_json(text: str) -> Event:
    """Inverse of `to_json`. Raises ValueError naming what is wrong."""
    values = json.loads(text)
    kind = all_events().get(str(values.pop("event", ""))) if isinstance(values, dict) else None
    if kind is None:
        raise ValueError(f"not an event: {text[:80]!r}")
    known = {f for f in kind.__dataclass_fields__ if f in values}
    if set(values) - known:
        raise ValueError(f"{kind.__name__} has no field {sorted(set(values) - known)[0]!r}")
    for name in known:
        if kind.__dataclass_fields__[name].type.startswith("tuple"):
            if not isinstance(values[name], list):
                raise ValueError(f"{kind.__name__}: {name} is not a list")
            values[name] = tuple(values[name])
    return kind(**values)

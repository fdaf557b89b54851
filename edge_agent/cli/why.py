"""`--why`: how a request was understood, step by step, in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..events import Decided, Decoded, Event, Prompted, Retrieved, Verified
from . import render


def explain(events: Iterable[Event], result: Mapping[str, Any]) -> None:
    """Prints what each step saw and decided, then milliseconds per step and joules."""
    for event in events:
        match event:
            case Retrieved(offered=offered, kept=kept, scores=scores):
                render.say(f"\nretrieved {len(kept)} of {offered} tools")
                rows = [(f"  {name}", f"{score:.2f}") for name, score in zip(kept, scores, strict=False)]
                render.table(("  tool", "score"), rows, right=["score"])
            case Prompted(tokens=tokens, reused_tokens=reused):
                render.say(f"prompt: {tokens} tokens, {reused} of them already evaluated")
            case Decoded():
                render.say(
                    f"wrote: {event.text}\n  {event.tokens} tokens ({event.forced_tokens} forced) in {event.passes} "
                    f"passes; probability of a call {event.call_probability:.3f}"
                )
            case Verified():
                render.say(f"{event.tool}: {event.verdict}, confidence {event.confidence:.3f} {event.reason}".rstrip())
                given = [
                    (f"  {name}", render.arguments_shown(value), event.sources.get(name))
                    for name, value in event.arguments.items()
                ]
                if given:
                    render.table(("  argument", "value", "source"), given)
            case Decided():
                scale = "calibrated" if event.calibrated else "not calibrated"
                render.say(f"decided: {event.decision} ({event.reason}; confidence {event.confidence:.3f}, {scale})")
    render.say("")
    steps = [(name, f"{ms:.1f}") for name, ms in result["steps_ms"].items()]
    render.table(("step", "ms"), [*steps, ("in all", f"{result['elapsed_ms']:.1f}")], right=["ms"])
    render.say(f"energy: {energy(result['energy'])}")


def energy(figure: Mapping[str, Any] | None) -> str:
    """`12.3 J (11.0 to 14.1), rapl, package: counter`; says why when there is no figure."""
    if not figure or figure.get("joules") is None:
        return f"unknown ({figure['method']})" if figure and figure.get("method") else "unknown"
    return (
        f"{figure['joules']:.2f} J ({figure['low']:.2f} to {figure['high']:.2f}), "
        f"{figure['source']}, {figure['scope']}: {figure['method']}"
    )

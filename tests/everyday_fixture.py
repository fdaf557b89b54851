"""What tests of the everyday suite share: its world, a run's report, and picking things from a home."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from edge_agent.evals.world import File, Item, Observed, load_world

WORLD = load_world()


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-{text}:00+01:00")


@dataclass
class Ran:
    answer: str = "Done."
    decision: str = "act"
    asked: Sequence[str] = ()
    system: Mapping[str, Any] = field(default_factory=lambda: dict(WORLD["system"]))
    opened: Sequence[str] = ()
    clipboard: str = WORLD["clipboard"]


def only(items: Observed | Sequence[Item], kind: type[Any]) -> list[Any]:
    return [item for item in getattr(items, "items", items) if isinstance(item, kind)]


def old(observed: Observed, path: str) -> File:
    return next(item for item in only(observed, File) if item.path == path)

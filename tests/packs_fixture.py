"""A Context for tool pack tests: a home under tmp_path, a fake host, and a record that can be undone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from edge_agent.workspace import Change, Context, revert

#: A Saturday.
NOW = datetime(2026, 11, 28, 9, 30, tzinfo=ZoneInfo("Europe/Berlin"))


class FakeHost:
    """A machine that does what it is told and remembers it. Only what a test touches is here to be read."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.notified: list[tuple[str, str]] = []
        self.clipboard = ""
        self.volume = 50
        self.brightness = 50
        self.dark = False

    def open(self, target: str) -> None:
        self.opened.append(target)

    def notify(self, title: str, body: str) -> None:
        self.notified.append((title, body))

    def clipboard_get(self) -> str:
        return self.clipboard

    def clipboard_set(self, text: str) -> None:
        self.clipboard = text

    def volume_get(self) -> int:
        return self.volume

    def volume_set(self, percent: int) -> None:
        self.volume = percent

    def brightness_get(self) -> int:
        return self.brightness

    def brightness_set(self, percent: int) -> None:
        self.brightness = percent

    def dark_mode_get(self) -> bool:
        return self.dark

    def dark_mode_set(self, on: bool) -> None:
        self.dark = on

    def screenshot(self) -> bytes:
        return b"\x89PNG\r\n\x1a\n"

    def battery(self) -> Mapping[str, Any]:
        return {"percent": 80.0, "plugged": False, "seconds_left": 7200}

    def processes(self) -> list[Mapping[str, Any]]:
        return [{"pid": 7, "name": "editor", "cpu_percent": 12.0, "memory_mb": 300.0}]

    def launch(self, program: str) -> str:
        return program

    def close(self, program: str) -> int:
        return 1

    def stats(self) -> Mapping[str, Any]:
        return {"disk_total_gb": 100.0, "disk_free_gb": 40.0, "online": True}


class RecordingContext(Context):
    """`changes` holds what tools recorded, in order; `host` is a FakeHost."""

    changes: list[Change]
    host: FakeHost


def make_context(
    tmp_path: Path, now: datetime = NOW, settings: Mapping[str, Any] | None = None
) -> RecordingContext:
    home, data = tmp_path / "home", tmp_path / "data"
    home.mkdir(exist_ok=True)
    changes: list[Change] = []
    ctx = RecordingContext(
        now=now, home=home, data=data, host=FakeHost(), record=changes.append, settings=settings
    )
    ctx.changes = changes
    return ctx


def undo(ctx: RecordingContext) -> None:
    """Takes every recorded file change back, latest first."""
    for change in reversed(ctx.changes):
        revert(change)
    ctx.changes.clear()


def tree(ctx: Context) -> dict[str, bytes | None]:
    """Every path under home with its bytes (None: a folder), for comparing before and after an undo."""
    return {
        str(path.relative_to(ctx.home)): None if path.is_dir() else path.read_bytes()
        for path in sorted(ctx.home.rglob("*"))
    }

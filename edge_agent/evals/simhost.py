"""A machine that exists only in memory: evals and tests run tools on it and see what became of it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from ..errors import ToolError

DEFAULTS: Mapping[str, Any] = {
    "volume": 50,
    "brightness": 70,
    "dark_mode": False,
    "clipboard": "",
    "battery": {"percent": 80.0, "plugged": False, "seconds_left": 10_800},
    "processes": [],
    "stats": {
        "disk_total_gb": 512.0,
        "disk_free_gb": 128.0,
        "memory_total_gb": 16.0,
        "memory_free_gb": 6.0,
        "load_percent": 12.0,
        "uptime_s": 86_400,
        "online": True,
        "addresses": ["192.0.2.10"],
    },
    "opened": [],
    "launched": [],
    "closed": [],
    "notifications": [],
}


class SimulatedHost:
    """`Host` in memory. `state` starts as DEFAULTS overlaid with the one given (copied, never shared).

    A facility whose state is None (no battery, say) is lacking. Any program can be launched; closing needs a
    process of that name. Raises KeyError for an unknown key, so that a misspelt world does not pass unseen.
    """

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        unknown = set(state or {}) - set(DEFAULTS)
        if unknown:
            raise KeyError(f"unknown host state: {', '.join(sorted(unknown))}")
        self.state: dict[str, Any] = deepcopy({**DEFAULTS, **(state or {})})

    def open(self, target: str) -> None:
        self.state["opened"].append(target)

    def notify(self, title: str, body: str) -> None:
        self.state["notifications"].append({"title": title, "body": body})

    def clipboard_get(self) -> str:
        return str(self._has("clipboard"))

    def clipboard_set(self, text: str) -> None:
        self.state["clipboard"] = text

    def volume_get(self) -> int:
        return int(self._has("volume"))

    def volume_set(self, percent: int) -> None:
        self._percent("volume", percent)

    def brightness_get(self) -> int:
        return int(self._has("brightness"))

    def brightness_set(self, percent: int) -> None:
        self._percent("brightness", percent)

    def dark_mode_get(self) -> bool:
        return bool(self._has("dark_mode"))

    def dark_mode_set(self, on: bool) -> None:
        self._has("dark_mode")
        self.state["dark_mode"] = on

    def screenshot(self) -> bytes:
        return png(1, 1)

    def battery(self) -> Mapping[str, Any]:
        return dict(self._has("battery"))

    def processes(self) -> list[Mapping[str, Any]]:
        rows = [{"cpu_percent": 0.0, "memory_mb": 0.0, **row} for row in self.state["processes"]]
        return sorted(rows, key=lambda row: -float(row["memory_mb"]))

    def launch(self, program: str) -> str:
        self.state["launched"].append(program)
        pid = 1 + max((int(row["pid"]) for row in self.state["processes"]), default=999)
        self.state["processes"].append({"pid": pid, "name": program, "cpu_percent": 0.0, "memory_mb": 0.0})
        return program

    def close(self, program: str) -> int:
        before = self.state["processes"]
        kept = [row for row in before if row["name"].casefold() != program.casefold()]
        if len(kept) == len(before):
            raise ToolError(f"no running program is called {program!r}")
        self.state["processes"] = kept
        self.state["closed"].append(program)
        return len(before) - len(kept)

    def stats(self) -> Mapping[str, Any]:
        return dict(self.state["stats"])

    def _has(self, facility: str) -> Any:
        if self.state[facility] is None:
            raise ToolError(f"this machine has no {facility.replace('_', ' ')}")
        return self.state[facility]

    def _percent(self, facility: str, value: int) -> None:
        self._has(facility)
        if not 0 <= value <= 100:
            raise ToolError(f"{value}% is not between 0% and 100%")
        self.state[facility] = value


def png(width: int, height: int) -> bytes:
    """A valid black greyscale PNG (the PNG specification's minimum: IHDR, IDAT, IEND)."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\0" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")

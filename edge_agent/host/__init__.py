"""The machine's own facilities as tools see them: clipboard, sound, screen, opening things, processes.

`Host` is the seam; `local_host()` gives this computer. A facility the platform or desktop lacks raises
ToolError that says what is missing and what would provide it; nothing pretends.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol


class Host(Protocol):
    """Every method may raise ToolError naming what this platform lacks. Percentages are 0 to 100."""

    def open(self, target: str) -> None:
        """Opens an absolute file path or a URL with the user's default program."""
        ...

    def notify(self, title: str, body: str) -> None:
        """Shows a desktop notification."""
        ...

    def clipboard_get(self) -> str:
        """The clipboard's text; empty when it holds none."""
        ...

    def clipboard_set(self, text: str) -> None: ...

    def volume_get(self) -> int:
        """What is heard: 0 while the output is muted."""
        ...

    def volume_set(self, percent: int) -> None:
        """Sets the output volume; 0 mutes, anything else unmutes."""
        ...

    def brightness_get(self) -> int: ...

    def brightness_set(self, percent: int) -> None: ...

    def dark_mode_get(self) -> bool: ...

    def dark_mode_set(self, on: bool) -> None: ...

    def screenshot(self) -> bytes:
        """PNG of the whole screen."""
        ...

    def battery(self) -> Mapping[str, Any]:
        """`percent` (float), `plugged` (bool), `seconds_left` (int or None)."""
        ...

    def processes(self) -> list[Mapping[str, Any]]:
        """`pid`, `name`, `cpu_percent`, `memory_mb` of the user's programs, most memory first."""
        ...

    def launch(self, program: str) -> str:
        """Starts a desktop program by its name and returns the name it found."""
        ...

    def close(self, program: str) -> int:
        """Asks a program's processes to end, returns how many were asked."""
        ...

    def stats(self) -> Mapping[str, Any]:
        """`disk_total_gb`, `disk_free_gb`, `memory_total_gb`, `memory_free_gb`, `load_percent`, `uptime_s`,
        `online` (bool: some network interface is up with an address), `addresses` (list of str)."""
        ...


def local_host() -> Host:
    """This computer. Linux is what the project runs and tests; the macOS and Windows hosts are written from
    their vendors' documentation and tested with faked programs only."""
    if sys.platform == "darwin":
        from .macos import MacHost

        return MacHost()
    if sys.platform == "win32":
        import os

        from .windows import WindowsHost

        return WindowsHost(startfile=os.startfile)
    from .linux import LinuxHost

    return LinuxHost()

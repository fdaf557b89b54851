"""macOS: what ships with the system (`open`, `osascript`, `pbcopy`, `screencapture`), plus `brightness`.

Not run by the project on a Mac; written from Apple's manual pages and tested with faked programs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from ..errors import ToolError
from .local import LocalHost, openable, percentage

DARK = 'tell application "System Events" to tell appearance preferences to '


class MacHost(LocalHost):
    """Texts reach AppleScript as arguments of `on run argv`, never as part of a script."""

    def open(self, target: str) -> None:
        self.runner.read(["open", openable(target)])

    def notify(self, title: str, body: str) -> None:
        show = "display notification (item 2 of argv) with title (item 1 of argv)"
        self._script("on run argv", show, "end run", arguments=(title, body))

    def clipboard_get(self) -> str:
        return self.runner.read(["pbpaste"]).decode(errors="replace")

    def clipboard_set(self, text: str) -> None:
        self.runner.feed(["pbcopy"], text.encode())

    def volume_get(self) -> int:
        muted = "if output muted of v then return 0"
        said = self._script("set v to get volume settings", muted, "return output volume of v")
        if not said.isdigit():
            raise ToolError("the sound output in use has no volume that macOS can set")
        return int(said)

    def volume_set(self, percent: int) -> None:
        muted = "with" if percent == 0 else "without"
        self._script(f"set volume output volume {percentage(percent)} {muted} output muted")

    def brightness_get(self) -> int:
        said = self.runner.read([self._brightness(), "-l"]).decode(errors="replace")
        levels = [line.rpartition(" ")[2] for line in said.splitlines() if ": brightness " in line]
        if not levels:
            raise ToolError("no screen here has a brightness that can be read")
        return round(100 * float(levels[0]))

    def brightness_set(self, percent: int) -> None:
        self.runner.read([self._brightness(), f"{percentage(percent) / 100:g}"])

    def dark_mode_get(self) -> bool:
        return self._script(f"{DARK}get dark mode") == "true"

    def dark_mode_set(self, on: bool) -> None:
        self._script(f"{DARK}set dark mode to {str(on).lower()}")

    def screenshot(self) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            shot = Path(folder, "screen.png")
            self.runner.read(["screencapture", "-x", "-t", "png", str(shot)])
            if not shot.exists():
                hint = "allow it in System Settings > Privacy & Security > Screen Recording"
                raise ToolError("macOS did not allow a screenshot", hint=hint)
            return shot.read_bytes()

    def launch(self, program: str) -> str:
        self.runner.read(["open", "-a", program])
        return program

    def _brightness(self) -> str:
        return self.first_of("the screen's brightness", "brightness", hint="brew install brightness")

    def _script(self, *lines: str, arguments: tuple[str, ...] = ()) -> str:
        command = ["osascript"]
        for line in lines:
            command += ["-e", line]
        return self.runner.read([*command, "--", *arguments] if arguments else command).decode().strip()

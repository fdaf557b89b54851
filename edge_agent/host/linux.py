"""Linux desktops: Wayland or X11, PipeWire, PulseAudio or ALSA, GNOME-style settings, .desktop programs.

Programs are found by the freedesktop.org Desktop Entry Specification 1.5. Every facility names the programs
that provide it and uses the first one installed.
"""

from __future__ import annotations

import configparser
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import ToolError
from .local import LocalHost, best_name, openable, percentage
from .programs import Runner

SINK, PULSE_SINK = "@DEFAULT_AUDIO_SINK@", "@DEFAULT_SINK@"
INTERFACE = "org.gnome.desktop.interface"


@dataclass(frozen=True, slots=True)
class Entry:
    """One installed desktop program: what it is called, the words about it, and how it is started."""

    name: str
    about: str
    command: tuple[str, ...]
    terminal: bool = False


class LinuxHost(LocalHost):
    """sys_root: the root of sysfs, for `class/backlight`."""

    def __init__(
        self,
        runner: Runner | None = None,
        env: Mapping[str, str] | None = None,
        home: Path | None = None,
        sys_root: Path = Path("/sys"),
    ) -> None:
        super().__init__(runner, env, home)
        self.sys_root = sys_root

    def open(self, target: str) -> None:
        openable(target)
        self._display("opening things")
        self.runner.start([self.first_of("opening things", "xdg-open", hint="install xdg-utils"), target])

    def notify(self, title: str, body: str) -> None:
        program = self.first_of("a notification", "notify-send", hint="install libnotify-bin (libnotify)")
        self.runner.read([program, "--app-name=edge_agent", "--", title, body])

    # -- clipboard -------------------------------------------------------------------------------------

    def clipboard_get(self) -> str:
        program = self._clipboard()
        command = {
            "wl-copy": ["wl-paste", "--no-newline"],
            "xclip": ["xclip", "-selection", "clipboard", "-out"],
            "xsel": ["xsel", "--clipboard", "--output"],
        }[program]
        try:
            return self.runner.read(command).decode(errors="replace")
        except ToolError as error:
            # what wl-paste and xclip say when nothing was ever copied, or something that is not text
            if re.search(r"nothing is copied|no selection|not available|no suitable type", str(error), re.I):
                return ""
            raise

    def clipboard_set(self, text: str) -> None:
        program = self._clipboard()
        command = {
            "wl-copy": ["wl-copy", "--type", "text/plain;charset=utf-8"],
            "xclip": ["xclip", "-selection", "clipboard", "-in"],
            "xsel": ["xsel", "--clipboard", "--input"],
        }[program]
        self.runner.feed(command, text.encode())

    def _clipboard(self) -> str:
        if self._display("the clipboard") == "wayland":
            return self.first_of("the clipboard", "wl-copy", hint="install wl-clipboard")
        return self.first_of("the clipboard", "xclip", "xsel")

    # -- sound, light, colours ---------------------------------------------------------------------------

    def volume_get(self) -> int:
        program = self.first_of("the volume", "wpctl", "pactl", "amixer")
        if program == "wpctl":
            said = self._say("wpctl", "get-volume", SINK)
            return 0 if "[MUTED]" in said else round(100 * float(_found(r"([\d.]+)", said, program)))
        if program == "pactl":
            if "yes" in self._say("pactl", "get-sink-mute", PULSE_SINK):
                return 0
            return int(_found(r"(\d+)%", self._say("pactl", "get-sink-volume", PULSE_SINK), program))
        said = self._say("amixer", "get", "Master")
        return 0 if "[off]" in said else int(_found(r"\[(\d+)%\]", said, program))

    def volume_set(self, percent: int) -> None:
        level, mute = f"{percentage(percent)}%", "0" if percent else "1"
        program = self.first_of("the volume", "wpctl", "pactl", "amixer")
        if program == "wpctl":
            self._say("wpctl", "set-volume", SINK, level)
            self._say("wpctl", "set-mute", SINK, mute)
        elif program == "pactl":
            self._say("pactl", "set-sink-volume", PULSE_SINK, level)
            self._say("pactl", "set-sink-mute", PULSE_SINK, mute)
        else:
            self._say("amixer", "set", "Master", level, "unmute" if percent else "mute")

    def brightness_get(self) -> int:
        light = self._backlight()
        now, most = (int((light / name).read_text()) for name in ("brightness", "max_brightness"))
        return round(100 * now / most)

    def brightness_set(self, percent: int) -> None:
        light = self._backlight()
        if self.runner.which("brightnessctl"):
            self._say("brightnessctl", "--class=backlight", "set", f"{percentage(percent)}%")
            return
        most = int((light / "max_brightness").read_text())
        try:
            (light / "brightness").write_text(str(round(most * percentage(percent) / 100)))
        except OSError as error:
            raise ToolError(
                f"{light} may not be written: {error.strerror}", hint="install brightnessctl, which may"
            ) from error

    def dark_mode_get(self) -> bool:
        return "prefer-dark" in self._say(self._gsettings(), "get", INTERFACE, "color-scheme")

    def dark_mode_set(self, on: bool) -> None:
        self._say(self._gsettings(), "set", INTERFACE, "color-scheme", "prefer-dark" if on else "default")

    def _gsettings(self) -> str:
        hint = "install libglib2.0-bin (glib2); only desktops that follow GNOME's setting react"
        return self.first_of("dark mode", "gsettings", hint=hint)

    def _backlight(self) -> Path:
        lights = sorted(self.sys_root.glob("class/backlight/*"))
        if not lights:
            raise ToolError("no screen here has a backlight that the system can set")
        return lights[0]

    # -- screen ----------------------------------------------------------------------------------------

    def screenshot(self) -> bytes:
        if self._display("a screenshot") == "wayland":
            program = self.first_of("a screenshot", "grim", "gnome-screenshot")
        else:
            program = self.first_of("a screenshot", "gnome-screenshot", "import", hint="install imagemagick")
        if program == "grim":
            return self.runner.read(["grim", "-"])
        if program == "import":
            return self.runner.read(["import", "-window", "root", "png:-"])
        with tempfile.TemporaryDirectory() as folder:
            shot = Path(folder, "screen.png")
            self._say("gnome-screenshot", f"--file={shot}")
            return shot.read_bytes()

    # -- programs --------------------------------------------------------------------------------------

    def launch(self, program: str) -> str:
        self._display("opening a program")
        entries = {entry.name: entry for entry in self.entries()}
        entry = entries[best_name(program, {name: each.about for name, each in entries.items()})]
        command = list(entry.command)
        if entry.terminal:
            command = [self.first_of(entry.name, "x-terminal-emulator", "xterm"), "-e", *command]
        self.runner.start(command)
        return entry.name

    def process_names(self, program: str) -> set[str]:
        entries = {entry.name: entry for entry in self.entries()}
        try:
            found = entries[best_name(program, dict.fromkeys(entries, ""))]
        except ToolError:
            return {program}
        return {program, Path(found.command[0]).name}

    def entries(self) -> Iterator[Entry]:
        """Installed desktop programs; the user's own entries hide the system's of the same file name."""
        user = self.env.get("XDG_DATA_HOME") or str(self.home / ".local/share")
        system = self.env.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
        flatpak = [str(self.home / ".local/share/flatpak/exports/share"), "/var/lib/flatpak/exports/share"]
        seen: set[str] = set()
        for folder in [user, *system.split(":"), *flatpak, "/var/lib/snapd/desktop"]:
            for file in sorted(Path(folder, "applications").glob("*.desktop")):
                if file.name not in seen:
                    seen.add(file.name)
                    entry = read_entry(file)
                    if entry:
                        yield entry

    # -- inside ----------------------------------------------------------------------------------------

    def _display(self, what: str) -> str:
        if self.env.get("WAYLAND_DISPLAY"):
            return "wayland"
        if self.env.get("DISPLAY"):
            return "x11"
        raise ToolError(f"{what} needs a desktop session, and this is not one", hint="run it in your desktop")

    def _say(self, *args: str) -> str:
        return self.runner.read(args).decode(errors="replace")


def read_entry(file: Path) -> Entry | None:
    """A `.desktop` file as an Entry; None for what is hidden, not a program, or unreadable."""
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    try:
        parser.read_string(file.read_text(encoding="utf-8", errors="replace"))
        section = parser["Desktop Entry"]
        # field codes (%f, %U ...) stand for files to open; none is opened here
        words = (part for part in shlex.split(section["Exec"]) if not re.fullmatch(r"%[a-zA-Z]", part))
        command = tuple(word.replace("%%", "%") for word in words)
    except (OSError, configparser.Error, KeyError, ValueError):
        return None
    hidden = "true" in (section.get("NoDisplay"), section.get("Hidden"))
    if hidden or section.get("Type") != "Application" or not section.get("Name") or not command:
        return None
    about = " ".join(section.get(key, "") for key in ("Name", "GenericName", "Keywords", "Categories"))
    return Entry(
        section["Name"],
        f"{about.replace(';', ' ')} {file.stem}",
        command,
        section.get("Terminal") == "true",
    )


def _found(pattern: str, said: str, program: str) -> str:
    match = re.search(pattern, said)
    if match is None:
        raise ToolError(f"{program} answered something unexpected: {said.strip()[:80]!r}")
    return match[1]

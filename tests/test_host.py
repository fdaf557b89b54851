"""The host seam: every platform's commands, with faked programs; a few real processes on this one."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from edge_agent.errors import ToolError
from edge_agent.evals.simhost import SimulatedHost
from edge_agent.host import Host, local_host
from edge_agent.host.linux import LinuxHost, read_entry
from edge_agent.host.local import best_name, openable
from edge_agent.host.macos import MacHost
from edge_agent.host.programs import Runner
from edge_agent.host.windows import WindowsHost


class Faked(Runner):
    """Has the programs named, answers from a table of command prefixes, remembers what was asked."""

    def __init__(self, programs: str = "", answers: Mapping[str, str | Exception] | None = None) -> None:
        self.programs, self.answers = programs.split(), answers or {}
        self.calls: list[list[str]] = []
        self.fed: list[str] = []

    def which(self, program: str) -> str | None:
        return f"/usr/bin/{program}" if program in self.programs else None

    def read(self, args: Sequence[str], *, timeout_s: float = 10.0) -> bytes:
        self.calls.append(list(args))
        line = " ".join(args)
        for start, answer in self.answers.items():
            if line.startswith(start):
                if isinstance(answer, Exception):
                    raise answer
                return answer.encode()
        return b""

    def feed(self, args: Sequence[str], data: bytes, *, timeout_s: float = 10.0) -> None:
        self.calls.append(list(args))
        self.fed.append(data.decode())

    def start(self, args: Sequence[str]) -> None:
        self.calls.append(list(args))


X11, WAYLAND = {"DISPLAY": ":0"}, {"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0"}


def linux(programs: str, answers: Mapping[str, Any] | None = None, env: Mapping[str, str] = X11) -> LinuxHost:
    return LinuxHost(Faked(programs, answers), env, Path("/home/ada"), Path("/nowhere"))


def calls(host: Any) -> list[list[str]]:
    return list(host.runner.calls)


# -- Linux ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("programs", "answers", "percent"),
    [
        ("wpctl pactl", {"wpctl get-volume": "Volume: 0.45"}, 45),
        ("wpctl", {"wpctl get-volume": "Volume: 0.45 [MUTED]"}, 0),
        ("pactl", {"pactl get-sink-volume": "Volume: front-left: 26214 /  40% / -23.88 dB"}, 40),
        ("pactl", {"pactl get-sink-mute": "Mute: yes"}, 0),
        ("amixer", {"amixer get": "Mono: Playback 50 [57%] [on]"}, 57),
        ("amixer", {"amixer get": "Mono: Playback 50 [57%] [off]"}, 0),
    ],
)
def test_linux_reads_volume(programs: str, answers: dict[str, str], percent: int) -> None:
    assert linux(programs, answers).volume_get() == percent


@pytest.mark.parametrize(
    ("programs", "first", "second"),
    [
        ("wpctl", "wpctl set-volume @DEFAULT_AUDIO_SINK@ 30%", "wpctl set-mute @DEFAULT_AUDIO_SINK@ 0"),
        ("pactl", "pactl set-sink-volume @DEFAULT_SINK@ 30%", "pactl set-sink-mute @DEFAULT_SINK@ 0"),
        ("amixer", "amixer set Master 30% unmute", ""),
    ],
)
def test_linux_sets_volume(programs: str, first: str, second: str) -> None:
    host = linux(programs)
    host.volume_set(30)
    assert [" ".join(call) for call in calls(host)] == [line for line in (first, second) if line]


def test_linux_volume_zero_mutes() -> None:
    host = linux("wpctl")
    host.volume_set(0)
    assert calls(host)[-1] == ["wpctl", "set-mute", "@DEFAULT_AUDIO_SINK@", "1"]


@pytest.mark.parametrize("percent", [-1, 101])
def test_percentages_are_checked(percent: int) -> None:
    with pytest.raises(ToolError, match="between"):
        linux("wpctl").volume_set(percent)


def test_unexpected_answer_is_an_error() -> None:
    with pytest.raises(ToolError, match="unexpected"):
        linux("wpctl", {"wpctl": "PipeWire is sulking"}).volume_get()


@pytest.mark.parametrize(
    ("env", "programs", "read", "write"),
    [
        (WAYLAND, "wl-copy xclip", "wl-paste --no-newline", "wl-copy --type text/plain;charset=utf-8"),
        (X11, "wl-copy xclip", "xclip -selection clipboard -out", "xclip -selection clipboard -in"),
        (X11, "xsel", "xsel --clipboard --output", "xsel --clipboard --input"),
    ],
)
def test_linux_clipboard(env: dict[str, str], programs: str, read: str, write: str) -> None:
    host = linux(programs, {read: "grüße"}, env)
    assert host.clipboard_get() == "grüße"
    host.clipboard_set("naïve\n")
    assert " ".join(calls(host)[-1]) == write
    assert host.runner.fed == ["naïve\n"]  # type: ignore[attr-defined]


def test_empty_clipboard_is_empty_text_and_other_failures_are_not() -> None:
    empty = linux("wl-copy", {"wl-paste": ToolError("wl-paste failed: Nothing is copied")}, WAYLAND)
    assert empty.clipboard_get() == ""
    broken = linux("wl-copy", {"wl-paste": ToolError("wl-paste failed: compositor gone")}, WAYLAND)
    with pytest.raises(ToolError, match="compositor"):
        broken.clipboard_get()


LACKS: list[tuple[Callable[[LinuxHost], object], str]] = [
    (lambda h: h.clipboard_get(), "xclip or xsel"),
    (lambda h: h.volume_get(), "wpctl or pactl or amixer"),
    (lambda h: h.volume_set(1), "wpctl or pactl or amixer"),
    (lambda h: h.dark_mode_get(), "gsettings"),
    (lambda h: h.screenshot(), "gnome-screenshot or import"),
    (lambda h: h.notify("a", "b"), "notify-send"),
    (lambda h: h.open("https://example.org"), "xdg-open"),
    (lambda h: h.brightness_get(), "backlight"),
    (lambda h: h.brightness_set(5), "backlight"),
]


@pytest.mark.parametrize(("ask", "names"), LACKS)
def test_missing_facility_says_what_would_provide_it(ask: Callable[[LinuxHost], object], names: str) -> None:
    with pytest.raises(ToolError, match=names):
        ask(linux(""))


@pytest.mark.parametrize(
    "ask",
    [
        lambda h: h.clipboard_set("x"),
        lambda h: h.screenshot(),
        lambda h: h.open("/etc/hosts"),
        lambda h: h.launch("firefox"),
    ],
)
def test_no_desktop_session_is_said(ask: Callable[[LinuxHost], object]) -> None:
    with pytest.raises(ToolError, match="desktop session"):
        ask(linux("xclip import xdg-open", env={}))


def test_linux_dark_mode() -> None:
    host = linux("gsettings", {"gsettings get": "'prefer-dark'\n"})
    assert host.dark_mode_get() is True
    host.dark_mode_set(False)
    assert calls(host)[-1] == ["gsettings", "set", "org.gnome.desktop.interface", "color-scheme", "default"]


def test_linux_brightness_by_sysfs_and_brightnessctl(tmp_path: Path) -> None:
    light = tmp_path / "class/backlight/intel"
    light.mkdir(parents=True)
    (light / "brightness").write_text("200\n")
    (light / "max_brightness").write_text("800\n")
    host = LinuxHost(Faked(), X11, tmp_path, tmp_path)
    assert host.brightness_get() == 25
    host.brightness_set(50)
    assert (light / "brightness").read_text() == "400"
    helped = LinuxHost(Faked("brightnessctl"), X11, tmp_path, tmp_path)
    helped.brightness_set(70)
    assert calls(helped) == [["brightnessctl", "--class=backlight", "set", "70%"]]


def test_linux_screenshots() -> None:
    assert linux("grim", {"grim -": "png"}, WAYLAND).screenshot() == b"png"
    assert linux("import", {"import -window root png:-": "png"}).screenshot() == b"png"


@pytest.mark.parametrize("target", ["--help", "notes.txt", "", "C:notes"])
def test_open_takes_only_full_paths_and_urls(target: str) -> None:
    with pytest.raises(ToolError, match="neither"):
        openable(target)


def desktop_file(folder: Path, stem: str, **keys: str) -> Path:
    values = {"Type": "Application", **keys}
    file = folder / "applications" / f"{stem}.desktop"
    file.parent.mkdir(parents=True, exist_ok=True)
    body = "".join(f"{key}={value}\n" for key, value in values.items())
    file.write_text(f"[Desktop Entry]\n{body}[Desktop Action new]\nName=Other\nExec=other\n")
    return file


@pytest.fixture
def programs(tmp_path: Path) -> LinuxHost:
    share = tmp_path / "share"
    desktop_file(share, "firefox", Name="Firefox", GenericName="Web Browser", Exec="/opt/fox/firefox %u")
    desktop_file(share, "gimp", Name="GNU Image Manipulation Program", Exec="gimp-2.10 %U", Keywords="photo;")
    desktop_file(share, "htop", Name="Htop", Exec="htop", Terminal="true")
    desktop_file(share, "writer", Name="LibreOffice Writer", Exec="libreoffice --writer '100%%'")
    desktop_file(share, "calc", Name="LibreOffice Calc", Exec="libreoffice --calc")
    desktop_file(share, "daemon", Name="Daemon", Exec="daemon", NoDisplay="true")
    desktop_file(share, "link", Name="Link", Exec="x", Type="Link")
    desktop_file(share, "bad", Name="Bad", Exec="unfinished 'quote")
    env = {**X11, "XDG_DATA_DIRS": str(share), "XDG_DATA_HOME": str(tmp_path / "own")}
    return LinuxHost(Faked("x-terminal-emulator"), env, tmp_path)


@pytest.mark.parametrize(
    ("said", "name", "command"),
    [
        ("firefox", "Firefox", ["/opt/fox/firefox"]),
        ("web browser", "Firefox", ["/opt/fox/firefox"]),
        ("gimp", "GNU Image Manipulation Program", ["gimp-2.10"]),
        ("Writer", "LibreOffice Writer", ["libreoffice", "--writer", "100%"]),
        ("htop", "Htop", ["x-terminal-emulator", "-e", "htop"]),
    ],
)
def test_launch(programs: LinuxHost, said: str, name: str, command: list[str]) -> None:
    assert programs.launch(said) == name
    assert calls(programs) == [command]


@pytest.mark.parametrize(
    ("said", "why"), [("libreoffice", "Calc, LibreOffice Writer"), ("Daemon", "no program"), ("rm", "no pro")]
)
def test_launch_refuses(programs: LinuxHost, said: str, why: str) -> None:
    with pytest.raises(ToolError, match=why):
        programs.launch(said)
    assert calls(programs) == []


def test_own_entry_hides_the_systems(programs: LinuxHost, tmp_path: Path) -> None:
    desktop_file(tmp_path / "own", "firefox", Name="Firefox", Exec="firefox-nightly")
    programs.launch("firefox")
    assert calls(programs) == [["firefox-nightly"]]
    assert programs.process_names("firefox") == {"firefox", "firefox-nightly"}


def test_unreadable_entry_is_no_entry(tmp_path: Path) -> None:
    assert read_entry(tmp_path / "none.desktop") is None


def test_best_name_prefers_exact() -> None:
    names = {"Code": "", "Code Insiders": ""}
    assert best_name("code", names) == "Code"
    assert best_name("insiders", names) == "Code Insiders"
    with pytest.raises(ToolError, match="no program"):
        best_name("", names)


# -- macOS and Windows, faked --------------------------------------------------------------------------


def test_mac_commands() -> None:
    answers = {"osascript -e set v": "35\n", "brightness -l": "display 0: brightness 0.500000\n"}
    host: Any = MacHost(Faked("brightness", {**answers, "pbpaste": "hi", "osascript -e tell": "true\n"}))
    assert (host.volume_get(), host.brightness_get(), host.clipboard_get(), host.dark_mode_get()) == (
        35,
        50,
        "hi",
        True,
    )
    host.volume_set(0)
    assert calls(host)[-1][-1] == "set volume output volume 0 with output muted"
    host.clipboard_set("x")
    assert (calls(host)[-1], host.runner.fed) == (["pbcopy"], ["x"])
    host.open("https://example.org")
    assert calls(host)[-1] == ["open", "https://example.org"]
    assert host.launch("Safari") == "Safari"
    host.notify('say "hi"', "-e evil")
    assert calls(host)[-1][-3:] == ["--", 'say "hi"', "-e evil"]
    host.dark_mode_set(True)
    assert calls(host)[-1][-1].endswith("set dark mode to true")
    host.brightness_set(70)
    assert calls(host)[-1] == ["brightness", "0.7"]


def test_mac_lacks() -> None:
    host = MacHost(Faked("", {"osascript": "missing value\n"}))
    for ask in (host.volume_get, host.brightness_get, host.screenshot):
        with pytest.raises(ToolError):
            ask()


def windows(answers: Mapping[str, Any] | None = None, home: Path | None = None) -> tuple[Any, list[str]]:
    opened: list[str] = []
    env = {"APPDATA": str(home)} if home else {}
    return WindowsHost(Faked("", answers), env, home, startfile=opened.append), opened


def test_windows_commands(tmp_path: Path) -> None:
    start = "powershell -NoProfile -NonInteractive -Command $ErrorActionPreference = 'Stop'\n"
    answers = {
        f"{start}[Console]": "\ufeffhi\r\nthere",
        f"{start}\nAdd-Type -TypeDefinition": "40\r\n",
        f"{start}(Get-CimInstance": "80\r\n",
        f"{start}\nAdd-Type -AssemblyName": base64.b64encode(b"png").decode(),
        "reg query": "    AppsUseLightTheme    REG_DWORD    0x0\r\n",
    }
    host, opened = windows(answers, tmp_path)
    assert (host.clipboard_get(), host.volume_get(), host.brightness_get()) == ("hi\r\nthere", 40, 80)
    assert (host.screenshot(), host.dark_mode_get()) == (b"png", True)
    host.dark_mode_set(False)
    assert [call[-2] for call in calls(host)[-2:]] == ["1", "1"]
    host.volume_set(30)
    assert calls(host)[-1][-1].endswith("[Audio]::Set(30)")
    host.brightness_set(30)
    assert "@{Timeout = [uint32]0; Brightness = [byte]30}" in calls(host)[-1][-1]
    host.notify("title\nof two", "'; rm -r x")
    host.clipboard_set("")
    assert host.runner.fed == ["title of two\n'; rm -r x", ""]
    assert not any("rm -r" in part for call in calls(host) for part in call)
    host.open("https://example.org")
    link = tmp_path / "Microsoft/Windows/Start Menu/Programs/Tools/Notepad.lnk"
    link.parent.mkdir(parents=True)
    link.touch()
    assert host.launch("notepad") == "Notepad"
    assert opened == ["https://example.org", str(link)]


def test_windows_failures() -> None:
    def refuse(target: str) -> None:
        raise OSError(1155, "no program is associated")

    host = WindowsHost(Faked(), {}, startfile=refuse)
    for ask in (host.brightness_get, lambda: host.open("x://y"), lambda: host.launch("paint")):
        with pytest.raises(ToolError):
            ask()


@pytest.mark.parametrize(("platform", "kind"), [("linux", "LinuxHost"), ("darwin", "MacHost")])
def test_platform_is_chosen(monkeypatch: pytest.MonkeyPatch, platform: str, kind: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert type(local_host()).__name__ == kind


# -- psutil's part, really run -------------------------------------------------------------------------


def test_battery(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = namedtuple("reading", "percent secsleft power_plugged")
    host = linux("")
    monkeypatch.setattr(psutil, "sensors_battery", lambda: reading(80, 3600, False), raising=False)
    assert host.battery() == {"percent": 80.0, "plugged": False, "seconds_left": 3600}
    monkeypatch.setattr(psutil, "sensors_battery", lambda: reading(99.5, -2, True), raising=False)
    assert host.battery()["seconds_left"] is None
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None, raising=False)
    with pytest.raises(ToolError, match="no battery"):
        host.battery()


def test_stats_and_processes_of_this_machine(tmp_path: Path) -> None:
    host = LinuxHost(Faked(), {}, tmp_path)
    stats = host.stats()
    assert 0 < stats["disk_free_gb"] <= stats["disk_total_gb"]
    assert 0 < stats["memory_free_gb"] <= stats["memory_total_gb"]
    assert stats["online"] is bool(stats["addresses"])
    rows = host.processes()
    assert psutil.Process().pid in [row["pid"] for row in rows]
    assert [row["memory_mb"] for row in rows] == sorted((row["memory_mb"] for row in rows), reverse=True)


def test_close_ends_a_real_process_and_nothing_else(tmp_path: Path) -> None:
    program = tmp_path / "sleepy-cat"
    program.symlink_to("/bin/sleep")
    host = LinuxHost(Faked(), {"XDG_DATA_DIRS": str(tmp_path)}, tmp_path)
    with subprocess.Popen([program, "60"]) as child:
        while psutil.Process(child.pid).name() != "sleepy-cat":
            pass
        assert host.close("Sleepy Cat") == 1
        assert child.wait(5) == -15
    with pytest.raises(ToolError, match="no running program"):
        host.close("sleepy-cat")


@pytest.mark.parametrize("name", ["systemd", "Finder", "explorer.exe", "gnome-shell"])
def test_close_spares_the_session(name: str) -> None:
    with pytest.raises(ToolError, match="session"):
        linux("").close(name)


def test_close_spares_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "process_iter", lambda *_: iter([psutil.Process()]))
    with pytest.raises(ToolError, match="no running program"):
        linux("").close(psutil.Process().name())


# -- Runner, really run --------------------------------------------------------------------------------


def test_runner_reads_feeds_and_fails(tmp_path: Path) -> None:
    runner = Runner()
    assert runner.read([sys.executable, "-c", "import os; print(os.environ['LC_ALL'])"]).strip() == b"C.UTF-8"
    out = tmp_path / "out"
    runner.feed(
        [sys.executable, "-c", f"import sys; open({str(out)!r}, 'w').write(sys.stdin.read())"], b"hi; $(x)"
    )
    assert out.read_text() == "hi; $(x)"
    with pytest.raises(ToolError, match="failed: no luck"):
        runner.read([sys.executable, "-c", "import sys; sys.exit('no luck')"])
    with pytest.raises(ToolError, match="exit status 3"):
        runner.feed([sys.executable, "-c", "import sys; sys.exit(3)"], b"")
    with pytest.raises(ToolError, match="did not finish within"):
        runner.read(["sleep", "5"], timeout_s=0.2)
    with pytest.raises(ToolError, match="could not be started"):
        runner.read(["/nonexistent/program"])


def test_runner_feed_does_not_wait_for_what_stays_behind() -> None:
    """A clipboard owner forks and keeps its standard streams."""
    Runner().feed(["sh", "-c", "sleep 3 & exit 0"], b"text", timeout_s=2)


def test_runner_start() -> None:
    runner = Runner()
    runner.start(["true"])
    runner.start(["sleep", "1"])
    with pytest.raises(ToolError, match="exit status 1"):
        runner.start(["false"])
    with pytest.raises(ToolError, match="could not be started"):
        runner.start(["/nonexistent/program"])


# -- the simulated host --------------------------------------------------------------------------------


def test_simulated_host_keeps_state() -> None:
    sim = SimulatedHost({"volume": 10, "processes": [{"pid": 5, "name": "Firefox", "memory_mb": 9.0}]})
    host: Host = sim
    host.volume_set(55)
    host.brightness_set(5)
    host.dark_mode_set(True)
    host.clipboard_set("x")
    host.open("https://example.org")
    host.notify("a", "b")
    assert (host.volume_get(), host.brightness_get(), host.dark_mode_get(), host.clipboard_get()) == (
        55,
        5,
        True,
        "x",
    )
    assert host.launch("gimp") == "gimp"
    assert host.close("firefox") == 1
    assert [row["name"] for row in host.processes()] == ["gimp"]
    assert sim.state["opened"] == ["https://example.org"]
    assert (sim.state["launched"], sim.state["closed"]) == (["gimp"], ["firefox"])
    assert sim.state["notifications"] == [{"title": "a", "body": "b"}]
    assert host.screenshot().startswith(b"\x89PNG\r\n\x1a\n")
    assert host.battery()["percent"] == 80.0
    assert host.stats()["online"] is True


def test_simulated_host_does_not_share_and_can_lack() -> None:
    given: dict[str, Any] = {"battery": None, "opened": []}
    sim = SimulatedHost(given)
    sim.open("https://example.org")
    assert given["opened"] == []
    for ask in (sim.battery, lambda: sim.close("nothing"), lambda: sim.volume_set(101)):
        with pytest.raises(ToolError):
            ask()
    with pytest.raises(KeyError, match="volum"):
        SimulatedHost({"volum": 1})

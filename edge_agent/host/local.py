"""What is the same on every platform: battery, processes, closing programs, figures (all by psutil)."""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import ToolError
from .programs import Runner

if TYPE_CHECKING:
    import psutil

#: Ending one of these ends the person's session, not a program.
SESSION = (
    *(
        "systemd",
        "dbus daemon",
        "dbus broker",
        "login",
        "sshd",
        "xorg",
        "xwayland",
        "pipewire",
        "wireplumber",
    ),
    *("gnome shell", "gnome session binary", "kwin wayland", "kwin x11", "plasmashell", "sway"),
    *("finder", "dock", "loginwindow", "windowserver"),
    *("explorer", "dwm", "csrss", "winlogon", "lsass", "services", "svchost"),
)


class LocalHost:
    """The part of `Host` that needs no desktop; a platform's class adds the rest.

    runner: starts programs. env: environment variables that say what desktop this is.
    home: where user folders are; also the disk that `stats` reports.
    """

    def __init__(
        self, runner: Runner | None = None, env: Mapping[str, str] | None = None, home: Path | None = None
    ) -> None:
        self.runner = runner or Runner()
        self.env = os.environ if env is None else env
        self.home = home or Path.home()

    def battery(self) -> Mapping[str, Any]:
        import psutil

        found = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
        if found is None:
            raise ToolError("this machine has no battery that the system reports")
        left = int(found.secsleft) if found.secsleft is not None and found.secsleft >= 0 else None
        return {"percent": float(found.percent), "plugged": bool(found.power_plugged), "seconds_left": left}

    def processes(self) -> list[Mapping[str, Any]]:
        """Costs 0.2 s: processor use is a difference between two readings."""
        import psutil

        mine = list(self._own_processes())
        for process in mine:
            _reading(process, "cpu_percent")
        time.sleep(0.2)
        rows: list[Mapping[str, Any]] = []
        for process in mine:
            try:
                with process.oneshot():
                    memory = process.memory_info().rss / 1e6
                    rows.append(
                        {
                            "pid": process.pid,
                            "name": process.name(),
                            "cpu_percent": round(process.cpu_percent(), 1),
                            "memory_mb": round(memory, 1),
                        }
                    )
            except psutil.Error:
                continue  # it ended meanwhile
        return sorted(rows, key=lambda row: -float(row["memory_mb"]))

    def close(self, program: str) -> int:
        import psutil

        names = {bare(name) for name in self.process_names(program)}
        if names.intersection(SESSION):
            raise ToolError(f"{program!r} belongs to the desktop session and is not closed")
        spared = {process.pid for process in psutil.Process().parents()} | {os.getpid()}
        asked = 0
        for process in self._own_processes():
            if process.pid not in spared and bare(_reading(process, "name") or "") in names:
                try:
                    process.terminate()
                    asked += 1
                except psutil.Error:
                    continue  # it ended meanwhile
        if not asked:
            raise ToolError(f"no running program is called {program!r}", hint="ask what is running")
        return asked

    def stats(self) -> Mapping[str, Any]:
        """Costs 0.2 s: processor load is measured over that time. Touches no network."""
        import psutil

        disk, memory = psutil.disk_usage(str(self.home)), psutil.virtual_memory()
        addresses = list(_addresses())
        return {
            "disk_total_gb": round(disk.total / 1e9, 1),
            "disk_free_gb": round(disk.free / 1e9, 1),
            "memory_total_gb": round(memory.total / 1e9, 1),
            "memory_free_gb": round(memory.available / 1e9, 1),
            "load_percent": round(psutil.cpu_percent(interval=0.2), 1),
            "uptime_s": int(time.time() - psutil.boot_time()),
            "online": bool(addresses),
            "addresses": addresses,
        }

    def process_names(self, program: str) -> set[str]:
        """Names that the processes of `program` may have; a platform that knows its programs adds theirs."""
        return {program}

    def first_of(self, what: str, *programs: str, hint: str | None = None) -> str:
        """The first installed one of `programs`. Raises ToolError naming what would provide `what`."""
        for program in programs:
            if self.runner.which(program):
                return program
        need = " or ".join(programs)
        raise ToolError(f"{what} needs {need}, which is not installed", hint=hint or f"install {programs[0]}")

    def _own_processes(self) -> Iterator[psutil.Process]:
        import psutil

        me = psutil.Process().username()
        for process in psutil.process_iter():
            if _reading(process, "username") == me:
                yield process


def openable(target: str) -> str:
    """`target` if it is an absolute path or a URL with a scheme, so that no program reads it as an option.

    Raises ToolError otherwise."""
    if Path(target).is_absolute() or len(urlsplit(target).scheme) > 1:
        return target
    raise ToolError(f"{target!r} is neither a full path nor a URL")


def percentage(value: int) -> int:
    """Raises ToolError unless 0 to 100."""
    if not 0 <= value <= 100:
        raise ToolError(f"{value}% is not between 0% and 100%")
    return value


def best_name(said: str, names: Mapping[str, str]) -> str:
    """The key of `names` (key -> further words about it) that a person means by `said`.

    The exact name wins; then a name that holds every said word; then one whose further words do.
    Raises ToolError for none, or listing the candidates when several fit equally well.
    """
    wanted = bare(said)
    words = set(wanted.split())
    exact = [name for name in names if bare(name) == wanted]
    by_name = [name for name in names if words and words <= set(bare(name).split())]
    by_about = [name for name, about in names.items() if words and words <= set(bare(about).split())]
    for found in (exact[:1], by_name, by_about):
        if len(found) == 1:
            return found[0]
        if found:
            raise ToolError(f"{said!r} may be {', '.join(sorted(found)[:6])}", hint="say its full name")
    raise ToolError(f"no program called {said!r} is installed")


def bare(name: str) -> str:
    """A program's name for comparison: lower case, no `.exe` or `.app`, dashes as spaces."""
    plain = name.strip().casefold().removesuffix(".exe").removesuffix(".app")
    return " ".join(plain.replace("-", " ").replace("_", " ").split())


def _reading(process: psutil.Process, method: str) -> Any:
    """One reading of a process, None when it has ended or is not ours to read."""
    import psutil

    try:
        return getattr(process, method)()
    except psutil.Error:
        return None


def _addresses() -> Iterator[str]:
    """Addresses of interfaces that are up, without loopback and link-local ones."""
    import psutil

    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    for name, entries in psutil.net_if_addrs().items():
        for entry in entries if name in up else ():
            try:
                address = ipaddress.ip_address(entry.address.partition("%")[0])
            except ValueError:
                continue  # a hardware address
            if not (address.is_loopback or address.is_link_local):
                yield str(address)

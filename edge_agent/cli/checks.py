"""The checks of `doctor`. Each looks at one thing, changes nothing, and says what mends it."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..errors import EdgeAgentError, ToolError
from . import build, render

Status = Literal["ok", "warn", "fail"]
#: Below this many free bytes on the data disk there is a warning.
LITTLE_SPACE = 500e6


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. warn: something optional is absent; fail: requests will not work."""

    name: str
    status: Status
    detail: str
    fix: str = ""


def run_checks() -> list[Check]:
    """All checks, in order; one that breaks is itself a failure. About a second."""
    found: list[Check] = []
    for name, check in _CHECKS.items():
        try:
            found.append(check())
        except EdgeAgentError as error:
            found.append(Check(name, "fail", error.message, error.hint or ""))
        except Exception as error:
            found.append(Check(name, "fail", f"{type(error).__name__}: {error}"))
    return found


def _system() -> Check:
    detail = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores"
    return Check("system", "ok", detail)


def _settings() -> Check:
    from ..config import Dirs, load

    load()
    path = Dirs.default().config / "config.toml"
    return Check("settings", "ok", str(path) if path.exists() else "the defaults")


def _folders() -> Check:
    from dataclasses import astuple

    from ..config import Dirs

    for folder in astuple(Dirs.default()):
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        if not os.access(nearest, os.W_OK | os.X_OK):
            return Check("folders", "fail", f"{nearest} cannot be written", "chmod u+rwx, or set EDGE_AGENT_HOME")
    return Check("folders", "ok", f"data in {Dirs.default().data}")


def _space() -> Check:
    from ..config import Dirs

    data = Dirs.default().data
    free = shutil.disk_usage(next(path for path in (data, *data.parents) if path.exists())).free
    status: Status = "ok" if free >= LITTLE_SPACE else "warn"
    return Check("disk", status, f"{render.size(free)} free", "edge-agent models remove NAME, ledger forget")


def _memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    store = build.open_store()
    entry = store.catalogue.entries.get(store.current())
    need_mb = entry.ram_mb if entry else 0
    enough = need_mb * 1e6 <= memory.available
    detail = f"{render.size(memory.available)} of {render.size(memory.total)} free; the model needs about {need_mb} MB"
    return Check("memory", "ok" if enough else "warn", detail, "close programs, or choose a smaller model")


def _engine() -> Check:
    from importlib.metadata import version
    from importlib.util import find_spec

    if find_spec("llama_cpp") is None:
        return Check("engine", "fail", "llama.cpp is not installed", "pip install 'edge-agent[llama]'")
    return Check("engine", "ok", f"llama-cpp-python {version('llama-cpp-python')}")


def _model() -> Check:
    from ..prepare import find

    store = build.open_store()
    model = build.chosen_model(store, None, None)
    prepared = find(store, model)
    name = model.entry.name if model.entry else model.path.name
    detail = f"{name}, {'verified' if model.verified else 'unverified'}, dialect {model.dialect}"
    if prepared is None:
        return Check("model", "warn", f"{detail}, not prepared for this CPU", "edge-agent models prepare")
    return Check("model", "ok", f"{detail}, prepared as {prepared.format}")


def _tools() -> Check:
    from ..config import load
    from ..toolpacks import load as load_packs

    tools = load_packs(load().packs)
    return Check("tools", "ok", f"{len(tools)} tools of {len({tool.pack for tool in tools})} packs")


def _search() -> Check:
    import sqlite3

    try:
        sqlite3.connect(":memory:").execute("CREATE VIRTUAL TABLE t USING fts5(x)")
    except sqlite3.OperationalError as error:
        return Check("search", "fail", f"SQLite without full-text index: {error}", "use a Python with SQLite FTS5")
    return Check("search", "ok", f"SQLite {sqlite3.sqlite_version} with FTS5")


def _desktop() -> Check:
    from ..host import local_host

    host = local_host()
    facilities: dict[str, Callable[[], object]] = {
        "sound": host.volume_get,
        "brightness": host.brightness_get,
        "dark mode": host.dark_mode_get,
        "battery": host.battery,
    }
    missing = {}
    for name, look in facilities.items():
        try:
            look()
        except ToolError as error:
            missing[name] = f"{error}" + (f" ({error.hint})" if error.hint else "")
    if not missing:
        return Check("desktop", "ok", ", ".join(facilities))
    return Check("desktop", "warn", f"without {', '.join(missing)}", "; ".join(missing.values()))


def _time_zone() -> Check:
    from zoneinfo import ZoneInfo

    from tzlocal import get_localzone_name

    from ..config import load

    name = load().timezone or get_localzone_name()
    ZoneInfo(name)
    return Check("time zone", "ok", name)


def _records() -> Check:
    from ..config import Dirs
    from ..journal import Journal
    from ..ledger import Ledger

    data = Dirs.default().data
    if not (data / "ledger.db").exists():
        return Check("records", "ok", "none yet")
    lost = [action for action in Journal(data).actions(1000) if action.state in ("intent", "undoing", "unknown")]
    requests = Ledger(data).totals()["requests"]
    if lost:
        named = ", ".join(f"#{action.id} {action.tool}" for action in lost[:3])
        return Check("records", "warn", f"interrupted and unsettled: {named}", "edge-agent journal --state unknown")
    return Check("records", "ok", f"{requests} requests")


def _meters() -> Check:
    from ..power import PowerMonitor

    with PowerMonitor() as monitor:
        report = monitor.report()
    working = [source.name for source in report if source.available and source.name != "cpu-model"]
    if working:
        return Check("energy", "ok", ", ".join(working))
    fix = next((source.fix for source in report if source.fix), "")
    return Check("energy", "warn", "no meter; joules are estimated from CPU time", fix)


_CHECKS: dict[str, Callable[[], Check]] = {
    "system": _system,
    "settings": _settings,
    "folders": _folders,
    "disk": _space,
    "memory": _memory,
    "engine": _engine,
    "model": _model,
    "tools": _tools,
    "search": _search,
    "desktop": _desktop,
    "time zone": _time_zone,
    "records": _records,
    "energy": _meters,
}

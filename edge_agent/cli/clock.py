"""`edge-agent clock`: the program that rings timers, alarms and reminders."""

from __future__ import annotations

from pathlib import Path

import click

from . import build, render


@click.group(cls=render.Group)
def clock() -> None:
    """Ring timers, alarms and reminders. `ask` and `chat` start this by themselves when they set one."""


@clock.command()
@click.option("--once", is_flag=True, help="Ring what is due now, and end.")
@render.json_option
def run(once: bool, as_json: bool) -> None:
    """Ring what is due until nothing waits any more. Ends at once when another process does it already.

    \b
    edge-agent clock run
    edge-agent clock run --once
    """
    from ..config import Dirs, load
    from ..host import local_host
    from ..toolpacks import ringer

    settings = load()
    tasks, state = build.ringer_folders(settings, Dirs.default())
    rung = ringer.run(tasks, local_host(), state, once=once, tz=build.zone(settings))
    if as_json:
        render.emit({"rung": rung})


@clock.command()
@render.json_option
def status(as_json: bool) -> None:
    """Show whether a ringer runs and what waits to ring.

    \b
    edge-agent clock status
    """
    from datetime import datetime

    from ..config import Dirs, load
    from ..toolpacks import ringer

    settings = load()
    tasks, state = build.ringer_folders(settings, Dirs.default())
    now = datetime.now(build.zone(settings))
    waiting = [ring for ring in ringer.rings(tasks, now) if ring.at > now]
    running = is_running(state)
    if as_json:
        rows = [{"at": ring.at.isoformat(), "text": ring.text} for ring in waiting]
        render.emit({"running": running, "tasks": str(tasks), "waiting": rows})
        return
    render.say("a ringer is running" if running else "no ringer is running")
    if waiting:
        shown = [(ring.at.astimezone(now.tzinfo).strftime("%Y-%m-%d %H:%M:%S"), ring.text) for ring in waiting]
        render.table(("rings at", "text"), shown)
        if not running:
            render.notice("nothing will ring by itself: edge-agent clock run")


def is_running(state: Path) -> bool:
    """Whether a process holds the ringer's lock. Creates nothing."""
    from filelock import FileLock, Timeout

    lock = state / "ringer.lock"
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True

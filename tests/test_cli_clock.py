from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import pytest
from cli_fixture import Line, home, line
from filelock import FileLock

from edge_agent.config import Dirs

__all__ = ["line"]


def timer(line: Line, due: datetime) -> None:
    """A timer set through the tool itself, so that it is due at `due`."""
    line.tools = None
    present = (due - timedelta(minutes=5)).isoformat(timespec="seconds")
    ran = line("tools", "run", "clock.set_timer", '{"duration": "5 minutes", "name": "tea"}', "--now", present)
    assert ran.code == 0, ran.err


def test_status(line: Line) -> None:
    assert line("clock", "status").out == "no ringer is running\n"
    timer(line, datetime.now(UTC) + timedelta(minutes=3))
    ran = line("clock", "status")
    assert "tea" in ran.out
    assert "nothing will ring by itself" in ran.err
    state = Dirs.default().data / "ringer"
    assert not state.exists(), "looking creates nothing"
    state.mkdir()
    with FileLock(state / "ringer.lock"):
        document = line("clock", "status", "--json").json
    assert document["running"] is True
    assert document["tasks"] == str(home() / ".calendars/tasks")
    assert len(document["waiting"]) == 1
    assert line("clock", "status", "--json").json["running"] is False


@pytest.mark.skipif(sys.platform != "linux", reason="would ring on a real desktop")
def test_run_rings_once_and_only_once(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[str] = []
    monkeypatch.setattr("edge_agent.host.linux.LinuxHost.notify", lambda self, title, body: rung.append(title))
    timer(line, datetime.now(UTC) - timedelta(seconds=5))
    assert line("clock", "run", "--once", "--json").json == {"rung": 1}
    assert line("clock", "run", "--json").json == {"rung": 0}
    assert len(rung) == 1
    assert "tea" in rung[0]

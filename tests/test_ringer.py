"""The ringer: on time, late, once, alone, and gone when there is nothing to do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from packs_fixture import NOW, FakeHost, RecordingContext, make_context

from edge_agent.errors import StoreError, ToolError
from edge_agent.toolpacks import clock, ringer


@pytest.fixture
def ctx(tmp_path: Path) -> RecordingContext:
    return make_context(tmp_path)


class Clock:
    """Time that passes only by sleeping; `on` holds what happens at a moment."""

    def __init__(self, now: datetime) -> None:
        self.at, self.slept = now, 0
        self.on: dict[datetime, Any] = {}

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= ringer.POLL_S
        self.slept += 1
        self.at += timedelta(seconds=seconds)
        for moment in [each for each in self.on if each <= self.at]:
            self.on.pop(moment)()


def play(ctx: RecordingContext, clock_: Clock, host: Any = None, *, once: bool = False) -> tuple[int, Any]:
    host = host or FakeHost()
    state = ctx.data / "state"
    state.mkdir(parents=True, exist_ok=True)
    loop = ringer._Ringer(
        ctx.home / ".calendars/tasks", host, state / "rung.jsonl", NOW.tzinfo or UTC, clock_.now, clock_.sleep
    )
    loop.run(once)
    return loop.count, host.notified


def test_rings_on_time_and_ends(ctx: RecordingContext) -> None:
    clock.set_timer.call({"duration": "10 seconds", "name": "eggs"}, ctx)
    clock.set_timer.call({"duration": "1 minute"}, ctx)
    time_ = Clock(NOW)
    assert play(ctx, time_) == (2, [("eggs", ""), ("Timer", "")])
    assert timedelta(seconds=60) <= time_.at - NOW < timedelta(seconds=61)
    assert time_.slept < 30
    assert play(ctx, time_) == (0, [])


def test_nothing_to_do_ends_at_once(ctx: RecordingContext) -> None:
    time_ = Clock(NOW)
    assert play(ctx, time_) == (0, [])
    assert time_.slept == 0


def test_missed_ones_ring_late_and_say_so(ctx: RecordingContext) -> None:
    clock.set_reminder.call({"text": "laundry", "when": "in 2 hours"}, ctx)
    count, notified = play(ctx, Clock(NOW + timedelta(hours=5)))
    assert (count, notified) == (1, [("laundry", "due Sat 28 November 2026, 11:30, 3 hours ago")])


def test_a_week_old_alarm_stays_silent(ctx: RecordingContext) -> None:
    clock.set_reminder.call({"text": "laundry", "when": "in 2 hours"}, ctx)
    assert play(ctx, Clock(NOW + timedelta(days=8))) == (0, [])


def test_new_and_cancelled_tasks_are_noticed(ctx: RecordingContext) -> None:
    clock.set_timer.call({"duration": "1 minute", "name": "tea"}, ctx)
    time_ = Clock(NOW)

    def change() -> None:
        clock.cancel_reminder.call({"name": "tea"}, ctx)
        clock.set_timer.call({"duration": "40 seconds", "name": "coffee"}, ctx)

    time_.on[NOW + timedelta(seconds=20)] = change
    assert play(ctx, time_) == (1, [("coffee", "")])


def test_repeating_task(ctx: RecordingContext) -> None:
    clock.set_reminder.call({"text": "pills", "when": "every day at 8 am"}, ctx)
    later = NOW + timedelta(days=3)
    count, notified = play(ctx, Clock(later), once=True)
    assert (count, notified) == (1, [("pills", "due Tue 1 December 2026, 08:00, 1 hour 30 minutes ago")])
    assert play(ctx, Clock(later), once=True) == (0, [])
    assert play(ctx, Clock(later + timedelta(hours=22, minutes=30)), once=True) == (1, [("pills", "")])


def test_completed_and_plain_tasks_are_silent(ctx: RecordingContext) -> None:
    clock.set_timer.call({"duration": "1 minute"}, ctx)
    (path,) = (ctx.home / ".calendars/tasks").iterdir()
    path.write_bytes(path.read_bytes().replace(b"BEGIN:VALARM", b"STATUS:COMPLETED\r\nBEGIN:VALARM"))
    (path.parent / "broken.ics").write_text("nonsense")
    assert play(ctx, Clock(NOW + timedelta(hours=1)), once=True) == (0, [])


def test_foreign_triggers(ctx: RecordingContext) -> None:
    clock.set_reminder.call({"text": "train", "when": "at 11"}, ctx)
    (path,) = (ctx.home / ".calendars/tasks").iterdir()
    body = path.read_bytes()
    assert b"TRIGGER;RELATED=END:P0D" in body
    path.write_bytes(body.replace(b"TRIGGER;RELATED=END:P0D", b"TRIGGER:-PT15M"))
    assert [f"{ring.at:%H:%M}" for ring in ringer.rings(path.parent, NOW)] == ["10:45"]
    path.write_bytes(body.replace(b"TRIGGER;RELATED=END:P0D", b"TRIGGER;VALUE=DATE-TIME:20261128T093000Z"))
    assert [f"{ring.at:%H:%M}" for ring in ringer.rings(path.parent, NOW)] == ["10:30"]
    path.write_bytes(body.replace(b"TRIGGER;RELATED=END:P0D\r\n", b""))
    assert ringer.rings(path.parent, NOW) == []


def test_never_twice_even_if_it_dies_while_ringing(ctx: RecordingContext) -> None:
    clock.set_timer.call({"duration": "1 minute"}, ctx)

    class Dying(FakeHost):
        def notify(self, title: str, body: str) -> None:
            raise KeyboardInterrupt

    later = Clock(NOW + timedelta(minutes=1))
    with pytest.raises(KeyboardInterrupt):
        play(ctx, later, Dying())
    record = ctx.data / "state/rung.jsonl"
    record.write_text(record.read_text() + '{"key": "cut sho')
    assert play(ctx, later) == (0, [])
    assert record.stat().st_mode & 0o077 == 0


def test_nothing_rings_unrecorded(ctx: RecordingContext) -> None:
    clock.set_timer.call({"duration": "1 minute"}, ctx)
    (ctx.data / "state/rung.jsonl").mkdir(parents=True)
    host = FakeHost()
    with pytest.raises(StoreError, match=r"rung\.jsonl"):
        play(ctx, Clock(NOW + timedelta(hours=1)), host)
    assert host.notified == []


def test_bell_when_there_is_no_notifier(ctx: RecordingContext, capsys: pytest.CaptureFixture[str]) -> None:
    clock.set_timer.call({"duration": "1 minute", "name": "tea"}, ctx)

    class Mute(FakeHost):
        def notify(self, title: str, body: str) -> None:
            raise ToolError("no notifier here")

    play(ctx, Clock(NOW + timedelta(minutes=1)), Mute())
    assert capsys.readouterr().out == "\atea [no notifier here]\n"


def test_old_records_are_dropped(ctx: RecordingContext) -> None:
    record = ctx.data / "state/rung.jsonl"
    record.parent.mkdir(parents=True)
    rows = [{"key": "old", "at": "2026-10-01T00:00:00+00:00"}, {"key": "new", "at": "2026-11-27T00:00:00+00:00"}]
    record.write_text("".join(json.dumps(row) + "\n" for row in rows))
    play(ctx, Clock(NOW))
    assert [json.loads(line)["key"] for line in record.read_text().splitlines()] == ["new"]


def test_only_one_runs(ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, state = ctx.home / ".calendars/tasks", ctx.data / "state"
    real = make_context(ctx.home.parent, datetime.now(UTC))
    clock.set_timer.call({"duration": "1 hour"}, real)
    started: list[list[str]] = []
    monkeypatch.setattr(ringer.subprocess, "Popen", lambda command, **_: started.append(command))
    assert ringer.ensure_running(tasks, state)
    assert started == [[sys.executable, "-P", "-m", "edge_agent", "clock", "run"]]
    with FileLock(state / "ringer.lock"):
        assert not ringer.ensure_running(tasks, state)
        assert ringer.run(tasks, FakeHost(), state, tz=UTC) == 0
    clock.cancel_reminder.call({"name": "timer"}, real)
    assert not ringer.ensure_running(tasks, state)
    assert len(started) == 1


def test_a_task_written_while_it_leaves_is_seen(ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, state = ctx.home / ".calendars/tasks", ctx.data / "state"
    real = make_context(ctx.home.parent, datetime.now(UTC) - timedelta(minutes=5))
    leave = ringer._Ringer.run

    def run(self: Any, once: bool) -> None:
        leave(self, once)
        if not any(tasks.glob("*.ics")):
            clock.set_timer.call({"duration": "1 minute", "name": "late"}, real)

    monkeypatch.setattr(ringer._Ringer, "run", run)
    host = FakeHost()
    assert ringer.run(tasks, host, state, tz=UTC) == 1
    assert host.notified[0][0] == "late"


def test_unusable_state_folder(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StoreError, match="state"):
        ringer.run(tmp_path, FakeHost(), tmp_path / "state", once=True, tz=UTC)


SCRIPT = """
import sys
from pathlib import Path
from datetime import UTC
from edge_agent.toolpacks import ringer
class Host:
    def notify(self, title, body):
        print("RING", title, flush=True)
print("UP", flush=True)
ringer.run(Path(sys.argv[1]), Host(), Path(sys.argv[2]), tz=UTC)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills a process the POSIX way")
def test_killed_and_started_again(ctx: RecordingContext) -> None:
    real = make_context(ctx.home.parent, datetime.now(UTC))
    clock.set_timer.call({"duration": "1 second", "name": "first"}, real)
    clock.set_timer.call({"duration": "2 seconds", "name": "second"}, real)
    command = [sys.executable, "-c", SCRIPT, str(ctx.home / ".calendars/tasks"), str(ctx.data / "state")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "UP\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        rang = process.stdout.read().splitlines()
    again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert rang + again.stdout.splitlines()[1:] == ["RING first", "RING second"]
    third = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert third.stdout.splitlines() == ["UP"]

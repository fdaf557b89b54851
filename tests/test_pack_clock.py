"""The clock pack on a Saturday, 28 November 2026, 9:30 in Berlin."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar
from packs_fixture import NOW, RecordingContext, make_context, tree, undo

from edge_agent.errors import ToolError
from edge_agent.toolpacks import clock, timezones

TOOLS = {tool.name: tool for tool in clock.TOOLS}


def call(ctx: RecordingContext, tool: str, /, **arguments: Any) -> str:
    return TOOLS[tool].call(arguments, ctx).text


def tasks(ctx: RecordingContext) -> list[Any]:
    files = sorted((ctx.home / ".calendars/tasks").glob("*.ics"))
    return [Calendar.from_ical(path.read_bytes()).walk("VTODO")[0] for path in files]


@pytest.fixture
def ctx(tmp_path: Path) -> RecordingContext:
    return make_context(tmp_path)


def test_examples_copy_from_their_sentence(ctx: RecordingContext) -> None:
    for tool in clock.TOOLS:
        assert 2 <= len(tool.examples) <= 4
        for example in tool.examples:
            tool.bind(example.arguments)
            for key, value in example.arguments.items():
                if "x-edge-copy" in tool.parameters["properties"][key]:
                    assert value in example.text


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("", "It is 09:30 on Sat 28 November 2026."),
        ("Tokyo", "In Tokyo it is 17:30 on Sat 28 November 2026."),
        ("san francisco", "In San Francisco it is 00:30 on Sat 28 November 2026."),
        ("New York City", "In New York it is 03:30"),
        ("NYC", "In NYC it is 03:30"),
        ("London time", "In London it is 08:30"),
        ("Portland, Oregon", "In Portland it is 00:30"),
        ("the UK", "In UK it is 08:30"),
        ("India", "In India it is 14:00"),
        ("São Paulo", "In Sao Paulo it is 05:30"),
        ("America/Denver", "In America/Denver it is 01:30"),
        ("UTC", "In UTC it is 08:30"),
        ("Auckland", "In Auckland it is 21:30"),
    ],
)
def test_current_time(ctx: RecordingContext, place: str, expected: str) -> None:
    assert call(ctx, "current_time", place=place).startswith(expected)


def test_unknown_place_names_near_ones(ctx: RecordingContext) -> None:
    with pytest.raises(ToolError, match="'Tokio'") as caught:
        call(ctx, "current_time", place="Tokio")
    assert caught.value.hint == "did you mean Tokyo?"
    with pytest.raises(ToolError, match="Atlantis"):
        call(ctx, "current_time", place="Atlantis")


def test_every_place_has_a_zone() -> None:
    for zone, places in timezones._PLACES.items():
        for place in places.split(", "):
            assert timezones.zone_of(place)[1] == ZoneInfo(zone)


def test_convert_time(ctx: RecordingContext) -> None:
    text = call(ctx, "convert_time", time="3pm", place="London", to="New York")
    assert text == "Sat 28 November 2026, 15:00 in London is Sat 28 November 2026, 10:00 in New York."
    assert "18:30 in your time zone" in call(ctx, "convert_time", time="9:30 am tomorrow", place="San Francisco")
    with pytest.raises(ToolError, match="'later'"):
        call(ctx, "convert_time", time="later", place="London")


def test_set_timer(ctx: RecordingContext) -> None:
    before = tree(ctx)
    assert call(ctx, "set_timer", duration="20 minutes") == "Timer set for 20 minutes; it rings at 09:50."
    (todo,) = tasks(ctx)
    assert todo["DUE"].dt == NOW + timedelta(minutes=20)
    assert todo.categories == ["timer"]
    (alarm,) = todo.subcomponents
    assert alarm["TRIGGER"].dt == timedelta(0)
    assert next((ctx.home / ".calendars/tasks").iterdir()).stat().st_mode & 0o077 == 0
    undo(ctx)
    assert tree(ctx) == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"duration": "90s", "name": "eggs"}, "Timer set for 1 minute 30 seconds (eggs); it rings at 09:31:30."),
        ({"duration": "30 seconds"}, "Timer set for 30 seconds; it rings at 09:30:30."),
        ({"duration": "an hour and a half"}, "Timer set for 1 hour 30 minutes; it rings at 11:00."),
        ({"duration": "20 hours"}, "Timer set for 20 hours; it rings at 05:30 on Sun 29 November 2026."),
    ],
)
def test_timer_answers(ctx: RecordingContext, arguments: dict[str, str], expected: str) -> None:
    assert call(ctx, "set_timer", **arguments).startswith(expected)


@pytest.mark.parametrize("duration", ["", "twenty", "tomorrow", "a month", "-5 minutes"])
def test_timer_refuses(ctx: RecordingContext, duration: str) -> None:
    with pytest.raises(ToolError, match="not a length of time"):
        call(ctx, "set_timer", duration=duration)
    assert ctx.changes == []


def test_timer_over_a_clock_change(tmp_path: Path) -> None:
    ctx = make_context(tmp_path, datetime(2026, 10, 25, 1, 30, tzinfo=ZoneInfo("Europe/Berlin")))
    assert call(ctx, "set_timer", duration="3 hours").endswith("it rings at 03:30.")


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("half past six", "Sat 28 November 2026, 18:30"),
        ("6 am", "Sun 29 November 2026, 06:00"),
        ("tomorrow at 6", "Sun 29 November 2026, 06:00"),
        ("every weekday at 6", "Mon 30 November 2026, 06:00, repeating (every weekday at 6)"),
    ],
)
def test_set_alarm(ctx: RecordingContext, when: str, expected: str) -> None:
    assert call(ctx, "set_alarm", when=when) == f"Alarm set for {expected}."


@pytest.mark.parametrize("when", ["tomorrow", "the plants", "yesterday at 5", "today at 8 am"])
def test_alarm_refuses(ctx: RecordingContext, when: str) -> None:
    with pytest.raises(ToolError, match=r".+"):
        call(ctx, "set_alarm", when=when)
    assert ctx.changes == []


@pytest.mark.parametrize(
    ("when", "due"),
    [
        ("tomorrow at 7", "2026-11-29T07:00:00+01:00"),
        ("tomorrow", "2026-11-29T09:00:00+01:00"),
        ("today", "2026-11-28T10:00:00+01:00"),
        ("next week", "2026-11-30T09:00:00+01:00"),
        ("in 2 hours", "2026-11-28T11:30:00+01:00"),
        ("tonight", "2026-11-28T20:00:00+01:00"),
        ("on the 1st", "2026-12-01T09:00:00+01:00"),
    ],
)
def test_set_reminder(ctx: RecordingContext, when: str, due: str) -> None:
    result = TOOLS["set_reminder"].call({"text": "water the plants", "when": when}, ctx)
    assert result.data["due"] == due
    assert result.text.startswith('I will remind you: "water the plants" on ')
    (todo,) = tasks(ctx)
    assert todo["DUE"].dt == datetime.fromisoformat(due)
    assert (str(todo["SUMMARY"]), todo.categories) == ("water the plants", ["reminder"])


def test_repeating_reminder(ctx: RecordingContext) -> None:
    text = call(ctx, "set_reminder", text="send the report", when="every Monday at 9")
    assert text == 'I will remind you: "send the report" on Mon 30 November 2026, 09:00, repeating (every Monday at 9).'
    (todo,) = tasks(ctx)
    assert todo["RRULE"].to_ical() == b"FREQ=WEEKLY;BYDAY=MO"
    later = make_context(ctx.home.parent, NOW + timedelta(days=20))
    assert "Mon 21 December 2026, 09:00" in call(later, "list_reminders")


def test_fixed_offset_is_written_as_utc(tmp_path: Path) -> None:
    ctx = make_context(tmp_path, datetime(2026, 11, 28, 9, 30, tzinfo=timezone(timedelta(hours=-5))))
    call(ctx, "set_reminder", text="x", when="at 5pm")
    (path,) = (ctx.home / ".calendars/tasks").iterdir()
    assert b"DUE:20261128T220000Z" in path.read_bytes()
    assert "17:00" in call(ctx, "list_reminders")


def fill(ctx: RecordingContext) -> None:
    call(ctx, "set_timer", duration="9 min", name="pasta")
    call(ctx, "set_timer", duration="20 min", name="rice")
    call(ctx, "set_alarm", when="7am")
    call(ctx, "set_reminder", text="move the laundry", when="in 2 hours")


def test_list_reminders(ctx: RecordingContext) -> None:
    assert call(ctx, "list_reminders") == "No reminders, timers or alarms are set."
    assert call(ctx, "list_reminders", kind="timer") == "No timers are set."
    fill(ctx)
    assert call(ctx, "list_reminders").splitlines() == [
        "- Timer: pasta, Sat 28 November 2026, 09:39 (in 9 minutes)",
        "- Timer: rice, Sat 28 November 2026, 09:50 (in 20 minutes)",
        "- Reminder: move the laundry, Sat 28 November 2026, 11:30 (in 2 hours)",
        "- Alarm: Alarm, Sun 29 November 2026, 07:00 (in 21 hours 30 minutes)",
    ]
    assert call(ctx, "list_reminders", kind="alarm").count("\n") == 0
    later = make_context(ctx.home.parent, NOW + timedelta(hours=1))
    assert "pasta" not in call(later, "list_reminders")


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("pasta timer", "the timer 'pasta'"),
        ("the timer for the rice", "the timer 'rice'"),
        ("7am alarm", "the alarm 'Alarm'"),
        ("7 o'clock alarm", "the alarm 'Alarm'"),
        ("my alarm", "the alarm 'Alarm'"),
        ("reminder about the laundry", "the reminder 'move the laundry'"),
        ("laundry", "the reminder 'move the laundry'"),
        ("all timers", "the timer 'pasta' and the timer 'rice'"),
    ],
)
def test_cancel(ctx: RecordingContext, name: str, gone: str) -> None:
    fill(ctx)
    before = tree(ctx)
    ctx.changes.clear()
    assert call(ctx, "cancel_reminder", name=name) == f"Cancelled {gone}."
    assert len(tasks(ctx)) == 4 - 1 - gone.count(" and ")
    undo(ctx)
    assert tree(ctx) == before


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("timer", "several timers fit 'timer': pasta", "its time"),
        ("soup timer", "no timer fits 'soup timer'", "there is: pasta"),
        ("8am alarm", "no alarm fits", "there is"),
        ("all dragons", "nothing fits", "list_reminders"),
    ],
)
def test_cancel_refuses(ctx: RecordingContext, name: str, message: str, hint: str) -> None:
    fill(ctx)
    with pytest.raises(ToolError, match=message) as caught:
        call(ctx, "cancel_reminder", name=name)
    assert hint in (caught.value.hint or "")
    assert len(tasks(ctx)) == 4


def test_time_until(ctx: RecordingContext) -> None:
    fill(ctx)
    assert call(ctx, "time_until", what="Christmas") == "27 days until Christmas (Fri 25 December 2026)."
    assert call(ctx, "time_until", what="tomorrow") == "1 day until tomorrow (Sun 29 November 2026)."
    assert call(ctx, "time_until", what="today") == "today is today (Sat 28 November 2026)."
    assert call(ctx, "time_until", what="yesterday").startswith("yesterday was 1 day ago")
    assert call(ctx, "time_until", what="noon").startswith("2 hours 30 minutes until noon")
    assert call(ctx, "time_until", what="laundry").startswith("2 hours until move the laundry")
    assert call(ctx, "time_until", what="an hour ago").startswith("an hour ago was 1 hour ago")
    with pytest.raises(ToolError, match="no event or reminder fits 'my wedding'"):
        call(ctx, "time_until", what="my wedding")


def test_foreign_and_broken_files_are_left_alone(ctx: RecordingContext) -> None:
    folder = ctx.home / ".calendars/tasks"
    folder.mkdir(parents=True)
    (folder / "a.ics").write_text("nonsense")
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", "BEGIN:VTODO", "UID:b", "SUMMARY:Buy milk", "END:VTODO"]
    (folder / "b.ics").write_text("\r\n".join([*lines, "END:VCALENDAR", ""]))
    assert call(ctx, "list_reminders").startswith("No ")

"""The calendar pack on a Saturday, 28 November 2026, 9:30 in Berlin."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from icalendar import Calendar
from packs_fixture import RecordingContext, make_context, tree, undo

from edge_agent.errors import ToolError
from edge_agent.toolpacks import calendar

TOOLS = {tool.name: tool for tool in calendar.TOOLS}
FOREIGN = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Other//EN
X-WR-CALNAME:Work
BEGIN:VEVENT
UID:foreign
DTSTAMP:20260101T000000Z
DTSTART;TZID=Europe/Berlin:20261130T100000
DTEND;TZID=Europe/Berlin:20261130T103000
SUMMARY:Standup
RRULE:FREQ=WEEKLY;BYDAY=MO,WE
X-COLOR;X-SHADE=dark:blue
DESCRIPTION:Join https://zoom.us/j/123?pwd=a. Bring coffee\\, please
ATTENDEE;CN=Sam Lee;PARTSTAT=ACCEPTED:mailto:sam@example.org
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")


def call(ctx: RecordingContext, tool: str, /, **arguments: Any) -> str:
    return TOOLS[tool].call(arguments, ctx).text


def events(ctx: RecordingContext) -> list[Any]:
    files = sorted((ctx.home / ".calendars/personal").glob("*.ics"))
    return [part for path in files for part in Calendar.from_ical(path.read_bytes()).walk("VEVENT")]


@pytest.fixture
def ctx(tmp_path: Path) -> RecordingContext:
    return make_context(tmp_path)


@pytest.fixture
def foreign(ctx: RecordingContext) -> Path:
    path = ctx.home / ".calendars/personal/foreign.ics"
    path.parent.mkdir(parents=True)
    path.write_bytes(FOREIGN.encode())
    return path


def test_examples_copy_from_their_sentence() -> None:
    for tool in calendar.TOOLS:
        assert 2 <= len(tool.examples) <= 4
        for example in tool.examples:
            tool.bind(example.arguments)
            assert all(value in example.text for value in example.arguments.values())


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (
            {"title": "lunch with Sam", "when": "this Friday 1-2pm", "place": "the Blue Cafe"},
            '"lunch with Sam" is in your calendar: Fri 4 December 2026, 13:00 to 14:00, at the Blue Cafe.',
        ),
        (
            {"title": "dentist", "when": "March 3rd at 10:15", "person": "Dr. Weber"},
            '"dentist" is in your calendar: Wed 3 March 2027, 10:15 to 11:15, with Dr. Weber.',
        ),
        (
            {"title": "review", "when": "Tuesday at 4", "duration": "45 minute"},
            '"review" is in your calendar: Tue 1 December 2026, 16:00 to 16:45.',
        ),
        (
            {"title": "holiday", "when": "next Friday"},
            '"holiday" is in your calendar: Fri 4 December 2026, all day.',
        ),
        (
            {"title": "trip", "when": "next weekend"},
            '"trip" is in your calendar: Sat 5 December 2026 to Sun 6 December 2026, all day.',
        ),
        (
            {"title": "yoga", "when": "every Thursday at 6pm"},
            '"yoga" is in your calendar: Thu 3 December 2026, 18:00 to 19:00, repeating (every Thursday at 6pm).',
        ),
        (
            {"title": "party", "when": "tonight", "duration": "6 hours"},
            '"party" is in your calendar: Sat 28 November 2026, 20:00 to Sun 29 November 2026, 02:00.',
        ),
    ],
)
def test_create_event(ctx: RecordingContext, arguments: dict[str, str], answer: str) -> None:
    before = tree(ctx)
    assert call(ctx, "create_event", **arguments) == answer
    (event,) = events(ctx)
    assert str(event["SUMMARY"]) == arguments["title"]
    undo(ctx)
    assert tree(ctx) == before


def test_created_file_is_plain_icalendar(ctx: RecordingContext) -> None:
    call(ctx, "create_event", title="dentist", when="tomorrow at 10", place="Main St 1; 2nd floor")
    (path,) = (ctx.home / ".calendars/personal").iterdir()
    text = path.read_text()
    assert "DTSTART;TZID=Europe/Berlin:20261129T100000" in text
    assert "BEGIN:VTIMEZONE" in text
    assert "LOCATION:Main St 1\\; 2nd floor" in text
    assert path.stem in text
    assert path.stat().st_mode & 0o077 == 0
    west = make_context(ctx.home.parent, datetime(2026, 11, 28, 9, 30, tzinfo=timezone(timedelta(hours=-5))))
    call(west, "create_event", title="call", when="tomorrow at 10")
    assert any(part["DTSTART"].dt == datetime(2026, 11, 29, 15, tzinfo=UTC) for part in events(west))


def test_all_day_dates(ctx: RecordingContext) -> None:
    call(ctx, "create_event", title="trip", when="next weekend")
    (event,) = events(ctx)
    assert (event["DTSTART"].dt, event["DTEND"].dt) == (date(2026, 12, 5), date(2026, 12, 7))


def test_overlap_is_told(ctx: RecordingContext, foreign: Path) -> None:
    text = call(ctx, "create_event", title="call", when="Monday at 10:15")
    assert text.endswith("It overlaps with Standup.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"title": " ", "when": "tomorrow"}, "needs a title"),
        ({"title": "x", "when": "plants"}, "don't know when 'plants'"),
        ({"title": "x", "when": "tomorrow", "duration": "2 hours"}, "no time of day"),
        ({"title": "x", "when": "tomorrow at 5", "duration": "long"}, "'long' is not a length"),
        ({"title": "x"}, "when: Field required"),
    ],
)
def test_create_refuses(ctx: RecordingContext, arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ToolError, match=message):
        call(ctx, "create_event", **arguments)
    assert ctx.changes == []


def test_list_events(ctx: RecordingContext, foreign: Path) -> None:
    call(ctx, "create_event", title="brunch", when="tomorrow at 11", place="Cafe")
    call(ctx, "create_event", title="Advent", when="tomorrow")
    assert call(ctx, "list_events").splitlines() == [
        "- Sun 29 November 2026, all day: Advent",
        "- Sun 29 November 2026, 11:00 to 12:00: brunch (Cafe)",
        "- Mon 30 November 2026, 10:00 to 10:30: Standup",
        "- Wed 2 December 2026, 10:00 to 10:30: Standup",
    ]
    assert call(ctx, "list_events", when="tomorrow morning").count("\n") == 1
    assert call(ctx, "list_events", when="today") == "Nothing is in your calendar today."
    assert call(ctx, "list_events", when="next week").count("Standup") == 2
    (foreign.parent / "bad.ics").write_text("BEGIN:VEVENT")
    assert "could not read bad.ics" in call(ctx, "list_events")
    with pytest.raises(ToolError, match="'plants'"):
        call(ctx, "list_events", when="plants")


def test_no_calendar_at_all(ctx: RecordingContext) -> None:
    assert call(ctx, "list_events") == "Nothing is in your calendar for the coming seven days."
    assert call(ctx, "find_event") == "Nothing is coming up in your calendar."
    with pytest.raises(ToolError, match="no event fits") as caught:
        call(ctx, "cancel_event", event="dentist")
    assert caught.value.hint == "there are no events"


def test_find_event(ctx: RecordingContext, foreign: Path) -> None:
    call(ctx, "create_event", title="dentist", when="December 10 at 9 am", place="Main St")
    assert call(ctx, "find_event") == "Standup: Mon 30 November 2026, 10:00 to 10:30."
    text = call(ctx, "find_event", name="my dentist appointment")
    assert text == "dentist (Main St): Thu 10 December 2026, 09:00 to 10:00."
    with pytest.raises(ToolError, match="no coming event fits 'wedding'"):
        call(ctx, "find_event", name="wedding")


def test_find_free_time(ctx: RecordingContext, foreign: Path) -> None:
    call(ctx, "create_event", title="long", when="Monday from 10:15 to 16:00")
    call(ctx, "create_event", title="holiday", when="Monday")
    assert call(ctx, "find_free_time", when="Monday").splitlines() == [
        "You are free:",
        "- Mon 30 November 2026, 09:00 to 10:00 (1 hour)",
        "- Mon 30 November 2026, 16:00 to 18:00 (2 hours)",
    ]
    assert "09:00 to 10:00" not in call(ctx, "find_free_time", when="Monday", duration="90 minutes")
    assert call(ctx, "find_free_time", when="Monday morning", duration="2 hours").startswith("No 2 hours are free")
    assert "09:30 to 18:00" in call(ctx, "find_free_time")
    assert "09:30 to 12:00 (2 hours 30 minutes)" in call(ctx, "find_free_time", when="this morning")
    assert call(ctx, "find_free_time", when="next week").count("\n") == 9
    assert "14:00 to 16:00" in call(ctx, "find_free_time", when="tomorrow between 2 and 4")
    with pytest.raises(ToolError, match="'plants'"):
        call(ctx, "find_free_time", when="plants")


@pytest.mark.parametrize(
    ("when", "start"),
    [
        ("next Thursday at 3", "2026-12-03T15:00:00+01:00"),
        ("4:30", "2026-12-01T16:30:00+01:00"),
        ("at 1", "2026-12-01T13:00:00+01:00"),
        ("Friday", "2026-12-04T14:00:00+01:00"),
        ("next week", "2026-12-01T14:00:00+01:00"),
        ("an hour later", "2026-12-01T15:00:00+01:00"),
        ("by 30 minutes earlier", "2026-12-01T13:30:00+01:00"),
        ("tomorrow morning", "2026-11-29T09:00:00+01:00"),
        ("noon", "2026-12-01T12:00:00+01:00"),
    ],
)
def test_move_event(ctx: RecordingContext, when: str, start: str) -> None:
    call(ctx, "create_event", title="budget review", when="Tuesday 2-2:45pm")
    before = tree(ctx)
    ctx.changes.clear()
    text = call(ctx, "move_event", event="the budget review meeting", when=when)
    assert text.startswith('Moved "budget review" from Tue 1 December 2026, 14:00 to 14:45 to ')
    (event,) = events(ctx)
    assert event["DTSTART"].dt == datetime.fromisoformat(start)
    assert event["DTEND"].dt - event["DTSTART"].dt == timedelta(minutes=45)
    undo(ctx)
    assert tree(ctx) == before


def test_dinner_moves_within_the_evening(ctx: RecordingContext) -> None:
    call(ctx, "create_event", title="dinner", when="tomorrow at 7pm")
    assert "20:00 to 21:00" in call(ctx, "move_event", event="dinner", when="at 8")


def test_one_of_a_series_moves_and_the_rest_is_kept(ctx: RecordingContext, foreign: Path) -> None:
    call(ctx, "move_event", event="standup", when="Monday at 3pm")
    text = foreign.read_text()
    for kept in ("X-WR-CALNAME:Work", "X-COLOR;X-SHADE=dark:blue", "RRULE:FREQ=WEEKLY", "RECURRENCE-ID", "Sam Lee"):
        assert kept in text
    listed = call(ctx, "list_events", when="next week")
    assert "Mon 30 November 2026, 15:00 to 15:30: Standup" in listed
    assert "Wed 2 December 2026, 10:00" in listed
    assert "30 November 2026, 10:00" not in listed
    call(ctx, "move_event", event="standup", when="Monday at 5pm")
    assert "15:00" not in call(ctx, "list_events", when="next week")
    assert len(events(ctx)) == 2
    call(ctx, "cancel_event", event="standup")
    assert "30 November" not in call(ctx, "list_events", when="next week")
    undo(ctx)
    assert foreign.read_bytes() == FOREIGN.encode()


def test_cancel_one_day_of_a_series(ctx: RecordingContext, foreign: Path) -> None:
    text = call(ctx, "cancel_event", event="standup on Wednesday")
    assert text == 'Removed "Standup" from your calendar (Wed 2 December 2026, 10:00 to 10:30).'
    listed = call(ctx, "list_events", when="next week")
    assert "30 November" in listed
    assert "2 December" not in listed


def test_cancel_a_whole_series(ctx: RecordingContext, foreign: Path) -> None:
    before = tree(ctx)
    assert "every one of the series" in call(ctx, "cancel_event", event="all the standups")
    assert not foreign.exists()
    undo(ctx)
    assert tree(ctx) == before


def test_cancel_all_day_series_and_shared_file(ctx: RecordingContext, foreign: Path) -> None:
    call(ctx, "create_event", title="rent", when="every day")
    call(ctx, "cancel_event", event="rent")
    assert "28 November" not in call(ctx, "list_events", when="today")
    assert "rent" in call(ctx, "list_events", when="tomorrow")
    extra = "BEGIN:VEVENT\r\nUID:other\r\nDTSTART:20261203T100000Z\r\nSUMMARY:Tax\r\nEND:VEVENT\r\nEND:VCALENDAR"
    foreign.write_bytes(FOREIGN.replace("END:VCALENDAR", extra).encode())
    call(ctx, "cancel_event", event="tax")
    assert "Tax" not in foreign.read_text()
    assert "Standup" in foreign.read_text()


def test_same_names_are_asked_about(ctx: RecordingContext) -> None:
    for when in ("Monday at 9", "Tuesday at 9"):
        call(ctx, "create_event", title="dentist", when=when)
    with pytest.raises(ToolError, match="several events fit 'dentist': dentist \\(Mon 30") as caught:
        call(ctx, "cancel_event", event="dentist")
    assert caught.value.hint
    assert "Tue 1 December" in call(ctx, "cancel_event", event="the dentist on Tuesday")


def test_meeting_link(ctx: RecordingContext, foreign: Path) -> None:
    expected = "Standup, Mon 30 November 2026, 10:00: https://zoom.us/j/123?pwd=a"
    assert call(ctx, "meeting_link") == expected
    assert call(ctx, "meeting_link", event="standup") == expected
    call(ctx, "create_event", title="walk", when="tomorrow at 9")
    with pytest.raises(ToolError, match="no link is written in 'walk'"):
        call(ctx, "meeting_link", event="walk")


def test_floating_and_durations_and_cancelled(ctx: RecordingContext, foreign: Path) -> None:
    body = FOREIGN.replace("DTEND;TZID=Europe/Berlin:20261130T103000", "DURATION:PT45M").replace("UID:foreign", "UID:f")
    body = body.replace(";TZID=Europe/Berlin", "").replace("RRULE:FREQ=WEEKLY;BYDAY=MO,WE\r\n", "")
    (foreign.parent / "f.ics").write_text(body.replace("Standup", "Float"))
    (foreign.parent / "c.ics").write_text(body.replace("Standup", "Gone\r\nSTATUS:CANCELLED").replace("UID:f", "UID:c"))
    listed = call(ctx, "list_events", when="Monday")
    assert "10:00 to 10:45: Float" in listed
    assert "Gone" not in listed
    call(ctx, "move_event", event="float", when="11 am")
    assert "11:00 to 11:45: Float" in call(ctx, "list_events", when="Monday")


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ("DTSTART:garbage", "could not read a.ics"),
        ("DTSTART:20261129T100000\nDTEND:garbage", "could not read a.ics"),
        ("DTSTART:20261129T100000\nDURATION:xx", "could not read a.ics"),
        ("DTSTART:20261129T100000\nDTSTART:20261129T110000", "could not read a.ics"),
        ("DTSTART;TZID=Mars/Olympus:20261129T100000", "10:00 to 10:00: odd"),
        ("DTSTART:20261129T100000\nRRULE:FREQ=NEVER", "10:00 to 10:00: odd"),
        ("DTSTART:20261129T100000\nRRULE:FREQ=SECONDLY", "10:00 to 10:00: odd"),
        ("DTSTART:20261129T100000\nSEQUENCE:abc\nSUMMARY:two", "10:00 to 10:00: odd"),
        ("DTSTART;VALUE=DATE:20261129\nDTEND;VALUE=DATE:20261129", "all day: odd"),
        ("DTSTART:00010101T000000Z\nRRULE:FREQ=DAILY", "Nothing"),
        ("DTSTART:99991231T000000Z", "Nothing"),
    ],
)
def test_odd_files_never_break_a_tool(ctx: RecordingContext, lines: str, shown: str) -> None:
    folder = ctx.home / ".calendars/personal"
    folder.mkdir(parents=True)
    body = f"BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID:u\nSUMMARY:odd\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n"
    (folder / "a.ics").write_text(body)
    assert shown in call(ctx, "list_events")
    call(ctx, "find_free_time")
    for tool, arguments in (
        ("move_event", {"event": "odd", "when": "tomorrow at 3pm"}),
        ("cancel_event", {"event": "odd"}),
    ):
        with suppress(ToolError):  # there may be no event left that could be meant
            call(ctx, tool, **arguments)

"""The person's calendar: events as iCalendar files (RFC 5545), one a file, in the calendar folder (vdir)."""

from __future__ import annotations

import copy
import re
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from ..errors import ToolError
from ..tools import Effect, Example, ToolResult, copied, tool
from ..when import Moment, parse_duration, parse_moment, parse_recurrence
from ..workspace import Context
from .agenda import (
    Item,
    Named,
    Occurrence,
    add,
    choose,
    coming,
    length,
    local,
    matching,
    occurrences,
    portable,
    put,
    read,
    said,
    save,
)

_HOUR = timedelta(hours=1)
_ABOUT = "event meeting appointment call calendar"
_WORKDAY = (9, 18)
_PARTS = {"morning": (9, 12), "afternoon": (12, 18), "evening": (18, 22), "night": (18, 24)}


@tool(
    effect=Effect.WRITE,
    pack="calendar",
    examples=(
        Example("Schedule lunch with Sam this Friday 1-2pm at the Blue Cafe", {
            "title": "lunch with Sam", "when": "this Friday 1-2pm", "place": "the Blue Cafe"}),
        Example("put a dentist appointment in my calendar for March 3rd at 10:15", {
            "title": "dentist appointment", "when": "March 3rd at 10:15"}),
        Example("add a 45 minute budget review on Tuesday at 4", {
            "title": "budget review", "when": "Tuesday at 4", "duration": "45 minute"}),
        Example("new event: yoga every Thursday at 6pm", {"title": "yoga", "when": "every Thursday at 6pm"}),
    ),
)  # fmt: skip
def create_event(
    ctx: Context,
    title: Annotated[str, copied("text")],
    when: Annotated[str, copied("when")],
    duration: Annotated[str, copied("duration")] = "",
    place: Annotated[str, copied("name")] = "",
    person: Annotated[str, copied("name")] = "",
) -> ToolResult:
    """Put a new event, meeting or appointment in the calendar.

    Args:
        title: What the event is.
        when: Day and time of it.
        duration: How long it lasts.
        place: Where it is.
        person: Who else takes part.
    """
    if not title.strip():
        raise ToolError("an event needs a title", hint="say what it is")
    moment = _moment(when, ctx.now)
    start, end, all_day = _extent(moment, duration)
    rule = parse_recurrence(when)
    fields = {"summary": title.strip(), **_times(start, end, all_day)}
    if rule:
        from icalendar import vRecur

        fields["rrule"] = vRecur.from_ical(rule)
    if place.strip():
        fields["location"] = place.strip()
    if person.strip():
        fields["description"] = f"With {person.strip()}"
    busy = [] if all_day else [each.title for each in occurrences(_items(ctx), start, end) if not each.all_day]
    add(ctx, ctx.folder("calendar_dir", ".calendars/personal"), "VEVENT", fields)
    extras = [f"at {place.strip()}"] if place.strip() else []
    extras += [f"with {person.strip()}"] if person.strip() else []
    extras += [f"repeating ({when.strip()})"] if rule else []
    clash = f" It overlaps with {', '.join(busy)}." if busy else ""
    return ToolResult(
        f'"{title.strip()}" is in your calendar: {", ".join([_span(start, end, all_day), *extras])}.{clash}',
        {"title": title.strip(), "start": start.isoformat(), "end": end.isoformat(), "all_day": all_day},
    )


@tool(
    effect=Effect.READ,
    pack="calendar",
    examples=(
        Example("What's on my calendar tomorrow?", {"when": "tomorrow"}),
        Example("do I have any meetings this afternoon", {"when": "this afternoon"}),
        Example("Show my upcoming events"),
        Example("what am I doing next week", {"when": "next week"}),
    ),
)
def list_events(ctx: Context, when: Annotated[str, copied("when")] = "") -> ToolResult:
    """List the events in the calendar, on a day or in the coming week.

    Args:
        when: Day, time or week to look at; leave out for the coming seven days.
    """
    items, broken = read(ctx.folder("calendar_dir", ".calendars/personal"), "VEVENT")
    if when:
        first, last = _moment(when, ctx.now).window()
    else:
        first, last = ctx.now, ctx.now + timedelta(days=7)
    found = occurrences(filter(_live, items), first, last)
    lines = [f"- {_span(each.start, each.end, each.all_day)}: {_titled(each)}" for each in found]
    if not lines:
        lines = [f"Nothing is in your calendar {when.strip() or 'for the coming seven days'}."]
    if broken:
        lines.append(f"(could not read {', '.join(path.name for path in broken)})")
    return ToolResult("\n".join(lines), [_data(each) for each in found])


@tool(
    effect=Effect.READ,
    pack="calendar",
    examples=(
        Example("When is my dentist appointment?", {"name": "dentist appointment"}),
        Example("what's my next meeting"),
        Example("Where is the budget review", {"name": "budget review"}),
    ),
)
def find_event(ctx: Context, name: Annotated[str, copied("text")] = "") -> ToolResult:
    """Tell when and where the next event is, or the next one of some name.

    Args:
        name: What the event is called; leave out for whatever is next.
    """
    ahead = _coming(ctx)
    rows = matching(ahead, name, ctx.now) if name.strip() else ahead
    if not rows:
        if name.strip():
            choose(ahead, name, ctx.now, "coming event")
        return ToolResult("Nothing is coming up in your calendar.", None)
    first = rows[0].value
    return ToolResult(f"{_titled(first)}: {_span(first.start, first.end, first.all_day)}.", _data(first))


@tool(
    effect=Effect.READ,
    pack="calendar",
    examples=(
        Example("When am I free tomorrow?", {"when": "tomorrow"}),
        Example("find an hour for a walk this afternoon", {"when": "this afternoon", "duration": "an hour"}),
        Example("do I have a free slot on Thursday", {"when": "Thursday"}),
    ),
)
def find_free_time(
    ctx: Context, when: Annotated[str, copied("when")] = "", duration: Annotated[str, copied("duration")] = ""
) -> ToolResult:
    """Find times with nothing in the calendar, between 9:00 and 18:00 unless a time of day is said.

    Args:
        when: Day, part of a day or week to look at; leave out for today.
        duration: Least length of the free time; half an hour if left out.
    """
    least = _duration(duration) if duration.strip() else timedelta(minutes=30)
    moment = _moment(when, ctx.now) if when.strip() else _moment("today", ctx.now)
    busy = [
        each
        for each in occurrences(filter(_live, _items(ctx)), *_wide(moment))
        if not each.all_day and str(each.component.get("TRANSP", "")) != "TRANSPARENT"
    ]
    free: list[tuple[datetime, datetime]] = []
    for first, last in _windows(moment, ctx.now):
        at = first
        for each in busy:
            if each.start > at and min(each.start, last) - at >= least:
                free.append((at, min(each.start, last)))
            at = max(at, each.end)
        if last - at >= least:
            free.append((at, last))
    if not free:
        return ToolResult(f"No {length(least)} are free {when.strip() or 'today'}.", [])
    lines = [f"- {_span(first, last, False)} ({length(last - first)})" for first, last in free]
    return ToolResult(
        "You are free:\n" + "\n".join(lines), [{"start": a.isoformat(), "end": b.isoformat()} for a, b in free]
    )


@tool(
    effect=Effect.WRITE,
    pack="calendar",
    examples=(
        Example("Move my dentist appointment to next Thursday at 3", {
            "event": "dentist appointment", "when": "next Thursday at 3"}),
        Example("push the budget review back to 4:30", {"event": "budget review", "when": "4:30"}),
        Example("reschedule lunch with Sam for Monday", {"event": "lunch with Sam", "when": "Monday"}),
    ),
)  # fmt: skip
def move_event(ctx: Context, event: Annotated[str, copied("text")], when: Annotated[str, copied("when")]) -> ToolResult:
    """Move an event in the calendar to another day or time.

    Args:
        event: Which event.
        when: Its new day or time.
    """
    old = _pick(ctx, event)
    start, end, all_day = _moved(old, when, ctx.now)
    target = _single(old)
    for name, value in _times(start, end, all_day).items():
        put(target, name, value)
    target.pop("DURATION", None)
    save(ctx, old.item)
    return ToolResult(
        f'Moved "{old.title}" from {_span(old.start, old.end, old.all_day)} to {_span(start, end, all_day)}.',
        {"title": old.title, "start": start.isoformat(), "end": end.isoformat()},
    )


@tool(
    effect=Effect.WRITE,
    pack="calendar",
    examples=(
        Example("Cancel my dentist appointment", {"event": "dentist appointment"}),
        Example("delete lunch with Sam from the calendar", {"event": "lunch with Sam"}),
        Example("call off the standup on Wednesday", {"event": "standup on Wednesday"}),
    ),
)
def cancel_event(ctx: Context, event: Annotated[str, copied("text")]) -> ToolResult:
    """Remove an event from the calendar; of a repeating one only that day, unless "all" is said.

    Args:
        event: Which event.
    """
    every = re.match(r"(?:all|every)\b(?: of)?(?: the| my)?\s*", event.strip(), re.IGNORECASE)
    old = _pick(ctx, event.strip()[every.end() :] if every else event)
    item, uid = old.item, old.item.component.get("UID")
    if item.repeats and not every:
        override = _override(old)
        if override is not None:
            item.calendar.subcomponents.remove(override)
        original = override["RECURRENCE-ID"].dt if override is not None else old.component["DTSTART"].dt
        item.component.add("exdate", original)
        save(ctx, item)
    elif any(part.get("UID") != uid for part in item.calendar.walk("VEVENT")):
        rest = [part for part in item.calendar.subcomponents if part.get("UID") != uid]
        item.calendar.subcomponents[:] = rest
        save(ctx, item)
    else:
        ctx.trash(item.path)
    which = "every one of the series" if item.repeats and every else _span(old.start, old.end, old.all_day)
    return ToolResult(f'Removed "{old.title}" from your calendar ({which}).', _data(old))


@tool(
    effect=Effect.READ,
    pack="calendar",
    examples=(
        Example("Get me the Zoom link for the budget review", {"event": "budget review"}),
        Example("what's the link to my next video call"),
    ),
)
def meeting_link(ctx: Context, event: Annotated[str, copied("text")] = "") -> ToolResult:
    """Give the link to join an online meeting (Zoom, Meet, Teams) in the calendar.

    Args:
        event: Which event; leave out for the next that has a link.
    """
    ahead = _coming(ctx)
    rows = matching(ahead, event, ctx.now) if event.strip() else ahead
    if not rows and event.strip():
        choose(ahead, event, ctx.now, "coming event")
    for row in rows:
        for name in ("CONFERENCE", "URL", "LOCATION", "DESCRIPTION"):
            if found := re.search(r"https?://[^\s<>\"\\]+", str(row.value.component.get(name, ""))):
                link = found[0].rstrip(".,;)")
                return ToolResult(f"{row.title}, {said(row.value.start)}: {link}", {**_data(row.value), "link": link})
    raise ToolError(f"no link is written in {rows[0].title!r}" if event.strip() else "no coming event has a link")


# -- inside ------------------------------------------------------------------------------------------------------


def _items(ctx: Context) -> list[Item]:
    return read(ctx.folder("calendar_dir", ".calendars/personal"), "VEVENT")[0]


def _live(item: Item) -> bool:
    return item.open


def _coming(ctx: Context) -> list[Named[Occurrence]]:
    return [Named(each.title, _ABOUT, each.start, each) for each in coming(filter(_live, _items(ctx)), ctx.now)]


def _pick(ctx: Context, text: str) -> Occurrence:
    """The event meant: the soonest of each series, or the one on the day that is said."""
    ahead = _coming(ctx)
    soonest = {(row.value.item.path, row.title): row for row in reversed(ahead)}
    rows = sorted(soonest.values(), key=lambda row: row.value.start)
    return choose(rows if matching(rows, text, ctx.now) else ahead, text, ctx.now, "event")


def _override(occurrence: Occurrence) -> Any:
    """The component of a repeating item that was moved to this time before, or None."""
    parts: list[Any] = occurrence.item.calendar.walk("VEVENT")
    uid, tz = occurrence.item.component.get("UID"), occurrence.start.tzinfo
    moved = (part for part in parts if "RECURRENCE-ID" in part and part.get("UID") == uid)
    return next((part for part in moved if local(part["DTSTART"].dt, tz) == occurrence.start), None)


def _single(occurrence: Occurrence) -> Any:
    """The component to change for this occurrence alone; a new override if it is one of a series."""
    item = occurrence.item
    if not item.repeats:
        return item.component
    override = _override(occurrence)
    if override is None:
        override = copy.deepcopy(item.component)
        for name in ("RRULE", "RDATE", "EXDATE", "EXRULE"):
            override.pop(name, None)
        put(override, "recurrence-id", occurrence.component["DTSTART"].dt)
        item.calendar.add_component(override)
    return override


def _moved(old: Occurrence, when: str, now: datetime) -> tuple[datetime, datetime, bool]:
    """New start, end, and whether it takes whole days. What `when` leaves open stays as it was."""
    span = old.end - old.start
    if (shift := re.fullmatch(r"(?:by )?(.+?) (later|earlier)", when.strip(), re.IGNORECASE)) and (
        by := parse_duration(shift[1])
    ):
        start = old.start + (by if shift[2].lower() == "later" else -by)
        return start, start + span, old.all_day
    moment = _moment(when, now)
    if moment.has_time and not moment.has_date:
        # an open hour is the one nearer to the old time: dinner at 7 moves "to 8" in the evening
        clocks = [parse_moment(when, _at(old.start, hour)) for hour in (6, 13)]
        options = [_at(old.start, each.start.hour, each.start.minute) for each in clocks if each]
        start = min(options, key=lambda each: abs(each - old.start))
    elif moment.has_time:
        start = moment.start
    else:
        day = moment.start
        if moment.end and (moment.end - moment.start).days in range(2, 8):  # "next week": the same weekday
            day += timedelta(days=(old.start.weekday() - day.weekday()) % 7)
        start = _at(day, old.start.hour, old.start.minute)
        return start, start + span, old.all_day
    if moment.has_time and moment.has_date and moment.end:
        return start, moment.end, False
    return start, start + (_HOUR if old.all_day else span), False


def _at(day: datetime, hour: int, minute: int = 0) -> datetime:
    return local(day.replace(hour=hour, minute=minute, second=0, microsecond=0, tzinfo=None), day.tzinfo)


def _extent(moment: Moment, duration: str) -> tuple[datetime, datetime, bool]:
    if not moment.has_time and not duration.strip():
        return (*moment.window(), True)
    if not moment.has_time:
        raise ToolError("the event has a length but no time of day", hint='say it like "Friday at 3"')
    if duration.strip():
        return moment.start, moment.start + _duration(duration), False
    return moment.start, moment.end or moment.start + _HOUR, False


def _times(start: datetime, end: datetime, all_day: bool) -> dict[str, Any]:
    if all_day:
        return {"dtstart": start.date(), "dtend": max(end.date(), start.date() + timedelta(days=1))}
    return {"dtstart": portable(start), "dtend": portable(end)}


def _windows(moment: Moment, now: datetime) -> list[tuple[datetime, datetime]]:
    """Stretches to look for free time in: what was said, or working hours of each day of it; none is past."""
    if moment.end and moment.has_time:
        found = [(moment.start, moment.end)]
    else:
        first, last = moment.window()
        begin, close = _PARTS.get(moment.part, _WORKDAY)
        found, day = [], first
        while day < last and len(found) < 31:
            stop = _at(day + timedelta(days=1), 0) if close == 24 else _at(day, close)
            begin_at = max(_at(day, begin), moment.start) if moment.has_time and not moment.part else _at(day, begin)
            found.append((begin_at, stop))
            day = _at(day + timedelta(days=1), 0)
    quarter = now + timedelta(minutes=-now.minute % 15, seconds=-now.second, microseconds=-now.microsecond)
    return [(max(first, quarter), last) for first, last in found if last > now]


def _wide(moment: Moment) -> tuple[datetime, datetime]:
    first, last = moment.window()
    return first - timedelta(days=1), last + timedelta(days=1)


def _moment(text: str, now: datetime) -> Moment:
    moment = parse_moment(text, now)
    if moment is None:
        raise ToolError(f"I don't know when {text!r} is", hint='say it like "tomorrow at 7" or "next week"')
    return moment


def _duration(text: str) -> timedelta:
    span = parse_duration(text)
    if span is None:
        raise ToolError(f"{text!r} is not a length of time", hint='say it like "45 minutes"')
    return span


def _span(start: datetime, end: datetime, all_day: bool) -> str:
    if all_day:
        last: date = (end - timedelta(hours=12)).date()
        until = f" to {said(end - timedelta(hours=12), all_day=True)}" if last > start.date() else ""
        return f"{said(start, all_day=True)}{until}, all day"
    until = f"{end:%H:%M}" if end.date() == start.date() else said(end)
    return f"{said(start)} to {until}"


def _titled(each: Occurrence) -> str:
    place = str(each.component.get("LOCATION", ""))
    return f"{each.title} ({place})" if place else each.title


def _data(each: Occurrence) -> dict[str, Any]:
    return {
        "title": each.title,
        "start": each.start.isoformat(),
        "end": each.end.isoformat(),
        "all_day": each.all_day,
        "place": str(each.component.get("LOCATION", "")),
    }


TOOLS = (
    create_event,
    list_events,
    find_event,
    find_free_time,
    move_event,
    cancel_event,
    meeting_link,
)

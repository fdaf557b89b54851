"""The time anywhere; timers, alarms and reminders.

Timers, alarms and reminders are tasks with an alarm (VTODO with VALARM) in the tasks folder, so they survive
a restart, and the person's other programs show them. `ringer.py` rings them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from ..errors import ToolError
from ..tools import Effect, Example, ToolResult, copied, tool
from ..when import Moment, parse_duration, parse_moment, parse_recurrence
from ..workspace import Context
from .agenda import (
    Item,
    Named,
    add,
    choose,
    coming,
    length,
    local,
    matching,
    occurrence,
    portable,
    read,
    said,
)
from .timezones import zone_of

_KINDS = ("timer", "alarm", "reminder")
_NINE = timedelta(hours=9)  # a reminder for a day rings at nine


@tool(
    effect=Effect.READ,
    pack="clock",
    examples=(
        Example("What time is it?"),
        Example("what's the time in Tokyo right now", {"place": "Tokyo"}),
        Example("Tell me today's date"),
    ),
)
def current_time(ctx: Context, place: Annotated[str, copied("name")] = "") -> ToolResult:
    """Tell the current time and date, here or in a city or country.

    Args:
        place: City or country; leave out for here.
    """
    if not place:
        return ToolResult(f"It is {ctx.now:%H:%M} on {said(ctx.now, all_day=True)}.", {"time": ctx.now.isoformat()})
    name, zone = zone_of(place)
    there = ctx.now.astimezone(zone)
    return ToolResult(
        f"In {name} it is {there:%H:%M} on {said(there, all_day=True)}.",
        {"time": there.isoformat(), "zone": zone.key},
    )


@tool(
    effect=Effect.READ,
    pack="clock",
    examples=(
        Example("When it's 3pm in London, what time is it in New York?", {
            "time": "3pm", "place": "London", "to": "New York"}),
        Example("what is 9:30 tomorrow in San Francisco in my time", {
            "time": "9:30 tomorrow", "place": "San Francisco"}),
    ),
)  # fmt: skip
def convert_time(
    ctx: Context,
    time: Annotated[str, copied("when")],
    place: Annotated[str, copied("name")],
    to: Annotated[str, copied("name")] = "",
) -> ToolResult:
    """Tell what a clock time in one place is in another place.

    Args:
        time: The time to convert.
        place: City or country where it is that time.
        to: City or country to convert to; leave out for here.
    """
    name, zone = zone_of(place)
    moment = _moment(time, ctx.now.astimezone(zone))
    target, there = zone_of(to) if to else ("your time zone", ctx.now.tzinfo)
    result = moment.start.astimezone(there)
    return ToolResult(f"{said(moment.start)} in {name} is {said(result)} in {target}.", {"time": result.isoformat()})


@tool(
    effect=Effect.WRITE,
    pack="clock",
    examples=(
        Example("Set a timer for 20 minutes", {"duration": "20 minutes"}),
        Example("start an hour and a half countdown for the roast", {
            "duration": "an hour and a half", "name": "roast"}),
        Example("pasta timer 9 min please", {"duration": "9 min", "name": "pasta"}),
    ),
)  # fmt: skip
def set_timer(
    ctx: Context,
    duration: Annotated[str, copied("duration")],
    name: Annotated[str, copied("text")] = "",
) -> ToolResult:
    """Start a timer that rings after some time.

    Args:
        duration: How long it runs.
        name: What the timer is for.
    """
    span = parse_duration(duration)
    if span is None:
        raise ToolError(f"{duration!r} is not a length of time", hint='say it like "20 minutes"')
    due = (ctx.now.astimezone(UTC) + span).astimezone(ctx.now.tzinfo)
    title = name.strip() or "Timer"
    _add(ctx, "timer", title, due)
    shown = due.strftime("%H:%M" if due.second == 0 and span >= timedelta(minutes=1) else "%H:%M:%S")
    day = "" if due.date() == ctx.now.date() else f" on {said(due, all_day=True)}"
    label = f" ({title})" if name.strip() else ""
    return ToolResult(f"Timer set for {length(span)}{label}; it rings at {shown}{day}.", {"due": due.isoformat()})


@tool(
    effect=Effect.WRITE,
    pack="clock",
    examples=(
        Example("Wake me up at half past six", {"when": "half past six"}),
        Example("set an alarm for 7:15 am tomorrow", {"when": "7:15 am tomorrow"}),
        Example("I need an alarm every weekday at 6", {"when": "every weekday at 6"}),
    ),
)
def set_alarm(
    ctx: Context, when: Annotated[str, copied("when")], name: Annotated[str, copied("text")] = ""
) -> ToolResult:
    """Set an alarm that rings at a time, for example to wake up.

    Args:
        when: When it rings.
        name: What the alarm is for.
    """
    moment = _moment(when, ctx.now, morning=True)
    if not moment.has_time:
        raise ToolError(f"{when!r} names a day, but no time", hint='say it like "tomorrow at 7"')
    _ahead(moment.start, ctx.now)
    rule = parse_recurrence(when)
    _add(ctx, "alarm", name.strip() or "Alarm", moment.start, rule)
    return ToolResult(
        f"Alarm set for {said(moment.start)}{_again(when, rule)}.",
        {"due": moment.start.isoformat(), "rule": rule},
    )


@tool(
    effect=Effect.WRITE,
    pack="clock",
    examples=(
        Example("Remind me to water the plants tomorrow at 7", {
            "text": "water the plants", "when": "tomorrow at 7"}),
        Example("in 2 hours remind me about the laundry", {"text": "the laundry", "when": "in 2 hours"}),
        Example("please remind me every Monday at 9 to send the report", {
            "text": "send the report", "when": "every Monday at 9"}),
    ),
)  # fmt: skip
def set_reminder(
    ctx: Context, text: Annotated[str, copied("text")], when: Annotated[str, copied("when")]
) -> ToolResult:
    """Remind the person of something at a time or on a day.

    Args:
        text: What to be reminded of.
        when: When to remind.
    """
    moment = _moment(when, ctx.now)
    due = moment.start if moment.has_time else local((moment.start + _NINE).replace(tzinfo=None), ctx.now.tzinfo)
    if not moment.has_time and due <= ctx.now:
        hour = ctx.now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        due = hour if moment.start.date() == ctx.now.date() else due
    _ahead(due, ctx.now)
    rule = parse_recurrence(when)
    title = text.strip()
    if not title:
        raise ToolError("a reminder needs a text", hint="say what to be reminded of")
    _add(ctx, "reminder", title, due, rule)
    return ToolResult(
        f'I will remind you: "{title}" on {said(due)}{_again(when, rule)}.',
        {"due": due.isoformat(), "rule": rule},
    )


@tool(
    effect=Effect.READ,
    pack="clock",
    examples=(
        Example("What reminders do I have?", {"kind": "reminder"}),
        Example("how much time is left on my timer", {"kind": "timer"}),
        Example("Show my alarms", {"kind": "alarm"}),
    ),
)
def list_reminders(ctx: Context, kind: Literal["all", "reminder", "timer", "alarm"] = "all") -> ToolResult:
    """List the reminders, timers and alarms that are set, with the time left.

    Args:
        kind: Which of them to list.
    """
    rows = [each for each in pending(ctx) if kind in ("all", each.also)]
    noun = "reminders, timers or alarms" if kind == "all" else f"{kind}s"
    lines = []
    for each in rows:
        left = f"in {length(each.at - ctx.now)}" if each.at else ""
        lines.append(f"- {each.also.title()}: {each.title}, {said(each.at) if each.at else ''} ({left})")
    data = [{"kind": each.also, "text": each.title, "due": each.at and each.at.isoformat()} for each in rows]
    return ToolResult("\n".join(lines) if lines else f"No {noun} are set.", data)


@tool(
    effect=Effect.WRITE,
    pack="clock",
    examples=(
        Example("Cancel the pasta timer", {"name": "pasta timer"}),
        Example("turn off my 7am alarm", {"name": "7am alarm"}),
        Example("Forget the reminder about the laundry", {"name": "reminder about the laundry"}),
        Example("stop all timers", {"name": "all timers"}),
    ),
)
def cancel_reminder(ctx: Context, name: Annotated[str, copied("text")]) -> ToolResult:
    """Cancel a reminder, timer or alarm.

    Args:
        name: Which one: its text or time, and whether it is a timer, alarm or reminder.
    """
    rows = pending(ctx)
    words = name.lower().split()
    if words and words[0] in ("all", "every", "both"):
        gone = [each.value for each in matching(rows, " ".join(words[1:]), ctx.now)]
        if not gone:
            raise ToolError(f"nothing fits {name!r}", hint="list_reminders shows what is set")
    else:
        gone = [choose(rows, name, ctx.now, _noun(name))]
    for item in gone:
        ctx.trash(item.path)
    return ToolResult(
        "Cancelled " + " and ".join(f"the {_kind(item)} {item.title!r}" for item in gone) + ".",
        [item.title for item in gone],
    )


@tool(
    effect=Effect.READ,
    pack="clock",
    examples=(
        Example("How long until Christmas?", {"what": "Christmas"}),
        Example("how many days until March 3rd", {"what": "March 3rd"}),
        Example("How much time do I have before my dentist appointment", {"what": "dentist appointment"}),
    ),
)
def time_until(ctx: Context, what: Annotated[str, copied("text")]) -> ToolResult:
    """Tell how long it is until a date, a time, an event or a reminder.

    Args:
        what: The date, time, event or reminder.
    """
    moment = parse_moment(what, ctx.now)
    if moment is not None:
        name, at, timed = what.strip(), moment.start, moment.has_time
    else:
        events, _ = read(ctx.folder("calendar_dir", ".calendars/personal"), "VEVENT")
        about = "event meeting appointment"
        rows = [Named(each.title, about, each.start, (each.title, each.start)) for each in coming(events, ctx.now)]
        rows += [Named(each.title, each.also, each.at, (each.title, each.at)) for each in pending(ctx) if each.at]
        soonest = {row.title: row for row in sorted(rows, key=lambda row: row.value[1], reverse=True)}
        name, at = choose(tuple(soonest.values()), what, ctx.now, "event or reminder")
        timed = True
    days = (at.date() - ctx.now.date()).days
    span = at - ctx.now.astimezone(UTC)
    data = {"until": at.isoformat(), "seconds": round(span.total_seconds())}
    when = said(at, all_day=not timed)
    if not timed:
        count = f"{abs(days)} day{'s' * (abs(days) != 1)}"
        text = f"{name} is today" if days == 0 else f"{count} until {name}" if days > 0 else f"{name} was {count} ago"
        return ToolResult(f"{text} ({when}).", data | {"days": days})
    if span < timedelta(0):
        return ToolResult(f"{name} was {length(-span)} ago ({when}).", data | {"days": days})
    return ToolResult(f"{length(span)} until {name} ({when}).", data | {"days": days})


def pending(ctx: Context) -> list[Named[Item]]:
    """Timers, alarms and reminders still to ring, soonest first."""
    items, _ = read(ctx.folder("tasks_dir", ".calendars/tasks"), "VTODO")
    rows = []
    for item in items:
        if item.open and (kind := _kind(item)):
            first = occurrence(item, item.component, ctx.now.tzinfo)
            following = coming([item], ctx.now) if item.repeats else []
            at = following[0].start if following else first.start if first else None
            if at and at > ctx.now:
                rows.append(Named(item.title, kind, at, item))
    return sorted(rows, key=lambda row: (row.at or ctx.now, row.title))


def _kind(item: Item) -> str:
    """timer, alarm or reminder; empty for a plain to-do."""
    if not any(part.name == "VALARM" for part in item.component.subcomponents):
        return ""
    categories = item.component.categories
    return next((kind for kind in _KINDS if kind in categories), "reminder")


def _noun(text: str) -> str:
    return next((kind for kind in _KINDS if kind in text.lower()), "reminder, timer or alarm")


def _moment(text: str, now: datetime, *, morning: bool = False) -> Moment:
    moment = parse_moment(text, now, morning=morning)
    if moment is None:
        raise ToolError(f"I don't know when {text!r} is", hint='say it like "tomorrow at 7" or "in 20 minutes"')
    return moment


def _ahead(due: datetime, now: datetime) -> None:
    if due <= now:
        raise ToolError(f"{said(due)} is past already (it is {said(now)})", hint="say a later time")


def _again(when: str, rule: str | None) -> str:
    return f", repeating ({when.strip()})" if rule else ""


def _add(ctx: Context, kind: str, title: str, due: datetime, rule: str | None = None) -> None:
    at = portable(due)
    fields: dict[str, object] = {"summary": title, "due": at, "categories": [kind]}
    if rule:
        from icalendar import vRecur

        # RFC 5545 has a rule start at DTSTART; other programs write it equal to DUE
        fields |= {"dtstart": at, "rrule": vRecur.from_ical(rule)}
    add(ctx, ctx.folder("tasks_dir", ".calendars/tasks"), "VTODO", fields, alarm=title)


TOOLS = (
    current_time,
    convert_time,
    set_timer,
    set_alarm,
    set_reminder,
    list_reminders,
    cancel_reminder,
    time_until,
)

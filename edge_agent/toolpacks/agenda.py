"""Events and tasks as iCalendar files (RFC 5545), one item a file in a folder (vdir); for several packs.

What a file holds beyond what is changed here is kept. Files that cannot be read are passed over and named.
Reading costs about 0.5 ms a file.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar
from zoneinfo import ZoneInfo

from ..amounts import DAYS, MONTHS
from ..errors import ToolError
from ..when import parse_moment
from ..workspace import Context
from .filewords import tokens

if TYPE_CHECKING:
    from datetime import tzinfo

    from icalendar import Calendar

Kind = Literal["VEVENT", "VTODO"]
T = TypeVar("T")

#: What icalendar and its users raise over values that are not what the RFC says; a file is a stranger's.
_MALFORMED = (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError)
_TICK = timedelta(microseconds=1)
#: Expanding a rule costs about 30 µs a step from its first occurrence on; a hostile file must not stall a tool.
_MOST_STEPS = 10_000
_STEPS_A_DAY = {"SECONDLY": 86400, "MINUTELY": 1440, "HOURLY": 24, "DAILY": 1}

_FILLER = frozenset(
    (
        "the",
        "my",
        "a",
        "an",
        "for",
        "about",
        "to",
        "at",
        "on",
        "of",
        "with",
        "in",
        "and",
        "from",
        "our",
        "called",
    )
)


@dataclass(frozen=True, slots=True)
class Item:
    """One file: its path, all that is in it, and the event or task it holds (the series, if it repeats)."""

    path: Path
    calendar: Calendar
    component: Any

    @property
    def title(self) -> str:
        return _title(self.component)

    @property
    def open(self) -> bool:
        return str(self.component.get("STATUS", "")) not in ("COMPLETED", "CANCELLED")

    @property
    def repeats(self) -> bool:
        return "RRULE" in self.component or "RDATE" in self.component


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that an item takes place. `end` is exclusive; a task's start and end are when it is due."""

    item: Item
    component: Any
    start: datetime
    end: datetime
    all_day: bool

    @property
    def title(self) -> str:
        return _title(self.component)


@dataclass(frozen=True, slots=True)
class Named(Generic[T]):
    """Something a person may speak of: its title, words that fit it without being in the title, its time."""

    title: str
    also: str
    at: datetime | None
    value: T


def _title(component: Any) -> str:
    summary = component.get("SUMMARY", "")
    return str(summary[0] if isinstance(summary, list) else summary) or "untitled"


def read(folder: Path, kind: Kind) -> tuple[list[Item], list[Path]]:
    """Items of `kind` in a folder (none if there is no folder), and the files that could not be read."""
    from icalendar import Calendar

    items: list[Item] = []
    broken: list[Path] = []
    for path in sorted(folder.glob("*.ics")):
        try:
            calendar = Calendar.from_ical(path.read_bytes())
            found = [Item(path, calendar, part) for part in calendar.walk(kind) if "RECURRENCE-ID" not in part]
            for item in found:
                occurrence(item, item.component, UTC)
        except (OSError, *_MALFORMED):
            broken.append(path)
            continue
        items += found
    return items, broken


def occurrences(items: Iterable[Item], first: datetime, last: datetime) -> list[Occurrence]:
    """What takes place within [first, last), in order of time; repeating items are expanded.

    A rule that cannot be expanded, or only in more than 10,000 steps, counts as its first occurrence.
    Cost: 0.1 ms an occurrence.
    """
    import recurring_ical_events

    found: list[Occurrence | None] = []
    for item in items:
        parts: Sequence[Any] = [item.component]
        if item.repeats and _steps(item, last) < _MOST_STEPS:
            with suppress(*_MALFORMED):
                expanded = recurring_ical_events.of(item.calendar, components=[str(item.component.name)])
                parts = expanded.between(first, last)
        uid = item.component.get("UID")
        found += [occurrence(item, part, first.tzinfo) for part in parts if part.get("UID") == uid]
    timed = [each for each in found if each]
    inside = [each for each in timed if each.start < last and max(each.end, each.start + _TICK) > first]
    return sorted(inside, key=lambda each: (each.start, each.title))


def _steps(item: Item, last: datetime) -> float:
    """How many steps it takes to expand an item's rule as far as `last`, about."""
    begin = occurrence(item, item.component, last.tzinfo)
    days = (last - begin.start) / timedelta(days=1) if begin else 0.0
    rule = str(item.component.get("RRULE"))
    return days * max((count for name, count in _STEPS_A_DAY.items() if name in rule), default=1 / 7)


def coming(items: Iterable[Item], now: datetime) -> list[Occurrence]:
    """What takes place from now on: two months of it, or the first 400 days of what is rarer than that."""
    found: list[Occurrence] = []
    for item in items:
        near = occurrences([item], now, now + timedelta(days=62))
        found += near or occurrences([item], now, now + timedelta(days=400))
    return sorted(found, key=lambda each: (each.start, each.title))


def occurrence(item: Item, component: Any, tz: tzinfo | None) -> Occurrence | None:
    """When `component` takes place, or None if it has no time."""
    begin = component.get("DTSTART") or component.get("DUE")
    if begin is None:
        return None
    all_day = not isinstance(begin.dt, datetime)
    start = local(begin.dt, tz)
    close = component.get("DTEND") or component.get("DUE")
    if close is not None:
        end = local(close.dt, tz)
    elif "DURATION" in component:
        end = start + component["DURATION"].dt
    else:
        end = start + timedelta(days=1) if all_day and component.name == "VEVENT" else start
    return Occurrence(item, component, start, end, all_day)


def local(value: date | datetime, tz: tzinfo | None) -> datetime:
    """A date, floating or zoned time as an aware time in `tz`."""
    if not isinstance(value, datetime):
        return datetime.combine(value, time(0), tz)
    return value.replace(tzinfo=tz) if value.tzinfo is None else value.astimezone(tz)


def portable(moment: datetime) -> datetime:
    """A time as other programs read it: in its named zone, or in UTC where the zone has no name."""
    return moment if isinstance(moment.tzinfo, ZoneInfo) else moment.astimezone(UTC)


def add(ctx: Context, folder: Path, kind: Kind, fields: dict[str, Any], alarm: str | None = None) -> Item:
    """Writes a new item. `alarm`: text of a VALARM at the time it is due."""
    from icalendar import Alarm, Calendar, Event, Todo

    calendar = Calendar()
    calendar.add("prodid", "-//edge_agent//EN")
    calendar.add("version", "2.0")
    component = Event() if kind == "VEVENT" else Todo()
    component.add("uid", str(uuid.uuid4()))
    component.add("dtstamp", ctx.now.astimezone(UTC))
    component.add("created", ctx.now.astimezone(UTC))
    for name, value in fields.items():
        component.add(name, value)
    if alarm is not None:
        bell = Alarm()
        bell.add("action", "DISPLAY")
        bell.add("description", alarm)
        bell.add("trigger", timedelta(0), parameters={"RELATED": "END"})
        component.add_component(bell)
    calendar.add_component(component)
    item = Item(folder / f"{component['UID']}.ics", calendar, component)
    save(ctx, item)
    return item


def put(component: Any, name: str, value: Any) -> None:
    """Sets a property, whatever it was before."""
    component.pop(name, None)
    component.add(name, value)


def save(ctx: Context, item: Item) -> None:
    """Writes an item's file, with the definitions of the time zones it uses."""
    parts: list[Any] = [*item.calendar.walk("VEVENT"), *item.calendar.walk("VTODO")]
    years = [local(part["DTSTART"].dt, UTC).year for part in parts if "DTSTART" in part] + [ctx.now.year]
    if item.path.exists():
        put(item.component, "last-modified", ctx.now.astimezone(UTC))
        sequence = item.component.get("SEQUENCE")
        put(item.component, "sequence", sequence + 1 if isinstance(sequence, int) else 1)
    item.calendar.add_missing_timezones(first_date=date(max(1970, min(years)), 1, 1))
    ctx.write(item.path, item.calendar.to_ical(), private=True)


def choose(named: Sequence[Named[T]], text: str, now: datetime, noun: str) -> T:
    """The one thing `text` speaks of, by words of its title and by its time ("the 7am alarm").

    Raises ToolError when nothing fits or several do, listing them.
    """
    found = matching(named, text, now)
    if len(found) == 1:
        return found[0].value
    listed = "; ".join(_label(each) for each in (found or named)[:6])
    if found:
        raise ToolError(f"several {noun}s fit {text!r}: {listed}", hint="say more of its name, or its time")
    raise ToolError(f"no {noun} fits {text!r}", hint=f"there is: {listed}" if named else f"there are no {noun}s")


def matching(named: Sequence[Named[T]], text: str, now: datetime) -> list[Named[T]]:
    """All that fit `text` best; everything, when it says nothing but fillers."""
    if hits := _by_words(named, text):
        return hits
    words = text.split()
    spans = sorted(((i, j) for i in range(len(words)) for j in range(i + 1, len(words) + 1)), key=lambda s: s[0] - s[1])
    for i, j in spans:
        if moment := parse_moment(" ".join(words[i:j]), now):
            rest = _by_words(named, " ".join(words[:i] + words[j:]))
            first, last = moment.window()
            if not moment.has_time:
                return [each for each in rest if each.at and first <= each.at < last]
            exact = [each for each in rest if each.at and _clock(each.at, moment.start) and (
                not moment.has_date or each.at.date() == moment.start.date())]  # fmt: skip
            half = timedelta(hours=12)  # "the 7 o'clock alarm" said of 7 a.m. in the evening
            return exact or [
                each for each in rest if not moment.has_date and each.at and _clock(each.at + half, moment.start)
            ]
    return []


def _clock(one: datetime, other: datetime) -> bool:
    return (one.hour, one.minute) == (other.hour, other.minute)


def _by_words(named: Sequence[Named[T]], text: str) -> list[Named[T]]:
    words = [word for word in tokens(text) if word not in _FILLER]
    scores: list[tuple[float, Named[T]]] = []
    for each in named:
        title, also = tokens(each.title), tokens(each.also)
        hits = [word in title or (len(word) > 2 and any(part.startswith(word) for part in title)) for word in words]
        if all(hit or word in also for hit, word in zip(hits, words, strict=True)):
            scores.append((sum(hits) + (0.5 if set(title) == set(words) else 0), each))
    best = max((score for score, _ in scores), default=0)
    return [each for score, each in scores if score == best]


def _label(named: Named[Any]) -> str:
    return f"{named.title} ({said(named.at)})" if named.at else named.title


def said(moment: datetime, *, all_day: bool = False) -> str:
    """A time as it is told to a person: "Thu 12 March 2026, 15:00"."""
    day = f"{DAYS[moment.weekday()][:3].title()} {moment.day} {MONTHS[moment.month - 1].title()} {moment.year}"
    return day if all_day else f"{day}, {moment:%H:%M}"


def length(span: timedelta) -> str:
    """A length of time as it is told to a person: "1 hour 30 minutes"; the two largest units of it."""
    seconds = round(span.total_seconds())
    parts = []
    for name, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}{'s' * (count != 1)}")
    return " ".join(parts[:2]) or "0 seconds"

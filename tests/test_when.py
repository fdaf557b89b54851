"""Phrases of time and number: what they must mean, and what must not be taken for one."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.when import Moment, parse_duration, parse_moment, parse_number, parse_recurrence

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 10, 9, 30, tzinfo=BERLIN)  # a Tuesday
NIGHT = datetime(2026, 3, 10, 22, 0, tzinfo=BERLIN)
SATURDAY = datetime(2026, 3, 14, 14, 0, tzinfo=BERLIN)


def shown(moment: Moment | None) -> str | None:
    if moment is None:
        return None
    text = f"{moment.start:%Y-%m-%d %H:%M}" if moment.has_time else f"{moment.start:%Y-%m-%d}"
    if moment.end:
        text += f"{moment.end: > %H:%M}" if moment.has_time else f"{moment.end: > %Y-%m-%d}"
    return text


MOMENTS = {
    # named days
    "today": "2026-03-10",
    "tomorrow": "2026-03-11",
    "Tomorrow.": "2026-03-11",
    "for tomorrow": "2026-03-11",
    "yesterday": "2026-03-09",
    "the day after tomorrow": "2026-03-12",
    "day after tomorrow at 6pm": "2026-03-12 18:00",
    "the day before yesterday": "2026-03-08",
    # days of the week
    "Friday": "2026-03-13",
    "on Friday": "2026-03-13",
    "by Friday": "2026-03-13",
    "this Friday": "2026-03-13",
    "next Friday": "2026-03-20",
    "last Friday": "2026-03-06",
    "Tuesday": "2026-03-17",
    "this Tuesday": "2026-03-10",
    "next Tuesday": "2026-03-17",
    "last Monday": "2026-03-09",
    "next Tuesday at 5": "2026-03-17 17:00",
    "next Tuesday at 5pm": "2026-03-17 17:00",
    "Friday at noon": "2026-03-13 12:00",
    "friday morning": "2026-03-13 09:00",
    "sat morning": "2026-03-14 09:00",
    "3pm on Thursday": "2026-03-12 15:00",
    "noon on Saturday": "2026-03-14 12:00",
    "at 22:00 on mon": "2026-03-16 22:00",
    "monday next week": "2026-03-16",
    "next week on Monday at 10": "2026-03-16 10:00",
    "Friday, March 13 at 2 PM": "2026-03-13 14:00",
    "Monday the 16th": "2026-03-16",
    # dates
    "2026-03-14": "2026-03-14",
    "2026-03-14 15:00": "2026-03-14 15:00",
    "2026-03-14T15:00": "2026-03-14 15:00",
    "2026-03-14T15:00:00": "2026-03-14 15:00",
    "12/25/2026": "2026-12-25",
    "25/12/2026": "2026-12-25",
    "3.4.2026": "2026-04-03",
    "March 14": "2026-03-14",
    "March 3rd": "2027-03-03",
    "14 March": "2026-03-14",
    "the 3rd of April": "2026-04-03",
    "first of April": "2026-04-01",
    "April twenty-third": "2026-04-23",
    "April 2nd at 10:15": "2026-04-02 10:15",
    "may 1st": "2026-05-01",
    "Sept 5": "2026-09-05",
    "Dec 24 2026": "2026-12-24",
    "24 December 2026": "2026-12-24",
    "February 29": "2028-02-29",
    "on the 14th": "2026-03-14",
    "the 14th at 3": "2026-03-14 15:00",
    "on the 5th": "2026-04-05",
    "the 31st": "2026-03-31",
    "Christmas": "2026-12-25",
    "christmas eve": "2026-12-24",
    "new year's eve": "2026-12-31",
    "New Year’s Day": "2027-01-01",
    "Halloween": "2026-10-31",
    "valentine's day": "2027-02-14",
    "Easter": "2026-04-05",
    "Thanksgiving": "2026-11-26",
    # stretches
    "this week": "2026-03-10 > 2026-03-16",
    "next week": "2026-03-16 > 2026-03-23",
    "last week": "2026-03-02 > 2026-03-09",
    "this weekend": "2026-03-14 > 2026-03-16",
    "next weekend": "2026-03-21 > 2026-03-23",
    "this month": "2026-03-10 > 2026-04-01",
    "next month": "2026-04-01 > 2026-05-01",
    "next year": "2027-01-01 > 2028-01-01",
    "in May": "2026-05-01 > 2026-06-01",
    "in may 1968": "1968-05-01 > 1968-06-01",
    "last March": "2025-03-01 > 2025-04-01",
    "end of the week": "2026-03-15",
    "by the end of the month": "2026-03-31",
    "the start of next month": "2026-04-01",
    "end of the day": "2026-03-10 17:00",
    "end of day tomorrow": "2026-03-11 17:00",
    "tomorrow end of day": "2026-03-11 17:00",
    # clock times
    "noon": "2026-03-10 12:00",
    "midday": "2026-03-10 12:00",
    "midnight": "2026-03-11 00:00",
    "midnight tonight": "2026-03-11 00:00",
    "Friday at midnight": "2026-03-14 00:00",
    "at 5": "2026-03-10 17:00",
    "5pm": "2026-03-10 17:00",
    "5 p.m.": "2026-03-10 17:00",
    "5 PM": "2026-03-10 17:00",
    "five pm": "2026-03-10 17:00",
    "5 o'clock": "2026-03-10 17:00",
    "5ish": "2026-03-10 17:00",
    "around 5": "2026-03-10 17:00",
    "at 7:30": "2026-03-10 19:30",
    "7:30am": "2026-03-11 07:30",
    "7.30 am": "2026-03-11 07:30",
    "07:30": "2026-03-11 07:30",
    "15:00": "2026-03-10 15:00",
    "at 15:45": "2026-03-10 15:45",
    "at 10": "2026-03-10 10:00",
    "at 9": "2026-03-10 21:00",
    "12:30 pm": "2026-03-10 12:30",
    "12:15 am": "2026-03-11 00:15",
    "half past six": "2026-03-10 18:30",
    "at half past six": "2026-03-10 18:30",
    "quarter to 5": "2026-03-10 16:45",
    "a quarter to five": "2026-03-10 16:45",
    "quarter past nine": "2026-03-10 21:15",
    "ten to eight": "2026-03-10 19:50",
    "quarter to one": "2026-03-10 12:45",
    "twenty past three": "2026-03-10 15:20",
    "twenty-five past three pm": "2026-03-10 15:25",
    "3 minutes past 10": "2026-03-10 10:03",
    "seven thirty": "2026-03-10 19:30",
    "seven oh five": "2026-03-10 19:05",
    "tomorrow at 7": "2026-03-11 07:00",
    "tomorrow at 6": "2026-03-11 18:00",
    "tomorrow 5pm": "2026-03-11 17:00",
    "7:30 am tomorrow": "2026-03-11 07:30",
    "quarter past 8 tomorrow morning": "2026-03-11 08:15",
    # parts of the day
    "tonight": "2026-03-10 20:00",
    "this morning": "2026-03-10 09:00",
    "this afternoon": "2026-03-10 15:00",
    "this evening": "2026-03-10 19:00",
    "in the morning": "2026-03-11 09:00",
    "tomorrow morning": "2026-03-11 09:00",
    "tomorrow afternoon": "2026-03-11 15:00",
    "tomorrow evening at 8": "2026-03-11 20:00",
    "tomorrow night": "2026-03-11 20:00",
    "8 tonight": "2026-03-10 20:00",
    "at 8 tonight": "2026-03-10 20:00",
    "tonight at 1": "2026-03-11 01:00",
    "6 in the morning": "2026-03-11 06:00",
    "6 in the evening": "2026-03-10 18:00",
    "four in the afternoon": "2026-03-10 16:00",
    "10 at night": "2026-03-10 22:00",
    # ranges
    "this Friday 3-4pm": "2026-03-13 15:00 > 16:00",
    "from 2 to 3:30pm tomorrow": "2026-03-11 14:00 > 15:30",
    "tomorrow from 11 to 1pm": "2026-03-11 11:00 > 13:00",
    "tomorrow between 2 and 4": "2026-03-11 14:00 > 16:00",
    "9:00 - 10:30 on Monday": "2026-03-16 09:00 > 10:30",
    "10pm to 1am": "2026-03-10 22:00 > 01:00",
    "Thursday 10–11": "2026-03-12 10:00 > 11:00",
    # relative
    "now": "2026-03-10 09:30",
    "in 20 minutes": "2026-03-10 09:50",
    "in 20 mins": "2026-03-10 09:50",
    "20 mins from now": "2026-03-10 09:50",
    "in half an hour": "2026-03-10 10:00",
    "in an hour and a half": "2026-03-10 11:00",
    "in one and a half hours": "2026-03-10 11:00",
    "in 1.5 hours": "2026-03-10 11:00",
    "in an hour and 20 minutes": "2026-03-10 10:50",
    "in two hours": "2026-03-10 11:30",
    "in a couple of hours": "2026-03-10 11:30",
    "in 3 days": "2026-03-13",
    "in 3 days at noon": "2026-03-13 12:00",
    "in a week": "2026-03-17",
    "in two weeks": "2026-03-24",
    "in a month": "2026-04-10",
    "two days from now": "2026-03-12",
    "a week from tomorrow": "2026-03-18",
    "two weeks from Friday at 5": "2026-03-27 17:00",
    "3 days ago": "2026-03-07",
    "an hour ago": "2026-03-10 08:30",
    "a year ago": "2025-03-10",
    # repeated: the first one
    "every day": "2026-03-10",
    "every day at 8": "2026-03-11 08:00",
    "every morning at 7": "2026-03-11 07:00",
    "every weekday at 9:15": "2026-03-11 09:15",
    "every Monday and Wednesday at 6pm": "2026-03-16 18:00",
    "every Tuesday at 10": "2026-03-17 10:00",
}

NOT_MOMENTS = [
    "", " ", "plants", "milk", "May I", "may", "march", "sat", "sun", "mon", "second", "a second",
    "the second", "the plants tomorrow", "call mom at 5", "5", "twenty", "2026", "budget 2026", "1 kilo",
    "now and then", "sun cream", "a second thought", "mon ami", "in the garden", "at home", "for", "to",
    "at", "in", "the", "and", "minute steak", "set a timer", "20 minutes", "an hour", "for 20 minutes",
    "for 20", "morning", "the night", "good morning", "tomorrow's", "3rd", "3.11", "20 to 30", "3-4",
    "12 to 13", "15%", "30 days", "half", "quarter", "a week", "week", "day", "the day", "days",
    "at 25:00", "13pm", "0pm", "at 7:75", "30 February", "2026-02-30", "31/31/2026", "tomorrow tomorrow",
    "today tomorrow", "at 5 at 6", "5pm 6pm", "next week at 5", "friday march 14", "in 99999999 years",
    "next", "this", "last", "every", "other", "a" * 81, "tomorrow\u0000", "800x600", "555 1234", "in 5",
    "half past", "half past 25", "between 5",
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), MOMENTS.items(), ids=str)
def test_moments(text: str, expected: str) -> None:
    assert shown(parse_moment(text, NOW)) == expected


@pytest.mark.parametrize("text", NOT_MOMENTS)
def test_not_moments(text: str) -> None:
    assert parse_moment(text, NOW) is None


@pytest.mark.parametrize(
    ("text", "now", "morning", "expected"),
    [
        ("7:30", NIGHT, False, "2026-03-11 07:30"),
        ("at 6", NIGHT, True, "2026-03-11 06:00"),
        ("at 3", NIGHT, False, "2026-03-11 15:00"),
        ("at 3", NIGHT, True, "2026-03-11 03:00"),
        ("at 3", datetime(2026, 3, 10, 1, 0, tzinfo=BERLIN), False, "2026-03-10 03:00"),
        ("tomorrow at 6", NOW, True, "2026-03-11 06:00"),
        ("tonight", NIGHT, False, "2026-03-10 23:00"),
        ("next Monday", SATURDAY, False, "2026-03-16"),
        ("this weekend", SATURDAY, False, "2026-03-14 > 2026-03-16"),
        ("Saturday", SATURDAY, False, "2026-03-21"),
        ("today at 8", SATURDAY, False, "2026-03-14 20:00"),
        ("today at 1pm", SATURDAY, False, "2026-03-14 13:00"),
        ("the 31st", datetime(2026, 4, 2, tzinfo=BERLIN), False, "2026-05-31"),
    ],
)
def test_the_same_words_at_another_time(text: str, now: datetime, morning: bool, expected: str) -> None:
    assert shown(parse_moment(text, now, morning=morning)) == expected


def test_clock_changes() -> None:
    before = datetime(2026, 3, 28, 12, 0, tzinfo=BERLIN)  # clocks go 2:00 -> 3:00 on the 29th
    skipped = parse_moment("tomorrow at 2:30am", before)
    assert skipped is not None
    assert skipped.start == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert f"{skipped.start:%H:%M}" == "03:30"
    elapsed = parse_moment("in 24 hours", before)
    wall = parse_moment("in 1 day at noon", before)
    assert elapsed is not None
    assert wall is not None
    assert (f"{elapsed.start:%H:%M}", f"{wall.start:%H:%M}") == ("13:00", "12:00")
    day = parse_moment("tomorrow", before)
    assert day is not None
    first, last = (each.astimezone(UTC) for each in day.window())
    assert last - first == timedelta(hours=23)


def test_fixed_offset_zone() -> None:
    now = datetime(2026, 3, 10, 9, 30, tzinfo=timezone(timedelta(hours=-5)))
    moment = parse_moment("at 5", now)
    assert moment is not None
    assert moment.start == datetime(2026, 3, 10, 22, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("tomorrow", "11 00:00", "12 00:00"),
        ("tomorrow morning", "11 05:00", "11 12:00"),
        ("tonight", "10 18:00", "11 00:00"),
        ("at 5", "10 17:00", "10 18:00"),
        ("next week", "16 00:00", "23 00:00"),
        ("tomorrow from 2 to 4", "11 14:00", "11 16:00"),
    ],
)
def test_window(text: str, first: str, last: str) -> None:
    moment = parse_moment(text, NOW)
    assert moment is not None
    assert tuple(f"{each:%d %H:%M}" for each in moment.window()) == (first, last)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20 minutes", 1200),
        ("20 mins", 1200),
        ("twenty minutes", 1200),
        ("5-minute", 300),
        ("for 2 hours", 7200),
        ("an hour and a half", 5400),
        ("one and a half hours", 5400),
        ("2 and a half hours", 9000),
        ("1.5 hours", 5400),
        ("half an hour", 1800),
        ("a half hour", 1800),
        ("quarter of an hour", 900),
        ("three quarters of an hour", 2700),
        ("1h30", 5400),
        ("1h 30m", 5400),
        ("2 minutes 30 seconds", 150),
        ("1 hour, 2 minutes and 3 seconds", 3723),
        ("90s", 90),
        ("a couple of days", 172800),
        ("a few minutes", 180),
        ("two weeks", 1209600),
        ("a hundred and five seconds", 105),
    ],
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "20", "minute", "second", "minutes", "a month", "0 minutes", "20 minutes tomorrow",
    "20 minutes and", "in 5", "half", "5 kilos", "tomorrow", "99999999 hours", "1 hour steak"],
)  # fmt: skip
def test_not_durations(text: str) -> None:
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5), ("-5", -5), ("minus five", -5), ("3.5", 3.5), (".5", 0.5), ("1,200", 1200),
        ("1,200.5", 1200.5), ("3.5k", 3500), ("2 million", 2e6), ("50%", 50), ("50 percent", 50),
        ("fifty percent", 50), ("$20", 20), ("20 €", 20), ("twenty", 20), ("twenty-one", 21),
        ("a hundred", 100), ("a hundred and five", 105), ("one hundred five", 105),
        ("two thousand and twenty six", 2026), ("three hundred thousand", 300000),
        ("one million two hundred thousand", 1200000), ("zero", 0), ("half", 0.5), ("a quarter", 0.25),
        ("3/4", 0.75), ("two and a half", 2.5), ("2 and a half", 2.5), ("a dozen", 12),
        ("one point five", 1.5), ("Seven.", 7),
    ],
)  # fmt: skip
def test_numbers(text: str, number: float) -> None:
    assert parse_number(text) == pytest.approx(number)


@pytest.mark.parametrize(
    "text",
    ["", "a", "an", "second", "3rd", "milk", "5 apples", "twenty twenty", "five six", "1/0", "--5", "1,2",
    "v2", "and", "hundred and", "half past", "5 6", "three and", "NaN", "inf", "１.5x"],
)  # fmt: skip
def test_not_numbers(text: str) -> None:
    assert parse_number(text) is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("every day", "FREQ=DAILY"),
        ("daily", "FREQ=DAILY"),
        ("every day at 8 in the morning", "FREQ=DAILY"),
        ("every morning", "FREQ=DAILY"),
        ("every 2 days", "FREQ=DAILY;INTERVAL=2"),
        ("every weekday", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"),
        ("weekdays at 9", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"),
        ("weekly", "FREQ=WEEKLY"),
        ("every Monday", "FREQ=WEEKLY;BYDAY=MO"),
        ("Mondays", "FREQ=WEEKLY;BYDAY=MO"),
        ("every Monday, Wednesday and Friday at 6pm", "FREQ=WEEKLY;BYDAY=MO,WE,FR"),
        ("every other Thursday", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TH"),
        ("every two weeks", "FREQ=WEEKLY;INTERVAL=2"),
        ("monthly", "FREQ=MONTHLY"),
        ("every year", "FREQ=YEARLY"),
        ("hourly", "FREQ=HOURLY"),
    ],
)
def test_recurrences(text: str, rule: str) -> None:
    assert parse_recurrence(text) == rule
    assert parse_moment(text, NOW) is not None


@pytest.mark.parametrize("text", ["", "monday", "tomorrow", "every", "every plant", "every day milk"])
def test_not_recurrences(text: str) -> None:
    assert parse_recurrence(text) is None


@given(st.text(max_size=40))
def test_any_text_is_answered(text: str) -> None:
    moment = parse_moment(text, NOW)
    assert moment is None or moment.start.tzinfo is BERLIN
    parse_duration(text), parse_recurrence(text), parse_number(text)


WORDS = sorted({word for text in MOMENTS for word in text.split()})


@given(st.lists(st.sampled_from(WORDS), max_size=7).map(" ".join))
def test_any_words_of_time_are_answered(text: str) -> None:
    moment = parse_moment(text, NOW)
    assert moment is None or moment.end is None or moment.end > moment.start


def test_a_hundred_spans_take_milliseconds() -> None:
    request = "remind me to water the plants tomorrow at 7 and call the dentist about my tooth"
    words = request.split()
    ends = {i: range(i + 1, min(len(words), i + 8) + 1) for i in range(len(words))}
    spans = [" ".join(words[i:j]) for i in ends for j in ends[i]]
    parse_moment("tomorrow", NOW)
    began = time.perf_counter()
    found = {span for span in spans if parse_moment(span, NOW)}
    assert time.perf_counter() - began < 0.2  # 3 ms on a quiet core
    assert found == {"tomorrow", "tomorrow at 7", "at 7"}

"""Repetition in what people say: "every day", "weekdays", "every other Monday". English."""

from __future__ import annotations

import re

from .amounts import DAYS

#: regular expression of a day of the week, short or long
DAY = (
    r"(?:mon(?:day)?|tue(?:s|sday)?|wed(?:s|nesday)?|thu(?:r|rs|rsday)?|fri(?:day)?|sat(?:urday)?"
    r"|sun(?:day)?)"
)

_ALL = "|".join(DAYS)
_REPEATS = tuple(
    (re.compile(pattern), rule)
    for pattern, rule in (
        (rf"\b(?:every|each) (?P<n>\d+|other) (?:(?P<unit>day|week|month|year)s?|(?P<days>{DAY}))\b", ""),
        (r"\b(?:every|each) (?P<part>morning|afternoon|evening|night)\b", "DAILY"),
        (r"\b(?:every|each) (?:single )?day\b|\bdaily\b", "DAILY"),
        (r"\b(?:every|each) weekday\b|\b(?:on )?weekdays\b", "WEEKLY;BYDAY=MO,TU,WE,TH,FR"),
        (r"\b(?:every|each) weekend\b|\b(?:on )?weekends\b", "WEEKLY;BYDAY=SA,SU"),
        (r"\bbiweekly\b|\b(?:every|each) fortnight\b", "WEEKLY;INTERVAL=2"),
        (r"\b(?:every|each) week\b|\bweekly\b", "WEEKLY"),
        (r"\b(?:every|each) month\b|\bmonthly\b", "MONTHLY"),
        (r"\b(?:every|each) year\b|\b(?:yearly|annually)\b", "YEARLY"),
        (r"\b(?:every|each) hour\b|\bhourly\b", "HOURLY"),
        (rf"\b(?:every|each) (?P<days>{DAY}(?:(?:,| and|, and) {DAY})*)\b", "WEEKLY"),
        (rf"\b(?:on )?(?P<days>(?:{_ALL})s(?:(?:,| and|, and) (?:{_ALL})s)*)\b", "WEEKLY"),
    )
)


def split_recurrence(s: str) -> tuple[str, str] | None:
    """RRULE (RFC 5545) and the phrase of its first occurrence; None when a `time_phrase` names no repetition.

    "every monday at 9" gives FREQ=WEEKLY;BYDAY=MO and "monday at 9".
    """
    for pattern, rule in _REPEATS:
        found = pattern.search(s)
        if found is None:
            continue
        named = found.groupdict()
        if named.get("n"):
            unit = {"day": "DAILY", "month": "MONTHLY", "year": "YEARLY"}.get(named["unit"], "WEEKLY")
            rule = f"{unit};INTERVAL={2 if named['n'] == 'other' else named['n']}"
        first = named.get("part") or ""
        if days := re.findall(r"mon|tue|wed|thu|fri|sat|sun", named.get("days") or ""):
            rule += ";BYDAY=" + ",".join(day[:2].upper() for day in days)
            first = next(day for day in DAYS if day.startswith(days[0]))
        return f"FREQ={rule}", " ".join(f"{s[: found.start()]} {first} {s[found.end() :]}".split())
    return None

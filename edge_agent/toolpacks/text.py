"""Numbers, units, dates and words: sums, conversions, counting days and words, chance. All pure code.

A small model cannot do sums: it copies the words of one, and `arithmetic`, `units` and `when` do the rest.
"""

from __future__ import annotations

import re
import secrets
from datetime import date
from decimal import Decimal
from typing import Annotated

from ..errors import ToolError
from ..tools import Effect, Example, ToolResult, copied, tool
from ..when import parse_moment, parse_number
from ..workspace import Context
from . import arithmetic, units


@tool(
    effect=Effect.READ,
    pack="text",
    examples=(
        Example("What's 15% of 240?", {"expression": "15% of 240"}),
        Example("calculate 12 times (7 + 3)", {"expression": "12 times (7 + 3)"}),
        Example("how much is the square root of 144", {"expression": "the square root of 144"}),
        Example("two hundred divided by eight", {"expression": "two hundred divided by eight"}),
    ),
)
def calculate(expression: Annotated[str, copied("text")]) -> ToolResult:
    """Work out a sum: plus, minus, times, divided by, percent, powers, roots.

    Args:
        expression: The sum.
    """
    value = arithmetic.calculate(expression)
    shown = arithmetic.written(value)
    return ToolResult(f"{expression.strip().rstrip('?=. ')} = {shown}", {"result": float(value), "exact": str(value)})


@tool(
    effect=Effect.READ,
    pack="text",
    examples=(
        Example("Convert 5 miles to kilometers", {"amount": "5 miles", "to": "kilometers"}),
        Example("what is 98.6 F in celsius", {"amount": "98.6 F", "to": "celsius"}),
        Example("how many ounces are in a pound?", {"amount": "a pound", "to": "ounces"}),
        Example("2 and a half cups in ml", {"amount": "2 and a half cups", "to": "ml"}),
    ),
)
def convert_units(
    ctx: Context, amount: Annotated[str, copied("text")], to: Annotated[str, copied("text")]
) -> ToolResult:
    """Convert an amount to another unit: length, weight, temperature, volume, speed, money.

    Args:
        amount: Number and unit.
        to: The unit wanted.
    """
    done = units.convert(amount, to, units.parse_rates(ctx.settings.get("currency_rates")))
    source, result = _shown(done.amount), _shown(done.result)
    data = {"amount": done.amount, "unit": done.unit, "result": done.result, "target": done.target}
    return ToolResult(f"{source} {done.unit} = {result} {done.target}", data)


@tool(
    effect=Effect.READ,
    pack="text",
    examples=(
        Example("How many days until Christmas?", {"until": "Christmas"}),
        Example("how long ago was March 3", {"since": "March 3"}),
        Example("days between May 1 and July 4", {"since": "May 1", "until": "July 4"}),
        Example("How many weeks are left to December 31?", {"until": "December 31"}),
    ),
)
def count_days(
    ctx: Context, until: Annotated[str, copied("when")] = "", since: Annotated[str, copied("when")] = ""
) -> ToolResult:
    """Count the days until a date, since a date, or between two dates.

    Args:
        until: The later date; today if left out.
        since: The earlier date; today if left out.
    """
    if not until and not since:
        raise ToolError("no date was named", hint='say one, as in "how many days until June 1"')
    today = ctx.now.date()
    end = _day(ctx, until) if until else today
    start = _day(ctx, since) if since else today
    if start > end and since and not re.search(r"\d{4}", since):
        start = _year_before(start)  # a date without a year is read as the next one, and "since" means the last
    days = (end - start).days
    first, last = ("today" if each == today else _long(each) for each in (start, end))
    weeks = f" ({_many(abs(days) // 7, 'week')} and {_many(abs(days) % 7, 'day')})" if abs(days) >= 14 else ""
    data = {"days": days, "from": start.isoformat(), "to": end.isoformat()}
    return ToolResult(f"{_many(abs(days), 'day')}{weeks} from {first} to {last}.", data)


@tool(
    effect=Effect.READ,
    pack="text",
    examples=(
        Example("What date is 90 days after March 3?", {"when": "90 days after March 3"}),
        Example("what day of the week is July 4", {"when": "July 4"}),
        Example("which date was it 3 weeks ago", {"when": "3 weeks ago"}),
    ),
)
def find_date(ctx: Context, when: Annotated[str, copied("when")]) -> ToolResult:
    """Tell the date or weekday of a day, like "in 6 weeks" or "90 days after March 3".

    Args:
        when: The day.
    """
    day = _day(ctx, when)
    away = (day - ctx.now.date()).days
    distance = f"in {_many(away, 'day')}" if away > 0 else f"{_many(-away, 'day')} ago" if away else "today"
    return ToolResult(f"{when.strip()}: {_long(day)} ({distance}).", {"date": day.isoformat(), "days_away": away})


@tool(
    effect=Effect.READ,
    pack="text",
    examples=(
        Example('Count the words in "the quick brown fox"', {"text": "the quick brown fox"}),
        Example("how many letters does onomatopoeia have", {"text": "onomatopoeia"}),
    ),
)
def count_words(text: Annotated[str, copied("text")]) -> ToolResult:
    """Count the words and letters of a sentence or word that is said.

    Args:
        text: The words to count.
    """
    words = len(re.findall(r"\w+(?:['’.-]\w+)*", text))
    letters = sum(character.isalpha() for character in text)
    data = {"words": words, "letters": letters, "characters": len(text)}
    return ToolResult(f"{_many(words, 'word')}, {_many(letters, 'letter')}, {_many(len(text), 'character')}.", data)


@tool(
    effect=Effect.READ,
    pack="text",
    examples=(
        Example("Pick a random number between 1 and 50", {"low": "1", "high": "50"}),
        Example("give me a random number up to 100", {"high": "100"}),
    ),
)
def random_number(high: Annotated[str, copied("number")], low: Annotated[str, copied("number")] = "1") -> ToolResult:
    """Pick a random whole number, from 1 or from another lowest number.

    Args:
        high: The highest it may be.
        low: The lowest it may be.
    """
    first, last = sorted((_whole(low), _whole(high)))
    number = first + secrets.randbelow(last - first + 1)
    return ToolResult(f"{number} (from {first} to {last})", number)


@tool(
    effect=Effect.READ,
    pack="text",
    examples=(
        Example("Flip a coin"),
        Example("heads or tails?"),
    ),
)
def flip_coin() -> ToolResult:
    """Flip a coin: heads or tails."""
    side = secrets.choice(("heads", "tails"))
    return ToolResult(side.capitalize() + ".", side)


@tool(
    effect=Effect.READ,
    pack="text",
    examples=(
        Example("Roll a die"),
        Example("roll two dice", {"dice": "two"}),
        Example("throw 3 dice with 20 sides", {"dice": "3", "sides": "20"}),
    ),
)
def roll_dice(
    dice: Annotated[str, copied("number")] = "1", sides: Annotated[str, copied("number")] = "6"
) -> ToolResult:
    """Roll one or more dice.

    Args:
        dice: How many.
        sides: Sides of each.
    """
    count, faces = _whole(dice), _whole(sides)
    if not 1 <= count <= 100 or not 2 <= faces <= 1_000:
        raise ToolError(f"{dice} dice of {sides} sides: at most 100 dice of 2 to 1,000 sides are rolled")
    rolls = [1 + secrets.randbelow(faces) for _ in range(count)]
    total = f" (together {sum(rolls)})" if count > 1 else ""
    return ToolResult(f"{', '.join(map(str, rolls))}{total}", rolls)


def _day(ctx: Context, text: str) -> date:
    moment = parse_moment(text, ctx.now)
    if moment is None:
        raise ToolError(f"{text!r} is not a date that is understood", hint='say it as in "June 1" or "in 3 weeks"')
    return moment.start.date()


def _year_before(day: date) -> date:
    from dateutil.relativedelta import relativedelta

    return day - relativedelta(years=1)


def _long(day: date) -> str:
    return f"{day:%A}, {day.day} {day:%B} {day.year}"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _whole(text: str) -> int:
    value = parse_number(text)
    if value is None or value != int(value) or abs(value) > 10**12:
        raise ToolError(f"{text!r} is not a whole number up to a trillion")
    return int(value)


def _shown(value: float) -> str:
    """Six significant digits, but never less than the whole part."""
    whole_digits = len(str(int(abs(value))))
    return arithmetic.written(Decimal(f"{value:.{max(6, whole_digits)}g}"))


TOOLS = (
    calculate,
    convert_units,
    count_days,
    find_date,
    count_words,
    random_number,
    flip_coin,
    roll_dice,
)

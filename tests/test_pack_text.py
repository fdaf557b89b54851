"""The text pack: tables of sums, conversions and dates, and what is refused."""

from __future__ import annotations

import contextlib
import time
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packs_fixture import make_context

from edge_agent.errors import ToolError
from edge_agent.toolpacks import arithmetic, text, units
from edge_agent.tools import Registry, ToolResult

TOOLS = Registry(text.TOOLS)
RATES = {"USD": 1.0, "EUR": 1.1, "GBP": 1.3}


def call(tmp_path: Path, name: str, settings: Any = None, /, **arguments: str) -> ToolResult:
    ctx = make_context(tmp_path, datetime(2027, 3, 10, 9, 30, tzinfo=ZoneInfo("Europe/Berlin")), settings)
    return TOOLS.get(name).call(arguments, ctx)


# -- sums ----------------------------------------------------------------------------------------------

SUMS = {
    "15% of 240": "36",
    "what's 25 percent of 80 minus 5?": "15",
    "20%of50": "10",
    "200 + 10%": "220",
    "60 minus 25%": "45",
    "15% off 80": "68",
    "18 percent tip on $64.50": "11.61",
    "10% + 5%": "0.15",
    "12 times 7": "84",
    "7 x 8": "56",
    "7×8÷2": "28",
    "(2+3)*4": "20",
    "2+3*4": "14",
    "10-4-3": "3",
    "100/10/2": "5",
    "2^3^2": "512",
    "-2^2": "-4",
    "2*-3": "-6",
    "-3 + 2": "-1",
    "2 ** 8": "256",
    "2 to the power of 10": "1,024",
    "2 to the 8th power": "256",
    "9 squared": "81",
    "4 cubed": "64",
    "the square root of 2": "1.41421356237",
    "square root of 144 plus 6": "18",
    "√16": "4",
    "sqrt(16)+1": "5",
    "cube root of 27": "3",
    "17 % 5": "2",
    "17 mod 5": "2",
    "-7 mod 3": "2",
    "5!": "120",
    "half of 90": "45",
    "a third of 60": "20",
    "double 45": "90",
    "add 5 and 7": "12",
    "subtract 3 from 10": "7",
    "multiply 6 by 7": "42",
    "divide 100 by 8": "12.5",
    "the sum of twenty one and 4": "25",
    "the difference between 10 and 4": "6",
    "two hundred and fifty divided by 4": "62.5",
    "three hundred and five plus two": "307",
    "twenty-five times three point five": "87.5",
    "a hundred times 3": "300",
    "3 million / 4": "750,000",
    "1,234 * 2": "2,468",
    "0.1+0.2": "0.3",
    "1/3": "0.333333333333",
    "1/7*7": "1",
    "99999999999999999999*9": "899,999,999,999,999,999,991",
    "2^200": "1.60693804426 × 10^60",
    "1/3000000000": "3.33333333333 × 10^-10",
    ".5 + .25": "0.75",
}


@pytest.mark.parametrize(("said", "result"), SUMS.items())
def test_sums(said: str, result: str) -> None:
    assert arithmetic.written(arithmetic.calculate(said)) == result


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("10/0", "divided by zero"),
        ("5 mod 0", "divided by zero"),
        ("0^0", "zero"),
        ("0^-1", "no value"),
        ("9^9^9", "too large"),
        ("2^400", "more than 100 digits"),
        ("1000^1000", "too large"),
        ("0.5^-9999999", "too large"),
        ("170!", "0 to 69"),
        ("2.5!", "whole"),
        ("sqrt(-4)", "square root"),
        ("(-8)^0.5", "fractional power"),
        ("5 minus", "not a sum"),
        ("(((1", "not a sum"),
        ("5 and 7", "not a sum"),
        ("log 5", "near 'log 5'"),
        ("", "not a sum"),
        ("__import__('os')", "not a sum"),
        ("1+" * 150 + "1", "200 characters"),
    ],
)
def test_refused_sums(said: str, why: str) -> None:
    start = time.perf_counter()
    with pytest.raises(ToolError, match=why):
        arithmetic.calculate(said)
    assert time.perf_counter() - start < 1


@given(st.text(alphabet="0123456789.+-*/^%()! sqrtmodof", max_size=40))
def test_any_text_is_a_value_or_a_tool_error(said: str) -> None:
    with contextlib.suppress(ToolError):
        assert arithmetic.calculate(said).is_finite()


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_agrees_with_python(left: int, right: int) -> None:
    assert arithmetic.calculate(f"({left}) + ({right})") == left + right
    assert arithmetic.calculate(f"({left}) times ({right})") == left * right
    if right:
        assert arithmetic.calculate(f"({left}) mod ({right})") == left % right


def test_calculate_tool(tmp_path: Path) -> None:
    result = call(tmp_path, "calculate", expression="12 times 7?")
    assert (result.text, result.data) == ("12 times 7 = 84", {"result": 84.0, "exact": "84"})


# -- units ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "to", "result", "unit"),
    [
        ("5 miles", "kilometers", 8.04672, "km"),
        ("10k meters", "to miles", 6.2137119, "mi"),
        ("1,500 metres", "yards", 1640.41995, "yd"),
        ("half a mile", "feet", 2640, "ft"),
        ("6 ft 2 in", "cm", 187.96, "cm"),
        ("5'11\"", "cm", 180.34, "cm"),
        ("98.6 F", "celsius", 37, "°C"),
        ("-40 celsius", "fahrenheit", -40, "°F"),
        ("72°F", "C", 22.2222222, "°C"),
        ("0 kelvin", "degrees celsius", -273.15, "°C"),
        ("a pound", "ounces", 16, "oz"),
        ("180 lbs", "kilos", 81.6466266, "kg"),
        ("2 and a half cups", "ml", 591.4705912, "ml"),
        ("8 ounces", "ml", 236.5882365, "ml"),
        ("100 ml", "ounces", 3.3814023, "fl oz"),
        ("60 miles per hour", "km/h", 96.56064, "km/h"),
        ("30 mpg", "l/100km", 7.8404861, "l/100km"),
        ("3 square feet", "square meters", 0.27870912, "m²"),
        ("3 nautical miles", "km", 5.556, "km"),
        ("2 GB", "mb", 2000, "MB"),
        ("3 MW", "kW", 3000, "kW"),
        ("2 hours", "minutes", 120, "min"),
        ("$20", "euros", 18.1818182, "EUR"),
        ("5 pounds", "dollars", 6.5, "USD"),
        ("10 euros", "pounds", 8.4615385, "GBP"),
    ],
)
def test_conversions(amount: str, to: str, result: float, unit: str) -> None:
    done = units.convert(amount, to, RATES)
    assert done.result == pytest.approx(result, rel=1e-7, abs=1e-9)
    assert done.target == unit


@pytest.mark.parametrize(
    ("amount", "to", "why"),
    [
        ("5 miles", "kg", "different things"),
        ("5 blorps", "kg", "'blorps' is not a unit"),
        ("5 miles", "m**99", "not a unit"),
        ("5 __class__", "kg", "not a unit"),
        ("12", "kg", "no unit"),
        ("", "kg", "no unit"),
        ("0 mpg", "l/100km", "no counterpart"),
        ("5 dollars", "kg", "one is money"),
        ("5 yen", "dollars", "rate of JPY is not set"),
    ],
)
def test_refused_conversions(amount: str, to: str, why: str) -> None:
    with pytest.raises(ToolError, match=why.replace("*", r"\*")):
        units.convert(amount, to, RATES)


def test_every_alias_is_a_unit() -> None:
    for alias in units.ALIASES:
        units.convert(f"1 {alias}", alias, {})


def test_convert_tool_shows_six_digits_and_reads_rates(tmp_path: Path) -> None:
    assert call(tmp_path, "convert_units", amount="5 miles", to="km").text == "5 mi = 8.04672 km"
    assert (
        call(tmp_path, "convert_units", amount="1 light year", to="km").text == "1 ly = 9,460,730,472,581 km"
    )
    settings = {"currency_rates": ("USD=1", "eur=1.25")}
    assert call(tmp_path, "convert_units", settings, amount="$20", to="euros").text == "20 USD = 16 EUR"
    with pytest.raises(ToolError, match="currency_rates: 'USD:1'"):
        call(tmp_path, "convert_units", {"currency_rates": ("USD:1",)}, amount="$20", to="euros")


# -- dates ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "days", "text"),
    [
        (
            {"until": "Christmas"},
            290,
            "290 days (41 weeks and 3 days) from today to Saturday, 25 December 2027.",
        ),
        ({"until": "tomorrow"}, 1, "1 day from today to Thursday, 11 March 2027."),
        ({"until": "today"}, 0, "0 days from today to today."),
        ({"since": "March 3"}, 7, "7 days from Wednesday, 3 March 2027 to today."),
        (
            {"since": "March 3 2026"},
            372,
            "372 days (53 weeks and 1 day) from Tuesday, 3 March 2026 to today.",
        ),
        ({"since": "May 1", "until": "July 4"}, 64, ""),
        ({"since": "March 3", "until": "July 4"}, 123, ""),
    ],
)
def test_count_days(tmp_path: Path, arguments: dict[str, str], days: int, text: str) -> None:
    result = call(tmp_path, "count_days", **arguments)
    assert result.data["days"] == days
    assert result.text == text or not text


@pytest.mark.parametrize(
    ("when", "text"),
    [
        ("90 days after March 12", "90 days after March 12: Thursday, 10 June 2027 (in 92 days)."),
        ("3 weeks ago", "3 weeks ago: Wednesday, 17 February 2027 (21 days ago)."),
        ("today", "today: Wednesday, 10 March 2027 (today)."),
    ],
)
def test_find_date(tmp_path: Path, when: str, text: str) -> None:
    assert call(tmp_path, "find_date", when=when).text == text


def test_what_is_no_date_is_refused(tmp_path: Path) -> None:
    for name, arguments in [
        ("find_date", {"when": "blue"}),
        ("count_days", {"until": "blue"}),
        ("count_days", {}),
    ]:
        with pytest.raises(ToolError, match="date"):
            call(tmp_path, name, **arguments)


# -- words and chance ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("the quick brown fox", "4 words, 16 letters, 19 characters."),
        ("It's a well-known fact.", "4 words, 17 letters, 23 characters."),
        ("a", "1 word, 1 letter, 1 character."),
        ("", "0 words, 0 letters, 0 characters."),
    ],
)
def test_count_words(tmp_path: Path, said: str, text: str) -> None:
    assert call(tmp_path, "count_words", text=said).text == text


def test_chance(tmp_path: Path) -> None:
    draws = {call(tmp_path, "random_number", low="3", high="five").data for _ in range(200)}
    assert draws == {3, 4, 5}
    assert {call(tmp_path, "flip_coin").data for _ in range(100)} == {"heads", "tails"}
    rolls = [call(tmp_path, "roll_dice", dice="two").data for _ in range(100)]
    assert {len(roll) for roll in rolls} == {2}
    assert {face for roll in rolls for face in roll} == {1, 2, 3, 4, 5, 6}
    assert "together" in call(tmp_path, "roll_dice", dice="2", sides="20").text


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("roll_dice", {"dice": "101"}),
        ("roll_dice", {"sides": "1"}),
        ("roll_dice", {"dice": "some"}),
        ("random_number", {"high": "1.5"}),
        ("random_number", {"high": "9999999999999999"}),
    ],
)
def test_chance_refuses(tmp_path: Path, name: str, arguments: dict[str, str]) -> None:
    with pytest.raises(ToolError):
        call(tmp_path, name, **arguments)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9))
def test_written_keeps_twelve_digits(value: Decimal) -> None:
    back = Decimal(arithmetic.written(value).replace(",", "").replace(" × 10^", "e"))
    assert abs(back - value) <= abs(value) * Decimal("1e-11")

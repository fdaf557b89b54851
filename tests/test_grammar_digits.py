"""Ranges of numbers, digit by digit, and regular expressions, against what Python says."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.grammar import TextMatcher
from edge_agent.grammar.digits import SHORT
from edge_agent.grammar.ir import NOTHING, Grammar, Node
from edge_agent.grammar.pattern import Unsupported, translate
from edge_agent.grammar.strings import complement, normal


def _matcher(node: Node) -> TextMatcher:
    return TextMatcher(Grammar({"root": node}))


_bounds = st.none() | st.integers(-30, 30) | st.integers(-12_345, 12_345)


@settings(max_examples=60, deadline=None)
@given(_bounds, _bounds, st.lists(st.integers(-40, 40) | st.integers(-20_000, 20_000), min_size=10, max_size=10))
def test_integers(low: int | None, high: int | None, values: list[int]) -> None:
    node = SHORT.integers(low, high)
    if low is not None and high is not None and low > high:
        assert node == NOTHING
        return
    matcher = _matcher(node)
    near = [bound + step for bound in (low, high) if bound is not None for step in (-1, 0, 1)]
    for value in [*values, *near]:
        assert matcher.accepts(str(value)) == ((low is None or low <= value) and (high is None or value <= high))
    assert not any(map(matcher.accepts, ["", "-", "007", "1.0", "1" * 30]))


_decimals = st.decimals(-200, 200, places=3) | st.decimals(-2, 2, places=1) | st.integers(-3, 3).map(Decimal)


@settings(max_examples=120, deadline=None)
@given(
    st.none() | _decimals,
    st.none() | _decimals,
    st.booleans(),
    st.booleans(),
    st.lists(_decimals, min_size=8, max_size=8),
)
def test_decimals(
    low: Decimal | None, high: Decimal | None, open_low: bool, open_high: bool, values: list[Decimal]
) -> None:
    node = SHORT.decimals(low, high, open_low=open_low, open_high=open_high)

    def inside(value: Decimal) -> bool:
        above = low is None or value > low or (value == low and not open_low)
        return above and (high is None or value < high or (value == high and not open_high))

    steps = [Decimal("-0.001"), Decimal(0), Decimal("0.0001")]
    near = [bound + step for bound in (low, high) if bound is not None for step in steps]
    matcher = None if node == NOTHING else _matcher(node)
    for value in [*values, *near]:
        short = f"{value.normalize():f}"
        for text in (f"{value:f}", short, short + "0" if "." in short else short + ".0"):
            assert (matcher is not None and matcher.accepts(text)) == inside(value), text


PATTERNS = [
    "abc", "^abc", "abc$", "^abc$", "a|b", "^(a|bc)+$", "^a|b$", "^(?:a|b)*?c$", "^[a-c]{2}$", "^[^a]$", "a.c",
    "^\\d+$", "^\\w+\\s?\\w*$", "^\\S+$", "^a{2,}$", "^(a?)*$", "^(a?b?)+$", "^(a*)*b$", "^\\x61\\u0062$", "^[\\w-]+$",
    "^$",
    "^a\\.b$", "(^a$)|(^b$)", "^(a|)$", "^[a\\]]$", "^a{0}$", "^(?P<n>a)b$", "^[+-]?\\d{1,3}(,\\d{3})*$", "",
    "(?=a)", "(?!a)b", "^(?!ab)(?=.*c).*$", "a(?!b)|^(?=1)", "^(?!.*a$)", "^", "$",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_mean_what_python_means(pattern: str) -> None:
    matcher = _matcher(translate(pattern))
    python = re.compile(pattern, re.ASCII)
    texts = ["", "a", "b", "c", "abc", "xabcx", "abcx", "xabc", "aa", "ab", "bc", "bcbc", "aac", "a c", "1", "12", "é",
             "-a_1", "a.b", "a]", "]", "1,234", "+12", "a b", "xa", "bx", "aaab", "\t"]  # fmt: skip
    assert [text for text in texts if matcher.accepts(text) != bool(python.search(text))] == []


@pytest.mark.parametrize(
    "pattern",
    ["(?:(?=a)b)*", "(?<!a)b", "(?<=a)b", "(a)\\1", "\\bword\\b", "\\p{Greek}", "a^b", "(a$)b", "(", ")", "[a",
     "a{2000}", "*a",
     "(" * 50 + ")" * 50, "((a{50}){50}){50}", "x" * 3000, "[b-a]", "a{3,1}", "\\", "(?i)a", "\\ud800", "^*"],
)  # fmt: skip
def test_patterns_that_are_not_held(pattern: str) -> None:
    with pytest.raises(Unsupported):
        translate(pattern)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)).map(lambda pair: (min(pair), max(pair)))))
def test_complement(ranges: list[tuple[int, int]]) -> None:
    assert complement(complement(ranges)) == normal(ranges)
    inside = {code for low, high in ranges for code in range(low, high + 1)}
    outside = {code for low, high in complement(ranges) for code in range(low, min(high, 310) + 1)}
    assert inside | outside == set(range(311))
    assert not inside & outside

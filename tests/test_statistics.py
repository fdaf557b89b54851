from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.evals.statistics import auroc, percentile, wilson


@pytest.mark.parametrize(
    ("passed", "total", "low", "high"),
    [
        (0, 0, 0.0, 1.0),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I
    ],
)
def test_wilson_gives_the_published_intervals(passed: int, total: int, low: float, high: float) -> None:
    assert wilson(passed, total) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson_holds_the_rate_and_is_symmetric(passed: int, total: int) -> None:
    passed = min(passed, total)
    low, high = wilson(passed, total)
    assert 0 <= low <= passed / total + 1e-12
    assert passed / total - 1e-12 <= high <= 1
    assert wilson(total - passed, total) == (pytest.approx(1 - high), pytest.approx(1 - low))


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([], 50, None),
        ([7.0], 0, 7.0),
        ([7.0], 100, 7.0),
        ([3, 1, 2], 50, 2),
        ([4, 3, 2, 1], 50, 2),
        ([15, 20, 35, 40, 50], 30, 20),
        ([15, 20, 35, 40, 50], 40, 20),
        ([15, 20, 35, 40, 50], 100, 50),
        (list(range(1, 101)), 95, 95),
    ],
)
def test_percentile_is_the_nearest_rank(values: list[float], percent: float, expected: float | None) -> None:
    assert percentile(values, percent) == expected


@given(st.lists(st.floats(allow_nan=False), min_size=1), st.floats(0, 100))
def test_enough_values_lie_at_or_below_a_percentile(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= math.floor(len(values) * percent / 100)


@pytest.mark.parametrize(
    ("positives", "negatives", "area"),
    [
        ([0.9, 0.8], [0.1, 0.2], 1.0),
        ([0.1], [0.9], 0.0),
        ([0.5, 0.5], [0.5], 0.5),
        ([0.9, 0.3], [0.5, 0.3], 0.625),  # one win over each, a loss, a tie
        ([], [0.5], None),
        ([0.5], [], None),
    ],
)
def test_auroc(positives: list[float], negatives: list[float], area: float | None) -> None:
    assert auroc(positives, negatives) == area


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_auroc_is_the_share_of_pairs_won(positives: list[float], negatives: list[float]) -> None:
    pairs = [(p > n) + (p == n) / 2 for p in positives for n in negatives]
    assert auroc(positives, negatives) == pytest.approx(sum(pairs) / len(pairs))

"""The few figures every suite reports."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence


def wilson(passed: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """95% interval of a rate (Wilson 1927), sound for small counts and rates near 0 or 1."""
    if not total:
        return 0.0, 1.0
    rate, square = passed / total, z * z
    middle = (rate + square / (2 * total)) / (1 + square / total)
    half = z / (1 + square / total) * math.sqrt(rate * (1 - rate) / total + square / (4 * total * total))
    return max(0.0, middle - half), min(1.0, middle + half)


def percentiles(name: str, values: Sequence[float]) -> dict[str, float | None]:
    """`{name}_p50`, `{name}_p99` and `{name}_max`; None for no values."""
    steps = (("p50", 50), ("p99", 99), ("max", 100))
    return {f"{name}_{short}": percentile(values, percent) for short, percent in steps}


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Nearest-rank percentile; None for no values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else None


def auroc(positives: Sequence[float], negatives: Sequence[float]) -> float | None:
    """Area under the ROC curve: how often a positive scores above a negative, ties counting half; None without both."""
    if not positives or not negatives:
        return None
    below = sorted(negatives)
    wins = sum(bisect_left(below, score) + bisect_right(below, score) for score in positives)
    return wins / (2 * len(positives) * len(negatives))

"""Two runs of one suite side by side, case by case: is one better, or was it luck?

Each input is an `out` file of a suite (`suite.read_out`) or of `everyday`. Cases are paired by id. The interval of the
difference is a paired bootstrap (Efron 1979, percentiles), the p-value McNemar's exact test over the cases that only
one of the two got right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from ..errors import InputError
from .suite import read_out

RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Answer:
    """One case of one run; None is unknown."""

    category: str
    passed: bool
    elapsed_ms: float | None
    joules: float | None


def compare(first: Path, second: Path, *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Any]:
    """What `second` gains over `first`, by category and over all; `tables` for people, `failures` the cases that only
    one of them got right.

    Under `ratio`: the median over cases of the second's milliseconds (joules) over the first's. Raises InputError
    when a file is unreadable, the two are of different suites or have no case in common.
    """
    (name, before_run, before), (other, after_run, after) = _read(first), _read(second)
    if name != other:
        raise InputError(f"{first} holds results of {name}, {second} of {other}", hint="compare runs of one suite")
    common = [identity for identity in before if identity in after]
    if not common:
        raise InputError(f"{first} and {second} have no case in common")
    pairs = [(before[identity], after[identity]) for identity in common]
    groups: dict[str, list[tuple[Answer, Answer]]] = {}
    for pair in pairs:
        groups.setdefault(pair[1].category, []).append(pair)
    lines = [_line(category, mine, resamples, seed) for category, mine in groups.items()]
    total = _line("all", pairs, resamples, seed)
    differs = _differs(before_run, after_run)
    only = {"only_first": [i for i in before if i not in after], "only_second": [i for i in after if i not in before]}
    return {
        "suite": name,
        "runs": [before_run, after_run],
        "differs": differs,
        "overall": total,
        "by_category": {line["category"]: line for line in lines},
        "ratio": {"elapsed_ms": _ratio(pairs, "elapsed_ms"), "joules": _ratio(pairs, "joules")},
        **only,
        "tables": [
            [*lines, total],
            [{"differs": name, "first": str(old), "second": str(new)} for name, (old, new) in differs.items()],
            [{"only in": key, "id": identity} for key, ids in only.items() for identity in ids],
        ],
        "failures": [
            {"id": identity, "right": "second" if after[identity].passed else "first"}
            for identity in common
            if before[identity].passed != after[identity].passed
        ],
    }


def _read(path: Path) -> tuple[str, Mapping[str, Any], dict[str, Answer]]:
    """Suite, what the run was, and its cases."""
    head, rows = read_out(path)
    try:
        answers = {identity: _answer(row) if head else _everyday(row) for identity, row in rows.items()}
        return head.get("suite", "everyday"), head.get("run", {}), answers
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: not the results of a suite: no {error}") from error


def _differs(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What is not the same of the two runs, settings included; None is unknown."""
    old, new = ({**run, **run.get("settings", {})} for run in (first, second))
    names = [name for name in {**old, **new} if name != "settings"]
    return {name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)}


def _answer(row: Mapping[str, Any]) -> Answer:
    answer = row["prediction"]
    elapsed_ms = None if answer["error"] else answer["latency_ms"]
    return Answer(row["category"], row["verdict"]["passed"], elapsed_ms, answer["energy"].get("joules"))


def _everyday(row: Mapping[str, Any]) -> Answer:
    return Answer(row["kind"], row["passed"], row["elapsed_ms"], row["joules"])


def _line(category: str, pairs: Sequence[tuple[Answer, Answer]], resamples: int, seed: int) -> dict[str, Any]:
    wins = sum(after.passed and not before.passed for before, after in pairs)
    losses = sum(before.passed and not after.passed for before, after in pairs)
    low, high = bootstrap(wins, losses, len(pairs), resamples, seed)
    return {
        "category": category,
        "cases": len(pairs),
        "first": sum(before.passed for before, _ in pairs) / len(pairs),
        "second": sum(after.passed for _, after in pairs) / len(pairs),
        "difference": (wins - losses) / len(pairs),
        "low": low,
        "high": high,
        "wins": wins,
        "losses": losses,
        "p": mcnemar(wins, losses),
    }


def bootstrap(wins: int, losses: int, cases: int, resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """95% interval of the mean paired difference, of which `wins` are 1, `losses` -1 and the rest 0.

    To draw `cases` of such differences anew is to draw their counts from a multinomial, which costs nothing.
    """
    import numpy as np

    shares = [wins / cases, losses / cases, (cases - wins - losses) / cases]
    drawn = np.random.default_rng(seed).multinomial(cases, shares, size=resamples)
    low, high = np.percentile((drawn[:, 0] - drawn[:, 1]) / cases, [2.5, 97.5])
    return float(low), float(high)


def mcnemar(wins: int, losses: int) -> float:
    """Exact two-sided p-value of `wins` against `losses` if both were as likely (McNemar 1947; binomial test)."""
    discordant = wins + losses
    ways = tail = 1
    for count in range(min(wins, losses)):
        ways = ways * (discordant - count) // (count + 1)
        tail += ways
    return min(1.0, 2 * tail / (1 << discordant))


def _ratio(pairs: Sequence[tuple[Answer, Answer]], field: str) -> float | None:
    known = [(getattr(before, field), getattr(after, field)) for before, after in pairs]
    ratios = [after / before for before, after in known if before and after is not None]
    return median(ratios) if ratios else None

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_fixture import Line, line
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.dialects.base import Call
from edge_agent.errors import InputError
from edge_agent.evals.compare import bootstrap, compare, mcnemar
from edge_agent.evals.suite import Case, Verdict, run
from edge_agent.predict import Prediction

__all__ = ["line"]


class Marks:
    """Case `x3` is right when the answer calls anything."""

    name = "marks"

    def __init__(self, *ids: str) -> None:
        self.ids = ids

    def load(self, data: Path) -> list[Case]:
        return [Case(each, each[0], {"id": each, "messages": [], "tools": []}) for each in self.ids]

    def judge(self, case: Case, prediction: Prediction) -> Verdict:
        return Verdict(bool(prediction.calls))

    def extra(self, *_: Any) -> dict[str, Any]:
        return {}


class Right:
    """Right in these cases; a failed row for those in `broken`."""

    def __init__(self, *right: str, elapsed_ms: float = 10.0, joules: float | None = 1.0, broken: str = "") -> None:
        self.right, self.elapsed_ms, self.joules, self.broken = right, elapsed_ms, joules, broken

    def predict(self, row: Mapping[str, Any]) -> Prediction:
        if row["id"] == self.broken:
            return Prediction(row["id"], (), 0.0, "decline", error="no", verified=False)
        calls = (Call("x", {}),) if row["id"] in self.right else ()
        energy = {"joules": self.joules}
        return Prediction(row["id"], calls, 0.5, "act", latency_ms=self.elapsed_ms, energy=energy, verified=True)


IDS = ("a1", "a2", "a3", "b1", "b2")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """The second wins a2, a3 and b1, loses b2, is twice as fast, and has one case that the first lacks."""
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    old = {"model": "tiny", "settings": {"matcher": "none", "shots": 8}}
    run(Marks(*IDS, "a9"), Right("a1", "b2"), tmp_path, out=first, identity=old)
    better = Right("a1", "a2", "a3", "b1", elapsed_ms=5.0, joules=0.25)
    new = {"model": "tiny", "adapter": "a.gguf", "settings": {"matcher": "llguidance", "shots": 8}}
    run(Marks("c1", *reversed(IDS)), better, tmp_path, out=second, identity=new)
    return first, second


def test_compare(pair: tuple[Path, Path]) -> None:
    found = compare(*pair)
    assert found["suite"] == "marks"
    assert [each["settings"]["matcher"] for each in found["runs"]] == ["none", "llguidance"]
    assert found["differs"] == {"adapter": (None, "a.gguf"), "matcher": ("none", "llguidance")}
    assert found["only_first"] == ["a9"]
    assert found["only_second"] == ["c1"]
    total = found["overall"]
    assert (total["cases"], total["first"], total["second"], total["difference"]) == (5, 0.4, 0.8, 0.4)
    assert (total["wins"], total["losses"], total["p"]) == (3, 1, 0.625)
    assert total["low"] < 0.4 < total["high"]
    by = found["by_category"]
    assert (by["a"]["wins"], by["a"]["losses"], by["a"]["difference"]) == (2, 0, 2 / 3)
    assert (by["b"]["wins"], by["b"]["losses"], by["b"]["difference"]) == (1, 1, 0.0)
    assert found["ratio"] == {"elapsed_ms": 0.5, "joules": 0.25}
    assert {each["id"]: each["right"] for each in found["failures"]} == {
        "a2": "second", "a3": "second", "b1": "second", "b2": "first",
    }  # fmt: skip
    assert compare(*pair) == found  # seeded
    back = compare(*reversed(pair))
    assert back["overall"]["difference"] == -0.4
    assert back["ratio"]["elapsed_ms"] == 2.0


def test_a_run_and_itself(pair: tuple[Path, Path]) -> None:
    total = compare(pair[0], pair[0])["overall"]
    assert (total["difference"], total["low"], total["high"], total["p"]) == (0.0, 0.0, 0.0, 1.0)


def test_ratios_leave_out_what_is_unknown(tmp_path: Path) -> None:
    paths = [tmp_path / "first", tmp_path / "second"]
    run(Marks(*IDS), Right(joules=None, broken="a1"), tmp_path, out=paths[0])
    run(Marks(*IDS), Right(elapsed_ms=30.0, broken="b2"), tmp_path, out=paths[1])
    assert compare(*paths)["ratio"] == {"elapsed_ms": 3.0, "joules": None}


def everyday(path: Path, *passed: bool) -> Path:
    rows = [
        {"id": f"single-{number}", "kind": "single", "passed": each, "elapsed_ms": 8.0, "joules": None}
        for number, each in enumerate(passed)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_files_of_the_everyday_suite(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    first, second = everyday(tmp_path / "1", True, False, False), everyday(tmp_path / "2", True, True, False)
    found = compare(first, second)
    assert (found["suite"], found["runs"]) == ("everyday", [{}, {}])
    assert found["by_category"]["single"]["wins"] == 1
    assert found["ratio"] == {"elapsed_ms": 1.0, "joules": None}
    with pytest.raises(InputError, match=r"1 holds results of everyday, .*second\.jsonl of marks") as caught:
        compare(first, pair[1])
    assert caught.value.hint == "compare runs of one suite"


def test_refusals(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    other, odd = tmp_path / "other", tmp_path / "odd"
    run(Marks("z1"), Right(), tmp_path, out=other)
    with pytest.raises(InputError, match="have no case in common"):
        compare(pair[0], other)
    odd.write_text('{"id": "x", "engines": {}}\n')
    with pytest.raises(InputError, match="odd: not the results of a suite: no 'kind'"):
        compare(odd, pair[0])
    with pytest.raises(InputError, match="absent: cannot be read"):
        compare(tmp_path / "absent", pair[0])


# -- the statistics ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 0, 0.0625),
        (0, 6, 0.03125),
        (8, 2, 0.109375),
        (10, 2, 0.03857421875),
        (3, 3, 1.0),
    ],
)
def test_mcnemar(wins: int, losses: int, p: float) -> None:
    assert mcnemar(wins, losses) == p
    assert mcnemar(losses, wins) == p


def test_mcnemar_of_many_cases() -> None:
    assert 0 < mcnemar(900, 1100) < 1e-5
    assert mcnemar(5_000, 5_000) == 1.0


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 3))
def test_the_interval_is_that_of_drawing_cases(wins: int, losses: int, ties: int, seed: int) -> None:
    differences = np.repeat([1, -1, 0], [wins, losses, ties + 1])
    cases = len(differences)
    picks = np.random.default_rng(seed + 100).integers(0, cases, (4000, cases))
    expected = np.percentile(differences[picks].mean(axis=1), [2.5, 97.5])
    found = bootstrap(wins, losses, cases, 4000, seed)
    assert found == pytest.approx(expected, abs=0.04 + 1 / cases)
    assert found[0] <= (wins - losses) / cases <= found[1]
    assert bootstrap(wins, losses, cases, 4000, seed) == found


# -- the command -------------------------------------------------------------------------------------------


def test_command(line: Line, pair: tuple[Path, Path]) -> None:
    ran = line("eval", "compare", *map(str, pair), "--failures")
    assert ran.code == 0, ran.err
    shown = [each.split() for each in ran.out.splitlines()]
    assert shown[0][:5] == ["category", "cases", "first", "second", "difference"]
    assert ["all", "5", "0.400", "0.800", "0.400"] in [each[:5] for each in shown]
    assert ["matcher", "none", "llguidance"] in shown
    assert ["only_first", "a9"] in shown
    assert ["b2", "first"] in shown
    figures = json.loads(ran.out.splitlines()[-1])
    assert figures["overall"]["wins"] == 3
    assert {"tables", "failures"}.isdisjoint(figures)


def test_command_refuses(line: Line, pair: tuple[Path, Path], tmp_path: Path) -> None:
    ran = line("eval", "compare", str(pair[0]), str(everyday(tmp_path / "e", True)))
    assert (ran.code, ran.out) == (InputError.exit_code, "")
    assert "holds results of marks" in ran.err
    assert line("eval", "compare", str(pair[0])).code == InputError.exit_code

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cli_fixture import Line, line

from edge_agent.dialects.base import Call
from edge_agent.errors import InputError
from edge_agent.evals.clinc import Clinc, aurc
from edge_agent.evals.suite import Case
from edge_agent.predict import Prediction

__all__ = ["line"]

SUITE = Clinc(tools=3)
INTENTS = ["feed_cat", "walk_dog", "wash_pony", "sell_goat", "find_newt"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [{"id": f"q{n}", "text": f"do {name}", "intent": name, "domain": "pets"} for n, name in enumerate(INTENTS)]
    rows += [{"id": f"o{n}", "text": "what is truth", "intent": "oos", "domain": "oos"} for n in range(3)]
    (tmp_path / "gate").mkdir()
    with gzip.open(tmp_path / "gate" / "clinc.jsonl.gz", "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
    return tmp_path


@pytest.fixture
def cases(data: Path) -> list[Case]:
    return SUITE.load(data)


def answer(*names: str, calling: float = 0.0, confidence: float = 0.0) -> Prediction:
    calls = tuple(Call(name, {}) for name in names)
    decision = "act" if calls else "decline"
    return Prediction(id="", calls=calls, confidence=confidence, decision=decision, calling=calling, verified=True)


def test_each_request_shows_its_own_intent_and_others(cases: list[Case]) -> None:
    assert Counter(case.category for case in cases) == {"in_scope": 5, "oos": 3}
    for case in cases:
        shown = [tool["name"] for tool in case.row["tools"]]
        assert len({*shown}) == 3
        assert case.gold is None or case.gold in shown
        assert "oos" not in shown
    assert cases[0].row["tools"] != cases[1].row["tools"]
    tool = next(tool for tool in cases[0].row["tools"] if tool["name"] == "feed_cat")
    assert tool["description"] == "Feed cat (pets)."
    assert tool["parameters"] == {"type": "object", "properties": {}}


def test_the_same_request_shows_the_same_tools(data: Path, cases: list[Case]) -> None:
    assert Clinc(tools=3).load(data / "gate") == cases
    fewer = data / "gate" / "clinc.jsonl.gz"
    rows = gzip.decompress(fewer.read_bytes()).splitlines(keepends=True)
    fewer.write_bytes(gzip.compress(b"".join(reversed(rows))))
    assert {case.id: case for case in SUITE.load(data)} == {case.id: case for case in cases}
    assert [tool["name"] for tool in cases[0].row["tools"]] == ["sell_goat", "walk_dog", "feed_cat"]


def test_the_right_tool_is_not_always_first(cases: list[Case]) -> None:
    inside = [case for case in cases if case.gold]
    assert len({[tool["name"] for tool in case.row["tools"]].index(case.gold) for case in inside}) > 1


def test_verdicts(cases: list[Case]) -> None:
    inside, outside = cases[0], cases[-1]
    right = SUITE.judge(inside, answer("feed_cat"))
    assert (right.passed, right.name_right) == (True, True)
    for wrong in (answer(), answer("walk_dog"), answer("feed_cat", "feed_cat")):
        verdict = SUITE.judge(inside, wrong)
        assert (verdict.passed, verdict.name_right) == (False, False)
    assert SUITE.judge(inside, answer()).reason == "no call instead of feed_cat"
    assert SUITE.judge(outside, answer()).passed
    called = SUITE.judge(outside, answer("walk_dog"))
    assert (called.passed, called.name_right, called.reason) == (False, None, "walk_dog where nothing fits")


def test_gate_figures(cases: list[Case]) -> None:
    chosen = [cases[0], cases[1], cases[-2], cases[-1]]
    answers = [
        answer("feed_cat", calling=0.9, confidence=0.9),
        answer("feed_cat", calling=0.6, confidence=0.2),  # wrong
        answer("feed_cat", calling=0.7, confidence=0.5),  # wrong
        answer(calling=0.1, confidence=0.8),
    ]
    figures = SUITE.extra(chosen, answers)
    assert figures["tools"] == 3
    assert figures["calling_auroc"] == 0.75
    assert figures["confidence_auroc"] == 0.5
    assert figures["aurc"] == pytest.approx((0 + 0 + 1 / 3 + 2 / 4) / 4)
    assert figures["aurc_best"] == figures["aurc"]


@pytest.mark.parametrize(
    ("scores", "wrong", "expected"),
    [
        ([], [], None),
        ([0.5], [True], 1.0),
        ([0.9, 0.1], [False, True], (0 + 1 / 2) / 2),
        ([0.1, 0.9], [False, True], (1 + 1 / 2) / 2),
        ([0.5, 0.5], [False, True], 0.5),
        ([0.5, 0.5], [True, False], 0.5),
    ],
)
def test_aurc(scores: list[float], wrong: list[bool], expected: float | None) -> None:
    assert aurc(scores, wrong) == (expected if expected is None else pytest.approx(expected))


def test_unusable_data(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"clinc\.jsonl\.gz: cannot be read"):
        SUITE.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"has 5 intents; 6 are to be shown"):
        Clinc(tools=6).load(data)


@pytest.mark.parametrize(
    ("command", "suite"),
    [
        (("clinc", "--tools", "4"), "clinc-4"),
        (("clinc",), "clinc-10"),
        (("home-assistant",), "home-assistant"),
        (("when2call",), "when2call"),
        (("nestful",), "nestful"),
    ],
)
def test_commands(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], suite: str
) -> None:
    seen: list[str] = []

    def run(made: Any, *, data: Path, limit: int | None, **_: Any) -> None:
        assert (data, limit) == (tmp_path, 7)
        seen.append(made.name)

    monkeypatch.setattr("edge_agent.cli.evals._run_suite", run)
    line("eval", *command, "--data", str(tmp_path), "--limit", "7")
    assert seen == [suite]

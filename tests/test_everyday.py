from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from agent_fixture import make_agent, prompts

from edge_agent.agent import Agent
from edge_agent.config import Settings
from edge_agent.evals import everyday
from edge_agent.evals.everyday import run
from edge_agent.toolpacks import load

GOOD = {
    "remind me in 20 minutes to take the washing out": (
        'set_reminder {"text":"take the washing out","when":"in 20 minutes"}'
    ),
    "remind me to call the plumber": 'set_reminder {"text":"call the plumber"}',
    "order me a large pepperoni pizza": "none",
}


def scripted(tmp_path: Path, answers: Mapping[str, str], **settings: Any) -> Agent:
    def answer(prompt: str) -> str:
        said = prompt.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]
        return answers.get(said, "none")

    return make_agent(tmp_path, answer, tools=load(["clock"]), settings=Settings(**settings))


ONE_OF_EACH = {"limit": 1, "kinds": ("single", "missing", "impossible")}


def test_right_outcomes_pass(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    agent = scripted(tmp_path, GOOD, price_per_kwh=0.3)
    report = run(agent=agent, progress=lambda done, total: seen.append((done, total)), **ONE_OF_EACH)  # type: ignore[arg-type]
    assert (report["cases"], report["passed"], report["success_rate"], report["model"]) == (3, 3, 1.0, "scripted")
    assert {kind: line["passed"] for kind, line in report["by_kind"].items()} == {
        "single": 1, "missing": 1, "impossible": 1,
    }  # fmt: skip
    assert [(line["kind"], line["act"], line["ask"], line["decline"], line["failed"]) for line in report["table"]] == [
        ("single", 1, 0, 0, 0), ("missing", 0, 1, 0, 0), ("impossible", 0, 0, 1, 0),
    ]  # fmt: skip
    assert report["executable_call_rate"] == 1.0
    assert report["p50_ms"] <= report["p95_ms"]
    assert report["joules_per_successful_task"] == pytest.approx(report["joules_per_request"])
    assert report["cost_per_successful_task"] == pytest.approx(report["joules_per_request"] / 3.6e6 * 0.3)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    json.dumps(report)
    assert list((tmp_path / "home").iterdir()) == []  # the agent's own home is not the suite's
    assert list(agent.ledger.rows()) == []


def test_wrong_outcomes_fail_with_their_reasons(tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    wrong = {
        "remind me in 20 minutes to take the washing out": 'set_timer {"duration":"20 minutes"}',
        "order me a large pepperoni pizza": 'current_time {"place":"pizza"}',
    }
    agent = scripted(tmp_path, wrong, decline_above=0.9)
    report = run(agent=agent, limit=1, kinds=("single", "impossible"), out=out)
    assert report["passed"] == 0
    assert report["joules_per_successful_task"] is None
    assert report["cost_per_successful_task"] is None
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert all(row["reasons"] for row in rows)
    assert [row["decision"] for row in rows] == ["act", "failed"]
    assert report["executable_call_rate"] == 0.5


def test_an_engine_error_is_a_failed_case_and_the_suite_goes_on(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ["none"], tools=load(["clock"]), context=50)
    report = run(agent=agent, limit=1, kinds=("single", "impossible"))
    assert (report["cases"], report["passed"], report["p50_ms"], report["joules_per_request"]) == (2, 0, None, None)
    assert [line["failed"] for line in report["table"]] == [1, 1]


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    agent = scripted(tmp_path, GOOD)
    run(agent=agent, limit=1, kinds=("single",), out=out)
    first = out.read_text()
    asked = len(prompts(agent))
    out.write_text(first + '{"id": "impossible-001", "nested": {"cut": 1}')  # killed while it wrote
    report = run(agent=agent, limit=1, kinds=("single", "impossible"), out=out)
    assert report["passed"] == 2
    assert len(prompts(agent)) == asked + 1
    lines = out.read_text().splitlines(keepends=True)
    assert lines[0] == first
    assert [json.loads(line)["id"] for line in lines] == ["single-001", "impossible-001"]
    assert run(agent=agent, limit=1, kinds=("single", "impossible"), out=out)["passed"] == 2
    assert len(prompts(agent)) == asked + 1


def test_every_case_starts_from_the_same_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before: list[Any] = []
    real = everyday.judge
    monkeypatch.setattr(everyday, "judge", lambda expect, was, *rest: (before.append(was), real(expect, was, *rest))[1])
    run(agent=scripted(tmp_path, GOOD), limit=2, kinds=("single",))
    assert len(before) == 2
    assert [repr(item) for item in before[0].items] == [repr(item) for item in before[1].items]

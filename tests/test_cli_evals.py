from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_fixture import Line, line

__all__ = ["line"]

FIGURES = {"suite": "everyday", "passed": 3, "table": [{"kind": "single", "cases": 4, "rate": 0.75, "low": 0.3}]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    def run(*, progress: Any, **options: Any) -> dict[str, Any]:
        seen.update(options)
        progress(1, 2)
        progress(2, 2)
        return dict(FIGURES)

    monkeypatch.setattr("edge_agent.evals.everyday.run", run)
    return seen


def test_everyday(line: Line, asked: dict[str, Any]) -> None:
    ran = line(
        "eval", "everyday", "--limit", "2", "--model", "m", "--dialect", "qwen", "--kind", "single", "--out", "o.jsonl"
    )
    assert asked == {"model": "m", "dialect": "qwen", "limit": 2, "kinds": ("single",), "out": Path("o.jsonl")}
    *table, last = ran.out.splitlines()
    assert table[1].split() == ["single", "4", "0.750", "0.300"]
    assert json.loads(last) == {"suite": "everyday", "passed": 3}
    assert "2/2" in ran.err


def test_everyday_json(line: Line, asked: dict[str, Any]) -> None:
    assert line("eval", "everyday", "--json").json == {"suite": "everyday", "passed": 3}
    assert asked["limit"] is None

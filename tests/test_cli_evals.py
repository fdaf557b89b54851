from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_fixture import Line, line

from edge_agent.errors import InputError
from edge_agent.evals import maskbench
from edge_agent.grammar.matcher import byte_tokenizer

__all__ = ["line"]

FIGURES = {"suite": "everyday", "passed": 3, "table": [{"kind": "single", "cases": 4, "rate": 0.75, "low": 0.3}]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    def run(agent: object, *, progress: Any, **options: Any) -> dict[str, Any]:
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
    assert asked == {"limit": 2, "kinds": ("single",), "out": Path("o.jsonl")}
    *table, last = ran.out.splitlines()
    assert table[1].split() == ["single", "4", "0.750", "0.300"]
    assert json.loads(last) == {"suite": "everyday", "passed": 3}
    assert "2/2" in ran.err


def test_everyday_json(line: Line, asked: dict[str, Any]) -> None:
    assert line("eval", "everyday", "--json").json == {"suite": "everyday", "passed": 3}
    assert asked["limit"] is None


# -- maskbench and the official suite ----------------------------------------------------------------------

ROWS = [
    {"id": "good", "set": "Easy", "schema": {"type": "integer"}, "tests": [{"valid": True, "data": 5}]},
    {"id": "lax", "set": "Hard", "schema": {"uniqueItems": True}, "tests": [{"valid": False, "data": [1, 1]}]},
]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two rows; a tokenizer of bytes stands in for the model's."""
    real = maskbench.run
    monkeypatch.setattr(maskbench, "run", lambda **options: real(**options, tokenizer=byte_tokenizer()))
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_maskbench(line: Line, small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    ran = line("eval", "maskbench", "--data", str(small), "--out", str(out), "--failures", "--skip", "llguidance")
    assert ran.code == 0
    *shown, last = ran.out.splitlines()
    words = [each.split() for each in shown]
    assert words[0][:4] == ["engine", "schemas", "passed", "rate"]
    assert words[1] == ["ours", "2", "1", "0.500", "0", "0", "1", "0"]
    assert words[2][:6] == ["ours", "+", "validator", "2", "2", "1.000"]
    assert ["Hard", "1", "0.000", "1.000", "–"] in words
    assert any(each[:3] == ["lax", "too_lax", "passed"] for each in words)
    figures = json.loads(last)
    assert figures["engines"]["ours"]["passed"] == 1
    assert {"tables", "failures"}.isdisjoint(figures)
    assert "2/2" in ran.err
    assert [json.loads(each)["id"] for each in out.read_text().splitlines()] == ["good", "lax"]


def test_maskbench_json(line: Line, small: Path) -> None:
    assert line("eval", "maskbench", "--data", str(small), "--limit", "1", "--json").json["schemas"] == 1
    figures = line("eval", "maskbench", "--data", str(small), "--failures", "--json").json
    assert [each["id"] for each in figures["failures"]] == ["lax"]


def test_maskbench_options_arrive(line: Line, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(maskbench, "run", lambda **options: seen.update(options) or {"tables": []})
    arguments = ["--every", "3", "--llamacpp-every", "7", "--skip", "llama.cpp", "--skip", "llguidance"]
    assert line("eval", "maskbench", "--data", str(small), *arguments, "--json").json == {}
    assert (seen["every"], seen["llamacpp_every"], seen["skip"]) == (3, 7, ("llama.cpp", "llguidance"))


def test_maskbench_refuses(line: Line, small: Path, tmp_path: Path) -> None:
    with small.open("a") as handle:
        handle.write("[]\n")
    ran = line("eval", "maskbench", "--data", str(small))
    assert ran.code == InputError.exit_code
    assert "rows.jsonl:3: not a row of MaskBench" in ran.err
    assert ran.out == ""
    for wrong in (["--data", str(tmp_path / "none")], [], ["--data", str(small), "--skip", "ours"]):
        assert line("eval", "maskbench", *wrong).code == InputError.exit_code


def test_json_schema_suite(line: Line, tmp_path: Path) -> None:
    tests = tmp_path / "tests" / "draft2020-12"
    tests.mkdir(parents=True)
    cases = [{"description": "same", "data": [1, 1], "valid": False}]
    schema = {"uniqueItems": True}
    (tests / "uniqueItems.json").write_text(json.dumps([{"description": "u", "schema": schema, "tests": cases}]))
    ran = line("eval", "json-schema-suite", "--data", str(tmp_path), "--failures")
    assert ran.code == 0
    *shown, last = ran.out.splitlines()
    words = [each.split() for each in shown]
    assert words[0][:3] == ["keyword", "cases", "right"]
    assert words[1] == ["uniqueItems", "1", "0", "0", "1", "0", "0", "1"]
    assert words[2] == ["all", "required", "1", "0", "0", "1", "0", "0", "1"]
    assert ["uniqueItems", "u:", "same", "too_lax_reported", "True"] in words
    assert json.loads(last)["required"]["with_validator"] == 1
    assert (
        line("eval", "json-schema-suite", "--data", str(tmp_path), "--optional", "--json").json["optional"]["cases"]
        == 0
    )
    assert line("eval", "json-schema-suite", "--data", str(tests)).code == InputError.exit_code

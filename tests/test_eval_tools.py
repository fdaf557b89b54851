from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from cli_fixture import Line, line
from llamacpp_fixture import Stand, stand

from edge_agent.errors import InputError
from edge_agent.evals.contenders import Attempt
from edge_agent.evals.tool_schemas import read, run
from edge_agent.grammar import Lit

__all__ = ["line", "stand"]


def tool(name: str, **properties: Any) -> dict[str, Any]:
    return {"name": name, "server": "s", "parameters": {"type": "object", "properties": properties}}


TOOLS = [
    tool("search", query={"type": "string"}),
    tool("add", a={"type": "integer"}, b={"type": "integer", "minimum": 3}),
    tool("search", text={"type": "string"}),  # of another server
    tool("pick", ids={"type": "array", "items": {"type": "integer"}, "uniqueItems": True}),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return written(tmp_path, TOOLS)


def written(folder: Path, tools: list[dict[str, Any]]) -> Path:
    path = folder / "tools.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as handle:
        handle.writelines(json.dumps(each) + "\n" for each in tools)
    return path


def test_all_is_well(data: Path, stand: Stand) -> None:
    steps: list[tuple[int, int]] = []
    figures = run(data=data, progress=lambda done, total: steps.append((done, total)))
    counts = [figures[name] for name in ("suite", "tools", "failed", "relaxed", "narrowed", "wrong")]
    assert counts == ["tool-schemas", 4, 0, 1, 0, 0]
    assert figures["keywords"] == {"relaxed": {"uniqueItems": 1}, "narrowed": {}}
    assert 0 < figures["compile_ms_p50"] <= figures["compile_ms_p99"] <= figures["compile_ms_max"]
    assert 0 < figures["matcher_ms_p50"] <= figures["matcher_ms_max"]
    assert list(figures["together"]) == ["hermes", "smollm2"]
    for each in figures["together"].values():
        assert (each["tools"], each["new_rules"], each["error"]) == (3, 1, "")
        assert min(each[name] for name in ("compile_ms", "assemble_ms", "matcher_ms", "to_gbnf_ms")) > 0
        assert each["read_ms"] == 1.0
    assert [len(gbnf.encode()) for gbnf in stand.seen] == [each["size_bytes"] for each in figures["together"].values()]
    assert all("search" in gbnf and "add" in gbnf and "pick" in gbnf for gbnf in stand.seen)
    assert steps == [(number, 4) for number in range(1, 5)]
    assert stand.closed
    assert figures["failures"] == []
    json.dumps(figures)


def test_the_first_so_many_together(data: Path, stand: Stand) -> None:
    figures = run(data=data, together=2)
    assert [each["tools"] for each in figures["together"].values()] == [2, 2]
    assert not any("pick" in gbnf for gbnf in stand.seen)


def test_failures_are_named(tmp_path: Path, stand: Stand) -> None:
    never = tool("never", n={"type": "integer", "minimum": 3, "maximum": 2})
    never["parameters"]["required"] = ["n"]
    figures = run(data=written(tmp_path, [*TOOLS, tool("broken", n={"type": "nonsense"}), never]))
    assert (figures["tools"], figures["failed"], figures["wrong"]) == (6, 2, 2)
    told = {each["what"]: each["why"] for each in figures["failures"]}
    assert "nonsense" in told["broken"]
    assert "never" in told["never"]
    assert figures["together"]["hermes"]["tools"] == 3


def test_a_matcher_that_cannot_be_built_is_a_failure(data: Path, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise ValueError("too large")

    monkeypatch.setattr("edge_agent.grammar.matcher.TokenMatcher.__init__", fails)
    figures = run(data=data)
    assert (figures["failed"], figures["wrong"]) == (4, 6)
    assert {each["why"] for each in figures["failures"]} == {"ValueError: too large"}
    assert figures["matcher_ms_p50"] is None
    assert figures["compile_ms_p50"] > 0


def test_what_llama_cpp_does_not_read_is_a_failure(data: Path, stand: Stand) -> None:
    stand.err = lambda *_: Attempt(error="too many rules", compile_ms=1.0)
    figures = run(data=data)
    assert figures["wrong"] == 2
    assert figures["failures"][0] == {"what": "hermes", "why": "llama.cpp: too many rules"}


def test_rules_made_while_assembling_are_a_failure(data: Path, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_agent.grammar import ir

    def anew(*arguments: Any) -> ir.Grammar:
        whole = ir.assemble(*arguments)
        return ir.Grammar({**whole.rules, "search": ir.seq(whole.rules["search"], Lit(" "))}, whole.root)

    monkeypatch.setattr("edge_agent.grammar.assemble", anew, raising=False)
    figures = run(data=data)
    assert {each["new_rules"] for each in figures["together"].values()} == {2}
    assert figures["failures"][1] == {"what": "smollm2", "why": "assembling has made rules beside the first"}


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "x"}', '{"parameters": {}}', "3"])
def test_bad_data_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tools.jsonl"
    path.write_text(json.dumps(TOOLS[0]) + "\n" + text)
    with pytest.raises(InputError, match=r"tools\.jsonl:2: not a tool"):
        list(read(path))


def test_a_cut_or_missing_file_is_named(data: Path, tmp_path: Path) -> None:
    assert [name for name, _ in read(data)] == ["search", "add", "search", "pick"]
    data.write_bytes(data.read_bytes()[:-20])
    for path in (data, tmp_path / "none.jsonl"):
        with pytest.raises(InputError, match=f"{path.name}: cannot be read"):
            list(read(path))


# -- command -----------------------------------------------------------------------------------------------


def test_command(line: Line, data: Path, stand: Stand) -> None:
    ran = line("eval", "tool-schemas", "--data", str(data), "--together", "2")
    assert ran.code == 0
    *shown, last = ran.out.splitlines()
    words = [each.split() for each in shown]
    assert words[1] == ["each", "by", "itself", "4", "0", "1", "0"]
    assert ["uniqueItems", "relaxed", "1"] in words
    assert any(each[:2] == ["hermes", "2"] for each in words)
    assert json.loads(last)["wrong"] == 0
    assert "4/4" in ran.err


def test_command_ends_with_1_when_something_is_wrong(line: Line, data: Path, stand: Stand) -> None:
    stand.err = lambda *_: Attempt(error="too many rules", compile_ms=1.0)
    ran = line("eval", "tool-schemas", "--data", str(data), "--failures", "--json")
    assert ran.code == 1
    assert [each["what"] for each in ran.json["failures"]] == ["hermes", "smollm2"]


@pytest.mark.model
def test_the_real_one(data: Path, weights: Path) -> None:
    assert run(data=data)["failures"] == []

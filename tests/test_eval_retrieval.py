from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from cli_fixture import Line, line

from edge_agent.errors import InputError
from edge_agent.evals.retrieval import KS, Query, measure, queries, run, tools

__all__ = ["line"]

TOOLS: dict[str, list[dict[str, Any]]] = {
    "seal-tools": [
        {
            "name": "brewTea",
            "description": "Brew a pot of tea",
            "parameters": {"type": "object", "properties": {"leaf": {"type": "string"}}},
        },
        {"name": "foldKite", "description": "Fold a paper kite"},
    ],
    "livemcp": [
        {"name": "read", "description": "Read a scroll", "server": "library"},
        {"name": "read", "description": "Read a thermometer", "server": "weather"},
        {"name": "ring", "description": "", "server": "bell"},
    ],
    "metatool": [{"name": "Ferry", "description": "Times of ferries"}, {"name": "Bees", "description": "Keep bees"}],
}
QUERIES: dict[str, list[dict[str, Any]]] = {
    "seal-tools": [
        {"id": "a", "query": "a pot of tea, and fold a kite", "gold": ["brewTea", "foldKite"]},
        {"id": "b", "query": "tea please", "gold": ["brewTea"]},
        {"id": "c", "query": "nothing at all", "gold": []},
    ],
    "livemcp": [{"id": "d", "query": "the thermometer says what?", "gold": ["read"]}],
    "metatool": [{"id": str(n), "query": "when is the next ferry", "gold": ["Bees"]} for n in range(4)],
}


def put(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    folder.mkdir(exist_ok=True)
    with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in TOOLS:
        put(tmp_path / "retrieval", f"{name}.tools", TOOLS[name])
        put(tmp_path / "retrieval", f"{name}.queries", QUERIES[name])
    return tmp_path


def test_three_sets(data: Path) -> None:
    steps: list[tuple[int, int]] = []
    figures = run(data=data, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(n, 7) for n in range(1, 8)]
    seal, live, meta = figures["by_set"].values()
    assert [each["seen"] for each in (seal, live, meta)] == [True, False, False]
    assert (seal["tools"], seal["queries"]) == (2, 2)  # the query that needs nothing is not asked
    assert (seal["recall@1"], seal["all@1"], seal["all@3"]) == (0.75, 0.5, 1.0)
    assert (live["all@1"], live["mrr"]) == (1.0, 1.0)  # one of the two that are called so
    assert (meta["recall@1"], meta["recall@3"], meta["mrr"]) == (0.0, 1.0, 0.5)
    assert all(each["p50_ms"] > 0 and each["build_ms"] > 0 for each in (seal, live, meta))
    shares, counts = figures["tables"]
    assert [row["set"] for row in shares] == [row["set"] for row in counts] == list(TOOLS)
    assert set(shares[0]) == {"set", *(f"{what}@{k}" for what in ("recall", "all") for k in KS)}
    assert figures["failures"] == []


def test_some_sets_and_evenly_spaced_queries(data: Path) -> None:
    figures = run(data=data / "retrieval", sets=["metatool"], limit=2)
    assert list(figures["by_set"]) == ["metatool"]
    assert [query.id for query in queries(data / "retrieval", "metatool", 2)] == ["0", "2"]
    assert len(queries(data / "retrieval", "metatool", 9)) == 4


def test_a_name_of_several_servers_is_indexed_with_its_server(data: Path) -> None:
    assert list(tools(data / "retrieval", "livemcp")) == ["library.read", "weather.read", "ring"]


def test_what_a_request_would_not_keep_is_a_failure(data: Path) -> None:
    many = [{"name": f"Ferry{n}", "description": "ferry"} for n in range(9)]
    put(data / "retrieval", "metatool.tools", [*many, *TOOLS["metatool"]])
    failures = run(data=data, sets=["metatool"], limit=1)["failures"]
    assert failures == [{"set": "metatool", "id": "0", "missing": "Bees", "query": "when is the next ferry"}]


@pytest.mark.parametrize(
    ("gold", "found", "expected"),
    [
        ({"a"}, ["a", "b"], {"recall@1": 1.0, "all@1": 1.0, "mrr": 1.0}),
        ({"a", "b"}, ["b", "c", "a"], {"recall@1": 0.5, "all@1": 0.0, "recall@3": 1.0, "all@3": 1.0, "mrr": 1.0}),
        ({"a", "z"}, ["b", "a"], {"recall@3": 0.5, "all@20": 0.0, "mrr": 0.5}),
        ({"z"}, ["a"], {"recall@20": 0.0, "mrr": 0.0}),
    ],
)
def test_measure(gold: set[str], found: list[str], expected: dict[str, float]) -> None:
    figures = measure([Query("q", "", frozenset(gold))], [found])
    assert {key: figures[key] for key in expected} == expected


def test_unusable_data(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"seal-tools\.tools\.jsonl\.gz: cannot be read"):
        run(data=tmp_path / "nowhere")
    put(data / "retrieval", "livemcp.tools", [{"description": "no name"}])
    with pytest.raises(InputError, match=r"livemcp\.tools\.jsonl\.gz:1: not a tool: no 'name'"):
        run(data=data)
    put(data / "retrieval", "metatool.queries", [])
    with pytest.raises(InputError, match="no queries"):
        run(data=data, sets=["metatool"])


def test_command(line: Line, data: Path) -> None:
    ran = line("eval", "retrieval", "--data", str(data), "--set", "metatool", "--limit", "2")
    assert "recall@6" in ran.out.splitlines()[0]
    assert json.loads(ran.out.splitlines()[-1])["by_set"]["metatool"]["queries"] == 2
    assert "2/2" in ran.err
    whole = line("eval", "retrieval", "--data", str(data), "--json", "--failures").json
    assert (list(whole["by_set"]), whole["failures"]) == (list(TOOLS), [])

"""Retrieval alone: are the tools that a sentence needs among the first few that `retrieve.ToolIndex` ranks?

Data: `retrieval/` with three sets, each `NAME.tools.jsonl.gz` (`{name, description, parameters?, server?}`) and
`NAME.queries.jsonl.gz` (`{id, query, gold: [names]}`): Seal-Tools (many tools, one to six needed), LiveMCPBench (tools
of real MCP servers, long tasks) and MetaTool (plugins by advertisement, one needed). No model is needed; nothing is
fitted here. Most of Seal-Tools' schemas stand in public training sets as well, so its tools are marked `seen`: compare
with the others before believing a trained ranker.

recall@k is the mean share of needed tools among the first k; all@k the share of queries with all of them there (what
a request that needs them all can succeed by); mrr the mean of 1 / rank of the first needed tool, 0 beyond the
twentieth. A name that several servers have is found with any of them. Queries that need nothing are left out.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import Settings
from ..errors import InputError
from ..retrieve import ToolIndex
from ..tools import Tool
from .maskbench import json_lines
from .statistics import percentile

#: set -> whether its tools occur in public training data
SETS = {"seal-tools": True, "livemcp": False, "metatool": False}
KS = (1, 3, 5, 6, 10, 20)


@dataclass(frozen=True, slots=True)
class Query:
    id: str
    text: str
    gold: frozenset[str]


def run(
    *,
    data: Path,
    sets: Collection[str] = (),
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Runs the sets (all: none named) and returns their figures. For people there are also `tables` and `failures`:
    queries of which not every tool is among the first that a request keeps by default.

    data: the folder `retrieval`, or the one above. limit: so many queries of each set, evenly spaced. progress: called
    with (done, total). Raises InputError for unreadable data. Milliseconds per query.
    """
    folder = data / "retrieval" if (data / "retrieval").is_dir() else data
    loaded = {name: (tools(folder, name), queries(folder, name, limit)) for name in SETS if not sets or name in sets}
    total, done = sum(len(asked) for _, asked in loaded.values()), 0
    rows, failures = [], []
    for name, (known, asked) in loaded.items():
        began = time.perf_counter()
        index = ToolIndex(known)
        build_ms = (time.perf_counter() - began) * 1e3
        found, times = [], []
        for query in asked:
            began = time.perf_counter()
            ranked = index.rank(query.text, KS[-1])
            times.append((time.perf_counter() - began) * 1e3)
            found.append([known[each.name].name for each in ranked])
            done += 1
            if progress:
                progress(done, total)
        speed = {"p50_ms": percentile(times, 50), "build_ms": build_ms}
        rows.append({"set": name, "tools": len(known), **measure(asked, found), **speed, "seen": SETS[name]})
        failures += _missed(name, asked, found)
    counts = [{key: value for key, value in row.items() if not key.startswith(("recall", "all"))} for row in rows]
    shares = [{key: row[key] for key in row if key.startswith(("set", "recall", "all"))} for row in rows]
    by_set = {row["set"]: row for row in rows}
    return {"suite": "retrieval", "by_set": by_set, "tables": [shares, counts], "failures": failures}


def tools(folder: Path, name: str) -> dict[str, Tool]:
    """The tools of a set by the names they are indexed by: short, or with the server where several have it."""

    def tool(row: Any) -> Tool:
        schema = row.get("parameters") or {"type": "object", "properties": {}}
        about = row.get("description") or ""
        return Tool(str(row["name"]), str(about), dict(schema), dict, pack=str(row.get("server", "")))  # none is run

    found = list(json_lines(folder / f"{name}.tools.jsonl.gz", "tool", tool))
    count = Counter(each.name for each in found)
    return {each.name if count[each.name] == 1 else each.qualified: each for each in found}


def queries(folder: Path, name: str, limit: int | None = None) -> list[Query]:
    """The queries of a set that need something, `limit` of them, evenly spaced."""
    path = folder / f"{name}.queries.jsonl.gz"
    read = json_lines(path, "query", lambda row: Query(str(row["id"]), str(row["query"]), frozenset(row["gold"])))
    asked = [query for query in read if query.gold]
    count = min(limit or len(asked), len(asked))
    if not count:
        raise InputError(f"{path}: there are no queries in it")
    return [asked[number * len(asked) // count] for number in range(count)]


def measure(asked: Sequence[Query], found: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Figures of names ranked, best first, for each query (see the module's head)."""
    pairs = list(zip(asked, found, strict=True))
    shares = {k: [len(query.gold & {*names[:k]}) / len(query.gold) for query, names in pairs] for k in KS}
    ranks = [next((n for n, name in enumerate(names, 1) if name in query.gold), None) for query, names in pairs]
    return {
        "queries": len(pairs),
        **{f"recall@{k}": sum(share) / len(pairs) for k, share in shares.items()},
        **{f"all@{k}": sum(each == 1 for each in share) / len(pairs) for k, share in shares.items()},
        "mrr": sum(1 / rank for rank in ranks if rank) / len(pairs),
    }


def _missed(name: str, asked: Sequence[Query], found: Sequence[Sequence[str]]) -> list[Mapping[str, Any]]:
    kept = Settings().tools_kept
    return [
        {"set": name, "id": query.id, "missing": ", ".join(sorted(missing)), "query": query.text}
        for query, names in zip(asked, found, strict=True)
        if (missing := query.gold - {*names[:kept]})
    ]

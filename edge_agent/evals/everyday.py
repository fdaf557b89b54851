"""The everyday suite: sentences people say to a laptop, judged by what became of a throw-away home.

Each case starts from a fresh copy of the same small world (`world.py`), runs through the whole agent with real
tools, and is judged by outcome alone (`judge.py`). Approvals are answered yes: the person has just said it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ..config import Dirs
from ..errors import EdgeAgentError
from ..workspace import whole_lines
from .cases import Case, load_cases
from .judge import judge
from .simhost import SimulatedHost
from .statistics import percentile, wilson
from .world import load_world, materialise, observe

if TYPE_CHECKING:
    from ..agent import Agent
    from ..request import Result

KINDS = ("single", "two_step", "missing", "impossible")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the judge sees of a run, beside the home."""

    answer: str
    decision: Any
    asked: Sequence[str]
    system: Mapping[str, Any]
    opened: Sequence[str]
    clipboard: str


def run(
    agent: Agent,
    *,
    limit: int | None = None,
    kinds: Collection[str] = (),
    out: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Runs the suite and returns its figures; `table` holds one row per kind for people.

    limit: first so many cases of each kind. out: JSON lines, one per case; a case that is there already is not
    run again, so an interrupted run goes on. progress: called with (done, total). About a second per case.
    """
    agent.loaded()
    cases = [case for case in load_cases() if not kinds or case.kind in kinds]
    if limit is not None:
        cases = [case for kind in KINDS for case in [c for c in cases if c.kind == kind][:limit]]
    done = finished(out)
    rows = []
    for number, case in enumerate(cases):
        row = done.get(case.id) or _case(agent, case)
        rows.append(row)
        if out and case.id not in done:
            with out.open("a", encoding="utf-8") as handle:
                handle.write(json.dumps(row, ensure_ascii=False) + "\n")
        if progress:
            progress(number + 1, len(cases))
    return _summary(rows, agent)


def _case(agent: Agent, case: Case) -> dict[str, Any]:
    world = load_world()
    with tempfile.TemporaryDirectory(prefix="edge-agent-everyday-") as folder:
        home = Path(folder) / "home"
        materialise(world, home)
        now = datetime.fromisoformat(world["now"]).astimezone(ZoneInfo(world["timezone"]))
        host = SimulatedHost({**world["system"], "clipboard": world["clipboard"]})
        base = Path(folder) / "own"
        person = agent.sibling(
            home=home,
            dirs=Dirs(base / "config", base / "data", base / "cache"),
            host=host,
            now=lambda: now,
            approve=lambda _: True,
        )
        before = observe(home)
        try:
            result: Result | None = person.ask(case.text)
            crash = ""
        except EdgeAgentError as error:
            result, crash = None, str(error)
        after = observe(home)
        person.journal.close()
        person.ledger.close()
    state = host.state
    outcome = Outcome(
        answer=result.answer if result else crash,
        decision=result.decision if result else "failed",
        asked=[*result.asks, result.answer] if result and result.decision == "ask" else (),
        system=state,
        opened=[*state["opened"], *state["launched"]],
        clipboard=state["clipboard"] or "",
    )
    verdict = judge(case.expect, before, after, outcome)
    calls = [{"tool": c.tool, "arguments": dict(c.arguments), "error": c.error} for c in result.calls] if result else []
    return {
        "id": case.id,
        "kind": case.kind,
        "text": case.text,
        "passed": verdict.passed,
        "reasons": list(verdict.reasons),
        "decision": outcome.decision,
        "confidence": result.confidence if result else None,
        "answer": outcome.answer,
        "calls": calls,
        "crash": crash,
        "elapsed_ms": result.elapsed_ms if result else None,
        "tokens": dict(result.tokens) if result else {},
        "joules": result.energy.get("joules") if result else None,
        "energy_method": result.energy.get("method") if result else None,
    }


def _summary(rows: Sequence[Mapping[str, Any]], agent: Agent) -> dict[str, Any]:
    by_kind = {kind: [row for row in rows if row["kind"] == kind] for kind in KINDS}
    table = [_line(kind, mine) for kind, mine in by_kind.items() if mine]
    calls = [call for row in rows for call in row["calls"]]
    answered = [row for row in rows if not row["crash"]]
    times = [row["elapsed_ms"] for row in answered]
    joules = [row["joules"] for row in answered if row["joules"] is not None]
    successes = sum(row["passed"] for row in rows)
    tariff = agent.settings.price_per_kwh
    known = len(joules) == len(answered) and successes > 0
    return {
        "suite": "everyday",
        "model": agent.model_name,
        "cases": len(rows),
        "passed": successes,
        "success_rate": successes / len(rows) if rows else None,
        "by_kind": {line["kind"]: line for line in table},
        # every answer is grammatical by construction; validity is judged again here from what ran
        "schema_validity_rate": len(answered) / len(rows) if rows else None,
        "executable_call_rate": sum(not call["error"] for call in calls) / len(calls) if calls else None,
        "p50_ms": percentile(times, 50),
        "p95_ms": percentile(times, 95),
        "joules_per_request": sum(joules) / len(joules) if joules else None,
        "energy_method": next((row["energy_method"] for row in answered), None),
        "cost_per_successful_task": sum(joules) / 3.6e6 * tariff / successes if known and tariff else None,
        "joules_per_successful_task": sum(joules) / successes if known else None,
        "table": table,
    }


def _line(kind: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    passed = sum(row["passed"] for row in rows)
    low, high = wilson(passed, len(rows))
    decisions = {name: sum(row["decision"] == name for row in rows) for name in ("act", "ask", "decline", "failed")}
    return {
        "kind": kind,
        "cases": len(rows),
        "passed": passed,
        "rate": passed / len(rows),
        "low": low,
        "high": high,
        **decisions,
    }


def finished(out: Path | None) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in whole_lines(out)} if out else {}

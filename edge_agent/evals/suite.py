"""A suite of requests with known answers: run by any predictor, judged case by case, resumable.

A suite says what its cases are and when an answer is right (`Suite`); `run` does the rest and is the same for all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import InputError, SchemaError
from ..grammar.plan import references
from ..predict import Prediction
from ..workspace import write_atomic
from .statistics import percentile, wilson

if TYPE_CHECKING:
    from ..agent import Agent

#: settings that change answers, and so are part of what a run is
_SETTINGS = (
    "adapter",
    "matcher",
    "tools_kept",
    "max_calls",
    "max_steps",
    "shots",
    "chat_shots",
    "act_above",
    "decline_above",
)


@dataclass(frozen=True, slots=True)
class Case:
    """One request. `row` is what `Predictor.predict` gets, with the same id; `gold` the suite's own truth."""

    id: str
    category: str
    row: Mapping[str, Any]
    gold: Any = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer judged.

    name_right: whether the right tool (the right set of tools) was named; None where the category has no call.
    arguments_right: given the right tool, whether all arguments were right; None where it was not named.
    """

    passed: bool
    reason: str = ""
    name_right: bool | None = None
    arguments_right: bool | None = None


class Predicts(Protocol):
    """What `run` needs of `predict.Predictor`."""

    def predict(self, row: Mapping[str, Any]) -> Prediction: ...


class Suite(Protocol):
    """One file per suite. `name` is also the command's."""

    name: str

    def load(self, data: Path) -> list[Case]:
        """All cases, ids unique. Raises InputError naming the file that is missing or wrong."""
        ...

    def judge(self, case: Case, prediction: Prediction) -> Verdict:
        """Pure and quick. An answer with an error has no calls; it is judged like any other."""
        ...

    def extra(self, cases: Sequence[Case], predictions: Sequence[Prediction]) -> Mapping[str, Any]:
        """Figures of this suite alone, over the cases that were run; they stand in the summary under `extra`."""
        ...


def identify(agent: Agent, **more: Any) -> dict[str, Any]:
    """What answers, for `run`: model, its hash, and the settings that matter. Loads the model if need be."""
    info = agent.loaded().engine.info
    settings = {name: getattr(agent.settings, name) for name in _SETTINGS}
    return {"model": Path(info.model).name, "sha256": info.sha256, **more, "settings": settings}


def run(
    suite: Suite,
    predictor: Predicts,
    data: Path,
    *,
    limit: int | None = None,
    out: Path | None = None,
    categories: Collection[str] = (),
    identity: Mapping[str, Any] | None = None,
    price_per_kwh: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Runs a suite over its data and returns its figures; for people there are also `tables` and `failures`.

    limit: so many cases of each category, evenly spaced over it. categories: only these. out: JSON lines, the first
    what the run is, then one per case (see `read_out`); a case that is there already is not run again. identity: of
    `identify`. price_per_kwh: prices the energy; 0 is unknown. progress: called with (done, total).

    Raises InputError for unusable data, an unknown category, or an `out` that something else answered.
    """
    cases = select(suite.load(data), categories, limit)
    head = {"suite": suite.name, "run": dict(identity or {})}
    rows = _begin(out, head)
    for number, case in enumerate(cases, 1):
        if case.id not in rows:
            rows[case.id] = _row(case, suite, predictor.predict(case.row))
            if out:
                _append(out, rows[case.id])
        if progress:
            progress(number, len(cases))
    ran = [rows[case.id] for case in cases]
    extra = dict(suite.extra(cases, [Prediction.from_dict(row["prediction"]) for row in ran]))  # noqa: S610 (no SQL)
    figures = _summary(ran, price_per_kwh)
    categories_table = [*figures["by_category"].values(), _line("all", ran)]
    extra_table = [{"figure": name, "value": value} for name, value in extra.items() if isinstance(value, int | float)]
    return {
        **head,
        **figures,
        "extra": extra,
        "tables": [categories_table, extra_table],
        "failures": [_failure(row) for row in ran if not row["verdict"]["passed"]],
    }


def select(cases: Sequence[Case], categories: Collection[str] = (), limit: int | None = None) -> list[Case]:
    """The cases of these categories (all: none named), `limit` of each, evenly spaced. Raises InputError."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.category, []).append(case)
    for name in categories:
        if name not in groups:
            raise InputError(f"there is no category {name!r} here", hint="there are: " + ", ".join(groups))
    chosen = []
    for name, group in groups.items():
        if not categories or name in categories:
            count = min(limit or len(group), len(group))
            chosen += [group[number * len(group) // count] for number in range(count)]
    return chosen


# -- the file of results -----------------------------------------------------------------------------------


def read_out(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What an `out` file holds: its first line, `{suite, run}`, and its rows by id. A last line that an interrupt cut
    is left out.

    A row: `{id, category, prediction, verdict, executable}`; executable: calls that name a tool of the case and are
    valid by its schema. Files of `everyday` have no first line; {} is given for it. Raises InputError naming file
    and line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    head: dict[str, Any] = {}
    rows: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(lines, 1):
        if not line.endswith("\n"):
            break
        try:
            row = json.loads(line)
            if number == 1 and "suite" in row:
                head = row
            else:
                rows[row["id"]] = row
        except (ValueError, LookupError, TypeError) as error:
            raise InputError(f"{path}:{number}: not a row of results: {error}") from error
    return head, rows


def _begin(out: Path | None, head: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows that are there already; a new file gets its first line."""
    if out is None:
        return {}
    there, rows = read_out(out) if out.exists() else ({}, {})
    if (there or rows) and there != json.loads(json.dumps(head)):
        raise InputError(
            f"{out}: holds results of another run: {json.dumps(there, ensure_ascii=False)}",
            hint="name another file, or run with the model and settings that made it",
        )
    whole = [json.dumps(row, ensure_ascii=False) + "\n" for row in (head, *rows.values())]
    write_atomic(out, "".join(whole).encode(), 0o644)
    return rows


def _append(out: Path, row: Mapping[str, Any]) -> None:
    with out.open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(row, ensure_ascii=False) + "\n")


def _row(case: Case, suite: Suite, prediction: Prediction) -> dict[str, Any]:
    return {
        "id": case.id,
        "category": case.category,
        "prediction": prediction.as_dict(),
        "verdict": asdict(suite.judge(case, prediction)),
        "executable": sum(_executable(call.name, call.arguments, case.row["tools"]) for call in prediction.calls),
    }


def _executable(name: str, arguments: Mapping[str, Any], tools: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a call names a tool of the case and is valid by its schema, references to earlier results aside."""
    from ..grammar.validator import Validator

    parameters = next((tool["parameters"] for tool in tools if tool["name"] == name), None)
    if parameters is None:
        return False
    try:
        faults = Validator(parameters, remotes={}, formats=False).faults(dict(arguments))
        return all(references({"": fault.instance}) == [fault.instance] for fault in faults)
    except SchemaError:
        return False


# -- figures -----------------------------------------------------------------------------------------------


def _summary(rows: Sequence[Mapping[str, Any]], price_per_kwh: float) -> dict[str, Any]:
    answers = [row["prediction"] for row in rows]
    good = [answer for answer in answers if not answer["error"]]
    calling = [answer for answer in good if answer["calls"]]
    calls = sum(len(answer["calls"]) for answer in calling)
    joules = [answer["energy"]["joules"] for answer in good if answer["energy"].get("joules") is not None]
    known = len(joules) == len(good)
    times = [answer["latency_ms"] for answer in good]
    lines = {name: _line(name, mine) for name, mine in _by_category(rows).items()}
    total = _line("all", rows)
    each = total["passed"] if known and total["passed"] else None
    return {
        **{key: value for key, value in total.items() if key != "category"},
        "macro_accuracy": _mean([line["accuracy"] for line in lines.values()]),
        "by_category": lines,
        "schema_validity_rate": _mean([answer["verified"] for answer in calling]),
        "executable_call_rate": sum(row["executable"] for row in rows) / calls if calls else None,
        "p50_ms": percentile(times, 50),
        "p95_ms": percentile(times, 95),
        "joules_per_request": _mean(joules),
        "energy_method": next((answer["energy"].get("method") for answer in good), None),
        "joules_per_successful_task": sum(joules) / each if each else None,
        "cost_per_successful_task": sum(joules) / 3.6e6 * price_per_kwh / each if each and price_per_kwh else None,
    }


def _by_category(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["category"], []).append(row)
    return groups


def _line(category: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    verdicts = [row["verdict"] for row in rows]
    passed = sum(verdict["passed"] for verdict in verdicts)
    low, high = wilson(passed, len(rows))
    return {
        "category": category,
        "cases": len(rows),
        "passed": passed,
        "accuracy": passed / len(rows) if rows else None,
        "low": low,
        "high": high,
        "name_accuracy": _mean([verdict["name_right"] for verdict in verdicts]),
        "argument_accuracy": _mean([verdict["arguments_right"] for verdict in verdicts]),
        **{
            kind: sum(row["prediction"]["decision"] == kind for row in rows)
            for kind in ("act", "ask", "decline", "escalate")
        },
        "errors": sum(bool(row["prediction"]["error"]) for row in rows),
    }


def _mean(values: Sequence[float | bool | None]) -> float | None:
    """Of the values that are known."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _failure(row: Mapping[str, Any]) -> dict[str, Any]:
    answer = row["prediction"]
    why = answer["error"] or row["verdict"]["reason"]
    return {"id": row["id"], "calls": json.dumps(answer["calls"], ensure_ascii=False), "why": why}

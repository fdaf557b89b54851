from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agent_fixture import make_agent

from edge_agent.dialects.base import Call
from edge_agent.errors import InputError
from edge_agent.evals.suite import Case, Verdict, identify, read_out, run, select
from edge_agent.predict import Prediction

LAMP = {
    "name": "lamp.set",
    "description": "Set the lamp.",
    "parameters": {"type": "object", "properties": {"level": {"type": "integer"}}, "required": ["level"]},
}
RUN = {"model": "tiny.gguf", "sha256": "aa"}


def case(number: int, category: str = "light", level: int | None = 5) -> Case:
    row = {"id": f"{category}-{number}", "messages": [{"role": "user", "content": "dim"}], "tools": [LAMP]}
    return Case(row["id"], category, row, level)  # type: ignore[arg-type]


class Lamps:
    """Gold is the level, None for no call."""

    name = "lamps"

    def __init__(self, *cases: Case) -> None:
        self.cases = cases or (case(1), case(2), case(1, "idle", None))

    def load(self, data: Path) -> list[Case]:
        return list(self.cases)

    def judge(self, case: Case, prediction: Prediction) -> Verdict:
        if case.gold is None:
            return Verdict(not prediction.calls, "called" if prediction.calls else "")
        named = [call.name for call in prediction.calls] == ["lamp.set"]
        right = named and prediction.calls[0].arguments == {"level": case.gold}
        return Verdict(right, "" if right else "wrong level", named, right if named else None)

    def extra(self, cases: Sequence[Case], predictions: Sequence[Prediction]) -> Mapping[str, Any]:
        assert [case.id for case in cases] == [prediction.id for prediction in predictions]
        return {"surest": max((prediction.confidence for prediction in predictions), default=None), "names": ["x"]}


def answer(*calls: Call, **more: Any) -> Prediction:
    usual = {"confidence": 0.5, "decision": "act", "latency_ms": 10.0, "energy": {"joules": 2.0, "method": "model"}}
    return Prediction(**{"id": "", "calls": calls, "verified": True, **usual, **more})


RIGHT = answer(Call("lamp.set", {"level": 5}))


class Fake:
    """Answers by the row's id, or always the same; remembers what it was asked."""

    def __init__(self, answers: Mapping[str, Prediction] | Prediction) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def predict(self, row: Mapping[str, Any]) -> Prediction:
        self.asked.append(row["id"])
        found = self.answers if isinstance(self.answers, Prediction) else self.answers[row["id"]]
        return replace(found, id=row["id"])


def test_figures(tmp_path: Path) -> None:
    fake = Fake(
        {
            "light-1": RIGHT,
            "light-2": answer(Call("lamp.set", {"level": 9}), latency_ms=30.0, confidence=0.9),
            "idle-1": answer(decision="decline", verified=False, latency_ms=20.0),
        }
    )
    seen: list[tuple[int, int]] = []
    figures = run(Lamps(), fake, tmp_path, identity=RUN, price_per_kwh=0.36, progress=lambda *step: seen.append(step))
    assert (figures["suite"], figures["run"]) == ("lamps", RUN)
    assert (figures["cases"], figures["passed"], figures["accuracy"]) == (3, 2, pytest.approx(2 / 3))
    assert figures["macro_accuracy"] == 0.75
    assert {name: line["accuracy"] for name, line in figures["by_category"].items()} == {"light": 0.5, "idle": 1.0}
    assert figures["by_category"]["light"]["low"] < 0.5 < figures["by_category"]["light"]["high"]
    assert (figures["name_accuracy"], figures["argument_accuracy"]) == (1.0, 0.5)
    assert figures["by_category"]["idle"]["name_accuracy"] is None
    assert (figures["act"], figures["decline"], figures["errors"]) == (2, 1, 0)
    assert (figures["schema_validity_rate"], figures["executable_call_rate"]) == (1.0, 1.0)
    assert (figures["p50_ms"], figures["p95_ms"]) == (20.0, 30.0)
    assert (figures["joules_per_request"], figures["energy_method"]) == (2.0, "model")
    assert figures["joules_per_successful_task"] == 3.0
    assert figures["cost_per_successful_task"] == pytest.approx(3.0 / 3.6e6 * 0.36)
    assert figures["extra"] == {"surest": 0.9, "names": ["x"]}
    first, second = figures["tables"]
    assert [line["category"] for line in first] == ["light", "idle", "all"]
    assert second == [{"figure": "surest", "value": 0.9}]
    assert figures["failures"] == [
        {"id": "light-2", "calls": '[{"name": "lamp.set", "arguments": {"level": 9}}]', "why": "wrong level"}
    ]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    json.dumps(figures)


def test_an_error_is_a_failed_case_and_costs_stay_unknown(tmp_path: Path) -> None:
    broken = Prediction(id="", calls=(), confidence=0.0, decision="decline", verified=False, error="row: no tools")
    figures = run(Lamps(case(1), case(2)), Fake({"light-1": RIGHT, "light-2": broken}), tmp_path)
    assert (figures["passed"], figures["errors"]) == (1, 1)
    assert (figures["p95_ms"], figures["joules_per_request"]) == (10.0, 2.0)
    assert figures["cost_per_successful_task"] is None
    assert figures["failures"][0]["why"] == "row: no tools"
    figures = run(Lamps(case(1)), Fake(replace(RIGHT, energy={"joules": None})), tmp_path, price_per_kwh=1.0)
    assert figures["joules_per_request"] is figures["joules_per_successful_task"] is None
    assert figures["cost_per_successful_task"] is None
    figures = run(Lamps(case(1)), Fake(broken), tmp_path)
    assert figures["schema_validity_rate"] is figures["executable_call_rate"] is figures["p50_ms"] is None


@pytest.mark.parametrize(
    ("calls", "rate"),
    [
        ([Call("lamp.set", {"level": 5})], 1.0),
        ([Call("lamp.set", {"level": 5}), Call("lamp.set", {"level": "$1"})], 1.0),  # a reference to a result
        ([Call("lamp.set", {"level": "5"})], 0.0),
        ([Call("lamp.set", {})], 0.0),
        ([Call("lamp_set", {"level": 5})], 0.0),
        ([Call("lamp.set", {"level": 5}), Call("lamp.set", {"level": 0.5})], 0.5),
    ],
)
def test_executable_calls_name_a_tool_of_the_case_and_are_valid(tmp_path: Path, calls: list[Call], rate: float) -> None:
    assert run(Lamps(case(1)), Fake(answer(*calls)), tmp_path)["executable_call_rate"] == rate


def test_a_schema_that_is_none_makes_no_call_executable(tmp_path: Path) -> None:
    broken = {**LAMP, "parameters": {"type": "no such type"}}
    one = Case("x", "light", {"id": "x", "messages": [], "tools": [broken]}, 5)
    assert run(Lamps(one), Fake(RIGHT), tmp_path)["executable_call_rate"] == 0.0


# -- which cases -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "chosen"),
    [(None, range(10)), (1, [0]), (2, [0, 5]), (3, [0, 3, 6]), (4, [0, 2, 5, 7]), (10, range(10)), (99, range(10))],
)
def test_a_limit_is_spread_over_the_category(limit: int | None, chosen: Sequence[int]) -> None:
    cases = [case(number) for number in range(10)] + [case(0, "idle")]
    assert [each.id for each in select(cases, limit=limit)] == [f"light-{number}" for number in chosen] + ["idle-0"]


def test_categories() -> None:
    cases = [case(1), case(1, "idle"), case(1, "far")]
    assert [each.id for each in select(cases, ("far", "light"))] == ["light-1", "far-1"]
    with pytest.raises(InputError, match="no category 'dark'") as caught:
        select(cases, ("light", "dark"))
    assert caught.value.hint == "there are: light, idle, far"


# -- the file of results -----------------------------------------------------------------------------------


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    whole = run(Lamps(), Fake(RIGHT), tmp_path, out=out, identity=RUN)
    head, rows = read_out(out)
    assert head == {"suite": "lamps", "run": RUN}
    assert list(rows) == ["light-1", "light-2", "idle-1"]
    assert rows["idle-1"]["verdict"]["reason"] == "called"
    assert (rows["idle-1"]["category"], rows["idle-1"]["executable"]) == ("idle", 1)
    assert Prediction.from_dict(rows["light-1"]["prediction"]) == replace(RIGHT, id="light-1")

    lines = out.read_text().splitlines(keepends=True)
    out.write_text("".join(lines[:2]) + lines[2][:40])  # killed while it wrote the second case
    again = Fake(RIGHT)
    assert run(Lamps(), again, tmp_path, out=out, identity=RUN) == whole
    assert again.asked == ["light-2", "idle-1"]
    assert out.read_text() == "".join(lines)


def test_a_stop_keeps_what_was_done(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"

    class Stops(Fake):
        def predict(self, row: Mapping[str, Any]) -> Prediction:
            if self.asked:
                raise KeyboardInterrupt
            return super().predict(row)

    with pytest.raises(KeyboardInterrupt):
        run(Lamps(), Stops(RIGHT), tmp_path, out=out)
    assert list(read_out(out)[1]) == ["light-1"]


def test_results_of_another_run_are_not_mixed(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    run(Lamps(), Fake(RIGHT), tmp_path, out=out, limit=1, identity=RUN)
    before = out.read_bytes()
    with pytest.raises(InputError, match=r"out\.jsonl: holds results of another run: .*tiny\.gguf"):
        run(Lamps(), Fake(RIGHT), tmp_path, out=out, identity={**RUN, "sha256": "bb"})
    assert out.read_bytes() == before
    out.write_text('{"id": "single-001", "kind": "single"}\n')  # the everyday suite's
    with pytest.raises(InputError, match="another run"):
        run(Lamps(), Fake(RIGHT), tmp_path, out=out, identity=RUN)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"suite": "lamps", "run": {}}\n{"id": \n{"id": 1}\n', r"out\.jsonl:2: not a row of results"),
        ("[]\n", r"out\.jsonl:1: not a row"),
        ('{"name": 1}\n', r"out\.jsonl:1: not a row of results: 'id'"),
        ("\udc80".encode("utf-8", "surrogatepass"), r"out\.jsonl: cannot be read"),
    ],
)
def test_files_that_are_none(tmp_path: Path, text: str | bytes, said: str) -> None:
    out = tmp_path / "out.jsonl"
    out.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=said):
        read_out(out)
    with pytest.raises(InputError, match="cannot be read"):
        read_out(tmp_path / "absent.jsonl")


def test_an_agent_is_identified_by_its_model_and_settings(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ["none"])
    found = identify(agent, note="n")
    assert (found["model"], found["sha256"]) == ("scripted", agent.loaded().engine.info.sha256)
    assert found["note"] == "n"
    assert found["settings"]["matcher"] == "llguidance"
    assert json.loads(json.dumps(found)) == found

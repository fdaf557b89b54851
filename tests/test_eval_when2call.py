from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from edge_agent.dialects.base import Call
from edge_agent.errors import InputError
from edge_agent.evals.suite import Case
from edge_agent.evals.when2call import When2Call
from edge_agent.predict import Prediction

SUITE = When2Call()
BAKE = {
    "name": "oven.bake",
    "description": "Bakes something",
    "parameters": {
        "type": "dict",
        "properties": {"what": {"type": "string"}, "degrees": {"type": "float"}},
        "required": ["what"],
    },
}


def row(id: str, answer: str, question: str = "bake bread", tools: list[Any] | None = None) -> dict[str, Any]:
    call = json.dumps({"name": "oven.bake", "arguments": {"what": "bread"}})
    return {
        "uuid": id,
        "question": question,
        "correct_answer": answer,
        "answers": {"tool_call": call, "direct": "Here is your bread."},
        "tools": [json.dumps(tool) for tool in ([BAKE] if tools is None else tools)],
    }


def put(data: Path, *rows: dict[str, Any]) -> Path:
    (data / "gate").mkdir(exist_ok=True)
    with gzip.open(data / "gate" / "when2call.jsonl.gz", "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(each) + "\n" for each in rows)
    return data


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    rows = (row("a", "tool_call"), row("b", "request_for_info"), row("c", "cannot_answer", tools=[]))
    return SUITE.load(put(tmp_path, *rows))


def answer(decision: str, *calls: Call) -> Prediction:
    return Prediction(id="", calls=calls, confidence=0.5, decision=decision, verified=bool(calls))


BREAD, CAKE = Call("oven.bake", {"what": "bread"}), Call("oven.bake", {"what": "cake"})


def test_cases(cases: list[Case], tmp_path: Path) -> None:
    assert [(case.id, case.category) for case in cases] == [
        ("a", "tool_call"),
        ("b", "request_for_info"),
        ("c", "cannot_answer"),
    ]
    (tool,) = cases[0].row["tools"]
    assert tool["parameters"]["type"] == "object"
    assert tool["parameters"]["properties"]["degrees"] == {"type": "number"}
    assert cases[0].row["messages"] == [{"role": "user", "content": "bake bread"}]
    assert [case.gold for case in cases] == [{"name": "oven.bake", "arguments": {"what": "bread"}}, None, None]
    assert SUITE.load(tmp_path / "gate") == cases


@pytest.mark.parametrize(
    ("number", "said", "verdict"),
    [
        (0, answer("act", BREAD), (True, True, True)),
        (0, answer("act", CAKE), (True, True, False)),
        (0, answer("act", Call("oven.off", {})), (True, False, None)),
        (0, answer("act", BREAD, BREAD), (True, False, None)),
        (0, answer("decline"), (False, False, None)),
        (0, answer("escalate"), (False, False, None)),
        (1, answer("ask"), (True, None, None)),
        (1, answer("act", BREAD), (False, None, None)),
        (2, answer("decline"), (True, None, None)),
        (2, answer("ask"), (False, None, None)),
    ],
)
def test_verdicts(cases: list[Case], number: int, said: Prediction, verdict: tuple[Any, ...]) -> None:
    made = SUITE.judge(cases[number], said)
    assert (made.passed, made.name_right, made.arguments_right) == verdict
    assert bool(made.reason) is not made.passed


def test_confusion_and_f1(tmp_path: Path) -> None:
    kinds = ["tool_call"] * 3 + ["request_for_info"] * 2 + ["cannot_answer"] * 2
    cases = SUITE.load(put(tmp_path, *(row(str(number), kind) for number, kind in enumerate(kinds))))
    decisions = ["act", "act", "decline", "ask", "act", "act", "escalate"]
    figures = SUITE.extra(cases, [answer(decision) for decision in decisions])
    assert figures["confusion"] == {
        "tool_call": {"act": 2, "ask": 0, "decline": 1, "escalate": 0},
        "request_for_info": {"act": 1, "ask": 1, "decline": 0, "escalate": 0},
        "cannot_answer": {"act": 1, "ask": 0, "decline": 0, "escalate": 1},
    }
    assert figures["macro_f1"] == pytest.approx((4 / 7 + 2 / 3 + 0) / 3)
    assert figures["called_without_tool"] == 0.5


def test_figures_of_classes_that_do_not_occur(cases: list[Case]) -> None:
    figures = SUITE.extra(cases[:1], [answer("act", BREAD)])
    assert figures["macro_f1"] == 1.0
    assert figures["called_without_tool"] is None
    assert SUITE.extra([], [])["macro_f1"] is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"correct_answer": "direct"}, "correct_answer 'direct' is none of tool_call, request_for_info, cannot_answer"),
        ({"answers": {"tool_call": "{}"}}, r"answers\.tool_call is no call"),
        ({"tools": ["{"]}, "not a row of When2Call"),
        ({"tools": ['{"name": "x"}']}, "no 'parameters'"),
    ],
)
def test_unusable_data(tmp_path: Path, wrong: dict[str, Any], message: str) -> None:
    put(tmp_path, row("a", "tool_call"), {**row("b", "tool_call"), **wrong})
    with pytest.raises(InputError, match=rf"when2call\.jsonl\.gz:2: .*{message}"):
        SUITE.load(tmp_path)


def test_missing_data(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"when2call\.jsonl\.gz: cannot be read"):
        SUITE.load(tmp_path)

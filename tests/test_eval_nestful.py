from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_agent.dialects.base import Call
from edge_agent.errors import InputError
from edge_agent.evals.nestful import Nestful, f1, read_tools, truth
from edge_agent.evals.suite import Case
from edge_agent.grammar.plan import references
from edge_agent.predict import Prediction
from edge_agent.tools import check_schema

SUITE = Nestful()
SPEC: list[dict[str, Any]] = [
    {
        "name": "Find.Boat",
        "description": "Finds a boat",
        "arguments": {
            "harbour": {"description": "Where", "required": True, "allowed_values": []},
            "sails": {"description": "How many", "required": False, "allowed_values": ["1", "2"]},
        },
        "output_parameters": {
            "boat": {"type": "object", "properties": {"name": {"type": "String"}, "size": {"type": "Number"}}},
            "crew": {"type": "array", "items": {"type": "object", "properties": {"age": {"type": "integer"}}}},
            "flags": {"type": "Array"},
            "note": "text",
        },
    },
    {
        "name": "rent",
        "description": "Rent it.",
        "query_parameters": {
            "boat": {"type": "String", "description": "Which", "required": True},
            "days": {"type": "Number", "description": "How long", "required": True, "allowed_values": "1-9"},
            "guests": {"type": "array", "items": {"type": "string"}},
        },
        "path_parameters": {"kind": {"type": "Enum", "description": "Kind", "possible_values": ["day", "night"]}},
        "output_parameters": {},
    },
    {
        "name": "rent",
        "description": "Another of the same name",
        "parameters": {"when": {"type": "object", "properties": {"from": {"type": "date (yyyy)", "required": True}}}},
        "output_parameters": {},
    },
]
OUTPUT: list[dict[str, Any]] = [
    {"name": "Find.Boat", "arguments": {"harbour": "Whitby"}, "label": "var1"},
    {"name": "rent", "arguments": {"boat": "$var1.boat.name$", "days": 2}, "label": "var2"},
    {
        "name": "rent",
        "arguments": {"boat": "$var1.boat.name$", "days": 2, "guests": ["$var1.crew[0].age$"]},
        "label": "var3",
    },
    {"name": "var_result", "arguments": {"boat": "$var2$"}},
]
ROW = {"id": "sea-1", "input": "rent a boat in Whitby, twice", "output": OUTPUT, "spec": "sea-spec.json"}
CALLS = (
    Call("Find.Boat", {"harbour": "Whitby"}),
    Call("rent", {"boat": "$1.boat.name", "days": 2}),
    Call("rent", {"boat": "$1.boat.name", "days": 2, "guests": ["$1.crew[0].age"]}),
)


def put(data: Path, *rows: dict[str, Any]) -> Path:
    folder = data / "plans"
    folder.mkdir(exist_ok=True)
    (folder / "sea-spec.json").write_text(json.dumps(SPEC))
    (folder / "nestful.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return data


@pytest.fixture
def case(tmp_path: Path) -> Case:
    (only,) = SUITE.load(put(tmp_path, ROW))
    return only


def answer(*calls: Call) -> Prediction:
    return Prediction(id="", calls=calls, confidence=1.0, decision="act", verified=True)


def test_a_case(case: Case, tmp_path: Path) -> None:
    assert (case.id, case.category, case.gold) == ("sea-1", "sea", CALLS)
    assert case.row["messages"] == [{"role": "user", "content": "rent a boat in Whitby, twice"}]
    assert [tool["name"] for tool in case.row["tools"]] == ["Find.Boat", "rent"]
    assert [references(call.arguments) for call in CALLS] == [[], ["$1.boat.name"], ["$1.boat.name", "$1.crew[0].age"]]
    assert SUITE.load(tmp_path / "plans") == [case]


def test_tools_say_what_they_return(case: Case) -> None:
    find, rent = case.row["tools"]
    assert find["description"] == "Finds a boat. Returns boat.name, boat.size, crew[].age, flags[], note."
    assert rent["description"] == "Rent it."
    assert find["parameters"] == {
        "type": "object",
        "properties": {
            "harbour": {"type": "string", "description": "Where"},
            "sails": {"type": "string", "enum": ["1", "2"], "description": "How many"},
        },
        "required": ["harbour"],
    }
    assert rent["parameters"]["properties"] == {
        "boat": {"type": "string", "description": "Which"},
        "days": {"type": "number", "description": "How long"},
        "guests": {"type": "array", "items": {"type": "string"}},
        "kind": {"type": "string", "enum": ["day", "night"], "description": "Kind"},
    }


def test_objects_inside_of_parameters(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(SPEC[2:]))
    (tool,) = read_tools(path)
    inside = {"type": "object", "properties": {"from": {"type": "string"}}, "required": ["from"]}
    assert tool["parameters"]["properties"] == {"when": inside}
    check_schema("rent", tool["parameters"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$var1$", "$1"),
        ("$var1.a.b$", "$1.a.b"),
        ("$var1[0].a$", "$1[0].a"),
        ("2 * $var1.a b$ + $var2$", "2 * $1.a b + $2"),
        ("$100-$200", "$100-$200"),
        ("var1", "var1"),
    ],
)
def test_references(text: str, expected: str) -> None:
    before = [{"name": "x", "arguments": {}, "label": "var1"}, {"name": "y", "arguments": {}, "label": "var2"}]
    *_, last = truth([*before, {"name": "z", "arguments": {"deep": [{"er": text}]}, "label": "var3"}])
    assert last.arguments == {"deep": [{"er": expected}]}


def test_labels_are_free_and_calls_are_counted() -> None:
    first, second = truth(
        [
            {"name": "x", "arguments": {}, "label": "var7"},
            {"name": "y", "arguments": {"a": "$var7.b$"}, "label": "var7"},
        ]
    )
    assert (first, second) == (Call("x", {}), Call("y", {"a": "$1.b"}))


@pytest.mark.parametrize(
    ("calls", "verdict", "reason"),
    [
        (CALLS, (True, True, True), ""),
        ((CALLS[0], Call("rent", {"days": 2.0, "boat": "$1.boat.name"}), CALLS[2]), (True, True, True), ""),
        (CALLS[:2], (False, False, None), "Find.Boat, rent instead of Find.Boat, rent, rent"),
        ((), (False, False, None), "no call instead of Find.Boat, rent, rent"),
        ((CALLS[1], CALLS[0], CALLS[2]), (False, False, None), "rent, Find.Boat, rent instead of"),
        ((CALLS[0], CALLS[2], CALLS[1]), (False, True, False), "call 2: arguments, call 3: arguments"),
        ((CALLS[0], Call("rent", {"boat": "$1.boat.name", "days": "2"}), CALLS[2]), (False, True, False), "call 2"),
        ((CALLS[0], Call("rent", {"boat": "$1.boat.name", "days": True}), CALLS[2]), (False, True, False), "call 2"),
        ((Call("Find.Boat", {"harbour": "whitby"}), *CALLS[1:]), (False, True, False), "call 1: arguments"),
    ],
)
def test_verdicts(case: Case, calls: tuple[Call, ...], verdict: tuple[Any, ...], reason: str) -> None:
    made = SUITE.judge(case, answer(*calls))
    assert (made.passed, made.name_right, made.arguments_right) == verdict
    assert made.reason.startswith(reason)
    assert bool(made.reason) is not made.passed


def test_part_marks(case: Case) -> None:
    whole = SUITE.extra([case], [answer(*reversed(CALLS))])
    assert whole == {"name_f1": 1.0, "argument_f1": 1.0, "calls_exact": 1.0}
    part = SUITE.extra([case], [answer(CALLS[0], Call("rent", {"boat": "$1.boat.name", "days": 3}))])
    assert part["name_f1"] == pytest.approx(4 / 5)
    assert part["argument_f1"] == pytest.approx(2 * 2 / (3 + 6))
    assert part["calls_exact"] == pytest.approx(1 / 3)
    none = SUITE.extra([case, case], [answer(), answer(*CALLS)])
    assert none == {"name_f1": 0.5, "argument_f1": 0.5, "calls_exact": 0.5}
    assert SUITE.extra([], [])["name_f1"] is None


@pytest.mark.parametrize(("said", "true", "expected"), [("", "", 1.0), ("ab", "", 0.0), ("aab", "ab", 0.8)])
def test_f1_of_bags(said: str, true: str, expected: float) -> None:
    assert f1(said, true) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"output": OUTPUT[1:2]}, r"\$var1\.boat\.name\$ refers to no call before it"),
        ({"output": OUTPUT[3:]}, "there are no calls in output"),
        ({"output": [{"name": "x", "label": "var1"}]}, "no 'arguments'"),
        ({"output": [{"name": "x", "arguments": {}}]}, "no 'label'"),
    ],
)
def test_unusable_rows(tmp_path: Path, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"nestful\.jsonl:2: not a row of NESTFUL: {message}"):
        SUITE.load(put(tmp_path, ROW, {**ROW, **wrong}))


def test_unusable_specifications(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nestful\.jsonl: cannot be read"):
        SUITE.load(tmp_path)
    with pytest.raises(InputError, match=r"sky-spec\.json: not a specification of NESTFUL: FileNotFoundError"):
        SUITE.load(put(tmp_path, {**ROW, "spec": "../sky-spec.json"}))
    put(tmp_path, ROW)
    (tmp_path / "plans" / "sea-spec.json").write_text('[{"name": "x"}]')
    with pytest.raises(InputError, match=r"sea-spec\.json: not a specification of NESTFUL: KeyError"):
        SUITE.load(tmp_path)

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cli_fixture import Line, line

from edge_agent.dialects.base import Call
from edge_agent.errors import InputError
from edge_agent.evals.bfcl import CATEGORIES, Bfcl, check, conformance, json_schema
from edge_agent.evals.suite import run
from edge_agent.grammar.validator import Validator
from edge_agent.predict import Prediction

__all__ = ["line"]


def function(name: str, required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    parameters = {"type": "dict", "properties": properties, "required": list(required)}
    return {"name": name, "description": f"Does {name}.", "parameters": parameters}


TEXT, WHOLE, REAL, FLAG = {"type": "string"}, {"type": "integer"}, {"type": "float"}, {"type": "boolean"}
WHOLES, REALS = {"type": "array", "items": WHOLE}, {"type": "array", "items": REAL}
TEXTS, PAIR = {"type": "array", "items": TEXT}, {"type": "tuple", "items": REAL}
DICT, DICTS, ANY = {"type": "dict"}, {"type": "array", "items": {"type": "dict"}}, {"type": "any"}


@pytest.mark.parametrize(
    ("schema", "allowed", "right", "wrong"),
    [
        (WHOLE, [5], [5], [6, 5.0, "5", True, None, [5]]),
        (WHOLE, [1], [1], [True]),
        (REAL, [5.0], [5, 5.0], [5.1, "5.0", True]),
        (REAL, [5], [5, 5.0], [4]),  # a truth written without its point
        (FLAG, [True], [True], [1, "true", False]),
        (FLAG, ["yes"], ["yes"], ["Yes", True, False]),  # the truth has another type: equal or wrong
        (WHOLE, ["n"], ["n"], ["N", 5]),
        (WHOLE, ["n", 5], ["n", 5], [6]),
        (TEXT, ["Ulm, DE", ""], ["ulm de", "Ulm-D/E.", "ULM_,^*DE"], ["Ulm", 5, "Ulm;DE"]),
        (TEXT, ["it's"], ['IT"S'], ["its"]),
        (TEXT, [""], [""], ["x", 5]),  # nothing but leaving it out
        (TEXT, [5], [5], ["5", "x"]),
        (WHOLES, [[1, 2]], [[1, 2]], [[2, 1], [1], [1, 2, 3], [1.0, 2.0], ["1", "2"], [True, 2], 1, "[1, 2]"]),
        (WHOLES, [[1, 2], [3]], [[3]], [[1, 2, 3]]),
        (REALS, [[1.0, 3.0]], [[1.0, 3.0]], [[1, 3]]),  # no promotion inside of lists
        (REALS, [[1, 3]], [[1, 3], [1.0, 3.0]], [[1, 4]]),
        (PAIR, [[0.5, 1.5]], [[0.5, 1.5]], [[1.5, 0.5], {"x": 0.5}]),
        (TEXTS, [["New York", "LA"]], [["new york", "l.a."]], [["LA", "New York"], [["New York"], "LA"]]),
        (TEXTS, [["A"], ""], [["a"], []], ["", ["b"]]),  # upstream takes an empty list for "left out"
        (TEXTS, ["all"], ["all"], ["All", ["all"], []]),
        ({"type": "array"}, [[1, "a"]], [[1, "A"]], [[2, "a"]]),
        (ANY, ["x"], ["X"], [5]),
        (ANY, [5], [5], ["5", 5.0]),
        (ANY, [True], [True], [1, "true"]),
        (ANY, [[1, 2]], [[1, 2]], [[2, 1], "1,2"]),
        (
            DICT,
            [{"city": ["Ulm", "ULM DE"], "zip": [89073, ""]}],
            [{"city": "ulm"}, {"city": "Ulm, DE", "zip": 89073}],
            [{}, {"zip": 89073}, {"city": "Ulm", "zip": "89073"}, {"city": "Ulm", "land": "DE"}, "Ulm", ["Ulm"]],
        ),
        (DICT, ["", {"a": [1]}], [{"a": 1}], [{}, ""]),
        (
            DICTS,
            [[{"n": [1]}, {"n": [2, 3]}]],
            [[{"n": 1}, {"n": 3}]],
            [[{"n": 3}, {"n": 1}], [{"n": 1}], [{"n": 1}, 3], {"n": 1}],
        ),
    ],
)  # fmt: skip
def test_values(schema: Mapping[str, Any], allowed: list[Any], right: list[Any], wrong: list[Any]) -> None:
    for value in right + wrong:
        passed, why = check("simple", [function("f", x=schema)], [{"f": {"x": value}}], [{"f": {"x": allowed}}])
        assert passed == any(value is each for each in right), value
        assert why == ("" if passed else f"x: {value!r} is none of {allowed!r}")


BOOK = function("hotel.book", ("city",), city=TEXT, nights=WHOLE, pets=FLAG)
TRUTH = [{"hotel.book": {"city": ["Ulm"], "nights": [2], "pets": ["", False]}}]


@pytest.mark.parametrize(
    ("calls", "why"),
    [
        ([{"hotel.book": {"city": "ulm", "nights": 2}}], ""),
        ([{"hotel.book": {"nights": 2, "city": "Ulm", "pets": False}}], ""),
        ([{"hotel.book": {"nights": 2}}], "city: missing"),
        ([{"hotel.book": {"city": "Ulm"}}], "nights: left out"),
        ([{"hotel.book": {"city": "Ulm", "nights": 2, "stars": 5}}], "stars: not expected"),
        ([{"hotel.book": {"city": "Ulm", "nights": 2, "pets": ""}}], "pets: '' is none of ['', False]"),
        ([{"hotel_book": {"city": "Ulm", "nights": 2}}], "hotel_book called, not hotel.book"),
        ([], "0 calls, not 1"),
        ([{"hotel.book": {"city": "Ulm", "nights": 2}}] * 2, "2 calls, not 1"),
    ],
)
def test_one_call(calls: list[Any], why: str) -> None:
    assert check("simple", [BOOK], calls, TRUTH) == (not why, why)
    assert check("live_multiple", [function("other", x=TEXT), BOOK], calls, TRUTH) == (not why, why)


def test_a_parameter_the_truth_does_not_know_is_wrong() -> None:
    passed, why = check("simple", [function("f", x=WHOLE, y=WHOLE)], [{"f": {"x": 1, "y": 2}}], [{"f": {"x": [1]}}])
    assert (passed, why) == (False, "y: not expected")


@pytest.mark.parametrize(
    ("calls", "passed"),
    [
        ([{"f": {"x": 1}}, {"f": {"x": 2}}, {"g": {"x": 3}}], True),
        ([{"g": {"x": 3}}, {"f": {"x": 2}}, {"f": {"x": 1}}], True),  # in any order
        ([{"f": {"x": 1}}, {"f": {"x": 1}}, {"g": {"x": 3}}], False),
        ([{"f": {"x": 1}}, {"f": {"x": 2}}], False),
        ([{"f": {"x": 1}}, {"f": {"x": 2}}, {"g": {"x": 3}}, {"g": {"x": 3}}], False),
        ([{"f": {"x": 1}}, {"f": {"x": 2}}, {"g": {"x": 4}}], False),
    ],
)
def test_several_calls(calls: list[Any], passed: bool) -> None:
    truth = [{"f": {"x": [1]}}, {"f": {"x": [2]}}, {"g": {"x": [3]}}]
    functions = [function("f", x=WHOLE), function("g", x=WHOLE)]
    assert check("live_parallel_multiple", functions, calls, truth)[0] == passed


def test_several_calls_are_matched_greedily() -> None:
    """As upstream: the first truth takes the first call that fits, though the second truth would have needed it."""
    truth, functions = [{"f": {"x": [1, 2]}}, {"f": {"x": [2]}}], [function("f", x=WHOLE)]
    assert check("parallel", functions, [{"f": {"x": 1}}, {"f": {"x": 2}}], truth) == (True, "")
    said = (False, "no call is f as it should be")
    assert check("parallel", functions, [{"f": {"x": 2}}, {"f": {"x": 1}}], truth) == said


@pytest.mark.parametrize("category", ["irrelevance", "live_irrelevance", "live_relevance"])
def test_whether_to_call(category: str) -> None:
    needed = not category.endswith("irrelevance")
    assert check(category, [BOOK], [{"anything": {}}], [])[0] == needed
    passed, why = check(category, [BOOK], [], [])
    assert passed != needed
    assert bool(why) == needed


def test_schemas_become_json_schema() -> None:
    given = {
        "type": "dict",
        "properties": {
            "type": {"type": "any", "description": "A parameter named like a keyword."},
            "at": {"type": "tuple", "items": {"type": "float"}, "minItems": 2},
            "more": {"type": "dict", "properties": {"n": {"type": "float", "optional": True}}},
            "rest": {"type": "dict", "additionalProperties": {"type": "any"}},
            "open": {"type": "dict", "additionalProperties": False},
        },
        "required": ["type"],
    }
    made = json_schema(given)
    assert made == {
        "type": "object",
        "properties": {
            "type": {"description": "A parameter named like a keyword."},
            "at": {"type": "array", "items": {"type": "number"}, "minItems": 2},
            "more": {"type": "object", "properties": {"n": {"type": "number", "optional": True}}},
            "rest": {"type": "object", "additionalProperties": {}},
            "open": {"type": "object", "additionalProperties": False},
        },
        "required": ["type"],
    }
    assert given["type"] == "dict"
    assert Validator(made, remotes={}, formats=False).errors({"type": 1, "at": [1, 2.5]}) == []


# -- the files ---------------------------------------------------------------------------------------------


def lines(path: Path, *rows: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Upstream's layout: one case of each category, of our own invention."""
    root = tmp_path / "data" / "bfcl"
    for category, file in CATEGORIES.items():
        identity = f"{category}_0"
        asked = [[{"role": "user", "content": f"book me something ({category})"}]]
        lines(root / f"BFCL_v4_{file}.json", {"id": identity, "question": asked, "function": [BOOK]})
        if not category.endswith("relevance"):
            truth = TRUTH * (2 if "parallel" in category else 1)
            lines(root / "possible_answer" / f"BFCL_v4_{file}.json", {"id": identity, "ground_truth": truth})
    return tmp_path / "data"


def test_load(data: Path) -> None:
    cases = Bfcl().load(data)
    assert [case.category for case in cases] == list(CATEGORIES)
    assert Bfcl().load(data / "bfcl") == cases
    case = cases[0]
    assert case.row["messages"] == [{"role": "user", "content": "book me something (simple)"}]
    (tool,) = case.row["tools"]
    assert (tool["name"], tool["description"]) == ("hotel.book", "Does hotel.book.")
    assert tool["parameters"]["type"] == "object"
    assert case.row["id"] == case.id == "simple_0"


def test_load_names_what_is_wrong(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no BFCL_v4"):
        Bfcl().load(tmp_path)
    answers = data / "bfcl" / "possible_answer" / "BFCL_v4_multiple.json"
    lines(answers, {"id": "multiple_1", "ground_truth": TRUTH})
    with pytest.raises(InputError, match=r"BFCL_v4_multiple\.json: has no answer for multiple_0"):
        Bfcl().load(data)
    lines(answers, {"id": "multiple_0"})
    with pytest.raises(InputError, match=r"BFCL_v4_multiple\.json:1: not a possible answer: no 'ground_truth'"):
        Bfcl().load(data)
    answers.unlink()
    with pytest.raises(InputError, match=r"possible_answer/BFCL_v4_multiple\.json: cannot be read"):
        Bfcl().load(data)
    lines(data / "bfcl" / "BFCL_v4_simple_python.json", {"id": "simple_0", "question": [], "function": [BOOK]})
    with pytest.raises(InputError, match=r"simple_python\.json:1: not a row of BFCL"):
        Bfcl().load(data)


BOOKING = Call("hotel.book", {"city": "Ulm", "nights": 2})


class Books:
    """Calls once, or twice where several are wanted, and never where nothing fits; sure of it in that order."""

    def predict(self, row: Mapping[str, Any]) -> Prediction:
        category = row["id"].removesuffix("_0")
        count = 0 if category.endswith("irrelevance") else 2 if "parallel" in category else 1
        calls = (BOOKING,) * count
        decision = "act" if calls else "decline"
        return Prediction(row["id"], calls, 0.5, decision, calling=count / 2, verified=bool(calls))


def test_all_right(data: Path) -> None:
    figures = run(Bfcl(), Books(), data)
    assert figures["accuracy"] == figures["name_accuracy"] == figures["argument_accuracy"] == 1.0
    assert figures["executable_call_rate"] == 1.0
    assert figures["extra"] == {
        "ast": 1.0, "irrelevance": 1.0, "must_call": 1.0, "calling_auroc": 1.0,
        "live_ast": 1.0, "live_irrelevance": 1.0, "live_must_call": 1.0, "live_calling_auroc": 1.0,
    }  # fmt: skip


def test_refusing_everything_shows(data: Path) -> None:
    class Refuses:
        def predict(self, row: Mapping[str, Any]) -> Prediction:
            return Prediction(row["id"], (), 0.5, "decline", calling=0.25, verified=False)

    figures = run(Bfcl(), Refuses(), data)
    assert figures["extra"] == {
        "ast": 0.0, "irrelevance": 1.0, "must_call": 0.0, "calling_auroc": 0.5,
        "live_ast": 0.0, "live_irrelevance": 1.0, "live_must_call": 0.0, "live_calling_auroc": 0.5,
    }  # fmt: skip
    assert figures["by_category"]["simple"]["name_accuracy"] == 0.0
    assert figures["by_category"]["irrelevance"]["name_accuracy"] is None
    only = run(Bfcl(), Refuses(), data, categories=["live_relevance"])["extra"]
    assert (only["live_must_call"], only["live_ast"], only["ast"], only["calling_auroc"]) == (0.0, None, None, None)


def test_upstreams_averages(data: Path) -> None:
    """`ast` weighs categories alike, `live_ast` by their size."""
    root = data / "bfcl"
    for category in ("simple_python", "live_simple"):
        for place in (root, root / "possible_answer"):
            path = place / f"BFCL_v4_{category}.json"
            row = json.loads(path.read_text())
            lines(path, row, {**row, "id": "again_0"} | {"id": f"{category}-again_0"})

    class Once(Books):
        def predict(self, row: Mapping[str, Any]) -> Prediction:
            calls = (BOOKING,) if "simple" in row["id"] else ()
            return Prediction(row["id"], calls, 0.5, "act", verified=True)

    extra = run(Bfcl(), Once(), data)["extra"]
    assert (extra["ast"], extra["live_ast"]) == (1 / 4, 2 / 5)


def test_the_wrong_tool_is_told_from_wrong_arguments(data: Path) -> None:
    case = Bfcl().load(data)[0]
    for call, name, arguments in (
        (BOOKING, True, True),
        (Call("hotel.book", {"city": "Ulm", "nights": 3}), True, False),
        (Call("hotel.find", BOOKING.arguments), False, None),
    ):
        verdict = Bfcl().judge(case, Prediction("", (call,), 0.5, "act", verified=True))
        assert (verdict.name_right, verdict.arguments_right, verdict.passed) == (name, arguments, bool(arguments))


# -- conformance and the command ---------------------------------------------------------------------------


@pytest.fixture
def vectors(data: Path) -> Path:
    """Two verdicts, of which the second is not what the rules say."""
    with gzip.open(data / "bfcl" / "checker_conformance.jsonl.gz", "wt") as file:
        for mutation, output, valid in (("full", [{"hotel.book": BOOKING.arguments}], True), ("none", [], True)):
            row = {"id": "simple_0", "category": "simple_python", "mutation": mutation, "output": output}
            file.write(json.dumps({**row, "valid": valid, "error_type": None}) + "\n")
    return data


def test_conformance(vectors: Path) -> None:
    figures = conformance(vectors)
    assert (figures["vectors"], figures["agree"]) == (2, 1)
    assert figures["failures"] == [
        {"id": "simple_0", "mutation": "none", "valid": True, "ours": False, "why": "0 calls, not 1"}
    ]
    (vectors / "bfcl" / "checker_conformance.jsonl.gz").unlink()
    with pytest.raises(InputError, match=r"checker_conformance\.jsonl\.gz: cannot be read"):
        conformance(vectors)


def test_conformance_command(line: Line, vectors: Path) -> None:
    ran = line("eval", "bfcl", "--data", str(vectors), "--conformance")
    assert ran.code == 1
    words = [each.split() for each in ran.out.splitlines()]
    assert words[:2] == [["vectors", "agree"], ["2", "1"]]
    assert ["simple_0", "none", "True", "False", "0", "calls,", "not", "1"] in words
    assert json.loads(ran.out.splitlines()[-1])["agree"] == 1


def test_command(line: Line, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr("edge_agent.predict.Predictor", lambda agent: made.append(agent) or Books())
    out = tmp_path / "out.jsonl"
    arguments = ["--data", str(data), "--category", "simple", "--category", "irrelevance", "--limit", "1"]
    ran = line("eval", "bfcl", *arguments, "--out", str(out), "--matcher", "llama.cpp")
    assert ran.code == 0, ran.err
    shown = [each.split() for each in ran.out.splitlines()]
    assert shown[0][:4] == ["category", "cases", "passed", "accuracy"]
    assert [each[:4] for each in shown[1:4]] == [
        ["simple", "1", "1", "1.000"], ["irrelevance", "1", "1", "1.000"], ["all", "2", "2", "1.000"],
    ]  # fmt: skip
    assert ["must_call", "1.000"] in shown
    figures = json.loads(ran.out.splitlines()[-1])
    assert {"tables", "failures"}.isdisjoint(figures)
    assert figures["run"]["model"] == "scripted"
    assert figures["run"]["settings"]["matcher"] == made[0].settings.matcher == "llama.cpp"
    assert [json.loads(each).get("id") for each in out.read_text().splitlines()] == [None, "simple_0", "irrelevance_0"]
    assert line("eval", "bfcl", *arguments, "--json").json["passed"] == 2
    ran = line("eval", "bfcl", "--data", str(data), "--category", "java")
    assert (ran.code, ran.out) == (InputError.exit_code, "")
    assert "there is no category 'java'" in ran.err

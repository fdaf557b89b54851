from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_agent.errors import InputError
from edge_agent.evals.json_suite import VERDICTS, Case, judge, run

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def group(about: str, schema: Any, **cases: tuple[Any, bool]) -> dict[str, Any]:
    tests = [{"description": name, "data": data, "valid": valid} for name, (data, valid) in cases.items()]
    return {"description": about, "schema": schema, "tests": tests}


FILES = {
    "tests/draft2020-12/minimum": [
        group("at least three", {"minimum": 3}, three=(3, True), two=(2, False), text=("é", True)),
        group("mislabelled", {"minimum": 3}, one=(1, True), four=(4, False)),
    ],
    "tests/draft2020-12/uniqueItems": [
        group("unique", {"uniqueItems": True}, two=([1, 2], True), same=([1, 1], False)),
    ],
    "tests/draft2020-12/boolean_schema": [group("false", False, one=(1, False)), group("true", True, one=(1, True))],
    "tests/draft2020-12/format": [group("a note", {"format": "date"}, no=("soon", True))],
    "tests/draft2020-12/refRemote": [
        group(
            "near", {"$ref": "http://localhost:1234/draft2020-12/folder/whole.json"}, one=(1, True), half=(1.5, False)
        )
    ],
    "tests/draft2020-12/optional/format/date": [group("asked for", {"format": "date"}, no=("soon", False))],
    "tests/draft2020-12/optional/broken": [group("none", {"type": "nonsense"}, one=(1, True))],
    "remotes/draft2020-12/folder/whole": {"$schema": DIALECT, "type": "integer"},
}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    for name, document in FILES.items():
        path = tmp_path / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document), encoding="utf-8")
    return tmp_path


def counted(figures: dict[str, Any], keyword: str) -> list[int]:
    return list(figures["by_keyword"][keyword].values())


def test_every_keyword(suite: Path) -> None:
    steps: list[tuple[int, int]] = []
    figures = run(data=suite, progress=lambda done, total: steps.append((done, total)))
    assert list(figures["required"]) == ["cases", *VERDICTS, "with_validator"]
    # cases, right, too strict, too lax reported, unreported, error; right with the validator
    assert counted(figures, "minimum") == [5, 3, 1, 0, 1, 0, 3]
    assert counted(figures, "uniqueItems") == [2, 1, 0, 1, 0, 0, 2]
    assert counted(figures, "boolean_schema") == [2, 2, 0, 0, 0, 0, 2]
    assert counted(figures, "format") == [1, 1, 0, 0, 0, 0, 1]
    assert counted(figures, "refRemote") == [2, 2, 0, 0, 0, 0, 2]
    assert list(figures["required"].values()) == [
        sum(column) for column in zip(*(each.values() for each in figures["by_keyword"].values()), strict=True)
    ]
    assert steps == [(number, 5) for number in range(1, 6)]
    assert "optional" not in figures
    json.dumps(figures)


def test_optional_cases_are_counted_apart(suite: Path) -> None:
    figures = run(data=suite, optional=True)
    assert figures["required"] == run(data=suite)["required"]
    assert counted(figures, "optional/format/date") == [1, 1, 0, 0, 0, 0, 1]
    assert counted(figures, "optional/broken") == [1, 0, 0, 0, 0, 1, 0]
    assert list(figures["optional"].values()) == [2, 1, 0, 0, 0, 1, 1]
    [lines] = figures["tables"]
    assert [line["keyword"] for line in lines[-2:]] == ["all required", "all optional"]
    assert lines[-2] == {"keyword": "all required", **figures["required"]}


def test_failures_say_which_and_why(suite: Path) -> None:
    failures = {each["case"]: each for each in run(data=suite, optional=True)["failures"]}
    assert set(failures) == {"mislabelled: one", "mislabelled: four", "unique: same", "none: one"}
    assert failures["unique: same"] == {
        "file": "uniqueItems", "case": "unique: same", "grammar": "too_lax_reported", "validated": True, "why": "",
    }  # fmt: skip
    assert (failures["mislabelled: one"]["grammar"], failures["mislabelled: one"]["validated"]) == ("too_strict", False)
    assert "nonsense" in failures["none: one"]["why"]


def test_a_validator_that_fails_or_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("three", 3, True)

    def fails(*_: Any) -> list[str]:
        raise RecursionError("too deep")

    monkeypatch.setattr("edge_agent.grammar.schema.Compiled.validate", fails)
    [outcome] = judge({"minimum": 3}, [case], {}, formats=False)
    assert (outcome.grammar, outcome.validated, outcome.why) == ("right", False, "RecursionError: too deep")
    monkeypatch.setattr("edge_agent.grammar.schema.Compiled.validate", lambda *_: ["it is Monday"])
    [outcome] = judge({"minimum": 3}, [case], {}, formats=False)
    assert (outcome.grammar, outcome.validated, outcome.why) == ("right", False, "it is Monday")


@pytest.mark.parametrize("text", ["{", '{"a": 1}', '[{"description": "x", "schema": {}}]', "[1]"])
def test_bad_files_are_named(suite: Path, text: str) -> None:
    (suite / "tests/draft2020-12/anyOf.json").write_text(text)
    with pytest.raises(InputError, match=r"anyOf\.json: "):
        run(data=suite)


def test_a_folder_without_the_suite(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no tests/draft2020-12"):
        run(data=tmp_path)

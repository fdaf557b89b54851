from __future__ import annotations

import gc
import gzip
import json
import os
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from edge_agent.errors import EngineError, InputError
from edge_agent.evals import contenders
from edge_agent.evals.contenders import Attempt, Instance, LlamaCpp, LLGuidance, Ours, Spread
from edge_agent.evals.maskbench import measure, read, run
from edge_agent.grammar import compile_schema
from edge_agent.grammar.matcher import byte_tokenizer

COUNT: dict[str, Any] = {"type": "integer", "minimum": 3}
UNIQUE: dict[str, Any] = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}


def row(name: str, schema: Any, *tests: tuple[bool, Any], kind: str = "Easy") -> dict[str, Any]:
    return {"id": name, "set": kind, "schema": schema, "tests": [{"valid": v, "data": d} for v, d in tests]}


ROWS = [
    row("right", COUNT, (True, 5), (True, 3), (False, 2), (False, "5")),
    row("relaxed", UNIQUE, (True, [1, 2]), (False, [1, 1]), kind="Hard"),
    row("wrong", {"type": "nonsense"}, (True, 5), kind="Hard"),
    row("mislabelled", COUNT, (True, 1), (False, 5)),
    row("nothing", {"allOf": [{"type": "null"}, {"type": "string"}]}, (False, None)),
]

#: as `read` gives it
FIRST = {**ROWS[0], "tests": [(test["valid"], test["data"]) for test in ROWS[0]["tests"]]}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as handle:
        handle.writelines(json.dumps(each) + "\n" for each in ROWS)
    return path


def ran(data: Path, **options: Any) -> dict[str, Any]:
    return run(data=data, tokenizer=byte_tokenizer(), **options)


# -- figures -----------------------------------------------------------------------------------------------


def test_every_verdict(data: Path) -> None:
    figures = ran(data)
    assert (figures["suite"], figures["schemas"], figures["instances"]) == ("maskbench", 5, 10)
    assert figures["tokens"] == sum(len(json.dumps(test["data"])) for each in ROWS for test in each["tests"])
    assert list(figures["engines"]) == ["ours", "ours + validator", "llguidance"]
    ours, both, other = figures["engines"].values()
    assert (ours["passed"], ours["errors"], ours["too_strict"], ours["too_lax"]) == (2, 1, 1, 1)
    assert ours["unreported_lax"] == 1  # of the mislabelled: it was too strict first, but lax all the same
    assert (both["passed"], both["errors"], both["too_strict"], both["too_lax"]) == (3, 1, 1, 0)
    for engine in (ours, both, other):
        assert engine["schemas"] == 5 == sum(engine[key] for key in ("passed", "errors", "too_strict", "too_lax"))
        assert engine["rate"] == engine["passed"] / 5
    assert 0 < ours["schema_ms_p50"] < ours["compile_ms_p50"] <= ours["compile_ms_p99"] <= ours["compile_ms_max"]
    assert 0 < ours["mask_us_p50"] <= ours["mask_us_p99"] <= ours["mask_us_max"]
    assert ours["mask_us_avg"] < ours["call_us_avg"]
    assert ours["over_5_s"] == 0
    # a mask is asked for at each token up to the one refused
    assert ours["masks"] == ours["calls"] == sum((1, 1, 1, 1), 6 + 6) + 2
    by_set = {
        name: (each["schemas"], each["ours"], each["ours + validator"]) for name, each in figures["by_set"].items()
    }
    assert by_set == {"Easy": (3, 2 / 3, 2 / 3), "Hard": (2, 0.0, 0.5)}
    json.dumps(figures)


def test_tables_say_what_the_figures_say(data: Path) -> None:
    figures = ran(data)
    judged, timed, sets = figures["tables"]
    assert [(line["engine"], line["passed"]) for line in judged] == [
        (name, each["passed"]) for name, each in figures["engines"].items()
    ]
    assert [line["engine"] for line in timed] == ["ours", "llguidance"]
    assert timed[0]["masks"] == figures["engines"]["ours"]["masks"]
    assert [line["set"] for line in sets] == ["Easy", "Hard"]


def test_failures_name_the_first_wrong_instance(data: Path) -> None:
    failures = {each["id"]: each for each in ran(data)["failures"]}
    assert set(failures) == {"relaxed", "wrong", "mislabelled"}
    relaxed = failures["relaxed"]
    assert (relaxed["grammar"], relaxed["validated"]) == ("too_lax", "passed")
    assert relaxed["why"] == "test 1, invalid, taken: [1, 1]"
    assert "uniqueItems" in relaxed["known"]
    assert failures["wrong"]["grammar"] == failures["wrong"]["validated"] == "error"
    assert "nonsense" in failures["wrong"]["why"]
    assert failures["mislabelled"]["grammar"] == "too_strict"
    assert failures["mislabelled"]["why"].startswith("test 0, valid, refused at")
    assert failures["mislabelled"]["why"].endswith("⟂ 1") or failures["mislabelled"]["why"].endswith("1 ⟂ ")


def test_which_rows(data: Path) -> None:
    assert ran(data, limit=2)["schemas"] == 2
    assert [each["id"] for each in ran(data, every=2)["failures"]] == ["wrong"]
    assert ran(data, every=2, limit=1)["instances"] == 4
    assert list(ran(data, skip={"llguidance"}, limit=1)["engines"]) == ["ours", "ours + validator"]


# -- going on ----------------------------------------------------------------------------------------------


def test_an_interrupted_run_goes_on(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out.jsonl"
    asked: list[Any] = []
    attempt = Ours.attempt

    def counted(self: Ours, schema: Any, instances: Sequence[Instance]) -> Attempt:
        asked.append(schema)
        if len(asked) == 4:  # the first is to warm up
            raise KeyboardInterrupt
        return attempt(self, schema, instances)

    monkeypatch.setattr(Ours, "attempt", counted)
    with pytest.raises(KeyboardInterrupt):
        ran(data, out=out)
    assert gc.isenabled()
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == ["right", "relaxed"]
    with out.open("a") as handle:
        handle.write('{"id": "wro')  # as a power cut would leave it
    steps: list[tuple[int, int]] = []
    figures = ran(data, out=out, progress=lambda done, total: steps.append((done, total)))
    assert asked[5:] == [each["schema"] for each in ROWS[2:]]
    assert steps == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert figures["engines"]["ours"]["passed"] == 2
    assert len(out.read_text().splitlines()) == 5
    asked.clear()
    again = ran(data, out=out)
    assert asked == []  # nothing to do: no engine is even started
    assert again == figures


# -- data --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "rows.jsonl:1: not a row of MaskBench"),
        (json.dumps(ROWS[0]) + "\n[]", "rows.jsonl:2: not a row of MaskBench"),
        ('{"id": "x", "schema": {}}', "rows.jsonl:1: .* no 'tests'"),
        ('{"id": "x", "schema": {}, "tests": [{"valid": 1, "data": 2}]}', "neither true nor false"),
        ("\xff", "cannot be read"),
    ],
)
def test_bad_data_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=said):
        ran(path)


def test_a_cut_or_missing_file_is_named(data: Path, tmp_path: Path) -> None:
    assert [each["id"] for each in read(data)] == [each["id"] for each in ROWS]
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(data.read_bytes()[:-20])
    for path in (cut, tmp_path / "none.jsonl"):
        with pytest.raises(InputError, match=f"{path.name}: cannot be read"):
            list(read(path))


# -- contenders --------------------------------------------------------------------------------------------


def instances(tests: Iterable[tuple[bool, Any]], tokenizer: Any) -> list[Instance]:
    texts = [(json.dumps(data), data, valid) for valid, data in tests]
    return [Instance(text, tokenizer.tokenize_str(text), data, valid) for text, data, valid in texts]


def test_what_goes_wrong_on_the_way_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    given = instances([(True, 5), (True, 66)], byte_tokenizer())

    def panics(*_: Any) -> None:
        raise BaseException("a panic\nof native code")

    monkeypatch.setattr("edge_agent.grammar.matcher.TokenMatcher.accept", panics)
    attempt = Ours(byte_tokenizer()).attempt(COUNT, given)
    assert attempt.error == "BaseException: a panic"
    assert attempt.accepted == []
    assert attempt.compile_ms is not None
    assert attempt.objections is None


def test_a_validator_that_fails_is_not_the_grammars_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(type(compile_schema(COUNT)), "validate", fails)
    made = measure(FIRST, byte_tokenizer(), [Ours(byte_tokenizer())])["engines"]["ours"]
    assert (made["verdict"], made["validated"]) == ("passed", "error")
    assert made["validator_error"] == "RecursionError: too deep"


def test_a_validator_too_strict_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(compile_schema(COUNT)), "validate", lambda *_: ["it is Monday"])
    made = measure(FIRST, byte_tokenizer(), [Ours(byte_tokenizer())])["engines"]["ours"]
    assert (made["verdict"], made["validated"]) == ("passed", "too_strict")
    assert made["first_wrong"] == "test 0, valid, refused by the validator: it is Monday"


def test_llguidance_says_what_it_cannot() -> None:
    attempt = LLGuidance(byte_tokenizer()).attempt({"type": "object", "dependentSchemas": {"a": False}}, [])
    assert "dependentSchemas" in attempt.error
    assert not attempt.report


def test_spread_keeps_what_matters() -> None:
    times_us = [(number * number) % 997 + 0.25 for number in range(1, 2000)]
    whole = Spread.of(int(each * 1000) for each in times_us)
    halves = Spread()
    for half in (times_us[:700], times_us[700:]):
        written = json.loads(json.dumps(Spread.of(int(each * 1000) for each in half).as_dict()))
        halves.add(Spread.read(written))
    assert (halves.count, halves.most, halves.steps) == (whole.count, whole.most, whole.steps)
    assert whole.mean == pytest.approx(sum(times_us) / len(times_us))
    for percent in (1, 50, 99, 100):
        exact = sorted(times_us)[-(-len(times_us) * percent // 100) - 1]
        assert whole.percentile(percent) == pytest.approx(exact, rel=0.011)
    assert Spread().percentile(50) is Spread().mean is None


# -- with the real model -----------------------------------------------------------------------------------


@pytest.mark.model
def test_all_three_on_the_bundled_model(data: Path, weights: Path) -> None:
    figures = run(data=data, llamacpp_every=2)
    assert list(figures["engines"]) == ["ours", "ours + validator", "llguidance", "llama.cpp"]
    theirs = figures["engines"]["llama.cpp"]
    assert theirs["schemas"] == 3  # the first, third and fifth
    assert theirs["passed"] >= 1
    assert theirs["masks"] > 0
    assert figures["engines"]["ours"]["passed"] == 2


@pytest.mark.model
def test_llama_cpp_dies_hangs_and_is_replaced(engine: Any, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = engine.guidance_tokenizer()
    given = instances([(True, 5), (False, "5")], tokenizer)
    theirs = LlamaCpp(weights)
    try:
        attempt = theirs.attempt({"type": "integer"}, given)
        assert (attempt.error, attempt.accepted, attempt.masks.count) == ("", [True, False], 2)
        assert attempt.compile_ms is not None
        assert "ValueError: Unsupported ref" in theirs.attempt({"$ref": "other.json"}, given).error
        process = theirs._process
        assert process
        process.kill()
        assert theirs.attempt({"type": "integer"}, given).error == "its process died: SIGKILL"
        assert theirs.attempt({"type": "integer"}, given).accepted == [True, False]
        assert theirs._process
        assert theirs._process.pid
        os.kill(theirs._process.pid, signal.SIGSTOP)
        monkeypatch.setattr(contenders, "ANSWER_S", 0.2)
        assert theirs.attempt({"type": "integer"}, given).error == "no answer within 0.2 s"
    finally:
        theirs.close()


@pytest.mark.model
def test_llama_cpp_without_weights(tmp_path: Path, engine: Any) -> None:
    with pytest.raises(EngineError, match=r"llama\.cpp does not start with"):
        LlamaCpp(tmp_path / "none.gguf").attempt({}, [])

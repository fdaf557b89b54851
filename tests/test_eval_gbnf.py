from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cli_fixture import Line, line
from llamacpp_fixture import Stand, stand

from edge_agent.errors import InputError
from edge_agent.evals.contenders import Attempt, Instance, LlamaCpp
from edge_agent.evals.gbnf import OUTCOMES, VERDICTS, Pair, run, sample
from edge_agent.grammar import compile_schema

__all__ = ["line", "stand"]

COUNT: dict[str, Any] = {"type": "integer", "minimum": 3}
WORD: dict[str, Any] = {"type": "string", "maxLength": 4}


def row(name: str, schema: Any, *tests: tuple[bool, Any]) -> dict[str, Any]:
    return {"id": name, "set": "Easy", "schema": schema, "tests": [{"valid": v, "data": d} for v, d in tests]}


ROWS = [
    row("count", COUNT, (True, 5), (False, 2), (False, "é")),
    row("word", WORD, (True, "né"), (False, "longer")),
    row("broken", {"type": "nonsense"}, (True, 5)),
    row("nothing", {"allOf": [{"type": "null"}, {"type": "string"}]}, (False, None)),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in ROWS))
    return path


def outcomes(figures: dict[str, Any], mode: str) -> dict[str, int]:
    return {outcome: figures["modes"][mode][outcome] for outcome in OUTCOMES if figures["modes"][mode][outcome]}


def verdicts(figures: dict[str, Any], kind: str) -> dict[str, int]:
    return {verdict: figures["pairs"][kind][verdict] for verdict in VERDICTS if figures["pairs"][kind][verdict]}


def test_all_is_well(data: Path, stand: Stand) -> None:
    steps: list[tuple[int, int]] = []
    figures = run(data=data, progress=lambda done, total: steps.append((done, total)))
    assert (figures["suite"], figures["schemas"], figures["wrong"]) == ("gbnf", 4, 0)
    assert outcomes(figures, "standard") == {"parsed": 2, "empty": 1, "not_compiled": 1}
    assert outcomes(figures, "call") == {"parsed": 2, "not_compiled": 2}
    assert verdicts(figures, "exact") == {"both_take": 2, "both_refuse": 3, "no_gbnf": 2}
    assert (figures["pairs"]["exact"]["pairs"], figures["pairs"]["wider"]["pairs"]) == (7, 0)
    sizes = sorted(len(compile_schema(schema).gbnf.encode()) for schema in (COUNT, WORD))
    standard = figures["modes"]["standard"]
    assert [standard["size_bytes_p50"], standard["size_bytes_max"]] == sizes
    assert 0 < standard["to_gbnf_ms_p50"] <= standard["to_gbnf_ms_p99"] <= standard["to_gbnf_ms_max"]
    assert standard["read_ms_max"] == 1.0
    assert steps == [(number, 4) for number in range(1, 5)]
    assert stand.closed
    told = {(each["id"], each["what"]): each for each in figures["failures"]}
    assert set(told) == {("broken", "standard"), ("broken", "call"), ("nothing", "call")}
    assert "nonsense" in told["broken", "call"]["why"]
    json.dumps(figures)


def test_which_rows(data: Path, stand: Stand) -> None:
    assert run(data=data, limit=1)["pairs"]["exact"]["pairs"] == 3
    figures = run(data=data, every=2, pairs=0)
    assert (figures["schemas"], figures["pairs"]["exact"]["pairs"]) == (2, 0)
    assert len(stand.seen) == 2 + 3 + 2  # both modes, and the pairs of the first


def refuses(gbnf: str, _: Sequence[Instance]) -> Attempt:
    return Attempt(error="llama.cpp cannot read the grammar: too many rules", compile_ms=1.0)


def dies(gbnf: str, _: Sequence[Instance]) -> Attempt:
    return Attempt(error="its process died: SIGSEGV", compile_ms=1.0, died=True)


def test_refused_and_died(data: Path, stand: Stand) -> None:
    stand.err = refuses
    figures = run(data=data)
    assert outcomes(figures, "standard") == {"refused": 2, "empty": 1, "not_compiled": 1}
    assert verdicts(figures, "exact") == {"no_gbnf": 7}
    assert figures["wrong"] == 4
    assert {"id": "word", "what": "call", "outcome": "refused", "why": refuses("", ()).error} in figures["failures"]
    stand.err = dies
    figures = run(data=data)
    assert outcomes(figures, "call") == {"died": 2, "not_compiled": 2}
    assert figures["wrong"] == 4


def test_our_own_lint_refuses(data: Path, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.grammar.lint.MAX_DEPTH", 0)
    figures = run(data=data)
    assert outcomes(figures, "standard") == {"not_written": 2, "empty": 1, "not_compiled": 1}
    assert any("deep" in each["why"] for each in figures["failures"] if each["outcome"] == "not_written")
    assert figures["wrong"] == 0


def contrary(gbnf: str, instances: Sequence[Instance]) -> Attempt | None:
    """Takes the invalid ones only."""
    return Attempt(accepted=[not instances[0].valid], reached=[1]) if instances else None


def test_judged_differently(data: Path, stand: Stand) -> None:
    stand.err = contrary
    figures = run(data=data, limit=2)
    assert verdicts(figures, "exact") == {"only_ours": 2, "only_llama_cpp": 3}
    assert figures["wrong"] == 5
    told = {(each["id"], each["what"]): each for each in figures["failures"]}
    assert told["count", "test 0"] == {
        "id": "count", "what": "test 0", "outcome": "only_ours", "why": "refused by the other at 5 ⟂ ",
    }  # fmt: skip
    assert told["word", "test 1"]["outcome"] == "only_llama_cpp"
    assert told["word", "test 1"]["why"] == 'refused by the other at "long ⟂ er"'


def test_a_wider_gbnf_may_take_more_but_not_less(data: Path, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    stand.err = contrary
    monkeypatch.setattr("edge_agent.grammar.regular.expand", lambda grammar: (grammar, ("value",)))
    figures = run(data=data, limit=2)
    assert figures["modes"]["standard"]["wider"] == 2
    assert figures["pairs"]["exact"]["pairs"] == 0
    assert verdicts(figures, "wider") == {"only_ours": 2, "only_llama_cpp": 3}
    assert figures["wrong"] == 2
    assert {each["outcome"] for each in figures["failures"]} == {"only_ours"}


def test_no_answer(data: Path, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    stand.err = lambda gbnf, instances: dies(gbnf, instances) if instances else None
    figures = run(data=data, limit=1)
    assert verdicts(figures, "exact") == {"no_answer": 3}
    assert figures["failures"][0]["why"] == "llama.cpp: its process died: SIGSEGV"

    def gives_up(*_: Any) -> None:
        raise ValueError("out of fuel")

    stand.err = lambda *_: None
    monkeypatch.setattr("edge_agent.grammar.matcher.TokenMatcher.accept", gives_up)
    figures = run(data=data, limit=1)
    assert (figures["wrong"], figures["failures"][0]["why"]) == (3, "ours: ValueError: out of fuel")


@pytest.mark.parametrize(
    ("pair", "wrong"),
    [
        *(
            (Pair(0, verdict, wider=wider), False)
            for verdict in ("both_take", "both_refuse", "no_gbnf")
            for wider in (0, 1)
        ),
        *((Pair(0, verdict, wider=wider), True) for verdict in ("only_ours", "no_answer") for wider in (0, 1)),
        (Pair(0, "only_llama_cpp"), True),
        (Pair(0, "only_llama_cpp", wider=True), False),
    ],
)
def test_which_pairs_are_wrong(pair: Pair, wrong: bool) -> None:
    assert pair.wrong is wrong


def test_the_sample_is_the_same_each_time() -> None:
    rows = [{"tests": [None] * count} for count in (3, 0, 10, 1)]
    assert list(sample(rows, 100)) == [[0, 1, 2], [], list(range(10)), [0]]
    chosen = list(sample(rows, 5))
    assert sum(map(len, chosen)) == 5
    assert chosen == list(sample(rows, 5))
    assert all(test < len(row["tests"]) for row, tests in zip(rows, chosen, strict=True) for test in tests)


# -- command -----------------------------------------------------------------------------------------------


def test_command(line: Line, data: Path, stand: Stand) -> None:
    ran = line("eval", "gbnf", "--data", str(data), "--failures")
    assert ran.code == 0
    *shown, last = ran.out.splitlines()
    words = [each.split() for each in shown]
    assert words[0][:3] == ["mode", "schemas", "parsed"]
    assert words[1] == ["standard", "4", "2", "0", "0", "0", "1", "1", "0"]
    assert ["exact", "7", "2", "3", "0", "0", "0", "2"] in words
    assert any(each[:3] == ["broken", "call", "not_compiled"] for each in words)
    figures = json.loads(last)
    assert figures["wrong"] == 0
    assert {"tables", "failures"}.isdisjoint(figures)
    assert "4/4" in ran.err


def test_command_ends_with_1_when_something_is_wrong(line: Line, data: Path, stand: Stand) -> None:
    stand.err = contrary
    ran = line("eval", "gbnf", "--data", str(data), "--limit", "1", "--pairs", "2", "--json", "--failures")
    assert ran.code == 1
    assert ran.json["wrong"] == len(ran.json["failures"]) == 2


def test_command_refuses(line: Line, data: Path, stand: Stand) -> None:
    data.write_text("[]\n")
    ran = line("eval", "gbnf", "--data", str(data))
    assert (ran.code, ran.out) == (InputError.exit_code, "")
    assert "rows.jsonl:1: not a row of MaskBench" in ran.err


# -- with the real llama.cpp -------------------------------------------------------------------------------


@pytest.mark.model
def test_the_real_one(data: Path, weights: Path) -> None:
    figures = run(data=data)
    assert outcomes(figures, "standard") == {"parsed": 2, "empty": 1, "not_compiled": 1}
    assert verdicts(figures, "exact") == {"both_take": 2, "both_refuse": 3, "no_gbnf": 2}
    assert figures["wrong"] == 0


@pytest.mark.model
def test_llama_cpp_says_why_it_refuses(weights: Path) -> None:
    theirs = LlamaCpp(weights)
    try:
        many = theirs.read('root ::= "a"{5000}')
        assert "number of repetitions exceeds sane defaults" in many.error
        assert not many.died
        assert "Undefined rule identifier 'other'" in theirs.read("root ::= other").error
        assert theirs.read('root ::= "a"').error == ""
    finally:
        theirs.close()

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from agent_fixture import make_agent, prompts

from edge_agent.agent import Agent
from edge_agent.config import Settings
from edge_agent.dialects.base import Call
from edge_agent.errors import InputError
from edge_agent.predict import Prediction, Predictor, predict_file

RING = {
    "name": "ring",
    "description": "Rings a bell.",
    "parameters": {
        "type": "object",
        "properties": {"times": {"type": "integer"}, "tone": {"enum": ["low", "high"]}},
        "required": ["times"],
    },
}


def row(text: str = "ring twice", *tools: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "r", "messages": [{"role": "user", "content": text}], "tools": list(tools or [RING]), **more}


def predicted(tmp_path: Path, answer: str, asked: Mapping[str, Any], **settings: Any) -> tuple[Prediction, Agent]:
    agent = make_agent(tmp_path, [answer], settings=Settings(**settings))
    return Predictor(agent).predict(asked), agent


def test_a_call_is_answered_and_nothing_runs_or_is_stored(tmp_path: Path) -> None:
    made, agent = predicted(tmp_path, 'ring {"times":2,"tone":"low"}', row())
    assert made.calls == (Call("ring", {"times": 2, "tone": "low"}),)
    assert (made.id, made.decision, made.verified, made.error) == ("r", "act", True, "")
    assert made.tokens["prompt"] > 0
    assert made.latency_ms > 0
    assert "joules" in made.energy
    assert list(agent.ledger.rows()) == []
    assert list(agent.journal.actions()) == []
    assert "remind" not in prompts(agent)[0]  # the agent's own tools take no part


def test_declining_is_an_empty_list(tmp_path: Path) -> None:
    made, _ = predicted(tmp_path, "none", row("sing"))
    assert (made.calls, made.decision, made.asks) == ((), "decline", ())


def test_asking_names_what_is_missing(tmp_path: Path) -> None:
    made, _ = predicted(tmp_path, "ask times", row("ring"))
    assert (made.calls, made.decision, made.asks) == ((), "ask", ("times",))


@pytest.mark.parametrize("name", ["a.b-c", "größe", "two words", "none", "ask", "日本", 'quo"te', "x/y:z", "user.ring"])
def test_names_come_back_unchanged(tmp_path: Path, name: str) -> None:
    from edge_agent.dialects import get

    answer = get("smollm2").write([Call(name, {"times": 1})])
    made, _ = predicted(tmp_path, answer, row("once", {**RING, "name": name}))
    assert (made.calls, made.error) == ((Call(name, {"times": 1}),), "")


def test_conversation_system_text_and_moment_are_shown(tmp_path: Path) -> None:
    said = {"function": {"name": "ring", "arguments": '{"times":1}'}}  # as OpenAI writes it
    turns = [
        {"role": "system", "content": "Be quick."},
        {"role": "user", "content": "ring"},
        {"role": "assistant", "content": None, "tool_calls": [said]},
        {"role": "tool", "content": "broken", "name": "ring"},
        {"role": "user", "content": [{"type": "text", "text": "again"}]},
    ]
    _, agent = predicted(tmp_path, "none", {**row(now="2026-03-14 Saturday 09:20"), "messages": turns})
    (shown,) = prompts(agent)
    for piece in ("Be quick.", 'ring {"times":1}', "broken", "Now: 2026-03-14 Saturday 09:20\nagain"):
        assert piece in shown


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"messages": None}, "messages must be a list"),
        ({"messages": []}, "must end with"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, "must end with"),
        ({"messages": [{"role": "boss", "content": "hi"}]}, r"messages\[0\]: a turn has a role"),
        ({"messages": [{"role": "user", "content": 3}]}, r"messages\[0\]: content"),
        ({"tools": [{"description": "x"}]}, "no name"),
        ({"tools": [RING, RING]}, "already"),
        ({"tools": [{"name": "x", "parameters": {"type": "integer"}}]}, "x"),
        ({"now": 5}, "now must be a text"),
    ],
)
def test_a_row_that_cannot_be_read_says_why(tmp_path: Path, wrong: Mapping[str, Any], said: str) -> None:
    made, _ = predicted(tmp_path, "none", {**row(), **wrong})
    assert re.search(said, made.error)
    assert made.calls == ()


def test_an_answer_that_is_no_call_is_an_error_of_its_row(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ["ring the bell, twice"])
    loaded = agent.loaded()
    loaded.held_by = "none"
    made = Predictor(agent).predict(row())
    assert made.error
    assert made.calls == ()


def test_predictions_survive_json(tmp_path: Path) -> None:
    made, _ = predicted(tmp_path, 'ring {"times":2}', row())
    assert Prediction.from_dict(json.loads(json.dumps(made.as_dict()))) == made


def rows_file(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_a_file_is_answered_line_by_line_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    rows = rows_file(tmp_path / "rows.jsonl", json.dumps(row()), "{oops", "[1]", json.dumps({**row(), "id": 7}))
    out = tmp_path / "out.jsonl"
    agent = make_agent(tmp_path, ['ring {"times":2}', "none"])
    seen: list[tuple[int, int]] = []
    assert predict_file(Predictor(agent), rows, out, lambda *at: seen.append(at)) == (4, 2)
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    assert [answer["id"] for answer in answers] == ["r", "", "", "7"]
    assert "row 2: not JSON" in answers[1]["error"]
    assert "row 3: a row is a JSON object, not list" in answers[2]["error"]
    assert seen[-1] == (4, 4)

    whole = out.read_text()
    out.write_text(whole[: whole.rindex('{"id": "7"') + 20])  # as an interrupt leaves it
    again = make_agent(tmp_path, ["none"])
    assert predict_file(Predictor(again), rows, out) == (4, 2)
    assert len(prompts(again)) == 1
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == ["r", "", "", "7"]


def test_an_out_file_of_other_rows_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text(json.dumps(Prediction("other").as_dict()) + "\n")
    with pytest.raises(InputError, match="not an answer to"):
        predict_file(Predictor(make_agent(tmp_path, [])), rows_file(tmp_path / "r.jsonl", json.dumps(row())), out)
    assert len(out.read_text().splitlines()) == 1

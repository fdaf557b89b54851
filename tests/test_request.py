from __future__ import annotations

import json
import time

from edge_agent.ledger import CallRow
from edge_agent.request import Conversation, Result, Trip

CALL = CallRow("notes.jot", {"text": "milk"}, "Noted: milk.", "", 3, 1.5)


def test_result_survives_json() -> None:
    result = Result("id", "text", "answer", "ask", 0.5, (CALL,), ("when",), "", 9, {"prompt": 5}, {"prompt": 1.0}, 2.0)
    assert Result.from_dict(json.loads(json.dumps(result.as_dict()))) == result


def test_as_dict_is_what_json_gives_back() -> None:
    values = Result("id", "text", "answer", "act", 1.0, (CALL,), ("when",)).as_dict()
    assert json.loads(json.dumps(values)) == values


def test_steps_that_repeat_add_up() -> None:
    trip = Trip("text")
    first = trip.lap("prompt", time.perf_counter() - 0.25)
    second = trip.lap("prompt", time.perf_counter() - 0.5)
    assert 250 <= first < second
    assert trip.steps_ms == {"prompt": first + second}


def test_closing_a_trip_gives_its_figures() -> None:
    trip = Trip("text")
    trip.count(prompt=10, reused=4)
    trip.count(prompt=3)
    trip.calls.append(CALL)
    trip.lap("decode", time.perf_counter() - 0.1)
    result = trip.close(Result(trip.id, trip.text, "answer", "act", 1.0), {"joules": None})
    assert (result.tokens["prompt"], result.tokens["reused"], result.tokens["generated"]) == (13, 4, 0)
    assert (result.calls, result.energy, result.answer) == ((CALL,), {"joules": None}, "answer")
    assert 100 <= result.steps_ms["decode"] < 10_000
    assert 0 < result.elapsed_ms < 10_000


def test_trips_and_conversations_share_nothing() -> None:
    first, second = Trip("text"), Trip("text")
    first.count(prompt=1)
    Conversation().open_words.append("words")
    assert first.id != second.id
    assert second.tokens["prompt"] == 0
    assert Conversation().open_words == []

from __future__ import annotations

from typing import Any

import pytest

from edge_agent.confidence import score, unanswered
from edge_agent.decode import Choice, Decoding
from edge_agent.dialects.base import Call
from edge_agent.verify import Verdict


def decoding(text: str, **choices: float) -> Decoding:
    """An answer whose free choices stand at the (first) places of the given texts."""
    made = [Choice(text.index(part), part, p, 0.0, 2) for part, p in choices.items()]
    return Decoding(text, tuple(sorted(made, key=lambda c: c.start)), len(text), 0, 1, True)


def verdict(name: str, outcome: Any = "pass", **arguments: Any) -> Verdict:
    return Verdict(Call(name, arguments), None, outcome, "", "", {})


TEXT = 'remind {"text":"milk","when":"at five"}'


def test_tool_times_the_weakest_argument() -> None:
    sure, end = score(decoding(TEXT, remind=0.9, milk=0.8, five=0.5), verdict("remind", text="milk", when="at five"), 0)
    assert sure.value == pytest.approx(0.45)
    assert sure.tool == 0.9
    assert sure.arguments == pytest.approx({"text": 0.8, "when": 0.5})
    assert end == len(TEXT) - 1


def test_several_choices_of_one_value_multiply() -> None:
    sure, _ = score(decoding(TEXT, at=0.5, five=0.5), verdict("remind", text="milk", when="at five"), 0)
    assert sure.arguments == pytest.approx({"text": 1.0, "when": 0.25})


def test_an_invented_value_halves_it() -> None:
    sure, _ = score(decoding(TEXT, remind=0.8), verdict("remind", "unsure", text="milk", when="at five"), 0)
    assert sure.value == pytest.approx(0.4)


def test_no_arguments() -> None:
    sure, end = score(decoding("stop {}", stop=0.7), verdict("stop"), 0)
    assert (sure.value, sure.arguments, end) == (0.7, {}, 4)


def test_calls_of_one_answer_are_scored_apart() -> None:
    text = 'jot {"text":"milk"}\njot {"text":"eggs"}'
    answer = decoding(text, milk=0.9, eggs=0.2)
    first, offset = score(answer, verdict("jot", text="milk"), 0)
    second, end = score(answer, verdict("jot", text="eggs"), offset)
    assert (first.value, second.value) == (pytest.approx(0.9), pytest.approx(0.2))
    assert end == len(text) - 1


@pytest.mark.parametrize("value", ["é日", 'a "quoted" word', "back\\slash", 12, 2.5, True, None, ["a", 1], {"b": "c"}])
def test_values_of_any_kind_are_found(value: Any) -> None:
    import json

    text = f'f {{"x":{json.dumps(value, ensure_ascii=False, separators=(",", ":"))},"later":1}}'
    choice = Choice(text.index(":") + 1, "", 0.5, 0.0, 2)
    after = Choice(text.index("later"), "", 0.1, 0.0, 2)
    sure, _ = score(Decoding(text, (choice, after), 1, 0, 1, True), verdict("f", x=value, later=1), 0)
    assert sure.arguments == pytest.approx({"x": 0.5, "later": 0.1})


def test_a_dialect_that_writes_otherwise_still_gets_a_probability() -> None:
    sure, end = score(decoding("[f(x=5)]", **{"f(": 0.5}), verdict("f", x=5), 0)
    assert 0.0 < sure.value <= 1.0
    assert end <= len("[f(x=5)]")


def test_declining_is_as_sure_as_it_was_likely() -> None:
    sure = unanswered(0.25)
    assert (sure.value, sure.calibrated, sure.arguments, sure.low, sure.high) == (0.75, False, {}, 0.0, 1.0)

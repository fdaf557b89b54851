from __future__ import annotations

from edge_agent.choose import posterior
from edge_agent.decode import Session
from edge_agent.engine.scripted import ScriptedEngine


def _ask(answer: str, scores: dict[str, float]) -> dict[str, float]:
    session = Session(ScriptedEngine([answer]))
    logits, _ = session.prefill(session.engine.tokenize("prompt"))
    before = session.engine.length()
    found = posterior(session, logits, {name: name for name in scores}, scores)
    assert session.engine.length() == before
    return found


def test_the_models_own_opinion_decides_between_equally_found_tools() -> None:
    found = _ask('set_alarm {"when":"six"}', {"set_timer": 1.0, "set_alarm": 1.0})
    assert next(iter(found)) == "set_alarm"
    assert abs(sum(found.values()) - 1.0) < 1e-9


def test_a_much_better_found_tool_wins_over_a_mild_preference() -> None:
    found = _ask("xyz", {"set_timer": 2.0, "set_alarm": 0.0})
    assert next(iter(found)) == "set_timer"
    assert found["set_timer"] > 0.99


def test_one_tool_is_certain() -> None:
    assert _ask("x", {"only": 0.0}) == {"only": 1.0}

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from agent_fixture import TOOLS, make_agent, paint, prompts

from edge_agent.agent import Agent
from edge_agent.config import Dirs, Settings
from edge_agent.errors import ContextOverflowError, EngineError, InputError, ModelError
from edge_agent.evals.simhost import SimulatedHost
from edge_agent.events import Answered, Decided, Event, Verified
from edge_agent.ledger import Row
from edge_agent.request import Conversation
from edge_agent.tools import Effect, tool, tool_from_schema

WATER = "remind me to water the plants in 20 minutes"
WATER_CALL = 'remind {"text":"water the plants","when":"in 20 minutes"}'

#: Thirteen is not in the grammar (`not` is checked after decoding), so the model can say it and fail.
PICK = tool_from_schema(
    {
        "name": "pick",
        "description": "Pick a number.",
        "parameters": {
            "type": "object",
            "properties": {"number": {"type": "integer", "description": "A multiple of seven.", "multipleOf": 7}},
            "required": ["number"],
        },
    },
    lambda number: f"Picked {number}.",
    effect="read",
)


def names(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def rows(agent: Agent) -> list[Row]:
    return list(agent.ledger.rows())


def one_of(events: list[Event], kind: type[Any]) -> Any:
    (found,) = [event for event in events if isinstance(event, kind)]
    return found


# -- the path of a request -----------------------------------------------------------------------------


def test_the_eight_steps_report_in_order(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, [WATER_CALL])
    events = list(agent.run(WATER))
    steps = ["Retrieved", "Prompted", "Decoded", "Verified", "Decided", "CallStarted", "CallFinished", "Answered"]
    assert names(events) == steps
    answered = one_of(events, Answered)
    assert answered.text == "I will remind you: water the plants, in 20 minutes."
    result = answered.result
    assert [*result["steps_ms"]] == ["retrieve", "prompt", "grammar", "decode", "verify", "execute"]
    assert result["elapsed_ms"] >= sum(result["steps_ms"].values()) - 0.1
    assert result["tokens"]["generated"] == len(WATER_CALL)
    assert (tmp_path / "home/reminders.txt").read_text() == "water the plants | in 20 minutes"


def test_ask_gives_the_same_as_run(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, [WATER_CALL])
    result = agent.ask(WATER)
    (row,) = rows(agent)
    assert (result.id, result.answer, result.decision, result.exit_code) == (row.id, row.answer, "act", 0)
    assert result.calls == tuple(row.calls)


@pytest.mark.parametrize(
    ("text", "answer", "decision", "exit_code", "error"),
    [
        (WATER, WATER_CALL, "act", 0, None),
        ("tell me a joke", "none", "decline", 8, None),
        ("remind me to water the plants", 'remind {"text":"water the plants"}', "ask", 9, None),
        ("jot down nothing", 'jot {"text":"nothing"}', "failed", 6, "there is nothing to write down"),
        ("send hello", 'send {"text":"hello"}', "failed", 10, "post.send was not allowed; nothing was done"),
    ],
)
def test_every_outcome_has_its_exit_code_and_ledger_row(
    tmp_path: Path, text: str, answer: str, decision: str, exit_code: int, error: str | None
) -> None:
    agent = make_agent(tmp_path, [answer])
    result = agent.ask(text)
    assert (result.decision, result.exit_code) == (decision, exit_code)
    (row,) = rows(agent)
    assert (row.text, row.decision, row.error, row.answer) == (text, decision, error, result.answer)
    assert (row.model, row.tools_offered, len(row.tools_kept)) == ("scripted", 4, 4)
    assert row.prompt_tokens == len(prompts(agent)[0].encode())
    assert row.generated_tokens == len(answer)
    assert row.elapsed_ms > 0
    assert row.energy is not None
    assert error is None or error in result.answer


def test_a_failing_tools_hint_is_told(tmp_path: Path) -> None:
    answer = make_agent(tmp_path, ['jot {"text":"nothing"}']).ask("jot down nothing").answer
    assert answer == "there is nothing to write down (say what)"


def test_unusable_text_is_refused_before_anything_happens(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ["none"])
    for text in ("", "  \n", "\x1b[31m", "\ud800", "x" * 20_001):
        with pytest.raises(InputError):
            agent.ask(text)
    assert prompts(agent) == []


class FailingEngine:
    """Delegates to another engine until `evaluate` is told to fail."""

    def __init__(self, inner: Any, error: BaseException) -> None:
        self._inner, self.error = inner, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def evaluate(self, tokens: Any, *, sequence: int = 0) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kept"), [(EngineError("it broke"), "it broke"), (KeyboardInterrupt(), "KeyboardInterrupt")]
)
def test_engine_error_is_raised_and_in_the_ledger_and_the_next_request_works(
    tmp_path: Path, error: BaseException, kept: str
) -> None:
    agent = make_agent(tmp_path, [WATER_CALL])
    session = agent.loaded().session
    whole = session.engine
    session.engine = FailingEngine(whole, error)  # type: ignore[assignment]
    with pytest.raises(type(error)):
        agent.ask(WATER)
    session.engine = whole
    assert agent.ask(WATER).decision == "act"
    done, failed = rows(agent)
    assert (failed.decision, failed.error, failed.calls, failed.energy) == ("failed", kept, (), None)
    assert failed.elapsed_ms > 0
    assert done.decision == "act"


def test_a_missing_model_is_in_the_ledger_too(tmp_path: Path) -> None:
    dirs = Dirs(tmp_path / "config", tmp_path / "data", tmp_path / "cache")
    agent = Agent(model=str(tmp_path / "none.gguf"), dialect="smollm2", dirs=dirs, host=SimulatedHost(), tools=TOOLS)
    with pytest.raises(ModelError, match=r"none\.gguf"):
        agent.ask(WATER)
    (row,) = rows(agent)
    assert (row.decision, row.text) == ("failed", WATER)


def test_an_answer_without_an_end_is_an_engine_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.agent._ANSWER_TOKENS", -600)
    words = " ".join(f"word{n}" for n in range(100))
    agent = make_agent(tmp_path, [f'jot {{"text":"{words}"}}'])
    with pytest.raises(EngineError, match="not finished"):
        agent.ask(f"jot down {words}")


def test_context_overflow_is_an_error_and_nothing_is_cut(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, [WATER_CALL], context=2_000)
    with pytest.raises(ContextOverflowError, match="context"):
        agent.ask("jot down " + "very " * 300)
    assert agent.ask(WATER).decision == "act"
    assert [row.decision for row in rows(agent)] == ["act", "failed"]


def test_a_caller_who_stops_listening_frees_the_agent(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, [WATER_CALL])
    events = agent.run(WATER)
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert agent.ask(WATER).decision == "act"
    assert [row.error for row in rows(agent)] == [None, "GeneratorExit"]
    assert len(agent.journal.actions()) == 1


# -- asking --------------------------------------------------------------------------------------------


def test_an_absent_copied_slot_is_asked_for_and_the_answer_completes_the_request(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ['remind {"text":"water the plants"}', WATER_CALL])
    conversation = Conversation()
    asked = agent.ask("remind me to water the plants", conversation)
    assert (asked.decision, asked.asks) == ("ask", ("when",))
    assert asked.answer == "I need more to remind: when (When to remind)?"
    assert agent.journal.actions() == []
    done = agent.ask("in 20 minutes", conversation)
    assert done.decision == "act"
    assert done.calls[0].arguments == {"text": "water the plants", "when": "in 20 minutes"}
    turns = ("user\nremind me to water the plants", f"assistant\n{asked.answer}", "user\nin 20 minutes")
    assert "\n".join(f"<|im_start|>{turn}<|im_end|>" for turn in turns) in prompts(agent)[1]
    assert conversation.open_words == []


def test_without_the_conversation_the_follow_up_stands_alone(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ['remind {"text":"water the plants"}', 'remind {"when":"in 20 minutes"}'])
    agent.ask("remind me to water the plants")
    result = agent.ask("in 20 minutes")
    assert (result.decision, result.asks) == ("ask", ("text",))


def test_declining_forgets_open_words(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ['remind {"text":"water the plants"}', "none"])
    conversation = Conversation()
    agent.ask("remind me to water the plants", conversation)
    assert agent.ask("never mind", conversation).decision == "decline"
    assert conversation.open_words == []


def test_a_model_trained_to_ask_may_ask(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ["ask when, text"], untuned=False)
    result = agent.ask("remind me")
    assert (result.decision, result.asks, result.exit_code) == ("ask", ("when", "text"), 9)
    assert "milk" not in prompts(agent)[0]  # no demonstrations for a trained model


def test_an_untuned_model_cannot_ask(tmp_path: Path) -> None:
    result = make_agent(tmp_path, untuned=True, answers=["ask when"]).ask("tell me a joke")
    assert result.decision != "ask"


def test_the_question_names_the_tool_that_lacks_something(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ['jot {"text":"milk"}\nremind {"text":"eggs"}'])
    result = agent.ask("jot down milk and remind me of eggs")
    assert (result.decision, result.asks) == ("ask", ("when",))
    assert result.answer == "I need more to remind: when (When to remind)?"
    assert result.calls == ()


def test_a_weak_call_is_asked_about(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, [WATER_CALL], settings=Settings(act_above=1.01))
    result = agent.ask(WATER)
    assert (result.decision, len(result.asks)) == ("ask", 1)
    assert agent.journal.actions() == []


# -- declining and retrying ----------------------------------------------------------------------------


@pytest.mark.parametrize(("decline_above", "decision"), [(0.0, "decline"), (0.5, "decline"), (1.0, "act")])
def test_declining_is_a_threshold(tmp_path: Path, decline_above: float, decision: str) -> None:
    settings = Settings(decline_above=decline_above)
    result = make_agent(tmp_path, ["none"], tools=[paint], settings=settings).ask("tell me a joke")
    assert result.decision == decision


def test_the_probability_of_declining_is_what_the_model_gives_it(tmp_path: Path) -> None:
    for answer, low, high in [("none", 0.0, 0.01), (WATER_CALL, 0.99, 1.0)]:
        events = list(make_agent(tmp_path, [answer]).run(WATER, dry_run=True))
        (probability,) = [event.call_probability for event in events if hasattr(event, "call_probability")]
        assert low <= probability <= high


def test_no_tools_at_all_declines(tmp_path: Path) -> None:
    result = make_agent(tmp_path, ["none"], tools=[]).ask(WATER)
    assert (result.decision, result.answer) == ("decline", "I have no tool for that.")


def test_a_wrong_call_is_retried_with_the_diagnosis(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ['pick {"number":13}', 'pick {"number":7}'], tools=[PICK])
    events = list(agent.run("pick 7 or 13"))
    assert [e.decision for e in events if isinstance(e, Decided)] == ["retry", "act"]
    assert [e.verdict for e in events if isinstance(e, Verified)] == ["fail", "pass"]
    first, second = prompts(agent)
    assert "error:" not in first
    assert 'pick {"number":13}' in second
    assert "error: user.pick: number: 13 is not a multiple of 7" in second
    assert one_of(events, Answered).text == "Picked 7."
    assert len(rows(agent)) == 1


def test_a_call_that_stays_wrong_is_asked_about(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ['pick {"number":13}'], tools=[PICK])
    events = list(agent.run("pick 13"))
    assert [e.decision for e in events if isinstance(e, Decided)] == ["retry", "ask"]
    assert one_of(events, Answered).result["asks"] == ["number"]
    assert one_of(events, Answered).text == "I need more to pick: number (A multiple of seven)?"


# -- acting --------------------------------------------------------------------------------------------


def test_several_calls_run_in_order(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ['jot {"text":"milk"}\njot {"text":"eggs"}\npaint {"colour":"red"}'])
    result = agent.ask("jot down milk and eggs and paint it red")
    assert result.answer == "Noted: milk.\nNoted: eggs.\nPainted red, 1 times."
    assert (tmp_path / "home/notes.txt").read_text() == "milk\neggs\n"
    assert [call.tool for call in rows(agent)[0].calls] == ["notes.jot", "notes.jot", "paint.paint"]


def test_calls_stop_at_the_first_failure(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ['jot {"text":"milk"}\njot {"text":"nothing"}\njot {"text":"eggs"}'])
    result = agent.ask("jot down milk and nothing and eggs")
    assert (result.decision, result.exit_code) == ("failed", 6)
    assert [(bool(call.error), call.arguments["text"]) for call in result.calls] == [(False, "milk"), (True, "nothing")]
    assert (tmp_path / "home/notes.txt").read_text() == "milk\n"
    assert result.answer.startswith("Noted: milk.\nthere is nothing")


def test_no_more_calls_than_the_setting_allows(tmp_path: Path) -> None:
    answer = "\n".join('jot {"text":"milk"}' for _ in range(5))
    result = make_agent(tmp_path, [answer], settings=Settings(max_calls=2)).ask("jot down milk")
    assert len(result.calls) == 2


def test_dry_run_runs_nothing(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ['jot {"text":"milk"}\nsend {"text":"milk"}'], settings=Settings(max_steps=3))
    result = agent.ask("jot down milk and send it", dry_run=True)
    assert result.decision == "act"
    assert result.answer.splitlines() == [
        "Would run notes.jot(text='milk') [write].",
        "Would run post.send(text='milk') [irreversible].",
    ]
    assert list((tmp_path / "home").iterdir()) == []
    assert agent.journal.actions() == []
    assert [call.action for call in rows(agent)[0].calls] == [0, 0]


@pytest.mark.parametrize("allowed", [True, False])
def test_approval_is_asked_for_the_exact_call(tmp_path: Path, allowed: bool) -> None:
    asked: list[Any] = []
    host = SimulatedHost()

    def approve(approval: Any) -> bool:
        asked.append(approval)
        return allowed

    agent = make_agent(tmp_path, ['jot {"text":"hello"}\nsend {"text":"hello"}'], host=host, approve=approve)
    result = agent.ask("jot down and send hello")
    ((approval),) = asked
    assert (approval.tool, dict(approval.arguments), approval.effect) == (
        "post.send", {"text": "hello"}, Effect.IRREVERSIBLE,
    )  # fmt: skip
    assert [note["body"] for note in host.state["notifications"]] == (["hello"] if allowed else [])
    assert (result.exit_code, result.decision) == ((0, "act") if allowed else (10, "failed"))
    assert ("not allowed" in result.answer) is not allowed


def test_offline_refuses_egress(tmp_path: Path) -> None:
    @tool(effect=Effect.EGRESS)
    def fetch() -> str:
        """Fetch the news."""
        raise AssertionError("it ran")

    result = make_agent(tmp_path, ["fetch {}"], tools=[fetch], offline=True, approve=lambda _: True).ask("news")
    assert (result.decision, result.exit_code) == ("failed", 12)


# -- several steps -------------------------------------------------------------------------------------


def test_later_steps_see_results_and_none_ends_the_plan(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ['jot {"text":"milk"}', 'jot {"text":"eggs"}', "none"], settings=Settings(max_steps=5))
    events = list(agent.run("jot down milk then eggs"))
    assert [e.decision for e in events if isinstance(e, Decided)] == ["act", "act", "decline"]
    result = one_of(events, Answered).result
    assert (result["decision"], result["exit_code"]) == ("act", 0)
    assert result["answer"] == "Noted: milk.\nNoted: eggs."
    assert ["Noted: milk." in prompt for prompt in prompts(agent)] == [False, True, True]
    assert len(rows(agent)) == 1


@pytest.mark.parametrize("max_steps", [1, 2, 3])
def test_steps_end_at_the_limit(tmp_path: Path, max_steps: int) -> None:
    result = make_agent(tmp_path, ['jot {"text":"milk"}'], settings=Settings(max_steps=max_steps)).ask("jot down milk")
    assert (result.decision, len(result.calls)) == ("act", max_steps)


def test_a_retry_costs_no_step(tmp_path: Path) -> None:
    answers = ['pick {"number":13}', 'pick {"number":7}', 'pick {"number":14}', 'pick {"number":21}']
    agent = make_agent(tmp_path, answers, tools=[PICK], settings=Settings(max_steps=2))
    assert agent.ask("pick 7 and 14").answer == "Picked 7.\nPicked 14."


def test_what_was_done_is_told_when_a_later_step_asks(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ['jot {"text":"milk"}', 'remind {"text":"milk"}'], settings=Settings(max_steps=3))
    result = agent.ask("jot down milk and remind me")
    assert result.decision == "ask"
    assert result.answer == "Noted: milk.\nI need more to remind: when (When to remind)?"


def test_earlier_turns_are_in_the_prompt(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ['jot {"text":"milk"}', 'jot {"text":"eggs"}'])
    conversation = Conversation()
    agent.ask("jot down milk", conversation)
    agent.ask("jot down eggs", conversation)
    assert prompts(agent)[1].count("Noted: milk.") == 1
    assert [turn.role for turn in conversation.turns] == ["user", "assistant", "tool"] * 2

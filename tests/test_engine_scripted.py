from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.engine.scripted import ScriptedEngine
from edge_agent.errors import ContextOverflowError, EngineError


def complete(engine: ScriptedEngine, prompt: str) -> str:
    """Greedy decoding without a grammar."""
    engine.trim(0)
    logits = engine.evaluate(engine.tokenize(prompt))
    written: list[int] = []
    while (token := int(logits.argmax())) not in engine.info.end_tokens:
        written.append(token)
        logits = engine.evaluate([token])
    return engine.detokenize(written)


def test_answers_come_in_order_and_the_last_for_ever() -> None:
    engine = ScriptedEngine(["one", "two"])
    assert [complete(engine, f"{n}") for n in range(3)] == ["one", "two", "two"]
    assert engine.prompts == ["0", "1", "2"]


def test_an_answer_may_follow_from_the_prompt() -> None:
    engine = ScriptedEngine(lambda prompt: prompt.upper())
    assert complete(engine, "shout ä") == "SHOUT Ä"


@given(st.text(max_size=20))
def test_any_answer_is_written_whole(answer: str) -> None:
    assert complete(ScriptedEngine([answer]), "x") == answer


def test_an_answer_that_was_forced_elsewhere_ends() -> None:
    engine = ScriptedEngine(["abc"])
    engine.evaluate(engine.tokenize("prompt"))
    assert int(engine.evaluate(engine.tokenize("ax")).argmax()) in engine.info.end_tokens


def test_tokens_are_bytes_and_marks_have_no_text() -> None:
    engine = ScriptedEngine(["x"])
    assert engine.tokenize("é") == [0xC3, 0xA9]
    assert engine.detokenize([0xC3, 0xA9, *range(256, engine.info.vocabulary)]) == "é"
    assert engine.detokenize([0xC3]) == "\ufffd"
    assert engine.guidance_tokenizer().vocab_size == engine.info.vocabulary
    assert engine.evaluate([65]).shape == (engine.info.vocabulary,)


def test_overflow_leaves_the_sequence_unchanged() -> None:
    engine = ScriptedEngine(["x"], context=4)
    engine.evaluate([1, 2, 3])
    with pytest.raises(ContextOverflowError):
        engine.evaluate([4, 5])
    assert engine.length() == 3
    engine.evaluate([4])
    assert engine.snapshot() == bytes([1, 2, 3, 4])


def test_snapshots_are_exact() -> None:
    engine = ScriptedEngine(["x"])
    engine.evaluate([0xFF, 0, 65])
    state = engine.snapshot()
    engine.trim(0)
    engine.restore(state)
    assert (engine.length(), engine.snapshot()) == (3, bytes([0xFF, 0, 65]))


def test_what_it_cannot_do_it_says() -> None:
    engine = ScriptedEngine(["x"])
    with pytest.raises(EngineError, match="one sequence"):
        engine.fork(0, 1)
    with pytest.raises(EngineError, match="adapters"):
        engine.use_adapter(None)

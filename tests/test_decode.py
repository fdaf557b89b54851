from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.decode import Choice, Decoding, Session, decode, legal_mass
from edge_agent.engine.scripted import ScriptedEngine
from edge_agent.errors import ContextOverflowError, EngineError
from edge_agent.grammar import Grammar, parse_gbnf
from edge_agent.grammar.matcher import TokenMatcher, byte_tokenizer

ANSWERS = parse_gbnf('root ::= "none" | "say " ("hello" | "help" | [0-9]+)')
NONE = parse_gbnf('root ::= "none"')


def write(answer: str, grammar: Grammar = ANSWERS, max_tokens: int = 384) -> Decoding:
    session = Session(ScriptedEngine([answer]))
    logits, _ = session.prefill(session.engine.tokenize("prompt: "))
    return decode(session, logits, grammar, max_tokens=max_tokens)


@pytest.mark.parametrize("answer", ["none", "say hello", "say help", "say 42"])
def test_a_legal_answer_is_written_as_the_model_wants_it(answer: str) -> None:
    decoding = write(answer)
    assert (decoding.text, decoding.ended) == (answer, True)
    assert decoding.tokens == len(answer)
    written = [choice for choice in decoding.choices if choice.text]
    assert decoding.forced_tokens == len(answer) - len(written)
    assert all(answer[c.start :].startswith(c.text) for c in written)


def test_forced_text_needs_no_passes_of_its_own() -> None:
    decoding = write("say hello")
    assert [choice.text for choice in decoding.choices] == ["s", "h", "l"]
    assert (decoding.forced_tokens, decoding.passes) == (6, 2)
    assert write("none", NONE).choices == ()
    assert write("none", NONE).passes == 0


@given(st.text(max_size=12))
def test_whatever_the_model_wants_the_answer_is_in_the_grammar(wanted: str) -> None:
    decoding = write(wanted, max_tokens=20)
    matcher = TokenMatcher(ANSWERS, byte_tokenizer())
    assert all(matcher.accept(byte) for byte in decoding.text.encode())
    assert matcher.complete or not decoding.ended
    assert all(0 <= c.runner_up <= c.probability <= 1 and c.legal >= 2 for c in decoding.choices)


def test_max_tokens_cuts_and_says_so() -> None:
    decoding = write("say 123456789", max_tokens=8)
    assert (decoding.text, decoding.ended) == ("say 1234", False)


def test_an_end_that_the_grammar_does_not_allow_yet_is_not_taken() -> None:
    assert write("say ").text.startswith("say ")
    assert write("say ").text != "say "


def test_probability_is_that_of_choices_inside_the_span() -> None:
    decoding = Decoding("abcdef", (Choice(0, "a", 0.5, 0.1, 2), Choice(3, "d", 0.4, 0.1, 2)), 6, 4, 2, True)
    assert decoding.probability(0, 6) == pytest.approx(0.2)
    assert decoding.probability(0, 3) == pytest.approx(0.5)
    assert decoding.probability(3, 4) == pytest.approx(0.4)
    assert decoding.probability(4, 6) == 1.0


def test_probabilities_are_over_what_is_legal() -> None:
    (first, *_) = write("say hello").choices
    # one byte is liked by 12 nats; the only other legal one is the n of none
    assert first.legal == 2
    assert first.probability == pytest.approx(1 / (1 + np.exp(-12)))
    assert first.runner_up == pytest.approx(1 - first.probability, abs=1e-9)


@pytest.mark.parametrize("letter", ["s", "n", "x"])
def test_legal_mass_is_the_share_of_the_narrow_grammar(letter: str) -> None:
    narrow, wide = (TokenMatcher(grammar, byte_tokenizer()) for grammar in (NONE, ANSWERS))
    logits = np.zeros(narrow.mask().size, dtype=np.float32)
    logits[ord(letter)] = 2.0
    expected = {"n": np.exp(2) / (np.exp(2) + 1), "s": 1 / (np.exp(2) + 1), "x": 0.5}[letter]
    assert legal_mass(logits, narrow, wide) == pytest.approx(float(expected))
    assert legal_mass(logits, wide, wide) == pytest.approx(1.0)


def test_logits_beyond_float_range_do_not_overflow() -> None:
    wide = TokenMatcher(ANSWERS, byte_tokenizer())
    logits = np.full(wide.mask().size, -1e30, dtype=np.float32)
    logits[ord("n")] = 1e30
    assert legal_mass(logits, TokenMatcher(NONE, byte_tokenizer()), wide) == 1.0


# -- sessions ------------------------------------------------------------------------------------------


def test_a_shared_prefix_is_evaluated_once() -> None:
    session = Session(ScriptedEngine(["x"]))
    assert session.prefill([1, 2, 3, 4])[1] == 0
    assert session.prefill([1, 2, 3, 4])[1] == 3  # the last one is evaluated again, for its logits
    assert session.prefill([1, 2, 9, 9, 9])[1] == 2
    assert session.prefill([1])[1] == 0
    assert session.engine.length() == 1


def test_what_was_decoded_is_forgotten_by_the_next_prompt() -> None:
    session = Session(ScriptedEngine(["say hello"]))
    prompt = session.engine.tokenize("prompt: ")
    logits, _ = session.prefill(prompt)
    decode(session, logits, ANSWERS)
    assert session.engine.length() > len(prompt)
    session.prefill(prompt)
    assert session.engine.length() == len(prompt)


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=6))
def test_the_sequence_holds_exactly_the_last_prompt(prompts: list[list[int]]) -> None:
    engine = ScriptedEngine(["x"])
    session = Session(engine)
    for prompt in prompts:
        _, reused = session.prefill(prompt)
        assert engine.snapshot() == bytes(prompt)
        assert reused < len(prompt)


def test_a_prompt_that_does_not_fit_changes_nothing() -> None:
    engine = ScriptedEngine(["x"], context=6)
    session = Session(engine)
    session.prefill([1, 2, 3])
    with pytest.raises(ContextOverflowError, match="6 tokens; the context holds 6"):
        session.prefill([1, 2, 3, 4, 5, 6])
    assert engine.snapshot() == bytes([1, 2, 3])
    assert session.prefill([1, 2, 3, 4])[1] == 3


def test_an_answer_that_outgrows_the_context_is_an_error() -> None:
    session = Session(ScriptedEngine(["say 123456"], context=8))
    logits, _ = session.prefill([1, 2, 3])
    with pytest.raises(ContextOverflowError):
        decode(session, logits, ANSWERS)
    assert session.prefill([1, 2, 3, 4])[1] == 3  # and the session is sound


class Forgetful(ScriptedEngine):
    """Like a recurrent memory: it cannot forget a part, only all."""

    def trim(self, length: int, *, sequence: int = 0) -> None:
        super().trim(length if length == self.length() else 0, sequence=sequence)


def test_a_memory_that_cannot_forget_a_part_is_filled_anew() -> None:
    engine = Forgetful(["x"])
    session = Session(engine)
    session.prefill([1, 2, 3])
    assert session.prefill([1, 2, 4])[1] == 0
    assert engine.snapshot() == bytes([1, 2, 4])


class Failing(ScriptedEngine):
    fails = False

    def evaluate(self, tokens: list[int], *, sequence: int = 0) -> object:  # type: ignore[override]
        if self.fails:
            raise EngineError("it broke")
        return super().evaluate(tokens, sequence=sequence)


def test_after_a_failed_pass_the_session_knows_what_it_holds() -> None:
    engine = Failing(["x"])
    session = Session(engine)  # type: ignore[arg-type]
    session.prefill([1, 2, 3])
    engine.fails = True
    with pytest.raises(EngineError):
        session.prefill([1, 2, 4, 5])
    engine.fails = False
    assert session.prefill([1, 2, 4, 5])[1] == 2
    assert engine.snapshot() == bytes([1, 2, 4, 5])

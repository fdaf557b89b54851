"""llama.cpp on the bundled real model."""

from __future__ import annotations

import ctypes
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf_fixture import F32, STRING, U32, Tensor, build, write

from edge_agent.decode import Session, decode
from edge_agent.engine import Engine, open_engine
from edge_agent.errors import ContextOverflowError, EngineError, InputError, ModelError

pytest.importorskip("llama_cpp")
from edge_agent.engine import llama
from edge_agent.engine.llama import LlamaEngine, NativeMatcher, quantize, safe_kernels
from edge_agent.grammar import TokenMatcher, compile_schema, parse_gbnf

pytestmark = pytest.mark.model

TEXT = "<|im_start|>user\nThe capital of France is"


@pytest.fixture(scope="module")
def small(weights: Path) -> Iterator[LlamaEngine]:
    """The same weights with room for 256 tokens."""
    engine = LlamaEngine(weights, context=256)
    yield engine
    engine.close()


@pytest.fixture(autouse=True)
def _empty(small: LlamaEngine) -> None:
    for sequence in range(small.info.sequences):
        small.trim(0, sequence=sequence)


def close(one: Any, other: Any) -> bool:
    """Equal but for the order of sums: passes of other sizes take other kernels."""
    return bool(np.allclose(one, other, atol=0.15) and one.argmax() == other.argmax())


# -- what it is ----------------------------------------------------------------------------------------


def test_info_says_what_is_loaded(engine: Engine, weights: Path) -> None:
    info = engine.info
    assert (info.backend, info.architecture, info.vocabulary, info.context) == ("llama.cpp", "llama", 49152, 4096)
    assert info.model == str(weights)
    assert {engine.tokenize("<|im_end|>")[0], engine.tokenize("<|endoftext|>")[0]} <= set(info.end_tokens)
    assert info.threads >= 1


def test_it_knows_something(engine: Engine) -> None:
    logits = engine.evaluate(engine.tokenize("The capital of France is"))
    assert (logits.dtype, logits.shape) == (np.float32, (engine.info.vocabulary,))
    assert engine.detokenize([int(logits.argmax())]) == " Paris"


def test_context_is_bounded_by_what_the_model_was_trained_with(weights: Path) -> None:
    from edge_agent.config import Settings

    engine = open_engine(weights, Settings(context_tokens=1_000_000))
    try:
        assert engine.info.context == 8192
        assert engine.info.model == str(weights)
    finally:
        engine.close()


@pytest.mark.parametrize("text", ["", "plain words", "é日本🙂 naïve", "tabs\tand\nlines  ", '{"a": [1]}', "\u200b"])
def test_tokens_are_text_again(engine: Engine, text: str) -> None:
    assert engine.detokenize(engine.tokenize(text)) == text


def test_special_tokens_are_single_and_have_no_text(engine: Engine) -> None:
    (start,) = engine.tokenize("<|im_start|>")
    assert engine.detokenize([start, *engine.tokenize("hi")]) == "hi"
    assert len(engine.tokenize("<\u200b|im_start|>")) > 1


def test_half_a_character_is_replaced(engine: Engine) -> None:
    tokens = engine.tokenize("𓂀")
    assert len(tokens) > 1
    assert "\ufffd" in engine.detokenize(tokens[:1])


def test_the_matchers_tokenizer_is_the_engines(engine: Engine) -> None:
    tokenizer = engine.guidance_tokenizer()
    assert tokenizer is engine.guidance_tokenizer()
    assert tokenizer.vocab_size == engine.info.vocabulary
    for text in ('remind {"text":"water the plants"}', "none", "naïve 日本"):
        assert tokenizer.tokenize_str(text) == engine.tokenize(text)


def test_text_in_a_grammar_is_never_a_control_token(engine: Engine) -> None:
    from edge_agent.grammar import parse_gbnf
    from edge_agent.grammar.matcher import TokenMatcher

    matcher = TokenMatcher(parse_gbnf('root ::= "<|im_end|>" "a"'), engine.guidance_tokenizer())
    mask = matcher.mask()
    assert mask.any()
    assert not mask[list(engine.info.end_tokens)].any()
    assert not mask[engine.tokenize("<|im_start|>")[0]]


# -- sequences -----------------------------------------------------------------------------------------


def test_in_one_pass_or_token_by_token(engine: Engine) -> None:
    tokens = engine.tokenize(TEXT)
    whole = engine.evaluate(tokens)
    engine.trim(0)
    for token in tokens:
        single = engine.evaluate([token])
    assert engine.length() == len(tokens)
    assert close(whole, single)


def test_prompts_longer_than_a_batch(engine: Engine) -> None:
    tokens = engine.tokenize("one two three " * 175)
    assert len(tokens) > 512
    engine.evaluate(tokens)
    assert engine.length() == len(tokens)


def test_logits_are_the_callers_own(engine: Engine) -> None:
    first = engine.evaluate(engine.tokenize("one"))
    kept = first.copy()
    engine.evaluate(engine.tokenize(" two"))
    assert (first == kept).all()


def test_trimmed_tokens_are_forgotten(engine: Engine) -> None:
    tokens = engine.tokenize(TEXT)
    expected = engine.evaluate(tokens)
    engine.evaluate(engine.tokenize(" something else entirely"))
    engine.trim(len(tokens) - 1)
    assert engine.length() == len(tokens) - 1
    assert close(engine.evaluate(tokens[-1:]), expected)


def test_a_fork_goes_on_by_itself(engine: Engine) -> None:
    tokens, more = engine.tokenize(TEXT), engine.tokenize(" a")
    engine.evaluate(tokens)
    engine.evaluate(engine.tokenize("old words"), sequence=1)
    engine.fork(0, 1)
    assert engine.length(1) == len(tokens)
    forked = engine.evaluate(more, sequence=1)
    assert engine.length(0) == len(tokens)
    assert (engine.evaluate(more) == forked).all()
    engine.trim(0, sequence=0)
    assert engine.length(1) == len(tokens) + 1


def test_a_snapshot_goes_on_where_it_was_taken(engine: Engine) -> None:
    tokens, more = engine.tokenize(TEXT), engine.tokenize(" a")
    engine.evaluate(tokens)
    state = engine.snapshot()
    expected = engine.evaluate(more)
    engine.trim(0)
    engine.evaluate(engine.tokenize("other words"))
    engine.restore(state)
    assert engine.length() == len(tokens)
    assert (engine.evaluate(more) == expected).all()
    engine.restore(state, sequence=2)
    assert (engine.evaluate(more, sequence=2) == expected).all()


@pytest.mark.parametrize("damage", [lambda s: b"", lambda s: s[: len(s) // 2], lambda s: b"\xff" * 64 + s[64:]])
def test_a_state_that_does_not_belong_here_is_refused(engine: Engine, damage: Any) -> None:
    engine.evaluate(engine.tokenize(TEXT))
    state = engine.snapshot()
    with pytest.raises(EngineError, match="does not belong"):
        engine.restore(damage(state))
    assert engine.length() == 0
    engine.restore(state)
    assert engine.length() > 0


def test_overflow_leaves_the_sequence_unchanged(small: LlamaEngine) -> None:
    tokens = small.tokenize(TEXT)
    small.evaluate(tokens)
    expected = small.evaluate(small.tokenize(" a"))
    small.trim(len(tokens))
    with pytest.raises(ContextOverflowError, match=r"do not fit a context of 256"):
        small.evaluate([5] * 256)
    assert small.length() == len(tokens)
    assert close(small.evaluate(small.tokenize(" a")), expected)


def test_other_sequences_may_hold_the_room(small: LlamaEngine) -> None:
    tokens = small.tokenize(TEXT)
    small.evaluate([5] * 200, sequence=1)
    small.evaluate(tokens)
    with pytest.raises(ContextOverflowError, match="other sequences"):
        small.evaluate([5] * 100)
    assert (small.length(0), small.length(1)) == (len(tokens), 200)
    small.trim(0, sequence=1)
    small.evaluate([5] * 100)
    assert small.length() == len(tokens) + 100


def test_a_context_can_be_filled_to_the_last_token(small: LlamaEngine) -> None:
    small.evaluate([5] * 256)
    assert small.length() == 256
    with pytest.raises(ContextOverflowError):
        small.evaluate([5])


@pytest.mark.parametrize("tokens", [[], [1_000_000], [-5]])
def test_what_is_no_token_is_an_error(small: LlamaEngine, tokens: list[int]) -> None:
    small.evaluate([5])
    with pytest.raises(EngineError):
        small.evaluate(tokens)
    assert small.length() == 1


# -- files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "about"),
    [
        ("empty.gguf", b"", "empty"),
        ("magic.gguf", build(magic=b"GGML"), "starts with b'GGML'"),
        ("arch.gguf", build({"general.architecture": (STRING, "abacus")}), "abacus"),
        ("hollow.gguf", build(), "llama.cpp cannot load it"),  # a sound header, and no such model
    ],
)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, name: str, data: bytes, about: str) -> None:
    path = write(tmp_path / name, data)
    with pytest.raises(ModelError, match=about) as caught:
        LlamaEngine(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("size", [1_000, 3_000_000])
def test_a_truncated_model_is_refused(tmp_path: Path, weights: Path, size: int) -> None:
    path = tmp_path / "cut.gguf"
    with weights.open("rb") as handle:
        path.write_bytes(handle.read(size))
    with pytest.raises(ModelError, match=r"cut\.gguf"):
        LlamaEngine(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.gguf"):
        LlamaEngine(tmp_path / "none.gguf")


def test_llama_cpp_writes_nothing_on_the_terminal(
    tmp_path: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = LlamaEngine(weights, context=256)
    engine.evaluate(engine.tokenize(TEXT))
    with pytest.raises(ModelError):
        LlamaEngine(write(tmp_path / "hollow.gguf"))
    engine.close()
    assert capfd.readouterr() == ("", "")
    assert llama._native_log


def test_closing_twice_is_harmless(weights: Path) -> None:
    engine = LlamaEngine(weights, context=256)
    engine.guidance_tokenizer()
    engine.close()
    engine.close()


# -- adapters ------------------------------------------------------------------------------------------


def adapter(path: Path, size: int = 576, arch: str = "llama", kind: str = "adapter", target: str = "attn_q") -> Path:
    """A LoRA of rank 4 on the first layer's queries, all its weights 0.0115."""
    metadata: dict[str, tuple[int, object]] = {
        "general.type": (STRING, kind),
        "general.architecture": (STRING, arch),
        "adapter.type": (STRING, "lora"),
        "adapter.lora.alpha": (F32, 64.0),
        "general.file_type": (U32, 0),
    }
    name = f"blk.0.{target}.weight.lora_"
    tensors = (Tensor(f"{name}a", (size, 4)), Tensor(f"{name}b", (4, size)))
    return write(path, build(metadata, tensors, fill=0x3C))


def test_an_adapter_changes_answers_until_it_is_taken_off(tmp_path: Path, small: LlamaEngine) -> None:
    tokens = small.tokenize(TEXT)

    def answer() -> Any:
        small.trim(0)
        return small.evaluate(tokens)

    plain = answer()
    path = adapter(tmp_path / "fits.gguf")
    try:
        small.use_adapter(path)
        adapted = answer()
        assert not np.allclose(plain, adapted, atol=0.5)
        small.use_adapter(path, scale=0.0)
        assert np.allclose(plain, answer(), atol=1e-3)
        small.use_adapter(path)
        assert (adapted == answer()).all()
    finally:
        small.use_adapter(None)
    assert (plain == answer()).all()


@pytest.mark.parametrize(
    ("options", "about"),
    [
        ({"size": 64}, "does not fit"),
        ({"target": "attn_nothing"}, "does not fit"),
        ({"arch": "gemma3"}, "does not fit"),
        ({"arch": "abacus"}, "abacus"),
        ({"kind": "model"}, "'adapter' is wanted"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(
    tmp_path: Path, small: LlamaEngine, options: dict[str, Any], about: str
) -> None:
    plain = small.evaluate(small.tokenize(TEXT))
    with pytest.raises(ModelError, match=about):
        small.use_adapter(adapter(tmp_path / "bad.gguf", **options))
    small.trim(0)
    assert (small.evaluate(small.tokenize(TEXT)) == plain).all()


# -- formats and kernels -------------------------------------------------------------------------------


def test_an_unknown_format_is_refused(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(InputError, match="q9_9"):
        quantize(weights, tmp_path / "out.gguf", "q9_9")
    assert list(tmp_path.iterdir()) == []


def test_the_safe_kernels_avoid_amx(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"flags: avx512f amx_tile": "plain", "flags: avx2": "auto"}
    for text, kernels in texts.items():
        monkeypatch.setattr(Path, "read_text", lambda *_, text=text: text)
        assert safe_kernels() == kernels
    monkeypatch.setattr(Path, "read_text", lambda *_: (_ for _ in ()).throw(FileNotFoundError()))
    assert safe_kernels() == "auto"


def test_a_probe_that_crashes_or_hangs_is_none(weights: Path, tmp_path: Path) -> None:
    assert llama.probe(tmp_path / "none.gguf", "plain") is None
    assert llama.probe(weights, "plain", timeout_s=0.01) is None


def test_the_probes_child_prints_its_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: Any) -> Any:
        assert command[1:] == ["-P", "-m", "edge_agent.engine.llama", "m.gguf", "plain"]
        return subprocess.CompletedProcess(command, 0, json.dumps([100.0, 20.0]).encode(), b"")

    assert sys.executable
    monkeypatch.setattr(subprocess, "run", run)
    assert llama.probe(Path("m.gguf"), "plain") == llama.Speed(100.0, 20.0)


def test_an_interrupt_inside_a_native_callback_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """ctypes swallows an exception raised in a callback; Ctrl-C must survive that."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    llama._keep_interrupts()

    @ctypes.CFUNCTYPE(None)
    def native() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        native()
        time.sleep(2)


def test_the_native_matcher_holds_the_same_language(small: LlamaEngine) -> None:
    """Along random legal texts both allow the same tokens and end at the same places."""
    grammar = compile_schema(
        {"type": "object", "properties": {"n": {"type": "integer", "maximum": 99}, "w": {"enum": ["a b", "\u00e9"]}},
         "required": ["n"]}, name="t", call=True,
    ).grammar  # fmt: skip
    choose = random.Random(5)
    for _ in range(4):
        ours, native = TokenMatcher(grammar, small.guidance_tokenizer()), small.native_matcher(grammar)
        for _ in range(30):
            # where a text is forced, llguidance allows only the tokens it would be cut into
            assert (ours.mask() <= native.mask()).all() if ours.forced() else (ours.mask() == native.mask()).all()
            assert (ours.complete, ours.stopped) == (native.complete, native.stopped)
            if ours.stopped:
                break
            legal = set(ours.mask().nonzero()[0].tolist()) - set(small.info.end_tokens)
            token = choose.choice(sorted(legal))
            assert ours.accept(token)
            assert native.accept(token)
    assert not native.accept(small.tokenize("z")[0])
    with pytest.raises(EngineError, match="refuses"):
        NativeMatcher(small._vocab, small.info, "root ::= (")


def test_decoding_by_the_native_matcher(small: LlamaEngine) -> None:
    grammar = parse_gbnf('root ::= "red" | "blue"')
    session = Session(small)
    logits, _ = session.prefill(small.tokenize("The sky is"))
    kept = logits.copy()
    by_ours = decode(session, logits, grammar)
    session.prefill(small.tokenize("The sky is"))
    by_native = decode(session, kept, small.native_matcher(grammar))
    assert by_native.ended
    assert by_native.text == by_ours.text

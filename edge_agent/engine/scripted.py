"""An engine for tests: it writes given answers through the real grammar, decoder and gateway. No weights.

Tokens are bytes. The logits prefer the next byte of the scripted answer, so a grammar that forbids it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ContextOverflowError, EngineError
from .base import EngineInfo

if TYPE_CHECKING:
    from ..grammar.ir import Grammar
    from ..grammar.matcher import Matcher
    from .base import Logits

#: llguidance's byte tokenizer: 256 bytes, five marks and the end token
_BYTES, _END = 256, 261
_LIKED = 12.0
#: how an assistant's turn is opened
_TURN = b"<|im_start|>assistant\n"


class ScriptedEngine:
    """Answers in order, the last one for ever; or a function of the prompt's text.

    A new answer begins whenever a sequence is trimmed, which is how a request starts, but for its end of prompt, and
    when an assistant's turn is opened.
    """

    def __init__(self, answers: Sequence[str] | Callable[[str], str], *, context: int = 65_536) -> None:
        self.info = EngineInfo("scripted", "scripted", "none", "", _END + 1, context, 1, (_END,), 1)
        self._answers = answers
        self._asked = 0
        self._held: list[int] = []
        self._answer: bytes | None = None
        self._written = 0
        #: every prompt that was completed, as text
        self.prompts: list[str] = []

    def begin(self) -> None:
        """Nothing to adapt."""

    def tokenize(self, text: str) -> list[int]:
        return list(text.encode())

    def detokenize(self, tokens: Sequence[int]) -> str:
        return bytes(token for token in tokens if token < _BYTES).decode(errors="replace")

    def native_matcher(self, grammar: Grammar) -> Matcher:
        raise EngineError("the scripted engine has no grammar sampler of its own")

    def guidance_tokenizer(self) -> Any:
        from llguidance import LLTokenizer

        return LLTokenizer("byte")

    def evaluate(self, tokens: Sequence[int], *, sequence: int = 0) -> Logits:
        if len(self._held) + len(tokens) > self.info.context:
            raise ContextOverflowError(f"{len(tokens)} more tokens do not fit a context of {self.info.context}")
        self._held += tokens
        if self._answer is None or bytes(t for t in tokens if t < _BYTES).endswith(_TURN):
            self.prompts.append(self.detokenize(self._held))
            self._answer = self._next_answer(self.prompts[-1]).encode()
            self._written = len(self._held)
        written = bytes(token for token in self._held[self._written :] if token < _BYTES)
        follows = self._answer.startswith(written) and len(written) < len(self._answer)
        logits = np.zeros(self.info.vocabulary, dtype=np.float32)
        logits[self._answer[len(written)] if follows else _END] = _LIKED
        return logits

    def _next_answer(self, prompt: str) -> str:
        if callable(self._answers):
            return self._answers(prompt)
        self._asked += 1
        return self._answers[min(self._asked, len(self._answers)) - 1]

    def length(self, sequence: int = 0) -> int:
        return len(self._held)

    def trim(self, length: int, *, sequence: int = 0) -> None:
        del self._held[length:]
        if length != self._written:  # scoring what might follow goes back to the end of the prompt
            self._answer = None

    def fork(self, source: int, target: int) -> None:
        raise EngineError("the scripted engine has one sequence")

    def snapshot(self, sequence: int = 0) -> bytes:
        return bytes(token for token in self._held if token < _BYTES)

    def restore(self, state: bytes, *, sequence: int = 0) -> None:
        self._held, self._answer = list(state), None

    def use_adapter(self, path: Path | None, scale: float = 1.0) -> None:
        raise EngineError("the scripted engine has no adapters")

    def close(self) -> None:
        self._held = []

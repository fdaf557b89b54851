"""Step 4: the constrained loop. Every token is legal in the grammar; every choice keeps its probability.

Text that the grammar forces is appended together with the token before it in one forward pass, so it costs
no choice and hardly any time. Decoding is greedy: the most probable legal token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import ContextOverflowError, EngineError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .engine.base import Engine, Logits
    from .grammar.ir import Grammar
    from .grammar.matcher import Matcher


@dataclass(frozen=True, slots=True)
class Choice:
    """One free choice. `probability` is renormalised over the legal tokens; `runner_up` is the second best's.

    `start` is the offset (characters) of the token's text in the answer; `legal` how many tokens were legal.
    """

    start: int
    text: str
    probability: float
    runner_up: float
    legal: int


@dataclass(frozen=True, slots=True)
class Decoding:
    """The answer's text and its choices. tokens = free choices + forced; `ended` means the grammar was fulfilled."""

    text: str
    choices: tuple[Choice, ...]
    tokens: int
    forced_tokens: int
    passes: int
    ended: bool

    def probability(self, start: int, end: int) -> float:
        """Joint probability of the choices whose text begins in [start, end)."""
        result = 1.0
        for choice in self.choices:
            if start <= choice.start < end:
                result *= choice.probability
        return result


class Session:
    """One sequence of one engine and the tokens it holds, so that a shared prefix is never evaluated twice."""

    def __init__(self, engine: Engine, sequence: int = 0) -> None:
        self.engine = engine
        self._sequence = sequence
        self._held: list[int] = []

    def prefill(self, tokens: Sequence[int]) -> tuple[Logits, int]:
        """Makes the sequence hold exactly `tokens`; returns the last logits and how many tokens were reused.

        Raises ContextOverflowError when they do not fit: nothing is ever cut silently.
        """
        if len(tokens) >= self.engine.info.context:
            raise ContextOverflowError(
                f"the prompt has {len(tokens)} tokens; the context holds {self.engine.info.context}",
                hint="shorten the request, or: edge-agent config set context_tokens 8192",
            )
        shared = 0
        for mine, wanted in zip(self._held, tokens[:-1], strict=False):
            if mine != wanted:
                break
            shared += 1
        self.engine.trim(shared, sequence=self._sequence)
        self._held = self._held[:shared]
        if self.engine.length(self._sequence) != shared:  # a memory that cannot forget a part
            self.engine.trim(0, sequence=self._sequence)
            self._held, shared = [], 0
        return self.extend(tokens[shared:]), shared

    def log_probability(self, logits: Logits, text: str) -> float:
        """log P(text) as what comes next, over the whole vocabulary; the sequence is left as it was."""
        import numpy as np

        total = 0.0
        length = self.engine.length(self._sequence)
        tokens = self.engine.tokenize(text)
        for number, token in enumerate(tokens):
            row = logits.astype(np.float64)
            total += float(row[token] - row.max() - np.log(np.exp(row - row.max()).sum()))
            if number + 1 < len(tokens):
                logits = self.engine.evaluate([token], sequence=self._sequence)
        self.engine.trim(length, sequence=self._sequence)
        return total

    def extend(self, tokens: Sequence[int]) -> Logits:
        logits = self.engine.evaluate(tokens, sequence=self._sequence)
        self._held += tokens
        return logits


def legal_mass(logits: Logits, narrow: Matcher, wide: Matcher) -> float:
    """Probability that the next token stays inside `narrow`, of all that `wide` allows. No tokens are consumed."""
    allowed = narrow.mask()
    return float(_softmax(logits, wide.mask() | allowed)[allowed].sum())


def decode(session: Session, logits: Logits, grammar: Grammar | Matcher, *, max_tokens: int = 384) -> Decoding:
    """Writes one answer, from the logits after the prompt until the grammar is fulfilled and the model ends.

    `ended` is False when `max_tokens` cut it short. Raises EngineError when the grammar allows nothing.
    """
    from .grammar.ir import Grammar
    from .grammar.matcher import TokenMatcher

    engine = session.engine
    matcher = TokenMatcher(grammar, engine.guidance_tokenizer()) if isinstance(grammar, Grammar) else grammar
    ends = set(engine.info.end_tokens)
    written: list[int] = []
    choices: list[Choice] = []
    forced_total = passes = 0
    pending: list[int] = []
    ended = False
    while len(written) < max_tokens:
        forced = [] if matcher.stopped else matcher.forced()
        for token in forced:
            matcher.accept(token)
        forced_total += len(forced)
        written += forced
        pending += forced
        if matcher.stopped:
            ended = True
            break
        if pending:
            logits = session.extend(pending)
            passes += 1
            pending = []
        mask = matcher.mask()
        if not mask.any():
            raise EngineError("the grammar allows no further token", hint="edge-agent doctor --report")
        weights = _softmax(logits, mask)
        token = int(weights.argmax())
        best = float(weights[token])
        weights[token] = 0.0
        start = len(engine.detokenize(written))
        piece = "" if token in ends else engine.detokenize([token])
        choices.append(Choice(start, piece, best, float(weights.max()), int(mask.sum())))
        if token in ends:
            ended = True
            break
        matcher.accept(token)
        written.append(token)
        pending = [token]
    return Decoding(engine.detokenize(written), tuple(choices), len(written), forced_total, passes, ended)


def _softmax(logits: Logits, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Probabilities over the legal tokens only; the others are 0."""
    import numpy as np

    result = np.zeros(len(logits), dtype=np.float64)
    legal = logits[mask].astype(np.float64)
    legal = np.exp(legal - legal.max())
    result[mask] = legal / legal.sum()
    return result

"""Which tokens may come next: llguidance (https://github.com/guidance-ai/llguidance) behind a small contract."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import GrammarError
from .ir import Grammar
from .lexing import to_lark
from .lint import check

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class Matcher(Protocol):
    """What constrains decoding: `TokenMatcher`, or an engine's own (`Engine.native_matcher`)."""

    def mask(self) -> NDArray[np.bool_]: ...
    def accept(self, token_id: int) -> bool: ...
    def forced(self) -> list[int]: ...
    @property
    def complete(self) -> bool: ...
    @property
    def stopped(self) -> bool: ...


class FreeMatcher:
    """Constrains nothing: what the model would write by itself, to measure what the grammar is worth."""

    complete, stopped = True, False

    def __init__(self, vocabulary: int) -> None:
        self._vocabulary = vocabulary

    def mask(self) -> NDArray[np.bool_]:
        import numpy as np

        return np.ones(self._vocabulary, dtype=np.bool_)

    def accept(self, token_id: int) -> bool:
        return True

    def forced(self) -> list[int]:
        return []


class TokenMatcher:
    """Where a text stands inside a grammar, token by token. Not for use from several threads at once.

    Args:
        grammar: What may be said. Linted first; GrammarError when refused.
        tokenizer: A `llguidance.LLTokenizer` of the model. Making one costs about a second; keep it.

    Building one costs about a millisecond for the grammar of a handful of tools; `copy` is far cheaper.
    """

    def __init__(self, grammar: Grammar, tokenizer: Any) -> None:
        from llguidance import LLMatcher, LLParserLimits

        check(grammar)
        limits = LLParserLimits(
            initial_lexer_fuel=2_000_000, step_lexer_fuel=1_000_000, step_max_items=200_000, max_items_in_row=20_000
        )
        text = LLMatcher.grammar_from_lark(to_lark(grammar))
        self._set(LLMatcher(tokenizer, text, log_level=0, limits=limits), tokenizer)
        self._raise()

    def _set(self, matcher: Any, tokenizer: Any) -> None:
        import numpy as np

        self._matcher, self.tokenizer = matcher, tokenizer
        self._bits = np.zeros((tokenizer.vocab_size + 31) // 32, dtype=np.int32)

    def copy(self) -> TokenMatcher:
        """A matcher at the same place that goes on by itself. Costs about 10 µs."""
        other = TokenMatcher.__new__(TokenMatcher)
        other._set(self._matcher.deep_copy(), self.tokenizer)
        return other

    def mask(self) -> NDArray[np.bool_]:
        """One bool per token of the vocabulary: whether it may come next. The end-of-text token is among them
        where the text may end. Typically well under 0.1 ms. Raises GrammarError if the engine gives up.
        """
        import numpy as np

        self._matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        self._raise()
        bits = np.unpackbits(self._bits.view(np.uint8), count=self.tokenizer.vocab_size, bitorder="little")
        return bits.view(np.bool_)

    def accept(self, token_id: int) -> bool:
        """Goes on by one token; False, staying where it is, when the grammar does not allow it."""
        taken = bool(self._matcher.try_consume_tokens([token_id]) == 1)
        self._raise()
        return taken

    def accepted(self, token_ids: Sequence[int]) -> int:
        """How many of `token_ids` may follow one another from here; goes nowhere."""
        return int(self._matcher.validate_tokens(list(token_ids)))

    def forced(self) -> list[int]:
        """The tokens that must come now, cut as the tokenizer itself would cut the text (so not the last ones if
        what follows could change them). Accept them one by one. Empty where there is a choice.
        """
        return list(self._matcher.compute_ff_tokens())

    def forced_text(self) -> str:
        """The text that must come now, as far as it is whole characters."""
        return bytes(self._matcher.compute_ff_bytes()).decode(errors="ignore")

    def rollback(self, count: int) -> None:
        """Takes back the last `count` tokens accepted."""
        if count and not self._matcher.rollback(count):
            raise GrammarError(f"cannot take back {count} tokens")

    @property
    def complete(self) -> bool:
        """Whether the text may end here."""
        return bool(self._matcher.is_accepting())

    @property
    def stopped(self) -> bool:
        """Whether nothing but the end can follow."""
        return bool(self._matcher.is_stopped())

    def _raise(self) -> None:
        if error := self._matcher.get_error():
            raise GrammarError("the matcher gave up: " + error.splitlines()[0])


class TextMatcher:
    """Checks plain texts against a grammar, needing no model. Compile once, ask often."""

    def __init__(self, grammar: Grammar) -> None:
        self._matcher = TokenMatcher(grammar, byte_tokenizer())

    def prefix(self, text: str) -> int:
        """How many bytes of `text`, as UTF-8, from its start the grammar accepts."""
        return self._matcher.accepted([*text.encode()])

    def accepts(self, text: str) -> bool:
        """Whether `text` is a whole text of the grammar."""
        matcher = self._matcher.copy()
        return all(map(matcher.accept, text.encode())) and matcher.complete

    def unfinished(self, text: str) -> bool:
        """Whether `text` is the start of some text of the grammar."""
        return self.prefix(text) == len(text.encode())


def accepts(grammar: Grammar, text: str) -> bool:
    """Whether `text` is a whole text of `grammar`. Builds a matcher each time, about a millisecond."""
    return TextMatcher(grammar).accepts(text)


@cache
def byte_tokenizer() -> Any:
    """A tokenizer whose tokens are the 256 bytes."""
    from llguidance import LLTokenizer

    return LLTokenizer("byte", slices=[])

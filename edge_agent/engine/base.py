"""The engine seam: tokens in, logits out, over numbered sequences that can be forked, trimmed and saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..config import Settings
    from ..grammar.ir import Grammar
    from ..grammar.matcher import Matcher

    Logits: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What is loaded: `context` and `vocabulary` in tokens, `end_tokens` end a turn, `sha256` of the weights."""

    backend: str
    model: str
    architecture: str
    sha256: str
    vocabulary: int
    context: int
    sequences: int
    end_tokens: tuple[int, ...]
    threads: int
    gpu: bool = False


class Engine(Protocol):
    """One loaded model. Not thread-safe: one request at a time; the agent holds a lock."""

    info: EngineInfo

    def begin(self) -> None:
        """A request begins: adapt to the machine's present load (threads)."""
        ...

    def tokenize(self, text: str) -> list[int]:
        """Token ids of `text`; spelled-out special tokens become control tokens. No BOS is added."""
        ...

    def detokenize(self, tokens: Sequence[int]) -> str:
        """Text of tokens, special tokens left out; invalid UTF-8 is replaced."""
        ...

    def guidance_tokenizer(self) -> Any:
        """This vocabulary as the grammar matcher wants it (`llguidance.LLTokenizer`), built once."""
        ...

    def native_matcher(self, grammar: Grammar) -> Matcher:
        """The engine's own grammar sampler at the start of `grammar`; EngineError if it has none or refuses."""
        ...

    def evaluate(self, tokens: Sequence[int], *, sequence: int = 0) -> Logits:
        """Appends tokens to a sequence and returns the logits after the last one, float32 of [vocabulary].

        Raises ContextOverflowError, with the sequence unchanged, when they do not fit."""
        ...

    def length(self, sequence: int = 0) -> int:
        """Tokens held by a sequence."""
        ...

    def trim(self, length: int, *, sequence: int = 0) -> None:
        """Forgets everything from position `length` on."""
        ...

    def fork(self, source: int, target: int) -> None:
        """Makes `target` a copy of `source`; the cells are shared, so it costs no memory."""
        ...

    def snapshot(self, sequence: int = 0) -> bytes:
        """A sequence's state, to be restored into an engine with the same weights."""
        ...

    def restore(self, state: bytes, *, sequence: int = 0) -> None:
        """Raises EngineError when the state does not belong to this model."""
        ...

    def use_adapter(self, path: Path | None, scale: float = 1.0) -> None:
        """Applies a LoRA adapter (GGUF), or none. Sequences evaluated under another adapter must be dropped."""
        ...

    def close(self) -> None: ...


def open_engine(path: Path, settings: Settings, *, sha256: str = "", kernels: str | None = None) -> Engine:
    """Loads a GGUF file with the first engine that is installed. Raises EngineError naming what to install.

    kernels: what `prepare` found fastest on this CPU; None is the engine's safe choice.
    """
    from importlib.util import find_spec

    from ..errors import EngineError

    if find_spec("llama_cpp") is None:
        raise EngineError("no inference engine is installed", hint="pip install 'edge-agent[llama]'")
    from .llama import LlamaEngine

    return LlamaEngine(
        path,
        sha256=sha256,
        context=settings.context_tokens,
        threads=settings.threads or None,
        gpu_layers=settings.gpu_layers,
        kernels=kernels,  # type: ignore[arg-type]
    )

"""The engines that MaskBench compares: ours, llguidance's own JSON Schema, and llama.cpp's converter and sampler.

The first two are asked in this process through the same code, so that only the engine differs. llama.cpp ends its
process on some schemas and hangs on others, so it lives in a child that is replaced when it dies or is silent.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import multiprocessing
import os
import re
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from ..config import Dirs, Settings
from ..errors import EngineError
from ..grammar.matcher import TokenMatcher

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

#: llama.cpp must answer each step (compile, one instance) within this time
ANSWER_S = 5.0
_START_S = 60.0
#: llama.cpp's masks are measured at every so many tokens, and no more once a schema has cost this long
_MASK_EVERY, _MASKS_S = 20, 1.0
_CHILD_BYTES = 4 << 30
#: steps of a Spread per factor e: each is 2% wide
_STEPS = 50


@dataclass(slots=True)
class Spread:
    """Times in µs: count, sum and maximum exact; percentiles within 1%, from counts in logarithmic steps, so that
    millions of them fit into a few lines of JSON."""

    count: int = 0
    total: float = 0.0
    most: float = 0.0
    steps: Counter[int] = field(default_factory=Counter)

    @classmethod
    def of(cls, times_ns: Iterable[int]) -> Spread:
        times_us = [max(time_ns, 1) / 1e3 for time_ns in times_ns]
        steps = Counter(round(math.log(time_us) * _STEPS) for time_us in times_us)
        return cls(len(times_us), sum(times_us), max(times_us, default=0.0), steps)

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Spread:
        return cls(row["count"], row["total"], row["most"], Counter(dict(row["steps"])))

    def as_dict(self) -> dict[str, Any]:
        total, most = round(self.total, 3), round(self.most, 3)
        return {"count": self.count, "total": total, "most": most, "steps": sorted(self.steps.items())}

    def add(self, other: Spread) -> None:
        self.count += other.count
        self.total += other.total
        self.most = max(self.most, other.most)
        self.steps.update(other.steps)

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None

    def percentile(self, percent: float) -> float | None:
        """Nearest rank; None for no times."""
        left = math.ceil(self.count * percent / 100)
        for step, count in sorted(self.steps.items()):
            left -= count
            if left <= 0:
                return min(math.exp(step / _STEPS), self.most)
        return None


@dataclass(frozen=True, slots=True)
class Instance:
    """One JSON text, its tokens, the value it stands for and whether the schema allows that."""

    text: str
    tokens: Sequence[int]
    data: Any
    valid: bool


@dataclass(slots=True)
class Attempt:
    """What an engine made of one schema.

    compile_ms: schema to matcher, or to the error; schema_ms: the part of it before the matcher is built.
    accepted, reached: for each instance whether it was taken, and after how many tokens that was known.
    masks, calls: the time of each mask, in native code alone and as `TokenMatcher.mask` gives it.
    report, narrowed: where the grammar is known to take more and less than the schema. objections: what the validator
    has against each instance that was accepted, empty for nothing; None for engines without one.
    died: whether the error is that the engine's process ended or was silent.
    """

    error: str = ""
    compile_ms: float | None = None
    schema_ms: float | None = None
    accepted: list[bool] = field(default_factory=list)
    reached: list[int] = field(default_factory=list)
    masks: Spread = field(default_factory=Spread)
    calls: Spread = field(default_factory=Spread)
    report: list[str] = field(default_factory=list)
    narrowed: list[str] = field(default_factory=list)
    objections: list[str] | None = None
    validator_error: str = ""
    died: bool = False


class Contender(Protocol):
    name: str

    def attempt(self, schema: Any, instances: Sequence[Instance]) -> Attempt:
        """Never raises for what a schema does to the engine: that is an Attempt with an error."""
        ...

    def close(self) -> None: ...


class _Timed:
    """An LLMatcher that notes how long each mask takes."""

    def __init__(self, native: Any, times_ns: list[int]) -> None:
        self._native, self._times_ns = native, times_ns

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def unsafe_compute_mask_ptr(self, pointer: int, size_bytes: int) -> None:
        compute = self._native.unsafe_compute_mask_ptr
        began = time.perf_counter_ns()
        compute(pointer, size_bytes)
        self._times_ns.append(time.perf_counter_ns() - began)


class _InProcess:
    """What ours and llguidance share: the walk along the tokens of each instance."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def close(self) -> None:
        """Nothing is held."""

    def attempt(self, schema: Any, instances: Sequence[Instance]) -> Attempt:
        attempt = Attempt()
        began = time.perf_counter()
        masks_ns: list[int] = []
        calls_ns: list[int] = []
        try:
            matcher = self._matcher(schema, attempt)
            attempt.compile_ms = (time.perf_counter() - began) * 1e3
            for instance in instances:
                taken, accepted = _walk(matcher.copy(), instance.tokens, masks_ns, calls_ns) if matcher else (0, False)
                attempt.accepted.append(accepted)
                attempt.reached.append(taken)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of native code is no Exception
            attempt.error = said(error)
            if attempt.compile_ms is None:
                attempt.compile_ms = (time.perf_counter() - began) * 1e3
        attempt.masks, attempt.calls = Spread.of(masks_ns), Spread.of(calls_ns)
        return attempt

    def _matcher(self, schema: Any, attempt: Attempt) -> TokenMatcher | None:
        """None when the schema allows no value at all."""
        raise NotImplementedError


def _walk(matcher: TokenMatcher, tokens: Sequence[int], masks_ns: list[int], calls_ns: list[int]) -> tuple[int, bool]:
    """How many of `tokens` the matcher takes, and whether it takes them all as a whole text."""
    matcher._matcher = _Timed(matcher._matcher, masks_ns)
    for place, token in enumerate(tokens):
        began = time.perf_counter_ns()
        allowed = matcher.mask()
        calls_ns.append(time.perf_counter_ns() - began)
        if not (allowed[token] and matcher.accept(token)):
            return place, False
    return len(tokens), matcher.complete


class Ours(_InProcess):
    """`compile_schema` and `TokenMatcher`, as users get them."""

    name = "ours"
    _compiled: Any = None

    def _matcher(self, schema: Any, attempt: Attempt) -> TokenMatcher | None:
        from ..grammar import compile_schema

        began = time.perf_counter()
        self._compiled = compile_schema(schema)
        attempt.schema_ms = (time.perf_counter() - began) * 1e3
        attempt.report = [str(each) for each in self._compiled.report]
        attempt.narrowed = [str(each) for each in self._compiled.narrowed]
        return None if self._compiled.empty else TokenMatcher(self._compiled.grammar, self.tokenizer)

    def attempt(self, schema: Any, instances: Sequence[Instance]) -> Attempt:
        attempt = super().attempt(schema, instances)
        if not attempt.error:
            attempt.objections = []
            try:
                for taken, instance in zip(attempt.accepted, instances, strict=True):
                    found = self._compiled.validate(instance.data) if taken else ()
                    attempt.objections.append("; ".join(found)[:300])
            except Exception as error:
                attempt.validator_error = said(error)
        return attempt


class _SchemaMatcher(TokenMatcher):
    """llguidance's own way from JSON Schema, with its default options and limits."""

    def __init__(self, schema: str, tokenizer: Any) -> None:
        from llguidance import LLMatcher

        self._set(LLMatcher(tokenizer, LLMatcher.grammar_from_json_schema(schema), log_level=0), tokenizer)
        self._raise()


class LLGuidance(_InProcess):
    name = "llguidance"

    def attempt(self, schema: Any, instances: Sequence[Instance]) -> Attempt:
        return super().attempt(json.dumps(schema), instances)

    def _matcher(self, schema: Any, attempt: Attempt) -> TokenMatcher:
        return _SchemaMatcher(schema, self.tokenizer)


class LlamaCpp:
    """llama.cpp's grammar sampler, and llama-cpp-python's `json_schema_to_gbnf` before it, in a child process.

    weights: a GGUF file with the vocabulary that the tokens are of. On POSIX the child may use 4 GiB.
    """

    name = "llama.cpp"

    def __init__(self, weights: Path) -> None:
        self._weights = weights
        self._process: BaseProcess | None = None
        self._pipe: Connection[Any, Any] | None = None

    def attempt(self, schema: Any, instances: Sequence[Instance]) -> Attempt:
        """Masks are measured at every 20th token, for a second at most, since one takes some 16 ms; acceptance at
        every token."""
        return self._asked(json.dumps(schema), instances, converts=True)

    def read(self, gbnf: str, instances: Sequence[Instance] = ()) -> Attempt:
        """The same for a grammar that is GBNF already, with no mask measured. `compile_ms` is of the parser."""
        return self._asked(gbnf, instances, converts=False)

    def _asked(self, text: str, instances: Sequence[Instance], *, converts: bool) -> Attempt:
        attempt = Attempt()
        pipe = self._started()
        began = time.perf_counter()
        try:
            pipe.send((text, [list(instance.tokens) for instance in instances], converts))
            attempt.error, attempt.compile_ms = _receive(pipe, ANSWER_S)
            for _ in () if attempt.error else instances:
                taken, accepted, times_ns = _receive(pipe, ANSWER_S)
                attempt.accepted.append(accepted)
                attempt.reached.append(taken)
                attempt.masks.add(Spread.of(times_ns))
        except (EOFError, OSError) as error:
            attempt.died, silent = True, isinstance(error, TimeoutError)
            attempt.error = f"no answer within {ANSWER_S:g} s" if silent else f"its process died: {self._end()}"
            if attempt.compile_ms is None:
                attempt.compile_ms = (time.perf_counter() - began) * 1e3
            self.close()
        return attempt

    def close(self) -> None:
        if self._pipe and self._process:
            self._pipe.close()
            self._process.kill()
            self._process.join()
            self._process = self._pipe = None

    def _started(self) -> Connection[Any, Any]:
        if self._pipe is None:
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_serve, args=(theirs, str(self._weights)), daemon=True)
            self._process.start()
            theirs.close()
            try:
                _receive(self._pipe, _START_S)
            except (EOFError, OSError) as error:
                raise EngineError(f"llama.cpp does not start with {self._weights}: {self._end()}") from error
        return self._pipe

    def _end(self) -> str:
        """How the child ended."""
        code = None
        if self._process:
            self._process.join(ANSWER_S)
            code = self._process.exitcode
        return signal.Signals(-code).name if code and code < 0 else f"exit code {code}"


def _receive(pipe: Connection[Any, Any], timeout_s: float) -> Any:
    """The next message. Raises TimeoutError, or EOFError when the other side is gone."""
    if not pipe.poll(timeout_s):
        raise TimeoutError
    return pipe.recv()


def said(error: BaseException) -> str:
    """An error of any kind in one short line."""
    return f"{type(error).__name__}: {error}".strip().partition("\n")[0][:300]


@contextlib.contextmanager
def bundled() -> Iterator[tuple[Any, Path]]:
    """The bundled model's tokenizer, and its file. Costs about a second."""
    from ..engine.base import open_engine
    from ..models import Store

    store = Store(Dirs.default().data / "models")
    weights = store.resolve(store.catalogue.default().name).path
    model = open_engine(weights, Settings(), kernels="plain")
    try:
        yield model.guidance_tokenizer(), weights
    finally:
        model.close()


# -- the child of LlamaCpp ---------------------------------------------------------------------------------


def _serve(pipe: Connection[Any, Any], weights: str) -> None:
    """Answers each (schema or GBNF, token lists, which of the two) with (error, compile_ms) and then, for each list,
    how far it got."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    from ..engine import llama

    with tempfile.TemporaryFile("a+b") as log, contextlib.suppress(EOFError):
        os.dup2(log.fileno(), 2)
        native = _Native(llama.lc, weights, log)  # type: ignore[attr-defined]
        pipe.send("ready")
        while True:
            log.truncate(0)
            native.serve(pipe.send, *pipe.recv())


def _limit_memory() -> None:
    with contextlib.suppress(ImportError):  # Windows has no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_CHILD_BYTES, _CHILD_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class _Native:
    """llama.cpp's sampler over one vocabulary. `library`: the module llama_cpp, as `engine.llama` has it; `log`: where
    it writes what it has to say."""

    def __init__(self, library: Any, weights: str, log: IO[bytes]) -> None:
        import numpy as np

        self._lc, self._log = library, log
        parameters = library.llama_model_default_params()
        parameters.vocab_only = True
        model = library.llama_model_load_from_file(os.fsencode(weights), parameters)
        self._vocab = library.llama_model_get_vocab(model)
        self._end = library.llama_vocab_eos(self._vocab)
        self._all = np.zeros(library.llama_vocab_n_tokens(self._vocab), "i4,f4,f4")
        self._all["f0"] = np.arange(len(self._all))
        self._one = np.zeros(1, "i4,f4,f4")

    def serve(self, send: Callable[[Any], None], text: str, instances: Sequence[Sequence[int]], converts: bool) -> None:
        began = time.perf_counter()
        error, sampler = "", None
        try:
            gbnf = self._lc.llama_grammar.json_schema_to_gbnf(text) if converts else text
            sampler = self._lc.llama_sampler_init_grammar(self._vocab, gbnf.encode(), b"root")
            error = "" if sampler else self._objection()
        except Exception as problem:
            error = said(problem)
        send((error, (time.perf_counter() - began) * 1e3))
        if not sampler:
            return
        measured_s = 0.0
        for tokens in instances:
            own = self._lc.llama_sampler_clone(sampler)
            taken, accepted, times_ns = self._walk(own, tokens, converts and measured_s < _MASKS_S)
            self._lc.llama_sampler_free(own)
            measured_s += sum(times_ns) / 1e9
            send((taken, accepted, times_ns))
        self._lc.llama_sampler_free(sampler)

    def _objection(self) -> str:
        self._log.seek(0)
        known = re.search(rb"error parsing grammar: ([^\n]*)", self._log.read())
        return f"llama.cpp cannot read the grammar: {known[1].decode(errors='replace')[:200] if known else 'no reason'}"

    def _walk(self, sampler: Any, tokens: Sequence[int], measure: bool) -> tuple[int, bool, list[int]]:
        times_ns: list[int] = []
        for place, token in enumerate(tokens):
            if measure and place % _MASK_EVERY == 0 and sum(times_ns) < _MASKS_S * 1e9:
                times_ns.append(self._apply(sampler, self._all))
            if not self._allows(sampler, token):
                return place, False, times_ns
            self._lc.llama_sampler_accept(sampler, token)
        return len(tokens), self._allows(sampler, self._end), times_ns

    def _allows(self, sampler: Any, token: int) -> bool:
        self._one["f0"] = token
        self._apply(sampler, self._one)
        return bool(self._one["f1"][0] == 0)  # refused tokens get minus infinity

    def _apply(self, sampler: Any, candidates: Any) -> int:
        """Time of one mask, in ns."""
        candidates["f1"] = 0
        data = candidates.ctypes.data_as(ctypes.POINTER(self._lc.llama_token_data))
        array = self._lc.llama_token_data_array(data, len(candidates), -1, False)
        place = ctypes.byref(array)
        began = time.perf_counter_ns()
        self._lc.llama_sampler_apply(sampler, place)
        return time.perf_counter_ns() - began

"""llama.cpp in this process, through llama-cpp-python's low-level API. The only module that imports it.

The chat layer of that package is not used: it gives no masks, no forced runs, no per-token probabilities,
no forks and no snapshots. Every file is checked by `gguf.check` before native code sees it.
"""

from __future__ import annotations

import _thread
import ctypes
import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import llama_cpp as lc
import numpy as np

from ..errors import ContextOverflowError, EngineError, InputError, ModelError
from . import threads as thread_policy
from .base import EngineInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..grammar.ir import Grammar
    from .base import Logits

_BATCH = 512
#: rows of logits kept per pass; bounds the output part of the compute buffer (vocabulary x 4 bytes each)
_OUTPUTS = 8
_SEQUENCES = 8
#: no further round of a speed measurement is begun after this many seconds
_MEASURE_S = 8.0
_FTYPES = {
    "f16": lc.LLAMA_FTYPE_MOSTLY_F16,
    "q4_0": lc.LLAMA_FTYPE_MOSTLY_Q4_0,
    "q4_1": lc.LLAMA_FTYPE_MOSTLY_Q4_1,
    "q8_0": lc.LLAMA_FTYPE_MOSTLY_Q8_0,
}

#: Which matrix kernels to use: llama.cpp's own choice; interleaved 4-bit weights but no AMX; or none of either.
Kernels = Literal["auto", "repack", "plain"]

#: the last lines llama.cpp logged; shown only when something fails
_native_log: deque[str] = deque(maxlen=40)


@lc.llama_log_callback  # type: ignore[untyped-decorator]
def _capture(level: int, text: bytes, _: Any) -> None:
    _native_log.append(text.decode(errors="replace").rstrip("\n"))


_started = False


def _keep_interrupts() -> None:
    """Ctrl-C that falls into the log callback must not be lost: ctypes can only report it as unraisable there, so
    it is sent again a moment later, when Python code runs."""
    report = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if unraisable.exc_type is KeyboardInterrupt:
            again = threading.Timer(0.02, _thread.interrupt_main)
            again.daemon = True
            again.start()
        else:
            report(unraisable)

    sys.unraisablehook = hook


def _start() -> None:
    global _started
    # Every time: another user of llama.cpp in this process may have set a callback of its own and dropped it since.
    lc.llama_log_set(_capture, ctypes.c_void_p(0))
    if not _started:
        _keep_interrupts()
        lc.llama_backend_init()
        _started = True


def _why() -> str:
    lines = [line for line in _native_log if "error" in line.lower() or "fail" in line.lower()]
    return (lines or list(_native_log) or ["no message from llama.cpp"])[-1].strip()


class LlamaEngine:
    """One GGUF model and one context.

    Args:
        path: The weights. sha256: their hash, only reported.
        context: Tokens of KV cache, shared by all sequences.
        threads: None chooses by physical cores and present load, afresh for every request.
        gpu_layers: -1 offloads all layers where this build of llama.cpp can, 0 none.
        kernels: None takes `safe_kernels()`. `prepare` measures the others in a child process first: llama.cpp's
            AMX kernels, as gcc 12 compiles them, end the process with an illegal instruction.

    Raises:
        ModelError: the file is damaged or of an architecture llama.cpp does not know.
        EngineError: not enough memory, or llama.cpp refused the context.
    """

    def __init__(
        self,
        path: Path,
        *,
        sha256: str = "",
        context: int = 4096,
        threads: int | None = None,
        gpu_layers: int = -1,
        kernels: Kernels | None = None,
    ) -> None:
        from ..gguf import check

        header = check(path)
        _start()
        self._model: Any = None
        self._context: Any = None
        self._adapter: Any = None
        self._guidance: Any = None
        self._batch: Any = None
        self._wanted_threads = threads
        self._buffer = ctypes.create_string_buffer(256)
        gpu = bool(lc.llama_supports_gpu_offload()) and gpu_layers != 0
        parameters = lc.llama_model_default_params()
        parameters.n_gpu_layers = (999 if gpu_layers < 0 else gpu_layers) if gpu else 0
        kernels = kernels or safe_kernels()
        parameters.use_extra_bufts = kernels == "auto"
        overrides = _repack_overrides() if kernels == "repack" else None
        if overrides:  # repacked weights are a copy: a mapped file beside it would be held in memory twice
            parameters.load_mode = lc.LLAMA_LOAD_MODE_NONE
        parameters.tensor_buft_overrides = ctypes.cast(overrides, ctypes.c_void_p) if overrides else None
        self._model = lc.llama_model_load_from_file(os.fsencode(path), parameters)
        if not self._model:
            raise ModelError(f"{path}: llama.cpp cannot load it: {_why()}")
        self._vocab = lc.llama_model_get_vocab(self._model)
        trained = int(lc.llama_model_n_ctx_train(self._model))
        count = thread_policy.choose(threads)
        options = lc.llama_context_default_params()
        options.n_ctx = min(context, trained) if trained else context
        options.n_batch = options.n_ubatch = _BATCH
        options.n_outputs_max = options.n_outputs_max_per_seq = _OUTPUTS
        options.n_seq_max = _SEQUENCES
        options.kv_unified = True
        options.no_perf = True
        options.n_threads = options.n_threads_batch = count
        self._context = lc.llama_init_from_model(self._model, options)
        if not self._context:
            self.close()
            raise EngineError(
                f"{path}: llama.cpp cannot allocate {options.n_ctx} tokens of context: {_why()}",
                hint="edge-agent config set context_tokens 2048",
            )
        self._memory = lc.llama_get_memory(self._context)
        self._batch = lc.llama_batch_init(_BATCH, 0, 1)
        size = int(lc.llama_vocab_n_tokens(self._vocab))
        self.info = EngineInfo(
            backend="llama.cpp",
            model=str(path),
            architecture=header.architecture,
            sha256=sha256,
            vocabulary=size,
            context=int(lc.llama_n_ctx(self._context)),
            sequences=_SEQUENCES,
            end_tokens=tuple(t for t in range(size) if lc.llama_vocab_is_eog(self._vocab, t)),
            threads=count,
            gpu=gpu,
        )

    def begin(self) -> None:
        count = thread_policy.choose(self._wanted_threads)
        lc.llama_set_n_threads(self._context, count, count)

    # -- text ------------------------------------------------------------------------------------------

    def tokenize(self, text: str) -> list[int]:
        data = text.encode()
        buffer = (lc.llama_token * (len(data) + 8))()
        count = lc.llama_tokenize(self._vocab, data, len(data), buffer, len(buffer), False, True)
        if count < 0:
            raise InputError("the text cannot be tokenised")
        return list(buffer[:count])

    def detokenize(self, tokens: Sequence[int]) -> str:
        return b"".join(self._piece(t) for t in tokens).decode(errors="replace")

    def _piece(self, token: int, *, special: bool = False) -> bytes:
        buffer = self._buffer
        size = lc.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, special)
        if size < 0:
            buffer = ctypes.create_string_buffer(-size)
            size = lc.llama_token_to_piece(self._vocab, token, buffer, -size, 0, special)
        return ctypes.string_at(buffer, size)

    def guidance_tokenizer(self) -> Any:
        if self._guidance is None:
            from llguidance import LLTokenizer

            control = lc.LLAMA_TOKEN_ATTR_CONTROL
            pieces = []
            for token in range(self.info.vocabulary):
                mark = b"\xff" if lc.llama_vocab_get_attr(self._vocab, token) & control else b""
                pieces.append(mark + self._piece(token, special=True))
            function = ctypes.cast(lc.llama_cpp._lib.llama_tokenize, ctypes.c_void_p).value
            self._guidance = LLTokenizer.from_llamacpp(  # type: ignore[attr-defined]
                tokens=pieces,
                vocab_ptr=self._vocab,
                tokenize_fptr=function,
                eos_token=list(self.info.end_tokens),
                slices=None,
            )
        return self._guidance

    def native_matcher(self, grammar: Grammar) -> NativeMatcher:
        from ..grammar import to_gbnf

        return NativeMatcher(self._vocab, self.info, to_gbnf(grammar))

    # -- sequences -------------------------------------------------------------------------------------

    def evaluate(self, tokens: Sequence[int], *, sequence: int = 0) -> Logits:
        if not tokens:
            raise EngineError("nothing to evaluate")
        start = self.length(sequence)
        if start + len(tokens) > self.info.context:
            raise ContextOverflowError(
                f"{start} + {len(tokens)} tokens do not fit a context of {self.info.context}",
                hint="shorten the request, or: edge-agent config set context_tokens 8192",
            )
        ids = np.asarray(tokens, dtype=np.int32)
        for offset in range(0, len(ids), _BATCH):
            self._pass(ids[offset : offset + _BATCH], start + offset, sequence, start)
        return self._logits(-1)

    def _pass(self, ids: np.ndarray[Any, Any], position: int, sequence: int, restore_to: int) -> None:
        batch, count = self._batch, len(ids)
        batch.n_tokens = count
        np.ctypeslib.as_array(batch.token, (count,))[:] = ids
        np.ctypeslib.as_array(batch.pos, (count,))[:] = np.arange(position, position + count)
        np.ctypeslib.as_array(batch.n_seq_id, (count,))[:] = 1
        flags = np.ctypeslib.as_array(batch.logits, (count,))
        flags[:] = 0
        flags[-1] = 1
        for index in range(count):
            batch.seq_id[index][0] = sequence
        status = lc.llama_decode(self._context, batch)
        if status:
            self.trim(restore_to, sequence=sequence)
            if status == 1:
                raise ContextOverflowError("the context has no room left: other sequences hold it")
            raise EngineError(f"llama.cpp could not evaluate {count} tokens (status {status}): {_why()}")

    def _logits(self, index: int) -> Logits:
        pointer = lc.llama_get_logits_ith(self._context, index)
        return np.ctypeslib.as_array(pointer, (self.info.vocabulary,)).copy()

    def length(self, sequence: int = 0) -> int:
        return int(lc.llama_memory_seq_pos_max(self._memory, sequence)) + 1

    def trim(self, length: int, *, sequence: int = 0) -> None:
        if not lc.llama_memory_seq_rm(self._memory, sequence, length, -1):
            # recurrent memories (some LFM2, Granite hybrids) cannot forget a part: forget all
            lc.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def fork(self, source: int, target: int) -> None:
        lc.llama_memory_seq_rm(self._memory, target, -1, -1)
        lc.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def snapshot(self, sequence: int = 0) -> bytes:
        size = lc.llama_state_seq_get_size(self._context, sequence)
        buffer = (ctypes.c_uint8 * size)()
        written = lc.llama_state_seq_get_data(self._context, buffer, size, sequence)
        return bytes(memoryview(buffer)[:written])

    def restore(self, state: bytes, *, sequence: int = 0) -> None:
        buffer = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        if not lc.llama_state_seq_set_data(self._context, buffer, len(state), sequence):
            self.trim(0, sequence=sequence)
            raise EngineError("a saved state does not belong to this model and context")

    # -- adapters and life -----------------------------------------------------------------------------

    def use_adapter(self, path: Path | None, scale: float = 1.0) -> None:
        lc.llama_set_adapters_lora(self._context, None, 0, None)
        if self._adapter:
            lc.llama_adapter_lora_free(self._adapter)
            self._adapter = None
        if path is None:
            return
        from ..gguf import check

        check(path, adapter=True)
        self._adapter = lc.llama_adapter_lora_init(self._model, os.fsencode(path))
        if not self._adapter:
            raise ModelError(f"{path}: this adapter does not fit {self.info.model}: {_why()}")
        adapters = (lc.llama_adapter_lora_p_ctypes * 1)(self._adapter)
        if lc.llama_set_adapters_lora(self._context, adapters, 1, (ctypes.c_float * 1)(scale)):
            raise EngineError(f"{path}: llama.cpp refused the adapter: {_why()}")

    def close(self) -> None:
        self._guidance = None
        if self._context:
            lc.llama_free(self._context)
            self._context = None
        if self._batch:
            lc.llama_batch_free(self._batch)
            self._batch = None
        if self._model:
            lc.llama_model_free(self._model)
            self._model = None


def safe_kernels() -> Kernels:
    """`plain` on a CPU with AMX, whose kernels may have been miscompiled (see `LlamaEngine`), else `auto`."""
    try:
        return "plain" if "amx_tile" in Path("/proc/cpuinfo").read_text() else "auto"
    except OSError:
        return "auto"


class _Override(ctypes.Structure):
    _fields_ = (("pattern", ctypes.c_char_p), ("buffer_type", ctypes.c_void_p))


def _repack_overrides() -> Any:
    """Puts the layers' weight matrices into ggml's CPU_REPACK buffers: Q4_0 only, checked by `probe`.

    The buffer type is found as ggml publishes it: `ggml_backend_dev_get_extra_bufts` of the CPU backend.
    """
    folder = Path(lc.__file__).parent / "lib"
    suffix = {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")
    prefix = "" if sys.platform == "win32" else "lib"
    base, front = (ctypes.CDLL(str(folder / f"{prefix}{name}{suffix}")) for name in ("ggml-base", "ggml"))
    pointer = ctypes.c_void_p
    front.ggml_backend_reg_by_name.restype = front.ggml_backend_dev_by_type.restype = pointer
    base.ggml_backend_reg_get_proc_address.restype = pointer
    base.ggml_backend_reg_get_proc_address.argtypes = (pointer, ctypes.c_char_p)
    base.ggml_backend_buft_name.restype = ctypes.c_char_p
    base.ggml_backend_buft_name.argtypes = (pointer,)
    registry = front.ggml_backend_reg_by_name(b"CPU")
    address = base.ggml_backend_reg_get_proc_address(registry, b"ggml_backend_dev_get_extra_bufts")
    if not address:
        return None
    listed = ctypes.CFUNCTYPE(ctypes.POINTER(pointer), pointer)(address)(front.ggml_backend_dev_by_type(0))
    index = 0
    while listed[index]:
        if base.ggml_backend_buft_name(listed[index]) == b"CPU_REPACK":
            matrices = rb"blk\.[0-9]+\.(attn_(q|k|v|qkv|output)|ffn_(gate|up|down))\.weight"
            return (_Override * 2)(_Override(matrices, listed[index]), _Override(None, None))
        index += 1
    return None


class Speed(NamedTuple):
    """Tokens per second, measured on this machine."""

    prompt_tok_s: float
    generate_tok_s: float


def probe(path: Path, kernels: str, *, timeout_s: float = 30.0) -> Speed | None:
    """`measure_speed` in a child process; None when those kernels crash or hang on this CPU with this file."""
    command = [sys.executable, "-P", "-m", "edge_agent.engine.llama", str(path), kernels]
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout_s, check=False)
        return Speed(*json.loads(done.stdout)) if done.returncode == 0 else None
    except (subprocess.TimeoutExpired, ValueError):
        return None


def measure_speed(
    path: Path, kernels: Kernels | None = None, *, prompt: int = 128, generate: int = 16, rounds: int = 2
) -> Speed:
    """Best of `rounds` after one warm-up pass, fewer when they take long; about two seconds for a 135M model."""
    engine = LlamaEngine(path, context=1024, kernels=kernels)
    try:
        tokens = [engine.info.end_tokens[0] if engine.info.end_tokens else 0, *range(100, 100 + prompt - 1)]
        prompt_best = generate_best = 0.0
        started = time.perf_counter()
        for number in range(rounds + 1):
            if generate_best and time.perf_counter() - started > _MEASURE_S:
                break
            engine.trim(0)
            began = time.perf_counter()
            engine.evaluate(tokens)
            middle = time.perf_counter()
            for token in range(100, 100 + generate):
                engine.evaluate([token])
            ended = time.perf_counter()
            if number:
                prompt_best = max(prompt_best, prompt / (middle - began))
                generate_best = max(generate_best, generate / (ended - middle))
        return Speed(prompt_best, generate_best)
    finally:
        engine.close()


class NativeMatcher:
    """llama.cpp's own grammar sampler behind the contract of `grammar.matcher.Matcher`. It knows no forced runs, and
    a mask costs some 10 ms where llguidance takes 0.03: for comparison. Raises EngineError when `gbnf` is refused;
    give it only what `grammar.lint` has passed, since llama.cpp can crash on anything else.
    """

    def __init__(self, vocab: Any, info: EngineInfo, gbnf: str) -> None:
        self._sampler = lc.llama_sampler_init_grammar(vocab, gbnf.encode(), b"root")
        if not self._sampler:
            raise EngineError("llama.cpp refuses the grammar", hint="edge-agent config set matcher llguidance")
        self._ends = list(info.end_tokens)
        self._candidates = np.zeros(info.vocabulary, "i4,f4,f4")
        self._candidates["f0"] = np.arange(info.vocabulary)
        self._mask: NDArray[np.bool_] | None = None

    def __del__(self) -> None:
        if getattr(self, "_sampler", None):
            lc.llama_sampler_free(self._sampler)

    def mask(self) -> NDArray[np.bool_]:
        """One bool per token, the end tokens among them where the text may end."""
        if self._mask is None:
            self._candidates["f1"] = 0
            data = self._candidates.ctypes.data_as(ctypes.POINTER(lc.llama_token_data))
            lc.llama_sampler_apply(
                self._sampler, ctypes.byref(lc.llama_token_data_array(data, len(self._candidates), -1, False))
            )
            self._mask = self._candidates["f1"] == 0  # what is refused gets minus infinity
        return self._mask

    def accept(self, token_id: int) -> bool:
        if not self.mask()[token_id]:
            return False
        lc.llama_sampler_accept(self._sampler, token_id)
        self._mask = None
        return True

    def forced(self) -> list[int]:
        return []

    @property
    def complete(self) -> bool:
        return bool(self.mask()[self._ends].any())

    @property
    def stopped(self) -> bool:
        """Whether nothing but the end can follow."""
        return self.complete and int(self.mask().sum()) == int(self.mask()[self._ends].sum())


def quantize(source: Path, target: Path, ftype: str) -> None:
    """Writes `source` requantised to `ftype` (a key of `_FTYPES`). Raises ModelError when llama.cpp cannot."""
    from ..gguf import check

    if ftype not in _FTYPES:
        raise InputError(f"unknown format {ftype!r}", hint="one of: " + ", ".join(_FTYPES))
    check(source)
    _start()
    options = lc.llama_model_quantize_default_params()
    options.ftype = _FTYPES[ftype]
    options.allow_requantize = True
    options.nthread = thread_policy.choose()
    if lc.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(options)):
        raise ModelError(f"{source}: cannot be requantised to {ftype}: {_why()}")


if __name__ == "__main__":  # the child of `probe`
    print(json.dumps(measure_speed(Path(sys.argv[1]), sys.argv[2])))  # type: ignore[arg-type]

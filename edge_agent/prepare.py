"""Find the weight format that answers fastest on this CPU, and keep a model in it.

Which format is fastest depends on the processor: llama.cpp repacks some of them for its vector units. So each
candidate is written, measured by running it, and kept only while it is the best so far. Results live in the
store as `prepared/<sha256>-<format>.gguf` and `prepared/<sha256>.json`; the record is written last, so that
whatever kills the process, `find` gives a complete file or nothing.

A model with an adapter is first made one file with it, in float16, and kept in the fastest other format.

Limit: only speed is weighed. A smaller format than the shipped one may lose accuracy, which evals must judge.
"""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from . import gguf
from .download import exclusive, hash_file, land, require_space, storage_errors
from .errors import EdgeAgentError, EngineError
from .merge import merge
from .models import ModelFile, Store
from .workspace import write_atomic

#: The request a format is judged by, in tokens.
PROMPT_TOKENS = 400
GENERATED_TOKENS = 30

#: A format must beat the shipped file by this share, or the shipped file stays: measurements scatter.
MARGIN = 0.03

AS_SHIPPED = "as shipped"
FORMATS = ("q4_0", "q8_0")
#: Four bits lose what an adapter taught: of 25 BFCL cases each, simple fell from 15 to 10 and multiple from 16 to 12.
ADAPTED_FORMATS = ("q8_0",)
_BYTES_PER_WEIGHT = {"q4_0": 18 / 32, "q4_1": 20 / 32, "q8_0": 34 / 32}


class Speed(Protocol):
    """What a measurement gives, in tokens per second."""

    @property
    def prompt_tok_s(self) -> float: ...
    @property
    def generate_tok_s(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Measurement:
    """One format on this machine. request_s: time of a request of 400 prompt and 30 generated tokens.

    kernels: the fastest set of matrix kernels that ran at all (see `engine.llama`).
    """

    prompt_tok_s: float
    generate_tok_s: float
    request_s: float
    kernels: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """The format kept, and how all candidates did. `path` is the original file when nothing was faster.

    failures: format -> why it could not be made or measured.
    """

    path: Path
    format: str
    measurements: Mapping[str, Measurement]
    sha256: str
    failures: Mapping[str, str]

    @property
    def kernels(self) -> str:
        """What the engine is to be loaded with."""
        return self.measurements[self.format].kernels


def find(store: Store, model: ModelFile) -> Prepared | None:
    """What an earlier `prepare` on this CPU kept for this model; None when there is none or it is damaged."""
    folder = store.root / "prepared"
    try:
        record = json.loads((folder / f"{model.sha256}.json").read_text(encoding="utf-8"))
        kept = str(record["format"])
        path = model.path if kept == AS_SHIPPED else folder / f"{model.sha256}-{kept}.gguf"
        if record["cpu"] != cpu_name() or path.stat().st_size != record["size_bytes"]:
            return None
        measurements = {name: Measurement(**values) for name, values in record["measurements"].items()}
        return Prepared(path, kept, measurements, str(record["sha256"]), dict(record["failures"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def prepare(
    store: Store,
    model: ModelFile,
    *,
    formats: Sequence[str] | None = None,
    quantize: Callable[[Path, Path, str], None] | None = None,
    measure: Callable[[Path, str], Speed | None] | None = None,
    progress: Callable[[str], None] | None = None,
    again: bool = False,
) -> Prepared:
    """Measure `model` as shipped and in each of `formats`, and keep the fastest; losers are deleted.

    Cost: seconds for 135M weights, minutes for 3B; disk for two candidates at most. If it was done before on
    this CPU with the same formats, it returns at once, unless `again`.

    Args:
        formats: What competes; by default `FORMATS`, or for a model with an adapter `ADAPTED_FORMATS`.
        quantize: (source, target, format) -> None; measure: (path, kernels) -> Speed, or None when those
            kernels do not run here. Default: llama.cpp, measured in a child process, which may crash.
        progress: called with one line before each step.

    Raises:
        StoreError: another process prepares this model, the disk is full, or the store cannot be written.
        ModelError, EngineError: the shipped file cannot be measured. A candidate's failure is only recorded.
    """
    if quantize is None or measure is None:
        from .engine import llama

        quantize, measure = quantize or llama.quantize, measure or llama.probe
    say = progress or (lambda _: None)
    formats = formats or (ADAPTED_FORMATS if model.parts else FORMATS)
    folder = store.root / "prepared"
    record = folder / f"{model.sha256}.json"
    busy = "another process is preparing this model"
    with exclusive(folder / f".{model.sha256}.lock", busy), storage_errors(record):
        kept = find(store, model)
        try:
            if kept is None or again or not {*formats} <= kept.measurements.keys() | kept.failures.keys():
                fresh = _compete(folder, model, formats, quantize, measure, say)
                write_atomic(record, json.dumps(_as_json(fresh), indent=1).encode())
                kept = fresh
            return kept
        finally:  # also what an earlier, killed process left
            for path in folder.glob(f"{model.sha256}-*"):
                if kept is None or path != kept.path:
                    path.unlink(missing_ok=True)


def _compete(
    folder: Path,
    model: ModelFile,
    formats: Sequence[str],
    quantize: Callable[[Path, Path, str], None],
    measure: Callable[[Path, str], Speed | None],
    say: Callable[[str], None],
) -> Prepared:
    if model.parts:
        base, adapter = model.parts
        say(f"working {adapter.name} into {base.name}")
        require_space(folder, 2 * gguf.check(base).parameters, "the model with its adapter")
        merge(base, adapter, model.path, quantize)
    header = gguf.check(model.path)
    say(f"measuring {AS_SHIPPED} ({header.quantisation})")
    measurements, failures = {AS_SHIPPED: _timed(measure, model.path, header.quantisation.lower())}, {}
    best, best_file, to_beat_s = AS_SHIPPED, model.path, measurements[AS_SHIPPED].request_s * (1 - MARGIN)
    if model.parts:
        to_beat_s = math.inf  # float16 is only the way there: twice the memory
    for name in formats:
        if name == header.quantisation.lower():
            failures[name] = "this is the shipped format"
            continue
        candidate = folder / f"{model.sha256}-{name}.tmp"
        require_space(folder, int(header.parameters * _BYTES_PER_WEIGHT.get(name, 4)), f"format {name}")
        try:
            say(f"writing {name}")
            quantize(model.path, candidate, name)
            gguf.check(candidate)
            say(f"measuring {name}")
            measurements[name] = _timed(measure, candidate, name)
        except EdgeAgentError as error:
            failures[name] = error.message
            candidate.unlink(missing_ok=True)
            continue
        loser = candidate
        if measurements[name].request_s < to_beat_s:
            best, best_file, loser, to_beat_s = name, candidate, best_file, measurements[name].request_s
        if loser != model.path:
            loser.unlink()
    if best_file == model.path:
        return Prepared(model.path, best, measurements, model.sha256, failures)
    best_file.chmod(0o600)
    final = folder / f"{model.sha256}-{best}.gguf"
    land(best_file, final)
    return Prepared(final, best, measurements, hash_file(final), failures)


def cpu_name() -> str:
    """Which processor this is: measurements made on another one say nothing here."""
    name = platform.processor()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(("model name", "CPU part", "Model")):
                name = line.partition(":")[2].strip()
                break
    except OSError:  # not Linux: platform.processor() names the model there
        pass
    return f"{platform.machine()} {name}".strip()


def _timed(measure: Callable[[Path, str], Speed | None], path: Path, quantisation: str) -> Measurement:
    """llama.cpp's own choice of kernels, or where that crashes, the fastest of the others.

    Raises EngineError when nothing runs."""
    choices = [["auto"], ["repack", "plain"] if quantisation == "q4_0" else ["plain"]]
    for kernels in choices:
        ran = [(name, speed) for name in kernels if (speed := measure(path, name))]
        if ran:
            return min((_measurement(name, speed) for name, speed in ran), key=lambda m: m.request_s)
    raise EngineError(f"{path} does not run on this CPU", hint="edge-agent doctor --report")


def _measurement(kernels: str, speed: Speed) -> Measurement:
    seconds = PROMPT_TOKENS / speed.prompt_tok_s + GENERATED_TOKENS / speed.generate_tok_s
    return Measurement(speed.prompt_tok_s, speed.generate_tok_s, seconds, kernels)


def _as_json(prepared: Prepared) -> dict[str, Any]:
    return {
        "format": prepared.format,
        "sha256": prepared.sha256,
        "size_bytes": prepared.path.stat().st_size,
        "cpu": cpu_name(),
        "measurements": {name: asdict(m) for name, m in prepared.measurements.items()},
        "failures": dict(prepared.failures),
    }

"""MaskBench: does a grammar made from a JSON Schema take every valid text and refuse every invalid one, and how fast?

Data: guidance-ai/jsonschemabench, rows `{id, set, schema, tests: [{valid, data}]}` as JSON lines. As upstream, a text
is `json.dumps(data, ensure_ascii=False)`, cut by the bundled model's tokenizer and fed token by token; a token has
to be in the mask. Engines take turns at each schema, in alternating order, in one process with garbage collection
off; llama.cpp in a child of its own (see `contenders`).
"""

from __future__ import annotations

import gc
import gzip
import json
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from ..errors import InputError
from .contenders import Attempt, Contender, Instance, LlamaCpp, LLGuidance, Ours, Spread, bundled
from .everyday import finished as finished
from .statistics import percentile

Row = TypeVar("Row")

#: Rows of the table; the second is what a person gets: the grammar, and the validator after it.
OURS, VALIDATED, LLGUIDANCE, LLAMA_CPP = Ours.name, "ours + validator", LLGuidance.name, LlamaCpp.name
SLOW_MS = 5000.0
_PERCENTILES = (50, 99, 100)


def run(
    *,
    data: Path,
    limit: int | None = None,
    every: int = 1,
    out: Path | None = None,
    skip: Collection[str] = (),
    llamacpp_every: int = 1,
    tokenizer: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Runs the suite and returns its figures. For people there are also `tables` (right and wrong, speed, by set) and
    `failures`: what ours did not pass, each with its first wrong instance.

    data: JSON lines, gzipped if the name ends in .gz; every: each so many-th schema of it; limit: first so many of
    these. out: JSON lines, a row per schema; a schema that is there already is not run again. skip: "llguidance",
    "llama.cpp". llamacpp_every: llama.cpp gets each so many-th of the schemas run. tokenizer: an LLTokenizer instead
    of the bundled model's; llama.cpp, which has its own, then does not take part. progress: called with (done, total).

    A schema is too_strict when a valid instance is refused, else too_lax when an invalid one is taken; an engine that
    gave up on the way is an error. unreported_lax counts all schemas of which an invalid instance is taken although
    nothing was reported as relaxed. Compile times are of schemas without error, over_5_s of all.

    Raises InputError naming file and line for unreadable data. Half of the suite, 5,631 schemas, takes minutes without
    llama.cpp.
    """
    rows = list(read(data))[::every][:limit]
    done = finished(out)
    with _engines(skip, tokenizer, needed=any(row["id"] not in done for row in rows)) as (tokenizer, engines):
        for number, row in enumerate(rows):
            if row["id"] not in done:
                turn = [each for each in engines if each.name != LLAMA_CPP or number % llamacpp_every == 0]
                done[row["id"]] = measure(row, tokenizer, turn[:: -1 if number % 2 else 1])
                gc.collect()
                if out:
                    with out.open("a", encoding="utf-8") as handle:
                        handle.write(json.dumps(done[row["id"]], ensure_ascii=False) + "\n")
            if progress:
                progress(number + 1, len(rows))
    return summary([done[row["id"]] for row in rows])


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file. Raises InputError."""
    return json_lines(path, "row of MaskBench", _row)


def json_lines(path: Path, kind: str, row: Callable[[Any], Row]) -> Iterator[Row]:
    """What `row` makes of each line of a file of JSON lines, gzipped if its name ends in .gz. Raises InputError."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield row(json.loads(line))
                except (ValueError, LookupError, TypeError) as error:
                    said = f"no {error}" if isinstance(error, KeyError) else error
                    raise InputError(f"{path}:{number}: not a {kind}: {said}") from error
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def _row(row: Any) -> dict[str, Any]:
    tests = [(test["valid"], test["data"]) for test in row["tests"]]
    if not all(isinstance(valid, bool) for valid, _ in tests):
        raise ValueError("valid is neither true nor false")
    return {"id": str(row["id"]), "set": str(row.get("set", "")), "schema": row["schema"], "tests": tests}


@contextmanager
def _engines(skip: Collection[str], tokenizer: Any, *, needed: bool) -> Iterator[tuple[Any, list[Contender]]]:
    """The tokenizer and the engines, warm: what they load at their first schema is not measured."""
    if not needed:
        yield tokenizer, []
        return
    with bundled() if tokenizer is None else nullcontext((tokenizer, None)) as (tokenizer, weights):
        everyone: list[Contender] = [Ours(tokenizer), LLGuidance(tokenizer), *([LlamaCpp(weights)] if weights else [])]
        engines = [engine for engine in everyone if engine.name not in skip]
        try:
            for engine in engines:
                engine.attempt({"type": "object"}, ())
            gc.collect()
            gc.freeze()
            gc.disable()
            yield tokenizer, engines
        finally:
            gc.enable()
            gc.unfreeze()
            for engine in engines:
                engine.close()


def measure(row: Mapping[str, Any], tokenizer: Any, engines: Iterable[Contender]) -> dict[str, Any]:
    """What each engine makes of one row, as a row of `out`."""
    instances = []
    for valid, data in row["tests"]:
        text = json.dumps(data, ensure_ascii=False)
        instances.append(Instance(text, tokenizer.tokenize_str(text), data, valid))
    attempts = {engine.name: engine.attempt(row["schema"], instances) for engine in engines}
    return {
        "id": row["id"],
        "set": row["set"],
        "instances": len(instances),
        "tokens": sum(len(each.tokens) for each in instances),
        "engines": {name: _result(attempt, instances, tokenizer) for name, attempt in attempts.items()},
    }


def _result(attempt: Attempt, instances: Sequence[Instance], tokenizer: Any) -> dict[str, Any]:
    valid = [instance.valid for instance in instances]
    result: dict[str, Any] = {
        "verdict": _verdict(valid, attempt.accepted, attempt.error),
        "lax": any(taken and not right for taken, right in zip(attempt.accepted, valid, strict=False)),
        "error": attempt.error,
        "compile_ms": attempt.compile_ms,
        "schema_ms": attempt.schema_ms,
        "masks": attempt.masks.as_dict(),
        "calls": attempt.calls.as_dict(),
        "report": attempt.report,
        "narrowed": attempt.narrowed,
        "first_wrong": _first_wrong(attempt, instances, tokenizer),
    }
    if (objections := attempt.objections) is not None:
        taken = [took and not objection for took, objection in zip(attempt.accepted, objections, strict=False)]
        result["validated"] = _verdict(valid, taken, attempt.validator_error)
        result["validator_error"] = attempt.validator_error
    return result


def _verdict(valid: Sequence[bool], taken: Sequence[bool], error: str) -> str:
    if error:
        return "error"
    if any(right and not took for right, took in zip(valid, taken, strict=True)):
        return "too_strict"
    return "passed" if list(valid) == list(taken) else "too_lax"


def _first_wrong(attempt: Attempt, instances: Sequence[Instance], tokenizer: Any) -> str:
    """The first instance that came out wrong, for a developer; empty when none did."""
    for number, (instance, taken) in enumerate(zip(instances, attempt.accepted, strict=False)):
        place = attempt.reached[number]
        before, after = (tokenizer.decode_str(part) for part in (instance.tokens[:place], instance.tokens[place:]))
        if instance.valid and not taken:
            return f"test {number}, valid, refused at {before[-60:]} ⟂ {after[:40]}"
        if taken and not instance.valid:
            return f"test {number}, invalid, taken: {instance.text[:120]}"
        if instance.valid and attempt.objections and number < len(attempt.objections) and attempt.objections[number]:
            return f"test {number}, valid, refused by the validator: {attempt.objections[number]}"
    return ""


# -- figures -----------------------------------------------------------------------------------------------


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures over rows of `measure`."""
    present = [name for name in (OURS, LLGUIDANCE, LLAMA_CPP) if any(name in row["engines"] for row in rows)]
    results = {name: [row["engines"][name] for row in rows if name in row["engines"]] for name in present}
    engines = {name: _figures(mine) for name, mine in results.items()}
    if OURS in results:
        engines[VALIDATED] = _counts([_validated(result) for result in results[OURS]])
    order = [name for name in (OURS, VALIDATED, LLGUIDANCE, LLAMA_CPP) if name in engines]
    sets = {}
    for name in dict.fromkeys(row["set"] for row in rows):
        mine = [row["engines"] for row in rows if row["set"] == name]
        sets[name] = {"schemas": len(mine), **_rates(mine)}
    return {
        "suite": "maskbench",
        "schemas": len(rows),
        "instances": sum(row["instances"] for row in rows),
        "tokens": sum(row["tokens"] for row in rows),
        "engines": {name: engines[name] for name in order},
        "by_set": sets,
        "tables": [
            [{"engine": name} | {key: engines[name].get(key) for key in _JUDGED} for name in order],
            [{"engine": name} | {key: engines[name].get(key) for key in _TIMED} for name in present],
            [{"set": name, **figures} for name, figures in sets.items()],
        ],
        "failures": [failure for row in rows if (failure := _failure(row))],
    }


_JUDGED = ("schemas", "passed", "rate", "errors", "too_strict", "too_lax", "unreported_lax")
_TIMED = (
    "compile_ms_p50", "compile_ms_p99", "compile_ms_max", "over_5_s",
    "mask_us_avg", "mask_us_p50", "mask_us_p99", "mask_us_max", "masks",
)  # fmt: skip


def _counts(verdicts: Sequence[str]) -> dict[str, Any]:
    passed = verdicts.count("passed")
    return {
        "schemas": len(verdicts),
        "passed": passed,
        "rate": passed / len(verdicts) if verdicts else None,
        "errors": verdicts.count("error"),
        "too_strict": verdicts.count("too_strict"),
        "too_lax": verdicts.count("too_lax"),
    }


def _figures(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    figures = _counts([result["verdict"] for result in results])
    figures["unreported_lax"] = sum(result["lax"] and not result["report"] for result in results)
    for key in ("compile_ms", "schema_ms"):
        times = [result[key] for result in results if result[key] is not None and result["verdict"] != "error"]
        if times:
            figures |= {f"{key}_{_short(percent)}": percentile(times, percent) for percent in _PERCENTILES}
    figures["over_5_s"] = sum(result["compile_ms"] > SLOW_MS for result in results)
    for key, unit in (("masks", "mask_us"), ("calls", "call_us")):
        spread = Spread()
        for result in results:
            spread.add(Spread.read(result[key]))
        if spread.count:
            figures[f"{unit}_avg"] = spread.mean
            figures |= {f"{unit}_{_short(percent)}": spread.percentile(percent) for percent in _PERCENTILES}
            figures[key] = spread.count
    return figures


def _short(percent: int) -> str:
    return "max" if percent == 100 else f"p{percent}"


def _validated(result: Mapping[str, Any]) -> str:
    """The verdict of grammar and validator together."""
    return str(result.get("validated", result["verdict"]))


def _rates(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """The share passed of one set, by engine."""

    def rate(verdicts: Sequence[str]) -> float | None:
        return verdicts.count("passed") / len(verdicts) if verdicts else None

    return {
        OURS: rate([row[OURS]["verdict"] for row in rows if OURS in row]),
        VALIDATED: rate([_validated(row[OURS]) for row in rows if OURS in row]),
        LLGUIDANCE: rate([row[LLGUIDANCE]["verdict"] for row in rows if LLGUIDANCE in row]),
    }


def _failure(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """What ours did not pass, by the grammar alone or with the validator."""
    result = row["engines"].get(OURS)
    if result is None or (result["verdict"], _validated(result)) == ("passed", "passed"):
        return None
    why = result["error"] or result.get("validator_error") or result["first_wrong"]
    known = {"too_lax": result["report"], "too_strict": result["narrowed"]}.get(result["verdict"], [])
    return {
        "id": row["id"],
        "grammar": result["verdict"],
        "validated": _validated(result),
        "why": why,
        "known": "; ".join(known),
    }

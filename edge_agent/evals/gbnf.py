"""Does llama.cpp read the grammars we write, and take by them the same texts as our matcher?

Data: rows of MaskBench. The GBNF of each schema, as the standard has it and as a call, goes to llama.cpp's own parser,
in a child that is replaced when it dies or is silent for 5 s. Of all pairs of a schema and a text, a seeded sample is
judged twice along the bundled model's tokens: by llama.cpp's sampler and by our matcher.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .contenders import Instance, LlamaCpp, bundled, said
from .maskbench import read
from .statistics import percentiles

if TYPE_CHECKING:
    from ..grammar import Grammar

#: How a schema is read -> `call` of `compile_schema`; texts are judged as in JUDGED.
MODES = {"standard": False, "call": True}
JUDGED = "standard"
#: died: llama.cpp's process, or it was silent; not_written: our lint refuses it as GBNF; empty: allows no value.
OUTCOMES = ("parsed", "refused", "died", "not_written", "empty", "not_compiled")
#: Of a pair. no_answer: an engine gave up; no_gbnf: llama.cpp was not asked.
VERDICTS = ("both_take", "both_refuse", "only_ours", "only_llama_cpp", "no_answer", "no_gbnf")
_SEED = 3


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one schema in one mode; times and size where it came that far. wider: the GBNF takes more than
    our matcher does, and says so."""

    outcome: str
    why: str = ""
    wider: bool = False
    size_bytes: int | None = None
    to_gbnf_ms: float | None = None
    read_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """One text under one schema: the number of its test, one of VERDICTS, and where the two part."""

    test: int
    verdict: str
    why: str = ""
    wider: bool = False

    @property
    def wrong(self) -> bool:
        return self.verdict in ("only_ours", "no_answer") or (self.verdict == "only_llama_cpp" and not self.wider)


def run(
    *,
    data: Path,
    pairs: int = 1000,
    every: int = 1,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Runs the suite and returns its figures. For people there are also `tables` and `failures`: all that was not
    parsed, save schemas that allow no value, and the pairs judged differently.

    data, every, limit, progress: as for MaskBench. pairs: how many to judge. wrong: how many grammars llama.cpp
    refused or died of, and how many pairs came out different or without an answer; a pair of a GBNF that is wider may
    be taken by llama.cpp alone.

    Raises InputError naming file and line for unreadable data. Some milliseconds per schema and pair.
    """
    rows = list(read(data))[::every][:limit]
    done = []
    with bundled() as (tokenizer, weights), closing(LlamaCpp(weights)) as native:
        for number, (row, tests) in enumerate(zip(rows, sample(rows, pairs), strict=True), 1):
            done.append(examine(row, tests, tokenizer, native))
            if progress:
                progress(number, len(rows))
    return summary(done)


def sample(rows: Sequence[Mapping[str, Any]], pairs: int) -> Iterator[list[int]]:
    """For each row the numbers of those tests that are among `pairs` of all; the same ones each time."""
    total = sum(len(row["tests"]) for row in rows)
    chosen = set(random.Random(_SEED).sample(range(total), min(pairs, total)))  # noqa: S311
    first = 0
    for row in rows:
        count = len(row["tests"])
        yield [test for test in range(count) if first + test in chosen]
        first += count


def examine(
    row: Mapping[str, Any], tests: Collection[int], tokenizer: Any, native: LlamaCpp
) -> tuple[str, dict[str, Written], list[Pair]]:
    """One row: its id, what became of it by mode, and its pairs, which are those of `tests`."""
    pairs = [Pair(test, "no_gbnf") for test in tests]
    written = {}
    for mode, call in MODES.items():
        grammar, text, written[mode] = write(row["schema"], native, call=call)
        if grammar and written[mode].outcome == "parsed" and mode == JUDGED:
            wider = written[mode].wider
            pairs = [Pair(test, *judge(row["tests"][test], grammar, text, tokenizer, native), wider) for test in tests]
    return row["id"], written, pairs


def write(schema: Any, native: LlamaCpp, *, call: bool) -> tuple[Grammar | None, str, Written]:
    """The grammar of a schema, its GBNF, and what llama.cpp's parser makes of that."""
    from ..grammar import compile_schema
    from ..grammar.regular import expand

    try:
        compiled = compile_schema(schema, call=call)
    except Exception as error:
        return None, "", Written("not_compiled", said(error))
    if compiled.empty:
        return None, "", Written("empty")
    began = time.perf_counter()
    try:
        text = compiled.gbnf
    except Exception as error:
        return None, "", Written("not_written", said(error))
    to_gbnf_ms = (time.perf_counter() - began) * 1e3
    attempt = native.read(text)
    outcome = "died" if attempt.died else "refused" if attempt.error else "parsed"
    wider = bool(expand(compiled.grammar)[1])
    written = Written(outcome, attempt.error, wider, len(text.encode()), to_gbnf_ms, attempt.compile_ms)
    return compiled.grammar, text, written


def judge(case: tuple[bool, Any], grammar: Grammar, gbnf: str, tokenizer: Any, native: LlamaCpp) -> tuple[str, str]:
    """One pair, of a grammar and its GBNF: one of VERDICTS, and why that is so where it should not."""
    from ..grammar import TokenMatcher

    valid, data = case
    text = json.dumps(data, ensure_ascii=False)
    tokens = tokenizer.tokenize_str(text)
    try:
        matcher = TokenMatcher(grammar, tokenizer)
        reached = next((place for place, token in enumerate(tokens) if not matcher.accept(token)), len(tokens))
        ours = reached == len(tokens) and matcher.complete
    except Exception as error:
        return "no_answer", f"ours: {said(error)}"
    attempt = native.read(gbnf, [Instance(text, tokens, data, valid)])
    if attempt.error:
        return "no_answer", f"llama.cpp: {attempt.error}"
    if attempt.accepted == [ours]:
        return "both_take" if ours else "both_refuse", ""
    place = attempt.reached[0] if ours else reached
    before, after = (tokenizer.decode_str(part) for part in (tokens[:place], tokens[place:]))
    return "only_ours" if ours else "only_llama_cpp", f"refused by the other at {before[-60:]} ⟂ {after[:40]}"


# -- figures -----------------------------------------------------------------------------------------------


def summary(done: Sequence[tuple[str, Mapping[str, Written], Sequence[Pair]]]) -> dict[str, Any]:
    """The figures over what `examine` gives."""
    modes = {mode: _figures([written[mode] for _, written, _ in done]) for mode in MODES}
    judged = [pair for _, _, pairs in done for pair in pairs]
    pairs = {
        name: _counts([pair.verdict for pair in judged if pair.wider is wider], VERDICTS, "pairs")
        for name, wider in (("exact", False), ("wider", True))
    }
    counted = ("schemas", *OUTCOMES, "wider")
    return {
        "suite": "gbnf",
        "schemas": len(done),
        "wrong": sum(each["refused"] + each["died"] for each in modes.values()) + sum(pair.wrong for pair in judged),
        "modes": modes,
        "pairs": pairs,
        "tables": [
            [{"mode": mode} | {key: each[key] for key in counted} for mode, each in modes.items()],
            [{"mode": mode} | {key: each[key] for key in each if key not in counted} for mode, each in modes.items()],
            [{"gbnf": name, **each} for name, each in pairs.items()],
        ],
        "failures": [
            *(
                {"id": name, "what": mode, "outcome": each.outcome, "why": each.why}
                for name, written, _ in done
                for mode, each in written.items()
                if each.outcome not in ("parsed", "empty")
            ),
            *(
                {"id": name, "what": f"test {pair.test}", "outcome": pair.verdict, "why": pair.why}
                for name, _, pairs in done
                for pair in pairs
                if pair.wrong
            ),
        ],
    }


def _figures(results: Sequence[Written]) -> dict[str, Any]:
    figures: dict[str, Any] = _counts([each.outcome for each in results], OUTCOMES, "schemas")
    figures["wider"] = sum(each.wider for each in results)
    for name in ("size_bytes", "to_gbnf_ms", "read_ms"):
        figures |= percentiles(name, [value for each in results if (value := getattr(each, name)) is not None])
    return figures


def _counts(results: Sequence[str], kinds: Sequence[str], total: str) -> dict[str, int]:
    return {total: len(results), **{kind: results.count(kind) for kind in kinds}}

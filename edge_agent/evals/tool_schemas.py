"""Real tools of strangers: does each compile as the arguments of a call, and do many make one grammar?

Data: JSON lines `{name, parameters, ...}`, a tool each. Every tool is compiled by itself, as a request does it; then
the first so many become one grammar, through the dialects, for our matcher and for llama.cpp.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import Settings
from .contenders import LlamaCpp, bundled, said
from .maskbench import json_lines
from .statistics import percentiles

if TYPE_CHECKING:
    from ..grammar import Compiled, Grammar

#: One family that was tuned on tools, and the bundled model.
DIALECTS = ("hermes", "smollm2")
_TIMES = ("compile_ms", "matcher_ms")


@dataclass(frozen=True, slots=True)
class Alone:
    """One tool by itself; without `compiled` and times as far as there was an error."""

    name: str
    error: str = ""
    compiled: Compiled | None = None
    compile_ms: float | None = None
    matcher_ms: float | None = None


def run(*, data: Path, together: int = 25, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Runs the suite and returns its figures. For people there are also `tables` and `failures`.

    together: so many tools, the first of each name, make one grammar. progress: called with (done, total). wrong: how
    many tools failed, and how many dialects: there is no grammar or no matcher, llama.cpp does not read it, or it
    holds rules, beside the first, that are not those compiled before.

    Raises InputError naming file and line for unreadable data. Some milliseconds per tool.
    """
    tools = list(read(data))
    with bundled() as (tokenizer, weights), closing(LlamaCpp(weights)) as native:
        alone = []
        compile_alone("warm", {"type": "object", "properties": {"name": {"type": "string"}}}, tokenizer)
        for number, (name, schema) in enumerate(tools, 1):
            alone.append(compile_alone(name, schema, tokenizer))
            if progress:
                progress(number, len(tools))
        first: dict[str, Alone] = {}
        for each in alone:
            if each.compiled and len(first) < together:
                first.setdefault(each.name, each)
        mixed = {dialect: assemble_all(dialect, first, tokenizer, native) for dialect in DIALECTS}
    return summary(alone, mixed)


def read(path: Path) -> Iterator[tuple[str, Any]]:
    """Name and schema of each tool of a file. Raises InputError."""
    return json_lines(path, "tool", lambda tool: (str(tool["name"]), tool["parameters"]))


def compile_alone(name: str, schema: Any, tokenizer: Any) -> Alone:
    """One tool compiled as the arguments of a call, and its matcher built."""
    from ..grammar import TokenMatcher, compile_schema

    compiled = compile_ms = None
    began = time.perf_counter()
    try:
        compiled = compile_schema(schema, name=name, call=True)
        compile_ms, began = (time.perf_counter() - began) * 1e3, time.perf_counter()
        TokenMatcher(compiled.grammar, tokenizer)
    except Exception as error:
        return Alone(name, said(error), compiled, compile_ms)
    return Alone(name, "", compiled, compile_ms, (time.perf_counter() - began) * 1e3)


def assemble_all(dialect: str, tools: Mapping[str, Alone], tokenizer: Any, native: LlamaCpp) -> dict[str, Any]:
    """One grammar of compiled tools: its figures. error: what went wrong, empty for nothing."""
    from .. import dialects
    from ..dialects.base import CallRules
    from ..grammar import Ref, TokenMatcher, assemble, to_gbnf

    parts: dict[str, Grammar] = {name: each.compiled.grammar for name, each in tools.items() if each.compiled}
    figures: dict[str, Any] = {
        "tools": len(parts),
        "compile_ms": sum(each.compile_ms or 0.0 for each in tools.values()),
    }
    family = dialects.get(dialect)
    began = time.perf_counter()

    def lap() -> float:
        nonlocal began
        before, began = began, time.perf_counter()
        return (began - before) * 1e3

    try:
        rules = CallRules({name: Ref(part.root) for name, part in parts.items()}, max_calls=Settings().max_calls)
        whole = assemble(family.wrap_grammar(rules), parts.values())
        figures["assemble_ms"] = lap()
        compiled = {id(node) for part in parts.values() for node in part.rules.values()}
        figures |= {
            "rules": len(whole.rules),
            "new_rules": sum(id(node) not in compiled for node in whole.rules.values()),
        }
        lap()
        TokenMatcher(whole, tokenizer)
        figures["matcher_ms"] = lap()
        text = to_gbnf(whole)
        figures |= {"to_gbnf_ms": lap(), "size_bytes": len(text.encode())}
        attempt = native.read(text)
        figures |= {"read_ms": attempt.compile_ms, "error": attempt.error and f"llama.cpp: {attempt.error}"}
    except Exception as error:
        figures["error"] = said(error)
    if figures.get("new_rules", 1) != 1:
        figures["error"] = figures["error"] or "assembling has made rules beside the first"
    return figures


def summary(alone: Sequence[Alone], mixed: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The figures over every tool by itself, and over all together by dialect."""
    failures = [{"what": each.name, "why": each.error} for each in alone if each.error]
    failures += [{"what": dialect, "why": each["error"]} for dialect, each in mixed.items() if each["error"]]
    made = [each.compiled for each in alone if each.compiled]
    counts = {
        "tools": len(alone),
        "failed": sum(bool(each.error) for each in alone),
        "relaxed": sum(bool(each.report) for each in made),
        "narrowed": sum(bool(each.narrowed) for each in made),
    }
    times: dict[str, Any] = {}
    for name in _TIMES:
        times |= percentiles(name, [value for each in alone if (value := getattr(each, name)) is not None])
    keywords = {
        "relaxed": Counter(each.keyword for one in made for each in one.report),
        "narrowed": Counter(each.keyword for one in made for each in one.narrowed),
    }
    return {
        "suite": "tool-schemas",
        **counts,
        "wrong": len(failures),
        **times,
        "keywords": {kind: dict(found.most_common()) for kind, found in keywords.items()},
        "together": mixed,
        "tables": [
            [{"compiled": "each by itself", **counts}],
            [{"time": name, **{short: times[f"{name}_{short}"] for short in ("p50", "p99", "max")}} for name in _TIMES],
            [
                {"keyword": keyword, "how": kind, "count": count}
                for kind, found in keywords.items()
                for keyword, count in found.most_common()
            ],
            [{"together": dialect, **each} for dialect, each in mixed.items()],
        ],
        "failures": failures,
    }

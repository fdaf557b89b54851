"""The official JSON Schema test suite, draft 2020-12: does the grammar, and the grammar with the validator after it,
judge each value as the standard does?

Data: json-schema-org/JSON-Schema-Test-Suite, its folders `tests/draft2020-12` and `remotes`. A text is
`json.dumps(data)`, fed to the grammar byte by byte; no model is needed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from .contenders import said

DRAFT = "draft2020-12"
#: Where the suite's remote documents are said to be.
REMOTE = "http://localhost:1234/"
#: Too lax is an invalid value taken; reported when anything of the schema was.
VERDICTS = ("right", "too_strict", "too_lax_reported", "too_lax_unreported", "error")


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    data: Any
    valid: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case. grammar: one of VERDICTS, about the grammar alone; validated: whether grammar and validator together
    are right; why: the error, or what the validator has against a valid value."""

    name: str
    grammar: str
    validated: bool
    why: str = ""


def run(*, data: Path, optional: bool = False, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Runs the suite in the folder `data` and returns its figures. For people there are also `tables` (a row per file,
    which is mostly a keyword) and `failures`.

    optional: the cases of `optional/` too. progress: called with (done, total) files. `format` is a note, as the
    standard has it, save in the files under `optional/` that ask for more. Raises InputError for unreadable data.
    Some milliseconds per case.
    """
    tests = data / "tests" / DRAFT
    files = sorted(tests.glob("*.json")) + (sorted((tests / "optional").rglob("*.json")) if optional else [])
    if not files:
        raise InputError(
            f"{data}: there is no tests/{DRAFT} in it", hint="a copy of JSON-Schema-Test-Suite is expected"
        )
    known = remotes(data / "remotes")
    outcomes: dict[str, list[Outcome]] = {}
    for number, file in enumerate(files, 1):
        name = file.relative_to(tests).with_suffix("").as_posix()
        formats = name.startswith("optional/format")
        outcomes[name] = [
            outcome for schema, cases in _groups(file) for outcome in judge(schema, cases, known, formats=formats)
        ]
        if progress:
            progress(number, len(files))
    rows = {name: _counts(each) for name, each in outcomes.items()}
    whole = {
        part: _counts([o for name, each in outcomes.items() if name.startswith("optional/") is extra for o in each])
        for part, extra in (("required", False), ("optional", True))
        if optional or not extra
    }
    lines = [*rows.items(), *((f"all {part}", row) for part, row in whole.items())]
    return {
        "suite": "json-schema-suite",
        **whole,
        "by_keyword": rows,
        "tables": [[{"keyword": name, **row} for name, row in lines]],
        "failures": [
            {"file": name, "case": each.name, "grammar": each.grammar, "validated": each.validated, "why": each.why}
            for name, mine in outcomes.items()
            for each in mine
            if each.grammar != "right" or not each.validated
        ],
    }


def remotes(folder: Path) -> dict[str, Any]:
    """The documents that schemas of the suite may refer to, by URI."""
    return {REMOTE + file.relative_to(folder).as_posix(): _read(file) for file in sorted(folder.rglob("*.json"))}


def judge(schema: Any, cases: Sequence[Case], known: Mapping[str, Any], *, formats: bool) -> Iterator[Outcome]:
    """The outcomes of one schema's cases. known: the documents it may refer to, by URI; formats: whether `format` says
    more than a note does."""
    from ..grammar import TextMatcher, compile_schema

    try:
        compiled = compile_schema(schema, formats=formats, remotes=known)
        matcher = None if compiled.empty else TextMatcher(compiled.grammar)
    except Exception as error:
        yield from (Outcome(case.name, "error", False, said(error)) for case in cases)
        return
    lax = "too_lax_reported" if compiled.report else "too_lax_unreported"
    for case in cases:
        grammar, validated, why = "error", False, ""
        try:
            taken = matcher is not None and matcher.accepts(json.dumps(case.data))
            grammar = "right" if taken == case.valid else "too_strict" if case.valid else lax
            objections = compiled.validate(case.data) if taken else []
            validated, why = (taken and not objections) == case.valid, "; ".join(objections)
        except Exception as error:
            why = said(error)
        yield Outcome(case.name, grammar, validated, "" if validated else why)


def _counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    by_verdict = Counter(each.grammar for each in outcomes)
    return {
        "cases": len(outcomes),
        **{verdict: by_verdict[verdict] for verdict in VERDICTS},
        "with_validator": sum(each.validated for each in outcomes),
    }


def _groups(file: Path) -> Iterator[tuple[Any, list[Case]]]:
    """Each schema of a file, with its cases. Raises InputError."""
    try:
        for group in _read(file):
            about = group["description"]
            yield group["schema"], [Case(f"{about}: {t['description']}", t["data"], t["valid"]) for t in group["tests"]]
    except (LookupError, TypeError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else error
        raise InputError(f"{file}: not a file of the suite: {why}") from error


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: {error}") from error

"""The everyday suite's cases: what a person says, and the form their expected outcome is written in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from edge_agent.errors import InputError
from edge_agent.evals.judge import SLOTS

Kind = Literal["single", "two_step", "missing", "impossible"]


@dataclass(frozen=True, slots=True)
class Case:
    id: str
    kind: Kind
    text: str
    expect: Mapping[str, Any]


def load_cases(path: Path | None = None) -> tuple[Case, ...]:
    """Read a suite, one JSON object a line; the packaged everyday suite when `path` is None.

    Raises:
        InputError: a line is not a case or its checks are malformed; the message names file, line and check.
    """
    path = path or Path(__file__).with_name("everyday.jsonl")
    cases = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            case = Case(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}:{number}: not a case: {error}") from error
        if case.kind not in get_args(Kind):
            raise InputError(f"{path}:{number}: unknown kind {case.kind!r}", hint=f"known: {get_args(Kind)}")
        if problems := lint(case.expect):
            raise InputError(f"{path}:{number}: {problems[0]}")
        cases.append(case)
    return tuple(cases)


def lint(expect: Mapping[str, Any]) -> list[str]:
    """What is wrong with a case's checks, each naming the check; empty when they are well formed."""
    from jsonschema import Draft202012Validator

    errors = Draft202012Validator(_SCHEMA).iter_errors(expect)
    problems = [f"{'.'.join(map(str, error.absolute_path)) or 'expect'}: {error.message}" for error in errors]
    for extra in () if problems else expect.get("any", ()):
        problems += [f"any: {name} is also checked outside" for name in extra.keys() & expect.keys()]
    return sorted(problems)


_TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$"}
_TEXT = {"type": "string", "minLength": 1}
_TEXTS = {"type": "array", "items": _TEXT, "minItems": 1}
_NEEDLE = {"anyOf": [_TEXT, _TEXTS]}
_NEEDLES = {"type": "array", "items": _NEEDLE, "minItems": 1}
_POSITIVE = {"type": "number", "exclusiveMinimum": 0}


def _form(required: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required.split(),
        "properties": fields,
        "additionalProperties": False,
        "minProperties": 1,
    }


def _some(form: Any) -> dict[str, Any]:
    return {"anyOf": [form, {"type": "array", "items": form, "minItems": 1}]}


_EVENT = {"title_has": _NEEDLES, "start": _TIME, "duration_min": _POSITIVE, "location_has": _NEEDLES}
_PERCENT = {"type": "integer", "minimum": 0, "maximum": 100}
_FORMS: dict[str, Any] = {
    "event": _some(_form("title_has start", **_EVENT)),
    "event_absent": _some(_form("title_has", **_EVENT)),
    "reminder": _some(_form("due", text_has=_NEEDLES, due=_TIME, tolerance_s=_POSITIVE)),
    "reminder_absent": _some(_form("", text_has=_NEEDLES, due=_TIME, tolerance_s=_POSITIVE)),
    "todo": _some(_form("text_has", text_has=_NEEDLES)),
    "todo_done": _some(_form("text_has", text_has=_NEEDLES)),
    "contact": _some(_form("name_has", name_has=_NEEDLES, phone=_TEXT, email=_TEXT)),
    "draft": _some(_form("to_has body_has", to_has=_TEXT, subject_has=_NEEDLES, body_has=_NEEDLES)),
    "message": _some(_form("to_has body_has", to_has=_NEEDLE, body_has=_NEEDLES)),
    "file_exists": _some({"anyOf": [_TEXT, _form("path same_as", path=_TEXT, same_as=_TEXT)]}),
    "file_contains": _some(_form("path has", path=_TEXT, has=_NEEDLES, new={"const": True})),
    "file_absent": _some(_TEXT),
    "trashed": _some(_TEXT),
    "answer_has": _NEEDLES,
    "answer_lacks": _TEXTS,
    "answer_number": _some(
        _form(
            "value tolerance",
            value={"type": "array", "items": {"type": "number"}, "minItems": 1},
            tolerance={"type": "number", "minimum": 0},
        )
    ),
    "system": _form("", volume=_PERCENT, brightness=_PERCENT, dark_mode={"type": "boolean"}, processes_lacks=_TEXTS),
    "opened": _some(_TEXT),
    "clipboard_has": _NEEDLES,
    "asks": {"type": "array", "items": {"enum": sorted(SLOTS)}, "minItems": 1},
    "declines": {"const": True},
    "allow_other": {"const": True},
}
_SCHEMA: dict[str, Any] = {
    **_form("", **_FORMS, any={"type": "array", "items": _form("", **_FORMS), "minItems": 2}),
    "dependentSchemas": {"asks": {"maxProperties": 1}, "declines": {"maxProperties": 1}},
}

"""The Berkeley Function Calling Leaderboard, version 4, single turn in Python, by its own rules.

Data: upstream's files (ShishirPatil/gorilla), `BFCL_v4_{category}.json` and `possible_answer/` beside them. `check` is
upstream's judge written anew; that it is the same judge is shown by `conformance`. Upstream's "simple" column averages
Python, Java and JavaScript; here it is Python alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .maskbench import json_lines
from .statistics import auroc
from .suite import Case, Verdict

if TYPE_CHECKING:
    from ..predict import Prediction

#: category -> the file's; of these, upstream also has Java and JavaScript for simple
CATEGORIES = {
    "simple": "simple_python",
    "multiple": "multiple",
    "parallel": "parallel",
    "parallel_multiple": "parallel_multiple",
    "irrelevance": "irrelevance",
    "live_simple": "live_simple",
    "live_multiple": "live_multiple",
    "live_parallel": "live_parallel",
    "live_parallel_multiple": "live_parallel_multiple",
    "live_irrelevance": "live_irrelevance",
    "live_relevance": "live_relevance",
}
_SCHEMA_TYPES = {"dict": "object", "float": "number", "tuple": "array"}
_PYTHON_TYPES: Mapping[str, type] = {
    "string": str, "integer": int, "float": float, "boolean": bool, "array": list, "tuple": list, "dict": dict,
    "any": str,
}  # fmt: skip
_IGNORED = str.maketrans("'", '"', " ,./-_*^")

Calls = Sequence[Mapping[str, Mapping[str, Any]]]
Wrong = str | None


class Bfcl:
    """The suite. A case's gold is upstream's functions and its truth, which is empty where there is none."""

    name = "bfcl"

    def load(self, data: Path) -> list[Case]:
        """`data`: upstream's folder, or the one above it, called `bfcl`."""
        root = folder(data)
        return [case for category in CATEGORIES for case in _cases(root, category)]

    def judge(self, case: Case, prediction: Prediction) -> Verdict:
        functions, truth = case.gold
        passed, reason = check(case.category, functions, _written(prediction), truth)
        if not truth:
            return Verdict(passed, reason)
        named = sorted(call.name for call in prediction.calls) == sorted(name for entry in truth for name in entry)
        return Verdict(passed, reason, named, passed if named else None)

    def extra(self, cases: Sequence[Case], predictions: Sequence[Prediction]) -> dict[str, Any]:
        """For live cases and the others: how often nothing was called when nothing fits and something when it had to
        be, and the AUROC of the probability of calling between the two. `ast`: accuracy where a call has a truth;
        as upstream has it, categories weigh the same, and in live by their size.
        """
        figures: dict[str, Any] = {}
        for prefix in ("", "live_"):
            mine = [
                (case, answer)
                for case, answer in zip(cases, predictions, strict=True)
                if case.category.startswith("live_") == bool(prefix)
            ]
            idle = [answer for case, answer in mine if case.category.endswith("irrelevance")]
            needed = [answer for case, answer in mine if not case.category.endswith("irrelevance")]
            rates: dict[str, list[bool]] = {}
            for case, answer in mine:
                if case.gold[1]:
                    rates.setdefault(case.category, []).append(self.judge(case, answer).passed)
            groups = [[passed for each in rates.values() for passed in each]] if prefix else list(rates.values())
            figures |= {
                f"{prefix}ast": _mean([_mean(group) for group in groups]),
                f"{prefix}irrelevance": _mean([not answer.calls for answer in idle]),
                f"{prefix}must_call": _mean([bool(answer.calls) for answer in needed]),
                f"{prefix}calling_auroc": auroc([a.calling for a in needed], [a.calling for a in idle]),
            }
        return figures


# -- data --------------------------------------------------------------------------------------------------


def folder(data: Path) -> Path:
    """Where upstream's files lie. Raises InputError."""
    for root in (data, data / "bfcl"):
        if any(root.glob("BFCL_v4_*.json")):
            return root
    raise InputError(f"{data}: there is no BFCL_v4_….json in it", hint="a copy of upstream's data folder is expected")


def _cases(root: Path, category: str) -> Iterator[Case]:
    file = f"BFCL_v4_{CATEGORIES[category]}.json"
    truths: Mapping[str, Any] = {}
    if not category.endswith("relevance"):
        truths = dict(json_lines(root / "possible_answer" / file, "possible answer", _truth))
    for identity, messages, functions in json_lines(root / file, "row of BFCL", _question):
        if truths and identity not in truths:
            raise InputError(f"{root / 'possible_answer' / file}: has no answer for {identity}")
        tools = [{**function, "parameters": json_schema(function["parameters"])} for function in functions]
        row = {"id": identity, "messages": messages, "tools": tools}
        yield Case(identity, category, row, (functions, truths.get(identity, ())))


def _truth(row: Any) -> tuple[str, Any]:
    return row["id"], row["ground_truth"]


def _question(row: Any) -> tuple[str, Any, Any]:
    (messages,) = row["question"]
    return row["id"], messages, row["function"]


def json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Upstream's schema as JSON Schema: `dict`, `float` and `tuple` by their names there, `any` without a type."""
    made = dict(schema)
    if made.get("type") == "any":
        del made["type"]
    elif isinstance(made.get("type"), str):
        made["type"] = _SCHEMA_TYPES.get(made["type"], made["type"])
    if isinstance(made.get("properties"), Mapping):
        made["properties"] = {name: json_schema(sub) for name, sub in made["properties"].items()}
    for keyword in ("items", "additionalProperties"):
        if isinstance(made.get(keyword), Mapping):
            made[keyword] = json_schema(made[keyword])
    return made


def _written(prediction: Prediction) -> list[dict[str, Mapping[str, Any]]]:
    return [{call.name: call.arguments} for call in prediction.calls]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


# -- the judge ---------------------------------------------------------------------------------------------


def check(
    category: str,
    functions: Sequence[Mapping[str, Any]],
    calls: Calls,
    truth: Calls,
) -> tuple[bool, str]:
    """Upstream's verdict on `calls`, and why if they are wrong.

    functions: as upstream writes them. calls: `[{name: {argument: value}}]`. truth: the same with a list of allowed
    values for each argument, in which `""` allows to leave it out.
    """
    if category.endswith("irrelevance"):
        return not calls, "a call where nothing fits" if calls else ""
    if category.endswith("relevance"):
        return bool(calls), "" if calls else "no call where one is needed"
    if len(calls) != len(truth):
        return False, f"{len(calls)} calls, not {len(truth)}"
    known = {function["name"]: function for function in functions}
    left = list(calls)
    for entry in truth:
        (name,) = entry
        wrongs = [_call(known.get(name, functions[0]), call, entry[name]) for call in left]
        if None not in wrongs:
            return False, wrongs[0] if len(truth) == 1 and wrongs[0] else f"no call is {name} as it should be"
        del left[wrongs.index(None)]
    return True, ""


def _call(function: Mapping[str, Any], call: Mapping[str, Mapping[str, Any]], truth: Mapping[str, Any]) -> Wrong:
    """What is wrong with one call, if anything."""
    name = function["name"]
    if name not in call:
        return f"{', '.join(call)} called, not {name}"
    given, properties = call[name], function["parameters"]["properties"]
    for parameter in function["parameters"].get("required", ()):
        if parameter not in given:
            return f"{parameter}: missing"
    for parameter, value in given.items():
        if parameter not in properties or parameter not in truth:
            return f"{parameter}: not expected"
        if not _right(value, properties[parameter], truth[parameter]):
            return f"{parameter}: {value!r} is none of {truth[parameter]!r}"
    for parameter, allowed in truth.items():
        if parameter not in given and "" not in allowed:
            return f"{parameter}: left out"
    return None


def _right(value: Any, schema: Mapping[str, Any], allowed: Sequence[Any]) -> bool:
    """Whether a value has the declared type and is one of the allowed ones, or has the type of the first of these
    instead and equals one."""
    declared = _PYTHON_TYPES[schema["type"]]
    inner = _PYTHON_TYPES.get(schema.get("items", {}).get("type")) if declared is list else None
    stated = next((type(each) for each in allowed if each != ""), None)
    if schema["type"] == "float" and type(value) is int:
        value = float(value)
    kind = type(value)
    if kind is not declared:
        return kind is stated and value in allowed
    if inner and not _items_fit(value, inner, allowed):
        return False
    if stated not in (None, declared):
        return value in allowed
    return _COMPARE.get((declared, inner is dict), _is_one)(value, allowed)


def _items_fit(value: Sequence[Any], inner: type, allowed: Sequence[Any]) -> bool:
    """Whether the items have the declared type, or that of the first item of some allowed list."""
    for each in allowed:
        if not isinstance(each, list):
            return True
        stated = next((type(item) for item in each if item != ""), None)
        if all(type(item) in (inner, stated) for item in value):
            return True
    return False


def _is_one(value: Any, allowed: Sequence[Any]) -> bool:
    return value in allowed


def _is_text(value: str, allowed: Sequence[Any]) -> bool:
    return _plain(value) in [_plain(each) for each in allowed if isinstance(each, str)]


def _is_list(value: Sequence[Any], allowed: Sequence[Any]) -> bool:
    return _plains(value) in [_plains(each) for each in allowed]


def _is_dict(value: Mapping[str, Any], allowed: Sequence[Any]) -> bool:
    return any(
        all(key in each and _plain(item) in _plains(each[key]) for key, item in value.items())
        and all(key in value or "" in options for key, options in each.items())
        for each in allowed
        if isinstance(each, Mapping)
    )


def _is_list_of_dicts(value: Sequence[Any], allowed: Sequence[Any]) -> bool:
    return any(
        len(value) == len(each) and all(_is_dict(mine, [other]) for mine, other in zip(value, each, strict=True))
        for each in allowed
    )


_COMPARE: Mapping[tuple[type, bool], Callable[[Any, Sequence[Any]], bool]] = {
    (str, False): _is_text,
    (list, False): _is_list,
    (list, True): _is_list_of_dicts,
    (dict, False): _is_dict,
}


def _plain(value: Any) -> Any:
    """A text as it is compared; anything else as it is."""
    return value.translate(_IGNORED).lower() if isinstance(value, str) else value


def _plains(values: Sequence[Any]) -> list[Any]:
    return [_plain(value) for value in values]


def conformance(data: Path) -> dict[str, Any]:
    """How many of upstream's own verdicts `check` reproduces; `failures` lists the others.

    Data: `checker_conformance.jsonl.gz` beside the files, rows `{id, category, mutation, output, valid}`. Seconds.
    """
    root = folder(data)
    names = {file: category for category, file in CATEGORIES.items()}
    golds = {case.id: case.gold for case in Bfcl().load(root)}

    def vector(row: Any) -> tuple[str, str, bool, bool, str]:
        found, reason = check(names[row["category"]], golds[row["id"]][0], row["output"], golds[row["id"]][1])
        return row["id"], row["mutation"], row["valid"], found, reason

    vectors = list(json_lines(root / "checker_conformance.jsonl.gz", "vector of the judge", vector))
    failures = [
        {"id": identity, "mutation": mutation, "valid": valid, "ours": ours, "why": why}
        for identity, mutation, valid, ours, why in vectors
        if valid != ours
    ]
    figures = {"vectors": len(vectors), "agree": len(vectors) - len(failures)}
    return {"suite": "bfcl-conformance", **figures, "tables": [[figures]], "failures": failures}

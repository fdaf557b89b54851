"""NESTFUL: several calls in one answer, of which later ones use results of earlier ones.

Data: `plans/nestful.jsonl` (IBM/NESTFUL, arXiv 2409.03797, Apache-2.0), `{id, input, output, spec}`, and beside it the
specifications of tools that its rows name. A request shows all tools of its specification, with the fields of their
results in the description, since a plan has to name them. Nothing is run.

Upstream refers to a result by `$var1.field$` with a label of its own, here calls are counted: both are read as
`$1.field`, inside of longer texts too. Its last entry, `var_result`, names what is shown to the person; it is no tool,
and is left out. Exact: the same calls in the same order with equal arguments (texts as they are written, numbers by
value). About a quarter of the rows cannot be answered exactly: their calls have tools, arguments or values that the
specifications lack, or compute with a reference inside of a text.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..dialects.base import Call
from ..errors import InputError
from .maskbench import json_lines
from .suite import Case, Verdict

if TYPE_CHECKING:
    from ..predict import Prediction

_PARAMETERS = ("query_parameters", "path_parameters", "arguments", "parameters")
_CHOICES = ("enum", "allowed_values", "possible_values")
_TYPES = {"number": "number", "float": "number", "integer": "integer", "boolean": "boolean", "array": "array"}
_LABELLED = re.compile(r"\$(var[0-9]+)((?:[.\[][^$]*)?)\$")
#: most fields of a result that a description names
_FIELDS = 40


class Nestful:
    """The suite; a category per specification. A case's gold is its calls, references as this package writes them."""

    name = "nestful"

    def load(self, data: Path) -> list[Case]:
        """Raises InputError. data: the folder `plans`, or the one above."""
        folder = data / "plans" if (data / "plans").is_dir() else data

        @cache
        def tools(spec: str) -> list[dict[str, Any]]:
            return read_tools(folder / Path(spec).name)

        def case(row: Any) -> Case:
            id, spec = str(row["id"]), str(row["spec"])
            request = {"id": id, "messages": [{"role": "user", "content": str(row["input"])}], "tools": tools(spec)}
            return Case(id, spec.removesuffix("-spec.json"), request, truth(row["output"]))

        return list(json_lines(folder / "nestful.jsonl", "row of NESTFUL", case))

    def judge(self, case: Case, prediction: Prediction) -> Verdict:
        named = [call.name for call in prediction.calls]
        meant = [call.name for call in case.gold]
        if named != meant:
            return Verdict(False, f"{', '.join(named) or 'no call'} instead of {', '.join(meant)}", False)
        pairs = enumerate(zip(prediction.calls, case.gold, strict=True), 1)
        wrong = [f"call {number}: arguments" for number, (said, true) in pairs if _parts(said) != _parts(true)]
        return Verdict(not wrong, ", ".join(wrong), True, not wrong)

    def extra(self, cases: Sequence[Case], predictions: Sequence[Prediction]) -> Mapping[str, Any]:
        """Part marks, each the mean over the cases: F1 of the names called, of the arguments (tool, name and value
        together), and the share of true calls that were made exactly. Order does not count in these."""
        pairs = [(prediction.calls, case.gold) for case, prediction in zip(cases, predictions, strict=True)]
        return {
            "name_f1": _mean([f1([c.name for c in said], [c.name for c in true]) for said, true in pairs]),
            "argument_f1": _mean([f1(_arguments(said), _arguments(true)) for said, true in pairs]),
            "calls_exact": _mean([_overlap(map(_whole, said), map(_whole, true)) / len(true) for said, true in pairs]),
        }


def truth(output: Sequence[Mapping[str, Any]]) -> tuple[Call, ...]:
    """The calls of a row. Raises ValueError when a reference has no call before it, LookupError when a field is
    missing."""
    numbers: dict[str, int] = {}

    def counted(found: re.Match[str]) -> str:
        if found[1] not in numbers:
            raise ValueError(f"{found[0]} refers to no call before it")
        return f"${numbers[found[1]]}{found[2]}"

    calls = []
    for entry in output:
        if entry["name"] != "var_result":
            calls.append(Call(entry["name"], _replaced(entry["arguments"], counted)))
            numbers.setdefault(entry["label"], len(calls))
    if not calls:
        raise ValueError("there are no calls in output")
    return tuple(calls)


def read_tools(path: Path) -> list[dict[str, Any]]:
    """The tools of a specification as `{name, description, parameters}`; of several of one name, the first."""
    try:
        found = {tool["name"]: _tool(tool) for tool in reversed(json.loads(path.read_text(encoding="utf-8")))}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a specification of NESTFUL: {error!r}") from error
    return list(reversed(found.values()))


def f1(said: Sequence[Any], true: Sequence[Any]) -> float:
    """Of two bags; 1 when both are empty."""
    return 2 * _overlap(said, true) / (len(said) + len(true)) if said or true else 1.0


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    described = {name: about for key in _PARAMETERS for name, about in tool.get(key, {}).items()}
    fields = list(_fields(tool["output_parameters"]))[:_FIELDS]
    returns = f" Returns {', '.join(fields)}." if fields else ""
    return {
        "name": tool["name"],
        "description": f"{' '.join(tool['description'].split()).rstrip('.')}.{returns}",
        "parameters": _object(described),
    }


def _object(described: Mapping[str, Any]) -> dict[str, Any]:
    required = [name for name, about in described.items() if about.get("required") is True]
    properties = {name: _schema(about) for name, about in described.items()}
    return {"type": "object", "properties": properties, "required": required}


def _schema(about: Mapping[str, Any]) -> dict[str, Any]:
    """Upstream's parameter as JSON Schema. What has no type, or one of its own such as `Enum`, is a string."""
    if isinstance(about.get("properties"), Mapping):
        return _object(about["properties"])
    made: dict[str, Any] = {"type": _TYPES.get(str(about.get("type", "")).lower(), "string")}
    choices = next((about[key] for key in _CHOICES if about.get(key) and isinstance(about[key], list)), None)
    if choices and made["type"] == "string":
        made["enum"] = list(choices)
    if made["type"] == "array" and isinstance(about.get("items"), Mapping):
        made["items"] = _schema(about["items"])
    return {**made, "description": about["description"]} if about.get("description") else made


def _fields(output: Mapping[str, Any]) -> Iterator[str]:
    """Paths of a result's fields: `user.name` inside of an object, `users[].name` inside of each item of a list."""
    for name, about in output.items():
        about = about if isinstance(about, Mapping) else {}
        if str(about.get("type")).lower() == "array":
            name, about = f"{name}[]", about["items"] if isinstance(about.get("items"), Mapping) else {}
        inside = about.get("properties")
        if isinstance(inside, Mapping) and inside:
            yield from (f"{name}.{path}" for path in _fields(inside))
        else:
            yield name


def _replaced(value: Any, counted: Any) -> Any:
    match value:
        case str():
            return _LABELLED.sub(counted, value)
        case Mapping():
            return {key: _replaced(item, counted) for key, item in value.items()}
        case list():
            return [_replaced(item, counted) for item in value]
    return value


def _parts(call: Call) -> dict[str, str]:
    return {name: _canonical(value) for name, value in call.arguments.items()}


def _whole(call: Call) -> tuple[str, str]:
    return call.name, _canonical(call.arguments)


def _arguments(calls: Sequence[Call]) -> list[tuple[str, str, str]]:
    return [(call.name, name, value) for call in calls for name, value in _parts(call).items()]


def _canonical(value: Any) -> str:
    """Equal texts for equal JSON values: keys in order, 2.0 as 2."""

    def plain(inner: Any) -> Any:
        match inner:
            case float() if inner.is_integer():
                return int(inner)
            case Mapping():
                return {key: plain(item) for key, item in inner.items()}
            case list():
                return [plain(item) for item in inner]
        return inner

    return json.dumps(plain(value), sort_keys=True, ensure_ascii=False)


def _overlap(said: Any, true: Any) -> int:
    return (Counter(said) & Counter(true)).total()


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None

"""Step 5: is this call one that could be meant? Schema, types, and the source of every argument."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .dialects.base import Call
from .errors import ToolError
from .provenance import trace
from .tools import Registry, Tool


@dataclass(frozen=True, slots=True)
class Verdict:
    """One call judged. `fail` carries a reason the model or the person can use, and the parameter at fault.

    sources: parameter -> where its value comes from (see `provenance.trace`).
    """

    call: Call
    tool: Tool | None
    outcome: Literal["pass", "fail", "unsure"]
    reason: str
    parameter: str
    sources: Mapping[str, str]


def verify(call: Call, registry: Registry, text: str) -> Verdict:
    """Judges one call against its tool and the person's words. `unsure`: a value comes from nowhere."""
    try:
        tool = registry.get(call.name)
    except ToolError as error:
        return Verdict(call, None, "fail", str(error), "", {})
    properties: Mapping[str, Any] = tool.parameters.get("properties", {})
    sources = {name: trace(value, properties.get(name, {}), text) for name, value in call.arguments.items()}
    problem = _schema_problem(tool, call.arguments)
    if problem:
        return Verdict(call, tool, "fail", problem[1], problem[0], sources)
    invented = [name for name, source in sources.items() if source == "model"]
    if invented:
        return Verdict(
            call, tool, "unsure", f"{', '.join(invented)}: not in the request", invented[0], sources
        )
    return Verdict(call, tool, "pass", "", "", sources)


def _schema_problem(tool: Tool, arguments: Mapping[str, Any]) -> tuple[str, str] | None:
    """(parameter, message) of the first violation."""
    if tool.model is not None:
        try:
            tool.bind(arguments)
        except ToolError as error:
            _, _, rest = str(error).partition(": ")
            return rest.split(":", 1)[0], str(error)
        return None
    from jsonschema import Draft202012Validator

    found = next(iter(Draft202012Validator(tool.parameters).iter_errors(dict(arguments))), None)
    if found is None:
        return None
    where = str(found.absolute_path[0]) if found.absolute_path else ""
    return where, f"{tool.qualified}: {where or 'arguments'}: {found.message}"

"""Step 5: is this call one that could be meant? Schema, types, and the source of every argument."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .dialects.base import Call
from .errors import SchemaError, ToolError
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
        return Verdict(call, tool, "unsure", f"{', '.join(invented)}: not in the request", invented[0], sources)
    return Verdict(call, tool, "pass", "", "", sources)


def _schema_problem(tool: Tool, arguments: Mapping[str, Any]) -> tuple[str, str] | None:
    """(parameter, message) of the first violation; an empty parameter when none of the tool's is at fault."""
    if tool.model is not None:
        try:
            tool.bind(arguments)
        except ToolError as error:
            where = str(error).removeprefix(f"{tool.qualified}: ").partition(":")[0].partition(".")[0]
            return where if where in tool.parameters.get("properties", {}) else "", str(error)
        return None
    from .grammar.validator import Validator

    try:
        found = next(Validator(tool.parameters, remotes={}, formats=True).faults(dict(arguments)), None)
    except SchemaError as error:
        return "", f"{tool.qualified}: {error.message}"
    if found is None:
        return None
    absent = found.validator_value if found.validator == "required" and not found.absolute_path else ()
    at_fault = [*map(str, found.absolute_path), *(name for name in absent if name not in arguments), ""]
    return at_fault[0], f"{tool.qualified}: {at_fault[0] or 'arguments'}: {found.message}"

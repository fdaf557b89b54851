"""`edge-agent tools`: what can be done, and doing it without a model."""

from __future__ import annotations

import json
import sys
import uuid
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError, ToolError
from . import build, render

if TYPE_CHECKING:
    from ..tools import Tool


@click.group(cls=render.Group)
def tools() -> None:
    """The tools: list them, read about one, run one by hand."""


@tools.command("list")
@build.options(build.PACK)
@render.json_option
def list_(options: build.Options, as_json: bool) -> None:
    """List every tool with its effect.

    read: changes nothing. write: can be undone. irreversible and egress: need a yes each time.

    \b
    edge-agent tools list
    edge-agent tools list --pack files --json
    """
    with build.make_agent(options) as agent:
        found = list(agent.registry)
    if as_json:
        render.emit([{"name": t.qualified, "effect": t.effect, "description": t.description} for t in found])
    else:
        render.table(("tool", "effect", "what it does"), [(t.qualified, t.effect, t.description) for t in found])


@tools.command()
@click.argument("name", shell_complete=build.complete_tools)
@render.json_option
def show(name: str, as_json: bool) -> None:
    """Show one tool: its effect, parameters and examples.

    \b
    edge-agent tools show clock.set_timer
    """
    with build.make_agent(build.Options()) as agent:
        tool = agent.registry.get(name)
    if as_json:
        render.emit(_document(tool))
        return
    render.say(f"{tool.qualified}\n{tool.description}\n")
    render.fields([("effect", tool.effect), ("digest", tool.digest)])
    required = tool.parameters.get("required", ())
    rows = [
        (parameter, _type(schema), "required" if parameter in required else "", schema.get("description", ""))
        for parameter, schema in tool.parameters.get("properties", {}).items()
    ]
    if rows:
        render.say("")
        render.table(("parameter", "type", "", "meaning"), rows)
    for example in tool.examples:
        render.say(f"\n“{example.text}”\n  {render.arguments_shown(example.arguments)}")


@tools.command()
@click.argument("name", shell_complete=build.complete_tools)
@click.argument("arguments", metavar="JSON", default="{}")
@build.options(build.OFFLINE, build.YES, build.NOW)
@render.json_option
def run(options: build.Options, name: str, arguments: str, as_json: bool) -> None:
    """Run one tool through the gateway: approval, journal, time limit and undo as always. No model is needed.

    JSON is an object of arguments; `-` reads it from stdin.

    \b
    edge-agent tools run text.calculate '{"expression": "2 ^ 10"}'
    edge-agent tools run clock.set_timer '{"duration": "5 minutes"}' --json
    """
    from ..dialects.base import Call
    from ..verify import verify

    with build.make_agent(options) as agent:
        tool = agent.registry.get(name)
        given = _object(sys.stdin.read() if arguments == "-" else arguments)
        verdict = verify(Call(tool.qualified, given), agent.registry, "")
        if verdict.outcome == "fail":
            raise ToolError(verdict.reason, hint=f"edge-agent tools show {tool.qualified}")
        done = agent.gateway.run(f"cli-{uuid.uuid4().hex}", tool, given, agent._now())
        if as_json:
            render.emit(
                {
                    "tool": tool.qualified,
                    "text": done.result.text,
                    "data": done.result.data,
                    "action": done.action,
                    "elapsed_ms": round(done.elapsed_ms, 2),
                }
            )
        else:
            render.say(done.result.text)
        build.start_ringer(agent, [tool.qualified])


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        hint = """for example '{"path": "notes.txt"}'"""
        raise InputError(f"the arguments are not JSON: {error}", hint=hint) from None
    if not isinstance(value, dict):
        raise InputError(f"the arguments must be a JSON object, not {type(value).__name__}")
    return value


def _document(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.qualified,
        "effect": tool.effect,
        "description": tool.description,
        "digest": tool.digest,
        "parameters": tool.parameters,
        "examples": [{"text": example.text, "arguments": example.arguments} for example in tool.examples],
    }


def _type(schema: dict[str, Any]) -> str:
    """`text`, `one of a, b`, `integer or null` … of a property's schema."""
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return kind if isinstance(kind, str) else " or ".join(kind)

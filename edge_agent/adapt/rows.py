"""Rows: what a person says, and the right answer. Read from JSON Lines files, plain or gzipped.

Two kinds of line. A tool: `{"tool": {"name", "description", "parameters"}}`. A row: `{"q": text}` or
`{"msgs": [turns]}` with `calls` (`[[name, {arguments}], …]`, in the order of the text), `near` (tools that look
right and are wrong), `ask` (required parameters of the first near tool that are missing), `none` (why nothing
fits), `now` (moment or place of speaking) and `lang`. Public sets have one self-contained row a line instead:
`{"query" | "messages", "tools": [...], "answers": [...], "notes"}`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..dialects.base import Call, Message, ToolSpec
from ..errors import InputError

Tools = Mapping[str, ToolSpec]


@dataclass(frozen=True, slots=True)
class Row:
    """One example. `tools` holds every tool of its file; the row itself names the ones that concern it.

    calls empty and asks empty: no tool fits. near: tools that are wrong here. closed: the row's tools must be shown
    together, none left out or added (public sets, whose other tools may be right as well).
    """

    source: str
    messages: tuple[Message, ...]
    calls: tuple[Call, ...]
    near: tuple[str, ...]
    asks: tuple[str, ...]
    tools: Tools
    now: str = ""
    language: str = "en"
    closed: bool = False

    @property
    def called(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(call.name for call in self.calls))

    @property
    def concerned(self) -> tuple[str, ...]:
        """Tools that must be shown: the called ones, or the one that lacks a value."""
        return self.called or (self.near[:1] if self.asks else ())

    @property
    def text(self) -> str:
        """Everything the person said."""
        return "\n".join(message.content for message in self.messages if message.role == "user")


def read(path: Path, tools: Tools | None = None) -> list[Row]:
    """All rows of a file. tools: known beside those that the file defines. Raises InputError naming file and line."""
    known = dict(tools or {})
    rows: list[Row] = []
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            if "tool" in value:
                known[value["tool"]["name"]] = _spec(value["tool"])
            elif "tools" in value:
                rows.append(_public(value, path.name))
            else:
                rows.append(_authored(value, path.name, known))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path}, line {number}: not a row: {type(error).__name__}: {error}") from error
    return rows


def ordered(value: Any, schema: Any) -> Any:
    """`value` with the keys of its objects in the schema's order, as the grammar writes them."""
    if isinstance(value, dict):
        properties: Mapping[str, Any] = schema.get("properties", {}) if isinstance(schema, Mapping) else {}
        keys = [key for key in properties if key in value] + [key for key in value if key not in properties]
        return {key: ordered(value[key], properties.get(key)) for key in keys}
    if isinstance(value, list):
        items = schema.get("items") if isinstance(schema, Mapping) else None
        return [ordered(item, items) for item in value]
    return value


def _lines(path: Path) -> Iterator[str]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            yield from file
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}") from error


def _spec(value: Mapping[str, Any]) -> ToolSpec:
    return ToolSpec(value["name"], value.get("description") or "", value.get("parameters") or {"type": "object"})


def _call(name: str, arguments: Any, tools: Tools) -> Call:
    return Call(name, ordered(dict(arguments), tools[name].parameters if name in tools else {}))


def _authored(value: Mapping[str, Any], source: str, tools: Tools) -> Row:
    turns = value["msgs"] if "msgs" in value else [{"role": "user", "content": value["q"]}]
    calls = tuple(_call(name, arguments, tools) for name, arguments in value["calls"])
    near = tuple(name for name in value.get("near", ()))
    for name in (*(call.name for call in calls), *near):
        tools[name]  # a KeyError names the unknown tool
    return Row(
        source,
        _messages(turns, tools),
        calls,
        near,
        tuple(value.get("ask", ())),
        tools,
        value.get("now", ""),
        value.get("lang", "en"),
    )


def _public(value: Mapping[str, Any], source: str) -> Row:
    tools = {tool["name"]: _spec(tool) for tool in value["tools"]}
    turns = value["messages"] if "messages" in value else [{"role": "user", "content": value["query"]}]
    calls = tuple(_call(each["name"], each["arguments"], tools) for each in value["answers"])
    called = {call.name for call in calls}
    near = tuple(name for name in tools if name not in called)
    return Row(source, _messages(turns, tools), calls, near, (), tools, closed=True)


def _messages(turns: Iterable[Mapping[str, Any]], tools: Tools) -> tuple[Message, ...]:
    messages: list[Message] = []
    last: Sequence[Call] = ()
    for turn in turns:
        calls = tuple(_call(each["name"], each["arguments"], tools) for each in turn.get("tool_calls") or ())
        role = turn["role"]
        name = (turn.get("name") or (last[-1].name if last else None)) if role == "tool" else None
        content = turn.get("content") or ""
        messages.append(Message(role, content if isinstance(content, str) else json.dumps(content), calls, name))
        last = calls or last
    return tuple(messages)

"""How calls are written in JSON and in Python syntax, and read back: shared by the families that use them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .base import Call
from .reader import KEY, NAME, Reader

_CALL_KEYS = {"name", "arguments", "parameters", "id", "type"}


def spaced(value: Any, indent: int | None = None) -> str:
    """JSON as chat templates' `tojson` writes it: blanks after `,` and `:`, other alphabets as they are."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


def minified(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def call_of(value: Any, reader: Reader, at: int) -> Call:
    """The call that a JSON object `{"name": …, "arguments" or "parameters": {…}}` stands for."""
    if not isinstance(value, dict) or not value.keys() <= _CALL_KEYS or not isinstance(value.get("name"), str):
        raise reader.refuse('a call object with "name" and "arguments"', at)
    spellings = value.keys() & {"arguments", "parameters"}
    arguments = value[spellings.pop()] if spellings else {}
    if spellings or not isinstance(arguments, dict):
        raise reader.refuse("one JSON object of arguments", at)
    return Call(value["name"], arguments)


def read_json(reader: Reader) -> list[Call]:
    """One call object, or a list of them."""
    reader.blanks()
    at = reader.pos
    value = reader.json()
    return [call_of(item, reader, at) for item in (value if isinstance(value, list) else [value])]


def python_arguments(arguments: Mapping[str, Any]) -> str:
    """`a="x", b=2` with JSON values, or one dictionary where a name cannot stand before an equals sign."""
    if all(KEY.fullmatch(name) for name in arguments):
        return ", ".join(f"{name}={spaced(value)}" for name, value in arguments.items())
    return spaced(dict(arguments))


def _read_call(reader: Reader) -> Call:
    reader.blanks()
    name = reader.match(NAME, "a tool name")[0]
    reader.need("(")
    reader.blanks()
    if not reader.peek("{"):
        return Call(name, reader.members(")", "="))
    arguments = reader.literal()
    reader.need(")")
    return Call(name, arguments)


def read_python(reader: Reader) -> list[Call]:
    """`f(a=1)` or `[f(a=1), g()]`; the arguments may also be one dictionary: `f({"a": 1})`."""
    if not reader.take("["):
        return [_read_call(reader)]
    calls = [_read_call(reader)]
    while reader.take(","):
        calls.append(_read_call(reader))
    reader.need("]")
    return calls


def read_any(reader: Reader) -> list[Call]:
    """JSON when an object or a list of objects starts here, Python otherwise."""
    reader.blanks()
    inner = reader.text[reader.pos :].lstrip("[ \t\r\n")[:1]
    return read_json(reader) if inner in ("{", "]") else read_python(reader)


def read_fenced(reader: Reader) -> list[Call]:
    """`read_any`, with or without a Markdown code fence around it."""
    fenced = reader.take("```")
    if fenced:
        for language in ("json", "tool_code", "tool_call", "python"):
            if reader.peek(language):
                reader.take(language)
                break
    calls = read_any(reader)
    if fenced:
        reader.need("```")
    return calls

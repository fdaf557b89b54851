from __future__ import annotations

from typing import Annotated, Any

import pytest
from agent_fixture import jot, paint
from pydantic import Field

from edge_agent.dialects.base import Call
from edge_agent.tools import Registry, Tool, tool, tool_from_schema
from edge_agent.verify import Verdict, verify


def judged(item: Tool, arguments: dict[str, Any], text: str = "anything") -> Verdict:
    return verify(Call(item.name, arguments), Registry([item]), text)


def raw(properties: dict[str, Any], **more: Any) -> Tool:
    parameters = {"type": "object", "properties": properties, **more}
    return tool_from_schema({"name": "raw", "description": "Anything.", "parameters": parameters}, print)


@tool
def typed(count: Annotated[int, Field(ge=1, le=5)], names: list[int] | None = None) -> None:
    """Count."""


def test_a_call_from_the_persons_words_passes() -> None:
    verdict = judged(jot, {"text": "milk"}, "jot down Milk")
    assert (verdict.outcome, verdict.reason, verdict.parameter, verdict.tool) == ("pass", "", "", jot)
    assert verdict.sources == {"text": "request"}


def test_a_value_from_nowhere_is_unsure() -> None:
    verdict = judged(jot, {"text": "bread"}, "jot down milk")
    assert (verdict.outcome, verdict.parameter, verdict.reason) == ("unsure", "text", "text: not in the request")


def test_an_unknown_tool_fails() -> None:
    verdict = verify(Call("fly", {"to": "moon"}), Registry([jot]), "fly me to the moon")
    assert (verdict.outcome, verdict.tool, verdict.parameter) == ("fail", None, "")
    assert "'fly'" in verdict.reason


@pytest.mark.parametrize(
    ("item", "arguments", "parameter"),
    [
        (typed, {"count": 9}, "count"),
        (typed, {}, "count"),
        (typed, {"count": "many"}, "count"),
        (typed, {"count": 1, "names": [1, "x"]}, "names"),
        (typed, {"count": 1, "colour": "red"}, ""),  # not a parameter: nobody can be asked for it
        (paint, {"colour": "blue"}, "colour"),
        (raw({"a": {"type": "integer"}}), {"a": "x"}, "a"),
        (raw({"a": {"items": {"type": "integer"}}}), {"a": [1, "x"]}, "a"),
        (raw({"a": {"not": {"const": 13}}}), {"a": 13}, "a"),
        (raw({"a": {}, "b": {}}, required=["a", "b"]), {"a": 1}, "b"),
        (raw({"a": {"required": ["b"]}}), {"a": {}}, "a"),
        (raw({"a": {}}, additionalProperties=False), {"b": 1}, ""),
        (raw({"a": {"$ref": "https://example.org/schema.json"}}), {"a": 1}, ""),
        (raw({"a": {"$ref": "#/$defs/absent"}}), {"a": 1}, ""),
    ],
)
def test_what_the_schema_forbids_fails_and_names_the_parameter(
    item: Tool, arguments: dict[str, Any], parameter: str
) -> None:
    verdict = judged(item, arguments)
    assert (verdict.outcome, verdict.parameter) == ("fail", parameter)
    assert verdict.reason.startswith(f"{item.qualified}: {parameter}")


def test_the_source_of_a_failing_value_is_known_too() -> None:
    assert judged(typed, {"count": 9}, "count to 9").sources == {"count": "request"}

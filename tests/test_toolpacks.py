"""What holds for every built-in tool: it can be shown to a small model, and its examples are true."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from packs_fixture import NOW

from edge_agent.errors import ConfigError
from edge_agent.toolpacks import PACKS, load
from edge_agent.tools import COPY_KEYWORD, Effect, Example, Registry, Tool
from edge_agent.when import parse_duration, parse_moment, parse_number

KINDS = {"text", "when", "duration", "number", "path", "name", "email", "url"}


TOOLS = load()
EXAMPLES = [(tool, example) for tool in TOOLS for example in tool.examples]
of_tool = pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.qualified)
of_example = pytest.mark.parametrize(
    ("tool", "example"), EXAMPLES, ids=[f"{tool.qualified}-{example.text[:30]}" for tool, example in EXAMPLES]
)


@pytest.mark.parametrize("pack", PACKS)
def test_every_pack_loads(pack: str) -> None:
    tools = load([pack])
    assert tools
    assert {tool.pack for tool in tools} == {pack}


def test_loads_in_order_of_packs_and_only_what_is_asked() -> None:
    assert [tool.pack for tool in load(["web", "clipboard"])] == ["clipboard"] * 2 + ["web"] * 3
    code = "import sys; from edge_agent.toolpacks import load; load(['clipboard']); print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "edge_agent.toolpacks.clipboard" in modules
    assert "edge_agent.toolpacks.web" not in modules


def test_loading_imports_nothing_heavy() -> None:
    code = "import sys; from edge_agent.toolpacks import load; load(); print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {
        "httpx",
        "icalendar",
        "vobject",
        "pint",
        "pypdf",
        "lark",
        "psutil",
        "numpy",
        "pydantic",
    } & set(modules)


def test_unknown_pack_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="'kitchen'") as caught:
        load(["clipboard", "kitchen"])
    assert caught.value.hint is not None
    assert "clipboard" in caught.value.hint


def test_names_are_unique_without_their_packs() -> None:
    registry = Registry(TOOLS)
    assert [tool.qualified for tool in TOOLS if registry.shown_name(tool) != tool.name] == []


@of_tool
def test_description_fits(tool: Tool) -> None:
    assert 10 <= len(tool.description) <= 120
    assert "\n" not in tool.description
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", tool.name)


@of_tool
def test_effect_is_declared(tool: Tool) -> None:
    """Undeclared is irreversible; so an irreversible one must say so in its source."""
    assert isinstance(tool.effect, Effect)
    if tool.effect is Effect.IRREVERSIBLE:
        source = inspect.getsource(sys.modules[f"edge_agent.toolpacks.{tool.pack}"])
        head = source[: source.index(f"def {tool.name}(")].rpartition("@tool(")[2]
        assert "IRREVERSIBLE" in head or "irreversible" in head


@of_tool
def test_parameters_are_few_described_and_copied(tool: Tool) -> None:
    properties: dict[str, Any] = dict(tool.parameters.get("properties", {}))
    assert len(properties) <= 4
    for name, schema in properties.items():
        assert schema.get("description"), name
        assert len(schema["description"]) <= 100, name
        for kind in copies(schema):
            assert kind in KINDS, name


@of_tool
def test_has_two_to_four_examples_that_differ(tool: Tool) -> None:
    assert 2 <= len(tool.examples) <= 4
    assert len({example.text.casefold() for example in tool.examples}) == len(tool.examples)


@of_tool
def test_examples_show_every_choice(tool: Tool) -> None:
    for name, schema in dict(tool.parameters.get("properties", {})).items():
        shown = {str(example.arguments.get(name, schema.get("default"))) for example in tool.examples}
        choices = {str(choice) for choice in choices_of(schema)}
        assert len(choices - shown) <= max(0, len(choices) - len(tool.examples)), name


@of_example
def test_example_arguments_fit_the_schema(tool: Tool, example: Example) -> None:
    Draft202012Validator(dict(tool.parameters)).validate(dict(example.arguments))
    tool.bind(example.arguments)


@of_example
def test_example_copies_whole_words(tool: Tool, example: Example) -> None:
    properties = dict(tool.parameters.get("properties", {}))
    for name, value in example.arguments.items():
        if list(copies(properties[name])):
            for text in value if isinstance(value, list) else [value]:
                assert re.search(rf"(?<!\w){re.escape(text)}(?!\w)", example.text), name


@of_example
def test_example_spans_mean_what_their_kind_says(tool: Tool, example: Example) -> None:
    """The grammar admits only spans the parsers understand; an example outside could never be written."""
    parsers = {
        "when": lambda text: parse_moment(text, NOW),
        "duration": parse_duration,
        "number": parse_number,
    }
    properties = dict(tool.parameters.get("properties", {}))
    for name, value in example.arguments.items():
        for kind in copies(properties[name]):
            if kind in parsers:
                assert parsers[kind](value) is not None, (name, value)


def copies(schema: Any) -> Iterator[str]:
    """Copy kinds anywhere in a parameter's schema."""
    if isinstance(schema, dict):
        if COPY_KEYWORD in schema:
            yield schema[COPY_KEYWORD]
        for value in schema.values():
            yield from copies(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from copies(value)


def choices_of(schema: Any) -> list[Any]:
    """Options of an enum anywhere in a parameter's schema."""
    if isinstance(schema, dict):
        own = list(schema.get("enum", [])) + ([schema["const"]] if "const" in schema else [])
        return own + [choice for value in schema.values() for choice in choices_of(value)]
    return [choice for value in schema for choice in choices_of(value)] if isinstance(schema, list) else []

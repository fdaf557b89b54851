"""What holds for every built-in tool: it can be shown to a small model, and its examples are true."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from packs_fixture import NOW

from edge_agent import toolpacks
from edge_agent.errors import ConfigError
from edge_agent.provenance import candidates, copy_kinds, free_text
from edge_agent.toolpacks import PACKS, load, read_examples
from edge_agent.tools import COPY_KEYWORD, Effect, Example, Registry, Tool
from edge_agent.when import parse_duration, parse_moment, parse_number

KINDS = {"text", "when", "duration", "number", "path", "name", "email", "url"}


TOOLS = load()
of_tool = pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.qualified)


@pytest.mark.parametrize("pack", PACKS)
def test_every_pack_loads(pack: str) -> None:
    tools = load([pack])
    assert tools
    assert {tool.pack for tool in tools} == {pack}


def test_loads_in_order_of_packs_and_only_what_is_asked() -> None:
    assert [tool.pack for tool in load(["web", "clipboard"])] == ["clipboard"] * 2 + ["web"] * 3
    code = "import sys; from edge_agent.toolpacks import load; load(['clipboard']); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "edge_agent.toolpacks.clipboard" in modules
    assert "edge_agent.toolpacks.web" not in modules


def test_loading_imports_nothing_heavy() -> None:
    code = "import sys; from edge_agent.toolpacks import load; load(); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
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
    assert len(properties) <= 5
    for name, schema in properties.items():
        assert schema.get("description"), name
        assert len(schema["description"]) <= 100, name
        for kind in copies(schema):
            assert kind in KINDS, name


@of_tool
def test_has_many_examples(tool: Tool) -> None:
    """Paraphrases, for small models to imitate and for lexical retrieval to find."""
    assert 8 <= len(tool.examples) <= 16


def test_no_sentence_is_an_example_of_two_tools() -> None:
    texts = [re.sub(r"\W+", " ", example.text.casefold()).strip() for tool in TOOLS for example in tool.examples]
    assert sorted(texts) == sorted(set(texts))


@of_tool
def test_examples_show_every_choice(tool: Tool) -> None:
    for name, schema in dict(tool.parameters.get("properties", {})).items():
        shown = {str(example.arguments.get(name, schema.get("default"))) for example in tool.examples}
        choices = {str(choice) for choice in choices_of(schema)}
        assert len(choices - shown) <= max(0, len(choices) - len(tool.examples)), name


@of_tool
def test_example_arguments_fit_the_schema(tool: Tool) -> None:
    validator = Draft202012Validator(dict(tool.parameters))
    for example in tool.examples:
        validator.validate(dict(example.arguments))
        tool.bind(example.arguments)


@of_tool
def test_examples_copy_whole_words(tool: Tool) -> None:
    for example, _, value in copied_values(tool):
        assert re.search(rf"(?<!\w){re.escape(value)}(?!\w)", example.text), (example.text, value)


@of_tool
def test_example_spans_mean_what_their_kind_says(tool: Tool) -> None:
    """The grammar admits only spans the parsers understand; an example outside could never be written."""
    parsers: dict[str, Callable[[str], object]] = {
        "when": lambda text: parse_moment(text, NOW),
        "duration": parse_duration,
        "number": parse_number,
    }
    for example, kind, value in copied_values(tool):
        if kind in parsers:
            assert parsers[kind](value) is not None, (example.text, value)


@of_tool
def test_examples_can_be_said(tool: Tool) -> None:
    """The words left over when the one moment, length or number is taken out still hold every other argument."""
    for example, kind, value in copied_values(tool):
        spans = {each: candidates(each, example.text, NOW) for each in copy_kinds(tool).values()}
        taken = [span for found in spans.values() if found is not None and len(found) == 1 for span in found]
        own = spans[kind]
        free = free_text(example.text, taken).splitlines() if own is None else [span.text for span in own]
        assert any(value in piece for piece in free), (example.text, value, free)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "flip a coin",
        "[]",
        '"text.flip_coin"',
        '{"tool": "text.flip_coin", "text": "flip"}',
        '{"tool": "text.flip_coin", "text": "flip", "arguments": "none"}',
    ],
)
def test_a_bad_line_of_examples_is_named(line: str, tmp_path: Path) -> None:
    file = tmp_path / "examples.jsonl"
    file.write_text(f'{{"tool": "text.flip_coin", "text": "flip", "arguments": {{}}}}\n{line}\n')
    with pytest.raises(ConfigError, match=r"examples\.jsonl, line 2"):
        read_examples(file)


@pytest.mark.parametrize(
    ("name", "packs", "known"),
    [
        ("text.juggle", [], False),
        ("text.juggle", ["text"], False),
        ("text.juggle", ["clock"], True),  # the pack is not imported, so nobody can tell
        ("kitchen.boil", ["clock"], False),
        ("flip_coin", [], False),
        ("text.flip_coin", [], True),
    ],
)
def test_examples_of_no_tool_are_refused(
    name: str, packs: list[str], known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "examples.jsonl"
    file.write_text(f'{{"tool": "{name}", "text": "do it for me", "arguments": {{}}}}\n')
    monkeypatch.setattr(toolpacks, "EXAMPLES", file)
    if known:
        shown = [example.text for tool in load(packs) for example in tool.examples if tool.qualified == name]
        assert shown.count("do it for me") == (not packs)
    else:
        with pytest.raises(ConfigError, match=re.escape(repr(name))):
            load(packs)


def copied_values(tool: Tool) -> Iterator[tuple[Example, str, str]]:
    """Every value that an example copies from its sentence: the example, the kind of copy, the value."""
    kinds = copy_kinds(tool)
    for example in tool.examples:
        for name, value in example.arguments.items():
            if name in kinds:
                yield example, kinds[name], value


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

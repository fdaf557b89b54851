from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from edge_agent.errors import EdgeAgentError, InputError, SchemaError, ToolError
from edge_agent.tools import (
    COPY_KEYWORD,
    Effect,
    Registry,
    Tool,
    ToolResult,
    check_schema,
    clean_schema,
    copied,
    parse_docstring,
    tool,
    tool_from_model,
    tool_from_schema,
)
from edge_agent.workspace import Context


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Size:
    width: int
    height: int = 1


class Person(BaseModel):
    """Somebody."""

    name: str
    born: date | None = None


@tool(effect="write", pack="paint")
def paint(
    ctx: Context,
    title: Annotated[str, copied("name", max_length=20)],
    count: Annotated[int, Field(ge=1, le=9, description="from the annotation")],
    mode: Literal["wet", "dry"] = "dry",
    colour: Colour = Colour.RED,
    size: Size | None = None,
    owner: Person | None = None,
    tags: list[str] = [],  # noqa: B006
) -> dict[str, Any]:
    """Paint something
    over two lines.

    More that the model need not read.

    Args:
        title: What it is called,
            or: its number.
        mode (str): How.
        colour: Which.

    Returns:
        Nothing: much.
    """
    return {"ctx": ctx, "types": [type(v).__name__ for v in (title, count, mode, colour, size, owner, tags)]}


# -- from a signature --------------------------------------------------------------------------------------


def test_signature_becomes_schema() -> None:
    assert (paint.name, paint.pack, paint.qualified) == ("paint", "paint", "paint.paint")
    assert paint.effect is Effect.WRITE
    assert paint.takes_context
    assert paint.description == "Paint something over two lines."
    schema = paint.parameters
    assert schema["required"] == ["title", "count"]
    assert schema["additionalProperties"] is False
    assert list(schema["properties"]) == ["title", "count", "mode", "colour", "size", "owner", "tags"]
    assert schema["properties"]["title"] == {
        "type": "string",
        "maxLength": 20,
        COPY_KEYWORD: "name",
        "description": "What it is called, or: its number.",
    }
    assert schema["properties"]["count"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 9,
        "description": "from the annotation",
    }
    assert schema["properties"]["mode"] == {
        "type": "string",
        "enum": ["wet", "dry"],
        "default": "dry",
        "description": "How.",
    }
    assert schema["$defs"]["Colour"] == {"enum": ["red", "blue"], "type": "string"}
    assert schema["$defs"]["Size"]["required"] == ["width"]
    assert schema["$defs"]["Person"]["properties"]["born"]["anyOf"][0] == {"type": "string", "format": "date"}
    assert "title" not in schema  # pydantic's own title is gone, the parameter of that name is not
    check_schema("paint", schema)


def test_arguments_arrive_with_their_types_and_defaults() -> None:
    context: Any = object()
    ran = paint.call(
        {
            "title": "Sea",
            "count": 3,
            "colour": "blue",
            "size": {"width": 4},
            "owner": {"name": "Ada", "born": "1815-12-10"},
        },
        context,
    )
    assert ran.data["types"] == ["str", "int", "str", "Colour", "Size", "Person", "list"]
    bound = paint.bind({"title": "Sea", "count": 3})
    assert bound["mode"] == "dry"
    assert bound["size"] is None
    bound["tags"].append("x")
    assert paint.bind({"title": "Sea", "count": 3})["tags"] == []  # a default is not shared


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"count": 1}, "title"),
        ({"title": "a", "count": 0}, "count"),
        ({"title": "a", "count": 1, "mode": "moist"}, "mode"),
        ({"title": "a", "count": 1, "colour": "green"}, "colour"),
        ({"title": "a", "count": 1, "size": {"width": "wide"}}, "size.width"),
        ({"title": "a", "count": 1, "other": 1}, "other"),
        ({"title": "a" * 21, "count": 1}, "title"),
    ],
)
def test_unfit_arguments_are_named(arguments: dict[str, Any], where: str) -> None:
    with pytest.raises(ToolError, match=rf"^paint\.paint: {where}"):
        paint.call(arguments, None)


def test_bare_decorator_is_irreversible_and_of_the_user() -> None:
    @tool
    def ping(host: str = "here") -> str:
        """Ping."""
        return f"pong {host}"

    assert (ping.effect, ping.pack, ping.takes_context) == (Effect.IRREVERSIBLE, "user", False)
    assert "required" not in ping.parameters
    assert ping.call({}).text == "pong here"


@pytest.mark.parametrize("name", ["json", "copy", "schema", "model_path", "validate"])
def test_parameters_may_be_called_as_pydantic_methods_are(name: str) -> None:
    namespace: dict[str, Any] = {}
    exec(f"def f({name}: str):\n    'Do.'\n    return {name}", namespace)
    made = tool(namespace["f"])
    assert list(made.parameters["properties"]) == [name]
    assert made.call({name: "value"}).text == "value"


def unannotated(a) -> None:  # type: ignore[no-untyped-def]
    "Do."


def many(*names: str) -> None:
    "Do."


def keywords(**names: str) -> None:
    "Do."


def positional(a: str, /) -> None:
    "Do."


async def waiting(a: str) -> None:
    "Do."


class Odd:
    pass


def odd_type(a: int, b: Odd) -> None:
    "Do."


def no_schema(a: int, b: Callable[[], int]) -> None:
    "Do."


def unknown_name(a: Missing) -> None:  # type: ignore[name-defined]  # noqa: F821
    "Do."


def underscore(_a: int) -> None:
    "Do."


def reserved(model_config: str) -> None:
    "Do."


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (unannotated, "unannotated: a"),
        (many, "many: *names"),
        (keywords, "keywords: **names"),
        (positional, "positional: a"),
        (waiting, "waiting: "),
        (odd_type, "odd_type: b: "),
        (no_schema, "no_schema: b: "),
        (unknown_name, "unknown_name: "),
        (underscore, "underscore: "),
        (reserved, "reserved: model_config: "),
    ],
)
def test_unusable_functions_are_named_with_the_parameter(function: Callable[..., Any], said: str) -> None:
    with pytest.raises(SchemaError) as caught:
        _ = tool(function).parameters
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_unknown_effects_are_refused() -> None:
    with pytest.raises(SchemaError, match="odd_name: effect must be one of read, write"):
        tool(effect="wirte", name="odd_name")(lambda: None)
    with pytest.raises(SchemaError, match="person: effect"):
        tool_from_model(Person, print, effect="")
    with pytest.raises(SchemaError, match="x: effect"):
        tool_from_schema({"name": "x"}, print, effect="sometimes")


def test_digest_binds_what_an_approval_is_for() -> None:
    def made(**changes: Any) -> str:
        return dataclasses.replace(paint, **changes).digest

    assert made() == paint.digest
    others = [
        made(name="other"),
        made(pack="other"),
        made(description="Other."),
        made(effect=Effect.READ),
        made(schema={"type": "object"}),
    ]
    assert len({paint.digest, *others}) == 6


# -- from a model, from a schema ---------------------------------------------------------------------------


class SendLetter(BaseModel):
    """Send a letter.

    To somebody.
    """

    to: Person
    text: str = Field(alias="body", min_length=1)
    copies: int = 1


def test_model_becomes_tool_and_run_gets_an_instance() -> None:
    seen: list[SendLetter] = []
    made = tool_from_model(SendLetter, seen.append, effect="egress", pack="post")
    assert (made.qualified, made.description, made.effect) == (
        "post.send_letter",
        "Send a letter.",
        Effect.EGRESS,
    )
    assert made.parameters["required"] == ["to", "body"]
    assert made.call({"to": {"name": "Ada"}, "body": "hi"}).text == "Done."
    (letter,) = seen
    assert isinstance(letter, SendLetter)
    assert (letter.to.name, letter.text, letter.copies) == ("Ada", "hi", 1)
    with pytest.raises(ToolError, match=r"post\.send_letter: body"):
        made.call({"to": {"name": "Ada"}, "body": ""})


class Node(BaseModel):
    """A node."""

    label: str
    under: list[Node] = []


def test_model_that_holds_itself_is_an_object_at_its_top() -> None:
    made = tool_from_model(Node, lambda node: node.under[0].label)
    assert made.parameters["type"] == "object"
    assert list(made.parameters["properties"]) == ["label", "under"]
    assert made.call({"label": "a", "under": [{"label": "b"}]}).text == "b"


GOOD = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.mark.parametrize(
    "definition",
    [
        {"type": "function", "function": {"name": "weather", "description": "Tell.", "parameters": GOOD}},
        {"name": "weather", "description": "Tell.", "parameters": GOOD},
        {"name": "weather", "description": "Tell.", "inputSchema": GOOD},
    ],
    ids=["openai", "plain", "mcp"],
)
def test_schema_becomes_tool(definition: dict[str, Any]) -> None:
    made = tool_from_schema(definition, lambda city: f"rain in {city}", effect="read", pack="sky")
    assert (made.qualified, made.description, dict(made.parameters)) == ("sky.weather", "Tell.", GOOD)
    assert made.call({"city": "Oslo"}).text == "rain in Oslo"


def test_schema_without_parameters_takes_none() -> None:
    made = tool_from_schema({"name": "now"}, lambda: "noon")
    assert made.parameters == {"type": "object", "properties": {}}
    assert made.effect is Effect.IRREVERSIBLE


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ({"name": "x", "parameters": None}, "x: parameters must be a JSON Schema object, not NoneType"),
        ({"name": "x", "parameters": [1]}, "x: parameters must be"),
        ({"name": "x", "parameters": {"type": "array"}}, "x: parameters must have type object, not 'array'"),
        ({"name": "x", "parameters": {"properties": {"age": {"type": "strnig"}}}}, "x: properties.age.type"),
        ({"name": "x", "parameters": {"properties": {"age": {"minimum": "1"}}}}, "x: properties.age.minimum"),
        (
            {"name": "x", "inputSchema": {"properties": {"a": {"items": {"enum": 3}}}}},
            "x: properties.a.items.enum",
        ),
        ({"name": "x", "parameters": {"properties": []}}, "x: properties"),
        ({"name": "x", "parameters": {"required": "age"}}, "x: required"),
        ({"parameters": GOOD}, "a tool of pack 'user' has no name"),
        ({"name": "", "parameters": GOOD}, "a tool of pack 'user' has no name"),
        ({"name": 3, "parameters": GOOD}, "a tool of pack 'user' has no name"),
        ({"type": "function", "function": "x"}, "a tool of pack 'user' must be a JSON object"),
    ],
)
def test_bad_schemas_are_named_by_tool_and_field(definition: dict[str, Any], said: str) -> None:
    with pytest.raises(SchemaError) as caught:
        tool_from_schema(definition, print)
    assert str(caught.value).startswith(said)


# -- results -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text", "data"),
    [
        (None, "Done.", None),
        ("hello", "hello", "hello"),
        ({"a": [1, None]}, '{"a": [1, null]}', {"a": [1, None]}),
        (["ü"], '["ü"]', ["ü"]),
        (True, "true", True),
        (Size(2), '{"width": 2, "height": 1}', {"width": 2, "height": 1}),
        (Person(name="Ada"), '{"name": "Ada", "born": null}', {"name": "Ada", "born": None}),
        ({"at": datetime(2026, 1, 2, 3)}, '{"at": "2026-01-02T03:00:00"}', {"at": "2026-01-02T03:00:00"}),
        (ToolResult("said", (1, date(2026, 1, 2))), "said", [1, "2026-01-02"]),
        (ToolResult("file \udcff", None), "file ?", None),
    ],
)
def test_results_are_text_and_json(value: Any, text: str, data: Any) -> None:
    assert ToolResult.of(value) == ToolResult(text, data)


# -- the registry ------------------------------------------------------------------------------------------


def named(name: str, pack: str = "user", description: str = "Do.") -> Tool:
    return Tool(name, description, {"type": "object"}, lambda: None, pack=pack)


def test_equal_names_are_shown_qualified_for_all_of_them() -> None:
    registry = Registry([named("search", "files"), named("search", "notes"), named("open", "files")])
    assert [registry.shown_name(each) for each in registry] == ["files.search", "notes.search", "open"]
    assert registry.get("notes.search").pack == "notes"
    assert registry.get("open").qualified == registry.get("files.open").qualified == "files.open"
    assert len(registry) == 3
    with pytest.raises(ToolError, match="'search' is ambiguous") as caught:
        registry.get("search")
    assert caught.value.hint == "say one of: files.search, notes.search"
    with pytest.raises(ToolError, match="no tool named 'serach'"):
        registry.get("serach")


@pytest.mark.parametrize(
    ("second", "kind"),
    [
        (named("open", "files"), InputError),  # twice the same
        (named("files.open", "user"), InputError),  # its short name is the other's full name
        (named("undescribed", description=""), SchemaError),
        (named("two words"), SchemaError),
        (named('quo"te'), SchemaError),
        (named("line\n"), SchemaError),
        (named(""), SchemaError),
        (named("x" * 129), SchemaError),
    ],
)
def test_registry_refuses(second: Tool, kind: type[EdgeAgentError]) -> None:
    registry = Registry([named("open", "files")])
    with pytest.raises(kind):
        registry.add(second)
    assert [each.qualified for each in registry] == ["files.open"]


@pytest.mark.parametrize("name", ["a", "get_weather", "get-weather", "fs/read", "v1.search", "größe"])
def test_registry_takes_the_names_that_servers_use(name: str) -> None:
    assert Registry([named(name)]).get(name).name == name


# -- parts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "summary", "arguments"),
    [
        ("", "", {}),
        ("Do it.", "Do it.", {}),
        ("Do it\n    now.\n\n    Later.", "Do it now.", {}),
        ("Do.\n\n    Args:\n        a: One.\n        b (int): Two.", "Do.", {"a": "One.", "b": "Two."}),
        ("Do.\n    Args:\n        a: One.", "Do.", {"a": "One."}),
        ("\n    Args:\n        a: One.", "", {"a": "One."}),
        ("Do.\n\n    Args:\n        a: One\n            note: more", "Do.", {"a": "One note: more"}),
        ("Do.\n\n    Args:\n        a:\n            One.\n\n        b: Two.", "Do.", {"a": "One.", "b": "Two."}),
        ("Do.\n\n    Args:\n        a: One.\n\n    Raises:\n        b: No.", "Do.", {"a": "One."}),
    ],
)
def test_docstrings(text: str, summary: str, arguments: dict[str, str]) -> None:
    assert parse_docstring(text) == (summary, arguments)


def test_clean_schema_drops_titles_but_no_names_and_no_values() -> None:
    schema = {
        "title": "T",
        "description": "D",
        "properties": {
            "title": {"title": "Title", "type": "string"},
            "default": {"title": "Default", "properties": {"title": {"title": "X"}}},
            "a": {"default": {"title": "kept"}, "enum": [{"title": "kept"}], "items": [{"title": "gone"}]},
        },
    }
    assert clean_schema(schema) == {
        "properties": {
            "title": {"type": "string"},
            "default": {"properties": {"title": {}}},
            "a": {"default": {"title": "kept"}, "enum": [{"title": "kept"}], "items": [{}]},
        },
    }

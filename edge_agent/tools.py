"""Tools: a typed function, a pydantic model or a JSON Schema becomes one `Tool`; a `Registry` holds them.

    @tool(effect="write")
    def add_note(ctx: Context, title: Annotated[str, copied("text")], body: str = "") -> str:
        '''Write a note.

        Args:
            title: What the note is called.
            body: Its text.
        '''

The schema is made by pydantic, so `Annotated[int, Field(ge=1)]`, `Literal`, enums, dataclasses and pydantic
models work, and a default makes a parameter optional. A parameter named `ctx` receives the `Context` and is
not part of the schema. Schemas are built on first use: registering a hundred tools costs about a millisecond.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

from .errors import InputError, SchemaError, ToolError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

#: JSON Schema keyword: the value is copied from the person's words; its text is the kind of span (see `copied`).
COPY_KEYWORD = "x-edge-copy"


class Effect(StrEnum):
    """What running a tool can do to the world. Undeclared means IRREVERSIBLE until the user says otherwise."""

    READ = "read"
    WRITE = "write"  # undoable by the runtime
    IRREVERSIBLE = "irreversible"
    EGRESS = "egress"  # sends something off this machine


@dataclass(frozen=True, slots=True)
class Example:
    """One sentence and the arguments it means; shown to models that were not tuned on tools, and indexed."""

    text: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool reports: `text` is said to the person as it stands, `data` is JSON for programs and later steps."""

    text: str
    data: Any = None

    @staticmethod
    def of(value: Any) -> ToolResult:
        """A tool may return a ToolResult, a string, None, or what pydantic can write as JSON.

        `text` becomes valid Unicode and `data` plain JSON values; what has no JSON form becomes its `str`.
        """
        from pydantic_core import to_jsonable_python

        if not isinstance(value, ToolResult):
            data = to_jsonable_python(value, fallback=str)
            text = "Done." if value is None else data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
            value = ToolResult(text, data)
        text = value.text.encode(errors="replace").decode()
        return ToolResult(text, to_jsonable_python(value.data, fallback=str))


def copied(kind: str = "text", description: str | None = None, **constraints: Any) -> FieldInfo:
    """Field of a string that must be copied from the person's own words (provenance by construction).

    The grammar admits only word-aligned spans of the request, narrowed by `kind`:
    `text` any span, `when` one that names a moment, `duration`, `number`, `path`, `name`, `email`, `url`.
    A required field without any legal span makes the runtime ask the person for it.
    """
    from pydantic import Field

    extra: dict[str, Any] = {COPY_KEYWORD: kind}
    return Field(description=description, json_schema_extra=extra, **constraints)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Tool:
    """One callable thing. Immutable; equal definitions have equal `digest`s.

    name: what the model writes; unique within its pack.
    pack: where it comes from (`clock`, `user`, an MCP server's name); `pack.name` is the qualified name.
    description: first line of what it does, for model and person.
    schema: JSON Schema of the arguments, or a function giving it (built on first use).
    """

    name: str
    description: str
    schema: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    run: Callable[..., Any]
    effect: Effect = Effect.IRREVERSIBLE
    pack: str = "user"
    examples: tuple[Example, ...] = ()
    takes_context: bool = False
    model: Callable[[], type[BaseModel]] | None = None
    simulate: Callable[..., Any] | None = None
    verify: Callable[..., Any] | None = None

    @property
    def qualified(self) -> str:
        return f"{self.pack}.{self.name}" if self.pack else self.name

    @cached_property
    def parameters(self) -> Mapping[str, Any]:
        """JSON Schema of the arguments object."""
        return self.schema() if callable(self.schema) else self.schema

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) of name, description, schema and effect: what an approval is bound to."""
        body = [self.qualified, self.description, self.parameters, self.effect]
        return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def call(self, arguments: Mapping[str, Any], ctx: Any = None) -> ToolResult:
        """Runs the tool. Only the gateway calls this. Raises ToolError when the arguments do not fit."""
        keywords = self.bind(arguments)
        return ToolResult.of(self.run(ctx, **keywords) if self.takes_context else self.run(**keywords))

    def bind(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments as the function wants them: pydantic's types, defaults filled in."""
        if self.model is None:
            return dict(arguments)
        from pydantic import ValidationError

        try:
            bound = self.model().model_validate(dict(arguments))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "arguments"
            raise ToolError(f"{self.qualified}: {where}: {first['msg']}") from error
        return {name: getattr(bound, name) for name in type(bound).model_fields} | (bound.model_extra or {})


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *,
    name: str | None = None,
    effect: Effect | str = Effect.IRREVERSIBLE,
    pack: str = "user",
    examples: Iterable[Example] = (),
    simulate: Callable[..., Any] | None = None,
    verify: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    effect: Effect | str = Effect.IRREVERSIBLE,
    pack: str = "user",
    examples: Iterable[Example] = (),
    simulate: Callable[..., Any] | None = None,
    verify: Callable[..., Any] | None = None,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Makes a `Tool` of a typed function (see the module's head). Raises SchemaError for an unannotated one."""

    def make(fn: Callable[..., Any]) -> Tool:
        kind = _effect(name or fn.__name__, effect)
        model = _model_of(fn)
        description, _ = parse_docstring(fn.__doc__ or "")
        return Tool(
            name=name or fn.__name__,
            description=description,
            schema=lambda: _schema_of(fn.__name__, model()),
            run=fn,
            effect=kind,
            pack=pack,
            examples=tuple(examples),
            takes_context="ctx" in inspect.signature(fn).parameters,
            model=model,
            simulate=simulate,
            verify=verify,
        )

    return make(function) if function is not None else make


def tool_from_model(
    model: type[BaseModel],
    run: Callable[[Any], Any],
    *,
    effect: Effect | str = Effect.IRREVERSIBLE,
    pack: str = "user",
) -> Tool:
    """A pydantic model is the arguments; `run` receives one instance of it."""
    name = _snake(model.__name__)
    description, _ = parse_docstring(model.__doc__ or model.__name__)
    return Tool(
        name=name,
        description=description,
        schema=lambda: _schema_of(name, model),
        run=lambda **keywords: run(model.model_construct(**keywords)),  # `bind` has validated them
        effect=_effect(name, effect),
        pack=pack,
        model=lambda: model,
    )


def tool_from_schema(
    definition: Mapping[str, Any],
    run: Callable[..., Any],
    *,
    effect: Effect | str = Effect.IRREVERSIBLE,
    pack: str = "user",
) -> Tool:
    """A raw `{"name", "description", "parameters"}` (OpenAI or MCP spelling) becomes a tool.

    Raises SchemaError naming tool and property when the schema is not valid JSON Schema.
    """
    inner = definition.get("function", definition)
    if not isinstance(inner, Mapping):
        raise SchemaError(f"a tool of pack {pack!r} must be a JSON object, not {type(inner).__name__}")
    name = inner.get("name")
    if not isinstance(name, str) or not name:
        raise SchemaError(f"a tool of pack {pack!r} has no name")
    parameters = inner.get("parameters", inner.get("inputSchema", {"type": "object", "properties": {}}))
    check_schema(name, parameters)
    return Tool(name, str(inner.get("description") or ""), parameters, run, _effect(name, effect), pack)


def check_schema(name: str, schema: Any) -> None:
    """Raises SchemaError (tool, property, reason) unless `schema` is a valid JSON Schema of an object."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError as Invalid

    if not isinstance(schema, Mapping):
        raise SchemaError(f"{name}: parameters must be a JSON Schema object, not {type(schema).__name__}")
    if schema.get("type", "object") != "object":
        raise SchemaError(f"{name}: parameters must have type object, not {schema['type']!r}")
    try:
        Draft202012Validator.check_schema(dict(schema))
    except Invalid as error:
        where = ".".join(str(part) for part in error.absolute_path) or "schema"
        raise SchemaError(f"{name}: {where}: {error.message}") from error


class Registry:
    """Tools by the name the model writes.

    Within a pack a name is unique (InputError otherwise). A name that several packs share is shown to the
    model qualified (`files.search`, `notes.search`), for all of them, so that it is never a guess.

    foreign: tools of somebody else, which are only talked about: any name, and none needs a description.
    """

    def __init__(self, tools: Iterable[Tool] = (), *, foreign: bool = False) -> None:
        self._foreign = foreign
        self._tools: dict[str, Tool] = {}
        self._by_name: dict[str, list[str]] = {}
        for each in tools:
            self.add(each)

    def add(self, item: Tool) -> None:
        if not self._foreign and not re.fullmatch(r"[\w./-]{1,128}", item.name):
            raise SchemaError(f"{item.qualified!r}: a tool's name is made of letters, digits and _ . / -")
        if item.qualified in self._tools:
            raise InputError(f"pack {item.pack!r} already has a tool named {item.name!r}")
        if item.qualified in self._by_name or item.name in self._tools:
            raise InputError(f"{item.qualified}: another tool is called so already, by its short or its full name")
        if not self._foreign and not item.description:
            raise SchemaError(f"{item.qualified}: a tool needs a description: the model chooses by it")
        self._tools[item.qualified] = item
        self._by_name.setdefault(item.name, []).append(item.qualified)

    def __len__(self) -> int:
        return len(self._tools)

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def shown_name(self, item: Tool) -> str:
        """The name the model sees: short where it is unambiguous."""
        return item.name if len(self._by_name[item.name]) == 1 else item.qualified

    def get(self, name: str) -> Tool:
        """By qualified or unambiguous short name. Raises ToolError listing what it may have meant."""
        if name in self._tools:
            return self._tools[name]
        owners = self._by_name.get(name, [])
        if len(owners) == 1:
            return self._tools[owners[0]]
        if owners:
            raise ToolError(f"tool name {name!r} is ambiguous", hint="say one of: " + ", ".join(owners))
        raise ToolError(f"there is no tool named {name!r}", hint="edge-agent tools list")


def parse_docstring(text: str) -> tuple[str, dict[str, str]]:
    """First paragraph, and the entries of a Google-style `Args:` section, both unwrapped to single lines."""
    text = inspect.cleandoc(text)
    summary = " ".join(re.split(r"\n\s*\n|^\w+:[ \t]*$", text, maxsplit=1, flags=re.MULTILINE)[0].split())
    arguments: dict[str, str] = {}
    section = re.search(r"^Args:[ \t]*\n((?:[ \t]+.*\n?|\n)+)", text, re.MULTILINE)
    if section:
        current = ""
        for line in textwrap.dedent(section[1]).splitlines():
            entry = re.match(r"(\w+)\s*(?:\([^)]*\))?:\s*(.*)", line)
            if entry:
                current = entry[1]
                arguments[current] = entry[2].strip()
            elif current:
                arguments[current] = f"{arguments[current]} {line.strip()}".strip()
    return summary, arguments


def clean_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Drops pydantic's generated titles: they are noise in a prompt and carry no meaning.

    A schema that is one reference (a model that holds itself) becomes the object it refers to.
    """

    def walk(node: Any, *, names: bool = False) -> Any:
        if isinstance(node, dict):
            return {
                key: value
                if key in _VALUES and not names
                else walk(value, names=key in ("properties", "$defs") and not names)
                for key, value in node.items()
                if names or key != "title"
            }
        return [walk(value) for value in node] if isinstance(node, list) else node

    cleaned: dict[str, Any] = walk(schema)
    if whole := re.fullmatch(r"#/\$defs/([^/]+)", cleaned.get("$ref", "")):
        del cleaned["$ref"]
        cleaned |= cleaned["$defs"][whole[1]]
    cleaned.pop("description", None)
    return cleaned


#: Keywords that hold values of the person's, not schemas.
_VALUES = frozenset({"default", "const", "enum", "examples"})


def _schema_of(name: str, model: type[BaseModel]) -> dict[str, Any]:
    from pydantic.errors import PydanticUserError

    try:
        return clean_schema(model.model_json_schema())
    except PydanticUserError as error:
        where = _unfit({field: info.annotation for field, info in model.model_fields.items()})
        raise SchemaError(f"{name}: {where}{str(error).splitlines()[0]}") from error


def _unfit(types: Mapping[str, Any]) -> str:
    """`name: ` of the first field whose type has no JSON Schema; empty when each alone has one."""
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    for name, kind in types.items():
        try:
            TypeAdapter(kind).json_schema()
        except PydanticUserError:
            return f"{name}: "
    return ""


def _effect(name: str, effect: Effect | str) -> Effect:
    try:
        return Effect(effect)
    except ValueError as error:
        raise SchemaError(f"{name}: effect must be one of {', '.join(Effect)}, not {effect!r}") from error


def _model_of(fn: Callable[..., Any]) -> Callable[[], type[BaseModel]]:
    if inspect.iscoroutinefunction(fn):
        raise SchemaError(f"{fn.__name__}: a tool is a plain function, not an async one")
    signature = inspect.signature(fn)
    for parameter in signature.parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise SchemaError(f"{fn.__name__}: {parameter}: a tool's parameters must be named")
        if parameter.name != "ctx" and parameter.annotation is parameter.empty:
            raise SchemaError(f"{fn.__name__}: {parameter.name}: needs a type annotation")
    cache: list[type[BaseModel]] = []

    def build() -> type[BaseModel]:
        if cache:
            return cache[0]
        import warnings
        from typing import get_type_hints

        from pydantic import ConfigDict, Field, create_model
        from pydantic.errors import PydanticUserError

        _, described = parse_docstring(fn.__doc__ or "")
        try:
            hints = get_type_hints(fn, include_extras=True)
        except (NameError, SyntaxError, TypeError) as error:
            raise SchemaError(f"{fn.__name__}: its annotations cannot be read: {error}") from error
        fields: dict[str, Any] = {}
        for parameter in signature.parameters.values():
            if parameter.name == "ctx":
                continue
            default = ... if parameter.default is parameter.empty else parameter.default
            about = described.get(parameter.name)
            info = Field(default, description=about) if about else Field(default)
            fields[parameter.name] = (hints[parameter.name], info)
        try:
            with warnings.catch_warnings():  # a parameter may be called `json` or `copy`, as methods of models are
                warnings.simplefilter("ignore", UserWarning)
                model: type[BaseModel] = create_model(fn.__name__, __config__=ConfigDict(extra="forbid"), **fields)
        except (NameError, PydanticUserError) as error:
            where = _unfit({name: hint for name, (hint, _) in fields.items()})
            raise SchemaError(f"{fn.__name__}: {where}{str(error).splitlines()[0]}") from error
        if lost := fields.keys() - model.model_fields.keys():
            raise SchemaError(f"{fn.__name__}: {min(lost)}: pydantic keeps this name for itself; choose another")
        cache.append(model)
        return model

    return build


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()

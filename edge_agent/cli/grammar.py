"""`edge-agent grammar`: what the grammar of a schema or of a GBNF file is, whether it is sound, and what it accepts."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import GrammarError, InputError, SchemaError
from . import build, render

if TYPE_CHECKING:
    from ..grammar import Compiled, Grammar, Relaxation

Result = TypeVar("Result")

#: Where tools keep the schema of their arguments: OpenAI and we; MCP; Anthropic.
_ARGUMENTS = ("parameters", "inputSchema", "input_schema")
#: What `explain` shows of a schema only through the rows below it.
_INSIDE = {"properties", "required", "items", "prefixItems", "patternProperties"}
_LONGEST_VALUE = 40

FILE = click.argument("file", metavar="FILE", shell_complete=build.complete_tools)
TOOL = click.option("--tool", metavar="NAME", help="Only this one of the tools in FILE.")
REMOTES = click.option(
    "--remotes",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="JSON documents that a $ref may name, by their $id or else their path in DIR.",
)


@click.group(cls=render.Group)
def grammar() -> None:
    """Grammars: show them, check them, say what they hold.

    FILE is a .gbnf file, a JSON file with a JSON Schema or with tools (as OpenAI, MCP or Anthropic write them, one
    or a list), or the name of a tool of ours. A schema is read as the standard has it; that of a tool as the
    arguments of a call: compact, in order, nothing undeclared. What comes from files is compiled in a process of
    its own, for at most 5 seconds and 512 MB a schema.
    """


@dataclass(frozen=True, slots=True)
class _Schema:
    """One schema: of a tool's arguments (`call`) or of any value; `foreign` when it came from a file."""

    name: str
    schema: Any
    call: bool
    foreign: bool = True
    remotes: Mapping[str, Any] | None = None

    def compile(self) -> Compiled:
        from ..grammar.schema import compile_schema
        from ..grammar.worker import compile_foreign

        make = compile_foreign if self.foreign else compile_schema
        return make(self.schema, name=self.name, call=self.call, remotes=self.remotes)


@grammar.command()
@FILE
@TOOL
@REMOTES
@render.json_option
@click.pass_context
def show(ctx: click.Context, file: str, tool: str | None, remotes: Path | None, as_json: bool) -> None:
    """Print the GBNF of FILE, and what it cannot express.

    What is copied from a request's words is any text here; a request narrows it.

    \b
    edge-agent grammar show text.convert_units
    edge-agent grammar show tools.json --tool set_timer
    edge-agent grammar show schema.json --remotes schemas/
    edge-agent grammar show my.gbnf
    """
    from ..grammar import pretty

    source = _source(file, tool, remotes)
    if isinstance(source, str):
        text = _placed(pretty, source, file)
        render.emit({"gbnf": text}) if as_json else render.say(text.rstrip())
        return

    def tell(shown: dict[str, Any]) -> None:
        render.say(pretty(shown["gbnf"]).rstrip())
        for each in shown["relaxed"]:
            render.notice(f"checked after decoding: {each}")
        for each in shown["narrowed"]:
            render.notice(f"narrower than the schema: {each}")

    _for_each(ctx, source, lambda _, compiled: {"gbnf": compiled.gbnf, **_reports(compiled)}, tell, as_json)


@grammar.command()
@FILE
@TOOL
@REMOTES
@render.json_option
@click.pass_context
def lint(ctx: click.Context, file: str, tool: str | None, remotes: Path | None, as_json: bool) -> None:
    """Check FILE: a grammar for what would crash or hang an engine and for rules never used, schemas for what their
    grammars do not hold. Exit code 1 when something is refused.

    \b
    edge-agent grammar lint my.gbnf
    edge-agent grammar lint tools.json
    """
    source = _source(file, tool, remotes)
    found = list(_findings(source) if isinstance(source, str) else _verdicts(source))
    if as_json:
        render.emit(found)
    else:
        for each in found:
            place = f"{file}:{each['line']}:{each['column']}" if each.get("line") else file
            render.say(f"{place}: {each['kind']}: {each['message']}")
        render.notice(f"{file}: {f'{len(found)} found' if found else 'fine'}")
    ctx.exit(int(any(each["kind"] == "error" for each in found)))


@grammar.command()
@FILE
@TOOL
@REMOTES
@render.json_option
@click.pass_context
def explain(ctx: click.Context, file: str, tool: str | None, remotes: Path | None, as_json: bool) -> None:
    """Say for each property of a schema what the grammar holds and what is left to check after decoding.

    \b
    edge-agent grammar explain tools.json
    edge-agent grammar explain clock.set_timer --json
    """
    source = _source(file, tool, remotes)
    if isinstance(source, str):
        raise InputError(f"{file} is a grammar, not a schema", hint=f"edge-agent grammar show {file}")

    def describe(schema: _Schema, compiled: Compiled) -> dict[str, Any]:
        begun = time.perf_counter()
        schema.compile()  # once more, now that everything is loaded
        elapsed_ms = round((time.perf_counter() - begun) * 1000, 2)
        text = compiled.gbnf
        sizes = {"rules": text.count("::="), "bytes": len(text.encode()), "compile_ms": elapsed_ms}
        return {"properties": _properties(schema, compiled), **sizes}

    def tell(told: dict[str, Any]) -> None:
        rows = [
            (row["property"], ", ".join(row["held"]), "; ".join([*row["relaxed"], *row["narrowed"]]) or None)
            for row in told["properties"]
        ]
        render.table(("property", "held by the grammar", "checked after decoding"), rows)
        render.say(f"{told['rules']} rules, {told['bytes']} bytes, compiled in {told['compile_ms']} ms\n")

    _for_each(ctx, source, describe, tell, as_json)


@grammar.command()
@FILE
@click.argument("text", default="-")
@TOOL
@REMOTES
@render.json_option
@click.pass_context
def check(ctx: click.Context, file: str, text: str, tool: str | None, remotes: Path | None, as_json: bool) -> None:
    """Say whether TEXT (default: stdin) is what FILE asks for: by the grammar and, for a schema, by the validator.
    Exit code 1 when not.

    \b
    edge-agent grammar check date.gbnf 2026-11-28
    edge-agent grammar check schema.json '{"minutes": 5}'
    edge-agent grammar check tools.json --tool set_timer '{"minutes":5}'
    """
    from ..grammar import parse_gbnf

    source = _source(file, tool, remotes)
    given = (sys.stdin.read() if text == "-" else text).encode(errors="replace").decode()
    problems: list[str] | None = None
    if isinstance(source, str):
        document = _by_grammar(_placed(parse_gbnf, source, file), given)
    elif len(source) > 1:
        raise InputError(f"{file} has {len(source)} tools", hint="--tool " + "|".join(each.name for each in source))
    else:
        compiled = source[0].compile()
        if compiled.empty:
            raise SchemaError(f"{source[0].name}: no value can satisfy this schema")
        document = _by_grammar(compiled.grammar, given)
        problems = _by_validator(source[0], given)
    accepted = document["grammar"] and not problems
    if as_json:
        render.emit({"accepted": accepted, **document, "problems": problems})
    elif accepted:
        render.say("accepted")
    else:
        if not document["grammar"]:
            judged = "unfinished" if document["unfinished"] else "refused by the grammar"
            render.say(f"{judged}: {document['why']}")
        for problem in problems or ():
            render.say(f"refused by the validator: {problem}")
        if problems == []:
            render.say("accepted by the validator")
    ctx.exit(int(not accepted))


def _by_grammar(grammar: Grammar, text: str) -> dict[str, Any]:
    from ..grammar import TextMatcher
    from ..grammar.expect import explain

    matcher = TextMatcher(grammar)
    fits = matcher.accepts(text)
    return {
        "grammar": fits,
        "legal_bytes": matcher.prefix(text),
        "unfinished": not fits and matcher.unfinished(text),
        "why": None if fits else explain(grammar, text),
    }


def _by_validator(schema: _Schema, text: str) -> list[str]:
    from ..grammar.worker import validate_foreign

    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return [f"not JSON: {error}"]
    return validate_foreign(schema.schema, value, name=schema.name, remotes=schema.remotes)


def _for_each(
    ctx: click.Context,
    source: list[_Schema],
    describe: Callable[[_Schema, Compiled], dict[str, Any]],
    tell: Callable[[dict[str, Any]], None],
    as_json: bool,
) -> None:
    """Describes every schema; one of several that is refused does not keep the others from being told."""
    told: list[dict[str, Any]] = []
    for schema in source:
        try:
            told.append({"tool": schema.name, **describe(schema, schema.compile())})
        except (SchemaError, GrammarError) as error:
            if len(source) == 1:
                raise
            told.append({"tool": schema.name, "error": error.message})
    if as_json:
        render.emit(told)
    for each in () if as_json else told:
        render.notice(f"error: {each['error']}") if "error" in each else tell(each)
    ctx.exit(SchemaError.exit_code if any("error" in each for each in told) else 0)


def _findings(text: str) -> Iterator[dict[str, Any]]:
    from ..grammar.gbnf import parse_loosely
    from ..grammar.lint import check as findings

    try:
        for found in findings(*parse_loosely(text)):
            yield {"kind": "warning", "line": found.line, "column": found.column, "message": found.message}
    except GrammarError as error:
        yield {"kind": "error", "line": error.line, "column": error.column, "message": error.message}


def _verdicts(source: list[_Schema]) -> Iterator[dict[str, Any]]:
    for schema in source:
        try:
            reports = _reports(schema.compile())
        except (SchemaError, GrammarError) as error:
            yield {"kind": "error", "tool": schema.name, "message": error.message}
            continue
        for kind, messages in reports.items():
            yield from ({"kind": kind, "tool": schema.name, "message": message} for message in messages)


def _reports(compiled: Compiled) -> dict[str, list[str]]:
    return {"relaxed": [*map(str, compiled.report)], "narrowed": [*map(str, compiled.narrowed)]}


def _properties(schema: _Schema, compiled: Compiled) -> list[dict[str, Any]]:
    """For the value, each property and item: what it says and the grammar holds, and where the two part."""
    rows = dict(_declared(schema.schema, schema.name, False))
    relaxed, narrowed = _by_path(compiled.report), _by_path(compiled.narrowed)

    def row(path: str) -> dict[str, Any]:
        lost = {each.keyword for each in relaxed.get(path, ())}
        held = [words for keyword, words in rows.get(path, {}).items() if keyword not in lost]
        return {
            "property": path,
            "held": held,
            "relaxed": [f"{each.keyword}: {each.action}" for each in relaxed.get(path, ())],
            "narrowed": [f"{each.keyword}: {each.action}" for each in narrowed.get(path, ())],
        }

    return [row(path) for path in dict.fromkeys([*rows, *relaxed, *narrowed])]


def _by_path(reports: Iterable[Relaxation]) -> dict[str, list[Relaxation]]:
    found: dict[str, list[Relaxation]] = {}
    for each in reports:
        found.setdefault(each.path, []).append(each)
    return found


def _declared(schema: Any, path: str, required: bool) -> Iterator[tuple[str, dict[str, str]]]:
    """The path of every part that is written out in `schema`, with its keywords in words."""
    from ..grammar.merge import ASSERTIONS

    if not isinstance(schema, Mapping):
        yield path, {"": "any value" if schema else "no value"}
        return
    words = {keyword: _worded(keyword, schema[keyword]) for keyword in schema if keyword in ASSERTIONS - _INSIDE}
    yield path, ({"required": "required"} if required else {}) | words
    properties, needed, items = schema.get("properties"), schema.get("required"), schema.get("items")
    for name, inner in (properties if isinstance(properties, Mapping) else {}).items():
        yield from _declared(inner, f"{path}.{name}", isinstance(needed, list) and name in needed)
    if items is not None and not isinstance(items, list):
        yield from _declared(items, f"{path}[]", False)


def _worded(keyword: str, value: Any) -> str:
    shown = "|".join(map(str, value)) if keyword == "type" and isinstance(value, list) else str(value)
    if keyword == "type":
        return shown
    plain = isinstance(value, str | int | float) and len(shown) <= _LONGEST_VALUE
    return f"{keyword} {shown}" if plain else f"{keyword} ({len(value)})" if isinstance(value, list) else keyword


def _source(file: str, tool: str | None, remotes: Path | None) -> str | list[_Schema]:
    """The GBNF text or the schemas that `file` is or holds."""
    from ..grammar.library import with_library

    path = Path(file)
    if not path.exists() and path.name == file and path.suffix not in (".gbnf", ".json"):
        with build.make_agent(build.Options()) as agent:
            ours = agent.registry.get(file)
        return [_Schema(ours.name, ours.parameters, call=True, foreign=False)]
    text = _read(path)
    if path.suffix != ".json" and not text.lstrip().startswith(("{", "[")):
        return with_library(text)
    found = [*_schemas(_json(path, text), path, _documents(remotes))]
    chosen = [each for each in found if tool in (None, each.name)]
    if not chosen:
        raise InputError(f"{file} has no {f'tool {tool!r}' if tool else 'tools'}")
    return chosen


def _schemas(document: Any, path: Path, remotes: Mapping[str, Any]) -> Iterator[_Schema]:
    items = document.get("tools") if isinstance(document, dict) else document
    if not isinstance(items, list):
        name, schema = _arguments(document) or (path.stem, ...)
        yield _Schema(name, document if schema is ... else schema, call=schema is not ..., remotes=remotes)
        return
    for number, item in enumerate(items, 1):
        if (found := _arguments(item)) is None:
            known = ", ".join(_ARGUMENTS)
            raise InputError(f"{path}: item {number} is not a tool", hint=f"a tool has a name and one of {known}")
        yield _Schema(*found, call=True, remotes=remotes)


def _arguments(item: Any) -> tuple[str, Any] | None:
    """Name and schema of the arguments, if `item` is a tool."""
    inner = item.get("function") if isinstance(item, dict) and item.get("type") == "function" else None
    tool = inner if isinstance(inner, dict) else item
    if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
        return None
    schema = next((tool[key] for key in _ARGUMENTS if key in tool), {"type": "object"} if tool is inner else None)
    return None if schema is None else (tool["name"], schema)


def _documents(folder: Path | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*.json")) if folder else ():
        document = _json(path, _read(path))
        name = document.get("$id") if isinstance(document, dict) else None
        found[name if isinstance(name, str) else path.relative_to(folder or path).as_posix()] = document
    return found


def _json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {error}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}") from error


def _placed(read: Callable[[str], Result], text: str, file: str) -> Result:
    """What `read` makes of `text`, its errors naming the file."""
    try:
        return read(text)
    except GrammarError as error:
        where = f"{file}:{error.line}:{error.column}" if error.line else file
        raise GrammarError(
            f"{where}: {error.message}", hint=error.hint, line=error.line, column=error.column
        ) from error

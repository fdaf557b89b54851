"""`edge-agent grammar`: the grammar of a tool, and a linter for GBNF files."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..errors import GrammarError, InputError
from . import build, render

FILE = click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.group(cls=render.Group)
def grammar() -> None:
    """Grammars: show a tool's, check your own."""


@grammar.command()
@click.argument("tool", metavar="TOOL", shell_complete=build.complete_tools)
@render.json_option
def show(tool: str, as_json: bool) -> None:
    """Print the GBNF of a tool's arguments, and what it cannot express.

    What is copied from a request's words is any text here; a request narrows it.

    \b
    edge-agent grammar show text.convert_units
    """
    from ..grammar import compile_schema, to_gbnf

    with build.make_agent(build.Options()) as agent:
        found = agent.registry.get(tool)
    compiled = compile_schema(found.parameters, name=found.name)
    text, relaxed = to_gbnf(compiled.grammar), [str(each) for each in compiled.report]
    if as_json:
        render.emit({"tool": found.qualified, "gbnf": text, "relaxed": relaxed})
        return
    render.say(text.rstrip())
    for each in relaxed:
        render.notice(f"checked after decoding: {each}")


@grammar.command()
@FILE
@render.json_option
def lint(file: Path, as_json: bool) -> None:
    """Check a GBNF FILE for what would crash or hang an engine, and for rules never used.

    \b
    edge-agent grammar lint my.gbnf
    """
    from ..grammar.gbnf import parse_loosely
    from ..grammar.lint import check as findings

    try:
        found = findings(*parse_loosely(_read(file)))
    except GrammarError as error:
        raise _placed(error, file) from error
    if as_json:
        render.emit([{"line": each.line, "column": each.column, "message": each.message} for each in found])
        return
    for each in found:
        render.say(f"{file}:{each.line}:{each.column}: warning: {each.message}")
    render.notice(f"{file}: {f'{len(found)} warnings' if found else 'fine'}")


@grammar.command()
@FILE
@click.argument("text", default="-")
@render.json_option
@click.pass_context
def check(ctx: click.Context, file: Path, text: str, as_json: bool) -> None:
    """Say whether TEXT (default: stdin) is a sentence of the grammar in FILE. Exit code 1 when not.

    \b
    edge-agent grammar check date.gbnf 2026-11-28
    """
    from ..grammar import TextMatcher, parse_gbnf

    try:
        matcher = TextMatcher(parse_gbnf(_read(file)))
    except GrammarError as error:
        raise _placed(error, file) from error
    given = sys.stdin.read() if text == "-" else text
    fits, legal_bytes = matcher.accepts(given), matcher.prefix(given)
    if as_json:
        render.emit({"accepted": fits, "legal_bytes": legal_bytes, "unfinished": matcher.unfinished(given)})
    elif fits:
        render.say("accepted")
    elif matcher.unfinished(given):
        render.say("unfinished: right so far, and more must follow")
    else:
        render.say(f"refused after {legal_bytes} bytes: {given.encode()[:legal_bytes].decode(errors='replace')!r} ⟂")
    ctx.exit(0 if fits else 1)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: {error}") from error


def _placed(error: GrammarError, file: Path) -> GrammarError:
    where = f"{file}:{error.line}:{error.column}" if error.line else str(file)
    return GrammarError(f"{where}: {error.message}", hint=error.hint, line=error.line, column=error.column)

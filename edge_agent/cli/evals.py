"""`edge-agent eval`: suites that end in one JSON line."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from . import build, render

OUT = click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Keep results here, and go on from it."
)
LINES = click.option(
    "--data", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="JSON lines."
)
SCHEMAS = click.option("--limit", type=click.IntRange(1), help="First so many schemas.")
EVERY = click.option("--every", type=click.IntRange(1), default=1, help="Each so many-th schema only.")
FAILURES = click.option("--failures", is_flag=True, help="List what came out wrong as well.")


@click.group(cls=render.Group)
def evals() -> None:
    """Measure how well a model, or the grammars, do."""


@evals.command()
@build.options(build.MODEL, build.DIALECT)
@click.option("--limit", type=click.IntRange(1), help="First so many cases of each kind.")
@click.option("--kind", "kinds", multiple=True, help="Only this kind: single, two_step, missing, impossible.")
@OUT
@render.json_option
def everyday(
    options: build.Options, limit: int | None, kinds: tuple[str, ...], out: Path | None, as_json: bool
) -> None:
    """Everyday sentences, run in a throw-away home and judged by what became of it.

    Prints a table and, as its last line, all figures as JSON.

    \b
    edge-agent eval everyday --limit 5
    edge-agent eval everyday --model qwen3-0.6b --out qwen.jsonl --json
    """
    from ..evals.everyday import run

    figures = run(model=options.model, dialect=options.dialect, limit=limit, kinds=kinds, out=out, progress=_progress)
    _report(figures, [figures.pop("table", [])], as_json)


@evals.command()
@LINES
@SCHEMAS
@EVERY
@click.option(
    "--skip", multiple=True, type=click.Choice(["llguidance", "llama.cpp"]), help="Leave out this engine (repeatable)."
)
@click.option(
    "--llamacpp-every", type=click.IntRange(1), default=1, help="llama.cpp, slow, at each so many-th of them."
)
@OUT
@FAILURES
@render.json_option
def maskbench(
    data: Path,
    limit: int | None,
    every: int,
    skip: tuple[str, ...],
    llamacpp_every: int,
    out: Path | None,
    failures: bool,
    as_json: bool,
) -> None:
    """MaskBench: our grammars beside llguidance's and llama.cpp's, right or wrong and how fast.

    DATA is a file of guidance-ai/jsonschemabench rows, `{id, set, schema, tests: [{valid, data}]}`, gzipped or not.
    Prints tables and, as its last line, all figures as JSON.

    \b
    edge-agent eval maskbench --data dev.jsonl.gz --every 100 --failures
    edge-agent eval maskbench --data dev.jsonl.gz --out rows.jsonl --llamacpp-every 10
    """
    from ..evals.maskbench import run

    figures = run(
        data=data, limit=limit, every=every, skip=skip, llamacpp_every=llamacpp_every, out=out, progress=_progress
    )
    _report(figures, figures.pop("tables"), as_json, failures=failures)


@evals.command()
@click.option(
    "--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="The suite's folder."
)
@click.option("--optional", is_flag=True, help="The optional cases as well.")
@FAILURES
@render.json_option
def json_schema_suite(data: Path, optional: bool, failures: bool, as_json: bool) -> None:
    """The official JSON Schema test suite (draft 2020-12), keyword by keyword.

    DATA is a copy of json-schema-org/JSON-Schema-Test-Suite, with `tests` and `remotes` in it. Prints a table and, as
    its last line, all figures as JSON.

    \b
    edge-agent eval json-schema-suite --data JSON-Schema-Test-Suite --optional --failures
    """
    from ..evals.json_suite import run

    figures = run(data=data, optional=optional, progress=_progress)
    _report(figures, figures.pop("tables"), as_json, failures=failures)


@evals.command()
@LINES
@click.option("--pairs", type=click.IntRange(0), default=1000, help="So many texts, judged by llama.cpp and by us.")
@SCHEMAS
@EVERY
@FAILURES
@render.json_option
@click.pass_context
def gbnf(
    ctx: click.Context, data: Path, pairs: int, limit: int | None, every: int, failures: bool, as_json: bool
) -> None:
    """Whether llama.cpp reads our GBNF, and takes by it what our matcher takes.

    DATA is as for `maskbench`. Prints tables and, as its last line, all figures as JSON. Exit code 1 when a grammar
    was refused or ended llama.cpp, or a text was judged differently.

    \b
    edge-agent eval gbnf --data dev.jsonl.gz --every 100 --pairs 50 --failures
    """
    from ..evals.gbnf import run

    figures = run(data=data, pairs=pairs, limit=limit, every=every, progress=_progress)
    _report(figures, figures.pop("tables"), as_json, failures=failures)
    ctx.exit(int(figures["wrong"] > 0))


@evals.command()
@LINES
@click.option("--together", type=click.IntRange(1), default=25, help="So many tools in one grammar.")
@FAILURES
@render.json_option
@click.pass_context
def tool_schemas(ctx: click.Context, data: Path, together: int, failures: bool, as_json: bool) -> None:
    """Real tools, compiled one by one and then many as one grammar.

    DATA has a tool a line, `{name, parameters}`, gzipped or not. Prints tables and, as its last line, all figures as
    JSON. Exit code 1 when something failed.

    \b
    edge-agent eval tool-schemas --data tools.jsonl.gz --failures
    """
    from ..evals.tool_schemas import run

    figures = run(data=data, together=together, progress=_progress)
    _report(figures, figures.pop("tables"), as_json, failures=failures)
    ctx.exit(int(figures["wrong"] > 0))


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty() or done % 25 == 0 or done == total:
        end = "\r" if sys.stderr.isatty() and done < total else "\n"
        click.echo(f"{done}/{total}{end}", err=True, nl=False)


def _report(
    figures: dict[str, Any], tables: Iterable[list[Mapping[str, Any]]], as_json: bool, *, failures: bool = False
) -> None:
    """Tables for people, then all figures in one line; for programs only that. Failures if wanted."""
    wrong = figures.pop("failures", [])
    if as_json and failures:
        figures["failures"] = wrong
    for rows in () if as_json else (*tables, wrong if failures else []):
        if rows:
            headings = list(rows[0])
            numbers = [name for name in headings[1:] if not isinstance(rows[0][name], str)]
            render.table(headings, [[_cell(value) for value in row.values()] for row in rows], right=numbers)
            click.echo()
    render.emit(figures)


def _cell(value: object) -> object:
    return f"{value:.3f}" if isinstance(value, float) else value

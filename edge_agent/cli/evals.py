"""`edge-agent eval`: suites that end in one JSON line."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from . import build, render


@click.group(cls=render.Group)
def evals() -> None:
    """Measure how well a model does."""


@evals.command()
@build.options(build.MODEL, build.DIALECT)
@click.option("--limit", type=click.IntRange(1), help="First so many cases of each kind.")
@click.option("--kind", "kinds", multiple=True, help="Only this kind: single, two_step, missing, impossible.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Keep each case here, and go on from it.")
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

    def progress(done: int, total: int) -> None:
        end = "\r" if sys.stderr.isatty() and done < total else "\n"
        if sys.stderr.isatty() or done % 25 == 0 or done == total:
            click.echo(f"{done}/{total}{end}", err=True, nl=False)

    figures = run(model=options.model, dialect=options.dialect, limit=limit, kinds=kinds, out=out, progress=progress)
    rows = figures.pop("table", [])
    if not as_json and rows:
        shown = [[_cell(value) for value in row.values()] for row in rows]
        render.table(list(rows[0]), shown, right=list(rows[0])[1:])
    render.emit(figures)


def _cell(value: object) -> object:
    return f"{value:.3f}" if isinstance(value, float) else value

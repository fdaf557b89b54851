"""`edge-agent predict`: what would be called, for rows from a file, without doing it."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import InputError
from . import build, render


@click.command()
@click.argument("rows", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Where the answers go.")
@build.options(build.MODEL, build.DIALECT, build.NO_ADAPTER)
@render.json_option
@click.pass_context
def predict(ctx: click.Context, rows: Path, out: Path, options: build.Options, as_json: bool) -> None:
    """Answer rows of messages and tools with calls, and run none of them.

    ROWS is JSON lines: {"id", "messages": [{"role", "content"}], "tools": [{"name", "description", "parameters"}]},
    and "now" if the moment or place of speaking matters. The answers come in the same order, one line each: calls,
    confidence, decision (act, ask, decline, escalate), tokens, latency_ms, energy, error. No calls and no error: no
    tool fits, or the decision is to ask. An interrupted run goes on where it was.

    \b
    edge-agent predict rows.jsonl --out calls.jsonl
    """
    from ..predict import Predictor, predict_file

    with build.make_agent(options) as agent:
        total, errors = predict_file(Predictor(agent), rows, out, render.progress)
    if as_json:
        render.emit({"rows": total, "errors": errors, "out": str(out)})
    else:
        render.say(f"{total} rows answered in {out}" + (f", {errors} of them with an error" if errors else ""))
    ctx.exit(InputError.exit_code if errors else 0)

"""`edge-agent adapt`: teaching a model to call tools."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from . import build, render

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
ROWS = click.option(
    "--rows", "folder", required=True, type=FOLDER, help="Folder of authored_*.jsonl.gz and public rows."
)


@click.group(cls=render.Group)
def adapt() -> None:
    """Teach a model to call tools with a small adapter. Needs: pip install 'edge-agent[adapt]'."""


@adapt.command()
@ROWS
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the run.")
@click.option("--tokens", type=click.IntRange(1000), default=1_000_000, show_default=True, help="How many to train on.")
@render.json_option
def reproduce(folder: Path, out: Path, tokens: int, as_json: bool) -> None:
    """Train the adapter that comes with edge_agent anew, from its rows.

    About half an hour for a million tokens on two cores; nothing else should run meanwhile. A run that was stopped
    goes on when the same command is given again. The adapter is OUT/adapter.gguf.

    \b
    edge-agent adapt reproduce --rows rows --out run
    """
    from .. import dialects
    from ..adapt.reproduce import reproduce as run
    from ..adapt.train import Progress
    from ..config import load
    from ..engine.base import open_engine

    store = build.open_store()
    model = store.resolve(store.catalogue.default().name)
    with closing(open_engine(model.path, load(), sha256=model.sha256)) as engine:

        def progress(now: Progress) -> None:
            left = f"{now.left_s / 60:.0f} min left"
            render.notice(f"step {now.step}: {now.tokens}/{now.total} tokens, loss {now.loss:.3f}, {left}")

        dialect = dialects.get(model.dialect)
        made = run(model.path, folder, out, dialect, engine.tokenize, tokens=tokens, progress=progress)
    if as_json:
        render.emit({"adapter": str(made), "tokens": tokens})
    else:
        render.say(f"The adapter is {made}.")


@adapt.command()
@ROWS
@click.option("--data", required=True, type=FOLDER, help="Folder of the evaluation data.")
@render.json_option
@click.pass_context
def overlap(ctx: click.Context, folder: Path, data: Path, as_json: bool) -> None:
    """Look for evaluation sentences, or near copies of them, among the training rows. Exit code 1 if there are any.

    A near copy has ten words in a row, or four fifths of all words, in common with an evaluation sentence.

    \b
    edge-agent adapt overlap --rows rows --data data
    """
    from ..adapt.overlap import check

    found = check(folder, data)
    for copy in () if as_json else found.copies:
        render.say(f"{copy.suite} {copy.case}: {copy.why}: {copy.text!r}\n  {copy.source}: {copy.row!r}")
    summary = {"rows": found.rows, "sentences": dict(found.sentences), "copies": len(found.copies)}
    render.emit(summary)
    ctx.exit(int(bool(found.copies)))

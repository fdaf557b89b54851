"""`edge-agent models pull | prepare | bench`: what takes time on a model's file."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from . import build, render

if TYPE_CHECKING:
    from ..download import Progress
    from ..prepare import Prepared

#: Seconds between two lines of progress where stderr is no terminal.
QUIET_S = 5.0

OPTIONAL_NAME = click.argument("name", metavar="[NAME]", required=False, shell_complete=build.complete_models)


@click.command()
@click.argument("name", metavar="NAME", shell_complete=build.complete_models)
@build.options(build.OFFLINE)
@render.json_option
def pull(options: build.Options, name: str, as_json: bool) -> None:
    """Download a model of the catalogue. Interrupted, it goes on where it stopped.

    The file is checked against the catalogue's hash while it arrives. HF_TOKEN is sent to huggingface.co only.

    \b
    edge-agent models pull qwen3-0.6b
    """
    with _progress(name) as progress:
        model = build.open_store().pull(name, progress, offline=options.offline)
    if not model.verified:
        render.notice(f"unverified: the catalogue knows no hash of {name}; its SHA-256 is {model.sha256}")
    if as_json:
        render.emit({"model": name, "path": str(model.path), "sha256": model.sha256, "verified": model.verified})
    else:
        render.say(f"{name} is here; to use it: edge-agent models use {name}")


@click.command()
@OPTIONAL_NAME
@build.options(build.DIALECT)
@click.option("--again", is_flag=True, help="Measure anew.")
@render.json_option
def prepare(options: build.Options, name: str | None, again: bool, as_json: bool) -> None:
    """Find the weight format that is fastest on this CPU, and keep the model in it.

    Seconds for a small model, minutes for 3B. Without NAME it is the model in use.

    \b
    edge-agent models prepare
    edge-agent models prepare qwen3-0.6b --again
    """
    from ..prepare import prepare as run

    store = build.open_store()
    prepared = run(store, build.chosen_model(store, name, options.dialect), progress=render.notice, again=again)
    if as_json:
        render.emit(as_document(prepared))
    else:
        show_measurements(prepared)


@click.command()
@OPTIONAL_NAME
@build.options(build.DIALECT)
@render.json_option
def bench(options: build.Options, name: str | None, as_json: bool) -> None:
    """Measure a model's speed as it would be used: tokens per second, reading and writing.

    \b
    edge-agent models bench --json
    """
    from ..engine.llama import measure_speed
    from ..prepare import find

    store = build.open_store()
    model = build.chosen_model(store, name, options.dialect)
    prepared = find(store, model)
    path = prepared.path if prepared else model.path
    speed = measure_speed(path, prepared.kernels if prepared else None)  # type: ignore[arg-type]
    document = {
        "path": str(path),
        "format": prepared.format if prepared else "as shipped",
        "prompt_tok_s": round(speed.prompt_tok_s, 1),
        "generate_tok_s": round(speed.generate_tok_s, 1),
    }
    if as_json:
        render.emit(document)
    else:
        render.fields(document.items())


def as_document(prepared: Prepared) -> dict[str, Any]:
    return {
        "path": str(prepared.path),
        "format": prepared.format,
        "sha256": prepared.sha256,
        "measurements": {name: asdict(m) for name, m in prepared.measurements.items()},
        "failures": dict(prepared.failures),
    }


def show_measurements(prepared: Prepared) -> None:
    """The candidates, the kept one marked, times in tokens per second and seconds."""
    rows: list[tuple[object, ...]] = []
    for name, m in prepared.measurements.items():
        speeds = (f"{m.prompt_tok_s:.0f}", f"{m.generate_tok_s:.0f}", f"{m.request_s:.2f}")
        rows.append(("*" if name == prepared.format else "", name, *speeds))
    rows += [("", name, None, None, reason) for name, reason in prepared.failures.items()]
    numbers = ("prompt tok/s", "writing tok/s")
    render.table(("", "format", *numbers, "s per request"), rows, right=numbers)


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Progress]:
    """A bar with rate and remaining time on a terminal; elsewhere a line every few seconds."""
    if not sys.stderr.isatty():
        yield _Lines(name)
        return
    from rich import progress as bars

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TextColumn("{task.fields[pace]}"),
    )
    with bars.Progress(*columns, console=render.console(stderr=True), transient=True) as shown:
        task = shown.add_task(name, total=None, pace="")

        def move(done_bytes: int, total_bytes: int | None, rate: float, eta_s: float | None) -> None:
            shown.update(task, completed=done_bytes, total=total_bytes, pace=_pace(rate, eta_s))

        yield move


class _Lines:
    def __init__(self, name: str) -> None:
        self._name, self._last_s = name, time.monotonic()

    def __call__(self, done_bytes: int, total_bytes: int | None, rate: float, eta_s: float | None) -> None:
        if time.monotonic() - self._last_s >= QUIET_S or done_bytes == total_bytes:
            self._last_s = time.monotonic()
            of = f" of {render.size(total_bytes)}" if total_bytes else ""
            render.notice(f"{self._name}: {render.size(done_bytes)}{of}, {_pace(rate, eta_s)}")


def _pace(rate: float, eta_s: float | None) -> str:
    """`12.3 MB/s, 1:05 left`."""
    left = "" if eta_s is None else f", {int(eta_s) // 60}:{int(eta_s) % 60:02} left"
    return f"{rate / 1e6:.1f} MB/s{left}"

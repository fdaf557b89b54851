"""`edge-agent models`: which models there are, which are here, which is used. Working on files is in `weights.py`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import build, render, weights

if TYPE_CHECKING:
    from ..models import Listing, Store

#: Share of the memory that a model may take before it crowds out everything else.
ROOMY = 0.5

NAME = click.argument("name", metavar="NAME", shell_complete=build.complete_models)


@click.group(cls=render.Group)
def models() -> None:
    """Models: list, download, add, choose, measure."""


@models.command("list")
@render.json_option
def list_(as_json: bool) -> None:
    """List the models of the catalogue and those added.

    `*` marks the one in use. "verified" means that the file's hash was known beforehand from independent
    records; "unverified" that nobody could check it. RAM: whether the model fits this machine's memory.

    \b
    edge-agent models list
    edge-agent models list --json | jq '.[] | select(.installed).name'
    """
    lines = build.open_store().list()
    memory_mb = _memory_mb()
    if as_json:
        render.emit([_line(line, memory_mb) for line in lines])
        return
    rows = [
        (
            "*" if line.current else "",
            line.name,
            "yes" if line.installed else "",
            ("verified" if _checkable(line) else "unverified"),
            line.entry.params if line.entry else None,
            render.size(line.size_bytes),
            fits(line.entry.ram_mb, memory_mb) if line.entry else None,
            line.dialect,
        )
        for line in lines
    ]
    headings = ("", "model", "here", "file", "weights", "size", "RAM", "dialect")
    render.table(headings, rows, right=["weights", "size"])


@models.command()
@NAME
@render.json_option
def show(name: str, as_json: bool) -> None:
    """Show one model: origin, hash, licence, where its file is, what was measured.

    \b
    edge-agent models show smollm2-135m
    """
    from ..prepare import find

    store = build.open_store()
    line = _listed(store, name)
    file = store.runnable(name) if line.installed else None
    prepared = find(store, file) if file else None
    catalogued = asdict(line.entry) if line.entry else {}
    document = {
        **catalogued,
        **_line(line, _memory_mb()),
        "download_url": line.entry.download_url if line.entry else None,
        "path": str(file.path) if file else None,
        "sha256": file.sha256 if file else line.entry.sha256 if line.entry else None,
        "prepared": weights.as_document(prepared) if prepared else None,
    }
    if as_json:
        render.emit(document)
        return
    plain = {key: value for key, value in document.items() if key not in ("prepared", "quality", "size_bytes")}
    render.fields([*plain.items(), ("size", render.size(line.size_bytes))])
    for benchmark, score in (line.entry.quality if line.entry else {}).items():
        render.say(f"{benchmark}: {score:g} %")
    if prepared:
        weights.show_measurements(prepared)


@models.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", required=True, help="What to call it.")
@click.option("--dialect", required=True, help="How the model was trained to write calls.")
@render.json_option
def add(file: Path, name: str, dialect: str, as_json: bool) -> None:
    """Copy a .gguf FILE of your own into the store.

    \b
    edge-agent models add ~/Downloads/my-qwen.gguf --name my-qwen --dialect qwen
    """
    added = build.open_store().add(file, name, dialect)
    _told(as_json, {"model": name, "path": str(added.path), "sha256": added.sha256}, f"added {name}")


@models.command()
@NAME
@render.json_option
def remove(name: str, as_json: bool) -> None:
    """Delete a model's file, and what `prepare` made of it.

    \b
    edge-agent models remove qwen3-0.6b
    """
    build.open_store().remove(name)
    _told(as_json, {"removed": name}, f"removed {name}")


@models.command()
@NAME
@render.json_option
def use(name: str, as_json: bool) -> None:
    """Make NAME the model that is used.

    \b
    edge-agent models use qwen3-0.6b
    """
    from ..config import load

    chosen = build.open_store().use(name)
    if load().model not in ("", name):
        render.notice(f"the setting `model` still says {load().model}: edge-agent config set model ''")
    _told(as_json, {"model": name, "path": str(chosen.path)}, f"using {name}")


for _command in (weights.pull, weights.prepare, weights.bench):
    models.add_command(_command)


def fits(ram_mb: int, memory_mb: float) -> str:
    """`yes`, `tight` (more than half of the memory) or `no`, for an estimated need."""
    if ram_mb > memory_mb:
        return "no"
    return "yes" if ram_mb <= memory_mb * ROOMY else "tight"


def _memory_mb() -> float:
    import psutil

    return float(psutil.virtual_memory().total) / 1e6


def _checkable(line: Listing) -> bool:
    return line.verified or (not line.installed and line.entry is not None and line.entry.sha256 is not None)


def _line(line: Listing, memory_mb: float) -> dict[str, Any]:
    return {
        "name": line.name,
        "current": line.current,
        "installed": line.installed,
        "verified": _checkable(line),
        "size_bytes": line.size_bytes,
        "fits_ram": fits(line.entry.ram_mb, memory_mb) if line.entry else None,
        "ram_mb": line.entry.ram_mb if line.entry else None,
        "dialect": line.dialect,
        "licence": line.entry.licence if line.entry else None,
    }


def _listed(store: Store, name: str) -> Listing:
    from ..catalogue import unknown_model

    lines = {line.name: line for line in store.list()}
    if name not in lines:
        raise unknown_model(name, lines)
    return lines[name]


def _told(as_json: bool, document: dict[str, Any], text: str) -> None:
    if as_json:
        render.emit(document)
    else:
        render.say(text)

"""`edge-agent config`: settings and where things lie."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import click

from . import render


@click.group(cls=render.Group)
def config() -> None:
    """Settings: list, read, set; and the folders in use."""


def _complete_keys(ctx: click.Context, _: click.Parameter, begun: str) -> list[str]:
    from ..config import Settings

    return [f.name for f in fields(Settings) if f.name.startswith(begun)]


KEY = click.argument("key", shell_complete=_complete_keys)


@config.command("list")
@render.json_option
def list_(as_json: bool) -> None:
    """List every setting, its value, and what it means. `*` marks those that are not the default.

    \b
    edge-agent config list
    """
    from ..config import Settings, as_dict, load

    values = as_dict(load())
    if as_json:
        render.emit(values)
        return
    rows = [
        ("*" if values[f.name] != f.default else "", f.name, _shown(values[f.name]), f.metadata["about"])
        for f in fields(Settings)
    ]
    render.table(("", "setting", "value", "meaning"), rows)


@config.command()
@KEY
@render.json_option
def get(key: str, as_json: bool) -> None:
    """Print one setting's value.

    \b
    edge-agent config get context_tokens
    """
    from ..config import as_dict, coerce, load

    values = as_dict(load())
    if key not in values:
        coerce(key, "", where="config get")  # raises, and names the nearest key
    value = values[key]
    if as_json:
        render.emit({key: value})
    else:
        render.say(_shown(value))


@config.command("set")
@KEY
@click.argument("value")
@render.json_option
def set_(key: str, value: str, as_json: bool) -> None:
    """Set one setting; lists are written with commas. Comments in the file stay.

    \b
    edge-agent config set timezone Europe/Berlin
    edge-agent config set packs clock,notes,files
    """
    from ..config import as_dict, load, store

    store(key, value)
    if as_json:
        render.emit({key: as_dict(load())[key]})


@config.command()
@render.json_option
def path(as_json: bool) -> None:
    """Show where settings, data and cache lie. EDGE_AGENT_HOME puts them all under one folder.

    \b
    edge-agent config path
    """
    from ..config import Dirs

    dirs = Dirs.default()
    places = {"settings": str(dirs.config / "config.toml"), **{k: str(v) for k, v in asdict(dirs).items()}}
    if as_json:
        render.emit(places)
    else:
        render.fields(places.items())


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)

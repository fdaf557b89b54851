"""`edge-agent ledger`: the record of requests, kept on this machine only."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError
from . import render
from .build import YES, Options, options

if TYPE_CHECKING:
    from ..ledger import Ledger, Row

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DECISIONS = ("act", "ask", "decline", "failed")
_ALL = 2**62


@click.group(cls=render.Group)
def ledger() -> None:
    """Requests: what was asked, what was done, what it cost."""


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--text", default="", help="Whose request contains this."),
        click.option("--tool", default="", help="That called a tool whose name contains this."),
        click.option("--decision", type=click.Choice(_DECISIONS), default=None, help="That ended so."),
        click.option("--since", default="", metavar="AGE|TIME", help="Younger than e.g. 30m, 12h, 2d, or an ISO time."),
    ):
        command = option(command)
    return command


def _limited(default: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    shown = default != _ALL
    return click.option("--limit", type=click.IntRange(1), default=default, show_default=shown, help="At most so many.")


@ledger.command("list")
@_filters
@_limited(20)
@render.json_option
def list_(since: str, decision: str | None, tool: str, text: str, limit: int, as_json: bool) -> None:
    """List requests, newest first.

    \b
    edge-agent ledger list --since 2d --decision failed
    edge-agent ledger list --tool clock --text water --json
    """
    rows = list(_open().rows(since=moment(since), decision=decision or "", tool=tool, text=text, limit=limit))
    if as_json:
        render.emit([_document(row) for row in rows])
        return
    lines = [
        (
            row.id[:8],
            datetime.fromtimestamp(row.at).strftime("%Y-%m-%d %H:%M:%S"),
            row.decision,
            render.number(row.confidence, digits=2),
            render.number(row.elapsed_ms, digits=0),
            render.number((row.energy or {}).get("joules"), digits=2),
            ", ".join(call.tool for call in row.calls),
            row.text,
        )
        for row in rows
    ]
    headings = ("id", "when", "decision", "sure", "ms", "J", "tools", "request")
    render.table(headings, lines, right=["sure", "ms", "J"])


@ledger.command()
@click.argument("id")
@render.json_option
def show(id: str, as_json: bool) -> None:
    """Show one request in full. ID may be shortened to its first characters.

    \b
    edge-agent ledger show 3f2a
    """
    from .why import energy

    row = _one(_open(), id)
    if as_json:
        render.emit(_document(row))
        return
    render.fields(
        [
            ("id", row.id),
            ("when", datetime.fromtimestamp(row.at).isoformat(" ", "seconds")),
            ("request", row.text),
            ("answer", row.answer),
            ("decision", f"{row.decision} (confidence {row.confidence or 0:.2f})"),
            ("error", row.error),
            ("model", row.model),
            ("tools", f"{', '.join(row.tools_kept)} of {row.tools_offered}"),
            ("prompt", f"{row.prompt_tokens} tokens, {row.reused_tokens} of them reused"),
            ("written", f"{row.generated_tokens} tokens, {row.forced_tokens} of them forced"),
            ("energy", energy(row.energy)),
        ]
    )
    for call in row.calls:
        render.say(f"\n{call.tool} {render.arguments_shown(call.arguments)}\n  {call.error or call.result}")
    joules = row.steps_joules or {}
    steps = [(name, f"{ms:.1f}", render.number(joules.get(name), digits=3)) for name, ms in row.steps_ms.items()]
    render.say("")
    render.table(("step", "ms", "J"), [*steps, ("in all", f"{row.elapsed_ms:.1f}", None)], right=["ms", "J"])


@ledger.command()
@render.json_option
def stats(as_json: bool) -> None:
    """Count requests by decision, and their time and energy.

    \b
    edge-agent ledger stats
    """
    totals = _open().totals()
    if as_json:
        render.emit(totals)
        return
    render.fields([("requests", totals["requests"]), *((f"  {name}", n) for name, n in totals["decisions"].items())])
    render.fields(
        [
            ("half took up to", render.number(totals["p50_ms"], " ms", 0)),
            ("95 % took up to", render.number(totals["p95_ms"], " ms", 0)),
            ("energy known", render.number(totals["joules"], " J")),
        ]
    )


@ledger.command()
@_filters
@_limited(_ALL)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead of stdout.")
@render.json_option
def export(since: str, decision: str | None, tool: str, text: str, limit: int, out: Path | None, as_json: bool) -> None:
    """Write requests as JSON lines, newest first. A file is made readable by you only.

    \b
    edge-agent ledger export --since 2026-11-01 --out november.jsonl
    """
    rows = _open().rows(since=moment(since), decision=decision or "", tool=tool, text=text, limit=limit)
    if out is None:
        for row in rows:
            render.emit(_document(row))
        return
    from ..workspace import write_atomic

    lines = [json.dumps(_document(row), ensure_ascii=False, default=str) + "\n" for row in rows]
    write_atomic(out, "".join(lines).encode(), 0o600)
    if as_json:
        render.emit({"rows": len(lines), "out": str(out)})
    else:
        render.notice(f"wrote {len(lines)} requests to {out}")


@ledger.command()
@click.argument("id", required=False)
@_filters
@click.option("--all", "everything", is_flag=True, help="Everything.")
@options(YES)
@render.json_option
def forget(
    options: Options,
    id: str | None,
    since: str,
    decision: str | None,
    tool: str,
    text: str,
    everything: bool,
    as_json: bool,
) -> None:
    """Delete requests for good: one by its ID, those the filters choose, or --all.

    What was done stays in the journal, so that it can still be undone.

    \b
    edge-agent ledger forget 3f2a
    edge-agent ledger forget --since 1h --yes
    edge-agent ledger forget --all
    """
    book = _open()
    if id:
        ids = [_one(book, id).id]
    elif everything or any((since, decision, tool, text)):
        ids = [
            row.id for row in book.rows(since=moment(since), decision=decision or "", tool=tool, text=text, limit=_ALL)
        ]
    else:
        raise InputError("nothing says what to forget", hint="an ID, --since, --decision, --tool, --text, or --all")
    if ids:
        render.confirm(f"Forget {len(ids)} requests for good?", yes=options.yes)
    count = sum(book.forget(id=each) for each in ids)
    book.vacuum()
    if as_json:
        render.emit({"forgotten": count})
    else:
        render.say(f"forgot {count} requests")


def moment(text: str, *, now: float | None = None) -> float:
    """Epoch seconds of an age (`90s`, `30m`, `12h`, `2d`, `1w`) or of a local ISO time; 0 for nothing."""
    if not text:
        return 0.0
    if text[-1] in _UNITS_S and text[:-1].isdecimal():
        return (time.time() if now is None else now) - int(text[:-1]) * _UNITS_S[text[-1]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        said = f"--since: {text!r} is neither an age nor a time"
        raise InputError(said, hint="for example 2d, 12h, 2026-11-28") from None


def _open() -> Ledger:
    from ..config import Dirs
    from ..ledger import Ledger

    return Ledger(Dirs.default().data)


def _one(book: Ledger, id: str) -> Row:
    found = list(book.rows(id=id, limit=2))
    if len(found) != 1:
        which = "several requests begin" if found else "no request begins"
        raise InputError(f"{which} with {id!r}", hint="see: edge-agent ledger list")
    return found[0]


def _document(row: Row) -> dict[str, Any]:
    return {**asdict(row), "when": datetime.fromtimestamp(row.at).astimezone().isoformat(timespec="seconds")}

"""`edge-agent ask`: one sentence in, one answer out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..errors import EXIT_ASKED, InputError
from . import build, render

if TYPE_CHECKING:
    from ..agent import Agent
    from ..events import Event

#: Read no further: far more than a request may have, and an endless pipe must not fill the memory.
MOST_BYTES = 1_000_000


@click.command()
@click.argument("words", metavar="TEXT...", nargs=-1, required=True)
@build.options(build.MODEL, build.DIALECT, build.PACK, build.OFFLINE, build.YES, build.NOW)
@click.option("--dry-run", is_flag=True, help="Say what would run; run nothing.")
@click.option("--why", is_flag=True, help="Show tools considered, probabilities, sources, milliseconds, joules.")
@render.json_option
@click.pass_context
def ask(
    ctx: click.Context, options: build.Options, words: tuple[str, ...], dry_run: bool, why: bool, as_json: bool
) -> None:
    """Do what TEXT says, or answer it. `-` reads the text from stdin.

    Calls that cannot be taken back or that send something away are shown and need a yes; everything else can
    be taken back with `edge-agent undo`.

    \b
    edge-agent ask remind me to call Ann tomorrow at 9
    edge-agent ask "how much is 15 miles in km" --why
    edge-agent ask "rename notes.txt to plan.txt" --dry-run
    echo "note: milk, eggs" | edge-agent ask - --json

    Exit codes: 0 done, 8 no tool fits, 9 a question back, otherwise as `edge-agent --help` lists them.
    """
    text = read_request(words)
    with build.make_agent(options) as agent:
        result, events = follow(agent.run(text, dry_run=dry_run))
        if as_json:
            told = [json.loads(event) for event in _as_json(events)] if why else None
            render.emit({**result, "events": told} if why else result)
        else:
            tell(result)
            if why:
                from .why import explain

                explain(events, result)
            if result["exit_code"] == EXIT_ASKED and render.interactive():
                render.notice("hint: say it again with that in it; `edge-agent chat` remembers what was said")
        finish(agent, result)
    ctx.exit(result["exit_code"])


def read_request(words: Sequence[str]) -> str:
    """The words joined by blanks, or all of stdin for a single `-`. Raises InputError with the offset of a
    byte that is not UTF-8."""
    raw = sys.stdin.buffer.read(MOST_BYTES + 1) if list(words) == ["-"] else os.fsencode(" ".join(words))
    if len(raw) > MOST_BYTES:
        raise InputError(f"stdin has more than {MOST_BYTES:,} bytes", hint="put it in a file and name the file")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"the request is not valid UTF-8: byte {raw[error.start]:#04x} at offset {error.start}"
        ) from None


def follow(events: Iterable[Event]) -> tuple[Mapping[str, Any], list[Event]]:
    """Runs a request to its end, showing notices as they come; its result, and all events before that."""
    from ..events import Answered, Notice

    seen: list[Event] = []
    for event in events:
        if isinstance(event, Answered):
            return event.result, seen
        if isinstance(event, Notice):
            render.notice(event.text)
        seen.append(event)
    raise AssertionError("a request ends in Answered")


def tell(result: Mapping[str, Any]) -> None:
    """Answer to stdout; of a request that failed, what worked to stdout and the error to stderr."""
    if result["decision"] != "failed":
        render.say(result["answer"])
        return
    for call in result["calls"]:
        if call["error"]:
            render.notice(f"error: {call['error']}")
        else:
            render.say(call["result"])


def finish(agent: Agent, result: Mapping[str, Any]) -> None:
    """What follows a request: timers that were set need something that rings them. Not after a dry run,
    whose calls have no journal entry."""
    build.start_ringer(agent, [call["tool"] for call in result["calls"] if call["action"] and not call["error"]])


def _as_json(events: Iterable[Event]) -> list[str]:
    from ..events import to_json

    return [to_json(event) for event in events]

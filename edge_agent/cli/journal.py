"""`edge-agent journal` and `edge-agent undo`: what was done, and taking it back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError
from . import build, render

if TYPE_CHECKING:
    from ..agent import Agent
    from ..journal import Action
    from ..workspace import Change

#: How far back undo looks for actions that can be taken back.
REACH = 1000
_STATES = ("intent", "done", "failed", "undoing", "undone", "rolled_back", "unknown")


@click.command()
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many, newest first.")
@click.option("--state", type=click.Choice(_STATES), help="Only those in this state.")
@render.json_option
def journal(limit: int, state: str | None, as_json: bool) -> None:
    """List the actions taken on this machine, newest first.

    Each was written down before it happened. `undo` marks those that can be taken back.

    \b
    edge-agent journal
    edge-agent journal --state unknown
    """
    from ..config import Dirs
    from ..journal import Journal

    found = Journal(Dirs.default().data).actions(limit, state=state)
    if as_json:
        render.emit([{**asdict(action), "undoable": action.undoable} for action in found])
        return
    rows = [
        (
            action.id,
            datetime.fromtimestamp(action.started).strftime("%Y-%m-%d %H:%M:%S"),
            action.tool,
            action.state,
            "undo" if action.undoable else "",
            render.arguments_shown(action.arguments) + (f"  {action.note}" if action.note else ""),
        )
        for action in found
    ]
    render.table(("id", "when", "tool", "state", "", "arguments"), rows, right=["id"])


@click.command()
@click.argument("count", metavar="[N]", type=click.IntRange(1), default=1)
@build.options(build.YES)
@render.json_option
def undo(options: build.Options, count: int, as_json: bool) -> None:
    """Take back the last N actions (1 when not given).

    Shows what will be reversed and asks. A file that has changed since is left alone.

    \b
    edge-agent undo
    edge-agent undo 3 --yes
    """
    with build.make_agent(options) as agent:
        done = take_back(agent, count, yes=options.yes)
    if as_json:
        render.emit({"undone": done})


def take_back(agent: Agent, count: int, *, yes: bool) -> list[dict[str, Any]]:
    """Shows the last `count` undoable actions on stderr, asks, and takes them back, newest first."""
    latest = agent.journal.actions(REACH)
    chosen = [action for action in latest if action.undoable][:count]
    if not chosen:
        render.notice("there is nothing to undo")
        return []
    if len(chosen) < count:
        raise InputError(f"only {len(chosen)} actions can be undone, not {count}", hint="see: edge-agent journal")
    for action in _lasting(latest, since=chosen[-1].id):
        render.notice(f"stays: #{action.id} {action.tool}, which cannot be taken back")
    for action in chosen:
        render.notice(f"#{action.id} {action.tool} {render.arguments_shown(action.arguments)}")
        for change in reversed(action.changes):
            render.notice(f"  {_reversal(change)}")
    render.confirm("Take this back?" if count == 1 else f"Take these {count} actions back?", yes=yes)
    done = []
    for action in chosen:
        said = agent.gateway.undo(action, agent._now())
        render.notice("\n".join(said))
        done.append({"action": action.id, "tool": action.tool, "said": said})
    return done


def _lasting(latest: Iterable[Action], *, since: int) -> list[Action]:
    """Later actions with an effect that undo passes over."""
    return [a for a in latest if a.id > since and a.state == "done" and a.effect != "read" and not a.changes]


def _reversal(change: Change) -> str:
    match change.op:
        case "write":
            return f"restore {change.path}" if change.backup else f"remove {change.path}, which is new"
        case "move":
            return f"move {change.target} back to {change.path}"
        case "mkdir":
            return f"remove folder {change.path} if it is empty"
    return f"run {change.target} {render.arguments_shown(change.arguments)}"

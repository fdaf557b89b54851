"""`edge-agent chat`: a plain conversation on the terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import EdgeAgentError, InputError
from . import build, render
from .ask import finish, follow, tell

if TYPE_CHECKING:
    from ..agent import Agent
    from ..request import Conversation

HELP = """\
Say what you want done. A question back can be answered in the next line.
  /tools      what can be done
  /undo [N]   take the last N actions back
  /quit       leave (also Ctrl-D); Ctrl-C cancels a line or a request"""
HISTORY_LINES = 1000


@click.command()
@build.options(build.MODEL, build.DIALECT, build.PACK, build.OFFLINE, build.YES, build.NOW)
@render.json_option
def chat(options: build.Options, as_json: bool) -> None:
    """Talk, line by line; what was said before counts.

    With --json, and from a pipe, there is no prompt, and each answer is one line.

    \b
    edge-agent chat
    edge-agent chat --pack clock --pack notes
    """
    from ..request import Conversation

    with build.make_agent(options) as agent:
        conversation = Conversation()
        terminal = sys.stdin.isatty() and sys.stdout.isatty() and not as_json
        if terminal:
            render.say("edge-agent: say what you want done, or /help.")
        history = agent.dirs.data / "chat_history" if terminal and agent.settings.store_content else None
        with _history(history):
            while True:
                try:
                    line = input("> " if terminal else "").strip()
                except KeyboardInterrupt:
                    render.notice("")
                    continue
                except EOFError:
                    return
                except UnicodeDecodeError as error:
                    raise InputError(f"the input is not valid UTF-8: {error.reason}") from None
                if line == "/quit":
                    return
                try:
                    if line:
                        _turn(agent, conversation, line, options, as_json)
                except KeyboardInterrupt:
                    render.notice("cancelled")
                except EdgeAgentError as error:
                    if as_json:
                        render.emit({"error": {"kind": error.kind, "message": error.message, "hint": error.hint}})
                    else:
                        render.notice(f"error: {error}" + (f"\nhint: {error.hint}" if error.hint else ""))


def _turn(agent: Agent, conversation: Conversation, line: str, options: build.Options, as_json: bool) -> None:
    command, _, rest = line.partition(" ")
    if command == "/help":
        render.notice(HELP)
    elif command == "/tools":
        for tool in agent.registry:
            render.notice(f"{tool.qualified}: {tool.description}")
    elif command == "/undo":
        from .journal import take_back

        if rest and not rest.strip().isdecimal():
            raise InputError(f"/undo takes a number, not {rest.strip()!r}")
        done = take_back(agent, int(rest or 1), yes=options.yes)
        if as_json:
            render.emit({"undone": done})
    elif command.startswith("/"):
        raise InputError(f"there is no command {command}", hint="/help")
    else:
        result, _events = follow(agent.run(line, conversation))
        if as_json:
            render.emit(result)
        else:
            tell(result)
        finish(agent, result)


@contextlib.contextmanager
def _history(path: Path | None) -> Iterator[None]:
    """Line editing, and a history kept in `path` (readable by its owner only) where Python has readline."""
    try:
        import readline
    except ImportError:  # Windows: the console edits lines itself
        yield
        return
    if path is None:
        yield
        return
    with contextlib.suppress(OSError):  # absent or unreadable: begin anew
        readline.read_history_file(path)
    readline.set_history_length(HISTORY_LINES)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            readline.write_history_file(path)

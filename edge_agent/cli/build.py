"""The one place where the command line makes an Agent, the options that shape it, and who approves."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import EdgeAgentError, InputError
from . import render

if TYPE_CHECKING:
    from ..agent import Agent
    from ..config import Dirs, Settings
    from ..execute import Approval, Approver
    from ..models import ModelFile, Store

_EFFECTS = {
    "irreversible": "irreversible: cannot be taken back",
    "egress": "egress: sends something off this machine",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says about the agent; unset values leave the settings as they are."""

    model: str | None = None
    dialect: str | None = None
    packs: tuple[str, ...] = ()
    offline: bool = False
    yes: bool = False
    now: str | None = None
    no_adapter: bool = False


def complete_models(ctx: click.Context, _: click.Parameter, begun: str) -> list[str]:
    try:
        return [line.name for line in open_store().list() if line.name.startswith(begun)]
    except EdgeAgentError:
        return []


def complete_tools(ctx: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Shell completion of a tool's name."""
    from ..toolpacks import load

    return sorted(tool.qualified for tool in load() if tool.qualified.startswith(begun))


MODEL = click.option(
    "--model", metavar="NAME|FILE", shell_complete=complete_models, help="A name from `models list`, or a .gguf file."
)
DIALECT = click.option("--dialect", metavar="NAME", help="How the model writes calls; needed for a .gguf file.")
PACK = click.option("--pack", "packs", metavar="PACK", multiple=True, help="Use only this tool pack (repeatable).")
OFFLINE = click.option("--offline", is_flag=True, help="Refuse whatever needs the network.")
YES = click.option("--yes", "-y", is_flag=True, help="Allow everything without asking.")
NO_ADAPTER = click.option("--no-adapter", is_flag=True, help="The bare model, without what it learnt of tools.")
NOW = click.option("--now", metavar="TIME", help="Take this ISO time as the present, e.g. 2026-11-28T09:30.")


def options(*wanted: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds the given options to a command, which gets them as one argument `options`."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_options(**given: Any) -> Any:
            mine = {name: given.pop(name) for name in Options.__dataclass_fields__ if name in given}
            return command(options=Options(**mine), **given)

        made: Callable[..., Any] = with_options
        for option in reversed(wanted):
            made = option(made)
        return made

    return add


def make_agent(options: Options, **more: Any) -> Agent:
    """The agent a command works with; `more` goes to `Agent` as it is. Tests replace this function."""
    from ..agent import Agent
    from ..config import load

    settings = load()
    if options.packs:
        settings = replace(settings, packs=options.packs)
    if options.no_adapter:
        settings = replace(settings, adapter=False)
    if options.now is not None:
        present = declared_present(options.now, settings)
        more["now"] = lambda: present
    return Agent(
        settings=settings,
        model=options.model,
        dialect=options.dialect,
        approve=approver(yes=options.yes),
        offline=options.offline,
        **more,
    )


def declared_present(text: str, settings: Settings) -> datetime:
    """An ISO time; without an offset it is in the user's time zone. Raises InputError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"--now: {text!r} is not an ISO time", hint="for example 2026-11-28T09:30+01:00") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone(settings))
    return moment


def zone(settings: Settings) -> tzinfo:
    """The time zone of the settings, else the system's."""
    from zoneinfo import ZoneInfo

    from tzlocal import get_localzone

    return ZoneInfo(settings.timezone) if settings.timezone else get_localzone()


def approver(*, yes: bool) -> Approver:
    """Who allows irreversible and egress calls: `--yes`, else the person at the terminal, else nobody."""

    def approve(call: Approval) -> bool:
        if yes:
            return True
        if not render.interactive():
            render.notice(f"{call.tool} needs a yes, and there is no terminal to ask on; --yes allows it")
            return False
        render.notice(f"\n{call.tool}  ({_EFFECTS.get(call.effect, call.effect)})\n  {call.description}")
        width = max((len(name) for name in call.arguments), default=0)
        for name, value in call.arguments.items():
            render.notice(f"  {name.ljust(width)}  {render.arguments_shown(value)}")
        return render.asked("Allow exactly this?")

    return approve


def start_ringer(agent: Agent, tools: Iterable[str]) -> None:
    """After calls that set a timer, alarm or reminder: makes sure that something will ring it."""
    from ..tools import Effect

    if os.environ.get("EDGE_AGENT_NO_RINGER") == "1":
        return
    clock = {tool.qualified for tool in agent.registry if tool.pack == "clock" and tool.effect is Effect.WRITE}
    if clock.isdisjoint(tools):
        return
    from ..toolpacks import ringer

    try:
        ringer.ensure_running(*ringer_folders(agent.settings, agent.dirs))
    except EdgeAgentError as error:
        render.notice(f"nothing will ring by itself: {error}")


def ringer_folders(settings: Settings, dirs: Dirs) -> tuple[Path, Path]:
    """Where the ringer finds the tasks, and where it keeps its own records."""
    return Path.home() / settings.tasks_dir, dirs.data / "ringer"


def open_store() -> Store:
    from ..config import Dirs
    from ..models import Store

    return Store(Dirs.default().data / "models")


def chosen_model(store: Store, name: str | None, dialect: str | None) -> ModelFile:
    """The model named, else the one in the settings, else the default; with its adapter."""
    from ..config import load

    settings = load()
    return store.runnable(name or settings.model or store.current(), dialect=dialect, adapter=settings.adapter)

"""An agent with a scripted model and a few small tools, for tests of everything around the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from edge_agent.agent import Agent
from edge_agent.config import Dirs, Settings
from edge_agent.engine.scripted import ScriptedEngine
from edge_agent.errors import ToolError
from edge_agent.evals.simhost import SimulatedHost
from edge_agent.power import PowerMonitor
from edge_agent.tools import Effect, Example, Tool, copied, tool
from edge_agent.workspace import Context

#: A Saturday.
NOW = datetime(2026, 11, 28, 9, 30, tzinfo=ZoneInfo("Europe/Berlin"))


@tool(
    effect=Effect.WRITE,
    pack="clock",
    examples=[Example("remind me to buy milk at 5 pm", {"text": "buy milk", "when": "at 5 pm"})],
)
def remind(ctx: Context, text: Annotated[str, copied("text")], when: Annotated[str, copied("when")]) -> str:
    """Remind the person of something at a time.

    Args:
        text: What to be reminded of.
        when: When to remind.
    """
    ctx.write(ctx.path("reminders.txt"), f"{text} | {when}")
    return f"I will remind you: {text}, {when}."


@tool(effect=Effect.WRITE, pack="notes", examples=[Example("jot down pay rent", {"text": "pay rent"})])
def jot(ctx: Context, text: Annotated[str, copied("text")]) -> str:
    """Write down a note.

    Args:
        text: What to write down.
    """
    if text == "nothing":
        raise ToolError("there is nothing to write down", hint="say what")
    path = ctx.path("notes.txt")
    before = path.read_text() if path.exists() else ""
    ctx.write(path, f"{before}{text}\n")
    return f"Noted: {text}."


@tool(effect=Effect.IRREVERSIBLE, pack="post")
def send(ctx: Context, text: Annotated[str, copied("text")]) -> str:
    """Send a letter.

    Args:
        text: What to send.
    """
    ctx.host.notify("sent", text)
    return "Sent."


@tool(effect=Effect.READ, pack="paint")
def paint(colour: Literal["red", "green"], coats: int = 1) -> str:
    """Paint the wall in a colour.

    Args:
        colour: Which colour.
        coats: How many times.
    """
    if coats > 3:
        raise ToolError("the wall takes three coats")
    return f"Painted {colour}, {coats} times."


TOOLS: tuple[Tool, ...] = (remind, jot, send, paint)


def make_agent(
    tmp_path: Path,
    answers: Sequence[str] | Callable[[str], str],
    *,
    tools: Sequence[Tool] = TOOLS,
    untuned: bool = False,
    settings: Settings | None = None,
    context: int = 65_536,
    **options: Any,
) -> Agent:
    """Data in tmp_path/data, home in tmp_path/home. `untuned=False`: the model may ask for parameters."""
    (tmp_path / "home").mkdir(exist_ok=True)
    agent = Agent(
        engine=ScriptedEngine(answers, context=context),
        tools=tools,
        home=tmp_path / "home",
        dirs=Dirs(tmp_path / "config", tmp_path / "data", tmp_path / "cache"),
        host=options.pop("host", SimulatedHost()),
        now=lambda: NOW,
        settings=settings or Settings(),
        monitor=PowerMonitor(meters=[]),
        **options,
    )
    if agent._loaded:
        agent._loaded.untuned = untuned
    return agent


def prompts(agent: Agent) -> list[str]:
    """Every prompt the scripted model has seen."""
    engine = agent.loaded().engine
    assert isinstance(engine, ScriptedEngine)
    return engine.prompts

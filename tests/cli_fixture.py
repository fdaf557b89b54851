"""The command line as a process would run it, over a scripted engine, a fake host and a few small tools."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import pytest
from packs_fixture import NOW, FakeHost

from edge_agent.agent import Agent
from edge_agent.cli import build, main
from edge_agent.engine.scripted import ScriptedEngine
from edge_agent.power import PowerMonitor
from edge_agent.tools import Tool, copied, tool
from edge_agent.workspace import Context


@tool(effect="write", pack="paper")
def jot(ctx: Context, title: str) -> str:
    """Write a short memo."""
    ctx.write(ctx.path(f"{title}.txt"), title)
    return f"Wrote {title}."


@tool(effect="read", pack="paper")
def look() -> str:
    """Look out of the window."""
    return "It rains.\x1b[31m"


@tool(effect="egress", pack="post")
def post(to: str, body: str = "") -> str:
    """Post a letter."""
    return f"Posted to {to}."


@tool(effect="read", pack="paper")
def wake(at: Annotated[str, copied("when")]) -> str:
    """Wake the person up.

    Args:
        at: When to wake.
    """
    return f"Waking at {at}."


@tool(effect="read", pack="paper")
def crash() -> str:
    """Fall over."""
    raise ValueError("boom")


TOOLS: tuple[Tool, ...] = (jot, look, post, wake, crash)


@dataclass(frozen=True)
class Ran:
    """One finished command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout; anything beside it fails."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


@cache
def _tokenizer() -> Any:
    return ScriptedEngine(()).guidance_tokenizer()


class Scripted(ScriptedEngine):
    """One tokenizer for all tests: making one is most of what a request over a script costs."""

    def guidance_tokenizer(self) -> Any:
        return _tokenizer()


class Line:
    """Runs command lines; `answers` is what the model will say, one per request."""

    def __init__(self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capfd = capfd
        self._monkeypatch = monkeypatch
        self.answers: Sequence[str] = ("none",)
        self.tools: Sequence[Tool] | None = TOOLS
        self.agents: list[Agent] = []
        real = build.make_agent

        def make_agent(options: build.Options, **more: Any) -> Agent:
            engine = Scripted(self.answers)
            monitor = PowerMonitor(meters=[], background=False)
            shared = {"engine": engine, "tools": self.tools, "host": FakeHost(), "monitor": monitor}
            self.agents.append(real(options, **{"now": lambda: NOW, **shared, **more}))
            return self.agents[-1]

        monkeypatch.setattr(build, "make_agent", make_agent)

    def agent(self) -> Agent:
        """An agent like the next command's."""
        return build.make_agent(build.Options())

    def __call__(self, *argv: str) -> Ran:
        self._capfd.readouterr()
        code = main(argv)
        out, err = self._capfd.readouterr()
        return Ran(code, out, err)

    def at_terminal(self, *typed: str) -> Callable[[], list[str]]:
        """A person sits there and answers these lines, then sends end of file. Returns what is left to type."""
        lines = list(typed)

        class Typing:
            encoding = "utf-8"

            def isatty(self) -> bool:
                return True

            def readline(self) -> str:
                return f"{lines.pop(0)}\n" if lines else ""

        def read(prompt: str = "") -> str:
            if not lines:
                raise EOFError
            return lines.pop(0)

        self._monkeypatch.setattr("edge_agent.cli.render.interactive", lambda: True)
        self._monkeypatch.setattr("sys.stdin", Typing())
        self._monkeypatch.setattr("builtins.input", read)
        return lambda: lines


@pytest.fixture
def line(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(capfd, monkeypatch)


def home() -> Path:
    return Path.home()

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import click
import pytest
from cli_fixture import Line, line

from edge_agent.cli import _COMMANDS, EXIT_PIPE, Root, cli, main
from edge_agent.errors import EdgeAgentError, GrammarError, ModelError

__all__ = ["line"]


def every_command(group: click.Group = cli, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found += every_command(command, (*path, name))
        else:
            found.append(((*path, name), command))
    return found


@pytest.mark.parametrize(
    ("path", "command"), every_command(), ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_every_command_teaches_and_speaks_json(line: Line, path: tuple[str, ...], command: click.Command) -> None:
    ran = line(*path, "--help")
    assert ran.code == 0
    assert f"  edge-agent {' '.join(path)}" in ran.out, "an example"
    assert "--json" in ran.out
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))


@pytest.mark.parametrize("argv", [(), ("--help",), ("-h",)])
def test_help(line: Line, argv: tuple[str, ...]) -> None:
    ran = line(*argv)
    assert ran.code == 0
    assert all(f"\n  {name} " in ran.out for name in _COMMANDS)
    assert "Exit codes:" in ran.out


@pytest.mark.parametrize("group", ["tools", "models", "ledger", "config", "clock", "grammar", "eval"])
def test_a_group_alone_shows_its_help(line: Line, group: str) -> None:
    ran = line(group)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: edge-agent {group}")


def test_version(line: Line) -> None:
    assert line("--version").out.startswith("edge-agent ")


@pytest.mark.parametrize(
    ("argv", "said", "hint"),
    [
        (("aks", "hello"), "there is no command 'aks'; did you mean 'ask'?", "edge-agent --help"),
        (("remind", "me"), 'edge-agent ask "remind …"', "edge-agent --help"),
        (("--nope",), "--nope", "edge-agent --help"),
        (("ask", "--nope", "x"), "--nope", "edge-agent ask --help"),
        (("tools", "rum"), "rum", "edge-agent tools --help"),
        (("ledger", "list", "--limit", "0"), "--limit", "edge-agent ledger list --help"),
    ],
)
def test_usage_errors(line: Line, argv: tuple[str, ...], said: str, hint: str) -> None:
    ran = line(*argv)
    assert (ran.code, ran.out) == (2, "")
    first, second = ran.err.splitlines()
    assert first.startswith("error: ")
    assert said in first
    assert second == f"hint: {hint}"
    error = line(*argv, "--json").json["error"]
    assert (error["kind"], error["hint"]) == ("input", hint)


def _raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def get_command(self: Root, ctx: Any, name: str) -> Any:
        @click.command()
        @click.option("--json", is_flag=True)
        def command(json: bool) -> None:
            raise error

        return command

    monkeypatch.setattr(Root, "get_command", get_command)


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (ModelError("no model", hint="pull one"), 4, "model"),
        (GrammarError("bad", line=1), 7, "grammar"),
        (EdgeAgentError("odd"), 1, "error"),
        (ZeroDivisionError("oops"), 1, "unexpected"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors(line: Line, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, kind: str) -> None:
    _raising(monkeypatch, error)
    human = line("power")
    assert (human.code, human.out) == (code, "")
    assert "Traceback" not in human.err
    machine = line("power", "--json")
    assert machine.code == code
    assert machine.json["error"]["kind"] == kind


def test_error_format(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    _raising(monkeypatch, ModelError("no model\x1b[2J", hint="pull one"))
    assert line("power").err == "error: no model\\x1b[2J\nhint: pull one\n"
    _raising(monkeypatch, KeyboardInterrupt())
    assert line("power").err == "interrupted\n"


def test_unexpected_errors_point_to_the_report(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    _raising(monkeypatch, ZeroDivisionError("oops"))
    said = line("power").err
    assert said.startswith("error: unexpected ZeroDivisionError: oops\nhint: ")
    assert "doctor --report" in said
    monkeypatch.setenv("EDGE_AGENT_DEBUG", "1")
    assert "Traceback" in line("power").err


def test_json_after_a_double_dash_is_text(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = line("nothing", "--", "--json")
    assert ran.out == ""
    assert ran.err.startswith("error: ")


def test_broken_pipe_is_quiet() -> None:
    script = "import sys; from edge_agent.cli import main; sys.exit(main(['config', 'list']))"
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run([sys.executable, "-c", script], stdout=writing, stderr=subprocess.PIPE, timeout=60)
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (EXIT_PIPE, b"")


def test_python_dash_m() -> None:
    command = [sys.executable, "-m", "edge_agent", "config", "get", "max_calls"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert (ran.stdout, ran.stderr) == ("8\n", "")


@pytest.mark.parametrize(("encoding", "read_as"), [("latin-1", "latin-1"), ("utf-8", "utf-8"), ("ascii", "utf-8")])
def test_any_output_encoding(encoding: str, read_as: str) -> None:
    def ran(*argv: str) -> str:
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        command = [sys.executable, "-m", "edge_agent", *argv]
        return subprocess.run(command, capture_output=True, timeout=60, check=True, env=environment).stdout.decode(
            read_as
        )

    assert main(["config", "set", "notes_dir", "Größe 😀"]) == 0
    assert json.loads(ran("config", "get", "notes_dir", "--json")) == {"notes_dir": "Größe 😀"}
    assert ran("config", "get", "notes_dir").startswith("Gr")

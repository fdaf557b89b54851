from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from cli_fixture import Line, home, line

import edge_agent.cli
from edge_agent.toolpacks import load

__all__ = ["line"]


def test_list(line: Line) -> None:
    rows = line("tools", "list", "--json").json
    assert rows[0] == {"name": "paper.jot", "effect": "write", "description": "Write a short memo."}
    assert len(rows) == 5
    assert "Post a letter." in line("tools", "list").out


def test_list_of_a_pack(line: Line) -> None:
    line.tools = None
    names = [row["name"] for row in line("tools", "list", "--pack", "clipboard", "--json").json]
    assert names
    assert all(name.startswith("clipboard.") for name in names)


def test_show(line: Line) -> None:
    document = line("tools", "show", "wake", "--json").json
    assert document["name"] == "paper.wake"
    assert document["parameters"]["required"] == ["at"]
    assert len(document["digest"]) == 64
    assert re.search(r"at +string +required +When to wake", line("tools", "show", "paper.wake").out)


@pytest.mark.parametrize("tool", load(), ids=lambda tool: tool.qualified)
def test_every_tool_can_be_shown(line: Line, tool: object) -> None:
    line.tools = [tool]  # type: ignore[list-item]
    assert line("tools", "show", tool.qualified).code == 0  # type: ignore[attr-defined]


def test_run(line: Line) -> None:
    document = line("tools", "run", "jot", '{"title": "milk"}', "--json").json
    assert (document["tool"], document["text"], document["data"], document["action"]) == (
        "paper.jot",
        "Wrote milk.",
        "Wrote milk.",
        1,
    )
    assert (home() / "milk.txt").exists()
    assert line("tools", "run", "look").out == "It rains.\\x1b[31m\n"


def test_arguments_from_stdin(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"title": "eggs"}'))
    assert line("tools", "run", "jot", "-").out == "Wrote eggs.\n"


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("jut", "{}"), 6, "there is no tool named 'jut'"),
        (("jot", "{"), 2, "not JSON"),
        (("jot", "[1]"), 2, "must be a JSON object, not list"),
        (("jot", "{}"), 6, "paper.jot: title: Field required"),
        (("jot", '{"title": "a", "b": 1}'), 6, "paper.jot: b: "),
        (("post", '{"to": "Ann"}'), 10, "not allowed"),
        (("post", "{}"), 6, "post.post: to: Field required"),
        (("post", '{"to": "Ann"}', "--offline", "--yes"), 12, "--offline"),
        (("crash",), 6, "boom"),
    ],
)
def test_run_refuses(line: Line, argv: tuple[str, ...], code: int, said: str) -> None:
    ran = line("tools", "run", *argv)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err


def test_approval(line: Line) -> None:
    line.at_terminal("y")
    assert line("tools", "run", "post", '{"to": "Ann"}').out == "Posted to Ann.\n"
    assert line("tools", "run", "post", '{"to": "Ann"}', "--yes").out == "Posted to Ann.\n"


def test_the_tools_that_help_texts_name_exist() -> None:
    known = {tool.qualified for tool in load()}
    for file in Path(edge_agent.cli.__file__).parent.glob("*.py"):
        named = re.findall(r"edge-agent (?:tools (?:run|show)|grammar show) ([a-z]+\.[a-z_]+)", file.read_text())
        assert {name for name in named if not name.endswith((".json", ".gbnf"))} <= known, file

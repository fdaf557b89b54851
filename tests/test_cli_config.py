from __future__ import annotations

import os
from dataclasses import fields

import pytest
from cli_fixture import Line, line

from edge_agent.config import Dirs, Settings

__all__ = ["line"]


def test_list_names_every_setting(line: Line) -> None:
    assert set(line("config", "list", "--json").json) == {f.name for f in fields(Settings)}
    shown = line("config", "list").out
    assert all(f.metadata["about"] in shown for f in fields(Settings))


@pytest.mark.parametrize(
    ("key", "value", "kept", "shown"),
    [
        ("context_tokens", "8192", 8192, "8192"),
        ("store_content", "False", False, "false"),
        ("packs", "clock,notes", ["clock", "notes"], "clock,notes"),
        ("timezone", "Europe/Berlin", "Europe/Berlin", "Europe/Berlin"),
        ("act_above", "0.5", 0.5, "0.5"),
        ("model", "", "", ""),
    ],
)
def test_set_and_get(line: Line, key: str, value: str, kept: object, shown: str) -> None:
    assert line("config", "set", key, value, "--json").json == {key: kept}
    assert line("config", "get", key).out == f"{shown}\n"
    assert line("config", "get", key, "--json").json == {key: kept}


def test_changed_settings_are_marked(line: Line) -> None:
    line("config", "set", "threads", "2")
    marked = [each.split()[1] for each in line("config", "list").out.splitlines() if each.startswith("*")]
    assert marked == ["threads"]


@pytest.mark.parametrize("argv", [("get", "thread"), ("set", "thread", "2")])
def test_unknown_keys_are_named(line: Line, argv: tuple[str, ...]) -> None:
    ran = line("config", *argv)
    assert ran.code == 3
    assert "unknown setting 'thread'" in ran.err
    assert "'threads'" in ran.err


def test_wrong_values_change_nothing(line: Line) -> None:
    assert line("config", "set", "threads", "many").code == 3
    assert line("config", "get", "threads").out == "0\n"


def test_a_broken_file_is_named(line: Line) -> None:
    file = Dirs.default().config / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("threads = ")
    for argv in (("config", "list"), ("config", "set", "threads", "1"), ("ask", "hi")):
        ran = line(*argv)
        assert ran.code == 3
        assert str(file) in ran.err
    assert file.read_text() == "threads = "


def test_path(line: Line) -> None:
    places = line("config", "path", "--json").json
    assert places["data"] == os.path.join(os.environ["EDGE_AGENT_HOME"], "data")
    assert places["settings"].endswith("config.toml")
    assert places["data"] in line("config", "path").out

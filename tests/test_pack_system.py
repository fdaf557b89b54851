"""The system pack on a simulated machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from packs_fixture import make_context, tree, undo

from edge_agent.errors import ToolError
from edge_agent.evals.simhost import SimulatedHost
from edge_agent.toolpacks import system
from edge_agent.tools import Registry, ToolResult

TOOLS = Registry(system.TOOLS)


def machine(tmp_path: Path, **state: Any) -> Any:
    ctx: Any = make_context(tmp_path)
    ctx.host = SimulatedHost(state)
    return ctx


def call(ctx: Any, name: str, /, **arguments: str) -> ToolResult:
    return TOOLS.get(name).call(arguments, ctx)


def undone(ctx: Any) -> None:
    """Runs recorded `call` changes as the gateway does, latest first."""
    for change in reversed(list(ctx.changes)):
        TOOLS.get(change.target).call(change.arguments, ctx)


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("battery_status", {}, "Battery at 80%, on battery power, about 3 h 0 min left."),
        ("disk_space", {}, "128 GB of 512 GB are free (25%)."),
        ("memory_usage", {}, "10 GB of 16 GB memory are in use (62%)."),
        ("system_load", {}, "The processor is 12% busy; the computer has been on for 1 d."),
        ("network_status", {}, "Connected to a network; local address 192.0.2.10."),
        ("get_volume", {}, "The volume is at 50%."),
        ("open_program", {"name": "the Firefox app"}, "Opened Firefox."),
    ],
)
def test_answers(tmp_path: Path, name: str, arguments: dict[str, str], text: str) -> None:
    assert call(machine(tmp_path), name, **arguments).text == text


@pytest.mark.parametrize(
    ("battery", "text"),
    [
        ({"percent": 99.6, "plugged": True, "seconds_left": None}, "Battery at 100%, plugged in."),
        ({"percent": 5.0, "plugged": False, "seconds_left": None}, "Battery at 5%, on battery power."),
    ],
)
def test_battery(tmp_path: Path, battery: dict[str, Any], text: str) -> None:
    assert call(machine(tmp_path, battery=battery), "battery_status").text == text


def test_what_is_lacking_is_said(tmp_path: Path) -> None:
    ctx = machine(tmp_path, battery=None, volume=None, brightness=None, dark_mode=None)
    for name, arguments in [
        ("battery_status", {}),
        ("set_volume", {"level": "5"}),
        ("change_brightness", {"direction": "up"}),
        ("set_dark_mode", {"state": "on"}),
    ]:
        with pytest.raises(ToolError, match=r"no (battery|volume|brightness|dark mode)"):
            call(ctx, name, **arguments)
    assert ctx.changes == []


def test_offline_machine(tmp_path: Path) -> None:
    stats = {"online": False, "addresses": []}
    assert call(machine(tmp_path, stats=stats), "network_status").text == "Not connected to any network."


def test_processes_are_ranked(tmp_path: Path) -> None:
    rows = [
        {"pid": 1, "name": "editor", "cpu_percent": 50.0, "memory_mb": 100.0},
        {"pid": 2, "name": "browser", "cpu_percent": 3.0, "memory_mb": 900.0},
    ]
    ctx = machine(tmp_path, processes=rows)
    assert call(ctx, "list_processes").text.splitlines()[0] == "- browser (2): 900 MB, 3% CPU"
    assert [row["name"] for row in call(ctx, "list_processes", by="cpu").data] == ["editor", "browser"]
    many = [{"pid": n, "name": f"p{n}", "memory_mb": 1.0} for n in range(12)]
    assert call(machine(tmp_path, processes=many), "list_processes").text.endswith("and 2 more")
    assert call(machine(tmp_path), "list_processes").text == "No programs are running."


@pytest.mark.parametrize(
    ("said", "level"),
    [("30%", 30), ("fifty percent", 50), ("80", 80), ("0", 0), ("half", 50), ("a quarter", 25), ("max", 100)],
)
def test_set_volume_and_undo(tmp_path: Path, said: str, level: int) -> None:
    ctx = machine(tmp_path, volume=42)
    result = call(ctx, "set_volume", level=said)
    assert (ctx.host.state["volume"], result.data) == (level, {"level": level, "was": 42})
    undone(ctx)
    assert ctx.host.state["volume"] == 42


@pytest.mark.parametrize("said", ["101", "-5", "loud", "", "30 apples"])
def test_bad_levels_change_nothing(tmp_path: Path, said: str) -> None:
    ctx = machine(tmp_path)
    for name in ("set_volume", "set_brightness"):
        with pytest.raises(ToolError, match="0 to 100"):
            call(ctx, name, level=said)
    assert (ctx.changes, ctx.host.state) == ([], SimulatedHost().state)


@pytest.mark.parametrize(
    ("was", "direction", "level"),
    [(50, "up", 60), (50, "down", 40), (95, "up", 100), (5, "down", 0), (50, "mute", 0), (1, "max", 100)],
)
def test_change_volume(tmp_path: Path, was: int, direction: str, level: int) -> None:
    ctx = machine(tmp_path, volume=was)
    text = call(ctx, "change_volume", direction=direction).text
    assert ctx.host.state["volume"] == level
    assert (f"{level}%" in text) if level else (text == "Sound muted.")
    undone(ctx)
    assert ctx.host.state["volume"] == was


def test_muted_volume_reads_as_muted(tmp_path: Path) -> None:
    assert call(machine(tmp_path, volume=0), "get_volume").text == "The sound is muted."


def test_no_change_needs_no_undo(tmp_path: Path) -> None:
    ctx = machine(tmp_path, volume=30, dark_mode=True)
    call(ctx, "set_volume", level="30")
    assert call(ctx, "set_dark_mode", state="on").data["changed"] is False
    assert ctx.changes == []


@pytest.mark.parametrize(
    ("name", "arguments", "level"),
    [
        ("set_brightness", {"level": "60 percent"}, 60),
        ("set_brightness", {"level": "0"}, 1),
        ("change_brightness", {"direction": "up"}, 90),
        ("change_brightness", {"direction": "down"}, 50),
        ("change_brightness", {"direction": "max"}, 100),
        ("change_brightness", {"direction": "min"}, 1),
    ],
)
def test_brightness_never_goes_dark_and_is_undone(
    tmp_path: Path, name: str, arguments: dict[str, str], level: int
) -> None:
    ctx = machine(tmp_path)
    call(ctx, name, **arguments)
    assert ctx.host.state["brightness"] == level
    undone(ctx)
    assert ctx.host.state["brightness"] == 70


def test_dark_mode_and_undo(tmp_path: Path) -> None:
    ctx = machine(tmp_path)
    assert call(ctx, "set_dark_mode", state="on").text == "Dark mode is on."
    assert ctx.host.state["dark_mode"] is True
    undone(ctx)
    assert ctx.host.state["dark_mode"] is False


def test_screenshots_do_not_overwrite_and_are_undone(tmp_path: Path) -> None:
    ctx = machine(tmp_path)
    before = tree(ctx)
    first, second = call(ctx, "take_screenshot"), call(ctx, "take_screenshot")
    assert first.text == "Saved ~/Pictures/Screenshots/Screenshot 2026-11-28 09.30.00.png."
    assert first.data["path"] != second.data["path"]
    assert Path(first.data["path"]).read_bytes().startswith(b"\x89PNG")
    assert Path(first.data["path"]).stat().st_mode & 0o777 == 0o600
    undo(ctx)
    assert tree(ctx) == before


def test_close_program(tmp_path: Path) -> None:
    ctx = machine(tmp_path, processes=[{"pid": 3, "name": "Firefox"}])
    assert call(ctx, "close_program", name="firefox").text == "Asked firefox to close (1 process)."
    with pytest.raises(ToolError, match="no running program"):
        call(ctx, "close_program", name="firefox")
    with pytest.raises(ToolError, match="no program was named"):
        call(ctx, "open_program", name="  ")
    assert TOOLS.get("close_program").effect == "irreversible"

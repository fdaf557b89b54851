"""The to-do pack on a Saturday, 28 November 2026, 9:30 in Berlin."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from icalendar import Calendar
from packs_fixture import NOW, RecordingContext, make_context, tree, undo

from edge_agent.errors import ToolError
from edge_agent.toolpacks import clock, todo

TOOLS = {tool.name: tool for tool in todo.TOOLS}


def call(ctx: RecordingContext, tool: str, /, **arguments: Any) -> str:
    return TOOLS[tool].call(arguments, ctx).text


@pytest.fixture
def ctx(tmp_path: Path) -> RecordingContext:
    return make_context(tmp_path)


def test_examples_copy_from_their_sentence() -> None:
    for tool in todo.TOOLS:
        assert 2 <= len(tool.examples) <= 4
        for example in tool.examples:
            tool.bind(example.arguments)
            copied = {k: v for k, v in example.arguments.items() if k != "which"}
            assert all(value in example.text for value in copied.values())


def test_add_and_list(ctx: RecordingContext) -> None:
    before = tree(ctx)
    assert call(ctx, "list_todos") == "Your to-do list is empty."
    assert call(ctx, "add_todo", text="buy milk") == 'Added "buy milk" to your to-do list.'
    text = call(ctx, "add_todo", text="renew passport", when="March 3rd")
    assert text == 'Added "renew passport" to your to-do list, due Wed 3 March 2027.'
    assert call(ctx, "add_todo", text="call", when="at 5").endswith("due Sat 28 November 2026, 17:00.")
    assert call(ctx, "list_todos").splitlines() == [
        "- call (due Sat 28 November 2026, 17:00)",
        "- renew passport (due Wed 3 March 2027)",
        "- buy milk",
    ]
    later = make_context(ctx.home.parent, NOW + timedelta(days=1))
    assert "- call (overdue since Sat 28 November 2026, 17:00)" in call(later, "list_todos")
    files = (ctx.home / ".calendars/tasks").glob("*.ics")
    dues = [part.get("DUE") for path in files for part in Calendar.from_ical(path.read_bytes()).walk("VTODO")]
    assert date(2027, 3, 3) in [due.dt for due in dues if due]
    undo(ctx)
    assert tree(ctx) == before


def test_reminders_are_not_todos(ctx: RecordingContext) -> None:
    clock.set_timer.call({"duration": "5 minutes"}, ctx)
    assert call(ctx, "list_todos") == "Your to-do list is empty."


def test_complete(ctx: RecordingContext) -> None:
    for text in ("buy milk", "buy bread"):
        call(ctx, "add_todo", text=text)
    before = tree(ctx)
    ctx.changes.clear()
    assert call(ctx, "complete_todo", text="the milk") == 'Done: "buy milk".'
    assert call(ctx, "list_todos") == "- buy bread"
    assert call(ctx, "list_todos", which="done") == "- buy milk"
    assert "STATUS:COMPLETED" in "".join(p.read_text() for p in (ctx.home / ".calendars/tasks").iterdir())
    undo(ctx)
    assert tree(ctx) == before


def test_remove(ctx: RecordingContext) -> None:
    call(ctx, "add_todo", text="buy milk")
    before = tree(ctx)
    ctx.changes.clear()
    assert call(ctx, "remove_todo", text="buy milk") == 'Removed "buy milk" from your to-do list.'
    assert call(ctx, "list_todos") == "Your to-do list is empty."
    undo(ctx)
    assert tree(ctx) == before


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("add_todo", {"text": " "}, "needs a text"),
        ("add_todo", {"text": "x", "when": "plants"}, "'plants'"),
        ("complete_todo", {"text": "wine"}, "no open to-do fits 'wine'"),
        ("complete_todo", {"text": "buy"}, "several open to-dos fit 'buy': buy bread; buy milk"),
        ("remove_todo", {"text": "wine"}, "no open to-do fits"),
        ("list_todos", {"which": "all"}, "which"),
    ],
)
def test_refusals(ctx: RecordingContext, tool: str, arguments: dict[str, str], message: str) -> None:
    for text in ("buy milk", "buy bread"):
        call(ctx, "add_todo", text=text)
    ctx.changes.clear()
    with pytest.raises(ToolError, match=message):
        call(ctx, tool, **arguments)
    assert ctx.changes == []

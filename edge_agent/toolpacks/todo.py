"""The to-do list: tasks (VTODO, RFC 5545) without an alarm, one a file, in the tasks folder (vdir)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from ..errors import ToolError
from ..tools import Effect, Example, ToolResult, copied, tool
from ..when import parse_moment
from ..workspace import Context
from .agenda import Item, Named, add, choose, local, portable, put, read, said, save


@tool(
    effect=Effect.WRITE,
    pack="todo",
    examples=(
        Example("Add buy milk to my to-do list", {"text": "buy milk"}),
        Example("put renew passport on my todo list, due March 3rd", {"text": "renew passport", "when": "March 3rd"}),
        Example("new task: call the landlord", {"text": "call the landlord"}),
    ),
)
def add_todo(
    ctx: Context, text: Annotated[str, copied("text")], when: Annotated[str, copied("when")] = ""
) -> ToolResult:
    """Add a task to the to-do list.

    Args:
        text: What is to be done.
        when: When it is due.
    """
    if not text.strip():
        raise ToolError("a to-do needs a text", hint="say what is to be done")
    fields: dict[str, object] = {"summary": text.strip(), "status": "NEEDS-ACTION"}
    due = ""
    if when.strip():
        moment = parse_moment(when, ctx.now)
        if moment is None:
            raise ToolError(f"I don't know when {when!r} is", hint='say it like "Friday" or "tomorrow at 7"')
        fields["due"] = portable(moment.start) if moment.has_time else moment.start.date()
        due = f", due {said(moment.start, all_day=not moment.has_time)}"
    add(ctx, ctx.folder("tasks_dir", ".calendars/tasks"), "VTODO", fields)
    return ToolResult(f'Added "{text.strip()}" to your to-do list{due}.', {"text": text.strip()})


@tool(
    effect=Effect.READ,
    pack="todo",
    examples=(
        Example("What's on my to-do list?"),
        Example("show my open tasks", {"which": "open"}),
        Example("which todos have I finished", {"which": "done"}),
    ),
)
def list_todos(ctx: Context, which: Literal["open", "done"] = "open") -> ToolResult:
    """List the tasks on the to-do list.

    Args:
        which: Open tasks or finished ones.
    """
    rows = _todos(ctx, which == "open")
    lines = [f"- {row.title}{_due(row.value, ctx.now)}" for row in rows]
    empty = "Your to-do list is empty." if which == "open" else "No to-dos are done."
    data = [{"text": row.title, "due": row.at and row.at.isoformat()} for row in rows]
    return ToolResult("\n".join(lines) or empty, data)


@tool(
    effect=Effect.WRITE,
    pack="todo",
    examples=(
        Example("Mark buy milk as done", {"text": "buy milk"}),
        Example("I finished the tax return, tick it off my list", {"text": "the tax return"}),
        Example("check off call the landlord", {"text": "call the landlord"}),
    ),
)
def complete_todo(ctx: Context, text: Annotated[str, copied("text")]) -> ToolResult:
    """Mark a task on the to-do list as done.

    Args:
        text: Which task.
    """
    item = choose(_todos(ctx, True), text, ctx.now, "open to-do")
    for name, value in (
        ("status", "COMPLETED"),
        ("completed", ctx.now.astimezone(UTC)),
        ("percent-complete", 100),
    ):
        put(item.component, name, value)
    save(ctx, item)
    return ToolResult(f'Done: "{item.title}".', {"text": item.title})


@tool(
    effect=Effect.WRITE,
    pack="todo",
    examples=(
        Example("Remove buy milk from my to-do list", {"text": "buy milk"}),
        Example("delete the task about the landlord", {"text": "the landlord"}),
    ),
)
def remove_todo(ctx: Context, text: Annotated[str, copied("text")]) -> ToolResult:
    """Take a task off the to-do list without doing it.

    Args:
        text: Which task.
    """
    item = choose(_todos(ctx, True), text, ctx.now, "open to-do")
    ctx.trash(item.path)
    return ToolResult(f'Removed "{item.title}" from your to-do list.', {"text": item.title})


def _todos(ctx: Context, wanted: bool) -> list[Named[Item]]:
    """To-dos that are open (or are not), those due first ahead."""
    items, _ = read(ctx.folder("tasks_dir", ".calendars/tasks"), "VTODO")
    rows = []
    for item in items:
        if item.open == wanted and not any(part.name == "VALARM" for part in item.component.subcomponents):
            due = item.component.get("DUE")
            at = local(due.dt, ctx.now.tzinfo) if due else None
            rows.append(Named(item.title, "todo task", at, item))
    return sorted(rows, key=lambda row: (row.at is None, row.at or ctx.now, row.title))


def _due(item: Item, now: datetime) -> str:
    due = item.component.get("DUE")
    if due is None:
        return ""
    all_day = not isinstance(due.dt, datetime)
    at = local(due.dt, now.tzinfo)
    late = at.date() < now.date() if all_day else at < now
    return f" ({'overdue since' if late else 'due'} {said(at, all_day=all_day)})"


TOOLS = (add_todo, list_todos, complete_todo, remove_todo)

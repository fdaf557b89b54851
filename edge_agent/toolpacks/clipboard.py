"""The clipboard: read it, and put the person's words on it."""

from __future__ import annotations

from typing import Annotated

from ..tools import Effect, Example, ToolResult, copied, tool
from ..workspace import Context


@tool(
    effect=Effect.READ,
    pack="clipboard",
    examples=(
        Example("What's on my clipboard?"),
        Example("show me what I copied"),
    ),
)
def read_clipboard(ctx: Context) -> ToolResult:
    """Show the text on the clipboard."""
    text = ctx.host.clipboard_get()
    return ToolResult(text if text.strip() else "The clipboard holds no text.", {"text": text})


@tool(
    effect=Effect.WRITE,
    pack="clipboard",
    examples=(
        Example("Copy hello world to the clipboard", {"text": "hello world"}),
        Example("put 42 Elm Street on my clipboard", {"text": "42 Elm Street"}),
        Example('copy "see you at the station"', {"text": "see you at the station"}),
    ),
)
def copy_to_clipboard(ctx: Context, text: Annotated[str, copied("text")]) -> ToolResult:
    """Copy some text to the clipboard, ready to paste.

    Args:
        text: What to copy.
    """
    ctx.undo_with("clipboard.copy_to_clipboard", {"text": ctx.host.clipboard_get()})
    ctx.host.clipboard_set(text)
    return ToolResult(f"Copied “{text}”." if text else "Emptied the clipboard.", {"text": text})


TOOLS = (read_clipboard, copy_to_clipboard)

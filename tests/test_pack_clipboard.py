"""The clipboard pack on a simulated machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from packs_fixture import make_context

from edge_agent.toolpacks import clipboard
from edge_agent.tools import Registry

TOOLS = Registry(clipboard.TOOLS)


def test_read(tmp_path: Path) -> None:
    ctx: Any = make_context(tmp_path)
    assert TOOLS.get("read_clipboard").call({}, ctx).text == "The clipboard holds no text."
    ctx.host.clipboard = "two\nlines"
    result = TOOLS.get("read_clipboard").call({}, ctx)
    assert (result.text, result.data) == ("two\nlines", {"text": "two\nlines"})
    assert ctx.changes == []


@pytest.mark.parametrize("before", ["", "what was there", "naïve 🦦\n"])
def test_copy_and_undo(tmp_path: Path, before: str) -> None:
    ctx: Any = make_context(tmp_path)
    ctx.host.clipboard = before
    result = TOOLS.get("copy_to_clipboard").call({"text": "42 Elm Street"}, ctx)
    assert (ctx.host.clipboard, result.text) == ("42 Elm Street", "Copied “42 Elm Street”.")
    (change,) = ctx.changes
    TOOLS.get(change.target).call(change.arguments, ctx)
    assert ctx.host.clipboard == before

from __future__ import annotations

import os
from pathlib import Path

import pytest
from packs_fixture import RecordingContext, make_context, tree, undo
from people_fixture import write_people

from edge_agent.errors import ToolError
from edge_agent.toolpacks.messages import draft_message


@pytest.fixture
def ctx(tmp_path: Path) -> RecordingContext:
    ctx = make_context(tmp_path)
    write_people(ctx)
    return ctx


@pytest.mark.parametrize(
    ("to", "name", "header"),
    [
        ("Anna", "2026-11-28-Anna-Berg.txt", "To: Anna Berg <+49 170 111>"),
        ("+49 (170) 12-34", "2026-11-28-49-170-12-34.txt", "To: <+49 (170) 12-34>"),
        ("112", "2026-11-28-112.txt", "To: <112>"),
    ],
)
def test_draft_message(ctx: RecordingContext, to: str, name: str, header: str) -> None:
    before = tree(ctx)
    result = draft_message.call({"to": to, "text": " On my way\n"}, ctx)
    path = ctx.home / "Messages/Drafts" / name
    assert path.read_text() == f"{header}\n\nOn my way\n"
    assert "nothing was sent" in result.text
    assert result.data["sent"] is False
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
    undo(ctx)
    assert tree(ctx) == before


def test_a_second_draft_keeps_the_first(ctx: RecordingContext) -> None:
    for text in ("one", "two"):
        draft_message.call({"to": "anna", "text": text}, ctx)
    assert len(list((ctx.home / "Messages/Drafts").iterdir())) == 2


@pytest.mark.parametrize(
    ("to", "text", "message"),
    [
        ("nobody", "x", "nobody in your contacts fits 'nobody'"),
        ("mute", "x", "Mute Mike has no phone number"),
        ("12", "x", "nobody in your contacts fits"),
        ("anna", " ", "would be empty"),
    ],
)
def test_refusals_write_nothing(ctx: RecordingContext, to: str, text: str, message: str) -> None:
    before = tree(ctx)
    with pytest.raises(ToolError, match=message):
        draft_message.call({"to": to, "text": text}, ctx)
    assert tree(ctx) == before

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from packs_fixture import RecordingContext, make_context, tree, undo

from edge_agent.errors import ToolError
from edge_agent.toolpacks import notes
from edge_agent.tools import ToolResult


@pytest.fixture
def ctx(tmp_path: Path) -> RecordingContext:
    ctx = make_context(tmp_path)
    for title, text in {
        "Groceries": "# Groceries\n\n- [x] milk\n",
        "Paris trip": "# Paris trip\n\nbook the Louvre",
        "Rome trip": "# Rome trip\n",
        "Work/Ideas": "no heading\n",
    }.items():
        path = ctx.home / "Notes" / f"{title}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return ctx


def call(ctx: RecordingContext, name: str, /, **arguments: Any) -> ToolResult:
    return next(each for each in notes.TOOLS if each.name == name).call(arguments, ctx)


@pytest.mark.parametrize(
    ("title", "text", "name", "content"),
    [
        ("Wifi", "the password is 1234", "Wifi.md", "# Wifi\n\nthe password is 1234\n"),
        ("Wifi", "", "Wifi.md", "# Wifi\n"),
        ("9/10 is: fine?", "", "9-10 is- fine.md", "# 9/10 is: fine?\n"),
        ("../../etc/passwd", "x", "etc-passwd.md", "# ../../etc/passwd\n\nx\n"),
    ],
)
def test_create_note(ctx: RecordingContext, title: str, text: str, name: str, content: str) -> None:
    before = tree(ctx)
    result = call(ctx, "create_note", title=title, text=text)
    assert (ctx.home / "Notes" / name).read_text() == content
    assert f"~/Notes/{name}" in result.text
    undo(ctx)
    assert tree(ctx) == before


def test_a_long_title_becomes_the_text(ctx: RecordingContext) -> None:
    said = "the plumber comes on Thursday between nine and eleven, let him in through the garden"
    result = call(ctx, "create_note", title=said)
    assert len(result.data["title"]) <= 60
    assert said in (ctx.home / "Notes" / f"{result.data['title']}.md").read_text()


def test_the_notes_folder_is_a_setting(tmp_path: Path) -> None:
    ctx = make_context(tmp_path, settings={"notes_dir": "Zettel"})
    call(ctx, "create_note", title="A")
    assert (ctx.home / "Zettel/A.md").exists()
    assert call(ctx, "list_notes").text == "1 note: A."


@pytest.mark.parametrize("said", ["Groceries", "groceries", "my grocery", "the groceries note", "grocer"])
def test_read_note_by_what_it_is_called(ctx: RecordingContext, said: str) -> None:
    assert call(ctx, "read_note", title=said).text == "Groceries:\n- [x] milk"


def test_read_note_in_a_subfolder_and_empty(ctx: RecordingContext) -> None:
    assert call(ctx, "read_note", title="ideas").text == "Ideas:\nno heading"
    assert call(ctx, "read_note", title="Rome").text == "Rome trip:\n(empty)"


@pytest.mark.parametrize(
    ("title", "added", "content"),
    [
        ("groceries", "eggs", "# Groceries\n\n- [x] milk\n- [ ] eggs\n"),
        ("paris", "see the Seine", "# Paris trip\n\nbook the Louvre\nsee the Seine\n"),
        ("rome", "see the Forum", "# Rome trip\n\nsee the Forum\n"),
    ],
)
def test_append_note(ctx: RecordingContext, title: str, added: str, content: str) -> None:
    before = tree(ctx)
    path = ctx.home / "Notes" / call(ctx, "append_note", title=title, text=added).data["path"][8:]
    assert path.read_text() == content
    undo(ctx)
    assert tree(ctx) == before


def test_append_keeps_bytes_that_are_not_utf8(ctx: RecordingContext) -> None:
    (ctx.home / "Notes/old.md").write_bytes(b"caf\xe9\r\n")
    call(ctx, "append_note", title="old", text="new")
    assert (ctx.home / "Notes/old.md").read_bytes() == b"caf\xe9\r\nnew\n"


def test_search_list_and_delete(ctx: RecordingContext) -> None:
    assert call(ctx, "search_notes", text="the louvre").text == (
        "“the louvre” is in 1 note:\nParis trip: book the Louvre"
    )
    assert len(call(ctx, "search_notes", text="trip").data["notes"]) == 2
    assert call(ctx, "search_notes", text="zebra").text == "No note mentions “zebra”."
    assert call(ctx, "list_notes").text == "4 notes: Groceries, Ideas, Paris trip, Rome trip."
    before = tree(ctx)
    assert "to the trash" in call(ctx, "delete_note", title="ideas").text
    assert not (ctx.home / "Notes/Work/Ideas.md").exists()
    undo(ctx)
    assert {path: data for path, data in tree(ctx).items() if not path.startswith(".local")} == before


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("create_note", {"title": "Groceries"}, "a note “Groceries” already"),
        ("create_note", {"title": " ?"}, "not a file name"),
        ("read_note", {"title": "trip"}, "can mean 2 notes: ~/Notes/Paris trip.md, ~/Notes/Rome trip.md"),
        ("read_note", {"title": "zebra"}, "no note “zebra”"),
        ("read_note", {"title": " "}, "no note"),
        ("append_note", {"title": "zebra", "text": "x"}, "no note"),
        ("append_note", {"title": "rome", "text": " "}, "no text to add"),
        ("search_notes", {"text": "?"}, "nothing to look for"),
        ("delete_note", {"title": "trip"}, "can mean 2"),
    ],
)
def test_refusals_change_nothing(ctx: RecordingContext, name: str, arguments: dict[str, str], message: str) -> None:
    before = tree(ctx)
    with pytest.raises(ToolError, match=message):
        call(ctx, name, **arguments)
    assert tree(ctx) == before
    assert not ctx.changes

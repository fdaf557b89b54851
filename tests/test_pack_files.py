from __future__ import annotations

import os
import stat
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packs_fixture import NOW, RecordingContext, make_context, tree, undo

from edge_agent.errors import RefusedError, ToolError
from edge_agent.toolpacks import files, zipping
from edge_agent.tools import ToolResult

FILES = {
    "Documents/lease.pdf": 4000,
    "Documents/budget.xlsx": 30,
    "Documents/Archive/old.txt": 5,
    "Downloads/beach.png": 200,
    "Downloads/holiday.jpg": 100,
    "Downloads/setup.zip": 0,
    "Downloads/sub/deep.jpg": 10,
    "Desktop/todo.txt": 8,
    "Desktop/.hidden.txt": 8,
}


@pytest.fixture
def ctx(tmp_path: Path) -> RecordingContext:
    ctx = make_context(tmp_path)
    for i, (name, length) in enumerate(FILES.items()):
        path = ctx.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * length)
        moment = NOW.timestamp() - 86_400 * i
        os.utime(path, (moment, moment))
    return ctx


def call(ctx: RecordingContext, name: str, /, **arguments: Any) -> ToolResult:
    return next(each for each in files.TOOLS if each.name == name).call(arguments, ctx)


# -- looking -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"name": "lease"}, ["~/Documents/lease.pdf"]),
        ({"kind": "photo", "where": "downloads"}, ["beach.png", "holiday.jpg", "deep.jpg"]),
        ({"when": "today"}, ["~/Documents/lease.pdf"]),
        ({"name": "photos", "when": "last week"}, ["deep.jpg"]),
        ({"name": "the pdf in documents"}, ["lease.pdf"]),
        ({"name": "unicorn"}, []),
    ],
)
def test_find_files(ctx: RecordingContext, arguments: dict[str, str], names: list[str]) -> None:
    result = call(ctx, "find_files", **arguments)
    found = [file["path"] for file in result.data["files"]]
    assert len(found) == len(names)
    assert all(any(path.endswith(name) for path in found) for name in names)


def test_find_files_says_size_date_and_near_names(ctx: RecordingContext) -> None:
    assert call(ctx, "find_files", name="lease").text == ("Found 1 file:\n~/Documents/lease.pdf (4.0 kB, 2026-11-28)")
    assert call(ctx, "find_files", name="leas pdff").text == (
        "Found no file for “leas pdff”. Near it: ~/Documents/lease.pdf."
    )
    with pytest.raises(ToolError, match="'soon' is not a day"):
        call(ctx, "find_files", when="soon")


def test_list_folder(ctx: RecordingContext) -> None:
    assert call(ctx, "list_folder", folder="documents").text == (
        "~/Documents holds 3:\nArchive/\nbudget.xlsx\nlease.pdf"
    )
    assert call(ctx, "list_folder").data["names"] == ["Desktop/", "Documents/", "Downloads/"]
    (ctx.home / "Empty").mkdir()
    assert call(ctx, "list_folder", folder="the empty folder").text == "~/Empty is empty."
    with pytest.raises(ToolError, match="no folder matches 'nowhere'"):
        call(ctx, "list_folder", folder="nowhere")


def test_read_file(ctx: RecordingContext) -> None:
    assert call(ctx, "read_file", file="todo").text == "~/Desktop/todo.txt:\nxxxxxxxx"
    (ctx.home / "long.txt").write_text("y" * 5_000)
    assert call(ctx, "read_file", file="long.txt").text.endswith("(4,000 of 5,000 characters shown)")
    with pytest.raises(RefusedError):
        call(ctx, "read_file", file="/etc/hostname")


def test_sizes_and_newest(ctx: RecordingContext) -> None:
    assert call(ctx, "folder_size", folder="downloads").text == (
        "~/Downloads takes 310 bytes in 4 files, hidden ones not counted."
    )
    assert call(ctx, "largest_files", folder="downloads").data["files"][0]["path"] == "~/Downloads/beach.png"
    assert call(ctx, "largest_files").data["files"][0]["path"] == "~/Documents/lease.pdf"
    newest = call(ctx, "newest_files", kind="photo")
    assert newest.text.startswith("Newest photo files in ~")
    assert newest.text.splitlines()[1] == "~/Downloads/beach.png (200 bytes, 2026-11-25)"
    assert "There is no video file in ~/Desktop" in call(ctx, "largest_files", folder="desktop", kind="video").text


def test_open_file(ctx: RecordingContext) -> None:
    call(ctx, "open_file", file="the lease")
    call(ctx, "open_file", file="my downloads folder")
    assert ctx.host.opened == [str(ctx.home / "Documents/lease.pdf"), str(ctx.home / "Downloads")]
    (ctx.home / "run.desktop").write_text("[Desktop Entry]")
    (ctx.home / "tool").write_text("#!/bin/sh\n")
    for name in ("run.desktop", "tool"):
        with pytest.raises(ToolError, match="is a program"):
            call(ctx, "open_file", file=name)
    assert len(ctx.host.opened) == 2


# -- changing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "there", "gone"),
    [
        (
            "copy_file",
            {"file": "lease", "to": "downloads"},
            ["Downloads/lease.pdf", "Documents/lease.pdf"],
            [],
        ),
        ("copy_file", {"file": "todo.txt", "to": "later.txt"}, ["Desktop/later.txt", "Desktop/todo.txt"], []),
        ("copy_file", {"file": "the archive folder", "to": "desktop"}, ["Desktop/Archive/old.txt"], []),
        (
            "move_file",
            {"file": "lease", "to": "to the Archive"},
            ["Documents/Archive/lease.pdf"],
            ["Documents/lease.pdf"],
        ),
        (
            "move_file",
            {"file": "all the photos in downloads", "to": "pictures"},
            ["Pictures/beach.png", "Pictures/holiday.jpg", "Downloads/sub/deep.jpg"],
            ["Downloads/beach.png", "Downloads/holiday.jpg"],
        ),
        ("rename_file", {"file": "todo", "new_name": "done"}, ["Desktop/done.txt"], ["Desktop/todo.txt"]),
        ("rename_file", {"file": "Archive", "new_name": "Old things"}, ["Documents/Old things/old.txt"], []),
        ("create_folder", {"name": "Receipts"}, ["Receipts"], []),
        ("create_folder", {"name": "Trip 2025", "where": "in pictures"}, ["Pictures/Trip 2025"], []),
        ("trash_file", {"file": "todo"}, [".local/share/Trash/files/todo.txt"], ["Desktop/todo.txt"]),
        ("trash_file", {"file": "photos in downloads"}, ["Downloads/setup.zip"], ["Downloads/beach.png"]),
        ("zip_files", {"file": "lease"}, ["Documents/lease.zip"], []),
        ("zip_files", {"file": "photos in downloads", "name": "pics.zip"}, ["Downloads/pics.zip"], []),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="the trash lies elsewhere on Windows")
def test_changes_happen_and_can_be_undone(
    ctx: RecordingContext, name: str, arguments: dict[str, str], there: list[str], gone: list[str]
) -> None:
    before = tree(ctx)
    result = call(ctx, name, **arguments)
    assert all((ctx.home / path).exists() for path in there), result.text
    assert not any((ctx.home / path).exists() for path in gone), result.text
    assert "~/" in result.text
    undo(ctx)
    left = {path: data for path, data in tree(ctx).items() if not path.startswith(".local")}
    assert left == before


def test_group_results_are_spelled_out(ctx: RecordingContext) -> None:
    assert call(ctx, "move_file", file="all the photos in downloads", to="pictures").text == (
        "Moved 2 files (~/Downloads/beach.png, ~/Downloads/holiday.jpg) to ~/Pictures."
    )


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("copy_file", {"file": "lease", "to": "documents"}, "would be there twice"),
        ("move_file", {"file": "all photos", "to": "downloads"}, "would be there twice"),
        ("move_file", {"file": "lease", "to": "nowhere"}, "no folder matches 'nowhere'"),
        ("move_file", {"file": "the photos in downloads", "to": "downloads"}, "all in ~/Downloads already"),
        ("move_file", {"file": "unicorn", "to": "desktop"}, "no file or folder matches"),
        ("rename_file", {"file": "lease", "new_name": "../x"}, "not a plain file name"),
        ("rename_file", {"file": "lease", "new_name": "budget.xlsx"}, "exists already"),
        ("create_folder", {"name": "Documents"}, "exists already"),
        ("create_folder", {"name": "a/b"}, "not a plain file name"),
        ("trash_file", {"file": "~"}, "one of your main folders"),
        ("trash_file", {"file": "downloads"}, "~/Downloads is one of your main folders"),
        ("move_file", {"file": "my documents folder", "to": "desktop"}, "one of your main folders"),
        ("rename_file", {"file": "Desktop", "new_name": "Old"}, "one of your main folders"),
        ("unzip_file", {"file": "setup.zip"}, "not a readable zip"),
    ],
)
def test_refusals_change_nothing(ctx: RecordingContext, name: str, arguments: dict[str, str], message: str) -> None:
    (ctx.home / "Desktop/deep.jpg").write_bytes(b"other")
    before = tree(ctx)
    with pytest.raises(ToolError, match=message):
        call(ctx, name, **arguments)
    assert tree(ctx) == before
    assert ctx.changes == []


# -- archives ----------------------------------------------------------------------------------------------


def test_zip_and_unzip_give_the_same_files(ctx: RecordingContext) -> None:
    call(ctx, "zip_files", file="Documents", name="backup")
    before = tree(ctx)
    result = call(ctx, "unzip_file", file="backup.zip", to="desktop")
    assert result.text == "Unpacked 3 files of ~/backup.zip into ~/Desktop/backup."
    for name in ("lease.pdf", "budget.xlsx", "Archive/old.txt"):
        unpacked = ctx.home / "Desktop/backup/Documents" / name
        assert unpacked.read_bytes() == (ctx.home / "Documents" / name).read_bytes()
    again = call(ctx, "unzip_file", file="backup.zip", to="desktop")
    assert again.data["path"] == "~/Desktop/backup (2)"
    ctx.changes[:] = [change for change in ctx.changes if "Desktop" in change.path]
    undo(ctx)
    assert tree(ctx) == before


def archive(path: Path, *names: str, link: bool = False, data: bytes = b"x") -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (stat.S_IFLNK | 0o777) << 16 if link else 0
            target.writestr(info, data)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["../../evil.txt"], {}, "outside its folder"),
        (["/etc/evil"], {}, "outside its folder"),
        (["a\\..\\..\\evil"], {}, "outside its folder"),
        (["C:evil"], {}, "outside its folder"),
        (["a"], {"link": True}, "holds a link"),
        (["A", "a"], {}, "two files of one name"),
        (["a/b", "a"], {}, "two files of one name"),
        (["bomb"], {"data": b"0" * 11_000_000}, "zip bomb"),
    ],
)
def test_hostile_archives_write_nothing(
    ctx: RecordingContext, names: list[str], options: dict[str, Any], message: str
) -> None:
    archive(ctx.home / "bad.zip", *names, **options)
    before = tree(ctx)
    with pytest.raises(ToolError, match=message):
        call(ctx, "unzip_file", file="bad.zip")
    assert tree(ctx) == before


def test_archive_limits_passwords_and_damage(ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ctx.home / "good.zip"
    archive(path, "a", "b", data=bytes(range(256)))
    good = path.read_bytes()
    central = good.index(b"PK\x01\x02")
    path.write_bytes(good[: central + 8] + struct.pack("<H", 1) + good[central + 10 :])
    with pytest.raises(ToolError, match="password"):
        call(ctx, "unzip_file", file="good.zip")
    path.write_bytes(good[:40] + b"\xff\xff" + good[42:])
    with pytest.raises(ToolError, match=r"damaged|not a readable"):
        call(ctx, "unzip_file", file="good.zip")
    path.write_bytes(good)
    monkeypatch.setattr(zipping, "MAX_FILES", 1)
    with pytest.raises(ToolError, match="at most 1 files"):
        call(ctx, "unzip_file", file="good.zip")
    with pytest.raises(ToolError, match="too large"):
        call(ctx, "zip_files", file="Documents")
    assert not ctx.changes


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2e9, "2.0 GB"), (5e12, "5.0 TB")],
)
def test_size(count: float, said: str) -> None:
    assert files.size(count) == said

"""Files and folders: find, read, copy, move, rename, delete to the trash, zip.

A file is named the way people do ("the lease pdf", "all the photos in downloads"); see `finding`. Every
change goes through the context, so it can be undone, and nothing is ever overwritten.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

from ..errors import ToolError
from ..tools import Effect, Example, ToolResult, copied, tool
from ..workspace import Context, unused
from . import finding, reading, zipping
from .filewords import KINDS, extension_of, main_folders, time_span

_SHOWN = 20  # files listed in one answer
#: What a desktop may run when it is "opened".
_PROGRAMS = frozenset(
    {"exe", "msi", "bat", "cmd", "com", "scr", "ps1", "vbs", "js", "jar", "lnk", "reg"}
    | {"sh", "desktop", "appimage", "run", "command", "app", "py", "deb", "rpm", "pkg", "dmg"}
)


# -- looking -----------------------------------------------------------------------------------------------


@tool(
    effect=Effect.READ,
    pack="files",
    examples=(
        Example("Find my tax return", {"name": "tax return"}),
        Example("which photos did I save last week", {"kind": "photo", "when": "last week"}),
        Example(
            "look for invoice spreadsheets in documents",
            {"name": "invoice", "kind": "spreadsheet", "where": "documents"},
        ),
        Example("Where did I put the hotel booking pdf?", {"name": "hotel booking", "kind": "pdf"}),
    ),
)
def find_files(
    ctx: Context,
    name: Annotated[str, copied("path")] = "",
    kind: finding.Kind = "file",
    when: Annotated[str, copied("when")] = "",
    where: Annotated[str, copied("path")] = "",
) -> ToolResult:
    """Find files by name, kind or date and say where they are.

    Args:
        name: Words of the file's name.
        kind: Kind of file.
        when: Day or period in which it was last changed.
        where: Folder to look in.
    """
    span = time_span(when, ctx.now) if when else None
    if when and span is None:
        raise ToolError(f"find_files: {when!r} is not a day or period", hint="say it like: last week, yesterday")
    root = finding.folder(ctx, where) if where else None
    found = finding.find(ctx, name, "file", kind, root, span)
    paths = [path for _, path in found.matches]
    what = " ".join(filter(None, [kind if kind != "file" else "", f"“{name}”" if name else "", when]))
    if not paths:
        near = f" Near it: {finding.listing(ctx, found.near)}." if found.near else ""
        return ToolResult(f"Found no file{f' for {what}' if what else ''}.{near}{_cut(found.complete)}", {"files": []})
    return _listed(ctx, f"Found {_count(paths)}", paths, found.complete)


@tool(
    effect=Effect.READ,
    pack="files",
    examples=(
        Example("What's in my downloads folder?", {"folder": "my downloads folder"}),
        Example("list the files on the desktop", {"folder": "the desktop"}),
        Example("show me the Recipes folder", {"folder": "Recipes"}),
    ),
)
def list_folder(ctx: Context, folder: Annotated[str, copied("path")] = "home") -> ToolResult:
    """List the files and folders inside a folder.

    Args:
        folder: Which folder.
    """
    path = finding.folder(ctx, folder)
    children = sorted(
        (child for child in path.iterdir() if not child.name.startswith(".")),
        key=lambda child: (child.is_file(), child.name.casefold()),
    )
    names = [child.name + "/" * child.is_dir() for child in children]
    if not names:
        return ToolResult(f"{ctx.shown(path)} is empty.", {"path": ctx.shown(path), "names": []})
    rest = f"\nand {len(names) - 50} more" if len(names) > 50 else ""
    text = f"{ctx.shown(path)} holds {len(names)}:\n" + "\n".join(names[:50]) + rest
    return ToolResult(text, {"path": ctx.shown(path), "names": names[:1000]})


@tool(
    effect=Effect.READ,
    pack="files",
    examples=(
        Example("Read todo.txt", {"file": "todo.txt"}),
        Example("what does the readme file in projects say", {"file": "the readme file in projects"}),
        Example("show me the contents of shopping.md", {"file": "shopping.md"}),
    ),
)
def read_file(ctx: Context, file: Annotated[str, copied("path")]) -> ToolResult:
    """Show what is written in a text file.

    Args:
        file: Which file.
    """
    document = reading.read(ctx, finding.one(ctx, file))
    shown, text = ctx.shown(document.path), document.text
    rest = f"\n… (4,000 of {len(text):,} characters shown)" if len(text) > 4_000 else ""
    return ToolResult(f"{shown}:\n{text[:4_000].rstrip()}{rest}", {"path": shown, "text": text[:20_000]})


@tool(
    effect=Effect.READ,
    pack="files",
    examples=(
        Example("How big is my downloads folder?", {"folder": "my downloads folder"}),
        Example("how much space does Pictures take", {"folder": "Pictures"}),
    ),
)
def folder_size(ctx: Context, folder: Annotated[str, copied("path")] = "home") -> ToolResult:
    """Say how big a folder is: the space it takes and how many files it holds.

    Args:
        folder: Which folder.
    """
    path = finding.folder(ctx, folder)
    seen = finding.walk(path)
    sizes = [entry.path.stat().st_size for entry in seen.entries if not entry.folder]
    said = f"{ctx.shown(path)} takes {size(sum(sizes))} in {len(sizes):,} files, hidden ones not counted."
    data = {"path": ctx.shown(path), "bytes": sum(sizes), "files": len(sizes), "complete": seen.complete}
    return ToolResult(said + _cut(seen.complete), data)


@tool(
    effect=Effect.READ,
    pack="files",
    examples=(
        Example("What are the biggest files in downloads?", {"folder": "downloads"}),
        Example("find the largest video", {"kind": "video"}),
        Example("biggest songs in Music", {"folder": "Music", "kind": "audio"}),
    ),
)
def largest_files(
    ctx: Context, folder: Annotated[str, copied("path")] = "home", kind: finding.Kind = "file"
) -> ToolResult:
    """Find the biggest files, in one folder or everywhere.

    Args:
        folder: Folder to look in.
        kind: Kind of file.
    """
    return _first(ctx, folder, kind, "Biggest", lambda path: path.stat().st_size)


@tool(
    effect=Effect.READ,
    pack="files",
    examples=(
        Example("What did I download last? Check downloads", {"folder": "downloads"}),
        Example("show my most recent photos", {"kind": "photo"}),
        Example("newest pdfs in the Work folder", {"folder": "Work", "kind": "pdf"}),
    ),
)
def newest_files(
    ctx: Context, folder: Annotated[str, copied("path")] = "home", kind: finding.Kind = "file"
) -> ToolResult:
    """Find the newest, most recently changed files, in one folder or everywhere.

    Args:
        folder: Folder to look in.
        kind: Kind of file.
    """
    return _first(ctx, folder, kind, "Newest", lambda path: path.stat().st_mtime)


@tool(
    effect=Effect.READ,
    pack="files",
    examples=(
        Example("Open the lease pdf", {"file": "the lease pdf"}),
        Example("open my downloads folder", {"file": "my downloads folder"}),
        Example("show me beach.png on the screen", {"file": "beach.png"}),
    ),
)
def open_file(ctx: Context, file: Annotated[str, copied("path")]) -> ToolResult:
    """Open a file or folder on the screen, in its usual program.

    Args:
        file: Which file or folder.
    """
    path = finding.one(ctx, file, "any")
    if path.is_file() and (extension_of(path) in _PROGRAMS or _starts(path) in (b"#!", b"MZ", b"\x7fE")):
        raise ToolError(f"{ctx.shown(path)} is a program; opening it could run it", hint="start it yourself")
    ctx.host.open(str(path))
    return ToolResult(f"Opened {ctx.shown(path)}.", {"path": ctx.shown(path)})


# -- changing ----------------------------------------------------------------------------------------------


@tool(
    effect=Effect.WRITE,
    pack="files",
    examples=(
        Example("Copy budget.xlsx to documents", {"file": "budget.xlsx", "to": "documents"}),
        Example("make a copy of the lease pdf in Archive", {"file": "the lease pdf", "to": "Archive"}),
        Example("copy notes.txt as notes-old.txt", {"file": "notes.txt", "to": "notes-old.txt"}),
    ),
)
def copy_file(ctx: Context, file: Annotated[str, copied("path")], to: Annotated[str, copied("path")]) -> ToolResult:
    """Copy a file, or all files of a kind, to another folder.

    Args:
        file: What to copy.
        to: Folder or new name for the copy.
    """
    return _transfer(ctx, finding.several(ctx, file), to, ctx.copy, "Copied")


@tool(
    effect=Effect.WRITE,
    pack="files",
    examples=(
        Example("Move the lease pdf to documents", {"file": "the lease pdf", "to": "documents"}),
        Example(
            "put all the photos in downloads into Pictures",
            {"file": "all the photos in downloads", "to": "Pictures"},
        ),
        Example("move beach.png from downloads to the desktop", {"file": "beach.png", "to": "the desktop"}),
    ),
)
def move_file(ctx: Context, file: Annotated[str, copied("path")], to: Annotated[str, copied("path")]) -> ToolResult:
    """Move a file, or all files of a kind, to another folder.

    Args:
        file: What to move.
        to: Folder it goes to.
    """
    return _transfer(ctx, _yours(ctx, finding.several(ctx, file)), to, ctx.move, "Moved")


@tool(
    effect=Effect.WRITE,
    pack="files",
    examples=(
        Example("Rename draft.txt to final.txt", {"file": "draft.txt", "new_name": "final.txt"}),
        Example("call the beach photo summer", {"file": "the beach photo", "new_name": "summer"}),
    ),
)
def rename_file(
    ctx: Context, file: Annotated[str, copied("path")], new_name: Annotated[str, copied("path")]
) -> ToolResult:
    """Give a file or folder a new name.

    Args:
        file: Which file or folder.
        new_name: Its new name.
    """
    (path,) = _yours(ctx, (finding.one(ctx, file, "any"),))
    name = _name(ctx, new_name)
    if path.is_file() and not re.search(r"\.\w{1,5}$", name):
        name += path.suffix
    ctx.move(path, path.with_name(name))
    shown = ctx.shown(path.with_name(name))
    return ToolResult(f"Renamed {ctx.shown(path)} to {name}.", {"path": shown})


@tool(
    effect=Effect.WRITE,
    pack="files",
    examples=(
        Example("Create a folder called Receipts", {"name": "Receipts"}),
        Example("make a new folder Trip 2025 in pictures", {"name": "Trip 2025", "where": "pictures"}),
    ),
)
def create_folder(
    ctx: Context, name: Annotated[str, copied("path")], where: Annotated[str, copied("path")] = "home"
) -> ToolResult:
    """Make a new folder.

    Args:
        name: Name of the new folder.
        where: Folder it goes in.
    """
    path = finding.folder(ctx, where, new=True) / _name(ctx, name)
    if path.exists():
        raise ToolError(f"{ctx.shown(path)} exists already")
    ctx.mkdir(path)
    return ToolResult(f"Created the folder {ctx.shown(path)}.", {"path": ctx.shown(path)})


@tool(
    effect=Effect.WRITE,
    pack="files",
    examples=(
        Example("Delete old-draft.txt", {"file": "old-draft.txt"}),
        Example("throw away all the zips in downloads", {"file": "all the zips in downloads"}),
        Example("remove the Temp folder", {"file": "the Temp folder"}),
    ),
)
def trash_file(ctx: Context, file: Annotated[str, copied("path")]) -> ToolResult:
    """Delete a file, a folder or a group of files: they go to the trash.

    Args:
        file: What to delete.
    """
    paths = _yours(ctx, finding.several(ctx, file))
    for path in paths:
        ctx.trash(path)
    return ToolResult(f"Moved {_said(ctx, paths)} to the trash.", {"paths": [ctx.shown(p) for p in paths]})


@tool(
    effect=Effect.WRITE,
    pack="files",
    examples=(
        Example("Zip the Photos folder", {"file": "the Photos folder"}),
        Example(
            "compress all the pdfs in downloads as papers",
            {"file": "all the pdfs in downloads", "name": "papers"},
        ),
    ),
)
def zip_files(
    ctx: Context, file: Annotated[str, copied("path")], name: Annotated[str, copied("path")] = ""
) -> ToolResult:
    """Pack a file, a folder or a group of files into one zip archive.

    Args:
        file: What to pack.
        name: Name of the archive.
    """
    paths = finding.several(ctx, file)
    first = paths[0]
    stem = re.sub(r"\.zip$", "", _name(ctx, name)) if name else first.stem if len(paths) == 1 else "Archive"
    target = unused(first.parent / f"{stem}.zip")
    data, count = zipping.pack(ctx, paths)
    ctx.write(target, data)
    held = f"{count} file{'s' * (count != 1)}, {size(len(data))}"
    text = f"Packed {_said(ctx, paths)} into {ctx.shown(target)} ({held})."
    return ToolResult(text, {"path": ctx.shown(target), "bytes": len(data), "files": count})


@tool(
    effect=Effect.WRITE,
    pack="files",
    examples=(
        Example("Unzip photos.zip", {"file": "photos.zip"}),
        Example("extract the dataset archive into documents", {"file": "the dataset archive", "to": "documents"}),
    ),
)
def unzip_file(
    ctx: Context, file: Annotated[str, copied("path")], to: Annotated[str, copied("path")] = ""
) -> ToolResult:
    """Unpack a zip archive into a new folder.

    Args:
        file: Which archive.
        to: Folder the new folder goes in.
    """
    source = finding.one(ctx, file)
    parent = finding.folder(ctx, to, new=True) if to else source.parent
    target = unused(parent / source.stem)
    count = zipping.unpack(ctx, source, target)
    text = f"Unpacked {count} file{'s' * (count != 1)} of {ctx.shown(source)} into {ctx.shown(target)}."
    return ToolResult(text, {"path": ctx.shown(target), "files": count})


# -- inside ------------------------------------------------------------------------------------------------


def size(count: float) -> str:
    """Bytes as file managers write them (powers of 1000): "12.3 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _transfer(
    ctx: Context, sources: tuple[Path, ...], to: str, act: Callable[[Path, Path], None], done: str
) -> ToolResult:
    """Checks every target before the first change, so that a group is done whole or not at all."""
    if len(sources) == 1:
        targets = [finding.destination(ctx, to, sources[0])]
    else:
        place = finding.folder(ctx, to, new=True)
        sources = tuple(path for path in sources if path.parent != place)
        targets = [place / path.name for path in sources]
    if not targets:
        raise ToolError(f"they are all in {ctx.shown(place)} already")
    for target in targets:
        if target.exists() or targets.count(target) > 1:
            raise ToolError(f"{ctx.shown(target)} would be there twice", hint="rename one of them first")
    for source, target in zip(sources, targets, strict=True):
        act(source, target)
    where = ctx.shown(targets[0] if len(targets) == 1 else targets[0].parent)
    text = f"{done} {_said(ctx, sources)} to {where}."
    return ToolResult(text, {"from": [ctx.shown(p) for p in sources], "to": [ctx.shown(p) for p in targets]})


def _first(ctx: Context, folder: str, kind: str, title: str, key: Callable[[Path], float]) -> ToolResult:
    path = finding.folder(ctx, folder)
    seen = finding.walk(path, skip=ctx.data)
    paths = [e.path for e in seen.entries if not e.folder and (kind == "file" or extension_of(e.path) in KINDS[kind])]
    what = "file" if kind == "file" else f"{kind} file"
    if not paths:
        return ToolResult(f"There is no {what} in {ctx.shown(path)}.{_cut(seen.complete)}", {"files": []})
    best = sorted(paths, key=key, reverse=True)[:5]
    return _listed(ctx, f"{title} {what}s in {ctx.shown(path)}", best, seen.complete)


def _listed(ctx: Context, title: str, paths: Sequence[Path], complete: bool) -> ToolResult:
    stats = [(ctx.shown(path), path.stat()) for path in paths[:200]]
    days = [f"{datetime.fromtimestamp(stat.st_mtime, ctx.now.tzinfo):%Y-%m-%d}" for _, stat in stats]
    files = [
        {"path": shown, "bytes": stat.st_size, "changed": day} for (shown, stat), day in zip(stats, days, strict=True)
    ]
    lines = [f"{shown} ({size(stat.st_size)}, {day})" for (shown, stat), day in zip(stats, days, strict=True)]
    lines = lines[:_SHOWN]
    rest = [f"and {len(paths) - _SHOWN} more"] if len(paths) > _SHOWN else []
    return ToolResult("\n".join([f"{title}:", *lines, *rest]) + _cut(complete), {"files": files})


def _yours(ctx: Context, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Refuses home and the main folders: a request that names only the folder left out what is in it."""
    for path in paths:
        if path in main_folders(ctx) or ctx.home.resolve().is_relative_to(path):
            raise ToolError(f"{ctx.shown(path)} is one of your main folders; it stays", hint="name what is in it")
    return paths


def _name(ctx: Context, text: str) -> str:
    name = text.strip().strip("'\"").strip()
    if "/" in name or "\\" in name or name.startswith("."):
        raise ToolError(f"{name!r} is not a plain file name")
    return ctx.path(name).name


def _said(ctx: Context, paths: Sequence[Path]) -> str:
    return ctx.shown(paths[0]) if len(paths) == 1 else f"{_count(paths)} ({finding.listing(ctx, paths)})"


def _count(paths: Sequence[Path]) -> str:
    return f"{len(paths)} file{'s' * (len(paths) != 1)}"


def _cut(complete: bool) -> str:
    return "" if complete else " The search stopped at its limit; there may be more."


def _starts(path: Path) -> bytes:
    with path.open("rb") as handle:
        return handle.read(2)


TOOLS = (
    *(find_files, list_folder, read_file, folder_size, largest_files, newest_files, open_file),
    *(copy_file, move_file, rename_file, create_folder, trash_file, zip_files, unzip_file),
)

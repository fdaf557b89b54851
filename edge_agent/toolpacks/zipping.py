"""Zip archives: pack files, and unpack an archive that a stranger may have made.

Nothing is written before the whole archive was judged: names that leave its folder ("zip slip"), links,
passwords and archives that unpack to far more than they hold ("bombs") are refused.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path, PurePosixPath

from ..errors import ToolError
from ..workspace import Context
from .finding import walk

MAX_BYTES = 500_000_000  # unpacked, of one archive
MAX_FILES = 10_000
MAX_RATIO = 200  # unpacked to packed size, of archives above 10 MB


def pack(ctx: Context, paths: Iterable[Path]) -> tuple[bytes, int]:
    """A zip of files and folders (without hidden files and links inside folders), and its count of files.

    Raises ToolError above 500 MB or 10,000 files, or for a file that cannot be read.
    """
    total = count = 0
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for path in paths:
            for member in _members(path):
                count, total = count + 1, total + member.stat().st_size
                if total > MAX_BYTES or count > MAX_FILES:
                    raise ToolError(f"{ctx.shown(path)} is too large: a zip takes {_limits()}")
                try:
                    archive.write(member, member.relative_to(path.parent))
                except OSError as error:
                    raise ToolError(f"{ctx.shown(member)}: {error.strerror or error}") from error
    return buffer.getvalue(), count


def unpack(ctx: Context, source: Path, target: Path) -> int:
    """Unpacks into the new folder `target`; returns how many files. Raises ToolError (see above)."""
    shown = ctx.shown(source)
    try:
        with zipfile.ZipFile(source) as archive:
            members = _judged(shown, archive, source.stat().st_size)
            if damaged := archive.testzip():
                raise ToolError(f"{shown}: {damaged!r} is damaged")
            ctx.mkdir(target)
            for name, info in members:
                ctx.write(target / name, archive.read(info))
            return len(members)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise ToolError(f"{shown} is not a readable zip archive: {error}") from error


def _judged(shown: str, archive: zipfile.ZipFile, packed: int) -> list[tuple[str, zipfile.ZipInfo]]:
    files = [info for info in archive.infolist() if not info.is_dir()]
    total = sum(info.file_size for info in files)  # reading stops at this size, whatever the data does
    if len(files) > MAX_FILES or total > MAX_BYTES:
        raise ToolError(f"{shown} holds {len(files):,} files of {total / 1e6:,.0f} MB; at most {_limits()}")
    if total > 10_000_000 and total > packed * MAX_RATIO:
        raise ToolError(f"{shown} unpacks to {total // packed} times its size; it looks like a zip bomb")
    names, folders = list[str](), set[str]()
    for info in files:
        name = PurePosixPath(info.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in info.filename or not name.parts:
            raise ToolError(f"{shown} wants to write outside its folder: {info.filename!r}")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise ToolError(f"{shown} holds a link: {info.filename!r}")
        if info.flag_bits & 1:
            raise ToolError(f"{shown} is protected by a password")
        names.append(str(name).casefold())
        folders |= {str(parent).casefold() for parent in name.parents}
    if len(set(names)) < len(names) or folders.intersection(names):
        raise ToolError(f"{shown} holds two files of one name")
    return [(info.filename.replace("\\", "/"), info) for info in files]


def _members(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (entry.path for entry in walk(path, limit=5 * MAX_FILES, seconds=60).entries if not entry.folder)
    else:
        yield path


def _limits() -> str:
    return f"{MAX_FILES:,} files and {MAX_BYTES // 1_000_000} MB"

"""What a tool may touch, and how every touch can be taken back.

A tool changes files only through its `Context`. Each change is written to the journal, with what is needed
to reverse it, *before* it happens; contents that would be lost are first copied to a backup. So one generic
undo serves every tool, and a process killed half way leaves a record of exactly what it had begun.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from .errors import RefusedError, StoreError, ToolError

if TYPE_CHECKING:
    from .host import Host


@dataclass(frozen=True, slots=True)
class Change:
    """One reversible change.

    write: `path` gets new content; `backup` holds the old one (None: the file is new); `after` its new sha256.
    move: `path` becomes `target`.
    mkdir: `path` is a new folder.
    call: reversed by running tool `target` with `arguments` (a volume set back, an alarm restored).
    """

    op: Literal["write", "move", "mkdir", "call"]
    path: str = ""
    target: str = ""
    backup: str | None = None
    after: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Context:
    """Handed to every tool that has a `ctx` parameter.

    now: the declared present, aware; relative dates are resolved against it.
    home: the person's home folder; `path()` resolves what they call a file.
    data: edge_agent's own data folder. host: the machine's facilities (clipboard, volume, opening things).
    offline: when True no tool may touch the network. settings: the packs' settings (folders to use).
    """

    def __init__(
        self,
        *,
        now: datetime,
        home: Path,
        data: Path,
        host: Host,
        record: Callable[[Change], None],
        offline: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.now = now
        self.home = home
        self.data = data
        self.host = host
        self.offline = offline
        self.settings = settings or {}
        self._record = record
        self._closed = False

    # -- where things are ------------------------------------------------------------------------------

    def path(self, text: str) -> Path:
        """The file a person means by `text`: `~`, relative to home, or absolute; normalised, links followed.

        Raises ToolError for control characters or an empty text, RefusedError outside home and temp folders.
        """
        if not text.strip() or any(unicodedata.category(c) == "Cc" for c in text):
            raise ToolError(f"{text!r} is not a file name")
        raw = Path(text.strip())
        if raw.parts[0] == "~":
            raw = Path(*raw.parts[1:])
        path = Path(os.path.normpath(self.home / raw))
        resolved = path.parent.resolve() / path.name
        allowed = (self.home.resolve(), Path(tempfile.gettempdir()).resolve())
        if not any(resolved == root or resolved.is_relative_to(root) for root in allowed):
            raise RefusedError(
                f"{resolved} is outside your home folder", hint="move it into your home folder first"
            )
        if resolved == self.data or resolved.is_relative_to(self.data.resolve()):
            raise RefusedError(f"{resolved} belongs to edge_agent itself")
        return resolved

    def folder(self, setting: str, default: str) -> Path:
        """A pack's folder: the user's setting (`packs.notes_dir`), else `default` under home. Not created."""
        return self.path(str(self.settings.get(setting, default)))

    def shown(self, path: Path) -> str:
        """A path as a person writes it: `~/Notes/a.md`."""
        try:
            return f"~/{path.relative_to(self.home.resolve()).as_posix()}"
        except ValueError:
            return str(path)

    def close(self) -> None:
        """Forbids all further changes: the tool ran out of time, and what it did has been taken back."""
        self._closed = True

    # -- reversible changes ----------------------------------------------------------------------------

    def write(self, path: Path, content: str | bytes, *, private: bool = False) -> None:
        """Replaces or creates a file in one step: temp file, fsync, rename. Parent folders are made."""
        data = content.encode() if isinstance(content, str) else content
        self.mkdir(path.parent)
        backup = self._backup(path) if path.exists() else None
        self._note(Change("write", str(path), backup=backup, after=hashlib.sha256(data).hexdigest()))
        mode = path.stat().st_mode & 0o777 if backup else (0o600 if private else 0o644)
        write_atomic(path, data, mode)

    def copy(self, source: Path, target: Path) -> None:
        """Copies a file (or a folder, file by file). Refuses to overwrite."""
        self._free(target)
        if source.is_dir():
            if target.resolve().is_relative_to(source.resolve()):
                raise ToolError(f"{self.shown(target)} lies inside {self.shown(source)}")
            self.mkdir(target)
            for child in sorted(source.iterdir()):
                self.copy(child, target / child.name)
        else:
            self.write(target, source.read_bytes())
            shutil.copystat(source, target)

    def move(self, source: Path, target: Path) -> None:
        """Moves or renames. Refuses to overwrite: nothing is ever lost to a name that was taken."""
        if not source.exists():
            raise ToolError(f"{self.shown(source)} does not exist")
        self._free(target)
        if target.resolve().is_relative_to(source.resolve()):
            raise ToolError(f"{self.shown(target)} lies inside {self.shown(source)}")
        self.mkdir(target.parent)
        self._note(Change("move", str(source), target=str(target)))
        _guard(lambda: shutil.move(source, target), target)

    def mkdir(self, path: Path) -> None:
        """Makes a folder and its parents, each recorded. Nothing happens if it exists."""
        if path.is_dir():
            return
        if path.exists():
            raise ToolError(f"{self.shown(path)} is a file, not a folder")
        self.mkdir(path.parent)
        self._note(Change("mkdir", str(path)))
        _guard(lambda: path.mkdir(exist_ok=True), path)

    def trash(self, path: Path) -> Path:
        """Moves to the desktop's trash and returns where it lies.

        Linux follows the freedesktop.org Trash specification 1.0 (home trash, `.trashinfo` beside it); macOS
        uses `~/.Trash`; Windows, whose recycle bin has no stable path, uses a folder in edge_agent's data.
        """
        if not path.exists():
            raise ToolError(f"{self.shown(path)} does not exist")
        if sys.platform == "darwin":
            files = self.home / ".Trash"
        elif sys.platform == "win32":
            files = self.data / "trash"
        else:
            files = self.home / ".local/share/Trash/files"
        target = unused(files / path.name)
        if files.name == "files":
            info = f"[Trash Info]\nPath={quote(str(path))}\nDeletionDate={self.now:%Y-%m-%dT%H:%M:%S}\n"
            self.write(files.parent / "info" / f"{target.name}.trashinfo", info, private=True)
        self.move(path, target)
        return target

    def undo_with(self, tool: str, arguments: Mapping[str, Any]) -> None:
        """Says that a change outside the file system is reversed by calling `tool` with `arguments`.

        To be called before the change is made."""
        self._note(Change("call", target=tool, arguments=dict(arguments)))

    # -- inside ----------------------------------------------------------------------------------------

    def _note(self, change: Change) -> None:
        if self._closed:
            raise ToolError("this tool ran out of time; it may change nothing more")
        self._record(change)

    def _free(self, target: Path) -> None:
        if target.exists() or target.is_symlink():
            raise ToolError(f"{self.shown(target)} exists already", hint="choose another name")

    def _backup(self, path: Path) -> str:
        digest = file_digest(path)
        backup = self.data / "backups" / digest[:2] / digest
        if not backup.exists():
            write_atomic(backup, path.read_bytes(), 0o600)
        return str(backup)


def revert(change: Change) -> str:
    """Takes one file change back and says what it did. Raises ToolError when the file has changed since.

    `call` changes are not files: the gateway runs them.
    """
    path, target = Path(change.path), Path(change.target)
    if change.op == "write":
        if not path.exists() or file_digest(path) != change.after:
            raise ToolError(f"{path} has changed since; it is left alone")
        if change.backup is None:
            _guard(path.unlink, path)
            return f"removed {path}"
        write_atomic(path, Path(change.backup).read_bytes(), path.stat().st_mode & 0o777)
        return f"restored {path}"
    if change.op == "move":
        if not target.exists():
            raise ToolError(f"{target} is not there any more")
        if path.exists():
            raise ToolError(f"{path} exists again; it is not overwritten")
        _guard(lambda: shutil.move(target, path), path)
        return f"moved {target} back to {path}"
    if change.op == "mkdir":
        if not path.is_dir():
            return f"{path} was gone already"
        if any(path.iterdir()):
            return f"kept {path}: it holds other things"
        _guard(path.rmdir, path)
        return f"removed folder {path}"
    raise ToolError(f"a {change.op} is not a file change")


def unused(path: Path) -> Path:
    """`path`, or `name (2).ext` and so on: the first that is free."""
    number, candidate = 1, path
    while candidate.exists() or candidate.is_symlink():
        number += 1
        candidate = path.with_name(f"{path.stem} ({number}){path.suffix}")
    return candidate


def file_digest(path: Path) -> str:
    """sha256 (hex) of a file, read in blocks."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_atomic(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Whole or not at all: temp file in the same folder, fsync, rename, folder fsync.

    Raises StoreError naming the path on a full disk, a read-only folder or a missing right."""

    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(data)
                handle.flush()
                os.fchmod(handle.fileno(), mode) if hasattr(os, "fchmod") else None
                os.fsync(handle.fileno())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        if os.name == "posix":
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    _guard(write, path)


def _guard(action: Callable[[], Any], path: Path) -> None:
    try:
        action()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from error

"""What a tool may touch, and how every touch can be taken back.

A tool changes files only through its `Context`. Each change is written to the journal, with what is needed
to reverse it, *before* it happens; contents that would be lost are first copied to a backup. So one generic
undo serves every tool, and a process killed half way leaves a record of exactly what it had begun.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
import threading
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from .errors import RefusedError, StoreError, ToolError

if TYPE_CHECKING:
    from .host import Host

#: Ends the name of every temp file, so that one left by a killed process is known for what it is.
_TEMP = ".edge_agent.tmp"


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
        self._lock = threading.RLock()

    # -- where things are ------------------------------------------------------------------------------

    def path(self, text: str) -> Path:
        """The file a person means by `text`: `~`, relative to home, or absolute; normalised.

        Links in its folder's name are followed, a link at the end is not. Raises ToolError for control characters
        or an empty text, RefusedError for what lies outside home and temp folders or is a link to there.
        """
        if not text.strip() or any(unicodedata.category(c) == "Cc" for c in text):
            raise ToolError(f"{text!r} is not a file name")
        raw = Path(text.strip())
        if raw.parts[:1] == ("~",):
            raw = Path(*raw.parts[1:])
        return self._inside(Path(os.path.normpath(_real(self.home) / raw)))

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
        """Forbids all further changes; returns when none is under way."""
        with self._lock:
            self._closed = True

    # -- reversible changes ----------------------------------------------------------------------------

    def write(self, path: Path, content: str | bytes, *, private: bool = False) -> None:
        """Replaces or creates a file in one step: temp file, fsync, rename. Folders are made, links followed."""
        self._put(path, content.encode() if isinstance(content, str) else content, 0o600 if private else 0o644)

    def copy(self, source: Path, target: Path) -> None:
        """Copies a file, or a folder file by file. Refuses to overwrite, and links and devices inside a folder."""
        self._free(target)
        if source.is_dir():
            if _real(target).is_relative_to(_real(source)):
                raise ToolError(f"{self.shown(target)} lies inside {self.shown(source)}")
            self.mkdir(target)
            for child in sorted(source.iterdir()):
                if child.is_symlink():
                    raise ToolError(f"{self.shown(child)} is a link; folders with links are not copied")
                self.copy(child, target / child.name)
            _guard(lambda: target.chmod(source.stat().st_mode & 0o777 | 0o700), target)
        elif source.is_file():
            self._put(target, source, 0o600)
            _guard(lambda: shutil.copystat(source, target), target)
        else:
            raise ToolError(f"{self.shown(source)} is not a file or folder")

    def move(self, source: Path, target: Path) -> None:
        """Moves or renames on one disk. Refuses to overwrite: nothing is ever lost to a name that was taken."""
        self._move(self._inside(source), self._inside(target))

    def mkdir(self, path: Path) -> None:
        """Makes a folder and its parents, each recorded. Nothing happens if it exists."""
        if path.is_dir():
            return
        if os.path.lexists(path):
            raise ToolError(f"{self.shown(path)} is a file, not a folder")
        self.mkdir(path.parent)
        with self._changing(Change("mkdir", str(path))):
            _guard(lambda: path.mkdir(exist_ok=True), path)
            _guard(lambda: _sync(path.parent), path)

    def trash(self, path: Path) -> Path:
        """Moves to the desktop's trash and returns where it lies.

        Linux follows the freedesktop.org Trash specification 1.0 (home trash, `.trashinfo` beside it); macOS
        uses `~/.Trash`; Windows, whose recycle bin has no stable path, uses a folder in edge_agent's data.
        """
        if not os.path.lexists(path):
            raise ToolError(f"{self.shown(path)} does not exist")
        if sys.platform == "darwin":
            files = self.home / ".Trash"
        elif sys.platform == "win32":
            files = self.data / "trash"
        else:
            files = self.home / ".local/share/Trash/files"
        target = unused(files / path.name)
        if files.name == "files":
            info = f"[Trash Info]\nPath={quote(os.fsencode(path))}\nDeletionDate={self.now:%Y-%m-%dT%H:%M:%S}\n"
            self.write(files.parent / "info" / f"{target.name}.trashinfo", info, private=True)
        self._move(self._inside(path), target)
        return target

    def undo_with(self, tool: str, arguments: Mapping[str, Any]) -> None:
        """Says that a change outside the file system is reversed by calling `tool` with `arguments`.

        To be called before the change is made."""
        with self._changing(Change("call", target=tool, arguments=dict(arguments))):
            pass

    # -- inside ----------------------------------------------------------------------------------------

    @contextmanager
    def _changing(self, change: Change) -> Iterator[None]:
        """Records a change and holds the lock while it is made: after `close` none is still about to happen."""
        with self._lock:
            if self._closed:
                raise ToolError("this tool's time is over; it may change nothing more")
            self._record(change)
            yield

    def _inside(self, path: Path) -> Path:
        """`path`, links above it followed. Raises RefusedError unless it and what it leads to may be touched."""
        real, parent = _real(path), _real(path.parent)
        roots, data = (_real(self.home), _real(Path(tempfile.gettempdir()))), _real(self.data)
        place = real if real in roots else parent / path.name
        for each in (place, real):
            if not any(each.is_relative_to(root) for root in roots):
                raise RefusedError(f"{each} is outside your home folder", hint="move it into your home folder first")
            if each.is_relative_to(data):
                raise RefusedError(f"{each} belongs to edge_agent itself")
        return place

    def _put(self, path: Path, source: bytes | Path, mode: int) -> None:
        path = self._inside(path)
        if path.is_symlink():
            path = _real(path)
        if path.is_dir():
            raise ToolError(f"{self.shown(path)} is a folder, not a file")
        self.mkdir(path.parent)
        backup = None
        if path.exists():
            backup, mode = self._backup(path), path.stat().st_mode & 0o777
        after = hashlib.sha256(source).hexdigest() if isinstance(source, bytes) else file_digest(source)
        with self._changing(Change("write", str(path), backup=backup, after=after)):
            write_atomic(path, source, mode)

    def _move(self, source: Path, target: Path) -> None:
        if not os.path.lexists(source):
            raise ToolError(f"{self.shown(source)} does not exist")
        self._free(target)
        if any(_real(held).is_relative_to(source) for held in (self.home, self.data)):
            raise RefusedError(f"{self.shown(source)} holds your home or edge_agent's own data; it stays where it is")
        if _real(target).is_relative_to(_real(source)):
            raise ToolError(f"{self.shown(target)} lies inside {self.shown(source)}")
        self.mkdir(target.parent)
        with self._changing(Change("move", str(source), target=str(target))):
            _rename(source, target)

    def _free(self, target: Path) -> None:
        if os.path.lexists(target):
            raise ToolError(f"{self.shown(target)} exists already", hint="choose another name")

    def _backup(self, path: Path) -> str:
        """Keeps the content of `path` under its hash until `Journal.forget`."""
        digest = file_digest(path)
        backup = self.data / "backups" / digest[:2] / digest
        if not backup.exists():
            write_atomic(backup, path)
            if file_digest(backup) != digest:
                backup.unlink()
                raise ToolError(f"{path} is being changed by another program")
        return str(backup)


def revert(change: Change) -> str:
    """Takes one file change back and says what it did. Raises ToolError when the file has changed since.

    `call` changes are not files: the gateway runs them.
    """
    path, target = Path(change.path), Path(change.target)
    if change.op == "write":
        if not path.is_file() or file_digest(path) != change.after:
            raise ToolError(f"{path} has changed since; it is left alone")
        if change.backup is None:
            _guard(path.unlink, path)
            return f"removed {path}"
        if not Path(change.backup).exists():
            raise StoreError(f"{path}: its old content is not kept any more")
        write_atomic(path, Path(change.backup), path.stat().st_mode & 0o777)
        return f"restored {path}"
    if change.op == "move":
        if not os.path.lexists(target):
            raise ToolError(f"{target} is not there any more")
        if os.path.lexists(path):
            raise ToolError(f"{path} exists again; it is not overwritten")
        _guard(lambda: path.parent.mkdir(parents=True, exist_ok=True), path)
        _rename(target, path)
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
    while os.path.lexists(candidate):
        number += 1
        candidate = path.with_name(f"{path.stem} ({number}){path.suffix}")
    return candidate


def file_digest(path: Path) -> str:
    """sha256 (hex) of a file, read in blocks."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def private_folder(path: Path) -> None:
    """Makes a folder, and those above it that are missing, for its owner only (0700). Raises OSError."""
    if not path.is_dir():
        private_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def write_atomic(path: Path, data: bytes | Path, mode: int = 0o600) -> None:
    """Whole or not at all: temp file in the same folder, fsync, rename, folder fsync. `data` may be a file to copy.

    Raises StoreError naming the path on a full disk, a read-only folder or a missing right. A process killed
    within leaves at most the temp file; `sweep` removes it.
    """

    def write() -> None:
        private_folder(path.parent)
        prefix = f".{path.name[:40]}.{os.getpid()}-"
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=_TEMP)
        try:
            with os.fdopen(descriptor, "wb") as handle:
                if isinstance(data, bytes):
                    handle.write(data)
                else:
                    with data.open("rb") as source:
                        shutil.copyfileobj(source, handle, 1 << 20)
                handle.flush()
                os.fchmod(handle.fileno(), mode) if hasattr(os, "fchmod") else None
                os.fsync(handle.fileno())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync(path.parent)

    _guard(write, path)


def sweep(folder: Path, process: int) -> None:
    """Removes the temp files that `write_atomic`, killed in `process`, left in a folder."""
    for left in folder.glob(f".*.{process}-*{_TEMP}"):
        _guard(partial(left.unlink, missing_ok=True), left)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _rename(source: Path, target: Path) -> None:
    """One step, so never half done; therefore not from disk to disk."""

    def rename() -> None:
        try:
            os.rename(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            raise ToolError(f"{target} is on another disk than {source}", hint="copy it there instead") from error

        _sync(source.parent)
        _sync(target.parent)

    _guard(rename, target)


def _sync(folder: Path) -> None:
    """Makes names in a folder survive a power cut, where the system can."""
    if os.name == "posix" and os.access(folder, os.R_OK):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _guard(action: Callable[[], Any], path: Path) -> None:
    try:
        action()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from error


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file that a run appends to; a last line that an interrupt cut is taken out of it."""
    if not path.exists():
        return []
    whole = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
    write_atomic(path, "".join(whole).encode(), 0o644)
    return list(map(json.loads, whole))

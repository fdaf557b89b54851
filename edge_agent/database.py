"""SQLite as ledger and journal use it: WAL, private to the user, numbered migrations, clear errors."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .errors import StoreError
from .workspace import private_folder

#: How long another process may hold the file.
_WAIT_S = 10.0


class Database:
    """One file, opened on first use. Safe for several processes and threads; waits up to `_WAIT_S` for a lock.

    What is deleted is overwritten with zeros in the file (`secure_delete`).

    Args:
        path: The file; its folder is made 0700, the file 0600.
        migrations: SQL scripts in order; `user_version` counts how many have run.
        durable: True makes every commit survive a power cut (synchronous=FULL).
    """

    def __init__(self, path: Path, migrations: Sequence[str], *, durable: bool = False) -> None:
        self.path = path
        self._migrations = migrations
        self._durable = durable
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.RLock()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """BEGIN IMMEDIATE … COMMIT; rolled back on any exception. Raises StoreError naming the file."""
        with self._lock, self._named():
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[sqlite3.Row]:
        """All rows of a SELECT or PRAGMA. Raises StoreError naming the file."""
        with self._lock, self._named():
            return list(self._open().execute(sql, parameters))

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        try:
            private_folder(self.path.parent)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror}", hint="is the folder writable, the disk full?") from error
        connection = sqlite3.connect(self.path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            connection.row_factory = sqlite3.Row
            _use_wal(connection)
            connection.execute(f"PRAGMA synchronous={'FULL' if self._durable else 'NORMAL'}")
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("PRAGMA foreign_keys=ON")
            self._migrate(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        (done,) = connection.execute("PRAGMA user_version").fetchone()
        if done > len(self._migrations):
            raise StoreError(f"{self.path} was written by a newer edge_agent", hint="pip install -U edge-agent")
        for script in self._migrations[done:]:
            for statement in filter(None, (part.strip() for part in script.split(";"))):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={len(self._migrations)}")
        connection.execute("COMMIT")

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            busy = "locked" in str(error)
            raise StoreError(
                f"{self.path}: {error}",
                hint="another edge_agent is busy with it; try again"
                if busy
                else "is the disk full, or the file damaged? move it away to start anew",
            ) from error


def _use_wal(connection: sqlite3.Connection) -> None:
    """SQLite does not wait for its lock when two processes switch a new file to WAL at once, so this does."""
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def storable(text: str) -> str:
    """Text as SQLite takes it: what is not Unicode (bytes of a file name that are not UTF-8) becomes `?`."""
    return text.encode(errors="replace").decode()

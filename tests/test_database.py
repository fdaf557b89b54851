from __future__ import annotations

import errno
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from edge_agent.database import Database, storable
from edge_agent.errors import StoreError

FIRST = "CREATE TABLE notes (text TEXT NOT NULL); CREATE INDEX by_text ON notes(text)"
SECOND = "ALTER TABLE notes ADD COLUMN number INTEGER NOT NULL DEFAULT 7"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "above" / "data" / "notes.db"


def add(database: Database, text: str) -> None:
    with database.transaction() as connection:
        connection.execute("INSERT INTO notes (text) VALUES (?)", (text,))


def texts(database: Database) -> list[str]:
    return [row["text"] for row in database.rows("SELECT text FROM notes ORDER BY rowid")]


def test_nothing_is_made_before_first_use(path: Path) -> None:
    Database(path, (FIRST,)).close()
    assert not path.parent.parent.exists()


def test_files_and_folders_are_private(path: Path) -> None:
    database = Database(path, (FIRST,))
    add(database, "a")
    files = list(path.parent.iterdir())
    assert {file.name for file in files} == {"notes.db", "notes.db-wal", "notes.db-shm"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)} == {0o700}
    database.close()


def test_transaction_is_whole_or_not_at_all(path: Path) -> None:
    database = Database(path, (FIRST,))
    add(database, "kept")

    def stopped() -> None:
        with database.transaction() as connection:
            connection.execute("INSERT INTO notes (text) VALUES ('lost')")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()

    def refused() -> None:
        with database.transaction() as connection:
            connection.execute("INSERT INTO notes (text) VALUES ('lost too')")
            connection.execute("INSERT INTO notes (text) VALUES (NULL)")

    with pytest.raises(StoreError, match=r"notes\.db: NOT NULL"):
        refused()
    assert texts(database) == ["kept"]
    add(database, "after")  # and it can be used on
    assert texts(database) == ["kept", "after"]
    database.close()
    assert texts(database) == ["kept", "after"]  # closed, it opens anew
    database.close()


def test_durable_means_every_commit_is_synced(path: Path) -> None:
    for durable, level in ((True, 2), (False, 1)):
        database = Database(path, (FIRST,), durable=durable)
        assert database.rows("PRAGMA synchronous")[0][0] == level
        assert database.rows("PRAGMA journal_mode")[0][0] == "wal"
        database.close()


def test_migrations_run_once_in_order_and_keep_what_is_there(path: Path) -> None:
    old = Database(path, (FIRST,))
    add(old, "old")
    old.close()
    for _ in range(2):
        new = Database(path, (FIRST, SECOND))
        assert [tuple(row) for row in new.rows("SELECT * FROM notes")] == [("old", 7)]
        assert new.rows("PRAGMA user_version")[0][0] == 2
        new.close()
    with pytest.raises(StoreError, match=r"notes\.db was written by a newer edge_agent") as caught:
        texts(old)
    assert caught.value.hint == "pip install -U edge-agent"


def test_a_failing_migration_leaves_the_old_version(path: Path) -> None:
    old = Database(path, (FIRST,))
    add(old, "old")
    old.close()
    with pytest.raises(StoreError, match="notes"):
        texts(Database(path, (FIRST, "ALTER TABLE notes ADD COLUMN x INTEGER; CREATE NONSENSE")))
    assert [tuple(row) for row in old.rows("SELECT * FROM notes")] == [("old",)]
    old.close()


@pytest.mark.parametrize("damage", ["not a database", "cut", "overwritten"])
def test_a_damaged_file_is_named(path: Path, damage: str) -> None:
    database = Database(path, (FIRST,))
    with database.transaction() as connection:
        connection.executemany("INSERT INTO notes VALUES (?)", [("x" * 500 + str(n),) for n in range(500)])
    database.close()
    whole = path.read_bytes()
    path.write_bytes(
        {
            "not a database": b"hello" * 1000,
            "cut": whole[: len(whole) // 2],
            "overwritten": whole[:4096] + b"\xa5" * (len(whole) - 4096),
        }[damage]
    )
    with pytest.raises(StoreError, match=r"notes\.db: ") as caught:
        texts(database)
    assert "move it away" in str(caught.value.hint)
    database.close()


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_folder_that_takes_no_file_is_named(path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    real = os.open

    def refuse(name: Any, flags: int, *more: Any, **options: Any) -> int:
        if Path(name) == path:
            raise OSError(code, os.strerror(code))
        return real(name, flags, *more, **options)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreError, match=os.strerror(code)) as caught:
        texts(Database(path, (FIRST,)))
    assert str(path) in str(caught.value)


def test_a_full_disk_loses_nothing_that_was_there(path: Path) -> None:
    database = Database(path, (FIRST,))
    add(database, "kept")
    pages = database.rows("PRAGMA page_count")[0][0]
    database.rows(f"PRAGMA max_page_count={pages + 2}")  # SQLite answers as for a full disk
    with pytest.raises(StoreError, match="full"):
        add(database, "y" * 100_000)
    assert texts(database) == ["kept"]
    database.close()


def test_a_lock_held_too_long_says_so(path: Path) -> None:
    database, other = Database(path, (FIRST,)), Database(path, (FIRST,))
    add(database, "a")
    database.rows("PRAGMA busy_timeout=50")
    with other.transaction(), pytest.raises(StoreError, match="locked") as caught:
        add(database, "b")
    assert "another edge_agent" in str(caught.value.hint)
    add(database, "c")
    assert texts(other) == ["a", "c"]
    database.close()
    other.close()


def test_threads_share_one_connection(path: Path) -> None:
    database = Database(path, (FIRST,))
    failures: list[BaseException] = []

    def work(name: int) -> None:
        try:
            for number in range(50):
                add(database, f"{name}.{number}")
        except StoreError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(set(texts(database))) == 200
    database.close()


def test_two_processes_write_at_once(path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom edge_agent.database import Database\n"
        f"database = Database(Path(sys.argv[1]), ({FIRST!r},))\n"
        "for number in range(100):\n"
        "    with database.transaction() as connection:\n"
        "        connection.execute('INSERT INTO notes (text) VALUES (?)', (sys.argv[2] + str(number),))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    children = [subprocess.Popen([sys.executable, "-c", program, str(path), name], env=environment) for name in "ab"]
    assert [child.wait(timeout=60) for child in children] == [0, 0]
    database = Database(path, (FIRST,))
    assert len(set(texts(database))) == 200
    database.close()


def test_deleted_text_is_overwritten(path: Path) -> None:
    database = Database(path, (FIRST,))
    add(database, "a secret of mine")
    database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"a secret of mine" in path.read_bytes()
    with database.transaction() as connection:
        connection.execute("DELETE FROM notes")
    database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"a secret of mine" not in path.read_bytes()
    database.close()


@pytest.mark.parametrize(("text", "kept"), [("größe", "größe"), ("bad \udcff", "bad ?"), ("", "")])
def test_storable(text: str, kept: str) -> None:
    assert storable(text) == kept
    sqlite3.connect(":memory:").execute("SELECT ?", (storable(text),)).connection.close()


def test_a_file_that_another_process_is_just_making_is_waited_for(path: Path) -> None:
    path.parent.mkdir(parents=True)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE made (first)")
    other.execute("BEGIN IMMEDIATE")  # for this SQLite does not wait when the file is to become WAL
    waiting = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    waiting.start()
    database = Database(path, (FIRST,))
    add(database, "in the end")
    waiting.join()
    assert texts(database) == ["in the end"]
    database.close()
    other.close()

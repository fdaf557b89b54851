"""The journal: intent before effect, every change with its inverse, and undo.

Order on disk, each step committed with fsync before the next: the intent (tool, arguments), each change
*before* it is made, then `done` or `failed`. After a crash an intent without an end is settled on the next
start: an action made of file changes is taken back, so no half action remains; anything else is `unknown`
and shown to the person. Nothing is ever run again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .database import Database
from .errors import EdgeAgentError, ToolError
from .workspace import Change, file_digest, revert

_MIGRATIONS = (
    """
    CREATE TABLE actions (
        id INTEGER PRIMARY KEY, request TEXT NOT NULL, tool TEXT NOT NULL, digest TEXT NOT NULL,
        effect TEXT NOT NULL, arguments TEXT NOT NULL, state TEXT NOT NULL, note TEXT NOT NULL DEFAULT '',
        process INTEGER NOT NULL, started REAL NOT NULL, ended REAL
    );
    CREATE TABLE changes (
        action INTEGER NOT NULL REFERENCES actions(id) ON DELETE CASCADE,
        number INTEGER NOT NULL, change TEXT NOT NULL, PRIMARY KEY (action, number)
    );
    CREATE INDEX by_state ON actions(state)
    """,
)


@dataclass(frozen=True, slots=True)
class Action:
    """One journalled call. state: intent, done, failed, undone, rolled_back, unknown."""

    id: int
    request: str
    tool: str
    effect: str
    arguments: Mapping[str, Any]
    state: str
    note: str
    started: float
    changes: tuple[Change, ...]

    @property
    def undoable(self) -> bool:
        return self.state == "done" and bool(self.changes)


class Journal:
    """Durable record of actions in `folder/journal.db`."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._database = Database(folder / "journal.db", _MIGRATIONS, durable=True)
        self._clock = clock

    def intend(self, request: str, tool: str, digest: str, effect: str, arguments: Mapping[str, Any]) -> int:
        """Writes the intent and returns its id. Nothing may happen before this has returned."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO actions (request, tool, digest, effect, arguments, state, process, started)"
                " VALUES (?,?,?,?,?,'intent',?,?)",
                (
                    request,
                    tool,
                    digest,
                    effect,
                    json.dumps(dict(arguments), ensure_ascii=False),
                    os.getpid(),
                    self._clock(),
                ),
            )
            return int(cursor.lastrowid or 0)

    def record(self, action: int, change: Change) -> None:
        """Writes one change of an action, before the change is made."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO changes SELECT ?, count(*), ? FROM changes WHERE action=?",
                (action, json.dumps(change.as_dict(), ensure_ascii=False), action),
            )

    def end(self, action: int, state: str, note: str = "") -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE actions SET state=?, note=?, ended=? WHERE id=?", (state, note, self._clock(), action)
            )

    def actions(self, limit: int = 50, *, state: str | None = None) -> list[Action]:
        """Newest first."""
        where, values = ("WHERE state=?", (state, limit)) if state else ("", (limit,))
        rows = self._database.rows(f"SELECT * FROM actions {where} ORDER BY id DESC LIMIT ?", values)  # noqa: S608
        return [self._action(row) for row in rows]

    def _action(self, row: Any) -> Action:
        stored = self._database.rows(
            "SELECT change FROM changes WHERE action=? ORDER BY number", (row["id"],)
        )
        return Action(
            id=row["id"],
            request=row["request"],
            tool=row["tool"],
            effect=row["effect"],
            arguments=json.loads(row["arguments"]),
            state=row["state"],
            note=row["note"],
            started=row["started"],
            changes=tuple(Change(**json.loads(each["change"])) for each in stored),
        )

    def undo(self, action: Action, call: Callable[[str, Mapping[str, Any]], str]) -> list[str]:
        """Takes an action back, its changes in reverse order, and says what was done.

        `call(tool, arguments)` runs compensating calls. Stops at the first change that cannot be taken back
        (a file changed since), raising ToolError: what is left is named, nothing is overwritten.
        """
        if not action.undoable:
            raise ToolError(
                f"action {action.id} ({action.tool}) cannot be undone: it is {action.state}"
                + ("" if action.changes else " and changed nothing that can be taken back")
            )
        for change in action.changes:
            _check_unchanged(change, action.changes)
        said = [
            call(change.target, change.arguments) if change.op == "call" else revert(change)
            for change in reversed(action.changes)
        ]
        self.end(action.id, "undone")
        return said

    def settle(self) -> list[Action]:
        """Settles what a crash left: rolls back file changes, marks the rest unknown. Returns what it settled."""
        import psutil

        settled = []
        for action in self.actions(limit=1000, state="intent"):
            (row,) = self._database.rows("SELECT process FROM actions WHERE id=?", (action.id,))
            if row["process"] != os.getpid() and psutil.pid_exists(row["process"]):
                continue
            state, note = "rolled_back", "stopped half way; taken back"
            if action.effect != "write" or any(change.op == "call" for change in action.changes):
                state, note = (
                    ("unknown", "stopped half way; please look")
                    if action.effect != "read"
                    else ("failed", "stopped")
                )
            else:
                try:
                    for change in reversed(action.changes):
                        if _happened(change):
                            revert(change)
                except EdgeAgentError as error:
                    state, note = "unknown", f"stopped half way; could not be taken back: {error}"
            self.end(action.id, state, note)
            settled.append(
                self._action(self._database.rows("SELECT * FROM actions WHERE id=?", (action.id,))[0])
            )
        return settled

    def forget(self, before: float) -> int:
        """Deletes ended actions older than `before` (epoch seconds) and returns how many."""
        with self._database.transaction() as connection:
            return connection.execute(
                "DELETE FROM actions WHERE started<? AND state!='intent'", (before,)
            ).rowcount

    def close(self) -> None:
        self._database.close()


def _happened(change: Change) -> bool:
    path = Path(change.path)
    if change.op == "write":
        return path.exists() and file_digest(path) == change.after
    if change.op == "move":
        return Path(change.target).exists() and not path.exists()
    return path.is_dir()


def _check_unchanged(change: Change, changes: tuple[Change, ...]) -> None:
    """Before an undo begins: is every file still as the action left it? Later changes of the same action count."""
    path = Path(change.path)
    touched_later = [c for c in changes[changes.index(change) + 1 :] if change.path in (c.path, c.target)]
    if (
        change.op == "write"
        and not touched_later
        and (not path.exists() or file_digest(path) != change.after)
    ):
        raise ToolError(
            f"{path} has changed since; nothing was undone",
            hint="undo it by hand, or undo later actions first",
        )
    if change.op == "move" and not touched_later:
        if not Path(change.target).exists():
            raise ToolError(f"{change.target} is not there any more; nothing was undone")
        if path.exists():
            raise ToolError(f"{path} exists again; nothing was undone")

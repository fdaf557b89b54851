"""The journal: intent before effect, every change with its inverse, and undo.

Order on disk, each step committed with fsync before the next: the intent (tool, arguments), each change
*before* it is made, then `done` or `failed`. After a crash an intent without an end is settled on the next
start: an action made of file changes is taken back, so no half action remains; anything else is `unknown`
and shown to the person. An undo that was cut short is finished. Nothing is ever run again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .database import Database, storable
from .errors import EdgeAgentError, ToolError
from .workspace import Change, file_digest, revert, sweep

_MIGRATIONS = (
    """
    CREATE TABLE actions (
        id INTEGER PRIMARY KEY, request TEXT NOT NULL, tool TEXT NOT NULL, digest TEXT NOT NULL,
        effect TEXT NOT NULL, arguments TEXT NOT NULL, state TEXT NOT NULL, note TEXT NOT NULL DEFAULT '',
        process INTEGER NOT NULL, born REAL NOT NULL, started REAL NOT NULL, ended REAL
    );
    CREATE TABLE changes (
        action INTEGER NOT NULL REFERENCES actions(id) ON DELETE CASCADE,
        number INTEGER NOT NULL, change TEXT NOT NULL, reverted INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (action, number)
    );
    CREATE INDEX by_state ON actions(state)
    """,
)


@dataclass(frozen=True, slots=True)
class Action:
    """One journalled call. state: intent, done, failed, undoing, undone, rolled_back, unknown."""

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
        self._backups = folder / "backups"
        self._clock = clock

    def intend(self, request: str, tool: str, digest: str, effect: str, arguments: Mapping[str, Any]) -> int:
        """Writes the intent and returns its id. Nothing may happen before this has returned."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO actions (request, tool, digest, effect, arguments, state, process, born, started)"
                " VALUES (?,?,?,?,?,'intent',?,?,?)",
                (request, tool, digest, effect, json.dumps(dict(arguments)), *_this_process(), self._clock()),
            )
            return int(cursor.lastrowid or 0)

    def record(self, action: int, change: Change) -> None:
        """Writes one change of an action, before the change is made."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO changes SELECT ?, count(*), ?, 0 FROM changes WHERE action=?",
                (action, json.dumps(change.as_dict()), action),
            )

    def end(self, action: int, state: str, note: str = "") -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE actions SET state=?, note=?, ended=? WHERE id=?",
                (state, storable(note), self._clock(), action),
            )

    def actions(self, limit: int = 50, *, state: str | None = None) -> list[Action]:
        """Newest first."""
        where, values = ("WHERE state=?", (state, limit)) if state else ("", (limit,))
        rows = self._database.rows(f"SELECT * FROM actions {where} ORDER BY id DESC LIMIT ?", values)  # noqa: S608
        return [self._action(row) for row in rows]

    def _action(self, row: Any) -> Action:
        stored = self._database.rows("SELECT change FROM changes WHERE action=? ORDER BY number", (row["id"],))
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

        `call(tool, arguments)` runs compensating calls. Raises ToolError, with nothing done, when a file has
        changed since or another process was first. When a step fails all the same, the action is left `unknown`
        with a note of what remains; nothing is ever overwritten.
        """
        if not action.undoable:
            raise ToolError(
                f"action {action.id} ({action.tool}) cannot be undone: it is {action.state}"
                + ("" if action.changes else " and changed nothing that can be taken back")
            )
        for number, change in enumerate(action.changes):
            _check_unchanged(change, action.changes[number + 1 :])
        if not self._claim(action.id, "done", "undoing"):
            raise ToolError(f"action {action.id} ({action.tool}) is being undone already")
        said: list[str] = []
        try:
            for number, change in self._standing(action.id):
                said.append(call(change.target, change.arguments) if change.op == "call" else revert(change))
                self._mark(action.id, number)
        except BaseException as error:
            note = f"undo stopped after {len(said)} of {len(action.changes)} steps: {error}"
            self.end(action.id, *(("unknown", note) if said else ("done",)))
            raise
        self.end(action.id, "undone")
        return said

    def settle(self) -> list[Action]:
        """Settles what killed processes left, newest first: takes file changes back, marks the rest unknown.

        Returns what it settled. Actions of processes that still run, this one among them, are left alone.
        Safe in several processes at once, and when killed itself.
        """
        left = self._database.rows("SELECT * FROM actions WHERE state IN ('intent','undoing') ORDER BY id DESC")
        settled: list[Action] = []
        for row in left:
            if _alive(row["process"], row["born"]):
                continue
            self._sweep(row)
            if self._claim(row["id"], row["state"], row["state"], row):
                self.end(row["id"], *self._settlement(self._action(row)))
                found = self._database.rows("SELECT * FROM actions WHERE id=?", (row["id"],))
                settled += map(self._action, found)
        return settled

    def take_back(self, action: int) -> list[str]:
        """Reverses the file changes that an unfinished action has made; says what could not be reversed.

        Each is marked when it is reversed, so that a process killed here leaves no doubt where to go on.
        """
        troubles = []
        for number, change in self._standing(action):
            try:
                if change.op != "call":
                    if _happened(change):
                        revert(change)
                    self._mark(action, number)
            except (EdgeAgentError, OSError) as error:
                troubles.append(str(error))
        return troubles

    def _settlement(self, action: Action) -> tuple[str, str]:
        """What becomes of an action whose process died: its last state and a note. Takes file changes back."""
        calls = any(change.op == "call" for change in action.changes)
        if action.state == "undoing":
            if calls:
                return "unknown", "its undo stopped half way; please look"
            troubles = self.take_back(action.id)
            return ("unknown", f"its undo stopped half way: {'; '.join(troubles)}") if troubles else ("undone", "")
        if calls or action.effect in ("irreversible", "egress"):
            return "unknown", "stopped half way; please look"
        if troubles := self.take_back(action.id):
            return "unknown", f"stopped half way; could not be taken back: {'; '.join(troubles)}"
        if action.effect == "read" and not action.changes:
            return "failed", "stopped"
        return "rolled_back", "stopped half way; taken back"

    def _standing(self, action: int) -> list[tuple[int, Change]]:
        """Changes not yet reversed, latest first."""
        rows = self._database.rows(
            "SELECT number, change FROM changes WHERE action=? AND NOT reverted ORDER BY number DESC", (action,)
        )
        return [(row["number"], Change(**json.loads(row["change"]))) for row in rows]

    def _mark(self, action: int, number: int) -> None:
        with self._database.transaction() as connection:
            connection.execute("UPDATE changes SET reverted=1 WHERE action=? AND number=?", (action, number))

    def _claim(self, action: int, state: str, becomes: str, dead: Any = None) -> bool:
        """Makes an action this process's own; False when another has been faster."""
        whose, values = (" AND process=? AND born=?", (dead["process"], dead["born"])) if dead else ("", ())
        with self._database.transaction() as connection:
            changed = connection.execute(
                f"UPDATE actions SET state=?, process=?, born=? WHERE id=? AND state=?{whose}",  # noqa: S608
                (becomes, *_this_process(), action, state, *values),
            )
            return changed.rowcount == 1

    def _sweep(self, row: Any) -> None:
        """Removes the temp files of a dead process where the action wrote, and among the backups."""
        written = [Path(change.path).parent for change in self._action(row).changes if change.op == "write"]
        for folder in {*written, *self._backups.glob("*")}:
            sweep(folder, row["process"])

    def forget(self, before: float) -> int:
        """Deletes ended actions older than `before` (epoch seconds) and the backups that only they needed.

        Returns how many. They can no longer be undone.
        """
        with self._database.transaction() as connection:
            count = connection.execute(
                "DELETE FROM actions WHERE started<? AND state NOT IN ('intent','undoing')", (before,)
            ).rowcount
            if self._database.rows("SELECT 1 FROM actions WHERE state IN ('intent','undoing')"):
                return count  # an action under way may have made a backup that it has yet to write down
            kept = self._database.rows("SELECT json_extract(change, '$.backup') AS backup FROM changes")
            names = {Path(row["backup"]).name for row in kept if row["backup"]}
            for backup in self._backups.glob("*/*"):
                if backup.name not in names:
                    backup.unlink(missing_ok=True)
        return count

    def close(self) -> None:
        self._database.close()


def _this_process() -> tuple[int, float]:
    """Process id and start time, for ids are used again."""
    import psutil

    return os.getpid(), psutil.Process().create_time()


def _alive(process: int, born: float) -> bool:
    import psutil

    try:
        found = psutil.Process(process)
        # The start time is reckoned from the time of boot, which a clock correction moves.
        return abs(found.create_time() - born) < 2.0 and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _happened(change: Change) -> bool:
    """Was a recorded change made? Raises ToolError when someone else has changed its file since."""
    path = Path(change.path)
    if change.op == "write":
        found = file_digest(path) if path.is_file() else None
        if found not in (change.after, change.backup and Path(change.backup).name):
            raise ToolError(f"{path} has changed since; it is left alone")
        return found == change.after
    if change.op == "move":
        here, there = os.path.lexists(path), os.path.lexists(change.target)
        if here is there:
            raise ToolError(f"{path} and {change.target} have changed since; they are left alone")
        return there
    return path.is_dir()


def _check_unchanged(change: Change, later: Sequence[Change]) -> None:
    """Before an undo begins: is every file still as the action left it? Its `later` changes are followed."""
    if change.op == "write":
        path = _follow(change.path, later)
        if path and (not path.is_file() or file_digest(path) != change.after):
            raise ToolError(
                f"{path} has changed since; nothing was undone",
                hint="undo it by hand, or undo later actions first",
            )
        if change.backup and not Path(change.backup).exists():
            raise ToolError(f"the old content of {change.path} is not kept any more; nothing was undone")
    if change.op == "move":
        if (target := _follow(change.target, later)) and not os.path.lexists(target):
            raise ToolError(f"{target} is not there any more; nothing was undone")
        if (path := _follow(change.path, later)) and os.path.lexists(path):
            raise ToolError(f"{path} exists again; nothing was undone")


def _follow(path: str, later: Sequence[Change]) -> Path | None:
    """Where later changes of an action have put `path`; None when they replaced what is there."""
    at = Path(path)
    for change in later:
        if change.op == "move" and at.is_relative_to(change.path):
            at = Path(change.target) / at.relative_to(change.path)
        elif at == Path(change.target if change.op == "move" else change.path):
            return None
    return at

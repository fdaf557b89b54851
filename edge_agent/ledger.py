"""Step 8's record: one SQLite row per request, one per call, kept on this machine only.

What is stored: text, tools offered and kept, tokens, milliseconds and joules per step with their source,
confidence, decision, calls with arguments and results, error. With `store_content = false` the texts,
arguments and results are left out and everything else is kept. Rows older than `retention_days` go when the
next one is written. The file is readable by its owner only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .database import Database, storable
from .errors import StoreError

_MIGRATIONS = (
    """
    CREATE TABLE requests (
        id TEXT PRIMARY KEY, at REAL NOT NULL, model TEXT NOT NULL, text TEXT, answer TEXT,
        tools_offered INTEGER NOT NULL, tools_kept TEXT NOT NULL,
        prompt_tokens INTEGER NOT NULL, reused_tokens INTEGER NOT NULL,
        generated_tokens INTEGER NOT NULL, forced_tokens INTEGER NOT NULL,
        elapsed_ms REAL NOT NULL, steps_ms TEXT NOT NULL, energy TEXT, steps_joules TEXT,
        confidence REAL, decision TEXT NOT NULL, error TEXT
    );
    CREATE TABLE calls (
        request TEXT NOT NULL REFERENCES requests(id) ON DELETE CASCADE, number INTEGER NOT NULL,
        tool TEXT NOT NULL, arguments TEXT, result TEXT, error TEXT, action INTEGER NOT NULL, elapsed_ms REAL NOT NULL,
        PRIMARY KEY (request, number)
    );
    CREATE INDEX by_time ON requests(at)
    """,
)


@dataclass(frozen=True, slots=True)
class CallRow:
    """One executed (or refused) call. `action` is the journal's id, 0 when nothing was begun."""

    tool: str
    arguments: Mapping[str, Any]
    result: str
    error: str
    action: int
    elapsed_ms: float


@dataclass(frozen=True, slots=True)
class Row:
    """One request in numbers. Tokens are counts, steps_ms and steps_joules are keyed by step, `energy` is
    `power.Energy.as_dict()` or None when unknown."""

    id: str
    at: float
    model: str
    text: str | None
    answer: str | None
    tools_offered: int
    tools_kept: Sequence[str]
    prompt_tokens: int
    reused_tokens: int
    generated_tokens: int
    forced_tokens: int
    elapsed_ms: float
    steps_ms: Mapping[str, float]
    energy: Mapping[str, Any] | None
    steps_joules: Mapping[str, float] | None
    confidence: float | None
    decision: str
    error: str | None
    calls: Sequence[CallRow] = field(default_factory=tuple)


_JSON = ("tools_kept", "steps_ms", "energy", "steps_joules")
_TEXTS = ("text", "answer", "error")
_COLUMNS = tuple(name for name in Row.__dataclass_fields__ if name != "calls")


class Ledger:
    """`folder/ledger.db`. Opened on first use; costs about a millisecond per request."""

    def __init__(
        self,
        folder: Path,
        *,
        store_content: bool = True,
        retention_days: int = 90,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = Database(folder / "ledger.db", _MIGRATIONS)
        self._store_content = store_content
        self._retention_days = retention_days
        self._clock = clock

    def add(self, row: Row) -> None:
        """Writes a request with its calls in one transaction, and drops rows past retention."""
        keep = self._store_content
        values: dict[str, Any] = {name: getattr(row, name) for name in _COLUMNS}
        values.update({name: None if values[name] is None else _dump(values[name]) for name in _JSON})
        values.update({name: storable(values[name]) for name in _TEXTS if values[name] is not None})
        if not keep:
            values.update(text=None, answer=None, error=values["error"] and "(not kept)")
        marks = ",".join("?" * len(_COLUMNS))
        with self._database.transaction() as connection:
            connection.execute(
                f"INSERT INTO requests ({','.join(_COLUMNS)}) VALUES ({marks})",  # noqa: S608
                [values[name] for name in _COLUMNS],
            )
            connection.executemany(
                "INSERT INTO calls VALUES (?,?,?,?,?,?,?,?)",
                [
                    (
                        row.id,
                        number,
                        call.tool,
                        _dump(call.arguments) if keep else None,
                        storable(call.result) if keep else None,
                        storable(call.error) if keep else call.error and "(not kept)",
                        call.action,
                        call.elapsed_ms,
                    )
                    for number, call in enumerate(row.calls)
                ],
            )
            if self._retention_days:
                oldest = self._clock() - self._retention_days * 86_400
                connection.execute("DELETE FROM requests WHERE at<?", (oldest,))

    def rows(
        self,
        *,
        limit: int = 20,
        since: float = 0.0,
        decision: str = "",
        tool: str = "",
        text: str = "",
        id: str = "",
    ) -> Iterator[Row]:
        """Newest first, filtered: `tool` by (part of) name, `text` by substring, `id` by prefix."""
        where, values = ["at>=?"], [since]
        filters: list[tuple[str, str, str]] = [
            (decision, "decision=?", decision),
            (text, "text LIKE ? ESCAPE '!'", _like(text)),
            (id, "id LIKE ? ESCAPE '!'", _like(id)[1:]),
            (tool, "id IN (SELECT request FROM calls WHERE tool LIKE ? ESCAPE '!')", _like(tool)),
        ]
        parameters: list[object] = list(values)
        for given, clause, value in filters:
            if given:
                where.append(clause)
                parameters.append(value)
        query = f"SELECT * FROM requests WHERE {' AND '.join(where)} ORDER BY at DESC, rowid DESC LIMIT ?"  # noqa: S608
        for found in self._database.rows(query, [*parameters, limit]):
            fields = {name: found[name] for name in _COLUMNS}
            fields.update({name: json.loads(fields[name]) if fields[name] else None for name in _JSON})
            calls = self._database.rows("SELECT * FROM calls WHERE request=? ORDER BY number", (found["id"],))
            yield Row(
                **fields,
                calls=tuple(
                    CallRow(
                        c["tool"],
                        json.loads(c["arguments"] or "{}"),
                        c["result"] or "",
                        c["error"] or "",
                        c["action"],
                        c["elapsed_ms"],
                    )
                    for c in calls
                ),
            )

    def totals(self) -> dict[str, Any]:
        """Requests by decision, mean and p95 milliseconds, known joules in all (None when none is known)."""
        rows = self._database.rows("SELECT decision, elapsed_ms, energy FROM requests ORDER BY elapsed_ms")
        joules = [json.loads(r["energy"]).get("joules") for r in rows if r["energy"]]
        known = [value for value in joules if value is not None]
        decisions: dict[str, int] = {}
        for row in rows:
            decisions[row["decision"]] = decisions.get(row["decision"], 0) + 1
        times = [row["elapsed_ms"] for row in rows]
        return {
            "requests": len(rows),
            "decisions": decisions,
            "p50_ms": times[len(times) // 2] if times else None,
            "p95_ms": times[int(len(times) * 0.95)] if times else None,
            "joules": sum(known) if known else None,
        }

    def forget(self, *, id: str = "", before: float | None = None) -> int:
        """Deletes one request (by id prefix), those before a time, or, with neither, all. Returns how many."""
        with self._database.transaction() as connection:
            if id:
                return connection.execute("DELETE FROM requests WHERE id LIKE ? ESCAPE '!'", (_like(id)[1:],)).rowcount
            if before is not None:
                return connection.execute("DELETE FROM requests WHERE at<?", (before,)).rowcount
            return connection.execute("DELETE FROM requests").rowcount

    def vacuum(self) -> None:
        """Overwrites what was forgotten, in the file and its write-ahead log. Raises StoreError when another process
        reads or writes at this moment."""
        self._database.rows("VACUUM")
        ((busy, *_),) = self._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise StoreError(f"{self._database.path} is in use; old texts are not overwritten yet", hint="try again")

    def close(self) -> None:
        self._database.close()


def _dump(value: Any) -> str:
    return storable(json.dumps(value, ensure_ascii=False, default=str))


def _like(text: str) -> str:
    return "%" + text.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%"

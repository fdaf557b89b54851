"""Rings what is due: the alarms (VALARM) of the tasks folder, whichever program wrote them.

`run` is a loop that sleeps until the next alarm, looking every few seconds whether a file has changed (one
`scandir`, about 20 µs a file). An alarm is recorded as rung, on disk, before it is shown: after a crash it may
have been missed, but it never rings twice. What came due while nothing was running rings at the next start and
says that it is late; of a repeating task only the latest such time does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from ..errors import EdgeAgentError, StoreError
from ..host import Host
from .agenda import Item, coming, length, local, read, said

POLL_S = 3.0
_LATE = timedelta(minutes=1)
#: Older alarms are not rung any more, and their records are dropped (twice this age).
_STALE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Ring:
    """One alarm of one task: when it rings, what it says, and a key that no other alarm has."""

    at: datetime
    text: str
    key: str


def rings(tasks_dir: Path, now: datetime) -> list[Ring]:
    """Alarms of open tasks, from a week ago to a year ahead, soonest first.

    Of a repeating task only the latest past one and the next.
    """
    items, _ = read(tasks_dir, "VTODO")
    found: list[Ring] = []
    for item in items:
        if item.open:
            mine = sorted(_alarms(item, now), key=lambda ring: ring.at)
            past = [ring for ring in mine if ring.at <= now]
            coming = [ring for ring in mine if ring.at > now]
            found += (past[-1:] + coming[:1]) if item.repeats else mine
    return sorted((ring for ring in found if ring.at > now - _STALE), key=lambda ring: (ring.at, ring.key))


def run(tasks_dir: Path, host: Host, state_dir: Path, *, once: bool = False, tz: tzinfo | None = None) -> int:
    """Rings until nothing is left to ring, and returns how many rang; 0 at once if a ringer runs already.

    once: ring what is due now and return. tz: zone of the times shown; the system's if None.
    Raises StoreError when the record in `state_dir` cannot be written: nothing rings unrecorded.
    """
    from filelock import FileLock, Timeout

    _folder(state_dir)
    ringer = _Ringer(tasks_dir, host, state_dir / "rung.jsonl", tz or _local_zone())
    while True:
        try:
            with FileLock(state_dir / "ringer.lock", timeout=0):
                ringer.run(once)
        except Timeout:
            return ringer.count
        # a task written between the last look and the lock's release found a ringer running: look again
        if once or ringer.seen == _signature(tasks_dir):
            return ringer.count


def ensure_running(tasks_dir: Path, state_dir: Path) -> bool:
    """Starts `edge-agent clock run` as a process of its own, unless one runs or nothing waits to ring.

    Costs one read of the tasks folder. Its output goes to `ringer.log` in `state_dir`. Returns whether it was
    started; two starts at once are harmless, the second ends by itself. Raises StoreError.
    """
    from filelock import FileLock, Timeout

    if not _open(rings(tasks_dir, datetime.now(UTC)), _rung(state_dir / "rung.jsonl")):
        return False
    _folder(state_dir)
    try:
        with FileLock(state_dir / "ringer.lock", timeout=0):
            log = os.open(state_dir / "ringer.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except Timeout:
        return False
    except OSError as error:
        raise StoreError(f"{state_dir}: {error.strerror or error}") from error
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    try:
        subprocess.Popen(
            [sys.executable, "-P", "-m", "edge_agent", "clock", "run"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            close_fds=True,
            **apart,
        )
    except OSError as error:
        raise StoreError(f"the ringer could not be started: {error.strerror or error}") from error
    finally:
        os.close(log)
    return True


class _Ringer:
    """The loop, for one process that holds the lock."""

    def __init__(
        self,
        tasks_dir: Path,
        host: Host,
        record: Path,
        tz: tzinfo,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.tasks_dir, self.host, self.record, self.tz = tasks_dir, host, record, tz
        self.now, self.sleep = now, sleep
        self.count = 0
        self.seen: frozenset[tuple[str, int]] | None = None

    def run(self, once: bool) -> None:
        rung = _rung(self.record)
        self._forget(rung)
        waiting: list[Ring] = []
        self.seen = None
        while True:
            now, signature = self.now().astimezone(self.tz), _signature(self.tasks_dir)
            if signature != self.seen:
                self.seen, waiting = signature, _open(rings(self.tasks_dir, now), rung)
            due = [each for each in waiting if each.at <= now]
            for ring in due:
                self._ring(ring, now)
                rung[ring.key] = now
                self.count += 1
            if due:  # a repeating task has its next time now
                waiting = _open(rings(self.tasks_dir, now), rung)
            if once or not waiting:
                return
            left = (waiting[0].at - self.now()).total_seconds()
            self.sleep(min(max(left, 0.01), POLL_S))

    def _ring(self, ring: Ring, now: datetime) -> None:
        self._append({"key": ring.key, "at": now.astimezone(UTC).isoformat(timespec="seconds")})
        late = now - ring.at
        note = f"due {said(ring.at.astimezone(self.tz))}, {length(late)} ago" if late >= _LATE else ""
        try:
            self.host.notify(ring.text, note)
        except EdgeAgentError as error:  # no notifier: the terminal, or the log, has it
            print(f"\a{ring.text}{f' ({note})' if note else ''} [{error}]", flush=True)

    def _append(self, row: dict[str, str]) -> None:
        try:
            descriptor = os.open(self.record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(descriptor, (json.dumps(row) + "\n").encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StoreError(f"{self.record}: {error.strerror or error}") from error

    def _forget(self, rung: dict[str, datetime]) -> None:
        """Drops records too old to matter, so that the file does not grow for ever."""
        from ..workspace import write_atomic

        kept = {key: at for key, at in rung.items() if at > self.now() - 2 * _STALE}
        if len(kept) < len(rung):
            rows = (json.dumps({"key": key, "at": at.isoformat(timespec="seconds")}) for key, at in kept.items())
            write_atomic(self.record, "".join(f"{row}\n" for row in rows).encode(), 0o600)


def _folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from error


def _alarms(item: Item, now: datetime) -> Iterable[Ring]:
    bells = [part for part in item.component.subcomponents if part.name == "VALARM"]
    if not bells:
        return
    for each in coming([item], now - 2 * _STALE):
        for bell in bells:
            trigger = bell.get("TRIGGER")
            if trigger is None:
                continue
            if isinstance(trigger.dt, timedelta):
                base = each.end if str(trigger.params.get("RELATED", "")).upper() == "END" else each.start
                at = (base.astimezone(UTC) + trigger.dt).astimezone(base.tzinfo)
            else:
                at = local(trigger.dt, now.tzinfo)
            text = str(bell.get("DESCRIPTION", "")) or each.title
            yield Ring(at, text, f"{item.component.get('UID', item.path.name)} {at.astimezone(UTC):%Y%m%dT%H%M%SZ}")


def _open(found: list[Ring], rung: dict[str, datetime]) -> list[Ring]:
    return [ring for ring in found if ring.key not in rung]


def _rung(record: Path) -> dict[str, datetime]:
    """Keys of what has rung, with when. A line cut short by a crash is passed over."""
    found: dict[str, datetime] = {}
    try:
        lines = record.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return found
    except OSError as error:
        raise StoreError(f"{record}: {error.strerror or error}") from error
    for line in lines:
        try:
            row = json.loads(line)
            found[row["key"]] = datetime.fromisoformat(row["at"])
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _signature(folder: Path) -> frozenset[tuple[str, int]]:
    try:
        with os.scandir(folder) as entries:
            return frozenset((entry.name, entry.stat().st_mtime_ns) for entry in entries if entry.name.endswith(".ics"))
    except OSError:
        return frozenset()


def _local_zone() -> tzinfo:
    from tzlocal import get_localzone

    return get_localzone()

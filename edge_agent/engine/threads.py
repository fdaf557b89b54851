"""How many threads to run: physical cores, less what the machine is busy with right now.

Two runnable threads on one core cost llama.cpp far more than half its speed, because every layer waits for
the slowest thread; so a busy core is left alone.
"""

from __future__ import annotations

import os
import time
from pathlib import Path


def usable_cores() -> int:
    """Physical cores this process may run on (affinity respected), at least 1."""
    import psutil

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or allowed
    return max(1, min(allowed, physical))


def busy_threads(root: Path = Path("/")) -> int:
    """Threads of other processes that are runnable now (Linux: the fourth field of loadavg, less this process's own,
    among which llama.cpp's workers still spin after a pass); elsewhere the 1-minute load."""
    try:
        running = int((root / "proc/loadavg").read_text().split()[3].split("/")[0])
    except (OSError, IndexError, ValueError):
        return int(os.getloadavg()[0]) if hasattr(os, "getloadavg") else 0
    return max(0, running - max(1, _own_running(root / "proc/self/task")))


def _own_running(tasks: Path) -> int:
    count = 0
    for task in tasks.glob("*/stat"):
        try:  # the state follows the name, which stands in parentheses and may hold anything
            count += task.read_text().rpartition(")")[2].split()[0] == "R"
        except (OSError, IndexError):  # a thread that has just ended
            continue
    return count


def choose(wanted: int | None = None, *, cores: int | None = None, busy: int | None = None) -> int:
    """`wanted` if given (and positive), else cores less busy ones, at least 1."""
    if wanted and wanted > 0:
        return wanted
    cores = usable_cores() if cores is None else cores
    busy = _steadily_busy() if busy is None else busy
    return max(1, cores - busy)


def _steadily_busy(samples: int = 3, apart_s: float = 0.004) -> int:
    """Median of a few looks: one look may fall into a gap."""
    seen = [busy_threads()]
    for _ in range(samples - 1):
        time.sleep(apart_s)
        seen.append(busy_threads())
    return sorted(seen)[samples // 2]

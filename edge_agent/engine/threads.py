"""How many threads to run: physical cores, less what the machine is busy with right now.

Two runnable threads on one core cost llama.cpp far more than half its speed, because every layer waits for
the slowest thread; so a busy core is left alone.
"""

from __future__ import annotations

import os
from pathlib import Path


def usable_cores() -> int:
    """Physical cores this process may run on (affinity respected), at least 1."""
    import psutil

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or allowed
    return max(1, min(allowed, physical))


def busy_threads(root: Path = Path("/")) -> int:
    """Threads runnable now besides this one (Linux: the fourth field of loadavg); elsewhere the 1-minute load."""
    try:
        running = (root / "proc/loadavg").read_text().split()[3].split("/")[0]
        return max(0, int(running) - 1)
    except (OSError, IndexError, ValueError):
        return int(os.getloadavg()[0]) if hasattr(os, "getloadavg") else 0


def choose(wanted: int | None = None, *, cores: int | None = None, busy: int | None = None) -> int:
    """`wanted` if given (and positive), else cores less busy ones, at least 1."""
    if wanted and wanted > 0:
        return wanted
    cores = usable_cores() if cores is None else cores
    busy = busy_threads() if busy is None else busy
    return max(1, cores - busy)

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from edge_agent.engine import threads


@pytest.mark.parametrize(
    ("wanted", "cores", "busy", "chosen"),
    [
        (None, 4, 0, 4),
        (None, 4, 1, 3),
        (None, 4, 9, 1),
        (None, 1, 0, 1),
        (0, 4, 0, 4),
        (-2, 4, 0, 4),
        (3, 2, 5, 3),
    ],
)
def test_wanted_or_what_is_free(wanted: int | None, cores: int, busy: int, chosen: int) -> None:
    assert threads.choose(wanted, cores=cores, busy=busy) == chosen


@pytest.mark.parametrize(
    ("text", "busy"), [("0.5 0.4 0.3 3/512 4242\n", 2), ("0.0 0.0 0.0 1/80 1", 0), ("0 0 0 0/80 1", 0)]
)
def test_busy_threads_are_counted_without_this_one(tmp_path: Path, text: str, busy: int) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/loadavg").write_text(text)
    assert threads.busy_threads(tmp_path) == busy


def test_spinning_workers_of_this_process_are_not_load(tmp_path: Path) -> None:
    for number, state in enumerate("RRSR"):
        task = tmp_path / f"proc/self/task/{number}"
        task.mkdir(parents=True)
        (task / "stat").write_text(f"{number} (a) R b) {state} 1 1")
    (tmp_path / "proc/loadavg").write_text("0.5 0.4 0.3 5/512 4242")
    assert threads.busy_threads(tmp_path) == 2


@pytest.mark.parametrize("text", [None, "", "0 0 0", "0 0 0 many/80 1"])
def test_elsewhere_the_load_average_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    if text is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/loadavg").write_text(text)
    monkeypatch.setattr(os, "getloadavg", lambda: (2.7, 0.0, 0.0), raising=False)
    assert threads.busy_threads(tmp_path) == 2
    monkeypatch.delattr(os, "getloadavg")
    assert threads.busy_threads(tmp_path) == 0


@pytest.mark.parametrize(
    ("allowed", "physical", "usable"), [({0, 1, 2, 3}, 2, 2), ({0}, 8, 1), ({0, 1}, None, 2), (set(), 8, 1)]
)
def test_usable_cores_respect_affinity_and_hyperthreads(
    monkeypatch: pytest.MonkeyPatch, allowed: set[int], physical: int | None, usable: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed, raising=False)
    count: Callable[..., int | None] = lambda logical: physical  # noqa: E731
    monkeypatch.setattr(psutil, "cpu_count", count)
    assert threads.usable_cores() == usable


def test_on_this_machine_a_busy_thread_is_seen() -> None:
    if not Path("/proc/loadavg").exists():
        pytest.skip("Linux only")
    assert 1 <= threads.choose() <= threads.usable_cores()
    spinner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        deadline = time.monotonic() + 5
        while not threads.busy_threads():
            assert time.monotonic() < deadline
    finally:
        spinner.kill()
        spinner.wait()

"""The compiler of foreign schemas: same results, bounds that hold, a process that comes back and goes away."""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Timer
from typing import Any

import psutil
import pytest

from edge_agent.errors import EngineError, SchemaError
from edge_agent.grammar import compile_schema, worker
from edge_agent.grammar.worker import Worker, compile_foreign, validate_foreign

TIMER: dict[str, Any] = {
    "type": "object",
    "properties": {"minutes": {"type": "integer", "minimum": 1}, "who": {"$ref": "http://people/"}},
    "required": ["minutes"],
}
#: Keeps Python's `re` busy for hours.
STUCK = {"schema": {"type": "string", "pattern": "^(a+)+$"}, "value": "a" * 60 + "b", "name": "stuck"}

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits and signals as Linux has them")


@pytest.fixture(scope="module")
def shared() -> Iterator[Worker]:
    with Worker() as one:
        yield one


def _child(monkeypatch: pytest.MonkeyPatch, line: str) -> Worker:
    """A worker whose process starts with `line`, in which `w` is the module."""
    main = f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); import edge_agent.grammar.worker as w; {line}"
    monkeypatch.setattr(worker, "_MAIN", main)
    return Worker()


@pytest.mark.parametrize("call", [True, False])
def test_the_same_as_in_this_process(shared: Worker, call: bool) -> None:
    remotes = {"http://people/": {"enum": ["me", "you"]}}
    there = shared.compile(TIMER, name="set_timer", call=call, remotes=remotes)
    here = compile_schema(TIMER, name="set_timer", call=call, remotes=remotes)
    assert there == here
    assert there.accepts('{"minutes":5,"who":"me"}')
    assert there.gbnf == here.gbnf
    assert shared.compile({"format": "date"}, name="d", formats=False).accepts('"no"')


def test_validates(shared: Worker) -> None:
    assert shared.validate(
        TIMER, {"minutes": 0, "who": 1}, name="t", remotes={"http://people/": {"type": "string"}}
    ) == [
        "minutes: 0 is less than the minimum of 1",
        "who: 1 is not of type 'string'",
    ]
    assert shared.validate({"format": "date"}, "no", name="t")
    assert shared.validate({"format": "date"}, "no", name="t", formats=False) == []
    assert shared.validate(True, None, name="t") == []
    with pytest.raises(SchemaError, match="my_tool: cannot follow"):
        shared.validate({"$ref": "http://nowhere/"}, 1, name="my_tool")


def test_stays_warm(shared: Worker) -> None:
    shared.start()
    pid = shared.pid
    assert [shared.compile({"const": number}, name="n").accepts(str(number)) for number in range(5)] == [True] * 5
    assert shared.pid == pid


_cycle: dict[str, Any] = {}
_cycle["not"] = _cycle
_deep: Any = True
for _ in range(10_000):
    _deep = {"not": _deep}
REFUSED: list[tuple[Any, str]] = [
    ({"type": "objekt"}, "'objekt' is not a type"),
    ({"properties": {"a": {"minLength": "x"}}}, "a: minLength"),
    (7, "not a schema"),
    (_cycle, "not JSON"),
    (_deep, "too deep"),
    ({"const": {1}}, "not JSON"),
    ({"const": "x" * 8_000_001}, "bytes long, more than 8000000"),
]


@pytest.mark.parametrize(("schema", "said"), REFUSED)
def test_refusals_name_the_tool(shared: Worker, schema: Any, said: str) -> None:
    with pytest.raises(SchemaError, match=said) as caught:
        shared.compile(schema, name="my_tool", call=True)
    assert caught.value.message.startswith("my_tool")


def test_too_slow(shared: Worker) -> None:
    shared.start()
    before, begun = shared.pid, time.monotonic()
    with pytest.raises(SchemaError, match=r"^stuck: .*longer than 0\.3 s"):
        shared.validate(**STUCK, timeout_s=0.3)
    assert time.monotonic() - begun < 3
    assert shared.compile(True, name="next").accepts("1")
    assert shared.pid != before


@linux
@pytest.mark.parametrize("memory_mb", [2, 20])
def test_too_large(shared: Worker, memory_mb: int) -> None:
    with pytest.raises(SchemaError, match=f"^big: .*(more than|given) {memory_mb} MB"):
        shared.compile(
            {"anyOf": [{"const": {"kind": i}} for i in range(4_000)]}, name="big", memory_mb=memory_mb, timeout_s=60
        )
    assert shared.compile(True, name="next").accepts("1")


@linux
def test_a_process_that_dies_is_an_error_and_another_starts(shared: Worker) -> None:
    shared.start()
    pid = shared.pid
    assert pid
    killer = Timer(0.2, os.kill, (pid, signal.SIGSEGV))
    killer.start()
    with pytest.raises(SchemaError, match=r"^stuck: .*SIGSEGV"):
        shared.validate(**STUCK)
    killer.join()
    assert shared.compile(True, name="next").accepts("1")


@linux
def test_one_that_died_idle_is_not_missed(shared: Worker) -> None:
    shared.start()
    assert shared.pid
    os.kill(shared.pid, signal.SIGKILL)
    psutil.Process(shared.pid).wait(5)
    assert shared.compile(True, name="next").accepts("1")


@linux
def test_an_interrupt_leaves_no_answer_behind(shared: Worker) -> None:
    shared.start()
    timer = Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        shared.validate(**STUCK)
    timer.join()
    assert shared.validate({"const": 1}, 1, name="next") == []


def test_leaves_when_idle_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with _child(monkeypatch, "w.IDLE_S = 0.05; w.serve()") as idle:
        for number in range(6):
            assert idle.compile({"const": number}, name="n").accepts(str(number))
            time.sleep(0.05 * (number % 3))  # it may just be about to leave


def test_an_answer_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    with _child(monkeypatch, "w.MAX_REPLY_BYTES = 100; w.serve()") as small:  # noqa: SIM117
        with pytest.raises(SchemaError, match=r"my_tool: the grammar is \d+ bytes, more than 100"):
            small.compile(TIMER, name="my_tool")


def test_prints_of_libraries_are_no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    line = (
        "import os; real = w._bound; w._bound = lambda *a: (os.write(1, b'noise'), print('noise'), real(*a)); w.serve()"
    )
    with _child(monkeypatch, line) as noisy:
        assert noisy.compile(True, name="n").accepts("1")


def test_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="code 3 while starting"):
        _child(monkeypatch, "raise SystemExit(3)").start()
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(EngineError, match="cannot be started"):
        Worker().start()


def test_threads_take_turns(shared: Worker) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: shared.compile({"const": number}, name=f"t{number}"), range(40)))
    assert [each.accepts(str(number)) for number, each in enumerate(found)] == [True] * 40


@pytest.mark.parametrize("harmful", [os.system, subprocess.Popen, Worker, time.sleep])
def test_unpickles_records_only(harmful: Any) -> None:
    with pytest.raises(pickle.UnpicklingError):
        worker._Unpickler(io.BytesIO(pickle.dumps(harmful))).load()


#: No `if __name__ == "__main__"`, as scripts are written.
SCRIPT = """
import sys
from edge_agent.grammar.worker import compile_foreign, validate_foreign, _shared
print(compile_foreign({"const": 5}, name="t").accepts("5"), validate_foreign({"const": 5}, 5, name="t"))
"""
FORKS = """
import os
pid = _shared.pid
_shared._lock.acquire()  # as another thread may, at the moment of the fork
child = os.fork()
if not child:
    ok = _shared.pid is None and compile_foreign({"const": 6}, name="t").accepts("6") and _shared.pid != pid
    _shared.close()
    os._exit(0 if ok else 1)
_shared._lock.release()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), compile_foreign({"const": 7}, name="t").accepts("7"))
print(_shared.pid == pid)
"""


def _run(script: str) -> list[str]:
    flags = ["-W", "error", "-W", "ignore::DeprecationWarning"]  # 3.12 warns of a fork beside native threads
    done = subprocess.run(
        [sys.executable, *flags, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_works_from_a_plain_script_and_ends_with_it() -> None:
    *said, pid = _run(SCRIPT + "print(_shared.pid)")
    assert said == ["True", "[]"]
    assert not psutil.pid_exists(int(pid))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_after_a_fork_each_has_its_own() -> None:
    assert _run(SCRIPT + FORKS) == ["True", "[]", "0", "True", "True"]


def test_one_for_the_process() -> None:
    assert compile_foreign(TIMER, name="t", call=True).accepts('{"minutes":5}')
    assert validate_foreign(TIMER["properties"]["minutes"], 5, name="t") == []

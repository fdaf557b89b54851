"""Schemas from strangers are compiled where they can do no harm: in a child process with bounds, killed when over.

The child is this interpreter running `serve`. Schemas go in as JSON; what comes back is unpickled from our own child
only, and only into the classes of a compiled schema. It is kept warm for the next schema and leaves when idle.
`compile_foreign` and `validate_foreign` use one child for the whole process.

Time is bounded everywhere. Memory is bounded by the operating system (RLIMIT_AS) on Linux; macOS takes that limit
without holding to it and Windows has none, so there time alone bounds it. Run on Linux only.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import os
import pickle
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from threading import Lock, Timer
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from ..errors import EdgeAgentError, EngineError, SchemaError

if TYPE_CHECKING:
    from .compiled import Compiled

TIMEOUT_S = 5.0
MEMORY_MB = 512
#: Longest schema with its remote documents, and largest compiled one, as they go through the pipe.
MAX_SCHEMA_BYTES = 8_000_000
MAX_REPLY_BYTES = 32_000_000
#: How long the child may take to start on a busy machine, to leave once it is done, and to wait for work.
START_S = 60.0
LEAVE_S = 5.0
IDLE_S = 120.0

# No `-m`, no multiprocessing: neither the program's own `__main__` nor its working folder plays a part.
_MAIN = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from edge_agent.grammar.worker import serve; serve()"
_LENGTH_BYTES = 8
_PACKAGE = __name__.rpartition(".")[0]


def json_text(value: Any, name: str) -> str:
    """`value` as JSON, in its own order. Raises SchemaError, naming `name`, when it has no JSON."""
    try:
        return json.dumps(value, separators=(",", ":"), default=_plain)
    except (TypeError, ValueError) as error:
        raise SchemaError(f"{name}: the schema is not JSON: {error}") from None
    except RecursionError:
        raise SchemaError(f"{name}: the schema is nested too deep") from None


def _plain(value: Any) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


class Worker:
    """One child process, started when first needed, and again after it was killed. For any number of threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        _workers.add(self)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The child's, while there is one."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Starts the child unless it runs. Raises EngineError when it cannot."""
        with self._lock:
            self._running()

    def close(self) -> None:
        """Ends the child. Whoever asks next starts another."""
        with self._lock:
            self._end()

    def forget(self) -> None:
        """After a fork: the child is the other process's to use and to end."""
        if self._process:
            self._process.returncode = 0  # not to be waited for here
            _close(self._process)
        self._lock, self._process = Lock(), None  # a thread that is not here may have held the lock

    def compile(
        self,
        schema: Any,
        *,
        name: str,
        call: bool = False,
        formats: bool = True,
        remotes: Mapping[str, Any] | None = None,
        timeout_s: float = TIMEOUT_S,
        memory_mb: int = MEMORY_MB,
    ) -> Compiled:
        """As `compile_schema`, in the child, which has built and asked a native matcher of it too.

        Args:
            timeout_s: Seconds by the clock, without the wait for other threads and for a cold start (about 0.5 s).
            memory_mb: What this schema may take beyond what the idle child has.

        Raises:
            SchemaError: As `compile_schema`, or naming the limit that was broken or the signal that ended the child.
            EngineError: No child can be started.

        Threads take turns. Costs the matcher and a fraction of a millisecond more than `compile_schema`.
        """
        asked = {"schema": schema, "name": name, "call": call, "formats": formats, "remotes": remotes}
        compiled: Compiled = self._ask(asked, name, timeout_s, memory_mb)
        return replace(compiled, schema=schema, remotes=remotes or {})

    def validate(
        self,
        schema: Any,
        value: Any,
        *,
        name: str,
        formats: bool = True,
        remotes: Mapping[str, Any] | None = None,
        timeout_s: float = TIMEOUT_S,
        memory_mb: int = MEMORY_MB,
    ) -> list[str]:
        """As `Compiled.validate`, in the child: a pattern can keep a validator busy for years. Raises as `compile`."""
        asked = {"schema": schema, "name": name, "formats": formats, "remotes": remotes, "value": value}
        problems: list[str] = self._ask(asked, name, timeout_s, memory_mb)
        return problems

    def _ask(self, asked: Mapping[str, Any], name: str, timeout_s: float, memory_mb: int) -> Any:
        request = json_text({**asked, "timeout_s": timeout_s, "memory_mb": memory_mb}, name).encode()
        if len(request) > MAX_SCHEMA_BYTES:
            raise SchemaError(f"{name}: the schema is {len(request)} bytes long, more than {MAX_SCHEMA_BYTES}")
        with self._lock:
            reply, ended = self._exchange(request, timeout_s)
            if reply is None and ended == 0:  # it was about to leave, idle
                reply, ended = self._exchange(request, timeout_s)
        if reply is None:
            broken = f"takes longer than {timeout_s:g} s" if ended is None else f"{_how(ended)}, given {memory_mb} MB"
            raise SchemaError(f"{name}: compiling this schema {broken}", hint="make it smaller, or ask its author to")
        problem, result = _Unpickler(io.BytesIO(reply)).load()
        if problem:
            raise SchemaError(problem[0], hint=problem[1])
        return result

    def _exchange(self, request: bytes, timeout_s: float) -> tuple[bytes | None, int | None]:
        """The answer; without one, how the child ended: its exit code, None when it was killed for being late."""
        process = self._running()
        try:
            with _Watch(process, timeout_s) as watch:
                _send(process.stdin, request)
                reply = _receive(process.stdout)
        except BaseException:  # an interrupt: the answer still to come would be taken for the next one's
            self._end()
            raise
        if watch.late:
            self._end()
            return reply, None
        return reply, None if reply is not None else self._end(LEAVE_S)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process and self._process.poll() is None:
            return self._process
        self._end()
        command = [sys.executable, "-c", _MAIN, json.dumps(sys.path)]
        quiet, pipe = subprocess.DEVNULL, subprocess.PIPE
        try:
            self._process = subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, stderr=quiet)
            with _Watch(self._process, START_S):
                ready = _receive(self._process.stdout)
        except (OSError, ValueError) as error:
            raise EngineError(f"the compiler of foreign schemas cannot be started: {error}") from None
        except BaseException:
            self._end()
            raise
        if ready is None:
            raise EngineError(f"the compiler of foreign schemas {_how(self._end(LEAVE_S))} while starting")
        return self._process

    def _end(self, grace_s: float = 0.0) -> int:
        """Ends the child, if there is one, after `grace_s` to end by itself. Its exit code; negative, a signal."""
        process, self._process = self._process, None
        if process is None:
            return 0
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
        _close(process)
        return process.wait()


class _Watch:
    """Kills a process that is not done in time; `late` says so."""

    def __init__(self, process: subprocess.Popen[bytes], timeout_s: float) -> None:
        self.late = False
        self._process = process
        self._timer = Timer(timeout_s, self._kill)
        self._timer.daemon = True

    def _kill(self) -> None:
        self.late = True
        self._process.kill()

    def __enter__(self) -> _Watch:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()


class _Unpickler(pickle.Unpickler):
    """Makes the plain records of this package, and nothing that could act."""

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name) if module.startswith(f"{_PACKAGE}.") else None
        if not (isinstance(found, type) and (is_dataclass(found) or issubclass(found, tuple))):
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a compiled schema")
        return found


def _send(pipe: Any, message: bytes) -> None:
    rest = memoryview(len(message).to_bytes(_LENGTH_BYTES) + message)
    with contextlib.suppress(BrokenPipeError):  # nobody there: told by the answer that does not come
        while rest:
            rest = rest[pipe.write(rest) :]


def _receive(pipe: Any) -> bytes | None:
    """One message; None at the end of the pipe."""
    message = bytearray()
    wanted = _LENGTH_BYTES
    while len(message) < wanted:
        piece = pipe.read(wanted - len(message))
        if not piece:
            return None
        message += piece
        if wanted == len(message) == _LENGTH_BYTES:
            wanted += int.from_bytes(message)
    return bytes(message[_LENGTH_BYTES:])


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()


def _how(code: int) -> str:
    if code >= 0:
        return f"ended its process with code {code}"
    try:
        return f"killed its process ({signal.Signals(-code).name})"
    except ValueError:
        return f"killed its process (signal {-code})"


def serve() -> None:
    """The child: answers requests from stdin until it is closed, nothing comes for a while, or memory is short."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
    requests, answers = io.FileIO(0, "r", closefd=False), io.FileIO(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    from .compiled import Compiled
    from .ir import Grammar
    from .matcher import TokenMatcher, byte_tokenizer
    from .schema import compile_schema

    def answer(asked: dict[str, Any]) -> Any:
        if "value" in asked:
            formats, remotes = asked["formats"], asked["remotes"] or {}
            return Compiled(Grammar({}), (), (), (), asked["schema"], remotes, formats).validate(asked["value"])
        compiled = compile_schema(**asked)
        if not compiled.empty:
            TokenMatcher(compiled.grammar, byte_tokenizer()).mask()
        return replace(compiled, schema=None, remotes={})  # which the parent has

    answer({"schema": {"type": "object"}, "name": "start"})  # reads and imports what the first would wait for
    start_bytes = _virtual_bytes()
    _send(answers, b"")
    room = True
    while room and _comes(requests) and (request := _receive(requests)) is not None:
        asked = json.loads(request)
        timeout_s, memory_bytes = asked.pop("timeout_s"), asked.pop("memory_mb") << 20
        _bound(timeout_s, memory_bytes)
        problem: tuple[str, str | None] | None = None
        try:
            reply = pickle.dumps((None, answer(asked)), protocol=pickle.HIGHEST_PROTOCOL)
            if len(reply) > MAX_REPLY_BYTES:
                problem = (f"{asked['name']}: the grammar is {len(reply)} bytes, more than {MAX_REPLY_BYTES}", None)
        except MemoryError:
            room = False
            problem = (f"{asked['name']}: compiling this schema takes more than {memory_bytes >> 20} MB", None)
        except EdgeAgentError as error:
            named = asked["name"] in error.message
            problem = (error.message if named else f"{asked['name']}: {error.message}", error.hint)
        except Exception as error:  # whatever it is, it must not be worse for being met here
            problem = (f"{asked['name']}: the compiler failed: {type(error).__name__}: {error}", None)
        if problem:
            reply = pickle.dumps((problem, None))
        _send(answers, reply)
        room = room and _virtual_bytes() - start_bytes < memory_bytes


def _comes(requests: io.FileIO) -> bool:
    """Whether a request comes before it is time to leave. Windows cannot wait for a pipe with a limit."""
    return sys.platform == "win32" or bool(select.select([requests], [], [], IDLE_S)[0])


def _bound(timeout_s: float, memory_bytes: int) -> None:
    if sys.platform == "win32":
        return
    import resource

    # The parent keeps time; the limit on work is for when it is gone.
    spent_s = int(time.process_time() + timeout_s) + 2
    most_bytes = _virtual_bytes() + memory_bytes
    for limit, soft in ((resource.RLIMIT_AS, most_bytes), (resource.RLIMIT_CPU, spent_s), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(limit)[1]
        with contextlib.suppress(ValueError, OSError):  # a system that does not let it be set
            resource.setrlimit(limit, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _virtual_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().vms)


def _end_all() -> None:
    for worker in list(_workers):
        worker.close()


def _forget_all() -> None:
    for worker in list(_workers):
        worker.forget()


_workers: WeakSet[Worker] = WeakSet()
_shared = Worker()
compile_foreign = _shared.compile
validate_foreign = _shared.validate
atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)

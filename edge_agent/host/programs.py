"""Running the desktop's own small programs: argument lists only, a timeout always, errors as ToolError."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Sequence

from ..errors import ToolError

#: How long a started program may take to fail before it counts as running.
START_GRACE_S = 0.7


class Runner:
    """Finds and runs programs. Tests replace it; nothing else here starts a process."""

    def which(self, program: str) -> str | None:
        return shutil.which(program)

    def read(self, args: Sequence[str], *, timeout_s: float = 10.0) -> bytes:
        """Runs to the end and returns standard output. Messages are asked for in English, to be parsed."""
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        return _finish(args, timeout_s, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def feed(self, args: Sequence[str], data: bytes, *, timeout_s: float = 10.0) -> None:
        """Runs with `data` on standard input. Its output is dropped: clipboard owners stay behind in the
        background holding whatever output they were given, and waiting for that would not end."""
        _finish(args, timeout_s, input=data, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(self, args: Sequence[str]) -> None:
        """Starts a program that outlives us. Raises ToolError if it fails at once."""
        try:
            process = subprocess.Popen(
                list(args),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise ToolError(f"{args[0]} could not be started: {error.strerror or error}") from error
        try:
            code = process.wait(START_GRACE_S)
        except subprocess.TimeoutExpired:
            threading.Thread(target=process.wait, daemon=True).start()  # reaps it when it ends
            return
        if code:
            raise ToolError(f"{args[0]} failed (exit status {code})")


def _finish(args: Sequence[str], timeout_s: float, **options: object) -> bytes:
    options.setdefault("stderr", subprocess.PIPE)
    try:
        done = subprocess.run(list(args), timeout=timeout_s, **options)  # type: ignore[call-overload]
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{args[0]} did not finish within {timeout_s:g} s") from error
    except OSError as error:
        raise ToolError(f"{args[0]} could not be started: {error.strerror or error}") from error
    if done.returncode:
        said = (done.stderr or b"").decode(errors="replace").strip().partition("\n")[0]
        raise ToolError(f"{args[0]} failed: {said or f'exit status {done.returncode}'}")
    return bytes(done.stdout or b"")

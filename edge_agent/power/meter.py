"""The meter seam: a source of joules, what it covers, how often it moves and how far it may be off."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from platform import machine as _machine
from typing import Any

#: Joules by part of the machine since the meter was opened; None for a part that has no counter.
Parts = Mapping[str, float | None]


class Unavailable(Exception):
    """A source has no figure now: why, and the command that mends it where there is one."""

    def __init__(self, reason: str, fix: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Energy:
    """One figure of energy and where it came from.

    `joules`, `low` and `high` are None together when there is no figure; `method` then starts with
    "unavailable: ". `scope` says what the joules cover (most counters cover the whole machine, other
    processes included). `update_s` is the period of the source, None for a model without one. `parts` splits
    `joules` where the source does; a part that the machine does not measure is None.
    """

    joules: float | None
    low: float | None
    high: float | None
    source: str
    scope: str
    method: str
    update_s: float | None
    parts: tuple[tuple[str, float | None], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; `parts` becomes an object."""
        return {**asdict(self), "parts": dict(self.parts)}

    def share(self, fraction: float, note: str) -> Energy:
        """This energy times `fraction`, its method extended by `note`. An absent figure stays absent."""
        if self.joules is None or self.low is None or self.high is None:
            return self
        parts = tuple((name, None if joules is None else joules * fraction) for name, joules in self.parts)
        return Energy(
            self.joules * fraction,
            self.low * fraction,
            self.high * fraction,
            self.source,
            self.scope,
            f"{self.method}; {note}",
            self.update_s,
            parts,
        )


def _run(argv: Sequence[str]) -> str:
    """Standard output of a short command. OSError when it is missing, fails or takes over two seconds."""
    try:
        done = subprocess.run(list(argv), capture_output=True, text=True, timeout=2, check=False)
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{argv[0]} did not answer within 2 s") from error
    if done.returncode != 0:
        raise OSError(f"{argv[0]} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Host:
    """The machine as the readers see it; a test replaces any part of it.

    `cpu_seconds` is the CPU time of this process over all its threads (`time.process_time`: nanosecond
    resolution where `os.times` has 10 ms); child processes are not in it.
    """

    root: Path = Path("/")
    platform: str = sys.platform
    machine: str = field(default_factory=_machine)
    clock: Callable[[], float] = time.monotonic
    cpu_seconds: Callable[[], float] = time.process_time
    run: Callable[[Sequence[str]], str] = _run
    read: Callable[[Path], str] = Path.read_text

    def text(self, path: Path) -> str:
        """Content of a small file, stripped. OSError when it cannot be read."""
        return self.read(path).strip()

    def number(self, path: Path) -> float:
        """Content of a one-number file. OSError or ValueError."""
        return float(self.text(path))

    def glob(self, pattern: str) -> list[Path]:
        """Sorted paths under the root; empty when there are none."""
        return sorted(self.root.glob(pattern))


@dataclass(frozen=True, slots=True)
class Spec:
    """What a meter is.

    `below` and `above` are the relative error of the source itself, from the literature named in its module.
    `inline` meters cost microseconds and are read at the edges of a span; the others only by the sampling
    thread. `covers_cpu` is False for a meter that does not see the CPU, so never leads on its own.
    """

    name: str
    scope: str
    update_s: float
    below: float
    above: float
    method: str = "counter"
    inline: bool = True
    covers_cpu: bool = True

    @property
    def period_s(self) -> float:
        """Seconds between background samples: ten a second at most."""
        return max(self.update_s, 0.1)

    def unavailable(self, reason: str) -> Energy:
        return Energy(None, None, None, self.name, self.scope, f"unavailable: {reason}", self.update_s)


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading: clock and process CPU seconds at that moment, cumulative joules by part."""

    at_s: float
    cpu_s: float
    parts: Parts

    @property
    def joules(self) -> float:
        return sum(joules for joules in self.parts.values() if joules is not None)


class Meter:
    """One source of cumulative joules. Thread-safe.

    Args:
        spec: What it is.
        read: Joules by part since the meter was opened; may raise Unavailable, OSError or ValueError.
        host: Clocks.
    """

    def __init__(self, spec: Spec, read: Callable[[], Parts], host: Host) -> None:
        self.spec = spec
        self._read = read
        self._host = host
        self._lock = threading.Lock()
        self._started: Sample | Unavailable = Unavailable("not started")

    def sample(self) -> Sample:
        """Read the source now. Raises Unavailable, whatever went wrong underneath."""
        with self._lock:
            try:
                parts = dict(self._read())
            except (OSError, ValueError) as error:
                raise Unavailable(f"reading failed: {error}") from error
            return Sample(self._host.clock(), self._host.cpu_seconds(), parts)

    def start(self) -> None:
        """Begin one measurement without a monitor, for a bench around a long run."""
        try:
            self._started = self.sample()
        except Unavailable as error:
            self._started = error

    def stop(self) -> Energy:
        """Energy since `start`, or an Energy without joules whose method says why. Never raises."""
        if isinstance(self._started, Unavailable):
            return self.spec.unavailable(self._started.reason)
        try:
            last = self.sample()
        except Unavailable as error:
            return self.spec.unavailable(error.reason)
        return self.between(self._started, last, last.at_s - self._started.at_s)

    def between(self, first: Sample, last: Sample, elapsed_s: float) -> Energy:
        """Energy of `elapsed_s` seconds for which two samples stand.

        Bounds are the source's own error, one update period at each end, and the part of the time that the
        samples do not cover. A counter that did not move, or moved back, gives no figure.
        """
        sampled_s = last.at_s - first.at_s
        if sampled_s <= 0:
            return self.spec.unavailable("too short: the source was read only once")
        if last.joules <= first.joules:
            return self.spec.unavailable("the counter did not advance")
        scale = elapsed_s / sampled_s
        parts: list[tuple[str, float | None]] = []
        for name, end in last.parts.items():
            begin = first.parts.get(name)
            parts.append((name, None if end is None or begin is None else (end - begin) * scale))
        joules = (last.joules - first.joules) * scale
        edge = 2 * self.spec.update_s / sampled_s + abs(scale - 1)
        return Energy(
            joules,
            joules * max(0.0, 1 - self.spec.below - edge),
            joules * (1 + self.spec.above + edge),
            self.spec.name,
            self.spec.scope,
            self.spec.method,
            self.spec.update_s,
            tuple(parts),
        )


class Integrator:
    """Cumulative joules from a source that only tells watts: trapezoid between readings.

    After a failed reading it starts afresh, so a gap is never bridged by a guess.
    """

    METHOD = "integrated power (trapezoid)"

    def __init__(self, clock: Callable[[], float], watts: Callable[[], Mapping[str, float]]) -> None:
        self._clock = clock
        self._watts = watts
        self._joules: dict[str, float] = {}
        self._last: tuple[float, Mapping[str, float]] | None = None

    def __call__(self) -> dict[str, float]:
        previous, self._last = self._last, None
        watts, now = self._watts(), self._clock()
        for part, power in watts.items():
            before_s, before = previous or (now, watts)
            energy = (now - before_s) * (before.get(part, power) + power) / 2
            self._joules[part] = self._joules.get(part, 0.0) + energy
        self._last = (now, watts)
        return dict(self._joules)

"""Energy from CPU time: fitted to a counter where there is one, else by declared watts per busy core.

Both need only the CPU seconds of this process. The fitted model is ordinary least squares over counter
samples, joules = idle_watts * seconds + watts_per_cpu * CPU seconds. The declared one is a range so wide that
it contains the truth for its class of machine, with the geometric mean as its middle; it tells magnitudes,
not improvements of a few percent between machines. On one machine it is proportional to CPU time, so it does
compare two runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from edge_agent.power.meter import Energy, Host, Spec

#: Fewer counter intervals than this calibrate nothing.
MIN_INTERVALS = 8


@dataclass(frozen=True, slots=True)
class WattsPerCore:
    """Power of one busy hardware thread, lowest to highest, and who says so."""

    low: float
    high: float
    source: str

    SCOPE: ClassVar[str] = "CPU time of this process"

    def energy(self, cpu_s: float) -> Energy:
        """Energy of `cpu_s` CPU seconds under this range; absent when no CPU time was seen."""
        method = f"model:declared({self.low:g}-{self.high:g} W per busy core; {self.source})"
        if cpu_s <= 0:
            reason = "unavailable: no CPU time was spent"
            return Energy(None, None, None, "cpu-model", self.SCOPE, reason, None)
        low, high = self.low * cpu_s, self.high * cpu_s
        return Energy(math.sqrt(low * high), low, high, "cpu-model", self.SCOPE, method, None)


# Cloud Carbon Footprint's table (output/coefficients-aws-use.csv, 2026), from SPECpower: 1.69 W (EPYC 2) to
# 8.96 W (EPYC 5) per hardware thread at full load. Desktop parts: vendor TDP up to 125 W for 8 cores.
_X86 = WattsPerCore(1.7, 16.0, "SPECpower via Cloud Carbon Footprint; desktop TDP 125 W / 8 cores")
# chipwired.com/raspberry-pi-power-use, at the supply: (5.4 W loaded - 2.2 W idle) / 4 cores = 0.8 W.
_RASPBERRY = WattsPerCore(0.4, 2.0, "Raspberry Pi 4 measured 0.8 W per core; widened for other boards")
_ARM = WattsPerCore(0.4, 7.0, "from half of a Raspberry Pi 4's 0.8 W to laptop TDP 80 W / 12 cores")
# Apple's power table, Mac mini M1: (39 W at most - 6.8 W idle) / 8 cores = 4 W; E cores less, P cores more.
_APPLE = WattsPerCore(1.0, 8.0, "Apple: Mac mini M1 (39 - 6.8 W) / 8 cores = 4 W; widened for E and P cores")


def declared(host: Host) -> WattsPerCore:
    """The range for this kind of machine."""
    if host.machine.lower() in ("x86_64", "amd64", "i686", "i386", "x86"):
        return _X86
    if host.platform == "darwin":
        return _APPLE
    try:
        board = host.text(host.root / "proc/device-tree/model")
    except OSError:
        return _ARM
    return _RASPBERRY if board.startswith("Raspberry Pi") else _ARM


@dataclass(frozen=True, slots=True)
class Fit:
    """Watts at rest, watts added by one busy core, and the relative spread (one sigma) around the line."""

    idle_watts: float
    watts_per_cpu: float
    spread: float
    intervals: int

    def energy(self, spec: Spec, elapsed_s: float, cpu_s: float) -> Energy:
        """What the meter `spec` would have counted; bounds are two sigma and the meter's own error."""
        joules = self.idle_watts * elapsed_s + self.watts_per_cpu * cpu_s
        if joules <= 0:
            return spec.unavailable("the fitted model sees neither idle power nor CPU time")
        low = joules * max(0.0, 1 - 2 * self.spread - spec.below)
        high = joules * (1 + 2 * self.spread + spec.above)
        return Energy(joules, low, high, "cpu-model", spec.scope, f"model:fitted({spec.name})", spec.update_s)


def fit(intervals: Iterable[tuple[float, float, float]]) -> Fit | None:
    """Least squares over (seconds, CPU seconds, joules); both coefficients kept at or above zero.

    Returns None with fewer than MIN_INTERVALS intervals, or no energy or no CPU time in them. When load never
    varied, idle and busy power cannot be told apart and all of it is ascribed to CPU time. Linear cost.
    """
    rows = list(intervals)
    energy = sum(row[2] for row in rows)
    if len(rows) < MIN_INTERVALS or energy <= 0 or sum(row[1] for row in rows) <= 0:
        return None
    tt = sum(t * t for t, _, _ in rows)
    tc = sum(t * c for t, c, _ in rows)
    cc = sum(c * c for _, c, _ in rows)
    tj = sum(t * j for t, _, j in rows)
    cj = sum(c * j for _, c, j in rows)
    determinant = tt * cc - tc * tc
    idle, busy = 0.0, cj / cc
    if determinant > 1e-6 * tt * cc:
        idle, busy = (tj * cc - cj * tc) / determinant, (cj * tt - tj * tc) / determinant
        if busy < 0:
            idle, busy = tj / tt, 0.0
        elif idle < 0:
            idle, busy = 0.0, cj / cc
    squares = sum((j - idle * t - busy * c) ** 2 for t, c, j in rows)
    spread = math.sqrt(squares / max(1, len(rows) - 2)) / (energy / len(rows))
    return Fit(idle, busy, spread, len(rows))

"""Background sampling, and spans that turn samples into the energy of one request and of its stages."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType

from edge_agent.power.meter import Energy, Host, Meter, Sample, Unavailable
from edge_agent.power.model import Fit, WattsPerCore, declared, fit
from edge_agent.power.sources import SourceReport, examine, probe

#: A request shorter than this many periods of a counter is estimated with the model fitted to that counter.
MIN_PERIODS = 10
#: Samples kept per meter for calibration: a minute or more of them.
RING = 600


class PowerMonitor:
    """Samples this machine's meters while requests run. Thread-safe.

    The thread is a daemon, starts with the first span, takes ten samples a second at most (about 0.1% of one
    core; 0.5% on a Raspberry Pi 5, where a reading starts a process) and sleeps without waking once no span
    has been open for `linger_s`. Without a meter there is no thread.

    Args:
        root: Where /sys and /proc lie.
        host: Machine to look at; overrides `root`.
        meters: Use these instead of looking for any.
        watts: Declared watts per core; default by kind of machine.
        prefer: Name of the meter that leads (`span.energy`), e.g. "nvml" when the model runs on the GPU.
        background: False leaves sampling to calls of `sample()`.
        linger_s: How long to go on sampling after the last span, to learn what the machine takes at rest.

    Limits: counters cover the whole machine, so requests that overlap in time are each given the whole
    energy, and CPU time is the process's. Looking for meters happens in `start()` (up to 0.5 s where NVML is
    installed).
    """

    def __init__(
        self,
        root: Path = Path("/"),
        *,
        host: Host | None = None,
        meters: Sequence[Meter] | None = None,
        watts: WattsPerCore | None = None,
        prefer: str | None = None,
        background: bool = True,
        linger_s: float = 30.0,
    ) -> None:
        self.host = host or Host(root=root)
        self.watts = watts or declared(self.host)
        self.prefer = prefer
        self._background = background
        self._linger_s = linger_s
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._meters: list[Meter] | None = None if meters is None else list(meters)
        self._missing: list[SourceReport] = []
        self._rings: dict[Meter, deque[Sample | None]] = {}
        self._spans: set[Span] = set()
        self._active_until_s = 0.0

    @property
    def meters(self) -> list[Meter]:
        """Meters in use; the first access looks for them."""
        with self._lock:
            if self._meters is None:
                self._meters, self._missing = probe(self.host)
            return self._meters

    def start(self) -> None:
        """Look for meters and start the thread; harmless when it runs. A span does it too."""
        with self._lock:
            if self.meters and self._background and self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="edge-agent-power", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the thread; waits for a reading in progress. A later span starts it again."""
        with self._lock:
            thread, self._thread = self._thread, None
        self._wake.set()
        if thread is not None:
            thread.join(timeout=3)

    def __enter__(self) -> PowerMonitor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def span(self) -> Span:
        """Context manager that measures one request."""
        return Span(self)

    def report(self) -> list[SourceReport]:
        """Every source, found or not, with the reason and the fix; the CPU-time model last."""
        rows = [examine(meter) for meter in self.meters] + self._missing
        return [*rows, SourceReport("cpu-model", True, self.watts.SCOPE, None, self.watts.source, None)]

    def calibration(self, meter: Meter) -> Fit | None:
        """The model fitted to the meter's recent samples; None until there are enough of them."""
        with self._lock:
            samples = list(self._rings.get(meter, ()))
        period_s = meter.spec.period_s
        rows: list[tuple[float, float, float]] = []
        for before, after in pairwise(samples):
            if before is None or after is None:
                continue
            step_s = after.at_s - before.at_s
            # Shorter steps are mostly the counter's own grain; longer ones bridge a time when nobody sampled.
            if period_s / 2 <= step_s <= 3 * period_s:
                rows.append((step_s, after.cpu_s - before.cpu_s, after.joules - before.joules))
        return fit(rows)

    def sample(self, only_inline: bool = False) -> None:
        """Read the meters now and show the readings to the open spans. A failure is noted, never raised."""
        for meter in self.meters:
            if meter.spec.inline or not only_inline:
                self._take(meter)

    def _take(self, meter: Meter) -> None:
        reading: Sample | Unavailable
        try:
            reading = meter.sample()
        except Unavailable as error:
            reading = error
        with self._lock:
            ring = self._rings.setdefault(meter, deque(maxlen=RING))
            ring.append(reading if isinstance(reading, Sample) else None)
            for span in self._spans:
                span.see(meter, reading)

    def _open(self, span: Span) -> None:
        with self._lock:
            self._spans.add(span)
        self._wake.set()
        self.sample(only_inline=True)

    def _close(self, span: Span) -> None:
        self.sample(only_inline=True)
        with self._lock:
            self._spans.discard(span)
            self._active_until_s = self.host.clock() + self._linger_s

    def _loop(self) -> None:
        due = dict.fromkeys(self.meters, 0.0)
        while self._thread is threading.current_thread():
            now = self.host.clock()
            with self._lock:
                resting = not self._spans and now >= self._active_until_s
            if resting:
                self._wake.wait()
            else:
                for meter in (meter for meter, due_s in due.items() if due_s <= now):
                    self._take(meter)
                    due[meter] = now + meter.spec.period_s
                self._wake.wait(max(0.0, min(due.values()) - self.host.clock()))
            self._wake.clear()


class Span:
    """One request: its energy by every meter, and its stages. Made by `PowerMonitor.span()`, used once."""

    def __init__(self, monitor: PowerMonitor) -> None:
        self._monitor = monitor
        self._first: dict[Meter, Sample] = {}
        self._last: dict[Meter, Sample] = {}
        self._failed: dict[Meter, str] = {}
        self._begin_s = self._begin_cpu_s = 0.0
        self._marks: list[tuple[str, float]] = []
        #: Wall seconds and CPU seconds (all threads of this process); 0 until the span has ended.
        self.elapsed_s = 0.0
        self.cpu_s = 0.0
        #: A figure from each meter and the declared model, available or not, in order of preference.
        self.energies: tuple[Energy, ...] = ()

    def __enter__(self) -> Span:
        self._monitor.start()
        host = self._monitor.host
        self._begin_s, self._begin_cpu_s = host.clock(), host.cpu_seconds()
        self._marks.append(("start", self._begin_cpu_s))
        self._monitor._open(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        host = self._monitor.host
        self._monitor._close(self)
        self.elapsed_s, end_cpu_s = host.clock() - self._begin_s, host.cpu_seconds()
        self.cpu_s = end_cpu_s - self._begin_cpu_s
        self._marks.append(("", end_cpu_s))
        self.energies = tuple(self._figures())

    def stage(self, name: str) -> None:
        """From now on time belongs to `name`; a name that returns adds up. Before any mark it is "start"."""
        self._marks.append((name, self._monitor.host.cpu_seconds()))

    def see(self, meter: Meter, reading: Sample | Unavailable) -> None:
        """Take note of a reading made while this span is open (called by the monitor, under its lock)."""
        if isinstance(reading, Unavailable):
            self._failed[meter] = reading.reason
        elif reading.at_s >= self._begin_s:
            self._first.setdefault(meter, reading)
            self._last[meter] = max(self._last.get(meter, reading), reading, key=lambda sample: sample.at_s)

    @property
    def energy(self) -> Energy:
        """The leading figure: the first available of `energies`. Absent while the span is still open."""
        available = (figure for figure in self.energies if figure.joules is not None)
        nothing = Energy(None, None, None, "none", "nothing", "unavailable: nothing was measured", None)
        return next(available, self.energies[0] if self.energies else nothing)

    @property
    def stages(self) -> dict[str, Energy]:
        """`energy` split over the stages by their CPU time; empty without a figure or without CPU time."""
        if self.energy.joules is None or self.cpu_s <= 0:
            return {}
        spent: dict[str, float] = {}
        for (name, begin_s), (_, end_s) in pairwise(self._marks):
            spent[name] = spent.get(name, 0.0) + end_s - begin_s
        return {
            name: self.energy.share(cpu_s / self.cpu_s, "split by CPU time")
            for name, cpu_s in spent.items()
            if cpu_s > 0
        }

    def _figures(self) -> list[Energy]:
        monitor = self._monitor
        figures = [(meter.spec.name, meter.spec.covers_cpu, self._figure(meter)) for meter in monitor.meters]
        leading = [figure for name, covers_cpu, figure in figures if covers_cpu and name != monitor.prefer]
        others = [figure for name, covers_cpu, figure in figures if not covers_cpu and name != monitor.prefer]
        preferred = [figure for name, _, figure in figures if name == monitor.prefer]
        return [*preferred, *leading, monitor.watts.energy(self.cpu_s), *others]

    def _figure(self, meter: Meter) -> Energy:
        spec = meter.spec
        if meter in self._failed:
            return spec.unavailable(self._failed[meter])
        if self.elapsed_s < MIN_PERIODS * spec.update_s:
            too_short = f"shorter than {MIN_PERIODS} periods of {spec.update_s:g} s"
            if not spec.covers_cpu:
                return spec.unavailable(too_short)
            model = self._monitor.calibration(meter)
            if model is None:
                return spec.unavailable(f"{too_short}, and not yet calibrated")
            return model.energy(spec, self.elapsed_s, self.cpu_s)
        if meter not in self._first:
            return spec.unavailable("no sample was taken in time")
        return meter.between(self._first[meter], self._last[meter], self.elapsed_s)

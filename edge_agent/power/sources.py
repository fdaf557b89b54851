"""The table of sources, in the order in which they lead, and what each says about this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_agent.power import apple, emi, ina3221, nvml, pmic, rapl, supply
from edge_agent.power.meter import Host, Meter, Unavailable

SOURCES: tuple[tuple[str, Callable[[Host], list[Meter]]], ...] = (
    ("rapl", rapl.open_meters),
    ("emi", emi.open_meters),
    ("pmic", pmic.open_meters),
    ("ina3221", ina3221.open_meters),
    ("battery", supply.open_meters),
    ("nvml", nvml.open_meters),
    ("apple", apple.open_meters),
)


@dataclass(frozen=True, slots=True)
class SourceReport:
    """One source on this machine: whether it gives a figure now, and if not why and what mends it."""

    name: str
    available: bool
    scope: str | None
    update_s: float | None
    reason: str | None
    fix: str | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def probe(host: Host) -> tuple[list[Meter], list[SourceReport]]:
    """Open every source: the meters found, and a report for each source that has none. Up to 0.5 s (NVML)."""
    meters: list[Meter] = []
    missing: list[SourceReport] = []
    for name, open_meters in SOURCES:
        try:
            meters += open_meters(host)
        except Unavailable as error:
            missing.append(SourceReport(name, False, None, None, error.reason, error.fix))
        except (OSError, ValueError) as error:
            missing.append(SourceReport(name, False, None, None, f"reading failed: {error}", None))
    return meters, missing


def examine(meter: Meter) -> SourceReport:
    """Read a meter once and say how that went."""
    spec = meter.spec
    try:
        meter.sample()
    except Unavailable as error:
        return SourceReport(spec.name, False, spec.scope, spec.update_s, error.reason, error.fix)
    return SourceReport(spec.name, True, spec.scope, spec.update_s, None, None)


def discover(root: Path = Path("/"), *, host: Host | None = None) -> list[Meter]:
    """Meters of this machine, the one to prefer first; empty without a counter. `host` overrides `root`."""
    return probe(host or Host(root=root))[0]

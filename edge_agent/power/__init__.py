"""Meters: joules per request, always with their source, scope, method and bounds. Absent is None, never zero.

`PowerMonitor` samples whatever counters the machine has and hands out spans:

    with PowerMonitor() as monitor, monitor.span() as span:
        span.stage("prefill")
        ...
        span.stage("decode")
        ...
    span.energy.joules, span.energy.method, span.stages["decode"].joules

One file per source, one row for it in `sources.py`.
`model.py` is what remains where there is no counter, or where a request is too short for one.
"""

from edge_agent.power.meter import Energy, Host, Integrator, Meter, Sample, Spec, Unavailable
from edge_agent.power.model import Fit, WattsPerCore
from edge_agent.power.monitor import PowerMonitor, Span
from edge_agent.power.sources import SourceReport, discover
from edge_agent.power.supply import BatteryState, battery

__all__ = [
    "BatteryState",
    "Energy",
    "Fit",
    "Host",
    "Integrator",
    "Meter",
    "PowerMonitor",
    "Sample",
    "SourceReport",
    "Span",
    "Spec",
    "Unavailable",
    "WattsPerCore",
    "battery",
    "discover",
]

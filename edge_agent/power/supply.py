"""The battery: as a meter of the whole machine while it discharges (Linux), and as a state (all platforms).

Interface: Documentation/ABI/testing/sysfs-class-power (microwatts, microamperes, microvolts). Fuel gauges
renew their figure every 1 to 30 s without saying how often; 5 s is assumed, and 10% of error. On AC power
what flows through the battery is the charger's business, so there is no figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_agent.power.meter import Host, Integrator, Meter, Spec, Unavailable

_SPEC = Spec("battery", "whole machine, screen included", 5.0, 0.10, 0.10, Integrator.METHOD, inline=False)


@dataclass(frozen=True, slots=True)
class BatteryState:
    """Charge in percent and whether the machine is on AC power; None is unknown."""

    percent: float | None
    plugged: bool | None


def battery() -> BatteryState | None:
    """State of the battery, or None when the machine has none or does not tell. Costs milliseconds."""
    import psutil

    try:
        state = psutil.sensors_battery()
    except (AttributeError, OSError):
        return None
    return None if state is None else BatteryState(state.percent, state.power_plugged)


def _draw_watts(host: Host, supply: Path) -> float:
    """Power that flows out of one battery. Some drivers count discharge as negative."""
    try:
        return abs(host.number(supply / "power_now")) / 1e6
    except FileNotFoundError:
        amperes = host.number(supply / "current_now") / 1e6
        return abs(amperes * host.number(supply / "voltage_now") / 1e6)


def _is_battery(host: Host, supply: Path) -> bool:
    """True for a battery of the machine; that of a mouse or headset has the scope Device."""
    try:
        if host.text(supply / "type") != "Battery":
            return False
        return host.text(supply / "scope") != "Device"
    except FileNotFoundError:
        return (supply / "type").exists()


def open_meters(host: Host) -> list[Meter]:
    """One meter over all batteries, readable only while one discharges. Raises Unavailable."""
    if host.platform != "linux":
        raise Unavailable("only on Linux: other systems tell the charge, not the power")
    supplies = [path for path in host.glob("sys/class/power_supply/*") if _is_battery(host, path)]
    if not supplies:
        raise Unavailable("no battery")

    def watts() -> dict[str, float]:
        draining = [path for path in supplies if host.text(path / "status") == "Discharging"]
        if not draining:
            raise Unavailable("not discharging: on AC power its figure is the charger's", "unplug the charger")
        total = sum(_draw_watts(host, path) for path in draining)
        if total == 0:
            raise Unavailable("the fuel gauge reports no power")
        return {"battery": total}

    return [Meter(_SPEC, Integrator(host.clock, watts), host)]

"""Jetson and other boards with an INA3221: volts and amperes of up to three rails a chip, through hwmon.

Interface: Documentation/hwmon/ina3221.rst. Where a rail is the input of the whole module (`VDD_IN` and its
older names) it alone counts, since the others branch off it; else the rails are summed, without
`VDDQ_VDD2_1V8AO`, which NVIDIA documents as part of `VIN_SYS_5V0`. The carrier board is outside. Error: 5%
(shunt tolerance and offset).
"""

from __future__ import annotations

from pathlib import Path

from edge_agent.power.meter import Host, Integrator, Meter, Spec, Unavailable

_TOTAL = {"VDD_IN", "POM_5V_IN", "5V_IN"}
_INSIDE_ANOTHER = {"VDDQ_VDD2_1V8AO"}
_ERROR = 0.05


def _rails(host: Host) -> dict[str, tuple[Path, Path]]:
    """Files of volts and amperes by rail label; unconnected (NC) and disabled channels left out."""
    rails: dict[str, tuple[Path, Path]] = {}
    for chip in host.glob("sys/class/hwmon/hwmon*"):
        try:
            if host.text(chip / "name") != "ina3221":
                continue
        except OSError:
            continue
        for channel in (1, 2, 3):
            try:
                label = host.text(chip / f"in{channel}_label")
                enable = chip / f"in{channel}_enable"
                if label == "NC" or (enable.exists() and host.text(enable) == "0"):
                    continue
            except OSError:
                continue
            rails[label] = (chip / f"in{channel}_input", chip / f"curr{channel}_input")
    return rails


def open_meters(host: Host) -> list[Meter]:
    """One meter over the module's rails. Raises Unavailable."""
    if host.platform != "linux":
        raise Unavailable("only on Linux")
    rails = _rails(host)
    if not rails:
        raise Unavailable("no INA3221 in hwmon")
    total = rails.keys() & _TOTAL
    kept = {name: rails[name] for name in sorted(total or rails.keys() - _INSIDE_ANOTHER)}

    def watts() -> dict[str, float]:
        return {name: host.number(volts) * host.number(amps) / 1e6 for name, (volts, amps) in kept.items()}

    scope = "whole module" if total else f"rails {', '.join(kept)}"
    spec = Spec("ina3221", scope, 0.1, _ERROR, _ERROR, Integrator.METHOD, inline=False)
    return [Meter(spec, Integrator(host.clock, watts), host)]

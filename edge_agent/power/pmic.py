"""Raspberry Pi 5: volts and amperes of twelve rails of its power chip, asked with `vcgencmd pmic_read_adc`.

The rails leave out whatever hangs on 5 V (USB, HATs, NVMe) and the losses of conversion. Against a wall meter
the board took 1.15 times their sum plus 0.59 W (github.com/jfikar/RPi5-power), hence the wide upper bound.
Each reading starts a process (about 5 ms), so it is taken once a second and never inside a request's own
path.
"""

from __future__ import annotations

import re

from edge_agent.power.meter import Host, Integrator, Meter, Spec, Unavailable

_READING = re.compile(r"^\s*(\w+)_([AV])(?:\s+\w+\(\d+\))?=(\d+(?:\.\d+)?)[AV]\s*$", re.MULTILINE)
_SPEC = Spec(
    "pmic",
    "board rails, whole machine (without 5 V peripherals and conversion loss)",
    1.0,
    0.05,
    0.35,
    Integrator.METHOD,
    inline=False,
)


def board_watts(text: str) -> float:
    """Sum of volts times amperes over the rails that report both. Raises Unavailable when no rail does."""
    readings: dict[str, dict[str, float]] = {"A": {}, "V": {}}
    for rail, unit, value in _READING.findall(text):
        readings[unit][rail] = float(value)
    rails = readings["A"].keys() & readings["V"].keys()
    if not rails:
        raise Unavailable("the firmware reports no rail currents; boards before the Raspberry Pi 5 have none")
    return sum(readings["A"][rail] * readings["V"][rail] for rail in rails)


def open_meters(host: Host) -> list[Meter]:
    """The board's meter. Raises Unavailable."""
    if host.platform != "linux":
        raise Unavailable("only on Linux")

    def watts() -> dict[str, float]:
        return {"board": board_watts(host.run(["vcgencmd", "pmic_read_adc"]))}

    try:
        watts()
    except FileNotFoundError as error:
        raise Unavailable("no vcgencmd: not a Raspberry Pi, or raspi-utils is not installed") from error
    except OSError as error:
        fix = "sudo usermod -aG video $USER   # then log in again" if "vcio" in str(error) else None
        raise Unavailable(str(error), fix) from error
    return [Meter(_SPEC, Integrator(host.clock, watts), host)]

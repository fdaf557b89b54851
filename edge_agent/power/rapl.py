"""Linux RAPL through powercap: Intel since Sandy Bridge, AMD since Zen (kernel 5.8).

Interface: Documentation/power/powercap/powercap.rst. Counters move about every millisecond and wrap at
`max_energy_range_uj`. Packages are summed and DRAM is added to them; core and uncore lie inside their package
and are left out; `psys` is the platform around all of it and is a meter of its own, never added.
`intel-rapl-mmio` is the same package seen a second time and is left out.

Error: within 10% of a reference meter (Khan et al., RAPL in Action, TOMPECS 2018; AMD's are modelled and omit
memory: Schöne et al., 2021). Since CVE-2020-8694 (PLATYPUS) only root may read the counters, because
fine-grained power lets one program spy on another: give the right to read to a group you trust.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.power.meter import Host, Meter, Spec, Unavailable

UDEV_RULE = (
    'SUBSYSTEM=="powercap", KERNEL=="intel-rapl:*", ACTION=="add", '
    'RUN+="/bin/chgrp power /sys%p/energy_uj", RUN+="/bin/chmod g+r /sys%p/energy_uj"'
)
FIX = (
    "sudo groupadd -f power && sudo usermod -aG power $USER && "
    f"echo '{UDEV_RULE}' | sudo tee /etc/udev/rules.d/70-rapl.rules && sudo udevadm control --reload && "
    "sudo udevadm trigger --subsystem-match=powercap --action=add   # then log in again"
)
_UPDATE_S = 0.001
_ERROR = 0.10


@dataclass(slots=True)
class _Zone:
    """One wrapping microjoule counter and what it has counted since it was opened."""

    part: str
    path: Path
    last_uj: int
    joules: float = 0.0

    def advance(self, host: Host) -> None:
        now_uj = int(host.text(self.path / "energy_uj"))
        step_uj = now_uj - self.last_uj
        if step_uj < 0:
            step_uj += int(host.text(self.path / "max_energy_range_uj"))
        if step_uj < 0:
            raise Unavailable(f"{self.path.name} went back by more than its range")
        self.last_uj = now_uj
        self.joules += step_uj / 1e6


@dataclass(slots=True)
class _Counters:
    host: Host
    zones: Sequence[_Zone]
    absent: Sequence[str] = ()

    def __call__(self) -> dict[str, float | None]:
        parts: dict[str, float | None] = dict.fromkeys(self.absent)
        for zone in self.zones:
            zone.advance(self.host)
            parts[zone.part] = (parts.get(zone.part) or 0.0) + zone.joules
        return parts


def _part(zone_name: str) -> str | None:
    if zone_name.startswith("package"):
        return "package"
    return zone_name if zone_name in ("dram", "psys") else None


def open_meters(host: Host) -> list[Meter]:
    """A meter `rapl` (packages + DRAM) and, where the platform has it, `rapl-psys`. Raises Unavailable."""
    if host.platform != "linux":
        raise Unavailable("only on Linux")
    base = "sys/class/powercap"
    found = {path.name: path for path in host.glob(f"{base}/intel-rapl:*/intel-rapl:*")}
    found |= {path.name: path for path in host.glob(f"{base}/intel-rapl:*")}
    if not found:
        raise Unavailable(
            "no RAPL zone in sysfs: a virtual machine, a CPU without it, or the module is not loaded",
            "sudo modprobe intel_rapl_msr   # on bare metal",
        )
    zones: list[_Zone] = []
    for path in found.values():
        part = _part(host.text(path / "name"))
        if part is None:
            continue
        try:
            zones.append(_Zone(part, path, int(host.text(path / "energy_uj"))))
        except PermissionError as error:
            raise Unavailable(f"{path / 'energy_uj'} may be read by root only", FIX) from error
    meters: list[Meter] = []
    chips = [zone for zone in zones if zone.part != "psys"]
    if any(zone.part == "package" for zone in chips):
        has_dram = any(zone.part == "dram" for zone in chips)
        scope = "CPU packages" + (" and DRAM" if has_dram else " (DRAM is not measured)") + ", whole machine"
        counters = _Counters(host, chips, () if has_dram else ("dram",))
        meters.append(Meter(Spec("rapl", scope, _UPDATE_S, _ERROR, _ERROR), counters, host))
    if platform_zones := [zone for zone in zones if zone.part == "psys"]:
        spec = Spec("rapl-psys", "whole platform", _UPDATE_S, _ERROR, _ERROR)
        meters.append(Meter(spec, _Counters(host, platform_zones), host))
    if not meters:
        raise Unavailable("the RAPL zones hold no package and no psys counter")
    return meters

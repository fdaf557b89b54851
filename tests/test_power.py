"""Meters on made-up machines: sysfs trees, command output and device replies; clocks are injected."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import math
import struct
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent import power
from edge_agent.power import (
    Energy,
    Fit,
    Host,
    Integrator,
    Meter,
    PowerMonitor,
    Spec,
    Unavailable,
    emi,
    pmic,
    rapl,
)
from edge_agent.power.model import WattsPerCore, declared, fit
from edge_agent.power.sources import SOURCES

PMIC_TEXT = """\
 3V7_WL_SW_A current(0)=0.10000000A
  VDD_CORE_A current(7)=2.00000000A
      HDMI_A current(22)=0.00000000A
 3V7_WL_SW_V volt(8)=3.70000000V
  VDD_CORE_V volt(15)=0.90000000V
      HDMI_V volt(23)=5.16034000V
     EXT5V_V volt(24)=5.17105900V
      BATT_V volt(25)=0.00598290V
"""


class Machine:
    """A fake computer: a root directory, a clock and a CPU clock that the test moves by hand."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now_s = 1000.0
        self.cpu_s = 5.0
        self.denied: set[str] = set()
        self.output: str | OSError = FileNotFoundError(2, "vcgencmd")

    def host(self, platform: str = "linux", machine: str = "x86_64") -> Host:
        return Host(self.root, platform, machine, lambda: self.now_s, lambda: self.cpu_s, self.run, self.read)

    def read(self, path: Path) -> str:
        if path.name in self.denied:
            raise PermissionError(13, "Permission denied", str(path))
        return path.read_text()

    def run(self, argv: Sequence[str]) -> str:
        assert list(argv) == ["vcgencmd", "pmic_read_adc"]
        if isinstance(self.output, OSError):
            raise self.output
        return self.output

    def write(self, where: str, **files: object) -> Path:
        folder = self.root / "sys/class" / where
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (folder / file).write_text(f"{content}\n")
        return folder

    def zone(self, zone: str, name: str, energy_uj: int, max_uj: int = 262_143_328_850) -> Path:
        return self.write(f"powercap/{zone}", name=name, energy_uj=energy_uj, max_energy_range_uj=max_uj)

    def advance(self, wall_s: float, cpu_s: float = 0.0) -> None:
        self.now_s += wall_s
        self.cpu_s += cpu_s


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setitem(sys.modules, "pynvml", None)  # import fails: these machines have no GPU
    return Machine(tmp_path)


def only(meters: list[Meter], name: str) -> Meter:
    (meter,) = [meter for meter in meters if meter.spec.name == name]
    return meter


def report_of(monitor: PowerMonitor, name: str) -> power.SourceReport:
    (row,) = [row for row in monitor.report() if row.name == name]
    return row


# --- RAPL -----------------------------------------------------------------------------------------


def test_rapl_sums_packages_and_dram_and_nothing_inside_or_around_them(machine: Machine) -> None:
    zones = {
        "intel-rapl:0": ("package-0", 7.0),
        "intel-rapl:0:0": ("core", 100.0),
        "intel-rapl:0:1": ("uncore", 100.0),
        "intel-rapl:0:2": ("dram", 2.0),
        "intel-rapl:1": ("package-1", 5.0),
        "intel-rapl:1:0": ("dram", 1.0),
        "intel-rapl:2": ("psys", 40.0),
        "intel-rapl-mmio:0": ("package-0", 100.0),
    }
    for zone, (name, _) in zones.items():
        machine.zone(zone, name, 1_000_000)
    meters = power.discover(host=machine.host())
    for meter in meters:
        meter.start()
    machine.advance(1.0)
    for zone, (name, joules) in zones.items():
        machine.zone(zone, name, 1_000_000 + int(joules * 1e6))
    chips, platform = only(meters, "rapl").stop(), only(meters, "rapl-psys").stop()
    assert chips.joules == pytest.approx(15.0)
    assert dict(chips.parts) == pytest.approx({"package": 12.0, "dram": 3.0})
    assert platform.joules == pytest.approx(40.0)
    assert (chips.method, chips.source, chips.update_s) == ("counter", "rapl", 0.001)
    assert (chips.low or 0) < 15 < (chips.high or 0)
    assert chips.low


def test_rapl_finds_subzones_that_are_only_nested_and_counts_each_once(machine: Machine) -> None:
    machine.zone("intel-rapl:0", "package-0", 0)
    machine.zone("intel-rapl:0/intel-rapl:0:0", "dram", 0)
    machine.zone("intel-rapl:0/intel-rapl:0:1", "dram", 0)
    machine.zone("intel-rapl:0:1", "dram", 0)  # the same zone, seen flat
    meter = only(power.discover(host=machine.host()), "rapl")
    meter.start()
    machine.advance(1.0)
    machine.zone("intel-rapl:0", "package-0", 4_000_000)
    machine.zone("intel-rapl:0/intel-rapl:0:0", "dram", 1_000_000)
    machine.zone("intel-rapl:0:1", "dram", 2_000_000)
    assert dict(meter.stop().parts) == pytest.approx({"package": 4.0, "dram": 3.0})


def test_rapl_missing_dram_is_null_and_the_scope_says_so(machine: Machine) -> None:
    machine.zone("intel-rapl:0", "package-0", 0)
    meter = only(power.discover(machine.root, host=machine.host()), "rapl")
    meter.start()
    machine.advance(1.0)
    machine.zone("intel-rapl:0", "package-0", 3_000_000)
    energy = meter.stop()
    assert dict(energy.parts) == {"package": pytest.approx(3.0), "dram": None}
    assert "DRAM is not measured" in energy.scope
    assert json.loads(json.dumps(energy.as_dict()))["parts"]["dram"] is None


@given(start=st.integers(0, 999), steps=st.lists(st.integers(0, 999), min_size=1, max_size=10))
def test_rapl_wraparound(tmp_path_factory: pytest.TempPathFactory, start: int, steps: list[int]) -> None:
    machine = Machine(tmp_path_factory.getbasetemp() / "wraparound")
    machine.zone("intel-rapl:0", "package-0", start, 1000)
    (meter,) = rapl.open_meters(machine.host())
    before = last = meter.sample()
    for step in steps:
        start = (start + step) % 1000
        machine.zone("intel-rapl:0", "package-0", start, 1000)
        last = meter.sample()
    assert last.joules - before.joules == pytest.approx(sum(steps) / 1e6)


def test_rapl_broken_range_is_no_figure(machine: Machine) -> None:
    machine.zone("intel-rapl:0", "package-0", 5000, 0)
    (meter,) = rapl.open_meters(machine.host())
    meter.start()
    machine.advance(1.0)
    machine.zone("intel-rapl:0", "package-0", 10, 0)
    energy = meter.stop()
    assert (energy.joules, energy.low, energy.high) == (None, None, None)
    assert energy.method == "unavailable: intel-rapl:0 went back by more than its range"


def test_rapl_permission_denied_is_reported_with_the_udev_rule(machine: Machine) -> None:
    machine.zone("intel-rapl:0", "package-0", 0)
    machine.denied.add("energy_uj")
    monitor = PowerMonitor(host=machine.host())
    row = report_of(monitor, "rapl")
    assert not row.available
    assert "root only" in (row.reason or "")
    assert rapl.UDEV_RULE in (row.fix or "")
    packaged = Path(__file__).parents[1] / "packaging/70-rapl.rules"
    assert packaged.read_text().splitlines()[-1] == rapl.UDEV_RULE
    assert monitor.meters == []


def test_rapl_counter_that_never_moves_is_absent_not_zero(machine: Machine) -> None:
    machine.zone("intel-rapl:0", "package-0", 0)
    (meter,) = rapl.open_meters(machine.host())
    meter.start()
    machine.advance(60.0)
    assert meter.stop().as_dict() | {"scope": ""} == {
        "joules": None,
        "low": None,
        "high": None,
        "source": "rapl",
        "scope": "",
        "method": "unavailable: the counter did not advance",
        "update_s": 0.001,
        "parts": {},
    }


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"name": "core", "energy_uj": 1}, "no package and no psys"),
        ({"name": "package-0", "energy_uj": "junk"}, "reading failed"),
        ({"name": "package-0"}, "reading failed"),
        ({}, "reading failed"),
    ],
)
def test_rapl_odd_trees(machine: Machine, files: dict[str, object], reason: str) -> None:
    machine.write("powercap/intel-rapl:0", **files)
    assert reason in (report_of(PowerMonitor(host=machine.host()), "rapl").reason or "")


# --- Battery --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "files",
    [
        {"power_now": 8_000_000},
        {"power_now": -8_000_000},
        {"current_now": 1_000_000, "voltage_now": 8_000_000},
        {"current_now": -1_000_000, "voltage_now": 8_000_000},
    ],
)
def test_battery_discharging(machine: Machine, files: dict[str, object]) -> None:
    machine.write("power_supply/AC", type="Mains", online=0)
    machine.write("power_supply/BAT0", type="Battery", status="Discharging", **files)
    machine.write(
        "power_supply/mouse", type="Battery", scope="Device", status="Discharging", power_now=90_000_000
    )
    (meter,) = power.discover(host=machine.host())
    meter.start()
    machine.advance(100.0)
    energy = meter.stop()
    assert energy.joules == pytest.approx(800.0)
    assert energy.scope.startswith("whole machine")
    assert energy.method == Integrator.METHOD


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging", "Unknown"])
def test_battery_on_ac_has_no_figure_but_keeps_its_meter(machine: Machine, status: str) -> None:
    machine.write("power_supply/BAT0", type="Battery", status=status, power_now=8_000_000)
    (meter,) = power.discover(host=machine.host())
    meter.start()
    machine.advance(100.0)
    assert meter.stop().joules is None
    row = report_of(PowerMonitor(host=machine.host(), meters=[meter]), "battery")
    assert (row.available, row.fix) == (False, "unplug the charger")


def test_two_batteries_one_of_them_idle(machine: Machine) -> None:
    machine.write(
        "power_supply/BAT0", type="Battery", scope="System", status="Discharging", power_now=6_000_000
    )
    machine.write("power_supply/BAT1", type="Battery", status="Not charging", power_now=9_000_000)
    (meter,) = power.discover(host=machine.host())
    meter.start()
    machine.advance(10.0)
    assert meter.stop().joules == pytest.approx(60.0)


def test_battery_that_reports_no_power_is_absent(machine: Machine) -> None:
    machine.write("power_supply/BAT0", type="Battery", status="Discharging", power_now=0)
    (meter,) = power.discover(host=machine.host())
    meter.start()
    assert meter.stop().method == "unavailable: the fuel gauge reports no power"


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (None, None),
        (types.SimpleNamespace(percent=81.5, power_plugged=False), power.BatteryState(81.5, False)),
        (types.SimpleNamespace(percent=50, power_plugged=None), power.BatteryState(50, None)),
    ],
)
def test_battery_state(monkeypatch: pytest.MonkeyPatch, answer: object, state: object) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: answer, raising=False)
    assert power.battery() == state


def test_battery_state_where_psutil_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(psutil, "sensors_battery", raising=False)
    assert power.battery() is None


# --- Boards ---------------------------------------------------------------------------------------


def test_pmic_sums_rails_that_report_both_volts_and_amperes(machine: Machine) -> None:
    machine.output = PMIC_TEXT
    (meter,) = power.discover(host=machine.host())
    meter.start()
    machine.advance(20.0)
    energy = meter.stop()
    assert energy.joules == pytest.approx((0.1 * 3.7 + 2.0 * 0.9) * 20)
    assert (energy.high or 0) > 1.3 * (energy.joules or math.inf)  # conversion losses lie outside the rails


@pytest.mark.parametrize(
    "text", ["", 'error=1 error_msg="Command not registered"', "EXT5V_V volt(24)=5.1V", "A_A x=1"]
)
def test_pmic_text_without_rails(text: str) -> None:
    with pytest.raises(Unavailable, match="Raspberry Pi 5"):
        pmic.board_watts(text)


@pytest.mark.parametrize(
    ("output", "reason", "fix"),
    [
        (FileNotFoundError(2, "vcgencmd"), "no vcgencmd", None),
        (OSError("vcgencmd failed: Can't open device file: /dev/vcio"), "vcio", "sudo usermod -aG video"),
        ("error=1", "Raspberry Pi 5", None),
    ],
)
def test_pmic_absent(machine: Machine, output: str | OSError, reason: str, fix: str | None) -> None:
    machine.output = output
    row = report_of(PowerMonitor(host=machine.host()), "pmic")
    assert reason in (row.reason or "")
    assert (row.fix or "").startswith(fix or "")
    assert (row.fix is None) == (fix is None)


@pytest.mark.parametrize(
    ("rails", "watts", "parts"),
    [
        (["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"], 5.0, {"VDD_IN"}),
        (["VDD_GPU_SOC", "NC", "VIN_SYS_5V0"], 10.0, {"VDD_GPU_SOC", "VIN_SYS_5V0"}),
        (["VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"], 5.0, {"VIN_SYS_5V0"}),
    ],
)
def test_ina3221(machine: Machine, rails: list[str], watts: float, parts: set[str]) -> None:
    machine.write("hwmon/hwmon0", name="coretemp", temp1_input=40_000)
    machine.write("hwmon/hwmon1")
    channels: dict[str, object] = {}
    for number, label in enumerate(rails, start=1):
        channels |= {f"in{number}_label": label, f"in{number}_input": 5000, f"curr{number}_input": 1000}
    machine.write("hwmon/hwmon2", name="ina3221", in7_label="sum of shunt voltages", **channels)
    (meter,) = power.discover(host=machine.host())
    meter.start()
    machine.advance(4.0)
    energy = meter.stop()
    assert energy.joules == pytest.approx(watts * 4)
    assert {name for name, _ in energy.parts} == parts


def test_ina3221_leaves_out_a_disabled_channel(machine: Machine) -> None:
    machine.write("hwmon/hwmon0", name="ina3221", in1_label="A", in1_enable=0, in1_input=1, curr1_input=1)
    assert power.discover(host=machine.host()) == []


# --- Other systems --------------------------------------------------------------------------------


def test_apple_says_why_there_is_nothing(machine: Machine) -> None:
    row = report_of(PowerMonitor(host=machine.host("darwin", "arm64")), "apple")
    assert "needs root" in (row.reason or "")
    assert "IOReport" in (row.reason or "")
    assert (row.fix or "").startswith("sudo powermetrics")


def metadata_v2(names: list[str]) -> bytes:
    head = bytes(64) + struct.pack("<HH", 1, len(names))
    encoded = [name.encode("utf-16-le") + b"\0\0" for name in names]
    return head + b"".join(struct.pack("<iH", 0, len(raw)) + raw for raw in encoded)


class Windows:
    """Energy meters by device path: channel names and picowatt-hours."""

    def __init__(self, meters: Mapping[str, Mapping[str, int]]) -> None:
        self.meters = {device: dict(channels) for device, channels in meters.items()}

    def devices(self) -> list[str]:
        return [*self.meters, "unsupported"]

    def ask(self, device: str, code: int, size: int) -> bytes:
        if device == "unsupported":
            raise OSError("unsupported: Windows error 50")
        channels = self.meters[device]
        metadata = metadata_v2(list(channels))
        reply = {
            emi.GET_VERSION: struct.pack("<H", 2),
            emi.GET_METADATA_SIZE: struct.pack("<I", len(metadata)),
            emi.GET_METADATA: metadata,
            emi.GET_MEASUREMENT: b"".join(struct.pack("<QQ", energy, 0) for energy in channels.values()),
        }[code]
        assert size >= len(reply)
        return reply


def test_emi_counts_packages_and_dram_once_and_no_rail_inside(machine: Machine) -> None:
    windows = Windows(
        {
            "core": {"RAPL_Package0_Core0_CORE": 0},
            "die0": {"RAPL_Package0_PP0": 0, "RAPL_Package0_PKG": 0, "RAPL_Package0_DRAM": 0},
            "die1": {"RAPL_Package0_PKG": 0},
        }
    )
    (meter,) = emi.open_meters(machine.host("win32"), windows)
    meter.start()
    machine.advance(60.0)
    for channels in windows.meters.values():
        for name in channels:
            channels[name] = 1_000_000_000 if "DRAM" in name else 10_000_000_000
    energy = meter.stop()
    assert dict(energy.parts) == pytest.approx({"package": 36.0, "dram": 3.6})


@pytest.mark.parametrize(
    ("channels", "found"),
    [
        (["Current Socket Power", "VDDCR_SOC Power", "Apu Power"], True),
        (["CPU Package"], True),
        (["RAPL_Package0_PP0", "RAPL_Package0_DRAM"], False),
        (["VDDCR_SOC Power"], False),
        ([], False),
    ],
)
def test_emi_channel_choice(machine: Machine, channels: list[str], found: bool) -> None:
    windows = Windows({"device": dict.fromkeys(channels, 1)})
    if found:
        (meter,) = emi.open_meters(machine.host("win32"), windows)
        assert meter.sample().parts == {"package": 0.0, "dram": None}
    else:
        with pytest.raises(Unavailable, match="no energy meter publishes a processor package"):
            emi.open_meters(machine.host("win32"), windows)


def test_emi_metadata() -> None:
    name = "CPU Meter".encode("utf-16-le") + b"\0\0"
    version_1 = struct.pack("<i", 0) + bytes(64) + struct.pack("<HH", 1, len(name)) + name
    assert emi.channel_names(1, version_1) == ["CPU Meter"]
    assert emi.channel_names(2, metadata_v2(["a", "bc"])) == ["a", "bc"]
    for version, data in [(3, version_1), (1, b""), (2, metadata_v2(["a", "b"])[:75])]:
        with pytest.raises(ValueError, match="EMI"):
            emi.channel_names(version, data)


class CreateFile:
    """The function CreateFileW, whose result type the caller must set lest a 64-bit handle be cut."""

    restype: object = None

    def __init__(self, library: WindowsLibrary) -> None:
        self.library = library

    def __call__(self, path: str, *_: object) -> int | None:
        self.library.opened.append(path)
        return len(self.library.opened) if path != "unsupported" else ctypes.c_void_p(-1).value


class WindowsLibrary:
    """cfgmgr32 and kernel32 over the replies of `Windows`, with the calling conventions of the real ones."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.opened: list[str] = []
        self.CreateFileW = CreateFile(self)
        self.list_error = 0

    def CM_Get_Device_Interface_List_SizeW(self, length: Any, guid: Any, device: None, flags: int) -> int:
        assert guid.raw.hex() == "4483bd45d67ecf49a440c276c933b053"
        length._obj.value = len("\0".join(self.windows.devices())) + 2
        return 0

    def CM_Get_Device_Interface_ListW(
        self, guid: Any, device: None, paths: Any, length: Any, flags: int
    ) -> int:
        for at, letter in enumerate("\0".join(self.windows.devices())):
            paths[at] = letter
        assert length.value == len(paths)
        return self.list_error

    def DeviceIoControl(
        self,
        handle: Any,
        code: Any,
        _in: None,
        _size: int,
        reply: Any,
        size: Any,
        length: Any,
        _overlapped: None,
    ) -> int:
        data = self.windows.ask(self.opened[handle.value - 1], code.value, size.value)
        ctypes.memmove(reply, data, len(data))
        length._obj.value = len(data)
        return 1


def test_emi_calls_into_windows(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = Windows({"device": {"RAPL_Package0_PKG": 0, "RAPL_Package0_DRAM": 0}})
    library = WindowsLibrary(windows)
    monkeypatch.setattr(ctypes, "WinDLL", lambda name, **options: library, raising=False)
    monkeypatch.setattr(ctypes, "get_last_error", lambda: 5, raising=False)
    (meter,) = power.discover(host=machine.host("win32", "AMD64"))
    assert library.CreateFileW.restype is ctypes.c_void_p
    meter.start()
    machine.advance(20.0)
    windows.meters["device"]["RAPL_Package0_PKG"] = 10_000_000_000
    assert dict(meter.stop().parts) == pytest.approx({"package": 36.0, "dram": 0.0})
    assert library.opened == ["device", "unsupported"]  # one handle a device, kept open
    library.list_error = 3
    assert "no energy meter" in (report_of(PowerMonitor(host=machine.host("win32")), "emi").reason or "")


def test_emi_reply_cut_short_is_absent(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = Windows({"device": {"RAPL_Package0_PKG": 0}})
    (meter,) = emi.open_meters(machine.host("win32"), windows)
    monkeypatch.setattr(windows, "ask", lambda device, code, size: b"")
    meter.start()
    assert "cut short" in meter.stop().method


class Nvml(types.ModuleType):
    """pynvml as the reader uses it: two GPUs of which the second is too old to count."""

    class NVMLError(Exception):
        pass

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.millijoules: list[float | None] = [1_000_000.0, None]
        self.driver = True

    def nvmlInit(self) -> None:
        if not self.driver:
            raise self.NVMLError("NVML Shared Library Not Found")

    def nvmlDeviceGetCount(self) -> int:
        return len(self.millijoules)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetTotalEnergyConsumption(self, device: int) -> float:
        energy = self.millijoules[device]
        if energy is None:
            raise self.NVMLError("Not Supported")
        return energy


def test_nvml_counts_but_does_not_lead_unless_preferred(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvml = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    leaders = []
    for prefer in (None, "nvml"):
        monitor = PowerMonitor(host=machine.host(), prefer=prefer, background=False)
        with monitor.span() as span:
            machine.advance(10.0, cpu_s=2.0)
            nvml.millijoules[0] = (nvml.millijoules[0] or 0) + 500_000
        figures = {figure.source: figure for figure in span.energies}
        assert dict(figures["nvml"].parts) == {"gpu0": pytest.approx(500.0)}
        leaders.append(span.energy.source)
    assert leaders == ["cpu-model", "nvml"]
    with monitor.span() as span:
        machine.advance(0.5, cpu_s=0.5)
    assert span.energies[0].method == "unavailable: shorter than 10 periods of 0.1 s"
    nvml.millijoules[0] = None
    with monitor.span() as span:
        machine.advance(10.0, cpu_s=2.0)
    assert span.energies[0].method == "unavailable: NVML: Not Supported"
    assert span.energy.source == "cpu-model"


def test_nvml_without_driver_counter_or_gpu(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    reasons = []
    for driver, energies in [(False, []), (True, []), (True, [None])]:
        nvml.driver, nvml.millijoules = driver, list(energies)
        reasons.append(report_of(PowerMonitor(host=machine.host()), "nvml").reason)
    assert reasons == ["NVML: NVML Shared Library Not Found", "NVML: no GPU", "gpu0: NVML: Not Supported"]


# --- Models ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "machine_name", "board", "low", "high"),
    [
        ("linux", "x86_64", None, 1.7, 16.0),
        ("win32", "AMD64", None, 1.7, 16.0),
        ("darwin", "arm64", None, 1.0, 8.0),
        ("linux", "aarch64", "Raspberry Pi 4 Model B Rev 1.4\0", 0.4, 2.0),
        ("linux", "aarch64", "NVIDIA Orin Nano\0", 0.4, 7.0),
        ("linux", "aarch64", None, 0.4, 7.0),
    ],
)
def test_declared_range_by_machine(
    machine: Machine, platform: str, machine_name: str, board: str | None, low: float, high: float
) -> None:
    if board is not None:
        (machine.root / "proc/device-tree").mkdir(parents=True)
        (machine.root / "proc/device-tree/model").write_text(board)
    watts = declared(machine.host(platform, machine_name))
    assert (watts.low, watts.high) == (low, high)
    assert watts.source


@given(st.floats(1e-6, 1e5))
def test_declared_model_bounds_and_states_its_source(cpu_s: float) -> None:
    energy = WattsPerCore(2.0, 8.0, "the vendor").energy(cpu_s)
    assert energy.joules == pytest.approx(4.0 * cpu_s)
    assert (energy.low, energy.high) == (pytest.approx(2.0 * cpu_s), pytest.approx(8.0 * cpu_s))
    assert energy.method == "model:declared(2-8 W per busy core; the vendor)"


@pytest.mark.parametrize("cpu_s", [0.0, -1.0])
def test_declared_model_without_cpu_time_is_absent(cpu_s: float) -> None:
    assert WattsPerCore(2.0, 8.0, "the vendor").energy(cpu_s).joules is None


@given(
    idle=st.floats(0.0, 50.0),
    busy=st.floats(0.5, 30.0),
    loads=st.lists(st.floats(0.0, 4.0), min_size=8, max_size=40).filter(lambda x: max(x) - min(x) > 0.5),
)
def test_fit_recovers_the_line_it_was_given(idle: float, busy: float, loads: list[float]) -> None:
    model = fit((0.1, 0.1 * load, 0.1 * (idle + busy * load)) for load in loads)
    assert model is not None
    assert model.idle_watts == pytest.approx(idle, abs=1e-6)
    assert model.watts_per_cpu == pytest.approx(busy, rel=1e-6)
    assert model.spread == pytest.approx(0.0, abs=1e-6)


SPEC = Spec("rapl", "CPU packages", 1.0, 0.1, 0.1)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(1.0, 1.0, 10.0)] * 7, None),
        ([(1.0, 0.0, 10.0)] * 9, None),
        ([(1.0, 1.0, 0.0)] * 9, None),
        ([(1.0, 1.0, 10.0)] * 9, (0.0, 10.0)),  # load never varied: all of it is CPU time's
        (
            [(1.0, c, 10.0 - c) for c in (0.0, 1.0, 2.0) * 4],
            (9.0, 0.0),
        ),  # busier takes less: nonsense, so a constant
        (
            [(1.0, c, 10 * c - 1) for c in (1.0, 2.0, 3.0) * 4],
            (0.0, 134 / 14),
        ),  # negative rest: through the origin
    ],
)
def test_fit_never_has_negative_watts(
    rows: list[tuple[float, float, float]], expected: tuple[float, float] | None
) -> None:
    model = fit(rows)
    if expected is None:
        assert model is None
    else:
        assert model is not None
        assert (model.idle_watts, model.watts_per_cpu) == pytest.approx(expected, abs=0.5)


def test_fit_bounds_widen_with_the_spread() -> None:
    tight = Fit(2.0, 5.0, 0.01, 100).energy(SPEC, 1.0, 1.0)
    loose = Fit(2.0, 5.0, 0.3, 100).energy(SPEC, 1.0, 1.0)
    assert tight.joules == loose.joules == 7.0
    assert (tight.low, tight.high) == (pytest.approx(7 * 0.88), pytest.approx(7 * 1.12))
    assert (loose.low, loose.high) == (pytest.approx(7 * 0.3), pytest.approx(7 * 1.7))
    assert Fit(0.0, 5.0, 0.0, 9).energy(SPEC, 1.0, 0.0).joules is None


# --- Monitor and spans ----------------------------------------------------------------------------


class Counter:
    """A synthetic machine behind a meter: 4 W at rest and 6 W a busy core."""

    def __init__(self, machine: Machine, update_s: float, inline: bool = True) -> None:
        self.broken: Exception | None = None
        self.machine = machine
        spec = Spec("rapl", "CPU packages", update_s, 0.1, 0.1, inline=inline)
        self.meter = Meter(spec, self.read, machine.host())

    def read(self) -> dict[str, float | None]:
        if self.broken is not None:
            raise self.broken
        return {"package": 4 * self.machine.now_s + 6 * self.machine.cpu_s, "dram": None}

    def monitor(self) -> PowerMonitor:
        return PowerMonitor(host=self.machine.host(), meters=[self.meter], background=False)


def train(machine: Machine, monitor: PowerMonitor, step_s: float) -> None:
    for load in (0.0, 1.0, 2.0) * 5:
        machine.advance(step_s, load * step_s)
        monitor.sample()


def test_long_request_reads_the_counter(machine: Machine) -> None:
    monitor = Counter(machine, update_s=0.1).monitor()
    with monitor.span() as span:
        machine.advance(10.0, cpu_s=5.0)
    assert span.energy.joules == pytest.approx(70.0)
    assert span.energy.method == "counter"
    assert (span.elapsed_s, span.cpu_s) == (pytest.approx(10.0), pytest.approx(5.0))
    assert [figure.source for figure in span.energies] == ["rapl", "cpu-model"]


def test_short_request_uses_the_model_fitted_to_the_counter(machine: Machine) -> None:
    counter = Counter(machine, update_s=1.0)
    monitor = counter.monitor()
    train(machine, monitor, 1.0)
    model = monitor.calibration(counter.meter)
    assert model is not None
    assert (model.idle_watts, model.watts_per_cpu) == (pytest.approx(4.0), pytest.approx(6.0))
    with monitor.span() as span:
        machine.advance(0.05, cpu_s=0.08)
    assert span.energy.joules == pytest.approx(4 * 0.05 + 6 * 0.08)
    assert span.energy.method == "model:fitted(rapl)"
    assert (span.energy.source, span.energy.update_s) == ("cpu-model", 1.0)


@pytest.mark.parametrize(("elapsed_s", "method"), [(9.99, "model:fitted(rapl)"), (10.01, "counter")])
def test_ten_periods_are_the_border(machine: Machine, elapsed_s: float, method: str) -> None:
    monitor = Counter(machine, update_s=1.0).monitor()
    train(machine, monitor, 1.0)
    with monitor.span() as span:
        machine.advance(elapsed_s, cpu_s=1.0)
    assert span.energy.method == method


def test_short_request_before_calibration_falls_back_to_the_declared_model(machine: Machine) -> None:
    monitor = Counter(machine, update_s=1.0).monitor()
    with monitor.span() as span:
        machine.advance(0.05, cpu_s=0.05)
    assert span.energies[0].method.endswith("and not yet calibrated")
    assert span.energy.method.startswith("model:declared(1.7-16 W per busy core; ")


def test_calibration_does_not_bridge_a_pause_or_a_failure(machine: Machine) -> None:
    counter = Counter(machine, update_s=1.0)
    monitor = counter.monitor()
    train(machine, monitor, 10.0)  # samples too far apart to stand for what lay between
    assert monitor.calibration(counter.meter) is None
    for _ in range(20):  # never two good readings in a row
        machine.advance(0.6, 0.6)
        counter.broken = OSError("gone") if counter.broken is None else None
        monitor.sample()
    assert monitor.calibration(counter.meter) is None


def test_source_that_goes_away_in_mid_flight(machine: Machine) -> None:
    zone = machine.zone("intel-rapl:0", "package-0", 0)
    monitor = PowerMonitor(host=machine.host(), background=False)
    with monitor.span() as span:
        machine.advance(10.0, cpu_s=2.0)
        (zone / "energy_uj").unlink()
    gone = span.energies[0]
    assert (gone.joules, gone.source) == (None, "rapl")
    assert gone.method.startswith("unavailable: reading failed")
    assert "energy_uj" in gone.method
    assert span.energy.method.startswith("model:declared")
    assert "energy_uj" in (report_of(monitor, "rapl").reason or "")


def test_a_reading_lost_in_the_middle_is_not_papered_over(machine: Machine) -> None:
    counter = Counter(machine, update_s=0.1)
    monitor = counter.monitor()
    with monitor.span() as span:
        machine.advance(5.0, cpu_s=1.0)
        counter.broken = ValueError("not a number")
        monitor.sample()
        counter.broken = None
        machine.advance(5.0, cpu_s=1.0)
    assert span.energies[0].method == "unavailable: reading failed: not a number"
    with monitor.span() as span:
        machine.advance(5.0, cpu_s=1.0)
    assert span.energy.joules == pytest.approx(26.0)


def test_without_any_source_everything_is_absent_never_zero(machine: Machine) -> None:
    monitor = PowerMonitor(host=machine.host(), background=False)
    with monitor.span() as span:
        assert span.energy.joules is None  # still open
        machine.advance(1.0, cpu_s=0.0)
    assert (span.energy.joules, span.energy.low, span.energy.high) == (None, None, None)
    assert span.energy.method == "unavailable: no CPU time was spent"
    assert span.stages == {}
    rows = {row.name: row for row in monitor.report()}
    assert set(rows) == {*(name for name, _ in SOURCES), "cpu-model"}
    assert all(row.reason for row in rows.values())
    assert [name for name, row in rows.items() if row.available] == ["cpu-model"]
    json.dumps([row.as_dict() for row in rows.values()])


def test_gauge_is_scaled_to_the_span_and_says_how_unsure(machine: Machine) -> None:
    counter = Counter(machine, update_s=1.0, inline=False)
    monitor = counter.monitor()
    with monitor.span() as span:
        machine.advance(0.5)
        for _ in range(11):
            monitor.sample()
            machine.advance(1.0)
        machine.advance(0.5)
    # 12 s of span, samples over 10 s of it, at a constant 4 W.
    assert span.energy.joules == pytest.approx(48.0)
    assert span.energy.high == pytest.approx(48.0 * (1 + 0.1 + 0.2 + 0.2))
    with monitor.span() as span:
        machine.advance(12.0)
    assert span.energies[0].method == "unavailable: no sample was taken in time"


def test_stages_split_the_joules_by_their_cpu_time(machine: Machine) -> None:
    monitor = Counter(machine, update_s=0.1).monitor()
    with monitor.span() as span:
        machine.advance(1.0, cpu_s=1.0)
        span.stage("prefill")
        machine.advance(1.0, cpu_s=2.0)
        span.stage("decode")
        machine.advance(1.0, cpu_s=4.0)
        span.stage("wait")
        machine.advance(6.0, cpu_s=0.0)
        span.stage("decode")
        machine.advance(1.0, cpu_s=1.0)
    total = span.energy.joules
    assert total is not None
    shares = {
        name: energy.joules / total for name, energy in span.stages.items() if energy.joules is not None
    }
    assert shares == pytest.approx({"start": 1 / 8, "prefill": 2 / 8, "decode": 5 / 8})
    assert span.stages["decode"].method == "counter; split by CPU time"
    assert dict(span.stages["decode"].parts)["dram"] is None


def test_reading_begun_before_the_span_does_not_count(machine: Machine) -> None:
    counter = Counter(machine, update_s=0.1, inline=False)
    monitor = counter.monitor()
    early = counter.meter.sample()
    machine.advance(5.0, cpu_s=5.0)
    with monitor.span() as span:
        span.see(counter.meter, early)  # the sampling thread delivers it late
        monitor.sample()
        machine.advance(5.0, cpu_s=1.0)
        monitor.sample()
    assert span.energy.joules == pytest.approx(26.0)


def test_span_ends_when_the_request_raises(machine: Machine) -> None:
    def fail() -> None:
        machine.advance(5.0, cpu_s=1.0)
        raise RuntimeError("boom")

    span = Counter(machine, update_s=0.1).monitor().span()
    with pytest.raises(RuntimeError, match="boom"), span:
        fail()
    assert span.energy.joules == pytest.approx(26.0)


def test_overlapping_spans_each_see_their_own_time(machine: Machine) -> None:
    monitor = Counter(machine, update_s=0.1).monitor()
    with monitor.span() as outer:
        machine.advance(2.0)
        with monitor.span() as inner:
            machine.advance(3.0)
        machine.advance(2.0)
    assert (outer.energy.joules, inner.energy.joules) == (pytest.approx(28.0), pytest.approx(12.0))


def test_replay_of_recorded_power(machine: Machine) -> None:
    # Seconds and watts at a laptop's battery during one request: rest, prefill, decode, rest.
    recording = [
        (0, 5.1),
        (1, 5.0),
        (2, 14.2),
        (3, 18.9),
        (4, 19.3),
        (5, 12.1),
        (6, 11.8),
        (7, 12.4),
        (8, 6.0),
        (9, 5.2),
    ]
    recording += [(second, 5.0) for second in range(10, 21)]
    begin_s = machine.now_s
    watts = {begin_s + second: power_watts for second, power_watts in recording}
    host = machine.host()
    spec = Spec("replay", "whole machine", 1.0, 0.0, 0.0, Integrator.METHOD, inline=False)
    meter = Meter(spec, Integrator(host.clock, lambda: {"board": watts[machine.now_s]}), host)
    monitor = PowerMonitor(host=host, meters=[meter], background=False)
    with monitor.span() as span:
        for second, _ in recording:
            machine.now_s = begin_s + second
            monitor.sample()
    expected = sum((a + b) / 2 for (_, a), (_, b) in pairwise(recording))
    assert span.energy.joules == pytest.approx(expected)
    assert math.isclose(expected, 159.95)


def test_integrator_does_not_bridge_a_gap(machine: Machine) -> None:
    readings: list[float | Exception] = [10.0, 10.0, Unavailable("on AC"), 10.0, 10.0]

    def watts() -> dict[str, float]:
        reading = readings.pop(0)
        if isinstance(reading, Exception):
            raise reading
        return {"battery": reading}

    integrate = Integrator(machine.host().clock, watts)
    totals: list[float | None] = []
    for _ in range(5):
        try:
            totals.append(integrate()["battery"])
        except Unavailable:
            totals.append(None)
        machine.advance(1.0)
    assert totals == [0.0, 10.0, None, 10.0, 20.0]


def test_meter_without_time_between_start_and_stop_is_absent(machine: Machine) -> None:
    meter = Counter(machine, 0.1).meter
    assert meter.stop().method == "unavailable: not started"
    meter.start()
    assert meter.stop().method == "unavailable: too short: the source was read only once"


def wait_until(condition: Callable[[], bool], limit_s: float = 2.0) -> bool:
    end_s = time.monotonic() + limit_s
    while not condition() and time.monotonic() < end_s:
        time.sleep(0.002)
    return condition()


def test_background_thread_starts_lazily_rests_and_stops() -> None:
    reads: list[float] = []

    def read() -> dict[str, float | None]:
        reads.append(time.monotonic())
        return {"board": float(len(reads))}

    meter = Meter(Spec("fake", "board", 0.001, 0.0, 0.0, inline=False), read, Host())
    with PowerMonitor(meters=[meter], linger_s=0.0) as monitor:
        names = [thread.name for thread in threading.enumerate()]
        assert "edge-agent-power" not in names
        with monitor.span():
            (thread,) = [thread for thread in threading.enumerate() if thread.name == "edge-agent-power"]
            assert thread.daemon
            assert wait_until(lambda: len(reads) >= 2)
        resting = len(reads)
        time.sleep(0.25)
        assert len(reads) <= resting + 1  # asleep: at most the reading that was under way
        with monitor.span():
            assert wait_until(lambda: len(reads) > resting + 1)
    assert not thread.is_alive()


def test_no_thread_without_a_meter(machine: Machine) -> None:
    with PowerMonitor(host=machine.host()) as monitor, monitor.span():
        assert not [thread for thread in threading.enumerate() if thread.name == "edge-agent-power"]


def test_this_machine_never_claims_zero() -> None:
    with PowerMonitor() as monitor, monitor.span() as span:
        sum(range(200_000))
    assert span.energy.joules is None or span.energy.joules > 0
    for figure in span.energies:
        assert (figure.joules is None) == figure.method.startswith("unavailable: ")
        assert figure.joules is None or (figure.low or 0) <= figure.joules <= (figure.high or 0)


def test_commands_are_run_without_a_shell_and_failures_are_oserrors() -> None:
    host = Host()
    assert host.run([sys.executable, "-c", "print('a; b')"]) == "a; b\n"
    with pytest.raises(OSError, match="failed: no luck"):
        host.run([sys.executable, "-c", "import sys; sys.exit('no luck')"])
    with pytest.raises(FileNotFoundError):
        host.run(["edge-agent-no-such-command"])


def test_a_command_that_hangs_is_an_oserror(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(argv: list[str], *, timeout: float, **_: object) -> None:
        raise subprocess.TimeoutExpired(argv, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(OSError, match="vcgencmd did not answer within 2 s"):
        Host().run(["vcgencmd"])


def test_energy_is_frozen_and_its_share_keeps_absence() -> None:
    absent = SPEC.unavailable("a reason")
    assert absent.share(0.5, "half") == absent
    with pytest.raises(dataclasses.FrozenInstanceError):
        absent.joules = 0.0  # type: ignore[misc]
    assert Energy(4.0, 2.0, 8.0, "s", "c", "m", None, (("a", 4.0), ("b", None))).share(
        0.5, "half"
    ).as_dict() == {
        "joules": 2.0,
        "low": 1.0,
        "high": 4.0,
        "source": "s",
        "scope": "c",
        "method": "m; half",
        "update_s": None,
        "parts": {"a": 2.0, "b": None},
    }

"""Windows Energy Meter Interface: counters that firmware and drivers publish, readable without admin rights.

Interface: emi.h (GUID_DEVICE_ENERGY_METER, IOCTL_EMI_*); energy in picowatt-hours. Only channels that name a
whole package (or socket) and DRAM count: the driver also publishes every core and rail inside it, and on
multi-die processors the same package once a die, so a channel name counts once. Many desktops publish no
channel at all.

Not verified here: the decoding and the choice of channels are tested on made-up replies, the calls into
Windows have not been run on a Windows machine. Period and error (1 s, 10%) are assumed, the interface states
neither.
"""

from __future__ import annotations

import importlib
import re
import struct
import uuid
from typing import Any, Protocol

from edge_agent.power.meter import Host, Meter, Spec, Unavailable

GET_VERSION, GET_METADATA_SIZE, GET_METADATA, GET_MEASUREMENT = 0x224000, 0x224004, 0x224008, 0x22400C
_ENERGY_METER = uuid.UUID("45bd8344-7ed6-49cf-a440-c276c933b053")
_JOULES_PER_PWH = 3.6e-9
_PACKAGE = re.compile(r"(?<![a-z])(pkg|package|socket)(?![a-z0-9])", re.IGNORECASE)
_DRAM = re.compile(r"(?<![a-z])dram(?![a-z])", re.IGNORECASE)


class Port(Protocol):
    """How to reach the devices; the real one is Windows."""

    def devices(self) -> list[str]:
        """Paths of the energy meters present."""

    def ask(self, device: str, code: int, size: int) -> bytes:
        """Up to `size` bytes that the device answers to one control code. Raises OSError."""


class _Windows:
    """cfgmgr32 and kernel32. Handles stay open as long as the process."""

    def __init__(self) -> None:
        self._c: Any = importlib.import_module("ctypes")
        self._config = self._c.WinDLL("cfgmgr32")
        self._kernel = self._c.WinDLL("kernel32", use_last_error=True)
        self._kernel.CreateFileW.restype = self._c.c_void_p
        self._handles: dict[str, Any] = {}

    def devices(self) -> list[str]:
        interface = self._c.create_string_buffer(_ENERGY_METER.bytes_le, 16)
        length = self._c.c_ulong()
        if self._config.CM_Get_Device_Interface_List_SizeW(self._c.byref(length), interface, None, 0):
            return []
        paths = self._c.create_unicode_buffer(length.value)
        if self._config.CM_Get_Device_Interface_ListW(interface, None, paths, length, 0):
            return []
        return [path for path in self._c.wstring_at(paths, length.value).split("\0") if path]

    def ask(self, device: str, code: int, size: int) -> bytes:
        reply, length = self._c.create_string_buffer(size), self._c.c_ulong()
        handle = self._handles.get(device) or self._open(device)
        if not self._kernel.DeviceIoControl(
            handle, self._c.c_ulong(code), None, 0, reply, self._c.c_ulong(size), self._c.byref(length), None
        ):
            raise self._failure(device)
        return bytes(reply.raw[: length.value])

    def _open(self, device: str) -> Any:
        generic_read, share_all, open_existing = self._c.c_ulong(0x80000000), 3, 3
        handle = self._kernel.CreateFileW(device, generic_read, share_all, None, open_existing, 0, None)
        if handle is None or handle == self._c.c_void_p(-1).value:
            raise self._failure(device)
        self._handles[device] = self._c.c_void_p(handle)
        return self._handles[device]

    def _failure(self, device: str) -> OSError:
        return OSError(f"{device}: Windows error {self._c.get_last_error()}")


def _name(raw: bytes) -> str:
    return raw.decode("utf-16-le", "replace").rstrip("\0")


def channel_names(version: int, metadata: bytes) -> list[str]:
    """Names of a device's channels from EMI_METADATA_V1 or _V2. ValueError on others or a cut reply."""
    try:
        if version == 1:
            (size,) = struct.unpack_from("<H", metadata, 70)
            return [_name(metadata[72 : 72 + size])]
        if version == 2:
            names: list[str] = []
            (count,) = struct.unpack_from("<H", metadata, 66)
            at = 68
            for _ in range(count):
                (size,) = struct.unpack_from("<H", metadata, at + 4)
                names.append(_name(metadata[at + 6 : at + 6 + size]))
                at += 6 + size
            return names
    except struct.error as error:
        raise ValueError(f"EMI metadata is cut short: {error}") from error
    raise ValueError(f"unknown EMI version {version}")


def _channels(port: Port, device: str) -> list[str]:
    (version,) = struct.unpack("<H", port.ask(device, GET_VERSION, 2))
    (size,) = struct.unpack("<I", port.ask(device, GET_METADATA_SIZE, 4))
    return channel_names(version, port.ask(device, GET_METADATA, size))


def open_meters(host: Host, port: Port | None = None) -> list[Meter]:
    """One meter over the package and DRAM channels. Raises Unavailable."""
    if host.platform != "win32":
        raise Unavailable("only on Windows")
    port = port or _Windows()
    chosen: dict[str, tuple[str, int, int]] = {}
    parts: dict[str, str] = {}
    for device in port.devices():
        try:
            names = _channels(port, device)
        except (OSError, ValueError, struct.error):
            continue
        for index, name in enumerate(names):
            part = "package" if _PACKAGE.search(name) else "dram" if _DRAM.search(name) else None
            if part is not None:
                chosen[name] = (device, index, len(names))
                parts[name] = part
    if "package" not in parts.values():
        raise Unavailable("no energy meter publishes a processor package; many desktops have none")

    def raw_joules() -> dict[str, float]:
        energy: dict[str, float] = {}
        for name, (device, index, count) in chosen.items():
            reply = port.ask(device, GET_MEASUREMENT, 16 * count)
            if len(reply) < 16 * (index + 1):
                raise ValueError(f"EMI measurement of {name} is cut short")
            energy[name] = struct.unpack_from("<Q", reply, 16 * index)[0] * _JOULES_PER_PWH
        return energy

    opened = raw_joules()

    def read() -> dict[str, float | None]:
        joules: dict[str, float | None] = {"package": 0.0, "dram": 0.0 if "dram" in parts.values() else None}
        for name, now in raw_joules().items():
            joules[parts[name]] = (joules[parts[name]] or 0.0) + now - opened[name]
        return joules

    scope = "CPU packages" + (" and DRAM" if "dram" in parts.values() else " (DRAM is not measured)")
    return [Meter(Spec("emi", f"{scope}, whole machine", 1.0, 0.10, 0.10), read, host)]

"""NVIDIA GPUs: the driver's total-energy counter (Volta and later), through the optional nvidia-ml-py.

Scope is every GPU's board, whoever uses it; the CPU is not in it. The counter moves about every 100 ms.
Error: 5% (Yang et al., Part-time Power Measurements, SC 2024, who also show that some boards sample only part
of the time).
"""

from __future__ import annotations

import importlib
from typing import Any

from edge_agent.power.meter import Host, Meter, Spec, Unavailable

_SPEC = Spec("nvml", "GPU boards, all users of them", 0.1, 0.05, 0.05, covers_cpu=False)


def open_meters(host: Host) -> list[Meter]:
    """One meter, a part for each GPU that counts. Raises Unavailable. Starts NVML, up to 0.5 s."""
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError as error:
        raise Unavailable("nvidia-ml-py is not installed", "pip install 'edge-agent[nvml]'") from error
    try:
        nvml.nvmlInit()
        devices = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError as error:
        raise Unavailable(f"NVML: {error}") from error

    def total_joules(device: Any) -> float:
        try:
            return float(nvml.nvmlDeviceGetTotalEnergyConsumption(device)) / 1000
        except nvml.NVMLError as error:
            raise Unavailable(f"NVML: {error}") from error

    counting: dict[str, tuple[Any, float]] = {}
    reasons: list[str] = ["NVML: no GPU"] if not devices else []
    for index, device in enumerate(devices):
        try:
            counting[f"gpu{index}"] = (device, total_joules(device))
        except Unavailable as error:
            reasons.append(f"gpu{index}: {error.reason}")
    if not counting:
        raise Unavailable("; ".join(reasons))

    def read() -> dict[str, float | None]:
        return {name: total_joules(device) - opened for name, (device, opened) in counting.items()}

    return [Meter(_SPEC, read, host)]

"""A LoRA adapter worked into the weights of its model: W + scale · B·A, once, instead of on every token.

The runtime then runs one plain model, in whatever format is fastest (`prepare`), at no cost for the adapter.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import gguf
from .errors import ModelError

if TYPE_CHECKING:
    import numpy as np

_TYPES = {"F32": "<f4", "F16": "<f2"}


def merge(
    model: Path, adapter: Path, target: Path, quantize: Callable[[Path, Path, str], None], *, scale: float = 1.0
) -> None:
    """Writes `model` with `adapter` worked in to `target`, as float16.

    quantize: (source, target, format) -> None, which writes the model as float16 first. Cost: seconds for 135M
    weights; disk for two bytes a weight. Raises ModelError when the adapter does not fit the model.
    """
    import numpy as np

    lora = gguf.check(adapter, adapter=True)
    alpha = lora.metadata.get("adapter.lora.alpha")
    if lora.metadata.get("adapter.type") != "lora" or not isinstance(alpha, float):
        raise ModelError(f"{adapter}: not a LoRA adapter")
    quantize(model, target, "f16")
    base = gguf.check(target)
    if lora.architecture != base.architecture:
        raise ModelError(f"{adapter}: for models of type {lora.architecture!r}; {model} is {base.architecture!r}")
    for name in lora.tensors:
        if not name.endswith(".lora_a"):
            continue
        stem = name.removesuffix(".lora_a")
        down, up = (_map(adapter, lora, f"{stem}.{part}", "r") for part in ("lora_a", "lora_b"))
        weights = _map(target, base, stem)
        if weights.shape != (up.shape[0], down.shape[1]) or up.shape[1] != down.shape[0]:
            raise ModelError(f"{adapter}: {stem} is {up.shape} by {down.shape}, the model's weights {weights.shape}")
        delta = up.astype(np.float32) @ down.astype(np.float32) * (scale * alpha / down.shape[0])
        weights[:] = (weights.astype(np.float32) + delta).astype(weights.dtype)
        weights.flush()


def _map(path: Path, header: gguf.Header, name: str, mode: str = "r+") -> np.memmap[Any, Any]:
    """A matrix in the file, [rows, columns]; changes to it are written there unless `mode` is "r"."""
    import numpy as np

    tensor = header.tensors.get(name)
    if tensor is None or tensor.kind not in _TYPES or len(tensor.shape) != 2:
        raise ModelError(f"{path}: there is no matrix {name!r} of float16 or float32 in it")
    return np.memmap(path, _TYPES[tensor.kind], mode, tensor.offset, tensor.shape[::-1])  # type: ignore[call-overload,no-any-return]

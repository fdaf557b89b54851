"""Adapters as GGUF files, which llama.cpp applies as they are and `merge` works into the weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import gguf as ours
from ..errors import ModelError
from ..workspace import write_atomic
from .base import pairs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def write_adapter(
    state: Mapping[str, Any], base: Path, target: Path, *, alpha: float, about: Mapping[str, str] | None = None
) -> None:
    """Writes a trained state (torch tensors by name, see `base.Learner.trained`) as an adapter of `base`, in float16.

    about: further metadata, kept under `edge_agent.`. The rows of llama's query and key projections are put in the
    order in which llama.cpp rotates them. Raises ModelError for a projection that GGUF has no name for.
    """
    import gguf
    import numpy as np

    header = ours.read_header(base)
    names = {name: key for key, name in gguf.MODEL_ARCH_NAMES.items()}
    known = gguf.get_tensor_name_map(names[header.architecture], _number(header, "block_count"))
    part = target.with_suffix(".part")
    writer = gguf.GGUFWriter(part, header.architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(alpha))
    for key, value in (about or {}).items():
        writer.add_string(f"edge_agent.{key}", value)
    for name, down, up in pairs(state):
        stem = known.get_name(f"model.{name}")
        if stem is None:
            raise ModelError(f"{base}: GGUF has no name for {name}")
        rows = up.float().numpy()
        heads = {"q_proj": "head_count", "k_proj": "head_count_kv"}.get(name.rpartition(".")[2])
        if heads and header.architecture == "llama":
            rows = _rotated(rows, _number(header, f"attention.{heads}"))
        writer.add_tensor(f"{stem}.weight.lora_a", down.float().numpy().astype(np.float16))
        writer.add_tensor(f"{stem}.weight.lora_b", rows.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    try:
        write_atomic(target, part, 0o644)
    finally:
        part.unlink(missing_ok=True)


def _number(header: ours.Header, key: str) -> int:
    value = header.metadata.get(f"{header.architecture}.{key}")
    if not isinstance(value, int):
        raise ModelError(f"the model does not say its {key}")
    return value


def _rotated(rows: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows of a projection from halves next to each other (transformers) to pairs (llama.cpp), head by head."""
    out, rank = rows.shape
    return rows.reshape(heads, 2, out // heads // 2, rank).swapaxes(1, 2).reshape(out, rank)

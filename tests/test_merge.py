from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from gguf_fixture import F32, STRING, Tensor, build, model_metadata

from edge_agent import gguf
from edge_agent.errors import ModelError
from edge_agent.merge import merge

RANK, OUT, INTO = 4, 8, 32
WEIGHT = "blk.0.attn_q.weight"


def values(path: Path, name: str) -> np.memmap[tuple[int, ...], np.dtype[np.float32]]:
    tensor = gguf.read_header(path).tensors[name]
    kind = {"F32": "<f4", "F16": "<f2"}[tensor.kind]
    return np.memmap(path, kind, "r+", tensor.offset, tensor.shape[::-1])


def make(path: Path, tensors: list[Tensor], metadata: dict[str, tuple[int, object]]) -> Path:
    path.write_bytes(build(metadata, tensors))
    rng = np.random.default_rng(len(tensors))
    for tensor in tensors:
        values(path, tensor.name)[:] = rng.normal(size=tuple(tensor.shape[::-1]))
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make(
        tmp_path / "model.gguf", [Tensor("token_embd.weight"), Tensor(WEIGHT, (INTO, OUT), 1)], model_metadata()
    )


def adapter(path: Path, *, out: int = OUT, arch: str = "llama", kind: str = "lora") -> Path:
    metadata: dict[str, tuple[int, object]] = {
        "general.architecture": (STRING, arch),
        "general.type": (STRING, "adapter"),
        "adapter.type": (STRING, kind),
        "adapter.lora.alpha": (F32, 8.0),
    }
    parts = [Tensor(f"{WEIGHT}.lora_a", (INTO, RANK), 1), Tensor(f"{WEIGHT}.lora_b", (RANK, out), 1)]
    return make(path, parts, metadata)


def copied(source: Path, target: Path, ftype: str) -> None:
    assert ftype == "f16"
    shutil.copyfile(source, target)


def test_the_product_is_added_to_the_weights_and_nothing_else_changes(model: Path, tmp_path: Path) -> None:
    lora = adapter(tmp_path / "a.gguf")
    merge(model, lora, tmp_path / "merged.gguf", copied)
    down, up = (values(lora, f"{WEIGHT}.{part}").astype(np.float32) for part in ("lora_a", "lora_b"))
    wanted = values(model, WEIGHT).astype(np.float32) + 8.0 / RANK * up @ down
    assert np.allclose(values(tmp_path / "merged.gguf", WEIGHT), wanted, atol=2e-2)
    assert not np.allclose(values(model, WEIGHT), wanted, atol=1e-1)
    other = "token_embd.weight"
    assert np.array_equal(values(tmp_path / "merged.gguf", other), values(model, other))


@pytest.mark.parametrize(
    ("unfit", "message"),
    [({"out": 16}, "attn_q"), ({"arch": "qwen2"}, "for models of type 'qwen2'"), ({"kind": "x"}, "not a LoRA")],
)
def test_an_adapter_that_does_not_fit_is_refused(
    model: Path, tmp_path: Path, unfit: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        merge(model, adapter(tmp_path / "a.gguf", **unfit), tmp_path / "merged.gguf", copied)  # type: ignore[arg-type]


def test_a_matrix_the_model_does_not_have_is_named(tmp_path: Path) -> None:
    bare = make(tmp_path / "bare.gguf", [Tensor("token_embd.weight")], model_metadata())
    with pytest.raises(ModelError, match=r"no matrix 'blk\.0\.attn_q\.weight'"):
        merge(bare, adapter(tmp_path / "a.gguf"), tmp_path / "merged.gguf", copied)

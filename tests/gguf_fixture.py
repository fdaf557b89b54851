"""A minimal GGUF writer: enough to make tiny models, and broken ones, for tests."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

U32, I32, F32, BOOL, STRING, ARRAY, U64 = 4, 5, 6, 7, 8, 9, 10
_CODES = {0: "<B", U32: "<I", I32: "<i", F32: "<f", BOOL: "<?", U64: "<Q"}
_BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 8: (32, 34)}


@dataclass(frozen=True)
class Tensor:
    name: str
    shape: Sequence[int] = (32, 2)
    kind: int = 0
    offset: int | None = None

    @property
    def nbytes(self) -> int:
        count = 1
        for extent in self.shape:
            count *= extent
        block, size = _BLOCKS.get(self.kind, (1, 4))
        return count // block * size


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def scalar(kind: int, value: object) -> bytes:
    return text(str(value)) if kind == STRING else struct.pack(_CODES[kind], value)


def array(kind: int, values: Sequence[object]) -> bytes:
    return struct.pack("<IQ", kind, len(values)) + b"".join(scalar(kind, v) for v in values)


def pair(key: str, kind: int, value: object) -> bytes:
    """One metadata entry; for ARRAY, `value` is (element kind, elements)."""
    body = array(*value) if kind == ARRAY else scalar(kind, value)  # type: ignore[misc]
    return text(key) + struct.pack("<I", kind) + body


def model_metadata(vocab: int = 8, arch: str = "llama") -> dict[str, tuple[int, object]]:
    return {
        "general.architecture": (STRING, arch),
        "general.name": (STRING, "tiny"),
        "general.file_type": (U32, 3),
        f"{arch}.block_count": (U32, 1),
        f"{arch}.context_length": (U32, 64),
        f"{arch}.embedding_length": (U32, 32),
        "tokenizer.ggml.tokens": (ARRAY, (STRING, [f"t{i}" for i in range(vocab)])),
        "tokenizer.ggml.scores": (ARRAY, (F32, [0.0] * vocab)),
        "tokenizer.ggml.token_type": (ARRAY, (I32, [1] * vocab)),
    }


def build(
    metadata: Mapping[str, tuple[int, object]] | None = None,
    tensors: Sequence[Tensor] = (Tensor("token_embd.weight"), Tensor("output.weight", (32, 4), 3)),
    *,
    magic: bytes = b"GGUF",
    version: int = 3,
    alignment: int = 32,
    tensor_count: int | None = None,
    key_count: int | None = None,
    extra: bytes = b"",
    fill: int = 0,
    payload_bytes: int | None = None,
) -> bytes:
    """The bytes of a GGUF file. `extra` is appended raw to the metadata; counts and payload may lie."""
    pairs = model_metadata() if metadata is None else metadata
    head = magic + struct.pack(
        "<IQQ",
        version,
        len(tensors) if tensor_count is None else tensor_count,
        len(pairs) if key_count is None else key_count,
    )
    head += b"".join(pair(key, kind, value) for key, (kind, value) in pairs.items()) + extra
    position = 0
    for tensor in tensors:
        offset = position if tensor.offset is None else tensor.offset
        head += text(tensor.name) + struct.pack("<I", len(tensor.shape))
        head += struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape) + struct.pack("<IQ", tensor.kind, offset)
        position += tensor.nbytes + -tensor.nbytes % alignment
    head += bytes(-len(head) % alignment)
    return head + bytes([fill]) * (position if payload_bytes is None else payload_bytes)


def write(path: Path, data: bytes | None = None) -> Path:
    path.write_bytes(build() if data is None else data)
    return path

"""Reading and judging the header of a GGUF file, before llama.cpp is allowed to see it.

llama.cpp asserts or reads out of bounds on some malformed files, and that ends the process. This reader is
plain Python over buffered reads: bad input can only become a `ModelError` naming the file and byte offset.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian). Type ids,
block sizes and architectures are those of the llama.cpp in llama-cpp-python 0.3.36.
"""

from __future__ import annotations

import os
import stat
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, NoReturn

from .errors import ModelError

MAX_KEYS = 1 << 16
MAX_TENSORS = 1 << 17
MAX_STRING_BYTES = 8 << 20
#: Strings over all arrays; the largest vocabularies known have about 800,000 tokens and merges together.
MAX_ARRAY_STRINGS = 1 << 22
MAX_ALIGNMENT = 1 << 16

_SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
_STRING, _ARRAY = 8, 9
_INTEGERS = frozenset({0, 1, 2, 3, 4, 5, 10, 11})

#: ggml tensor type id -> (name, weights per block, bytes per block)
TENSOR_TYPES: Mapping[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36), 10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292), 16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8),
    28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18),
    42: ("Q2_0", 64, 18),
}  # fmt: skip

#: `general.file_type` -> the name people know it by
FILE_TYPES: Mapping[int, str] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
    19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL",
    26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0",
    37: "TQ2_0", 38: "MXFP4", 39: "NVFP4", 40: "Q1_0", 41: "Q2_0",
}  # fmt: skip

#: Architectures of decoder language models that llama.cpp runs (not encoders, vision towers or vocoders).
ARCHITECTURES = frozenset({
    "afmoe", "apertus", "arcee", "arctic", "arwkv7", "baichuan", "bailingmoe", "bailingmoe2", "bitnet",
    "bloom", "chatglm", "codeshell", "cohere2", "command-r", "dbrx", "deci", "deepseek", "deepseek2",
    "deepseek32", "dots1", "ernie4_5", "ernie4_5-moe", "exaone", "exaone4", "exaone-moe", "falcon",
    "falcon-h1", "gemma", "gemma2", "gemma3", "gemma3n", "gemma4", "glm4", "glm4moe", "gpt-oss", "gpt2",
    "gptj", "gptneox", "granite", "granitehybrid", "granitemoe", "granite_swa", "grok", "grovemoe",
    "hunyuan-dense", "hunyuan-moe", "internlm2", "jais", "jais2", "jamba", "kimi-linear", "lfm2", "lfm2moe",
    "llama", "llama4", "maincoder", "mamba", "mamba2", "mellum", "mimo2", "minicpm", "minicpm3", "minimax-m2",
    "mistral3", "mistral4", "mpt", "nanbeige", "nemotron", "nemotron_h", "nemotron_h_moe", "olmo", "olmo2",
    "olmoe", "openelm", "orion", "pangu-embedded", "phi2", "phi3", "phimoe", "plamo", "plamo2", "plamo3",
    "plm", "qwen", "qwen2", "qwen2moe", "qwen2vl", "qwen3", "qwen35", "qwen35moe", "qwen3moe", "qwen3next",
    "qwen3vl", "qwen3vlmoe", "refact", "rwkv6", "rwkv6qwen2", "rwkv7", "seed_oss", "smallthinker", "smollm3",
    "stablelm", "starcoder", "starcoder2", "step35", "talkie", "xverse",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Array:
    """An array in the metadata. Only its shape is kept: vocabularies are large and nobody here reads them."""

    element_type: int
    length: int


Value = int | float | bool | str | Array


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's place: type by name, extents (fastest first), offset of its data in the file in bytes."""

    kind: str
    shape: tuple[int, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a GGUF file says of itself. Nothing here is trusted beyond being well-formed.

    context_length: tokens the model was trained for; None when the file does not say.
    parameters: weights over all tensors.
    tensors: by name, in the order of the file.
    tensor_data_end: offset in bytes one past the last tensor; at most the file's size.
    """

    version: int
    architecture: str
    name: str | None
    quantisation: str
    context_length: int | None
    n_vocab: int | None
    tensor_count: int
    parameters: int
    metadata: Mapping[str, Value]
    tensors: Mapping[str, Tensor]
    tensor_data_end: int


class _Reader:
    """Buffered little-endian reads with the position kept, so that an error can say where."""

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self.file, self.path, self.size = file, path, size
        self.offset, self.strings_left = 0, MAX_ARRAY_STRINGS

    def fail(self, reason: str) -> NoReturn:
        raise ModelError(
            f"{self.path} is not a usable GGUF file: {reason} (at byte {self.offset})",
            hint="download the model again, or check it with the tool that made it",
        )

    def take(self, count: int) -> bytes:
        data = self.file.read(count)
        if len(data) != count:
            self.fail(f"the file ends inside the header, {count - len(data)} bytes short")
        self.offset += count
        return data

    def skip(self, count: int) -> None:
        if count > self.size - self.offset:
            self.fail(f"the file ends inside the header, {count - self.size + self.offset} bytes short")
        self.offset += count
        self.file.seek(self.offset)

    def number(self, code: str) -> int:
        value: int = struct.unpack(code, self.take(struct.calcsize(code)))[0]
        return value

    def text(self, limit: int = MAX_STRING_BYTES) -> str:
        length = self.number("<Q")
        if length > min(limit, self.size - self.offset):
            self.fail(f"a string claims {length} bytes")
        # Token texts are byte-level pieces and need not be valid UTF-8.
        return self.take(length).decode("utf-8", errors="replace")

    def value(self, kind: int, key: str) -> Value:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            return self.array(key)
        if kind not in _SCALARS:
            self.fail(f"key {key!r} has the unknown value type {kind}")
        return self.number("<" + _SCALARS[kind])

    def array(self, key: str) -> Array:
        kind, length = self.number("<I"), self.number("<Q")
        if kind in _SCALARS:
            self.skip(length * struct.calcsize("<" + _SCALARS[kind]))
        elif kind == _STRING:
            if length > self.strings_left or length * 8 > self.size - self.offset:
                self.fail(f"array {key!r} claims {length} strings")
            self.strings_left -= length
            self.skip_strings(length, key)
        else:
            self.fail(f"array {key!r} has the unsupported element type {kind}")
        return Array(kind, length)

    def skip_strings(self, length: int, key: str) -> None:
        # Half of a model's load check is spent here, so the loop bypasses `number` and `take`.
        read, unpack = self.file.read, struct.Struct("<Q").unpack
        for _ in range(length):
            prefix = read(8)
            count = unpack(prefix)[0] if len(prefix) == 8 else self.size
            if count > min(MAX_STRING_BYTES, self.size - self.offset - 8) or len(read(count)) != count:
                self.fail(f"a string in array {key!r} does not fit the file")
            self.offset += 8 + count


def read_header(path: Path) -> Header:
    """Parse the header of a GGUF file and check every tensor's place in it.

    Cost: about 0.1 s for 100,000 vocabulary strings; memory stays within a few MiB whatever the file claims.

    Raises:
        ModelError: no regular readable file, bad magic or version, truncated, duplicate or absurd entries.
    """
    try:
        # Asking first keeps a FIFO or device from blocking the open.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ModelError(f"{path} is not a regular file")
        with open(path, "rb", buffering=1 << 18) as file:
            return _parse(_Reader(file, path, os.fstat(file.fileno()).st_size))
    except FileNotFoundError as error:
        raise ModelError(f"there is no model file {path}") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error


def check(path: Path, *, adapter: bool = False) -> Header:
    """Like `read_header`, and refuse what llama.cpp does not run or would crash on. Call it before loading.

    A model is wanted, or with `adapter` a LoRA adapter.

    Raises:
        ModelError: all that `read_header` raises; an architecture llama.cpp does not run; the other kind of
            file, or one part of a split one; missing or absurd hyperparameters or vocabulary.
    """
    header = read_header(path)
    metadata, arch = header.metadata, header.architecture

    def refuse(reason: str, hint: str | None = None) -> NoReturn:
        raise ModelError(f"{path} cannot be run: {reason}", hint=hint)

    kind, wanted = metadata.get("general.type", "model"), "adapter" if adapter else "model"
    if kind != wanted:
        refuse(f"it is of type {kind!r}, and {wanted!r} is wanted")
    if arch not in ARCHITECTURES:
        refuse(f"the engine does not run the architecture {arch!r}", "choose another: edge-agent models list")
    if metadata.get("split.count", 1) not in (0, 1):
        refuse("it is one part of a split model", "merge the parts with llama-gguf-split --merge")
    if header.tensor_count == 0:
        refuse("it holds no tensors")
    if adapter:
        return header
    for key, limit in (("block_count", 1024), ("context_length", 1 << 28), ("embedding_length", 1 << 18)):
        value = metadata.get(f"{arch}.{key}")
        if not isinstance(value, int) or not 1 <= value <= limit:
            refuse(f"{arch}.{key} is {value!r}, not a whole number from 1 to {limit}")
    tokens = metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, Array) or tokens.element_type != _STRING or tokens.length == 0:
        refuse("it has no vocabulary (tokenizer.ggml.tokens)")
    # llama.cpp indexes both by token id without asking how long they are.
    for key, kinds in (("scores", {6}), ("token_type", {4, 5})):
        array = metadata.get(f"tokenizer.ggml.{key}", Array(min(kinds), tokens.length))
        if not isinstance(array, Array) or array.element_type not in kinds or array.length != tokens.length:
            refuse(f"tokenizer.ggml.{key} does not fit the {tokens.length} tokens of the vocabulary")
    return header


def _parse(reader: _Reader) -> Header:
    magic = reader.take(4)
    if magic != b"GGUF":
        reader.offset = 0
        reader.fail(f"it starts with {magic!r}, not b'GGUF'")
    version = reader.number("<I")
    if version not in (2, 3):
        big_endian = version in (2 << 24, 3 << 24)
        reader.fail("it is big-endian" if big_endian else f"GGUF version {version} is not one of 2 and 3")
    tensor_count, key_count = reader.number("<Q"), reader.number("<Q")
    if tensor_count > MAX_TENSORS or key_count > MAX_KEYS:
        reader.fail(f"it claims {tensor_count} tensors and {key_count} keys")

    metadata: dict[str, Value] = {}
    kinds: dict[str, int] = {}
    for _ in range(key_count):
        key = reader.text(limit=0xFFFF)
        if key in metadata:
            reader.fail(f"key {key!r} appears twice")
        kinds[key] = reader.number("<I")
        metadata[key] = reader.value(kinds[key], key)

    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        reader.fail("general.architecture is missing")
    alignment = metadata.get("general.alignment", 32)
    if kinds.get("general.alignment", 4) != 4 or not isinstance(alignment, int):
        reader.fail("general.alignment is not a 32-bit number")
    if not 1 <= alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
        reader.fail(f"general.alignment is {alignment}, not a power of two up to {MAX_ALIGNMENT}")

    tensors: dict[str, Tensor] = {}
    bytes_by_type: Counter[str] = Counter()
    parameters = data_bytes = last_end = 0
    for _ in range(tensor_count):
        name = reader.text(limit=63)
        if name in tensors:
            reader.fail(f"tensor {name!r} appears twice")
        dims = reader.number("<I")
        if not 1 <= dims <= 4:
            reader.fail(f"tensor {name!r} has {dims} dimensions")
        shape = [reader.number("<Q") for _ in range(dims)]
        kind = reader.number("<I")
        if kind not in TENSOR_TYPES:
            reader.fail(f"tensor {name!r} has the unknown type {kind}")
        label, block, block_bytes = TENSOR_TYPES[kind]
        weights = 1
        for extent in shape:
            weights *= extent
        # Every type takes at least a sixteenth of a byte per weight, so no honest tensor is larger than this.
        if not 1 <= weights <= reader.size * 16 or shape[0] % block:
            reader.fail(f"tensor {name!r} of type {label} has the impossible shape {shape}")
        offset = reader.number("<Q")
        if offset != data_bytes:
            reader.fail(f"tensor {name!r} lies at {offset}, not at {data_bytes} where the one before it ends")
        tensors[name] = Tensor(label, tuple(shape), offset)
        size = weights // block * block_bytes
        parameters += weights
        bytes_by_type[label] += size
        last_end = data_bytes + size
        data_bytes = last_end + -last_end % alignment

    data_start = reader.offset + (-reader.offset % alignment if tensor_count else 0)
    tensor_data_end = data_start + last_end
    if tensor_data_end > reader.size:
        reader.fail(f"it is cut short: the tensors end at byte {tensor_data_end}, the file at {reader.size}")

    def integer(key: str) -> int | None:
        return value if kinds.get(key) in _INTEGERS and isinstance(value := metadata[key], int) else None

    file_type = integer("general.file_type")
    name_value, tokens = metadata.get("general.name"), metadata.get("tokenizer.ggml.tokens")
    dominant = bytes_by_type.most_common(1)[0][0] if bytes_by_type else "none"
    return Header(
        version=version,
        architecture=architecture,
        name=name_value if isinstance(name_value, str) else None,
        quantisation=dominant if file_type is None else FILE_TYPES.get(file_type, dominant),
        context_length=integer(f"{architecture}.context_length"),
        n_vocab=tokens.length if isinstance(tokens, Array) else integer(f"{architecture}.vocab_size"),
        tensor_count=tensor_count,
        parameters=parameters,
        metadata=metadata,
        tensors={name: replace(each, offset=data_start + each.offset) for name, each in tensors.items()},
        tensor_data_end=tensor_data_end,
    )

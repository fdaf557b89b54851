from __future__ import annotations

import os
import struct
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
from gguf_fixture import ARRAY, BOOL, F32, I32, STRING, U32, U64, Tensor, build, model_metadata, text, write
from gguf_fixture import pair as entry
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent import gguf
from edge_agent.errors import ModelError


def test_header_of_a_good_file(tmp_path: Path) -> None:
    path = write(tmp_path / "tiny.gguf")
    header = gguf.check(path)
    assert (header.version, header.architecture, header.name) == (3, "llama", "tiny")
    assert header.quantisation == "Q4_1"
    assert (header.context_length, header.n_vocab, header.tensor_count) == (64, 8, 2)
    assert header.parameters == 32 * 2 + 32 * 4
    assert header.tensor_data_end == path.stat().st_size - 16  # the last tensor's 80 bytes are padded to 96
    assert header.metadata["tokenizer.ggml.tokens"] == gguf.Array(STRING, 8)


def test_quantisation_falls_back_to_the_type_that_takes_most_bytes(tmp_path: Path) -> None:
    metadata = model_metadata()
    del metadata["general.file_type"]
    tensors = [Tensor("a", (32, 1), 0), Tensor("b", (32, 64), 8)]
    assert gguf.read_header(write(tmp_path / "x.gguf", build(metadata, tensors))).quantisation == "Q8_0"


def claims(kind: int, element: int, length: int) -> bytes:
    return text("k") + struct.pack("<IIQ", kind, element, length)


MALFORMED = {
    "empty": (b"", "8 bytes short|4 bytes short"),
    "magic": (build(magic=b"GGML"), "starts with b'GGML'"),
    "version 1": (build(version=1), "version 1"),
    "big-endian": (build(version=3 << 24), "big-endian"),
    "header only": (build()[:20], "short"),
    "huge tensor count": (build(tensor_count=2**63), "claims 9223372036854775808 tensors"),
    "huge key count": (build(key_count=2**40), "1099511627776 keys"),
    "more keys than there are": (build(key_count=60_000), "short|claims|type"),
    "huge key": (struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + struct.pack("<Q", 2**62), "a string claims"),
    "huge string": (build(extra=text("k") + struct.pack("<IQ", STRING, 2**62), key_count=10), "claims 46"),
    "huge array": (build(extra=claims(ARRAY, U32, 2**61), key_count=10), "short"),
    "huge string array": (build(extra=claims(ARRAY, STRING, 2**61), key_count=10), "strings"),
    "string in array too long": (
        build(extra=claims(ARRAY, STRING, 1) + struct.pack("<Q", 2**63), key_count=10), "does not fit"),
    "nested array": (build(extra=claims(ARRAY, ARRAY, 1), key_count=10), "unsupported element type 9"),
    "unknown value type": (build(extra=text("k") + struct.pack("<I", 77), key_count=10), "value type 77"),
    "duplicate key": (build(extra=entry("general.name", STRING, "again"), key_count=10), "appears twice"),
    "no architecture": (build({"general.name": (STRING, "x")}), "general.architecture is missing"),
    "architecture not text": (build({"general.architecture": (U32, 1)}), "general.architecture is missing"),
    "alignment 0": (build(model_metadata() | {"general.alignment": (U32, 0)}), "power of two"),
    "alignment 24": (build(model_metadata() | {"general.alignment": (U32, 24)}), "power of two"),
    "alignment 64-bit": (build(model_metadata() | {"general.alignment": (U64, 32)}), "32-bit"),
    "duplicate tensor": (build(tensors=[Tensor("a"), Tensor("a")]), "tensor 'a' appears twice"),
    "long tensor name": (build(tensors=[Tensor("a" * 64)]), "a string claims 64"),
    "no dimensions": (build(tensors=[Tensor("a", ())]), "0 dimensions"),
    "five dimensions": (build(tensors=[Tensor("a", (1,) * 5)]), "5 dimensions"),
    "zero extent": (build(tensors=[Tensor("a", (32, 0))]), "impossible shape"),
    "overflowing shape": (build(tensors=[Tensor("a", (2**32, 2**32, 2))], payload_bytes=0), "impossible"),
    "row not whole blocks": (build(tensors=[Tensor("a", (33,), 2)]), "impossible shape"),
    "removed type": (build(tensors=[Tensor("a", (32,), 4)]), "unknown type 4"),
    "type out of range": (build(tensors=[Tensor("a", (32,), 999)]), "unknown type 999"),
    "overlapping tensors": (build(tensors=[Tensor("a"), Tensor("b", offset=0)]), "lies at 0, not at 256"),
    "far tensor": (build(tensors=[Tensor("a", offset=2**62)]), "lies at"),
    "cut short": (build()[:-40], "cut short"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_file_is_named_with_its_offset(name: str, tmp_path: Path) -> None:
    data, reason = MALFORMED[name]
    path = write(tmp_path / "bad.gguf", data)
    with pytest.raises(ModelError, match=reason) as caught:
        gguf.read_header(path)
    assert str(path) in caught.value.message
    assert "at byte" in caught.value.message


def changed(key: str, kind: int, value: object) -> bytes:
    return build(model_metadata() | {key: (kind, value)})


def without(key: str) -> bytes:
    return build({k: v for k, v in model_metadata().items() if k != key})


REFUSED = {
    "unknown architecture": (build(model_metadata(arch="nonsense")), "architecture 'nonsense'"),
    "encoder": (build(model_metadata(arch="bert")), "architecture 'bert'"),
    "adapter": (changed("general.type", STRING, "adapter"), "type 'adapter', and 'model' is wanted"),
    "split": (changed("split.count", U32, 4), "split model"),
    "vocabulary only": (build(tensors=[]), "no tensors"),
    "no layers": (without("llama.block_count"), "llama.block_count is None"),
    "zero width": (changed("llama.embedding_length", U32, 0), "embedding_length is 0"),
    "context as text": (changed("llama.context_length", STRING, "8k"), "context_length is '8k'"),
    "no vocabulary": (without("tokenizer.ggml.tokens"), "no vocabulary"),
    "tokens are numbers": (changed("tokenizer.ggml.tokens", ARRAY, (U32, [1])), "no vocabulary"),
    "few scores": (changed("tokenizer.ggml.scores", ARRAY, (F32, [0.0])), "scores does not fit"),
    "wrong scores": (changed("tokenizer.ggml.scores", ARRAY, (I32, [0] * 8)), "does not fit"),
    "few types": (changed("tokenizer.ggml.token_type", BOOL, True), "token_type does not fit"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_check_refuses_what_llama_cpp_should_not_see(name: str, tmp_path: Path) -> None:
    data, reason = REFUSED[name]
    path = write(tmp_path / "odd.gguf", data)
    gguf.read_header(path)  # well-formed all the same
    with pytest.raises(ModelError, match=reason):
        gguf.check(path)


def test_check_of_an_adapter(tmp_path: Path) -> None:
    lora = {"general.architecture": (STRING, "llama"), "general.type": (STRING, "adapter")}
    assert gguf.check(write(tmp_path / "lora.gguf", build(lora)), adapter=True).tensor_count == 2
    with pytest.raises(ModelError, match="type 'model', and 'adapter' is wanted"):
        gguf.check(write(tmp_path / "model.gguf"), adapter=True)


def test_missing_file_and_directory(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no model file"):
        gguf.read_header(tmp_path / "none.gguf")
    with pytest.raises(ModelError, match="not a regular file"):
        gguf.read_header(tmp_path)
    with pytest.raises(ModelError, match="cannot be read"):
        gguf.read_header(Path("a\0b.gguf"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no FIFOs in the file system")
def test_a_fifo_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(ModelError, match="not a regular file"):
        gguf.read_header(tmp_path / "pipe.gguf")


def test_memory_and_time_stay_small_for_a_large_hostile_header(tmp_path: Path) -> None:
    strings = text("x" * 100) * 80_000  # 8.6 MB; the array claims more
    data = build(extra=claims(ARRAY, STRING, 100_000) + strings, key_count=10, payload_bytes=0)
    path = write(tmp_path / "large.gguf", data)
    del data, strings
    tracemalloc.start()
    started = time.perf_counter()
    with pytest.raises(ModelError):
        gguf.read_header(path)
    elapsed_s, peak = time.perf_counter() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20
    assert elapsed_s < 10


GOOD = build()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=9)), max_size=4),
    end=st.one_of(st.just(len(GOOD)), st.integers(0, len(GOOD))),
)
def test_a_damaged_file_is_read_or_refused_and_nothing_else(
    edits: list[tuple[int, bytes]], end: int, tmp_path: Path
) -> None:
    data = bytearray(GOOD)
    for at, patch in edits:
        data[at : at + len(patch)] = patch
    path = write(tmp_path / "fuzz.gguf", bytes(data[:end]))
    try:
        header = gguf.check(path)
    except ModelError:
        return
    assert header.tensor_data_end <= path.stat().st_size


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=400))
def test_noise_behind_a_good_magic_is_refused(noise: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "noise.gguf", b"GGUF" + struct.pack("<I", 3) + noise)
    with pytest.raises(ModelError):
        gguf.check(path)

"""The GGUF reader: all versions, both byte orders, the official tables, hostile counts, every
truncation.
"""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from gguf import GGUFReader
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType
from hypothesis import given
from hypothesis import strategies as st

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.formats import gguf as reader
from discovery.engine.formats.ggml_types import FILE_TYPES, TENSOR_TYPES
from tests.support import builders

TENSORS = [
    ("token_embd.weight", "Q4_K", (32, 256)),
    ("blk.0.attn_q.weight", "Q6_K", (256, 256)),
    ("output_norm.weight", "F32", (256,)),
]
METADATA = {
    "general.architecture": "llama",
    "general.name": "Tiny",
    "llama.context_length": 2048,
    "llama.block_count": 1,
}


def string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def image(tensors: int = 0, pairs: int = 0, body: bytes = b"", version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, pairs) + body


ARCHITECTURE = string(b"general.architecture") + struct.pack("<I", 8) + string(b"llama")


def number(key: bytes, value: int) -> bytes:
    return string(key) + struct.pack("<II", 4, value)


def tensor(
    dimensions: list[int], kind: int = 0, offset: int = 0, count: int | None = None
) -> bytes:
    shape = struct.pack(f"<{len(dimensions)}Q", *dimensions)
    return (
        string(b"x")
        + struct.pack("<I", len(dimensions) if count is None else count)
        + shape
        + struct.pack("<IQ", kind, offset)
    )


def read(content: bytes) -> reader.Header:
    return reader.read(io.BytesIO(content), len(content))


def test_the_tables_of_types_are_ggml_s_own() -> None:
    assert {t.value: (t.name, *GGML_QUANT_SIZES[t]) for t in GGMLQuantizationType} == TENSOR_TYPES
    official = {
        t.value: t.name.replace("MOSTLY_", "").replace("ALL_", "")
        for t in LlamaFileType
        if t.name != "GUESSED"
    }
    assert official == FILE_TYPES


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("big_endian", [False, True])
def test_reads_every_version_in_both_byte_orders(
    tmp_path: Path, version: int, big_endian: bool
) -> None:
    path = tmp_path / "tiny.gguf"
    builders.gguf(path, METADATA, TENSORS, version=version, big_endian=big_endian, vocabulary=2000)
    with path.open("rb") as stream:
        header = reader.read(stream, path.stat().st_size)
    assert header.metadata["general.name"] == "Tiny"
    assert header.metadata["tokenizer.ggml.tokens"] == reader.Array(2000)
    assert [(t.name, t.dtype, t.shape) for t in header.tensors] == TENSORS
    assert header.parameter_count == 32 * 256 + 256 * 256 + 256
    assert header.expected_size is not None
    assert header.expected_size <= path.stat().st_size


def test_agrees_with_the_official_reader(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    builders.gguf(path, METADATA, TENSORS)
    official = GGUFReader(path)
    with path.open("rb") as stream:
        header = reader.read(stream, path.stat().st_size)
    assert [(t.name, t.shape, t.offset, t.size) for t in header.tensors] == [
        (t.name, tuple(int(n) for n in t.shape)[::-1], int(t.data_offset), int(t.n_bytes))
        for t in official.tensors
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"GGUF", "inside the version"),
        (image(version=99), "version 99"),
        (image(version=0), "version 0"),
        (image(pairs=1 << 63), "do not fit"),
        (image(tensors=1 << 60, pairs=1, body=ARCHITECTURE), "do not fit"),
        (image(pairs=1, body=struct.pack("<Q", 1 << 63)), "claims"),
        (image(pairs=1, body=string(b"k") + struct.pack("<IQ", 8, (1 << 64) - 1)), "left"),
        (image(pairs=1, body=string(b"k") + struct.pack("<IIQ", 9, 4, 1 << 61)), "left"),
        (
            image(pairs=1, body=string(b"k") + struct.pack("<IIQ", 9, 8, 1 << 40)),
            "more than the file can hold",
        ),
        (
            image(pairs=1, body=string(b"k") + struct.pack("<IIQ", 9, 99, 4) + bytes(16)),
            "unsupported item type 99",
        ),
        (
            image(
                pairs=1,
                body=string(b"k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 20_000,
            ),
            "unsupported item type 9",
        ),
        (image(pairs=1, body=string(b"k") + struct.pack("<I", 77) + bytes(8)), "unknown type 77"),
        (image(pairs=2, body=ARCHITECTURE + ARCHITECTURE), "twice"),
        (
            image(1, 2, ARCHITECTURE + number(b"general.alignment", 0) + tensor([32])),
            "power of two",
        ),
        (
            image(1, 2, ARCHITECTURE + number(b"general.alignment", 3) + tensor([32])),
            "power of two",
        ),
        (image(1, 1, ARCHITECTURE + tensor([], count=1 << 31) + bytes(64)), "dimensions"),
        (image(1, 1, ARCHITECTURE + tensor([1 << 40, 1 << 40])), "2.63 elements"),
        (image(1, 1, ARCHITECTURE + tensor([32], offset=7)), "multiple of 32"),
        (image(pairs=5, body=ARCHITECTURE + b"\x10\0\0"), "left"),
    ],
)
def test_hostile_headers_are_refused_with_a_reason(content: bytes, reason: str) -> None:
    with pytest.raises(InvalidHeader, match=reason):
        read(content)


def test_another_file_is_not_this_format() -> None:
    with pytest.raises(NotThisFormat):
        read(b"PK\x03\x04 something else")


def test_an_unknown_tensor_type_is_readable_and_said() -> None:
    header = read(image(1, 1, ARCHITECTURE + tensor([32], kind=250)) + bytes(256))
    assert [problem.code for problem in header.problems] == ["unknown_tensor_type"]


def test_names_that_are_not_utf8_are_read_all_the_same() -> None:
    header = read(
        image(pairs=1, body=string(b"general.name") + struct.pack("<I", 8) + string(b"\xff\xfe"))
    )
    assert header.metadata["general.name"] == "\ufffd\ufffd"


def test_every_truncation_is_refused_or_told(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    builders.gguf(path, METADATA, [("a", "F32", (8,)), ("b", "F16", (4, 4))], vocabulary=5)
    content = path.read_bytes()
    whole = read(content)
    for length in range(len(content)):
        try:
            header = read(content[:length])
        except (InvalidHeader, NotThisFormat):
            continue
        assert header.expected_size == whole.expected_size
        assert header.expected_size is not None
        assert header.expected_size > length or length >= whole.expected_size


def test_a_string_array_cut_inside_is_refused_wherever_blocks_end(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.gguf"
    builders.gguf(path, METADATA, [], vocabulary=12_000)
    content = path.read_bytes()
    assert read(content).metadata["tokenizer.ggml.tokens"] == reader.Array(12_000)
    for length in range(200, len(content) - 40_000, 1_777):
        with pytest.raises(InvalidHeader):
            read(content[:length])


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_and_never_crash(noise: bytes) -> None:
    for content in (b"GGUF" + noise, image(1, 1, noise), image(1, 1, ARCHITECTURE + noise)):
        with suppress(InvalidHeader):
            read(content)

"""The safetensors reader: the official reader's answers, its refusals, and every truncation."""

from __future__ import annotations

import io
import json
import struct
from contextlib import suppress
from pathlib import Path

import pytest
import safetensors
from hypothesis import given
from hypothesis import strategies as st

from discovery.engine.core.errors import InvalidHeader
from discovery.engine.formats import safetensors as reader
from tests.support import builders

TENSORS = [
    ("embed.weight", "F16", (10, 4)),
    ("layer.0.bias", "F32", (4,)),
    ("layer.0.empty", "I64", (0,)),
    ("norm", "BF16", ()),
]


def image(header: object, data: int = 0, raw: bytes | None = None) -> bytes:
    text = raw if raw is not None else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(data)


def entry(begin: int, end: int, shape: object = None, dtype: object = "F32") -> dict[str, object]:
    return {
        "dtype": dtype,
        "shape": shape if shape is not None else [(end - begin) // 4],
        "data_offsets": [begin, end],
    }


def read(content: bytes) -> reader.Header:
    return reader.read(io.BytesIO(content), len(content))


def test_agrees_with_the_official_reader(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    builders.safetensors(path, TENSORS, metadata={"format": "pt"})
    with path.open("rb") as stream:
        header = reader.read(stream, path.stat().st_size)
    with safetensors.safe_open(path, "numpy") as official:
        assert {t.name for t in header.tensors} == set(official.keys())
        assert all(list(t.shape) == official.get_slice(t.name).get_shape() for t in header.tensors)
        assert header.metadata == official.metadata()
    assert header.expected_size == path.stat().st_size
    assert header.dtype == "F16"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "8-byte header length"),
        (b"\1" * 7, "8-byte header length"),
        (struct.pack("<Q", 1 << 63) + b"{}", "the format allows"),
        (struct.pack("<Q", 1000) + b"{}", "has 2 left"),
        (image(None, raw=b"\v{}"), "does not start with {"),
        (image(None, raw=b"  []"), "does not start with {"),
        (image(None, raw=b"[]"), "does not start with {"),
        (image(None, raw=b'{"\xff":1}'), "not UTF-8"),
        (image(None, raw=b"{"), "not JSON"),
        (image(None, raw=b'{"a":' + b"[" * 100_000), "nested too deep"),
        (image(None, raw=b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,16]}}'), "NaN"),
        (image({"a": entry(0, 16), "b": entry(8, 24)}, 24), "overlaps"),
        (image({"a": entry(0, 16), "b": entry(20, 36)}, 36), "gap"),
        (image({"a": entry(0, 16, [-4])}, 16), "dimension -4"),
        (image({"a": entry(0, 16, [1 << 62, 8])}, 16), "its shape needs"),
        (image({"a": entry(0, 16, [5])}, 16), "its shape needs 20"),
        (image({"a": entry(0, 16, dtype="EVIL")}, 16), "unknown dtype"),
        (image({"a": entry(0, 16, dtype=["F32"])}, 16), "unknown dtype"),
        (
            image({"a": {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]}}, 16),
            "impossible data_offsets",
        ),
        (image({"a": {"dtype": "F32", "shape": "4", "data_offsets": [0, 16]}}, 16), "malformed"),
        (image({"a": 5}), "not described"),
        (image({"__metadata__": {"k": {"x": 1}}, "a": entry(0, 16)}, 16), "not a string"),
        (image({"__metadata__": "no"}), "not an object"),
        (image({"__metadata__": []}), "not an object"),
        (
            image(
                None,
                16,
                b'{"__metadata__":{},"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},'
                b'"__metadata__":{}}',
            ),
            "twice",
        ),
        (image({"a": entry(0, 16)}, 64), "follow the last tensor"),
    ],
)
def test_refuses_what_the_format_forbids_and_says_why(content: bytes, reason: str) -> None:
    with pytest.raises(InvalidHeader, match=reason):
        read(content)


ONE = b'"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'


@pytest.mark.parametrize(
    "raw",
    [
        b"{" + ONE,
        b'{"__metadata__":null,' + ONE,
        b'{"__metadata__":{},' + ONE,
        b"   {" + ONE,
        b"\r\n\t{" + ONE + b"   ",
        b'  {"__metadata__":null,' + ONE,
        b'{"__metadata__":[],' + ONE,
        b'{"__metadata__":{"k":1},' + ONE,
        b"\xef\xbb\xbf{" + ONE,
        b"{" + ONE + b"\0",
    ],
)
def test_takes_and_refuses_what_the_official_reader_does(raw: bytes) -> None:
    content = image(None, 16, raw)
    try:
        wanted = [name for name, _ in safetensors.deserialize(content)]
    except safetensors.SafetensorError:
        with pytest.raises(InvalidHeader):
            read(content)
    else:
        header = read(content)
        assert [tensor.name for tensor in header.tensors] == wanted
        assert header.metadata == {}


def test_a_download_cut_short_is_told_by_its_length() -> None:
    header = read(image({"a": entry(0, 4096)}, 100))
    assert header.expected_size is not None
    assert header.expected_size > len(image({"a": entry(0, 4096)}, 100))


def test_every_truncation_is_refused_or_told(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    builders.safetensors(path, TENSORS)
    content = path.read_bytes()
    for length in range(len(content)):
        try:
            header = read(content[:length])
        except InvalidHeader:
            continue
        assert header.expected_size == len(content)


def test_the_careful_way_of_reading_gives_the_same_as_the_quick_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = image(
        {f"t{i}": entry(i * 16, i * 16 + 16) for i in range(50)} | {"__metadata__": {"a": "b"}}, 800
    )
    quick = read(content)
    monkeypatch.setattr(reader, "_well_formed", lambda *_: None)
    careful = read(content)
    assert (careful.tensors, careful.metadata) == (quick.tensors, quick.metadata)


def test_no_tensor_byte_is_read() -> None:
    content = image({"a": entry(0, 1 << 20)})
    stream = io.BytesIO(content)
    assert reader.read(stream, len(content) + (1 << 20)).expected_size == len(content) + (1 << 20)
    assert stream.tell() == len(content)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused_and_never_crash(noise: bytes) -> None:
    for content in (noise, struct.pack("<Q", len(noise)) + noise, image(None, raw=b"{" + noise)):
        with suppress(InvalidHeader):
            read(content)


@given(st.dictionaries(st.text(max_size=20), st.lists(st.integers(0, 5), max_size=4), max_size=8))
def test_what_is_written_is_read_back(shapes: dict[str, list[int]]) -> None:
    offset, header = 0, {}
    for name, shape in shapes.items():
        if name == "__metadata__":
            continue
        count = 1
        for dimension in shape:
            count *= dimension
        header[name] = {
            "dtype": "F32",
            "shape": shape,
            "data_offsets": [offset, offset + count * 4],
        }
        offset += count * 4
    result = read(image(header, offset))
    assert {t.name: list(t.shape) for t in result.tensors} == {
        name: value["shape"] for name, value in header.items()
    }

"""All bytes of a file read once: right checksums, flat memory, a pace that is kept, a stop that is
heard, weights that are no numbers.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from discovery.engine.core.types import FileEntry, Tensor
from discovery.engine.integrity import checksums, weight_samples
from discovery.engine.integrity.checksums import CHUNK_BYTES, Changed, Reading
from discovery.engine.integrity.weight_samples import MAX_PER_FILE, MAX_PER_TENSOR, WeightSamples
from tests.support import builders

NAN32, INF32, NAN16, INF16 = b"\x00\x00\xc0\x7f", b"\x00\x00\x80\xff", b"\x01\x7c", b"\x00\x7c"


def entry(path: Path, root: Path) -> FileEntry:
    status = path.stat()
    return FileEntry(str(path.relative_to(root)), status.st_size, status.st_mtime_ns, status.st_ino)


def nothing(count: int) -> None:
    pass


def read(path: Path, tick: Callable[[int], None] = nothing, bytes_per_second: int = 0) -> Reading:
    return checksums.read(
        str(path.parent), entry(path, path.parent), tick, bytes_per_second=bytes_per_second
    )


def write_safetensors(path: Path, tensors: dict[str, tuple[str, bytes]]) -> None:
    """One-dimensional tensors with the data given."""
    header, position = {}, 0
    for name, (dtype, data) in tensors.items():
        count = (
            len(data)
            * 8
            // {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32}.get(dtype, 8)
        )
        header[name] = {
            "dtype": dtype,
            "shape": [count],
            "data_offsets": [position, position + len(data)],
        }
        position += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(
        len(text).to_bytes(8, "little") + text + b"".join(data for _, data in tensors.values())
    )


@pytest.mark.parametrize(
    "size", [0, 1, 1000, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 17]
)
def test_both_checksums_are_those_of_the_whole_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "weights.bin"
    data = os.urandom(size)
    path.write_bytes(data)
    seen: list[int] = []
    reading = read(path, seen.append)
    assert (reading.sha256, reading.blake3) == (
        hashlib.sha256(data).hexdigest(),
        blake3(data).hexdigest(),
    )
    assert (reading.size, reading.mtime_ns) == (size, path.stat().st_mtime_ns)
    assert sum(seen) == size


def test_a_file_of_any_size_passes_through_two_buffers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(bytes(20 * CHUNK_BYTES))
    made: list[int] = []

    def counted(size: int) -> bytearray:
        made.append(size)
        return bytearray(size)

    monkeypatch.setattr(checksums, "bytearray", counted, raising=False)
    read(path)
    assert made == [CHUNK_BYTES, CHUNK_BYTES]


def test_small_files_take_small_buffers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b"{}")
    made: list[int] = []
    monkeypatch.setattr(
        checksums, "bytearray", lambda size: made.append(size) or bytearray(size), raising=False
    )
    read(path)
    assert made == [3, 3]


class Clock:
    """Time that passes only in sleep, and ``per_read`` seconds with each chunk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, per_read: float = 0.0) -> None:
        self.now = 100.0
        self.naps: list[float] = []
        self.per_read = per_read
        monkeypatch.setattr(checksums.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(checksums.time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds

    def tick(self, count: int) -> None:
        self.now += self.per_read if count else 0


@pytest.mark.parametrize("per_read", [0.0, 0.3])
def test_a_throttled_reading_keeps_its_pace_however_long_the_reads_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, per_read: float
) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(bytes(8 * CHUNK_BYTES))
    clock = Clock(monkeypatch, per_read)
    read(path, clock.tick, bytes_per_second=2 * CHUNK_BYTES)
    assert clock.now - 100.0 == pytest.approx(4.0, rel=0.01)


def test_a_reading_that_is_slower_than_its_pace_never_sleeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(bytes(4 * CHUNK_BYTES))
    clock = Clock(monkeypatch, per_read=1.0)
    read(path, clock.tick, bytes_per_second=2 * CHUNK_BYTES)
    assert clock.naps == []


def test_a_throttled_reading_tells_often_enough_to_be_stopped_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(bytes(2 * CHUNK_BYTES))
    clock = Clock(monkeypatch)
    told: list[float] = []
    read(path, lambda count: told.append(clock.now), bytes_per_second=CHUNK_BYTES // 10)
    assert clock.now - 100.0 == pytest.approx(20.0, rel=0.01)
    assert max(later - earlier for earlier, later in pairwise(told)) <= 0.25


class Stop(Exception):
    pass


def test_what_the_listener_raises_ends_the_reading_at_once(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(bytes(10 * CHUNK_BYTES))
    seen: list[int] = []

    def stop_after_three(count: int) -> None:
        seen.append(count)
        if len(seen) == 3:
            raise Stop

    with pytest.raises(Stop):
        read(path, stop_after_three)
    assert seen == [CHUNK_BYTES] * 3


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x" * (2 * CHUNK_BYTES))


def cut(path: Path) -> None:
    os.truncate(path, CHUNK_BYTES + 5)


def write_inside(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"y")
    os.utime(path, ns=(0, 12345))


@pytest.mark.parametrize("meddle", [grow, cut, write_inside])
def test_a_file_that_is_written_while_it_is_read_has_no_checksum(
    tmp_path: Path, meddle: Callable[[Path], None]
) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(bytes(4 * CHUNK_BYTES))
    calls: list[int] = []

    def meddle_once(count: int) -> None:
        calls.append(count)
        if len(calls) == 1:
            meddle(path)

    with pytest.raises(Changed):
        read(path, meddle_once)
    assert sum(calls) <= 4 * CHUNK_BYTES  # a file that grows for ever is not followed


def test_no_link_and_no_pipe_is_read(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"secret")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "absent"):
        with pytest.raises(OSError):  # noqa: PT011 - which one is the system's choice
            checksums.read(str(tmp_path), FileEntry(name, 6, 0, 0), nothing)


def test_a_git_lfs_pointer_is_told_from_a_small_file(tmp_path: Path) -> None:
    digest = "ab" * 32
    (tmp_path / "p").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 123456\n"
    )
    (tmp_path / "s").write_text("small")
    (tmp_path / "l").write_bytes(bytes(5000))
    found = {
        name: checksums.pointer(str(tmp_path), entry(tmp_path / name, tmp_path)) for name in "psl"
    }
    assert (found["s"], found["l"]) == (None, None)
    assert found["p"] is not None
    assert (found["p"].sha256, found["p"].size) == (digest, 123_456)


ONE = {"F32": struct.pack("<f", 1.5), "F16": struct.pack("<e", 1.5), "BF16": b"\xc0\x3f",
    "F64": struct.pack("<d", 1.5), "F8_E4M3": b"\x38",
       "F8_E5M2": b"\x3c"}  # fmt: skip
BAD = [
    ("F32", NAN32), ("F32", INF32), ("F32", struct.pack("<f", float("nan"))), ("F16", NAN16),
    ("F16", INF16), ("BF16", b"\xc0\x7f"),
    ("BF16", b"\x80\xff"), ("F64", struct.pack("<d", float("nan"))),
    ("F64", struct.pack("<d", float("-inf"))), ("F8_E4M3", b"\x7f"),
    ("F8_E4M3", b"\xff"), ("F8_E5M2", b"\x7c"), ("F8_E5M2", b"\xfe"),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "bad"), BAD)
def test_nan_and_infinity_are_seen_in_every_type(tmp_path: Path, dtype: str, bad: bytes) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(
        path, {"a": (dtype, ONE[dtype] * 60), "b": (dtype, bad * 20), "ids": ("I64", b"\xff" * 800)}
    )
    reading = read(path)
    assert (reading.sampled, reading.nonfinite) == (80, 20)


@pytest.mark.parametrize(("dtype", "value"), [("F32", "<f"), ("F16", "<e"), ("F64", "<d")])
def test_the_largest_numbers_are_numbers(tmp_path: Path, dtype: str, value: str) -> None:
    path = tmp_path / "model.safetensors"
    largest = {"F32": 3.4028234e38, "F16": 65504.0, "F64": 1.7976931348623157e308}[dtype]
    write_safetensors(
        path,
        {
            "a": (
                dtype,
                struct.pack(value, largest)
                + struct.pack(value, -largest)
                + struct.pack(value, 5e-8),
            )
        },
    )
    assert (read(path).sampled, read(path).nonfinite) == (3, 0)


@pytest.mark.parametrize("big_endian", [False, True])
def test_gguf_is_sampled_in_its_own_byte_order_and_quantized_tensors_are_not(
    tmp_path: Path, big_endian: bool
) -> None:
    path = tmp_path / "model.gguf"
    builders.gguf(
        path,
        {"general.architecture": "llama"},
        [("a", "F32", (64,)), ("q", "Q8_0", (64,))],
        big_endian=big_endian,
    )
    size = path.stat().st_size
    order = ">" if big_endian else "<"
    with path.open("r+b") as file:  # the data of q (68 bytes, padded) are the end of the file
        file.seek(size - 96 - 64 * 4)
        file.write(
            struct.pack(f"{order}8f", *[float("nan")] * 4, *[float("inf")] * 4)
            + struct.pack(f"{order}56f", *[1.0] * 56)
        )
        file.seek(size - 96)
        file.write(b"\xff" * 68)
    reading = read(path)
    assert (reading.sampled, reading.nonfinite) == (64, 8)


def test_masks_hold_minus_infinity_by_design(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(
        path,
        {
            "text.attn_mask": ("F32", INF32 * 50),
            "a.weight": ("F32", ONE["F32"] * 50),
            "mask_token.bias": ("F32", NAN32),
        },
    )
    assert (read(path).sampled, read(path).nonfinite) == (51, 1)


def test_samples_are_spread_over_the_whole_of_a_large_tensor(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    count = 3 * CHUNK_BYTES // 4
    write_safetensors(path, {"a": ("F32", ONE["F32"] * (count // 2) + NAN32 * (count // 2))})
    reading = read(path)
    assert MAX_PER_TENSOR * 0.95 <= reading.sampled <= MAX_PER_TENSOR
    assert reading.nonfinite / reading.sampled == pytest.approx(0.5, abs=0.01)


def test_samples_look_at_every_column_of_a_matrix() -> None:
    rows, columns = 4096, 1024
    data = bytearray(ONE["F16"] * (rows * columns))
    for row in range(rows):
        data[(row * columns + 7) * 2 : (row * columns + 8) * 2] = NAN16
    samples = WeightSamples([Tensor("a", "F16", (rows, columns), 0, len(data))])
    samples.take(memoryview(data), 0)
    assert samples.nonfinite > 0


def test_a_file_of_many_tensors_costs_no_more_samples() -> None:
    tensors = [Tensor(str(number), "F32", (1000,), number * 4000, 4000) for number in range(4000)]
    samples = WeightSamples(tensors)
    data = memoryview(bytes(4000 * 1000))
    for part in range(4):
        samples.take(data, part * len(data))
    assert 0.4 * MAX_PER_FILE < samples.sampled <= MAX_PER_FILE


def test_tensors_that_lie_over_each_other_are_sampled_once() -> None:
    samples = WeightSamples(
        [Tensor(str(number), "F32", (1000,), 0, 4000) for number in range(1000)]
    )
    samples.take(memoryview(bytes(4000)), 0)
    assert samples.sampled == 1000


@given(
    offset=st.integers(0, 40), count=st.integers(1, 300),
    cuts=st.lists(st.integers(1, 200), min_size=1, max_size=12),
    dtype=st.sampled_from(["F64", "F32", "BF16", "F8_E4M3"]),
)  # fmt: skip
def test_however_the_chunks_fall_no_value_is_misread_or_counted_twice(
    offset: int, count: int, cuts: list[int], dtype: str
) -> None:
    """All values are finite and everything around them is not: a value put together wrongly would
    show.
    """
    width = {"F64": 8, "F32": 4, "BF16": 2, "F8_E4M3": 1}[dtype]
    data = b"\xff" * offset + bytes(count * width) + b"\xff" * 64
    samples = WeightSamples([Tensor("a", dtype, (count,), offset, count * width)])
    position = 0
    for length in [*cuts, len(data)]:
        samples.take(memoryview(data)[position : position + length], position)
        position += len(data[position : position + length])
    assert samples.nonfinite == 0
    assert count - len(cuts) - 1 <= samples.sampled <= count


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GGUF",
        b"GGUF" + b"\xff" * 60,
        (1 << 60).to_bytes(8, "little") + b"{" * 40,
        b"\x80\x02" + b"." * 50,
    ],
)
def test_broken_and_foreign_files_have_checksums_and_no_samples(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    reading = read(path)
    assert (reading.sha256, reading.sampled) == (hashlib.sha256(content).hexdigest(), 0)


def test_a_file_that_is_cut_short_is_sampled_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, {"a": ("F32", NAN32 * 100), "b": ("F32", NAN32 * 100)})
    os.truncate(path, path.stat().st_size - 602)
    assert read(path).sampled == 49


def test_sampling_reads_the_header_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    builders.safetensors(path, [("a", "BF16", (1 << 20,))])
    positions: list[int] = []
    with path.open("rb", buffering=0) as raw:

        class Watched:
            def read(self, count: int) -> bytes:
                positions.append(raw.tell() + count)
                return raw.read(count)

            def seek(self, position: int) -> Any:
                return raw.seek(position)

        weight_samples.sampler(Watched(), path.stat().st_size)  # type: ignore[arg-type]
    assert max(positions) < 200

"""Writes TensorFlow Lite models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from struct import pack

from discovery.demo.writers.graphs import Port
from discovery.demo.writers.sparse import TensorSpec, tensor_bytes, write_pieces

_TFLITE = {"F32": 0, "F16": 1, "I32": 2, "U8": 3, "I64": 4, "I8": 9}


def write_tflite(
    path: Path,
    tensors: Sequence[TensorSpec],
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    *,
    description: str = "MLIR Converted.",
) -> None:
    """Every offset of a flatbuffer points forward, so the tables come first and the data last."""
    write_pieces(path, _tflite(tensors, inputs, outputs, description))


def _tflite(
    tensors: Sequence[TensorSpec], inputs: Sequence[Port], outputs: Sequence[Port], description: str
) -> Iterator[bytes | int]:
    flat = _Flat()
    ports = [*inputs, *outputs]
    model = flat.table({0: pack("<I", 3), 1: None, 2: None, 3: None, 4: None})
    flat.vector(model[1], 0)
    [graph] = flat.vector(model[2], 1)
    flat.text(model[3], description)
    buffers = flat.vector(model[4], 1 + len(tensors))
    flat.point(graph)
    fields = flat.table({0: None, 1: None, 2: None, 3: None, 4: None})
    places = flat.vector(fields[0], len(ports) + len(tensors))
    flat.integers(fields[1], range(len(inputs)))
    flat.integers(fields[2], range(len(inputs), len(ports)))
    flat.vector(fields[3], 0)
    flat.text(fields[4], "main")
    for number, (place, (name, dtype, shape)) in enumerate(
        zip(places, [*ports, *tensors], strict=True)
    ):
        flat.point(place)
        buffer = max(number - len(ports) + 1, 0)  # buffer 0 is empty by convention
        tensor = flat.table(
            {0: None, 1: pack("<B", _TFLITE[dtype]), 2: pack("<I", buffer), 3: None}
        )
        flat.integers(tensor[0], shape)
        flat.text(tensor[3], name)
    flat.point(buffers[0])
    flat.table({})
    data = []
    for place in buffers[1:]:
        flat.point(place)
        data.append(flat.table({0: None})[0])
    at = -(-len(flat.data) // 16) * 16
    starts: list[tuple[int, int]] = []
    for place, (_, dtype, shape) in zip(data, tensors, strict=True):
        flat.data[place : place + 4] = pack("<I", at + 12 - place)
        starts.append((at, tensor_bytes(dtype, shape)))
        at = -(-(at + 16 + starts[-1][1]) // 16) * 16
    yield bytes(flat.data)
    written = len(flat.data)
    for start, size in starts:
        yield start + 12 - written
        yield pack("<I", size)
        yield size
        written = start + 16 + size


class _Flat:
    """A flatbuffer that is written from the front.

    Tables return the places of their offsets, which are filled in when the target is written.
    """

    def __init__(self) -> None:
        self.data = bytearray(pack("<I4s", 0, b"TFL3"))
        self.rooted = False

    def table(self, fields: dict[int, bytes | None]) -> dict[int, int]:
        """Write a table and return where each field is; ``None`` stands for an offset."""
        self.align()
        body, places = bytearray(4), {}
        for number, value in fields.items():
            body += bytes(-len(body) % 4)
            places[number] = len(body)
            body += value if value is not None else bytes(4)
        described = pack(f"<{2 + len(places)}H", 4 + 2 * len(places), len(body), *places.values())
        described += bytes(-len(described) % 4)
        start = len(self.data) + len(described)
        if not self.rooted:
            self.data[0:4], self.rooted = pack("<I", start), True
        else:
            self.data[self.pointer : self.pointer + 4] = pack("<I", start - self.pointer)
        body[0:4] = pack("<i", len(described))
        self.data += described + body
        return {number: start + place for number, place in places.items()}

    def point(self, place: int) -> None:
        """The next table is what the offset at ``place`` points to."""
        self.pointer = place

    def align(self) -> None:
        self.data += bytes(-len(self.data) % 4)

    def vector(self, place: int, count: int) -> list[int]:
        """A vector of ``count`` offsets; returns their places."""
        self.align()
        self.data[place : place + 4] = pack("<I", len(self.data) - place)
        self.data += pack("<I", count) + bytes(4 * count)
        return [len(self.data) - 4 * (count - number) for number in range(count)]

    def integers(self, place: int, values: Sequence[int]) -> None:
        for at, value in zip(self.vector(place, len(values)), values, strict=True):
            self.data[at : at + 4] = pack("<i", value)

    def text(self, place: int, text: str) -> None:
        self.align()
        self.data[place : place + 4] = pack("<I", len(self.data) - place)
        self.data += pack("<I", len(text.encode())) + text.encode() + b"\0"

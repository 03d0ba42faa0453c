"""TensorFlow Lite: a flatbuffer with the identifier ``TFL3``.

Tables are visited through their offsets; weights are never read.

Sources: schema.fbs of https://github.com/tensorflow/tensorflow (lite/schema) and
https://flatbuffers.dev/internals/
"""

from __future__ import annotations

from math import prod
from typing import BinaryIO

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.parameters import DTYPE_BITS, main_dtype
from discovery.engine.core.types import Header, Tensor
from discovery.engine.core.vocabulary import ModelType
from discovery.engine.formats.flatbuffer import MAX_ITEMS, Flatbuffer

NAME = "tflite"

MAX_DIMENSIONS = 32

DTYPES = {
    0: "F32", 1: "F16", 2: "I32", 3: "U8", 4: "I64", 5: "STRING", 6: "BOOL", 7: "I16", 8: "C64",
    9: "I8", 10: "F64", 12: "U64", 15: "U32",
    16: "U16", 17: "I4", 18: "BF16",
}  # fmt: skip
_QUANTIZED = {"I8": "INT8", "U8": "INT8", "I16": "INT16", "I4": "INT4"}
_NOT_WEIGHTS = frozenset({"I32", "I64", "STRING", "BOOL", "U32", "U64"})

# Field numbers of the tables.
_VERSION, _SUBGRAPHS, _DESCRIPTION, _BUFFERS = 0, 2, 3, 4
_TENSORS, _INPUTS, _OUTPUTS, _OPERATORS, _GRAPH_NAME = 0, 1, 2, 3, 4
_SHAPE, _TYPE, _BUFFER, _NAME = 0, 1, 2, 3
_DATA, _OFFSET, _SIZE = 0, 1, 2


def read(stream: BinaryIO, size: int) -> Header:
    """Version, description, tensors with data, inputs and outputs.

    Raises ``NotThisFormat`` or ``InvalidHeader``.
    """
    if stream.read(8)[4:] != b"TFL3":
        raise NotThisFormat("it has no TFL3 at byte 4")
    buffer = Flatbuffer(stream, size)
    model = buffer.table(buffer.unsigned(0, 4))
    extents = [_extent(buffer, buffer.table(at)) for at in buffer.tables(model, _BUFFERS)]
    metadata = {
        "version": buffer.scalar(model, _VERSION, 4),
        "description": buffer.string(model, _DESCRIPTION),
        "inputs": [],
        "outputs": [],
    }
    tensors: list[Tensor] = []
    for number, at in enumerate(buffer.tables(model, _SUBGRAPHS)):
        graph = buffer.table(at)
        found = [
            _tensor(buffer, buffer.table(tensor), extents)
            for tensor in buffer.tables(graph, _TENSORS)
        ]
        tensors += [tensor for tensor in found if tensor.size]
        if not number:
            metadata |= {
                "inputs": _ports(buffer, graph, _INPUTS, found),
                "outputs": _ports(buffer, graph, _OUTPUTS, found),
            }
            metadata |= {
                "name": buffer.string(graph, _GRAPH_NAME),
                "operator_count": buffer.count(graph, _OPERATORS),
            }
    weights = list({t.offset: t for t in tensors if t.dtype not in _NOT_WEIGHTS}.values())
    held: dict[str, int] = {}
    for weight in weights:
        held[weight.dtype] = held.get(weight.dtype, 0) + weight.size
    quantization = _QUANTIZED.get(max(held, key=held.__getitem__, default=""))
    return Header(
        format=NAME,
        tensors=tensors,
        metadata=metadata,
        parameter_count=sum(prod(t.shape) for t in weights) if weights else None,
        dtype=None if quantization else main_dtype(weights),
        quantization=quantization,
        expected_size=max([buffer.furthest, *(offset + length for offset, length in extents)]),
    )


def _extent(buffer: Flatbuffer, table: dict[int, int]) -> tuple[int, int]:
    """Position and length of a buffer's bytes.

    Beyond 2 GB they follow the flatbuffer, at an offset from the start of the file.
    """
    offset, length = buffer.scalar(table, _OFFSET, 8), buffer.scalar(table, _SIZE, 8)
    if offset > 1:
        return offset, length
    if _DATA not in table:
        return 0, 0
    start = buffer.indirect(table[_DATA])
    return start + 4, buffer.unsigned(start, 4)


def _tensor(buffer: Flatbuffer, table: dict[int, int], extents: list[tuple[int, int]]) -> Tensor:
    number, kind = buffer.scalar(table, _BUFFER, 4), buffer.scalar(table, _TYPE, 1)
    if number >= len(extents) and number:
        raise InvalidHeader(f"a tensor uses buffer {number:,} of {len(extents):,}")
    shape = tuple(buffer.integers(table, _SHAPE, MAX_DIMENSIONS))
    offset, length = extents[number] if extents else (0, 0)
    dtype = DTYPES.get(kind, f"TYPE_{kind}")
    if length and dtype in DTYPE_BITS and prod(shape) * DTYPE_BITS[dtype] > length * 8:
        shape = (length * 8 // DTYPE_BITS[dtype],)  # sparse tensors keep less than their shape says
    return Tensor(buffer.string(table, _NAME), dtype, shape, offset, length)


def _ports(
    buffer: Flatbuffer, graph: dict[int, int], field: int, tensors: list[Tensor]
) -> list[dict[str, object]]:
    chosen = [
        tensors[index]
        for index in buffer.integers(graph, field, MAX_ITEMS)
        if 0 <= index < len(tensors)
    ]
    return [
        {"name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape)}
        for tensor in chosen
    ]


FORMAT = Format(
    name=NAME,
    label="TensorFlow Lite",
    rank=100,
    type=ModelType.TFLITE,
    suffixes=(".tflite",),
    magic=lambda head, _suffix: head[4:8] == b"TFL3",
    read=read,
    usage=Usage(
        "LiteRT",
        "pip install ai-edge-litert",
        "from ai_edge_litert.interpreter import Interpreter\n\n"
        "model = Interpreter(model_path={path!r})\nprint(model.get_input_details())",
    ),
)

"""Writes ONNX files: graph and tensor table in full, a hole where each tensor's data would be.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from discovery.demo.writers.sparse import TensorSpec, tensor_bytes, write_pieces, write_sparse

#: Name, dtype, shape of an input or output; a dimension given as a string is symbolic.
ONNXPort: TypeAlias = tuple[str, str, Sequence[int | str]]
#: Bytes, and numbers that stand for holes.
Pieces: TypeAlias = list[bytes | int]

DATA_TYPES = {
    "F32": 1, "U8": 2, "I8": 3, "U16": 4, "I16": 5, "I32": 6, "I64": 7, "BOOL": 9, "F16": 10,
    "F64": 11, "U32": 12, "U64": 13, "BF16": 16,
    "F8_E4M3": 17, "F8_E5M2": 19, "U4": 21, "I4": 22,
}  # fmt: skip
#: protobuf refuses longer messages: such models keep their weights in another file.
MAX_MESSAGE_BYTES = (2 << 30) - 1
ALIGNMENT = 4096
_INT, _STRING, _INTS = 2, 3, 7  # AttributeProto.AttributeType


class Node(NamedTuple):
    """One operator."""

    operator: str
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    domain: str = ""
    attributes: Mapping[str, int | str | Sequence[int]] = {}


def write_onnx(
    path: Path,
    tensors: Sequence[TensorSpec],
    inputs: Sequence[ONNXPort],
    outputs: Sequence[ONNXPort],
    *,
    external: str | None = None,
    metadata: Mapping[str, str] | None = None,
    nodes: Sequence[Node] | None = None,
    producer: str = "pytorch",
    opset: int = 17,
) -> None:
    """Write an ONNX file; ``external`` names a file in the same folder that holds the data.

    Without ``nodes`` the outputs are constant: it loads and runs.

    Raises ``ValueError`` when the weights are too much for one message.
    """
    if nodes is None:
        nodes = [node for port in outputs for node in _constant(port)]
    graph: Pieces = [piece for node in nodes for piece in field(1, _node(node))]
    graph += field(2, path.stem)
    offset = 0
    for tensor in tensors:
        graph += field(5, _tensor(tensor, external, offset))
        offset += -(-tensor_bytes(*tensor[1:]) // ALIGNMENT) * ALIGNMENT
    for number, ports in ((11, inputs), (12, outputs)):
        graph += [piece for port in ports for piece in field(number, _port(port))]
    model: Pieces = (
        number_field(1, 8) + field(2, producer) + field(7, graph) + field(8, number_field(2, opset))
    )
    model += [
        piece
        for domain in sorted({node.domain for node in nodes} - {""})
        for piece in field(8, field(1, domain) + number_field(2, 1))
    ]
    for key, value in (metadata or {}).items():
        model += field(14, field(1, key) + field(2, value))
    if length(model) > MAX_MESSAGE_BYTES:
        raise ValueError(
            "the weights are too much for one protobuf message: keep them in an external file"
        )
    write_pieces(path, model)
    if external:
        write_sparse(path.with_name(external), b"", offset)


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])


def length(pieces: Pieces) -> int:
    return sum(piece if isinstance(piece, int) else len(piece) for piece in pieces)


def number_field(number: int, value: int) -> Pieces:
    return [varint(number << 3) + varint(value)]


def field(number: int, content: Pieces | str) -> Pieces:
    """Text or a message of that field number."""
    pieces: Pieces = [content.encode()] if isinstance(content, str) else content
    return [varint(number << 3 | 2) + varint(length(pieces)), *pieces]


def _constant(port: ONNXPort) -> list[Node]:
    """Zeros of the port's type and shape, symbolic dimensions being one."""
    name, dtype, shape = port
    sizes = [size if isinstance(size, int) else 1 for size in shape]
    return [
        Node("Constant", [], [f"{name}_zero"], attributes={"value_int": 0}),
        Node("Cast", [f"{name}_zero"], [f"{name}_typed"], attributes={"to": DATA_TYPES[dtype]}),
        Node("Constant", [], [f"{name}_shape"], attributes={"value_ints": sizes}),
        Node("Expand", [f"{name}_typed", f"{name}_shape"], [name]),
    ]


def _attribute(value: int | str | Sequence[int]) -> Pieces:
    if isinstance(value, str):
        return field(4, value) + number_field(20, _STRING)
    if isinstance(value, int):
        return number_field(3, value) + number_field(20, _INT)
    return [piece for number in value for piece in number_field(8, number)] + number_field(
        20, _INTS
    )


def _node(node: Node) -> Pieces:
    pieces: Pieces = [piece for name in node.inputs for piece in field(1, name)]
    pieces += [piece for name in node.outputs for piece in field(2, name)]
    pieces += field(4, node.operator)
    for name, value in node.attributes.items():
        pieces += field(5, field(1, name) + _attribute(value))
    return pieces + (field(7, node.domain) if node.domain else [])


def _tensor(tensor: TensorSpec, external: str | None, offset: int) -> Pieces:
    name, dtype, shape = tensor
    size = tensor_bytes(dtype, shape)
    pieces: Pieces = [piece for dimension in shape for piece in number_field(1, dimension)]
    pieces += number_field(2, DATA_TYPES[dtype]) + field(8, name)
    if external is None:
        return pieces + field(9, [size])
    for key, value in (("location", external), ("offset", str(offset)), ("length", str(size))):
        pieces += field(13, field(1, key) + field(2, value))
    return pieces + number_field(14, 1)


def _port(port: ONNXPort) -> Pieces:
    name, dtype, shape = port
    dimensions: Pieces = []
    for size in shape:
        dimensions += field(1, field(2, size) if isinstance(size, str) else number_field(1, size))
    return field(1, name) + field(
        2, field(1, number_field(1, DATA_TYPES[dtype]) + field(2, dimensions))
    )

"""TensorFlow SavedModel: ``saved_model.pb`` and ``variables/variables.index``.

Signatures and tags; names, types and shapes of variables.

Sources: saved_model.proto, meta_graph.proto and tensor_bundle.proto of TensorFlow; the index is a
LevelDB table (https://github.com/google/leveldb/blob/main/doc/table_format.md), which TensorFlow
writes uncompressed.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from io import BytesIO
from math import prod
from typing import Any, BinaryIO

from discovery.engine.core.binary import Reader
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format
from discovery.engine.core.parameters import DTYPE_BITS, main_dtype
from discovery.engine.core.types import OWN_STEM, External, Header, Problem, Tensor
from discovery.engine.core.vocabulary import ModelType, Severity
from discovery.engine.formats.protobuf_fields import Field, ProtobufReader, signed

NAME = "tensorflow"

TABLE_MAGIC = bytes.fromhex("57fb808b247547db")
MAX_INDEX_BYTES = 16 << 20
MAX_VARIABLES = 100_000
MAX_KEY_BYTES = 1_024

#: Operators that call back into Python: https://www.tensorflow.org/api_docs/python/tf/raw_ops
PYTHON_OPERATORS = frozenset({"PyFunc", "EagerPyFunc", "PyFuncStateless"})
FILE_OPERATORS = {
    "ReadFile": "reads files",
    "WriteFile": "writes files",
    "MatchingFiles": "lists files",
}
MAX_GRAPH_BYTES = 64 << 20
CHUNK = 1 << 20

DTYPES = {
    1: "F32", 2: "F64", 3: "I32", 4: "U8", 5: "I16", 6: "I8", 7: "STRING", 9: "I64", 10: "BOOL",
    14: "BF16", 17: "U16", 19: "F16", 22: "U32",
    23: "U64",
}  # fmt: skip
#: What training keeps beside the weights.
_BESIDE = (
    "/.OPTIMIZER_SLOT/",
    "/metrics/",
    "optimizer/",
    "save_counter/",
    "_CHECKPOINTABLE_OBJECT_GRAPH",
)


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``. The graph itself is skipped."""
    head = stream.read(3)
    if head != b"\x08\x01\x12":
        if size >= 48:
            stream.seek(size - 8)
            if stream.read(8) == TABLE_MAGIC:
                return _read_index(Reader(stream, size))
        raise NotThisFormat("it is neither a SavedModel nor an index of variables")
    return _read_saved_model(ProtobufReader(stream, size))


def _read_saved_model(reader: ProtobufReader) -> Header:
    metadata: dict[str, Any] = {"tags": [], "signatures": {}}
    graphs = 0
    for field in reader.fields(0, reader.size):
        if field.number == 1:
            metadata["schema_version"] = field.value
        elif field.number == 2:
            graphs += _meta_graph(reader, field, metadata)
    if not graphs:
        raise InvalidHeader("the SavedModel holds no graph")
    return Header(format=NAME, metadata=metadata, problems=_operator_problems(reader))


def _operator_problems(reader: ProtobufReader) -> list[Problem]:
    """Operators that run code or touch files, by the spelling of NodeDef's ``op`` (field 2)
    anywhere in the file.

    Graphs have hundreds of thousands of nodes: looking for a few words is quicker than following
    them, and no nesting hides one.
    """
    found: list[Problem] = []
    operators = {
        name: b"\x12" + bytes([len(name)]) + name.encode()
        for name in (*PYTHON_OPERATORS, *FILE_OPERATORS)
    }
    for name, offset in sorted(_spelled(reader, operators).items(), key=lambda item: item[1]):
        if name in PYTHON_OPERATORS:
            text = (
                f"its graph holds {name}, which calls a Python function: loading and running it"
                " runs that code"
            )
            found.append(Problem("python_op", text, "", Severity.ERROR, offset))
        else:
            text = f"its graph holds {name}, which {FILE_OPERATORS[name]} wherever the model runs"
            found.append(Problem("file_op", text, "", Severity.WARNING, offset))
    if reader.size > MAX_GRAPH_BYTES:
        text = (
            f"its graph has {reader.size:,} bytes, of which the first {MAX_GRAPH_BYTES:,} were"
            " looked at"
        )
        found.append(Problem("graph_unchecked", text, "", Severity.WARNING))
    return found


def _spelled(reader: ProtobufReader, words: dict[str, bytes]) -> dict[str, int]:
    """{name: position of its first occurrence} of the words that occur."""
    found: dict[str, int] = {}
    longest = max(map(len, words.values()))
    position, tail = 0, b""
    reader.seek(0)
    while position < min(reader.size, MAX_GRAPH_BYTES):
        block = reader.exact(min(CHUNK, reader.size - position), "the graph")
        window, start = tail + block, position - len(tail)
        for name, word in words.items():
            if name not in found and (at := window.find(word)) >= 0:
                found[name] = start + at
        position += len(block)
        tail = window[-longest:]
    return found


def _meta_graph(reader: ProtobufReader, graph: Field, metadata: dict[str, Any]) -> bool:
    has_graph = False
    for field in reader.inside(graph):
        if field.number == 1:
            for info in reader.inside(field):
                if info.number == 4:
                    metadata["tags"].append(reader.text(info, 256))
                elif info.number == 5:
                    metadata["tensorflow_version"] = reader.text(info, 256)
        elif field.number == 2:
            has_graph = True
        elif field.number == 5:
            name, value = _map_entry(reader, field)
            if value is not None:
                metadata["signatures"][name] = _signature(reader, value)
    signature: dict[str, Any] = metadata["signatures"].get("serving_default") or next(
        iter(metadata["signatures"].values()), {}
    )
    metadata |= {"inputs": signature.get("inputs", []), "outputs": signature.get("outputs", [])}
    return has_graph


def _map_entry(reader: ProtobufReader, entry: Field) -> tuple[str, Field | None]:
    name, value = "", None
    for field in reader.inside(entry):
        if field.number == 1:
            name = reader.text(field, 1_024)
        elif field.number == 2:
            value = field
    return name, value


def _signature(reader: ProtobufReader, signature: Field) -> dict[str, Any]:
    found: dict[str, Any] = {"inputs": [], "outputs": []}
    for field in reader.inside(signature):
        if field.number in (1, 2):
            name, value = _map_entry(reader, field)
            info = (
                _dtype_and_shape(reader, value, dtype_field=2, shape_field=3)
                if value is not None
                else (None, None)
            )
            found["inputs" if field.number == 1 else "outputs"].append(
                {"name": name, "dtype": info[0], "shape": info[1]}
            )
    return found


def _dtype_and_shape(
    reader: ProtobufReader, message: Field, *, dtype_field: int, shape_field: int
) -> tuple[str | None, list[int | None] | None]:
    """Unknown dimensions are ``None``; the shape is ``None`` when even their number is unknown."""
    dtype: str | None = None
    shape: list[int | None] | None = None
    for field in reader.inside(message):
        if field.number == dtype_field:
            dtype = DTYPES.get(field.value, f"TYPE_{field.value}")
        elif field.number == shape_field:
            shape = []
            for dimension in reader.inside(field):
                if dimension.number == 3 and dimension.value:
                    return dtype, None
                if dimension.number == 2:
                    sizes = [
                        signed(part.value) for part in reader.inside(dimension) if part.number == 1
                    ]
                    shape.append(sizes[0] if sizes and sizes[0] >= 0 else None if sizes else 0)
    return dtype, shape


def _read_index(reader: Reader) -> Header:
    if reader.size > MAX_INDEX_BYTES:
        raise InvalidHeader(
            f"an index of variables has at most {MAX_INDEX_BYTES:,} bytes, this one has"
            f" {reader.size:,}"
        )
    reader.seek(0)
    data = reader.exact(reader.size, "the index")
    footer = ProtobufReader(BytesIO(data), reader.size)
    footer.seek(reader.size - 48)
    footer.varint(), footer.varint()  # the meta-index, which TensorFlow leaves empty
    tensors: list[Tensor] = []
    ends: dict[int, int] = {}
    shards = 1
    for _, handle in _entries(data, footer.varint(), footer.varint()):
        block = ProtobufReader(BytesIO(handle), len(handle))
        for key, entry in _entries(data, block.varint(), block.varint()):
            message = ProtobufReader(BytesIO(entry), len(entry))
            if not key:
                shards = next(
                    (field.value for field in message.fields(0, len(entry)) if field.number == 1), 1
                )
                continue
            if len(tensors) >= MAX_VARIABLES:
                raise InvalidHeader(f"it lists more than {MAX_VARIABLES:,} variables")
            tensor, shard = _variable(message, key.decode("utf-8", "replace"))
            tensors.append(tensor)
            ends[shard] = max(ends.get(shard, 0), tensor.offset + tensor.size)
    weights = [
        t for t in tensors if t.dtype in DTYPE_BITS and not any(part in t.name for part in _BESIDE)
    ]
    names = {shard: f"{OWN_STEM}.data-{shard:05d}-of-{shards:05d}" for shard in ends}
    return Header(
        format=NAME,
        tensors=[t._replace(offset=-1) for t in weights],
        parameter_count=sum(prod(t.shape) for t in weights) if weights else None,
        dtype=main_dtype(weights),
        externals=[External(names[shard], end) for shard, end in ends.items()],
    )


def _variable(message: ProtobufReader, name: str) -> tuple[Tensor, int]:
    whole = Field(0, 2, message.size, 0, message.size)
    dtype, shape = _dtype_and_shape(message, whole, dtype_field=1, shape_field=2)
    numbers = {
        field.number: field.value for field in message.inside(whole) if field.number in (3, 4, 5)
    }
    dimensions = tuple(dimension or 0 for dimension in shape or ())
    return Tensor(
        name, dtype or "TYPE_0", dimensions, numbers.get(4, 0), numbers.get(5, 0)
    ), numbers.get(3, 0)


def _entries(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of one block; each key gives only what differs from the key before it."""
    if offset + size + 5 > len(data) or size < 4:
        raise InvalidHeader(f"a block of the index lies at {offset:,}, outside the file", len(data))
    if data[offset + size]:
        raise InvalidHeader(
            "a block of the index is compressed, which TensorFlow never writes", offset
        )
    restarts = int.from_bytes(data[offset + size - 4 : offset + size], "little")
    end = offset + size - 4 - 4 * restarts
    block = ProtobufReader(BytesIO(data), len(data))
    block.seek(offset)
    key = b""
    while block.position < end:
        shared, fresh, length = block.varint(), block.varint(), block.varint()
        if shared > len(key) or shared + fresh > MAX_KEY_BYTES:
            raise InvalidHeader(f"a key of the index has {shared + fresh:,} bytes", block.position)
        key = key[:shared] + block.exact(fresh, "a key of the index")
        yield key, block.exact(length, "an entry of the index")


#: The shards of a bundle of variables.
_DATA = re.compile(r"(?P<stem>.+)\.data-\d{5}-of-\d{5}")


def _of_bundle(path: str) -> str:
    """The path of the bundle that a file holds data of, without its suffix."""
    match = _DATA.fullmatch(path)
    return match["stem"] if match else ""


def _is_entry(path: str, others: Container[str]) -> bool:
    """A SavedModel's graph and variables, or the index of a checkpoint with its data."""
    if path.endswith(("/saved_model.pb", "variables/variables.index")):
        return True
    return path.endswith(".index") and any(
        f"{path[:-6]}.data-00000-of-{total:05d}" in others for total in (1, 2)
    )


FORMAT = Format(
    name=NAME,
    label="TensorFlow",
    rank=80,
    type=ModelType.TENSORFLOW,
    suffixes=(".h5",),
    aliases=("h5", "pb"),
    tried_for=(".pb", ".index"),
    names=((".index", r"(?P<stem>.*)\.ckpt(?:-\d+)?\.index"),),
    is_entry=_is_entry,
    is_data=lambda path, others: bool(_of_bundle(path)) and f"{_of_bundle(path)}.index" in others,
    read=read,
)

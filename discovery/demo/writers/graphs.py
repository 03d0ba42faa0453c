"""Write formats that describe a graph.

These are OpenVINO IR, TensorFlow SavedModel, TensorFlow Lite, Core ML and TensorRT.

The graph leads from the inputs to the outputs and does nothing; it has everything that a scanner
reads, with the sizes of real models.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from struct import pack
from typing import TypeAlias
from xml.sax.saxutils import quoteattr

from discovery.demo.writers.sparse import (
    TensorSpec,
    tensor_bytes,
    write_json,
    write_sparse,
    write_text,
)

#: Name, dtype, shape of an input or output.
Port: TypeAlias = tuple[str, str, Sequence[int]]

_OPENVINO = {
    "F32": "f32",
    "F16": "f16",
    "BF16": "bf16",
    "I64": "i64",
    "I32": "i32",
    "I8": "i8",
    "U8": "u8",
    "U4": "u4",
    "I4": "i4",
}
_PRECISIONS = {"F32": "FP32", "F16": "FP16", "I64": "I64", "I32": "I32"}
_TENSORFLOW = {"F32": 1, "F64": 2, "I32": 3, "U8": 4, "I64": 9, "BF16": 14, "F16": 19}
_COREML = {"F32": 65_568, "F16": 65_552, "I32": 131_104}


def write_openvino(
    path: Path,
    tensors: Sequence[TensorSpec],
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    *,
    name: str = "torch_jit",
) -> None:
    """Write an OpenVINO model: ``path`` is the ``.xml``; the ``.bin`` is in the same folder.

    Each output is the input of the same place, or the first.
    """
    layers: list[str] = []
    edges: list[str] = []
    for number, (port, dtype, shape) in enumerate(inputs):
        dims = ",".join(map(str, shape))
        data = f'<data shape="{dims}" element_type="{_OPENVINO[dtype]}"/>'
        layers.append(
            _layer(
                number,
                port,
                "Parameter",
                data,
                f"<output>{_ir_port(0, dtype, shape, port)}</output>",
            )
        )
    offset = 0
    for number, (tensor, dtype, shape) in enumerate(tensors, start=len(inputs)):
        size = tensor_bytes(dtype, shape)
        data = (
            f'<data element_type="{_OPENVINO[dtype]}" shape="{", ".join(map(str, shape))}"'
            f' offset="{offset}" size="{size}"/>'
        )
        layers.append(
            _layer(number, tensor, "Const", data, f"<output>{_ir_port(0, dtype, shape)}</output>")
        )
        offset += size
    for number, (port, dtype, shape) in enumerate(outputs):
        layer = len(inputs) + len(tensors) + number
        layers.append(
            _layer(layer, port, "Result", "", f"<input>{_ir_port(0, dtype, shape)}</input>")
        )
        edges.append(
            f'<edge from-layer="{min(number, len(inputs) - 1)}" from-port="0" to-layer="{layer}"'
            ' to-port="0"/>'
        )
    body = "\n".join(layers)
    head = f'<?xml version="1.0"?>\n<net name={quoteattr(name)} version="11">\n'
    write_text(
        path, f"{head}<layers>\n{body}\n</layers>\n<edges>\n{''.join(edges)}\n</edges>\n</net>\n"
    )
    write_sparse(path.with_suffix(".bin"), b"", offset)


def _layer(number: int, name: str, kind: str, data: str, ports: str) -> str:
    return (
        f'<layer id="{number}" name={quoteattr(name)} type="{kind}"'
        f' version="opset1">{data}{ports}</layer>'
    )


def _ir_port(number: int, dtype: str, shape: Sequence[int], name: str = "") -> str:
    names = f" names={quoteattr(name)}" if name else ""
    return (
        f'<port id="{number}" precision="{_PRECISIONS.get(dtype, dtype)}"{names}>'
        + "".join(f"<dim>{size}</dim>" for size in shape)
        + "</port>"
    )


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, data: bytes | str) -> bytes:
    data = data.encode() if isinstance(data, str) else data
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def write_savedmodel(
    folder: Path, variables: Sequence[TensorSpec], inputs: Sequence[Port], outputs: Sequence[Port]
) -> None:
    """saved_model.pb and ``variables/``.

    Checksums are left zero: the data are zeros that nobody loads.
    """

    def ports(field: int, items: Sequence[Port]) -> bytes:
        return b"".join(
            _message(
                field,
                _message(1, name)
                + _message(
                    2,
                    _message(1, f"serving_default_{name}:0")
                    + _number(2, _TENSORFLOW[dtype])
                    + _tf_shape(3, shape),
                ),
            )
            for name, dtype, shape in items
        )

    signature = ports(1, inputs) + ports(2, outputs) + _message(3, "tensorflow/serving/predict")
    info = _message(4, "serve") + _message(5, "2.16.1")
    graph = (
        _message(1, info)
        + _message(2, b"")
        + _message(5, _message(1, "serving_default") + _message(2, signature))
    )
    write_sparse(folder / "saved_model.pb", _number(1, 1) + _message(2, graph), 0)
    entries = [(b"", _number(1, 1) + _message(3, _number(1, 1)))]
    offset = 0
    for name, dtype, shape in sorted(variables):
        size = tensor_bytes(dtype, shape)
        place = _number(4, offset) + _number(5, size)
        entries.append(
            (name.encode(), _number(1, _TENSORFLOW[dtype]) + _tf_shape(2, shape) + place)
        )
        offset += size
    write_sparse(folder / "variables/variables.index", _leveldb_table(entries), 0)
    write_sparse(folder / "variables/variables.data-00000-of-00001", b"", offset)


def _tf_shape(field: int, shape: Sequence[int]) -> bytes:
    return _message(field, b"".join(_message(2, _number(1, size)) for size in shape))


def _leveldb_table(entries: Sequence[tuple[bytes, bytes]]) -> bytes:
    """One data block, an empty meta-index, the index, the footer."""
    data = _leveldb_block(entries)
    meta = _leveldb_block([])
    handle = _varint(0) + _varint(len(data) - 5)
    index = _leveldb_block([(entries[-1][0] + b"\0", handle)])
    footer = (
        _varint(len(data))
        + _varint(len(meta) - 5)
        + _varint(len(data) + len(meta))
        + _varint(len(index) - 5)
    )
    return data + meta + index + footer.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


def _leveldb_block(entries: Sequence[tuple[bytes, bytes]]) -> bytes:
    out, last = bytearray(), b""
    for key, value in entries:
        shared = next(
            (at for at, (one, other) in enumerate(zip(last, key, strict=False)) if one != other),
            min(len(last), len(key)),
        )
        out += (
            _varint(shared)
            + _varint(len(key) - shared)
            + _varint(len(value))
            + key[shared:]
            + value
        )
        last = key
    return bytes(out) + pack("<II", 0, 1) + b"\0" + pack("<I", 0)


def write_coreml(
    path: Path,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    *,
    description: str = "",
    author: str = "",
    license_name: str = "",
) -> None:
    """Write a Core ML model.

    ``path`` ends in ``.mlmodel`` (an empty neural network) or ``.mlpackage`` (a folder with a
    manifest, an ML program and 1 MB of weights).
    """
    package = path.suffix == ".mlpackage"
    about = (
        _message(1, description)
        + _message(2, "1.0")
        + _message(3, author)
        + _message(4, license_name)
    )
    body = _features(1, inputs) + _features(10, outputs) + _message(100, about)
    model = (
        _number(1, 7 if package else 4)
        + _message(2, body)
        + _message(502 if package else 500, _number(1, 1) if package else b"")
    )
    if package:
        _write_package(path, model)
    else:
        write_sparse(path, model, 0)


def _features(field: int, ports: Sequence[Port]) -> bytes:
    """FeatureDescription messages with an ArrayFeatureType each."""
    return b"".join(
        _message(
            field,
            _message(1, name)
            + _message(
                3,
                _message(
                    5, _message(1, b"".join(map(_varint, shape))) + _number(2, _COREML[dtype])
                ),
            ),
        )
        for name, dtype, shape in ports
    )


def _write_package(path: Path, model: bytes) -> None:
    weights, main = "6B9C3E4A-0F1D-4C55-9E0B-6E2C6D1C4A10", "1F2D7A80-51C1-4E0C-8D0B-8A3F2C7E9B42"
    items = {
        main: ("CoreML Model Specification", "model.mlmodel"),
        weights: ("CoreML Model Weights", "weights"),
    }
    entries = {
        key: {
            "author": "com.apple.CoreML",
            "description": text,
            "name": name,
            "path": f"com.apple.CoreML/{name}",
        }
        for key, (text, name) in items.items()
    }
    write_json(
        path / "Manifest.json",
        {"fileFormatVersion": "1.0.0", "itemInfoEntries": entries, "rootModelIdentifier": main},
    )
    write_sparse(path / "Data/com.apple.CoreML/model.mlmodel", model, 0)
    write_sparse(path / "Data/com.apple.CoreML/weights/weight.bin", b"", 1 << 20)


def write_tensorrt(
    path: Path, length: int = 1 << 20, *, version: tuple[int, int, int, int] = (10, 3, 0, 26)
) -> None:
    """A plan's tag and version, then a hole: the rest is NVIDIA's secret."""
    write_sparse(path, b"ftrt" + pack("<IQQ", 0, length, 0) + bytes(version), length)

"""Caffe: ``.caffemodel``, a ``NetParameter`` in protobuf with its layers and their blobs.

Source: ``src/caffe/proto/caffe.proto`` of https://github.com/BVLC/caffe.
"""

from __future__ import annotations

import re
from math import prod
from typing import BinaryIO

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header, Tensor
from discovery.engine.core.vocabulary import ModelType
from discovery.engine.formats.protobuf_fields import BYTES, Field, ProtobufReader

NAME = "caffe"

MAX_DIMENSIONS = 32
#: The name of the network, or a layer of the new or the old kind with its name at the start.
_START = re.compile(
    rb"(?:\x0a[\x01-\x7f][\x20-\x7e]{1,127}(?:\xa2\x06|[\x12\x1a\x20\x28\x32\x38\x42]))"
    rb"|(?:\xa2\x06[\x80-\xff]{0,4}[\x01-\x7f]\x0a[\x01-\x7f][\x20-\x7e])",
    re.DOTALL,
)
#: Field of the layers in a network → fields of the name and of the blobs in a layer.
_LAYERS = {100: (1, 7), 2: (4, 6)}
_SIDES = (1, 2, 3, 4)
_DATA, _DIFF, _SHAPE, _DOUBLES = 5, 6, 7, 8


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    if not _START.match(stream.read(160)):
        raise NotThisFormat("it does not start like a network of Caffe's")
    reader = ProtobufReader(stream, size)
    tensors: list[Tensor] = []
    name, layers = "", 0
    try:
        for field in reader.fields(0, size):
            if field.number == 1 and field.wire == BYTES:
                name = reader.text(field, 200)
            elif field.number in _LAYERS and field.wire == BYTES:
                layers += 1
                tensors += _layer(reader, field)
    except InvalidHeader:
        # Anything may start with a short text.
        if layers:
            raise
        raise NotThisFormat("it is not a Caffe network") from None
    if not layers:
        raise NotThisFormat("it is a message without layers")
    return Header(
        format=NAME,
        tensors=tensors,
        metadata={"name": name or None, "layers": layers},
        parameter_count=sum(prod(tensor.shape) for tensor in tensors) or None,
        dtype="F32" if tensors else None,
        fields={"architecture": name or None},
    )


def _layer(reader: ProtobufReader, layer: Field) -> list[Tensor]:
    name_at, blobs_at = _LAYERS[layer.number]
    tensors: list[Tensor] = []
    name = ""
    for field in reader.inside(layer):
        if field.number == name_at and field.wire == BYTES:
            name = reader.text(field, 200)
        elif field.number == blobs_at and field.wire == BYTES:
            tensors.append(_blob(reader, field, f"{name}.{len(tensors)}"))
    return tensors


def _blob(reader: ProtobufReader, blob: Field, name: str) -> Tensor:
    old, shape = dict.fromkeys(_SIDES, 1), list[int]()
    offset, held = -1, 0
    for field in reader.inside(blob):
        if field.number in _SIDES:
            old[field.number] = field.value
        elif field.number == _SHAPE:
            shape = _dimensions(reader, field)
        elif field.number == _DATA and field.wire == BYTES:
            offset, held = field.start, field.end - field.start
        elif field.number == _DATA:
            raise InvalidHeader("its data are not packed", field.start)
    sides = tuple(shape or old.values())
    if prod(sides) * 4 != held and held:
        raise InvalidHeader(f"{name!r} has {held:,} bytes, its shape needs {prod(sides) * 4:,}")
    return Tensor(name, "F32", sides, offset, held)


def _dimensions(reader: ProtobufReader, shape: Field) -> list[int]:
    sides: list[int] = []
    for field in reader.inside(shape):
        if field.number != 1:
            continue
        if field.wire != BYTES:
            sides.append(field.value)
            continue
        reader.seek(field.start)
        while reader.position < field.end and len(sides) <= MAX_DIMENSIONS:
            sides.append(reader.varint())
    if len(sides) > MAX_DIMENSIONS:
        raise InvalidHeader(f"a blob has more than {MAX_DIMENSIONS} dimensions", shape.start)
    return sides


FORMAT = Format(
    name=NAME,
    label="Caffe",
    rank=250,
    suffixes=(".caffemodel",),
    type=ModelType.UNKNOWN,
    read=read,
    usage=Usage(
        "OpenCV",
        "pip install opencv-python",
        "import cv2\n\n"
        'layers = {path!r}.removesuffix("caffemodel") + "prototxt"\n'
        "net = cv2.dnn.readNetFromCaffe(layers, {path!r})\n"
        "print(net.getLayerNames())",
    ),
)

"""MNN: a flatbuffer without an identifier, whose root table is a ``Net``.

Source: ``schema/default/MNN.fbs`` of https://github.com/alibaba/MNN.
"""

from __future__ import annotations

from typing import BinaryIO

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header
from discovery.engine.core.vocabulary import ModelType
from discovery.engine.formats.flatbuffer import Flatbuffer

NAME = "mnn"

# Field numbers of the tables.
_INFO, _OPERATORS, _OUTPUTS, _SOURCE, _TENSORS = 2, 3, 4, 6, 7
_VERSION = 1
_OPERATOR_NAME, _OPERATOR_TYPE = 3, 5
#: An enumeration with gaps; larger numbers are none.
MAX_TYPE = 1_024
SOURCES = ("Caffe", "TensorFlow", "TensorFlow Lite", "ONNX", "Torch")
MAX_OUTPUTS = 100


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    buffer = Flatbuffer(stream, size)
    try:
        root = buffer.unsigned(0, 4)
        if root % 4 or root < 4 or root > size - 4:
            raise NotThisFormat("it does not start with the offset of a table")
        net = buffer.table(root)
        names = buffer.texts(net, _TENSORS)
        operators = buffer.tables(net, _OPERATORS)
        first = buffer.table(operators[0]) if operators else {}
        kind = buffer.scalar(first, _OPERATOR_TYPE, 4)
    except InvalidHeader as error:
        raise NotThisFormat(f"it is not an MNN model: {error}") from error
    # The name of an operator may be left out, its type and the names of tensors may not.
    if not operators or not names or kind > MAX_TYPE or not all(map(_is_name, names[:8])):
        raise NotThisFormat("it is a flatbuffer, but no net of MNN's")
    for operator in operators:
        buffer.string(buffer.table(operator), _OPERATOR_NAME)
    info = buffer.table(buffer.indirect(net[_INFO])) if _INFO in net else {}
    source = buffer.scalar(net, _SOURCE, 1)
    return Header(
        format=NAME,
        metadata={
            "operator_count": len(operators),
            "tensor_count": len(names),
            "outputs": buffer.texts(net, _OUTPUTS)[:MAX_OUTPUTS],
            "source": SOURCES[source] if source < len(SOURCES) else None,
            "version": buffer.string(info, _VERSION) or None,
        },
        expected_size=buffer.furthest,
    )


def _is_name(text: str) -> bool:
    return text.isprintable() and "\ufffd" not in text


FORMAT = Format(
    name=NAME,
    label="MNN",
    rank=255,
    type=ModelType.MNN,
    suffixes=(".mnn",),
    read=read,
    usage=Usage(
        "MNN",
        "pip install MNN",
        "import MNN\n\nnet = MNN.nn.load_module_from_file({path!r}, [], [])\nprint(net.get_info())",
    ),
)

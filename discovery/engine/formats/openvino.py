"""OpenVINO IR: an ``.xml`` file that describes a network, and a ``.bin`` file with its weights.

Source: https://docs.openvino.ai/ (OpenVINO IR format). The XML is streamed through expat; a
document type (and so any entity) is refused.
"""

from __future__ import annotations

from math import prod
from typing import Any, BinaryIO
from xml.parsers import expat

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format
from discovery.engine.core.parameters import main_dtype
from discovery.engine.core.types import Header, Tensor
from discovery.engine.core.vocabulary import ModelType

NAME = "openvino"

MAX_XML_BYTES = 32 << 20
MAX_ELEMENTS = 250_000
MAX_TAG_BYTES = 1 << 20
MAX_DIMENSIONS = 32
MAX_PORTS = 1_000
MAX_NAME = 512
BLOCK = 1 << 16

DTYPES = {
    "f64": "F64", "f32": "F32", "f16": "F16", "bf16": "BF16", "i64": "I64", "i32": "I32",
    "i16": "I16", "i8": "I8", "u64": "U64", "u32": "U32",
    "u16": "U16", "u8": "U8", "boolean": "BOOL", "i4": "I4", "u4": "U4", "nf4": "U4",
    "f8e4m3": "F8_E4M3", "f8e5m2": "F8_E5M2",
    "f4e2m1": "F4", "f8e8m0": "F8_E8M0",
    "fp64": "F64", "fp32": "F32", "fp16": "F16",
}  # fmt: skip
_QUANTIZED = {"I8": "INT8", "U8": "INT8", "I4": "INT4", "U4": "INT4"}
#: Shapes, axes and indices: constants of the graph, no weights.
_NOT_WEIGHTS = frozenset({"I64", "I32", "U64", "U32", "BOOL", "STRING"})


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``.

    ``metadata["weights_size"]`` is how long the ``.bin`` must be.
    """
    network = _Network()
    _parse(stream, size, network)
    if not network.finished_layers:
        raise InvalidHeader("the network has no layers")
    weights = list(
        {
            (t.offset, t.size): t
            for t in network.constants
            if t.dtype not in _NOT_WEIGHTS and not _is_helper(t.name)
        }.values()
    )
    main = main_dtype(weights)
    held: dict[str, int] = {}
    for tensor in weights:
        held[tensor.dtype] = held.get(tensor.dtype, 0) + tensor.size
    largest = max(held, key=held.__getitem__, default=None)
    quantization = _QUANTIZED.get(largest) if largest else None
    return Header(
        format=NAME,
        tensors=[t._replace(offset=-1) for t in weights],
        metadata=network.metadata
        | {
            "weights_size": network.weights_size,
            "layer_count": network.layer_count,
        },
        parameter_count=sum(prod(t.shape) for t in weights) if weights else None,
        dtype=None if quantization else main,
        quantization=quantization,
    )


def _is_helper(name: str) -> bool:
    """Scales and zero points that NNCF adds to compressed weights."""
    return name.endswith(("/scale", "/zero_point")) or "/fq_weights_" in name


def _parse(stream: BinaryIO, size: int, network: _Network) -> None:
    if size > MAX_XML_BYTES:
        raise NotThisFormat(
            f"an OpenVINO network is described in less than {MAX_XML_BYTES:,} bytes"
        )
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = network.start
    parser.EndElementHandler = network.end
    parser.StartDoctypeDeclHandler = network.refuse_doctype
    network.parser = parser
    fed = 0
    try:
        while block := stream.read(BLOCK):
            parser.Parse(block, False)
            fed += len(block)
            if fed - max(parser.CurrentByteIndex, 0) > MAX_TAG_BYTES:
                raise InvalidHeader(f"a tag is longer than {MAX_TAG_BYTES:,} bytes", fed)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        reason = f"line {error.lineno}: {expat.ErrorString(error.code)}"
        if not network.depth and not network.finished_layers:
            raise NotThisFormat(f"it is not XML ({reason})") from error
        raise InvalidHeader(
            f"the XML is broken in {reason}", max(parser.ErrorByteIndex, 0)
        ) from error
    # A character set that Python does not know, or that XML cannot be written in.
    except (LookupError, ValueError) as error:
        raise NotThisFormat(
            f"it is XML in an encoding that cannot be read ({str(error)[:120]})"
        ) from error


class _Network:
    """Collects what the tags say. ``<layer>`` → ``<data>``, ``<output>`` → ``<port>`` →
    ``<dim>``.
    """

    def __init__(self) -> None:
        self.parser: expat.XMLParserType | None = None
        self.metadata: dict[str, Any] = {"inputs": [], "outputs": []}
        self.constants: list[Tensor] = []
        self.elements = self.depth = self.layer_count = self.weights_size = 0
        self.finished_layers = False
        self.layer: dict[str, str] = {}
        self.port: dict[str, Any] | None = None

    def refuse_doctype(self, name: str, *_: Any) -> None:
        if name != "net":
            raise NotThisFormat(f"it is a document of the type {name[:40]!r}, not a network")
        raise InvalidHeader(
            "it declares a document type, which could hide entities: OpenVINO never writes one"
        )

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            raise InvalidHeader(f"it has more than {MAX_ELEMENTS:,} elements")
        if not self.depth:
            if tag != "net":
                raise NotThisFormat(f"it is XML about {tag[:40]!r}, not a network")
            self.metadata |= {
                "name": attributes.get("name", "")[:MAX_NAME],
                "version": attributes.get("version", "")[:16],
            }
        self.depth += 1
        if tag == "layer" and self.depth == 3:
            self.layer = attributes
            self.layer_count += 1
        elif tag == "data" and self.depth == 4:
            self._data(attributes)
        elif (
            tag == "port"
            and self.layer.get("type") == "Result"
            and len(self.metadata["outputs"]) < MAX_PORTS
        ):
            self.port = {
                "name": self.layer.get("name", "")[:MAX_NAME],
                "dtype": DTYPES.get(attributes.get("precision", "").lower()),
                "shape": [],
            }
            self.metadata["outputs"].append(self.port)
        elif tag == "dim" and self.port is not None and self.parser:
            self.parser.CharacterDataHandler = self._dimension
        # Before version 10: <blobs> of a layer.
        elif tag in ("weights", "biases") and "offset" in attributes:
            self._needs(_number(attributes["offset"]) + _number(attributes.get("size", "0")))

    def end(self, tag: str) -> None:
        self.depth -= 1
        if tag == "layers" and self.depth == 1:
            self.finished_layers = True
        elif tag == "layer":
            self.layer = {}
        elif tag == "port":
            self.port = None
        if self.parser:
            self.parser.CharacterDataHandler = None

    def _dimension(self, text: str) -> None:
        if self.port is not None and len(self.port["shape"]) < MAX_DIMENSIONS and text.strip():
            self.port["shape"].append(_dimension(text))

    def _data(self, attributes: dict[str, str]) -> None:
        kind, name = self.layer.get("type"), self.layer.get("name", "")[:MAX_NAME]
        dtype = DTYPES.get(
            attributes.get("element_type", "").lower(),
            attributes.get("element_type", "").upper()[:16],
        )
        shape = [
            _dimension(part)
            for part in attributes.get("shape", "").split(",", MAX_DIMENSIONS)[:MAX_DIMENSIONS]
            if part.strip()
        ]
        if kind == "Parameter" and len(self.metadata["inputs"]) < MAX_PORTS:
            self.metadata["inputs"].append({"name": name, "dtype": dtype or None, "shape": shape})
        elif kind == "Const" and "offset" in attributes:
            offset, size = _number(attributes["offset"]), _number(attributes.get("size", "0"))
            self._needs(offset + size)
            self.constants.append(
                Tensor(name, dtype, tuple(part or 0 for part in shape), offset, size)
            )

    def _needs(self, end: int) -> None:
        self.weights_size = max(self.weights_size, end)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidHeader(f"{text[:40]!r} is not an offset or a size")
    return int(text)


def _dimension(text: str) -> int | None:
    """``None`` for a dimension that is left open: ``?``, ``-1`` or a range."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


FORMAT = Format(
    name=NAME,
    label="OpenVINO",
    rank=50,
    type=ModelType.OPENVINO,
    tried_for=(".xml",),
    is_entry=lambda path, others: path.endswith(".xml") and f"{path[:-4]}.bin" in others,
    is_data=lambda path, others: path.endswith(".bin") and f"{path[:-4]}.xml" in others,
    read=read,
)

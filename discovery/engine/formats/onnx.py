"""ONNX: one protobuf message, ``ModelProto``.

Its weights, inline or in external files, are skipped.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto and docs/ExternalData.md
"""

from __future__ import annotations

from math import prod
from typing import Any, BinaryIO

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format
from discovery.engine.core.parameters import main_dtype
from discovery.engine.core.types import External, Header, Tensor
from discovery.engine.core.vocabulary import ModelType, Severity
from discovery.engine.formats.onnx_graph import GraphSkimmer, safe_location
from discovery.engine.formats.protobuf_wire import VARINT, WireReader, key, signed

__all__ = ["NAME", "read", "safe_location"]

NAME = "onnx"

MAX_PROPERTIES = 500
#: What onnxruntime runs without anything installed beside it.
BUILT_IN_DOMAINS = frozenset({
    "", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft",
    "com.microsoft.nchwc", "com.ms.internal.nhwc",
})  # fmt: skip
#: Integers of these kinds are shapes, indexes and masks.
_NO_PARAMETERS = frozenset({"I64", "BOOL", "STRING"})
_QUANTIZED = frozenset({"I8", "U8", "I4", "U4", "I2", "U2"})
_QUANTIZED_OPERATORS = frozenset({
    b"QuantizeLinear", b"DequantizeLinear", b"DynamicQuantizeLinear", b"MatMulInteger",
    b"ConvInteger", b"QLinearMatMul", b"QLinearConv",
    b"MatMulNBits", b"MatMulBnb4", b"GatherBlockQuantized", b"QAttention", b"DynamicQuantizeMatMul",
    b"MatMulIntegerToFloat", b"QGemm",
    b"DynamicQuantizeLSTM",
})  # fmt: skip

_IR_VERSION, _PRODUCER, _PRODUCER_VERSION, _GRAPH, _OPSET, _PROPERTY, _FUNCTION = (
    key(1, VARINT),
    key(2),
    key(3),
    key(7),
    key(8),
    key(14),
    key(25),
)


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``.

    Inputs and outputs are in ``metadata``, files it needs in ``externals``.
    """
    head = stream.read(8)
    if head[4:8] == b"ORTM":
        return Header(format=NAME, metadata={"container": "ort"})
    model = _Model(WireReader(stream, size))
    try:
        model.skim(size)
    except InvalidHeader as error:
        # Ir_version comes first in every file that a protobuf library wrote.
        if head[:1] == b"\x08":
            raise
        raise NotThisFormat(f"it is not an ONNX model: {error}") from error
    if model.ir_version is None or not model.has_graph:
        raise NotThisFormat(
            "it is empty"
            if not size
            else (
                "it is not an ONNX model: it has no graph"
                if head[:1] == b"\x08"
                else "it is not an ONNX model"
            )
        )
    return model.header()


class _Model:
    """ModelProto, as far as a scanner is concerned."""

    def __init__(self, wire: WireReader) -> None:
        self.wire = wire
        self.graph = GraphSkimmer(wire)
        self.ir_version: int | None = None
        self.has_graph = False
        self.producer = ["", ""]
        self.opsets: dict[str, int] = {}
        self.properties: dict[str, str] = {}
        self.function_domains: set[str] = set()

    def skim(self, size: int) -> None:
        for field, begin, stop in self.wire.fields(0, size):
            if field == _GRAPH:
                self.has_graph = True
                self.graph.graph(begin, stop)
            elif field == _IR_VERSION:
                self.ir_version = signed(begin)
            elif field in (_PRODUCER, _PRODUCER_VERSION):
                self.producer[field == _PRODUCER_VERSION] = self.wire.text(begin, stop, 200)
            elif field == _OPSET and len(self.opsets) < MAX_PROPERTIES:
                self._opset(begin, stop)
            elif field == _PROPERTY and len(self.properties) < MAX_PROPERTIES:
                name, value = self.graph.string_pair(begin, stop)
                self.properties[name] = value
            elif field == _FUNCTION and len(self.function_domains) < MAX_PROPERTIES:
                self.function_domains |= {
                    self.wire.text(b, e, 200)
                    for f, b, e in self.wire.fields(begin, stop)
                    if f == key(10)
                }

    def _opset(self, start: int, end: int) -> None:
        domain, version = "", 0
        for field, begin, stop in self.wire.fields(start, end):
            if field == key(1):
                domain = self.wire.text(begin, stop, 200)
            elif field == key(2, VARINT):
                version = signed(begin)
        self.opsets[domain or "ai.onnx"] = version

    def header(self) -> Header:
        graph = self.graph
        custom = sorted(
            {domain.decode("utf-8", "replace") for domain in graph.domains}
            - BUILT_IN_DOMAINS
            - self.function_domains
        )
        if custom:
            text = f"it needs operators of {', '.join(custom[:5])}, which no runtime has by itself"
            graph.problem("custom_operators", text, Severity.INFO)
        if not self.opsets and (self.ir_version or 0) >= 3:
            graph.problem(
                "opset_missing",
                "it does not say which operator set it uses: the end of the file is missing",
            )
        count = self._parameter_count()
        quantization = self._quantization()
        return Header(
            format=NAME,
            tensors=graph.tensors,
            metadata=self._metadata(),
            parameter_count=count,
            dtype=(
                None
                if quantization
                else main_dtype([tensor for tensor in graph.tensors if tensor.dtype != "STRING"])
            ),
            quantization=quantization,
            bits_per_weight=(
                round(sum(t.size for t in graph.tensors) * 8 / count, 2)
                if quantization and count
                else None
            ),
            externals=[External(location, end) for location, end in graph.externals.items()],
            problems=graph.problems,
        )

    def _metadata(self) -> dict[str, Any]:
        known = {tensor.name for tensor in self.graph.tensors} | self.graph.made
        return {
            "inputs": [port for port in self.graph.inputs if port["name"] not in known],
            "outputs": self.graph.outputs,
            "producer": " ".join(self.producer).strip(),
            "ir_version": self.ir_version,
            "opsets": self.opsets,
            "properties": self.properties,
            "operators": {
                name.decode("utf-8", "replace"): count
                for name, count in self.graph.operators.most_common(200)
            },
            "domains": sorted(domain.decode("utf-8", "replace") for domain in self.graph.domains),
        }

    def _parameter_count(self) -> int | None:
        """``None`` too for a graph whose weights are made up when it runs, as in the test files of
        the ONNX project.
        """
        counts = [count for tensor in self.graph.tensors if (count := self._parameters(tensor))]
        return sum(counts) if len(counts) > len(self.graph.made) else None

    def _parameters(self, tensor: Tensor) -> int:
        if tensor.name in self.graph.helpers or tensor.dtype in _NO_PARAMETERS:
            return 0
        count, bits = self.graph.packed.get(tensor.name, (None, 8))
        return count or prod(tensor.shape) * (8 // bits if tensor.dtype in ("U8", "I8") else 1)

    def _quantization(self) -> str | None:
        """``int8`` or ``int4`` when most bytes are small integers and the graph computes with them
        as weights.
        """
        graph = self.graph
        total = sum(tensor.size for tensor in graph.tensors)
        small = [tensor for tensor in graph.tensors if tensor.dtype in _QUANTIZED]
        held = sum(tensor.size for tensor in small)
        if held * 2 <= total or _QUANTIZED_OPERATORS.isdisjoint(graph.operators):
            return None
        four = sum(
            tensor.size
            for tensor in small
            if tensor.dtype in ("I4", "U4") or graph.packed.get(tensor.name, (None, 8))[1] == 4
        )
        return "int4" if four * 2 > held else "int8"


FORMAT = Format(
    name=NAME,
    label="ONNX",
    rank=40,
    type=ModelType.ONNX,
    suffixes=(".onnx", ".ort"),
    knows_its_size=True,
    read=read,
    loader="discovery.loading.loaders.onnx",
)

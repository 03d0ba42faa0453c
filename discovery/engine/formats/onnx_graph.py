"""An ONNX graph, skimmed: tensors, inputs and outputs, operators.

Weights are passed over, external files only named.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from math import prod
from typing import Any

from discovery.engine.core.errors import InvalidHeader
from discovery.engine.core.parameters import DTYPE_BITS
from discovery.engine.core.types import Problem, Tensor
from discovery.engine.core.vocabulary import Severity
from discovery.engine.formats.protobuf_wire import VARINT, WireReader, key, signed

#: TensorProto.DataType by safetensors' names.
DTYPES = {
    1: "F32", 2: "U8", 3: "I8", 4: "U16", 5: "I16", 6: "I32", 7: "I64", 8: "STRING", 9: "BOOL",
    10: "F16", 11: "F64", 12: "U32", 13: "U64",
    14: "C64", 15: "C128", 16: "BF16", 17: "F8_E4M3", 18: "F8_E4M3FNUZ", 19: "F8_E5M2",
    20: "F8_E5M2FNUZ", 21: "U4", 22: "I4", 23: "F4",
    24: "F8_E8M0", 25: "U2", 26: "I2",
}  # fmt: skip
BITS = {**DTYPE_BITS, "C128": 128, "U2": 2, "I2": 2}

MAX_TENSORS = 100_000
MAX_DIMENSIONS = 64
#: Of If, Loop and Scan. protobuf's own readers stop at 100 messages, which is 33 graphs.
MAX_GRAPH_DEPTH = 32
MAX_GRAPHS = 10_000
MAX_BYTES = 1 << 62
MAX_OPERATOR_NAMES = 2_000
#: Attributes shorter than this hold no weights and no graph that does.
MIN_ATTRIBUTE = 64
MAX_PROBLEMS_PER_CODE = 10

_NODE, _INITIALIZER, _INPUT, _OUTPUT, _SPARSE_INITIALIZER = (
    key(1),
    key(5),
    key(11),
    key(12),
    key(15),
)
_NODE_INPUT, _NODE_OUTPUT, _OP_TYPE, _ATTRIBUTE, _DOMAIN = key(1), key(2), key(4), key(5), key(7)
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _TENSOR, _GRAPH, _TENSORS, _GRAPHS = (
    key(1),
    key(3, VARINT),
    key(5),
    key(6),
    key(10),
    key(11),
)
_DIM, _DIMS, _DATA_TYPE, _NAME, _RAW_DATA, _EXTERNAL, _LOCATION = (
    key(1, VARINT),
    key(1),
    key(2, VARINT),
    key(8),
    key(9),
    key(13),
    key(14, VARINT),
)
#: float_data, int32_data, string_data, int64_data, double_data, uint64_data: packed, or one field a
#: value.
_TYPED_DATA = frozenset(
    key(number, wire) for number in (4, 5, 6, 7, 10, 11) for wire in (0, 1, 2, 5)
)

#: Operators that compute with packed weights, and which input is the scale or zero point of
#: another.
_NBITS = (b"MatMulNBits", b"MatMulBnb4", b"GatherBlockQuantized")
_HELPER_INPUTS = {
    b"QuantizeLinear": (1, 2),
    b"DequantizeLinear": (1, 2),
    b"MatMulNBits": (2, 3, 4),
    b"MatMulBnb4": (2,),
    b"GatherBlockQuantized": (2, 3),
}

_UNSAFE_LOCATION = re.compile(r"[\\\0]|^/|^[A-Za-z]:|://|(^|/)\.\.(/|$)")


def safe_location(location: str) -> bool:
    """Whether the name of the external file is inside the model's folder (a link may still lead
    out).
    """
    return location.strip("./") != "" and not _UNSAFE_LOCATION.search(location)


class GraphSkimmer:
    """Everything ``graph()`` collects, over the graph and those nested in it."""

    def __init__(self, wire: WireReader) -> None:
        self.wire = wire
        self.tensors: list[Tensor] = []
        self.inputs: list[dict[str, Any]] = []
        self.outputs: list[dict[str, Any]] = []
        self.operators: Counter[bytes] = Counter()
        self.domains: set[bytes] = set()
        self.externals: dict[str, int] = {}
        self.problems: list[Problem] = []
        self._reported: Counter[str] = Counter()
        #: Names of scales and zero points; of tensors made by ConstantOfShape; parameters and bits
        #: of packed tensors.
        self.helpers: set[str] = set()
        self.made: set[str] = set()
        self.packed: dict[str, tuple[int | None, int]] = {}
        self._seen: set[tuple[str, tuple[int, ...]]] = set()
        self._pending: list[tuple[int, int, int]] = []
        self._graphs = 0

    def graph(self, start: int, end: int) -> None:
        """Raises ``InvalidHeader``. Nested graphs wait in a list: nothing recurses."""
        self._pending.append((start, end, 0))
        while self._pending:
            start, end, depth = self._pending.pop()
            if depth > MAX_GRAPH_DEPTH:
                raise InvalidHeader(
                    f"its graphs are nested more than {MAX_GRAPH_DEPTH} deep", start
                )
            for field, begin, stop in self.wire.fields(start, end):
                if field == _NODE:
                    self._node(begin, stop, depth)
                elif field == _INITIALIZER:
                    self._tensor(begin, stop, nested=depth > 0)
                elif field == _SPARSE_INITIALIZER:
                    for inner, values, values_end in self.wire.fields(begin, stop):
                        if inner == key(1):
                            self._tensor(values, values_end)
                elif depth == 0 and field in (_INPUT, _OUTPUT):
                    ports = self.inputs if field == _INPUT else self.outputs
                    self._check_count(len(ports), "inputs or outputs", begin)
                    ports.append(self._port(begin, stop))

    def problem(
        self,
        code: str,
        message: str,
        severity: Severity = Severity.ERROR,
        offset: int | None = None,
    ) -> None:
        self._reported[code] += 1
        if self._reported[code] <= MAX_PROBLEMS_PER_CODE:
            self.problems.append(Problem(code, message, "", severity, offset))

    def _check_count(self, count: int, what: str, offset: int) -> None:
        if count >= MAX_TENSORS:
            raise InvalidHeader(f"it has more than {MAX_TENSORS:,} {what}", offset)

    def _node(self, start: int, end: int, depth: int) -> None:
        operator = domain = b""
        output = (start, start)
        data, tensors = self.wire.data, len(self.tensors)
        for field, begin, stop in self.wire.fields(start, end):
            if field == _NODE_INPUT:
                continue
            if field == _OP_TYPE:
                operator = data(begin, stop, 200)
            elif field == _DOMAIN:
                domain = data(begin, stop, 200)
            elif field == _NODE_OUTPUT:
                output = output if output[1] > start else (begin, stop)
            elif field == _ATTRIBUTE and stop - begin >= MIN_ATTRIBUTE:
                self._attribute(begin, stop, depth)
        if operator in self.operators or len(self.operators) < MAX_OPERATOR_NAMES:
            self.operators[operator] += 1
        if domain and (domain in self.domains or len(self.domains) < MAX_OPERATOR_NAMES):
            self.domains.add(domain)
        if len(self.tensors) > tensors:  # a Constant is known by the name of its output
            name = self.wire.text(*output)
            self.tensors[tensors:] = [
                tensor._replace(name=tensor.name or name) for tensor in self.tensors[tensors:]
            ]
        if operator == b"ConstantOfShape":
            self.made.add(self.wire.text(*output))
        elif operator in _HELPER_INPUTS:
            self._quantized(operator, start, end)

    def _attribute(self, start: int, end: int, depth: int) -> None:
        for field, begin, stop in self.wire.fields(start, end):
            if field in (_TENSOR, _TENSORS):
                self._tensor(begin, stop)
            elif field in (_GRAPH, _GRAPHS):
                self._graphs += 1
                if self._graphs > MAX_GRAPHS:
                    raise InvalidHeader(f"it has more than {MAX_GRAPHS:,} graphs", begin)
                self._pending.append((begin, stop, depth + 1))

    def _quantized(self, operator: bytes, start: int, end: int) -> None:
        """The node's inputs that are scales, and the number of parameters in its packed weights."""
        helpers = _HELPER_INPUTS[operator]
        names: list[str] = []
        numbers = {b"bits": 4}
        for field, begin, stop in self.wire.fields(start, end):
            if field == _NODE_INPUT and len(names) < 8:
                names.append(self.wire.text(begin, stop))
            elif field == _ATTRIBUTE and operator in _NBITS:
                inner = list(self.wire.fields(begin, stop)) if stop - begin < MIN_ATTRIBUTE else []
                label = next(
                    (self.wire.data(b, e) for f, b, e in inner if f == _ATTRIBUTE_NAME), b""
                )
                numbers[label] = next((value for f, value, _ in inner if f == _ATTRIBUTE_INT), 0)
        self.helpers.update(name for position, name in enumerate(names) if position in helpers)
        bits, rows, columns = numbers[b"bits"], numbers.get(b"K", 0), numbers.get(b"N", 0)
        if operator in _NBITS and len(names) > 1 and bits in (2, 3, 4, 8):
            if operator == b"GatherBlockQuantized":
                self.packed[names[0]] = (None, bits)
            elif 0 < rows * columns < MAX_BYTES:
                self.packed[names[1]] = (rows * columns, bits)

    # One pass over a message: its fields come in any order, by the million.
    def _tensor(self, start: int, end: int, *, nested: bool = False) -> None:  # noqa: C901
        self._check_count(len(self.tensors), "tensors", start)
        dims: list[int] = []
        name, number, offset, held, typed, external = "", 0, -1, 0, False, False
        entries: dict[str, str] = {}
        for field, begin, stop in self.wire.fields(start, end):
            if field == _RAW_DATA:
                offset, held = begin, stop - begin
            elif field == _DIM and len(dims) <= MAX_DIMENSIONS:
                dims.append(signed(begin))
            elif field == _DIMS:
                dims += map(signed, self.wire.numbers(begin, stop, MAX_DIMENSIONS))
            elif field == _DATA_TYPE:
                number = begin
            elif field == _NAME:
                name = self.wire.text(begin, stop, 1000)
            elif field == _EXTERNAL and len(entries) < 16:
                entry, value = self.string_pair(begin, stop)
                entries[entry] = value
            elif field == _LOCATION:
                external = begin == 1
            elif field in _TYPED_DATA and not typed:
                typed, offset = True, begin if field & 7 != VARINT else start
        dtype = DTYPES.get(number)
        size = self._size(name, dtype, dims, start)
        if dtype is None or size is None:
            return
        shape = tuple(dims)
        if external or entries:
            offset = -1
            self._external(name, entries, size)
        elif dtype != "STRING" and held != size and not typed:
            self.problem(
                "tensor_bounds",
                f"tensor {name[:80]!r} has {held:,} bytes where its shape needs {size:,}",
                offset=start,
            )
        if nested:  # the branches of an If often hold the same weights under the same names
            if (name, shape) in self._seen:
                return
            self._seen.add((name, shape))
        self.tensors.append(Tensor(name, dtype, shape, offset, size))

    def _size(self, name: str, dtype: str | None, dims: list[int], offset: int) -> int | None:
        if dtype is None:
            self.problem(
                "dtype_unknown", f"tensor {name[:80]!r} has an unknown data type", offset=offset
            )
            return None
        if len(dims) > MAX_DIMENSIONS or any(n < 0 for n in dims) or prod(dims) >= MAX_BYTES:
            self.problem(
                "tensor_invalid",
                f"tensor {name[:80]!r} has impossible dimensions: {', '.join(map(str, dims[:6]))}",
                offset=offset,
            )
            return None
        return -(-prod(dims) * BITS.get(dtype, 0) // 8)

    def _external(self, name: str, entries: dict[str, str], size: int) -> None:
        location = entries.get("location", "")
        if not safe_location(location):
            text = (
                f"tensor {name[:80]!r} keeps its data in {location[:120]!r}, which is not inside"
                " the model's folder"
            )
            self.problem("external_data_outside", text)
            return
        values = []
        for what, default in (("offset", 0), ("length", size)):
            text = entries.get(what, str(default))
            if not (text.isascii() and text.isdigit() and len(text) < 20):
                self.problem(
                    "external_data_invalid",
                    f"tensor {name[:80]!r} has the {what} {text[:40]!r} in {location[:120]!r}",
                )
                return
            values.append(int(text))
        if values[1] not in (size, 0):
            text = (
                f"tensor {name[:80]!r} takes {values[1]:,} bytes of {location[:120]!r} where its"
                f" shape needs {size:,}"
            )
            self.problem("external_data_invalid", text)
            return
        self.externals[location] = max(
            self.externals.get(location, 0), values[0] + size if size else 0
        )

    def string_pair(self, start: int, end: int) -> tuple[str, str]:
        """StringStringEntryProto."""
        found = {
            field: self.wire.text(begin, stop, 60_000)
            for field, begin, stop in self.wire.fields(start, end)
            if field in (key(1), key(2))
        }
        return found.get(key(1), ""), found.get(key(2), "")

    def _port(self, start: int, end: int) -> dict[str, Any]:
        """ValueInfoProto; dtype and shape are ``None`` for sequences, maps and what has no declared
        shape.
        """
        port: dict[str, Any] = {"name": "", "dtype": None, "shape": None}
        for field, begin, stop in self.wire.fields(start, end):
            if field == key(1):
                port["name"] = self.wire.text(begin, stop, 1000)
            elif field == key(2):
                for inner, tensor, tensor_end in self.wire.fields(begin, stop):
                    if inner == key(1):
                        port |= self._tensor_type(tensor, tensor_end)
        return port

    def _tensor_type(self, start: int, end: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for field, begin, stop in self.wire.fields(start, end):
            if field == key(1, VARINT):
                found["dtype"] = DTYPES.get(begin)
            elif field == key(2):
                found["shape"] = list(self._dimensions(begin, stop))
        return found

    def _dimensions(self, start: int, end: int) -> Iterator[int | str]:
        for count, (field, begin, stop) in enumerate(self.wire.fields(start, end)):
            if field != key(1):
                continue
            if count >= MAX_DIMENSIONS:
                raise InvalidHeader(f"a shape has more than {MAX_DIMENSIONS} dimensions", begin)
            size: int | str = "?"
            for inner, value, value_end in self.wire.fields(begin, stop):
                if inner == key(1, VARINT):
                    size = signed(value)
                elif inner == key(2):
                    size = self.wire.text(value, value_end, 200)
            yield size

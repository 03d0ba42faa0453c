"""Reads tensors from a listed pickle: torch's rebuild calls and numpy's arrays.

Each is named by the keys that lead to it.

Source: ``torch/_utils.py`` and ``torch/serialization.py`` (``persistent_id``),
``numpy/_core/src/multiarray`` (``__reduce__`` of arrays).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, NamedTuple

from discovery.engine.core.parameters import DTYPE_BITS
from discovery.engine.core.types import Tensor
from discovery.engine.pickles.pickles import Blob, Global, Object, Persistent

#: The layout before torch 1.6 starts with this number, the first of five pickles; the tensors
#: follow.
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PICKLES = 5

MAX_DIMENSIONS = 64
MAX_BYTES = 1 << 62
MAX_DEPTH = 100
MAX_KEY = 300

_STORAGES = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32",
    "ShortStorage": "I16", "CharStorage": "I8", "ByteStorage": "U8", "BoolStorage": "BOOL",
    "ComplexFloatStorage": "C64",
    "ComplexDoubleStorage": "C128", "QInt8Storage": "I8", "QUInt8Storage": "U8",
    "QInt32Storage": "I32", "QUInt4x2Storage": "U4",
    "UntypedStorage": "U8",
}  # fmt: skip
_TORCH_TYPES = {
    "float64": "F64", "double": "F64", "float32": "F32", "float": "F32", "float16": "F16",
    "half": "F16", "bfloat16": "BF16", "int64": "I64",
    "long": "I64", "int32": "I32", "int": "I32", "int16": "I16", "short": "I16", "int8": "I8",
    "uint8": "U8", "uint16": "U16", "uint32": "U32",
    "uint64": "U64", "bool": "BOOL", "complex64": "C64", "complex128": "C128",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
    "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ", "float8_e8m0fnu": "F8_E8M0",
}  # fmt: skip
_NUMPY_TYPES = {
    "f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "i4": "I32", "i2": "I16", "i1": "I8",
    "u8": "U64", "u4": "U32", "u2": "U16", "u1": "U8",
    "b1": "BOOL", "c8": "C64", "c16": "C128",
}  # fmt: skip
_BITS = {**DTYPE_BITS, "C128": 128}

_WRAPPED = re.compile(
    r"torch\._utils\._rebuild_parameter(_with_state)?|torch\.nn\.parameter\.(Parameter|Buffer)|"
    r"torch\.nn\.Parameter"
)
_REBUILT = re.compile(r"torch\._utils\._rebuild_(tensor(_v2|_v3)?|qtensor)")
_ARRAY = re.compile(r"numpy\.(core|_core)\.multiarray\._reconstruct")
_BUFFER = re.compile(r"numpy\.(core|_core)\.numeric\._frombuffer")
#: How a module keeps what it has: no part of the names in its state dict.
_MODULE_PARTS = frozenset({"_parameters", "_buffers", "_modules"})


class Storage(NamedTuple):
    """What a tensor is a view of: ``key`` names it in the file, ``size`` is in bytes."""

    key: str
    dtype: str
    size: int


class Found(NamedTuple):
    """A tensor under the keys that lead to it; ``tensor.offset`` counts from the start of its
    storage, ``end`` is what it needs of it.
    """

    keys: tuple[str, ...]
    tensor: Tensor
    storage: Storage | None
    end: int


class Malformed(NamedTuple):
    """A call that should make a tensor and cannot."""

    keys: tuple[str, ...]
    reason: str


def collect(root: Any) -> Iterator[Found | Malformed]:
    """Every tensor under ``root`` once, in order.

    Parts that are shared are visited under the first name that leads to them.
    """
    waiting: list[tuple[Any, tuple[str, ...]]] = [(root, ())]
    seen: set[int] = set()
    while waiting:
        value, keys = waiting.pop()
        if id(value) in seen or len(keys) > MAX_DEPTH:
            continue
        if type(value) is not Object:
            if type(value) in (list, tuple):
                seen.add(id(value))
                last = len(value) - 1
                waiting += [
                    (part, (*keys, str(last - back)))
                    for back, part in enumerate(reversed(value))
                    if type(part) in (Object, list, tuple)
                ]
            continue
        found = _tensor(value, keys)
        if found is not None:
            # The same tensor under a second name is two entries of a state dict, and one set of
            # parameters.
            yield found
            continue
        seen.add(id(value))
        waiting += reversed(
            [
                (part, name)
                for part, name in _parts(value, keys)
                if type(part) in (Object, list, tuple)
            ]
        )


def is_tensor(value: Any) -> bool:
    return type(value) is Object and isinstance(_tensor(value, ()), Found)


def _parts(value: Object, keys: tuple[str, ...]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    pairs: Sequence[Any] = value.items or ()
    if (
        not pairs
        and value.function == Global("collections", "OrderedDict")
        and type(value.arguments) is tuple
        and value.arguments
    ):
        # As Python 2 wrote it: a list of pairs.
        pairs = value.arguments[0] if type(value.arguments[0]) is list else ()
    elif value.arguments:
        yield value.arguments, keys
    for pair in pairs:
        if type(pair) not in (tuple, list) or len(pair) != 2:
            continue
        key, part = pair
        if type(key) in (str, int):
            yield part, keys if key in _MODULE_PARTS else (*keys, str(key)[:MAX_KEY])
    if value.state is not None:
        yield value.state, keys


def _tensor(value: Any, keys: tuple[str, ...]) -> Found | Malformed | None:
    for _ in range(8):  # a parameter in a subclass in a parameter
        if (
            type(value) is not Object
            or type(value.function) is not Global
            or type(value.arguments) is not tuple
        ):
            return None
        name, arguments = str(value.function), value.arguments
        if _REBUILT.fullmatch(name):
            return _rebuilt(name, arguments, keys)
        if _ARRAY.fullmatch(name):
            state = value.state
            return (
                _array(*state[1:3], state[4], keys)
                if type(state) is tuple and len(state) == 5
                else None
            )
        if _BUFFER.fullmatch(name) and len(arguments) > 2:
            return _array(arguments[2], arguments[1], arguments[0], keys)
        if name == "joblib.numpy_pickle.NumpyArrayWrapper" and type(value.state) is Object:
            return _array(value.state.get("shape"), value.state.get("dtype"), None, keys)
        if _WRAPPED.fullmatch(name) and arguments:
            value = arguments[0]
        elif name == "torch._tensor._rebuild_from_type_v2" and len(arguments) > 2:
            value = Object(arguments[0], arguments[2])
        else:
            return None
    return None


def _rebuilt(
    name: str, arguments: tuple[Any, ...], keys: tuple[str, ...]
) -> Found | Malformed | None:
    """(storage, offset, size, stride, …); version 3 has the dtype in seventh place."""
    if len(arguments) < 4:
        return Malformed(keys, "its description is incomplete")
    storage = _storage(arguments[0])
    shape, strides, offset = _integers(arguments[2]), _integers(arguments[3]), arguments[1]
    if storage is None or shape is None or strides is None or type(offset) is not int or offset < 0:
        return Malformed(keys, "its description makes no sense")
    dtype: str | None = storage.dtype
    if name.endswith("_v3"):
        dtype = (
            _TORCH_TYPES.get(arguments[6].name)
            if len(arguments) > 6 and isinstance(arguments[6], Global)
            else None
        )
    if dtype is None:
        return Malformed(keys, "it has an unknown type")
    count = prod(shape)
    if count >= MAX_BYTES:
        return Malformed(keys, f"its shape {shape[:4]} is impossible")
    bits = _BITS[dtype]
    last = (
        sum((size - 1) * stride for size, stride in zip(shape, strides, strict=False)) + 1
        if count
        else 0
    )
    tensor = Tensor(".".join(keys), dtype, shape, offset * bits // 8, -(-count * bits // 8))
    return Found(keys, tensor, storage, -(-(offset + last) * bits // 8) if count else 0)


def _storage(value: Any) -> Storage | None:
    """``("storage", type, key, location, count)``; the count is in elements."""
    key = value.key if type(value) is Persistent else None
    if type(key) is not tuple or len(key) < 5 or key[0] != "storage" or type(key[1]) is not Global:
        return None
    dtype, count = _STORAGES.get(key[1].name), key[4]
    if (
        dtype is None
        or type(count) is not int
        or not 0 <= count < MAX_BYTES
        or type(key[2]) not in (str, int)
    ):
        return None
    return Storage(str(key[2])[:MAX_KEY], dtype, -(-count * _BITS[dtype] // 8))


def _integers(value: Any) -> tuple[int, ...] | None:
    """A shape or strides, bare or in a ``torch.Size`` or TorchScript's list."""
    if type(value) is Object and type(value.arguments) is tuple and value.arguments:
        value = value.arguments[0]
    if type(value) not in (tuple, list) or len(value) > MAX_DIMENSIONS:
        return None
    return tuple(value) if all(type(n) is int and 0 <= n < MAX_BYTES for n in value) else None


def _array(
    dimensions: Any, described: Any, data: Any, keys: tuple[str, ...]
) -> Found | Malformed | None:
    """A NumPy array. Arrays of objects or text are not tensors."""
    shape = _integers(dimensions)
    code = (
        described.arguments[0]
        if type(described) is Object and type(described.arguments) is tuple and described.arguments
        else None
    )
    dtype = _NUMPY_TYPES.get(code.lstrip("<>=|")) if isinstance(code, str) else None
    if shape is None or dtype is None:
        return None
    if prod(shape) >= MAX_BYTES:
        return Malformed(keys, f"its shape {shape[:4]} is impossible")
    offset = data.offset if isinstance(data, Blob) else -1
    return Found(
        keys, Tensor(".".join(keys), dtype, shape, offset, prod(shape) * _BITS[dtype] // 8), None, 0
    )

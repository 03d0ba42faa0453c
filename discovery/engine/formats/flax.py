"""Flax checkpoints: msgpack maps whose leaves are arrays.

Arrays are extension 1 around (shape, dtype name, bytes).

Sources: https://github.com/msgpack/msgpack/blob/master/spec.md and flax/serialization.py.
"""

from __future__ import annotations

from math import prod
from typing import Any, BinaryIO

from discovery.engine.core.binary import Reader
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format
from discovery.engine.core.parameters import DTYPE_BITS, main_dtype
from discovery.engine.core.types import Header, Tensor

NAME = "flax"

MAX_ITEMS = 200_000
MAX_TENSORS = 50_000
MAX_DEPTH = 64
MAX_DIMENSIONS = 32
#: Of a name, all its parts together.
MAX_NAME = 512

DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64",
    "int32": "I32", "int16": "I16", "int8": "I8",
    "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL",
    "complex64": "C64", "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
}  # fmt: skip
_CHUNKED = "__msgpack_chunked_array__"
_FIXED = {
    0xC0: 0,
    0xC2: 0,
    0xC3: 0,
    0xCA: 4,
    0xCB: 8,
    0xCC: 1,
    0xCD: 2,
    0xCE: 4,
    0xCF: 8,
    0xD0: 1,
    0xD1: 2,
    0xD2: 4,
    0xD3: 8,
}
_LENGTHS = {
    0xC4: 1,
    0xC5: 2,
    0xC6: 4,
    0xC7: 1,
    0xC8: 2,
    0xC9: 4,
    0xD9: 1,
    0xDA: 2,
    0xDB: 4,
    0xDC: 2,
    0xDD: 4,
    0xDE: 2,
    0xDF: 4,
}
_ARRAY_EXTENSION = 1


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``. Binary payloads are skipped by their
    length.
    """
    reader = _Walk(stream, size)
    first = stream.read(1)
    stream.seek(0)
    if not first or not (first[0] & 0xF0 == 0x80 or first[0] in (0xDE, 0xDF)):
        raise NotThisFormat("it does not start with a msgpack map")
    reader.walk()
    if not reader.tensors:
        raise NotThisFormat("it is msgpack without any array")
    if reader.left:
        raise InvalidHeader(f"{reader.left:,} bytes follow the last array", reader.position)
    tensors = _join_chunks(reader.tensors, reader.chunked)
    return Header(
        format=NAME,
        tensors=tensors,
        parameter_count=sum(prod(t.shape) for t in tensors),
        dtype=main_dtype(tensors),
        expected_size=reader.position,
    )


def _join_chunks(tensors: list[Tensor], chunked: dict[str, list[int]]) -> list[Tensor]:
    """Join arrays over 1 GB, which are split into flat pieces ``name.chunks.0`` and so on, stored
    with the shape of the whole.
    """
    whole: dict[str, Tensor] = {}
    for tensor in tensors:
        owner = tensor.name.rpartition(".chunks.")[0]
        if owner not in chunked:
            whole[tensor.name] = tensor
        elif owner in whole:
            whole[owner] = whole[owner]._replace(size=whole[owner].size + tensor.size)
        else:
            whole[owner] = tensor._replace(name=owner, shape=tuple(chunked[owner]))
    return list(whole.values())


class _Walk(Reader):
    """One pass over the values, with a stack of its own for open maps and arrays."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        super().__init__(stream, size)
        self.tensors: list[Tensor] = []
        self.chunked: dict[str, list[int]] = {}
        self.items_left = MAX_ITEMS

    def walk(self) -> None:
        stack: list[list[Any]] = [["", 1, False, 0]]  # name so far, values left, is it a map, index
        while stack:
            name, left, is_map, index = stack[-1]
            if not left:
                stack.pop()
                continue
            stack[-1][1:4] = [left - 1, is_map, index + 1]
            if len(stack) == 1:
                child = ""
            else:
                part = self._key() if is_map else str(index)
                child = f"{name}.{part}" if name else part
            if len(child) > MAX_NAME:
                raise InvalidHeader(f"a name is longer than {MAX_NAME} characters", self.position)
            opened = self._value(child)
            if opened is not None:
                if len(stack) > MAX_DEPTH:
                    raise InvalidHeader(f"maps lie more than {MAX_DEPTH} deep", self.position)
                stack.append([child, *opened, 0])

    def _byte(self) -> int:
        self.items_left -= 1
        if self.items_left < 0:
            raise InvalidHeader(f"it holds more than {MAX_ITEMS:,} values", self.position)
        return self.exact(1, "a msgpack value")[0]

    def _length(self, code: int) -> int:
        return int.from_bytes(self.exact(_LENGTHS[code], "a length"), "big")

    def _key(self) -> str:
        code = self._byte()
        if code & 0xE0 == 0xA0:
            length = code & 0x1F
        elif code in (0xD9, 0xDA, 0xDB):
            length = self._length(code)
        elif code < 0x80:
            return str(code)
        else:
            raise InvalidHeader(
                f"a key of a map has the msgpack type 0x{code:02X}, not a string", self.position - 1
            )
        if length > MAX_NAME:
            raise InvalidHeader(
                f"a key claims {length:,} bytes, more than {MAX_NAME}", self.position
            )
        return self.exact(length, "a key").decode("utf-8", "replace")

    def _value(self, name: str) -> tuple[int, bool] | None:
        """Reads or skips one value.

        For a map or array: how many values it opens, and whether it is a map.
        """
        code = self._byte()
        if code & 0xF0 == 0x80 or code in (0xDE, 0xDF):
            return self._open(code & 0x0F if code < 0x90 else self._length(code), 2), True
        if code & 0xF0 == 0x90 or code in (0xDC, 0xDD):
            return self._open(code & 0x0F if code < 0xA0 else self._length(code), 1), False
        if code in (0xC7, 0xC8, 0xC9) or 0xD4 <= code <= 0xD8:
            self._extension(name, self._length(code) if code < 0xD0 else 1 << (code - 0xD4))
        elif code & 0xE0 == 0xA0 or code in _LENGTHS:
            self.skip(code & 0x1F if code < 0xC0 else self._length(code), f"the value of {name!r}")
        elif code < 0x80 or code >= 0xE0 or code in _FIXED:
            self._scalar(name, code)
        else:
            raise InvalidHeader(
                f"{name!r} has the unknown msgpack type 0x{code:02X}", self.position - 1
            )
        return None

    def _open(self, count: int, width: int) -> int:
        if count * width > self.left:
            raise InvalidHeader(
                f"a list claims {count:,} values in {self.left:,} bytes", self.position
            )
        return count

    def _scalar(self, name: str, code: int) -> None:
        owner, _, part = name.rpartition(".")
        if part == _CHUNKED and code == 0xC3:
            self.chunked[owner] = []
        number = (
            code
            if code < 0x80
            else int.from_bytes(self.exact(_FIXED.get(code, 0), f"the value of {name!r}"), "big")
        )
        if (
            owner.endswith(".shape")
            and owner[:-6] in self.chunked
            and len(self.chunked[owner[:-6]]) < MAX_DIMENSIONS
        ):
            self.chunked[owner[:-6]].append(number)

    def _extension(self, name: str, length: int) -> None:
        kind = self.exact(1, "an extension type")[0]
        end = self.position + length
        if end > self.size:
            raise InvalidHeader(
                f"{name!r} needs {length:,} bytes, the file has {max(self.left, 0):,} left",
                self.position,
            )
        if kind == _ARRAY_EXTENSION:
            self._array(name, end)
        self.seek(end)

    def _array(self, name: str, end: int) -> None:
        if len(self.tensors) >= MAX_TENSORS:
            raise InvalidHeader(f"it holds more than {MAX_TENSORS:,} arrays", self.position)
        if self._byte() != 0x93:
            raise InvalidHeader(
                f"{name!r} is not an array of shape, type and bytes", self.position - 1
            )
        code = self._byte()
        if code & 0xF0 != 0x90 and code != 0xDC:
            raise InvalidHeader(f"{name!r} has a malformed shape", self.position - 1)
        dimensions = code & 0x0F if code != 0xDC else self._length(code)
        if dimensions > MAX_DIMENSIONS:
            raise InvalidHeader(f"{name!r} claims {dimensions:,} dimensions", self.position)
        shape = tuple(self._dimension(name) for _ in range(dimensions))
        dtype_name = self._key()
        dtype = DTYPES.get(dtype_name, dtype_name.upper()[:40])
        code = self._byte()
        if code not in (0xC4, 0xC5, 0xC6):
            raise InvalidHeader(f"the data of {name!r} are not bytes", self.position - 1)
        size = self._length(code)
        if self.position + size != end:
            raise InvalidHeader(f"the data of {name!r} do not fill their place", self.position)
        if dtype in DTYPE_BITS and prod(shape) * DTYPE_BITS[dtype] != size * 8:
            raise InvalidHeader(
                f"{name!r} has {size:,} bytes, its shape needs"
                f" {prod(shape) * DTYPE_BITS[dtype] // 8:,}",
                self.position,
            )
        self.tensors.append(Tensor(name, dtype, shape, self.position, size))

    def _dimension(self, name: str) -> int:
        code = self._byte()
        if code < 0x80:
            return code
        if code not in (0xCC, 0xCD, 0xCE, 0xCF):
            raise InvalidHeader(f"{name!r} has a dimension that is not a number", self.position - 1)
        return int.from_bytes(self.exact(_FIXED[code], "a dimension"), "big")


FORMAT = Format(
    name=NAME,
    label="Flax",
    rank=110,
    suffixes=(".msgpack",),
    aliases=("msgpack",),
    read=read,
)

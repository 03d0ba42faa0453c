"""safetensors: eight bytes of length, a JSON header, then the tensors without gaps.

Source: https://huggingface.co/docs/safetensors (format section) and the Rust reader's checks, which this one mirrors.
"""

from __future__ import annotations

import json
from functools import partial
from math import prod
from operator import attrgetter
from sys import intern
from typing import Any, BinaryIO

import msgspec

from discovery.engine.binary import Reader
from discovery.engine.errors import InvalidHeader
from discovery.engine.parameters import DTYPE_BITS, main_dtype
from discovery.engine.types import Header, Tensor

NAME = "safetensors"

#: The official reader refuses more.
MAX_HEADER_BYTES = 100_000_000
MAX_DIMENSIONS = 32
MAX_BYTES = 1 << 62
Shapes = dict[tuple[int, ...], tuple[int, ...]]
#: A tensor as its header states it, checked: (dtype, shape, begin, end).
Stated = tuple[str, tuple[int, ...], int, int]


class _Entry(msgspec.Struct, gc=False):
    dtype: str = ""
    shape: tuple[int, ...] = ()
    data_offsets: tuple[int, int] = (1, 0)


class _Extra(msgspec.Struct):
    metadata: dict[str, str] = msgspec.field(name="__metadata__", default_factory=dict)


_ENTRIES = msgspec.json.Decoder(dict[str, _Entry])
_EXTRA = msgspec.json.Decoder(_Extra)


def read(stream: BinaryIO, size: int) -> Header:
    """Names, types, shapes and offsets. Raises ``NotThisFormat`` or ``InvalidHeader``; never reads tensor data."""
    reader = Reader(stream, size)
    if size < 8:
        raise InvalidHeader(
            f"a safetensors file starts with an 8-byte header length, this one has {size} bytes", 0
        )
    length = reader.u64("the header length")
    if length > MAX_HEADER_BYTES:
        raise InvalidHeader(
            f"the header claims {length:,} bytes, the format allows {MAX_HEADER_BYTES:,}", 0
        )
    base = 8 + length
    metadata, entries = _decode(_text(reader, length))
    tensors = _well_formed(entries, base)
    if tensors is None:
        metadata, tensors = _tensors(_parse(_text(reader, length)), base)
    expected = base + _check_contiguous(tensors, base)
    if size > expected:
        raise InvalidHeader(f"{size - expected:,} bytes follow the last tensor", expected)
    return Header(
        format=NAME,
        tensors=tensors,
        metadata=metadata,
        dtype=main_dtype(tensors),
        expected_size=expected,
    )


def _text(reader: Reader, length: int) -> bytes:
    """The JSON, read anew by each who parses it, so that nobody keeps it while the tensors pile up."""
    reader.seek(8)
    raw = reader.exact(length, "the header")
    if not raw.startswith(b"{"):
        raise InvalidHeader("the header does not start with {", 8)
    if raw.count(b'"__metadata__"') > 1:
        raise InvalidHeader("__metadata__ appears twice", 8)
    return raw


def _decode(raw: bytes) -> tuple[dict[str, str], dict[str, _Entry]]:
    """(metadata, tensors) of nearly all headers, a few times faster than with the json module; nothing of those that are not well formed."""
    try:
        metadata, entries = _EXTRA.decode(raw).metadata, _ENTRIES.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}, {}
    entries.pop("__metadata__", None)
    return metadata, entries


def _well_formed(entries: dict[str, _Entry], base: int) -> list[Tensor] | None:
    """``None`` sends a header to where it is said what is wrong with it."""
    tensors: list[Tensor] = []
    shapes: Shapes = {}
    while entries:  # taken out one by one: a huge header is never there twice
        name, entry = entries.popitem()
        begin, end = entry.data_offsets
        shape = entry.shape
        if (
            entry.dtype not in DTYPE_BITS
            or len(shape) > MAX_DIMENSIONS
            or not 0 <= begin <= end < MAX_BYTES
        ):
            return None
        if (shape and min(shape) < 0) or (end - begin) * 8 != DTYPE_BITS[entry.dtype] * prod(shape):
            return None
        tensors.append(
            Tensor(
                name,
                intern(entry.dtype),
                shapes.setdefault(shape, shape),
                base + begin,
                end - begin,
            )
        )
    tensors.reverse()
    return tensors or None


def _parse(raw: bytes) -> dict[str, Any]:
    """Raises ``InvalidHeader`` with the place and the reason."""
    try:
        header: Any = json.loads(
            raw.decode(), object_hook=partial(_entry, shapes={}), parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        raise InvalidHeader("the header is not UTF-8", 8 + error.start) from error
    except json.JSONDecodeError as error:
        raise InvalidHeader(f"the header is not JSON: {error.msg}", 8 + error.pos) from error
    except RecursionError as error:
        raise InvalidHeader("the header is nested too deep", 8) from error
    except ValueError as error:
        raise InvalidHeader(f"the header is not JSON: {error}", 8) from error
    if not isinstance(header, dict):
        raise InvalidHeader("the header describes no tensors", 8)
    return header


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _entry(entry: dict[str, Any], shapes: Shapes) -> dict[str, Any] | Stated:
    """One tensor's dict, checked, as soon as it is parsed: tuples take a third of the memory of the dicts they replace.

    Equal shapes are one object, by way of ``shapes``. Other objects (the metadata) pass through.
    """
    if "data_offsets" not in entry:
        return entry
    offsets, shape, dtype = entry["data_offsets"], entry.get("shape"), entry.get("dtype")
    bits = DTYPE_BITS.get(dtype) if type(dtype) is str else None
    if bits is None:
        raise InvalidHeader(f"a tensor has the unknown dtype {str(dtype)[:40]!r}", 8)
    if (
        type(shape) is not list
        or type(offsets) is not list
        or len(offsets) != 2
        or len(shape) > MAX_DIMENSIONS
    ):
        raise InvalidHeader("a tensor has a malformed shape or data_offsets", 8)
    begin, end = offsets
    for dimension in shape:
        if type(dimension) is not int or dimension < 0:
            raise InvalidHeader(f"a tensor has the dimension {str(dimension)[:40]}", 8)
        bits *= dimension
    if type(begin) is not int or type(end) is not int or not 0 <= begin <= end < MAX_BYTES:
        raise InvalidHeader("a tensor has impossible data_offsets", 8)
    if (end - begin) * 8 != bits:
        raise InvalidHeader(
            f"a tensor has {end - begin:,} bytes between its offsets where its shape needs {bits // 8:,}",
            8,
        )
    shape = tuple(shape)
    return str(dtype), shapes.setdefault(shape, shape), begin, end


def _tensors(header: dict[str, Any], base: int) -> tuple[dict[str, str], list[Tensor]]:
    metadata: dict[str, str] = {}
    extra = header.pop("__metadata__", {})
    if not isinstance(extra, dict):
        raise InvalidHeader("__metadata__ is not an object of strings", 8)
    for key, value in extra.items():
        if not isinstance(value, str):
            raise InvalidHeader(f"the metadata {key[:80]!r} is not a string", 8)
        metadata[key] = value
    tensors: list[Tensor] = []
    for name, stated in header.items():
        if type(stated) is not tuple:
            raise InvalidHeader(
                f"tensor {name[:80]!r} is not described by dtype, shape and data_offsets", 8
            )
        dtype, shape, begin, end = stated
        tensors.append(Tensor(name, dtype, shape, base + begin, end - begin))
    return metadata, tensors


def _check_contiguous(tensors: list[Tensor], base: int) -> int:
    """Sorts by offset and returns the bytes of data. Overlaps, gaps and duplicate names all break the chain."""
    broken = _first_break(tensors, base)
    if broken is not None:  # most headers list their tensors by offset already
        tensors.sort(key=attrgetter("offset", "size"))
        broken = _first_break(tensors, base)
    if broken is not None:
        tensor, position = broken
        kind = "overlaps" if tensor.offset < position else "leaves a gap after"
        raise InvalidHeader(
            f"tensor {tensor.name[:80]!r} {kind} the tensor before it", tensor.offset
        )
    return tensors[-1].offset + tensors[-1].size - base if tensors else 0


def _first_break(tensors: list[Tensor], position: int) -> tuple[Tensor, int] | None:
    for tensor in tensors:
        if tensor.offset != position:
            return tensor, position
        position += tensor.size
    return None

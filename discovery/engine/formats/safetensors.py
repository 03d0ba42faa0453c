"""safetensors: eight bytes of length, a JSON header, then the tensors without gaps.

Source: https://huggingface.co/docs/safetensors (format section) and the Rust reader's checks, which this one mirrors.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any, BinaryIO

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

#: One string object a type, however many tensors name it.
_DTYPES = {name: (name, bits) for name, bits in DTYPE_BITS.items()}
#: Headers longer than this are made compact while they are parsed.
COMPACT_ABOVE = 4 << 20


def read(stream: BinaryIO, size: int) -> Header:
    """Names, types, shapes and offsets. Raises ``NotThisFormat`` or ``InvalidHeader``; never reads tensor data."""
    reader = Reader(stream, size)
    if size < 8:
        raise InvalidHeader(f"a safetensors file starts with an 8-byte header length, this one has {size} bytes", 0)
    length = reader.u64("the header length")
    if length > MAX_HEADER_BYTES:
        raise InvalidHeader(f"the header claims {length:,} bytes, the format allows {MAX_HEADER_BYTES:,}", 0)
    return _header(reader, length, partial(_entry, shapes={}) if length > COMPACT_ABOVE else None)


def _header(reader: Reader, length: int, hook: Callable[[dict[str, Any]], Any] | None) -> Header:
    base = 8 + length
    metadata: dict[str, str] = {}
    tensors = _tensors(_parse(reader, length, hook), metadata, base)
    expected = base + _check_contiguous(tensors, base)
    if reader.size > expected:
        raise InvalidHeader(f"{reader.size - expected:,} bytes follow the last tensor", expected)
    return Header(format=NAME, tensors=tensors, metadata=metadata, dtype=main_dtype(tensors), expected_size=expected)


def _parse(reader: Reader, length: int, hook: Callable[[dict[str, Any]], Any] | None) -> dict[str, Any]:
    text: Any = reader.exact(length, "the header")
    if not text.startswith(b"{"):
        raise InvalidHeader("the header does not start with {", 8)
    if text.count(b'"__metadata__"') > 1:
        raise InvalidHeader("__metadata__ appears twice", 8)
    try:
        text = text.decode()  # the bytes are let go before the text is parsed
        header: Any = json.loads(text, object_hook=hook, parse_constant=_refuse_constant)
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


def _entry(entry: dict[str, Any], shapes: Shapes) -> Any:
    """One tensor's dict, checked: (dtype, shape, begin, end). Other objects (the metadata) pass through.

    Used while parsing where the header is huge: tuples take a third of the memory of the dicts they replace, and equal
    shapes are one object, by way of ``shapes``.
    """
    if "data_offsets" not in entry:
        return entry
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry["data_offsets"]
    known = _DTYPES.get(dtype) if type(dtype) is str else None
    if known is None:
        raise InvalidHeader(f"the unknown dtype {str(dtype)[:40]!r}", 8)
    dtype, bits = known
    if type(shape) is not list or type(offsets) is not list or len(offsets) != 2 or len(shape) > MAX_DIMENSIONS:
        raise InvalidHeader("a malformed shape or data_offsets", 8)
    begin, end = offsets
    for dimension in shape:
        if type(dimension) is not int or dimension < 0:
            raise InvalidHeader(f"the dimension {str(dimension)[:40]}", 8)
        bits *= dimension
    if type(begin) is not int or type(end) is not int or not 0 <= begin <= end < MAX_BYTES:
        raise InvalidHeader("impossible data_offsets", 8)
    if (end - begin) * 8 != bits:
        raise InvalidHeader(f"{end - begin:,} bytes between its offsets where its shape needs {bits // 8:,}", 8)
    shape = tuple(shape)
    return dtype, shapes.setdefault(shape, shape), begin, end


def _tensors(header: dict[str, Any], metadata: dict[str, str], base: int) -> list[Tensor]:
    extra = header.pop("__metadata__", {})
    if not isinstance(extra, dict):
        raise InvalidHeader("__metadata__ is not an object of strings", 8)
    for key, value in extra.items():
        if not isinstance(value, str):
            raise InvalidHeader(f"the metadata {key[:80]!r} is not a string", 8)
        metadata[key] = value
    tensors: list[Tensor] = []
    shapes: Shapes = {}
    while header:  # taken out one by one: a huge header is never there twice
        name, entry = header.popitem()
        try:
            checked = _entry(entry, shapes) if type(entry) is dict else entry
        except InvalidHeader as error:
            raise InvalidHeader(f"tensor {name[:80]!r} has {error.reason}", 8) from None
        if type(checked) is not tuple:
            raise InvalidHeader(f"tensor {name[:80]!r} is not described by dtype, shape and data_offsets", 8)
        dtype, shape, begin, end = checked
        tensors.append(Tensor(name, dtype, shape, base + begin, end - begin))
    tensors.reverse()
    return tensors


def _check_contiguous(tensors: list[Tensor], base: int) -> int:
    """Sorts by offset and returns the bytes of data. Overlaps, gaps and duplicate names all break the chain."""
    broken = _first_break(tensors, base)
    if broken is not None:  # most headers list their tensors by offset already
        tensors.sort(key=attrgetter("offset", "size"))
        broken = _first_break(tensors, base)
    if broken is not None:
        tensor, position = broken
        kind = "overlaps" if tensor.offset < position else "leaves a gap after"
        raise InvalidHeader(f"tensor {tensor.name[:80]!r} {kind} the tensor before it", tensor.offset)
    return tensors[-1].offset + tensors[-1].size - base if tensors else 0


def _first_break(tensors: list[Tensor], position: int) -> tuple[Tensor, int] | None:
    for tensor in tensors:
        if tensor.offset != position:
            return tensor, position
        position += tensor.size
    return None

"""safetensors: eight bytes of length, a JSON header, then the tensors without gaps.

Source: https://huggingface.co/docs/safetensors (format section) and the Rust reader's checks, which
this one mirrors.
"""

from __future__ import annotations

import json
import re
from functools import partial
from math import prod
from operator import attrgetter
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import msgspec

from discovery.engine.core.binary import Reader
from discovery.engine.core.errors import InvalidHeader
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.parameters import DTYPE_BITS, main_dtype
from discovery.engine.core.types import Header, Tensor
from discovery.engine.core.vocabulary import ModelType

NAME = "safetensors"

#: The official reader refuses more.
MAX_HEADER_BYTES = 100_000_000
MAX_DIMENSIONS = 32
MAX_BYTES = 1 << 62
Shapes = dict[tuple[int, ...], tuple[int, ...]]
#: How many numbers a shape holds, and the one object that stands for all equal shapes.
_Counts = dict[tuple[int, ...], tuple[int, tuple[int, ...]]]
#: A tensor as its header states it, checked: (dtype, shape, begin, end).
Stated = tuple[str, tuple[int, ...], int, int]


if TYPE_CHECKING:
    _Dtype = str
else:
    # Of a fixed set, so that the decoder hands out one string for each instead of one a tensor.
    _Dtype = Literal[tuple(DTYPE_BITS)]


class _Entry(msgspec.Struct, gc=False):
    dtype: _Dtype = ""
    shape: tuple[int, ...] = ()
    data_offsets: tuple[int, int] = (1, 0)


class _Extra(msgspec.Struct):
    metadata: dict[str, str] | None = msgspec.field(name="__metadata__", default=None)


#: Blanks before the brace are against the text of the format, and every reader takes them.
_START = re.compile(rb"[ \t\r\n]*\{")

_ENTRIES = msgspec.json.Decoder(dict[str, _Entry])
_EXTRA = msgspec.json.Decoder(_Extra)


def read(stream: BinaryIO, size: int) -> Header:
    """Names, types, shapes and offsets.

    Raises ``NotThisFormat`` or ``InvalidHeader``; never reads tensor data.
    """
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
    """The JSON, read anew by each who parses it, so that nobody keeps it while the tensors
    pile up.
    """
    reader.seek(8)
    raw = reader.exact(length, "the header")
    if not _START.match(raw):
        raise InvalidHeader("the header does not start with {", 8)
    if raw.count(b'"__metadata__"') > 1:
        raise InvalidHeader("__metadata__ appears twice", 8)
    return raw


def _decode(raw: bytes) -> tuple[dict[str, str], dict[str, _Entry]]:
    """(metadata, tensors) of nearly all headers, a few times faster than with the json module;
    nothing of those that are not well formed. ``"__metadata__": null`` means none.
    """
    try:
        metadata, entries = _EXTRA.decode(raw).metadata or {}, _ENTRIES.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}, {}
    entries.pop("__metadata__", None)
    return metadata, entries


def _well_formed(entries: dict[str, _Entry], base: int) -> list[Tensor] | None:
    """``None`` sends a header to where it is said what is wrong with it."""
    tensors: list[Tensor] = []
    counts: _Counts = {}
    while entries:  # taken out one by one: a huge header is never there twice
        name, entry = entries.popitem()
        bits, (begin, end) = DTYPE_BITS.get(entry.dtype), entry.data_offsets
        if (counted := counts.get(entry.shape)) is None:
            if len(entry.shape) > MAX_DIMENSIONS or min(entry.shape, default=0) < 0:
                return None
            counted = counts[entry.shape] = prod(entry.shape), entry.shape
        count, shape = counted
        if bits is None or not 0 <= begin <= end < MAX_BYTES or (end - begin) * 8 != bits * count:
            return None
        tensors.append(Tensor(name, entry.dtype, shape, base + begin, end - begin))
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
    raise ValueError(f"{name} is not a JSON number")


def _entry(entry: dict[str, Any], shapes: Shapes) -> dict[str, Any] | Stated:
    """One tensor's dict, checked, as soon as it is parsed: tuples take a third of the memory of the
    dicts they replace.

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
            f"a tensor has {end - begin:,} bytes between its offsets where its shape needs"
            f" {bits // 8:,}",
            8,
        )
    shape = tuple(shape)
    return str(dtype), shapes.setdefault(shape, shape), begin, end


def _tensors(header: dict[str, Any], base: int) -> tuple[dict[str, str], list[Tensor]]:
    metadata: dict[str, str] = {}
    extra = header.pop("__metadata__", None)
    extra = {} if extra is None else extra
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
    """Sorts by offset and returns the bytes of data.

    Overlaps, gaps and duplicate names all break the chain.
    """
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


def _is_header(head: bytes, suffix: str) -> bool:
    """A header's length and the first letters of its JSON, under another name."""
    return (
        suffix != ".safetensors"
        and head[8:10] in (b'{"', b"{ ")
        and int.from_bytes(head[:8], "little") <= MAX_HEADER_BYTES
    )


FORMAT = Format(
    name=NAME,
    label="safetensors",
    rank=10,
    type=ModelType.PYTORCH,
    suffixes=(".safetensors",),
    magic=_is_header,
    knows_its_size=True,
    read=read,
    loader="discovery.loading.loaders.safetensors",
    usage=Usage(
        "safetensors",
        "pip install safetensors torch",
        'from safetensors import safe_open\n\nwith safe_open({path!r}, framework="pt") as file:\n'
        "    print(list(file.keys()))",
    ),
)

"""GGUF, versions 1 to 3, in either byte order: metadata, a tensor table, aligned tensor data.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import prod
from struct import Struct
from struct import error as struct_error
from typing import Any, BinaryIO

from discovery.engine.core.binary import Reader
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format
from discovery.engine.core.text import clean
from discovery.engine.core.types import Header, Problem, Tensor
from discovery.engine.core.vocabulary import ModelType, Severity
from discovery.engine.formats.ggml_types import FILE_TYPES, TENSOR_TYPES
from discovery.engine.untrusted import chat_templates

NAME = "gguf"
MAGIC = b"GGUF"
#: What types are called that this version does not know, before their number.
FOREIGN = "TYPE_"

_TEMPLATES = "tokenizer.chat_template"
MAX_KEY_BYTES = 65_535
MAX_STRING_BYTES = 4 << 20
MAX_DIMENSIONS = 8
#: Arrays up to this length are kept (per-layer head counts, labels); of longer ones only the length
#: is.
MAX_KEPT_ITEMS = 1_024
MAX_KEPT_STRINGS = 64
#: In all, so that a file of many gigabytes (of zeros, perhaps) asks for no more time and memory
#: than one of a few.
MAX_TENSORS = 50_000
MAX_PAIRS = 100_000
MAX_STRINGS = 2_500_000
MAX_NUMBERS_IN_ALL = 500_000
MAX_TEXT_IN_ALL = 16 << 20
MAX_PROBLEMS = 10
BLOCK = 1 << 16

_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}


@dataclass(frozen=True, slots=True)
class Array:
    """A metadata array too long to keep: only how many items it has."""

    length: int


def read(stream: BinaryIO, size: int) -> Header:
    """Metadata and tensor table.

    Raises ``NotThisFormat`` or ``InvalidHeader``; never reads tensor data.
    """
    head = stream.read(8)
    if head[:4] != MAGIC:
        raise NotThisFormat("it does not start with GGUF")
    version, big_endian = _version(head)
    reader = _GGUFReader(stream, size, version, big_endian)
    tensor_count, pair_count = reader.count("tensors"), reader.count("metadata keys")
    if tensor_count > reader.left // 24 or pair_count > reader.left // 5:
        raise InvalidHeader(
            f"{tensor_count:,} tensors and {pair_count:,} metadata keys do not fit in {size:,}"
            " bytes",
            8,
        )
    if tensor_count > MAX_TENSORS or pair_count > MAX_PAIRS:
        raise InvalidHeader(
            f"it claims {tensor_count:,} tensors and {pair_count:,} metadata keys, far more than"
            " any model has",
            8,
        )
    metadata = reader.metadata(pair_count)
    problems: list[Problem] = []
    alignment = _alignment(metadata)
    table = reader.table(tensor_count)
    base = -(-reader.position // alignment) * alignment if table else reader.position
    tensors = [_tensor(entry, base, alignment, problems) for entry in table]
    if problems:
        tensors = _measured(tensors, size)
    problems += _template_problems(metadata)
    if version == 1:
        # Version 1 kept no promise on the order of offsets; what the table says is all there is.
        alignment = 1
    return Header(
        format=NAME,
        tensors=tensors,
        metadata=metadata,
        parameter_count=sum(prod(t.shape) for t in tensors) if tensors else None,
        quantization=_quantization(metadata, tensors),
        bits_per_weight=_bits_per_weight(tensors),
        expected_size=max((t.offset + t.size for t in tensors), default=reader.position),
        problems=problems,
    )


def _template_problems(metadata: dict[str, Any]) -> list[Problem]:
    """llama.cpp and what is built on it render the templates in the header: the one without a name,
    and those with one.
    """
    problems = []
    for key, value in metadata.items():
        if not key.startswith(_TEMPLATES):
            continue
        for template in value if isinstance(value, list) else [value]:
            name = clean(key.removeprefix(_TEMPLATES).strip("."), 60)
            problems += (
                chat_templates.problems(f"its chat template {name}".strip(), template, name)
                if isinstance(template, str)
                else []
            )
    return problems


def _version(head: bytes) -> tuple[int, bool]:
    if len(head) < 8:
        raise InvalidHeader("the file ends inside the version number", len(head))
    for order in ("little", "big"):
        version = int.from_bytes(head[4:8], "little" if order == "little" else "big")
        if version in (1, 2, 3):
            return version, order == "big"
    raise InvalidHeader(f"version {int.from_bytes(head[4:8], 'little')} is not one of 1, 2, 3", 4)


def _alignment(metadata: dict[str, Any]) -> int:
    alignment = metadata.get("general.alignment", 32)
    if (
        type(alignment) is not int
        or alignment < 1
        or alignment & (alignment - 1)
        or alignment > 1 << 20
    ):
        raise InvalidHeader(f"general.alignment is {str(alignment)[:40]!r}, not a power of two")
    return alignment


class _GGUFReader(Reader):
    """Reads in blocks: a vocabulary of 150,000 strings is walked length by length over a buffer."""

    def __init__(self, stream: BinaryIO, size: int, version: int, big_endian: bool) -> None:
        super().__init__(stream, size, big_endian=big_endian)
        self.position = 8
        order = ">" if big_endian else "<"
        self.length = Struct(f"{order}{'I' if version == 1 else 'Q'}")
        self.scalars = {code: Struct(order + letter) for code, letter in _SCALARS.items()}
        self.order = order
        self.buffer = b""
        self.start = 8  # where the buffer begins in the file
        self.strings_left, self.numbers_left, self.text_left = (
            MAX_STRINGS,
            MAX_NUMBERS_IN_ALL,
            MAX_TEXT_IN_ALL,
        )

    def exact(self, count: int, what: str) -> bytes:
        at = self.position - self.start
        if at + count > len(self.buffer):
            if count > self.left:
                raise InvalidHeader(
                    f"{what} needs {count:,} bytes, the file has {max(self.left, 0):,} left",
                    self.position,
                )
            self.stream.seek(self.position)
            self.buffer, self.start, at = self.stream.read(max(count, BLOCK)), self.position, 0
            if count > len(self.buffer):
                raise InvalidHeader(
                    f"{what} ends after {len(self.buffer):,} of {count:,} bytes", self.position
                )
        self.position += count
        return self.buffer[at : at + count]

    def skip(self, count: int, what: str) -> None:
        if count > self.left:
            raise InvalidHeader(
                f"{what} needs {count:,} bytes, the file has {max(self.left, 0):,} left",
                self.position,
            )
        self.position += count

    def count(self, what: str) -> int:
        return int(self.length.unpack(self.exact(self.length.size, f"the number of {what}"))[0])

    def string(self, what: str, limit: int) -> str:
        length = int(self.length.unpack(self.exact(self.length.size, what))[0])
        if length > limit:
            raise InvalidHeader(
                f"{what} claims {length:,} bytes, more than {limit:,}", self.position
            )
        return self.text(length, what)

    def text(self, length: int, what: str) -> str:
        self.text_left -= length
        if self.text_left < 0:
            raise InvalidHeader(
                f"its names and texts are longer than {MAX_TEXT_IN_ALL:,} bytes in all",
                self.position,
            )
        return self.exact(length, what).decode("utf-8", "replace")

    def metadata(self, count: int) -> dict[str, Any]:
        pairs: dict[str, Any] = {}
        for _ in range(count):
            key = self.string("a metadata key", MAX_KEY_BYTES)
            if key in pairs:
                raise InvalidHeader(f"the metadata key {key[:80]!r} appears twice", self.position)
            pairs[key] = self.value(key, self.u32(f"the type of {key[:80]!r}"))
        return pairs

    def value(self, key: str, kind: int) -> Any:
        if kind in self.scalars:
            scalar = self.scalars[kind]
            return scalar.unpack(self.exact(scalar.size, f"metadata {key[:80]!r}"))[0]
        if kind == _STRING:
            length = self.count(f"bytes of metadata {key[:80]!r}")
            if length > MAX_STRING_BYTES:
                self.skip(length, f"metadata {key[:80]!r}")
                return None
            return self.text(length, f"metadata {key[:80]!r}")
        if kind == _ARRAY:
            return self.array(key)
        raise InvalidHeader(f"metadata {key[:80]!r} has the unknown type {kind}", self.position)

    def array(self, key: str) -> Any:
        what = f"array {key[:80]!r}"
        kind, length = self.u32(f"the type of {what}"), self.count(f"items of {what}")
        if kind == _STRING:
            return self.strings(what, length)
        if kind not in self.scalars:
            raise InvalidHeader(f"{what} has the unsupported item type {kind}", self.position)
        size = self.scalars[kind].size * length
        if length > min(MAX_KEPT_ITEMS, self.numbers_left):
            self.skip(size, what)
            return Array(length)
        self.numbers_left -= length
        return list(Struct(f"{self.order}{length}{_SCALARS[kind]}").unpack(self.exact(size, what)))

    def strings(self, what: str, length: int) -> Any:
        if length > self.left // self.length.size:
            raise InvalidHeader(
                f"{what} claims {length:,} strings, more than the file can hold", self.position
            )
        self.strings_left -= length
        if self.strings_left < 0:
            raise InvalidHeader(
                f"{what} brings the strings to more than {MAX_STRINGS:,}", self.position
            )
        if length <= MAX_KEPT_STRINGS:
            return [self.string(what, MAX_STRING_BYTES) for _ in range(length)]
        self._skip_strings(what, length)
        return Array(length)

    def _skip_strings(self, what: str, length: int) -> None:
        unpack, width, position, left = (
            self.length.unpack_from,
            self.length.size,
            self.position,
            length,
        )
        while left:
            self.stream.seek(position)
            buffer, at = self.stream.read(BLOCK), 0
            try:
                while left:
                    at += width + unpack(buffer, at)[0]
                    left -= 1
            # The block ends inside a length or a string: go on with the next one.
            except (struct_error, OverflowError):
                if not at:
                    raise InvalidHeader(f"{what} ends {left:,} strings early", position) from None
            position += at
            if position > self.size:
                raise InvalidHeader(f"{what} reaches past the end of the file", self.position)
        self.position = position

    def table(self, count: int) -> list[tuple[str, tuple[int, ...], int, int]]:
        entries: list[tuple[str, tuple[int, ...], int, int]] = []
        layouts = [
            Struct(f"{self.order}{n}{'I' if self.length.size == 4 else 'Q'}IQ")
            for n in range(MAX_DIMENSIONS + 1)
        ]
        for _ in range(count):
            name = self.string("a tensor name", MAX_KEY_BYTES)
            dimensions = self.u32("a tensor's number of dimensions")
            if dimensions > MAX_DIMENSIONS:
                raise InvalidHeader(
                    f"tensor {name[:80]!r} claims {dimensions:,} dimensions", self.position - 4
                )
            layout = layouts[dimensions]
            *shape, kind, offset = layout.unpack(
                self.exact(layout.size, "a tensor's shape, type and offset")
            )
            if prod(shape) >= 1 << 63:
                raise InvalidHeader(
                    f"tensor {name[:80]!r} has more than 2^63 elements", self.position
                )
            entries.append((name, tuple(shape[::-1]), kind, offset))
        return entries


def _tensor(
    entry: tuple[str, tuple[int, ...], int, int], base: int, alignment: int, problems: list[Problem]
) -> Tensor:
    name, shape, kind, offset = entry
    if offset % alignment:
        raise InvalidHeader(
            f"tensor {name[:80]!r} starts at {offset:,}, not on a multiple of {alignment}", base
        )
    known = TENSOR_TYPES.get(kind)
    if known is None:
        if len(problems) < MAX_PROBLEMS:
            text = f"tensor {name[:80]!r} has the type {kind}, which this version does not know"
            problems.append(Problem("unknown_tensor_type", text, "", Severity.WARNING))
        return Tensor(name, f"{FOREIGN}{kind}", shape, base + offset, 0)
    label, block, width = known
    return Tensor(name, label, shape, base + offset, prod(shape) // block * width)


def _measured(tensors: list[Tensor], size: int) -> list[Tensor]:
    """Tensors of types that only a fork knows are as long as the way to the next one."""
    starts = sorted({tensor.offset for tensor in tensors} | {size})
    return [
        tensor
        if not tensor.dtype.startswith(FOREIGN)
        else tensor._replace(size=max(_after(starts, tensor.offset) - tensor.offset, 0))
        for tensor in tensors
    ]


def _after(starts: list[int], offset: int) -> int:
    at = bisect_right(starts, offset)
    return starts[at] if at < len(starts) else offset


def _quantization(metadata: dict[str, Any], tensors: list[Tensor]) -> str | None:
    """What ``general.file_type`` says where it fits the tensors, else the type that holds most
    bytes.
    """
    held: dict[str, int] = {}
    for tensor in tensors:
        held[tensor.dtype] = held.get(tensor.dtype, 0) + tensor.size
    main = max(held, key=held.__getitem__, default=None)
    declared = (
        FILE_TYPES.get(metadata.get("general.file_type", -1))
        if isinstance(metadata.get("general.file_type"), int)
        else None
    )
    # A fork's numbers for files are its own as well, even where words take up the most.
    if foreign := [dtype for dtype in held if dtype.startswith(FOREIGN)]:
        return max(foreign, key=held.__getitem__)
    if declared and (
        main is None
        or declared.split("_")[0] == main.split("_")[0]
        or declared.startswith(("IQ", "Q"))
    ):
        return declared
    return main


def _bits_per_weight(tensors: list[Tensor]) -> float | None:
    count = sum(prod(t.shape) for t in tensors)
    return round(sum(t.size for t in tensors) * 8 / count, 2) if count else None


FORMAT = Format(
    name=NAME,
    label="GGUF",
    rank=20,
    type=ModelType.LLAMA_CPP,
    suffixes=(".gguf",),
    magic=lambda head, _suffix: head[:4] == b"GGUF",
    knows_its_size=True,
    read=read,
    loader="discovery.loading.loaders.gguf",
)

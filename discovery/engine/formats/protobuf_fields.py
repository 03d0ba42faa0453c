"""Walks over protobuf fields, reading only keys and lengths.

What a field contains is read on request.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from discovery.engine.core.binary import Reader
from discovery.engine.core.errors import InvalidHeader

#: Over all levels of one file: what a description needs is a few hundred.
MAX_FIELDS = 100_000
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Field(NamedTuple):
    """``value`` of a number; ``start`` and ``end`` in the file of everything else."""

    number: int
    wire: int
    value: int
    start: int
    end: int


class ProtobufReader(Reader):
    def __init__(self, stream: BinaryIO, size: int) -> None:
        super().__init__(stream, size)
        self.fields_left = MAX_FIELDS

    def fields(self, start: int, end: int) -> Iterator[Field]:
        """The fields between ``start`` and ``end``. Other reads may come in between."""
        while start < end:
            self.seek(start)
            self.fields_left -= 1
            if self.fields_left < 0:
                raise InvalidHeader(f"it has more than {MAX_FIELDS:,} fields", start)
            field = self._field(self.varint(), end)
            yield field
            start = field.end

    def _field(self, key: int, end: int) -> Field:
        number, wire = key >> 3, key & 7
        if not number or wire not in (VARINT, FIXED64, BYTES, FIXED32):
            raise InvalidHeader(
                f"field {number} has the impossible wire type {wire}", self.position
            )
        value = self.varint() if wire in (VARINT, BYTES) else 0
        length = {VARINT: 0, FIXED64: 8, FIXED32: 4, BYTES: value}[wire]
        start = self.position
        if length > end - start:
            raise InvalidHeader(
                f"field {number} claims {length:,} bytes where {max(end - start, 0):,} are left",
                start,
            )
        return Field(number, wire, value, start, start + length)

    def varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.exact(1, "a number")[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF
        raise InvalidHeader("a number is longer than ten bytes", self.position)

    def inside(self, field: Field) -> Iterator[Field]:
        """The fields of a message field; none of a number."""
        return self.fields(field.start, field.end if field.wire == BYTES else field.start)

    def text(self, field: Field, limit: int = 4_096) -> str:
        """The first ``limit`` bytes of a string field."""
        if field.wire != BYTES:
            raise InvalidHeader(f"field {field.number} is not a string", field.start)
        self.seek(field.start)
        return self.exact(min(field.end - field.start, limit), f"field {field.number}").decode(
            "utf-8", "replace"
        )


def signed(value: int) -> int:
    """A varint as an int64."""
    return value - (1 << 64) if value >> 63 else value

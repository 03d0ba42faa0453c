"""protobuf's wire format, skimmed in blocks: hundreds of thousands of small fields at speed, long
ones passed over by a seek.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO, TypeAlias

from discovery.engine.core.errors import InvalidHeader

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

#: One field: its key (number and wire type, as ``key()`` makes it), then its value and the position
#: after it for a number, or where it starts and ends in the file for everything else.
Field: TypeAlias = tuple[int, int, int]

BLOCK = 64 << 10
#: What a key and a length need at most, so that neither is ever cut by the end of a block.
LOOKAHEAD = 24
#: Over all levels of one file. 200,000 nodes with their attributes make a million.
MAX_FIELDS = 1_500_000


def key(number: int, wire: int = BYTES) -> int:
    return number << 3 | wire


def signed(value: int) -> int:
    """A varint as an int64."""
    return value - (1 << 64) if value >> 63 else value


class WireReader:
    """Fields of messages anywhere in ``stream``.

    Unknown fields, and known ones of another wire type, are for the caller to pass over.
    """

    __slots__ = ("_base", "_block", "_left", "_safe", "size", "stream")

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream = stream
        self.size = size
        self._left = MAX_FIELDS
        self._block = b""
        # A field that starts in [base, safe) has its key and length in the block.
        self._base = self._safe = 0

    def fields(self, start: int, end: int) -> Iterable[Field]:
        """The fields between ``start`` and ``end``; other reads may come in between.

        Raises ``InvalidHeader``.
        """
        if end - start > BLOCK:
            return self._walk(start, end)
        if start < self._base or end > self._safe:
            self._load(start)
        return self._scan(start, end, end)[0]

    def data(self, start: int, end: int, limit: int = 4096) -> bytes:
        """What a field holds, at most ``limit`` bytes (a block) of it."""
        end = min(end, start + limit)
        if start < self._base or end > self._safe:
            self._load(start)
        return self._block[start - self._base : end - self._base]

    def text(self, start: int, end: int, limit: int = 4096) -> str:
        return self.data(start, end, limit).decode("utf-8", "replace")

    def _walk(self, start: int, end: int) -> Iterator[Field]:
        while start < end:
            if not self._base <= start < self._safe:
                self._load(start)
            found, start = self._scan(start, min(end, self._safe), end)
            yield from found

    def _load(self, position: int) -> None:
        self.stream.seek(position)
        block = self.stream.read(BLOCK + LOOKAHEAD)
        if len(block) < min(BLOCK + LOOKAHEAD, self.size - position):
            raise InvalidHeader("the file became shorter while it was read", position + len(block))
        if len(block) < BLOCK + LOOKAHEAD:
            # The zeros end a number that the file cuts short; that it then lies past the end is
            # noticed below.
            block += bytes(LOOKAHEAD)
        self._block, self._base, self._safe = block, position, position + len(block) - LOOKAHEAD

    def _scan(self, position: int, stop: int, end: int) -> tuple[list[Field], int]:
        """The fields that start in [position, stop), all in the block, and the end of the last."""
        block, base = self._block, self._base
        at, stop = position - base, stop - base
        begin = at
        found: list[Field] = []
        append = found.append
        while at < stop:
            begin = at
            tag, value = block[at], block[at + 1]
            # Nearly all of them: one byte of key, one of length.
            if tag & 0x87 == BYTES and value < 128:
                at += 2 + value
                append((tag, base + begin + 2, base + at))
                continue
            tag, at = self._varint(at)
            wire = tag & 7
            if wire in (VARINT, BYTES):
                value, at = self._varint(at)
            elif wire in (FIXED64, FIXED32):
                value = 8 if wire == FIXED64 else 4
            if tag < 8 or wire not in (VARINT, FIXED64, BYTES, FIXED32):
                raise InvalidHeader(
                    f"field {tag >> 3} has the impossible wire type {wire}", base + begin
                )
            if wire == VARINT:
                append((tag, value, base + at))
            else:
                append((tag, base + at, base + at + value))
                at += value
        position = base + at
        if position > end:
            raise InvalidHeader(
                f"field {found[-1][0] >> 3} needs {position - end:,} bytes more than there are",
                base + begin,
            )
        self._left -= len(found)
        if self._left < 0:
            raise InvalidHeader(f"it has more than {MAX_FIELDS:,} fields", position)
        return found, position

    def _varint(self, at: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._block[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, at
        raise InvalidHeader("a number is longer than ten bytes", self._base + at)

    def numbers(self, start: int, end: int, limit: int) -> list[int]:
        """A packed list of varints, at most ``limit`` of them."""
        if end - start > limit * 10:
            raise InvalidHeader(
                f"a list of {end - start:,} bytes where {limit} numbers are the limit", start
            )
        if start < self._base or end > self._safe:
            self._load(start)
        found: list[int] = []
        at, stop = start - self._base, end - self._base
        while at < stop and len(found) < limit:
            value, at = self._varint(at)
            found.append(value)
        if at != stop:
            raise InvalidHeader("a list of numbers does not end where it should", start)
        return found

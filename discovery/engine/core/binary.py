"""The bounded reader: checks every count and length of a header against the file's size."""

from __future__ import annotations

from struct import Struct
from typing import BinaryIO

from discovery.engine.core.errors import InvalidHeader

_U32_LITTLE, _U32_BIG = Struct("<I"), Struct(">I")
_U64_LITTLE, _U64_BIG = Struct("<Q"), Struct(">Q")


class Reader:
    """Exact reads from ``stream``, a file of ``size`` bytes.

    ``position`` is counted here, without calls of ``tell``.
    """

    __slots__ = ("_u32", "_u64", "position", "size", "stream")

    def __init__(self, stream: BinaryIO, size: int, *, big_endian: bool = False) -> None:
        self.stream = stream
        self.size = size
        self.position = 0
        self._u32 = _U32_BIG if big_endian else _U32_LITTLE
        self._u64 = _U64_BIG if big_endian else _U64_LITTLE

    @property
    def left(self) -> int:
        return self.size - self.position

    def exact(self, count: int, what: str) -> bytes:
        """The next ``count`` bytes; ``InvalidHeader`` when the file ends before."""
        if count > self.left:
            raise InvalidHeader(
                f"{what} needs {count:,} bytes, the file has {max(self.left, 0):,} left",
                self.position,
            )
        data = self.stream.read(count)
        if len(data) != count:
            raise InvalidHeader(
                f"{what} ends after {len(data):,} of {count:,} bytes", self.position
            )
        self.position += count
        return data

    def skip(self, count: int, what: str) -> None:
        if count > self.left:
            raise InvalidHeader(
                f"{what} needs {count:,} bytes, the file has {max(self.left, 0):,} left",
                self.position,
            )
        self.seek(self.position + count)

    def seek(self, position: int) -> None:
        self.stream.seek(position)
        self.position = position

    def u32(self, what: str) -> int:
        return int(self._u32.unpack(self.exact(4, what))[0])

    def u64(self, what: str) -> int:
        return int(self._u64.unpack(self.exact(8, what))[0])

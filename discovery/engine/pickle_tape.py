"""The bytes of a pickle, in order: read in blocks, long parts passed over."""

from __future__ import annotations

from typing import BinaryIO

from discovery.engine.errors import InvalidHeader

BLOCK = 64 << 10
MAX_LINE = 1 << 20


class Tape:
    """The bytes of ``stream`` in order, read in blocks, up to ``size``."""

    __slots__ = ("_at", "_base", "_block", "size", "stream")

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream = stream
        self.size = size
        self._block = b""
        self._at = self._base = 0

    @property
    def position(self) -> int:
        return self._base + self._at

    def byte(self) -> int:
        if self._at >= len(self._block):
            self._fill(1)
        self._at += 1
        return self._block[self._at - 1]

    def take(self, count: int) -> bytes:
        if self._at + count > len(self._block):
            self._fill(count)
        self._at += count
        return self._block[self._at - count : self._at]

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "little")

    def skip(self, count: int) -> None:
        self.check(count)
        self._at += count
        if self._at > len(self._block):
            self._base, self._block, self._at = self.position, b"", 0

    def line(self) -> bytes:
        while (end := self._block.find(b"\n", self._at)) < 0:
            have = len(self._block) - self._at
            if have > MAX_LINE:
                raise InvalidHeader(f"a line is longer than {MAX_LINE:,} bytes", self.position)
            self._fill(have + 1)
        line, self._at = self._block[self._at : end], end + 1
        return line

    def check(self, count: int) -> None:
        if not 0 <= count <= self.size - self.position:
            raise InvalidHeader(
                f"the pickle needs {count:,} bytes, {max(self.size - self.position, 0):,} are left",
                self.position,
            )

    def _fill(self, count: int) -> None:
        self.check(count)
        rest = self._block[self._at :]
        self._base, self._at = self.position, 0
        self.stream.seek(self._base + len(rest))
        self._block = rest + self.stream.read(
            min(max(BLOCK, count - len(rest)), self.size - self._base - len(rest))
        )
        if len(self._block) < count:
            raise InvalidHeader("the file became shorter while it was read", self._base)

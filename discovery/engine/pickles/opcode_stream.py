"""The bytes of a pickle, in order: read in blocks, long parts passed over."""

from __future__ import annotations

from typing import BinaryIO

from discovery.engine.core.errors import InvalidHeader

BLOCK = 64 << 10
#: A longer line is given only as far as this: nothing that a pickle can do with one depends on the
#: rest.
LINE_KEPT = 16 << 10
#: Of lines that are longer than what is kept, in all. Python's unpickler has no limit.
MAX_LINES = 256 << 20


class LineTooLong(Exception):
    """A line is longer than the searched range."""


class Tape:
    """The bytes of ``stream`` in order, read in blocks, up to ``size``.

    ``start`` are the first of them, where they are known.

    No block reaches over the end of a frame. ``crossed`` says that an instruction does: some
    unpicklers then lose its beginning. ``ran_out`` says that ``stream`` had less than ``size``.
    """

    __slots__ = (
        "_at",
        "_base",
        "_block",
        "_frame",
        "_lines",
        "crossed",
        "ran_out",
        "size",
        "stream",
    )

    def __init__(self, stream: BinaryIO, size: int, start: bytes = b"") -> None:
        self.stream = stream
        self.size = size
        self._block = start[:size]
        self._at = self._base = 0
        self._frame = 0
        self._lines = MAX_LINES
        self.crossed = self.ran_out = False

    def fork(self) -> Tape:
        """Another one at the same place."""
        other = Tape(self.stream, self.size)
        other._base, other._block, other._at, other._lines = (
            self._base,
            self._block,
            self._at,
            self._lines,
        )
        other._frame, other.crossed, other.ran_out = self._frame, self.crossed, False
        return other

    def begin_frame(self, length: int) -> None:
        """The next ``length`` bytes are a frame."""
        self.end()
        self._frame = min(self.position + length, self.size)
        self._block = self._block[: self._frame - self._base]

    def end(self) -> None:
        """A pickle ends here, or a frame: none should be under way."""
        self.crossed = self.crossed or self.position < self._frame
        self._frame = 0

    @property
    def position(self) -> int:
        return self._base + self._at

    def byte(self) -> int:
        if self._at >= len(self._block):
            self._fill(1)
        self._at += 1
        return self._block[self._at - 1]

    def peek(self) -> int | None:
        """The next byte, which stays the next one; ``None`` at the end."""
        if self.position >= self.size:
            return None
        following = self.byte()
        self._at -= 1
        return following

    def take(self, count: int) -> bytes:
        if self._at + count > len(self._block):
            self._fill(count)
        self._at += count
        return self._block[self._at - count : self._at]

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "little")

    def skip(self, count: int) -> None:
        self.check(count)
        self.crossed = self.crossed or self.position < self._frame < self.position + count
        self._at += count
        if self._at > len(self._block):
            self._base, self._block, self._at = self.position, b"", 0

    def line(self) -> bytes:
        """Up to the next line break, or without its last byte where there is none: as Python's slow
        unpickler, which needs no break.
        """
        if (end := self._block.find(b"\n", self._at)) < 0:
            return self._line_over_blocks()
        line, self._at = self._block[self._at : end], end + 1
        return line

    def _line_over_blocks(self) -> bytes:
        kept = bytearray()
        while True:
            end = self._block.find(b"\n", self._at)
            part = self._block[self._at : end if end >= 0 else None]
            kept += part[: max(LINE_KEPT - len(kept), 0)]
            if end >= 0:
                self._at = end + 1
                return bytes(kept)
            self._at = len(self._block)
            self._lines -= len(part)
            if self._lines < 0:
                raise LineTooLong
            if self.position >= self.size:
                return bytes(kept[:-1])
            self.crossed = self.crossed or (bool(kept) and self.position == self._frame)
            self._fill(1)

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
        wanted, position = max(BLOCK, count - len(rest)), self._base + len(rest)
        if self._base < self._frame:
            self.crossed = self.crossed or self._base + count > self._frame
            wanted = (
                max(self._frame - position, count - len(rest))
                if wanted > self._frame - position
                else wanted
            )
        self.stream.seek(position)
        self._block = rest + self.stream.read(min(wanted, self.size - position))
        if len(self._block) < count:
            self.ran_out = True
            raise InvalidHeader("the file became shorter while it was read", self._base)

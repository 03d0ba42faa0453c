"""HDF5: the texts among the attributes of its root group, where Keras keeps configurations.

No dataset is read.

Source: the HDF5 File Format Specification 3.0: II.A superblock, IV.A.1 object headers, IV.A.2.m
attributes, III.E global heap. Attributes in a fractal heap (very many, or made with the newest
layout) are not followed; ``Attributes.complete`` says so.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from discovery.engine.core.errors import InvalidHeader

MAGIC = b"\x89HDF\r\n\x1a\n"
#: Bytes of all blocks and texts together.
MAX_BYTES = 24 << 20
MAX_BLOCKS = 200
MAX_MESSAGES = 20_000

_ATTRIBUTE, _CONTINUATION, _MANY = 0x0C, 0x10, 0x15
_FIXED_TEXT, _VARIABLE = 3, 9


@dataclass(slots=True)
class Superblock:
    """The superblock of a file.

    ``root`` is the address of the root group's object header, ``end`` the size that the file should
    have. Offsets are ``width`` bytes wide.
    """

    version: int
    width: int
    lengths: int
    base: int
    end: int
    root: int


@dataclass(slots=True)
class Attributes:
    """``texts``: (name, value); of an array of texts each is one."""

    texts: list[tuple[str, bytes]] = field(default_factory=list)
    complete: bool = True


def superblock(head: bytes) -> Superblock:
    """``head``: the first 128 bytes of the file. Raises ``InvalidHeader``."""
    version = head[8] if len(head) > 8 else -1
    if version not in (0, 1, 2, 3):
        raise InvalidHeader(f"HDF5 has no superblock version {version}", 8)
    width_at, addresses_at = (13, 28 if version else 24) if version < 2 else (9, 12)
    width, lengths = head[width_at : width_at + 1], head[width_at + 1 : width_at + 2]
    if width not in (b"\4", b"\x08") or lengths not in (b"\4", b"\x08"):
        raise InvalidHeader(
            f"the superblock has offsets of {int.from_bytes(width)} bytes", width_at
        )
    size = width[0]
    # Base, free space or extension, end of file, driver or root; up to version 1 the root's symbol
    # table entry follows: name, header.
    fields = [head[addresses_at + at * size : addresses_at + (at + 1) * size] for at in range(6)]
    needed = 6 if version < 2 else 4
    if any(len(each) < size for each in fields[:3]):
        raise InvalidHeader("the file ends inside the superblock", len(head))
    numbers = [int.from_bytes(each, "little") for each in fields]
    root = numbers[5] if version < 2 else numbers[3]
    if len(fields[needed - 1]) < size:
        root = -1
    return Superblock(version, size, lengths[0], numbers[0], numbers[2], root)


def attributes(stream: BinaryIO, block: Superblock, size: int) -> Attributes:
    """Texts on the root group, as far as the file's own addresses lead to them.

    What leads nowhere is left out, and said.
    """
    reader = _Attributes(stream, block, size)
    try:
        reader.follow(block.base + block.root)
    except (struct.error, ValueError, IndexError):
        reader.found.complete = False
    return reader.found


class _Attributes:
    def __init__(self, stream: BinaryIO, block: Superblock, size: int) -> None:
        self.stream, self.block, self.size = stream, block, size
        self.left, self.blocks, self.messages = MAX_BYTES, MAX_BLOCKS, MAX_MESSAGES
        self.found = Attributes()
        self.waiting: list[tuple[int, int]] = []
        self.heaps: dict[int, bytes] = {}

    def read(self, at: int, count: int) -> bytes:
        if at < 0 or count < 0 or at + count > self.size or count > self.left:
            raise ValueError("an address leads out of the file")
        self.left -= count
        self.stream.seek(at)
        return self.stream.read(count)

    def offset(self, data: bytes, at: int) -> int:
        return self.block.base + int.from_bytes(data[at : at + self.block.width], "little")

    def follow(self, at: int) -> None:
        start = self.read(at, min(16, self.size - at))
        modern = start[:4] == b"OHDR"
        body = self.modern(at) if modern else (at + 16, struct.unpack_from("<I", start, 8)[0])
        self.waiting.append(body)
        creation = modern and bool(self.read(at + 5, 1)[0] & 4)
        while self.waiting and self.blocks:
            self.blocks -= 1
            place, length = self.waiting.pop(0)
            self.block_of_messages(self.read(place, length), modern, creation)
        self.found.complete &= not self.waiting

    def modern(self, at: int) -> tuple[int, int]:
        """Address and length of the first block of an object header of version 2."""
        flags = self.read(at + 5, 1)[0]
        place = at + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        return place + width, int.from_bytes(self.read(place, width), "little")

    def block_of_messages(self, data: bytes, modern: bool, creation: bool) -> None:
        at = 0
        head = (6 if creation else 4) if modern else 8
        while at + head <= len(data):
            if not self.messages:
                raise ValueError("too many messages")
            self.messages -= 1
            kind, length = (
                (data[at], struct.unpack_from("<H", data, at + 1)[0])
                if modern
                else struct.unpack_from("<HH", data, at)
            )
            flags = data[at + 3] if modern else data[at + 4]
            body = data[at + head : at + head + length]
            at += head + length
            if flags & 2:
                self.found.complete = False  # shared: it lies elsewhere
            elif kind == _CONTINUATION:
                self.continuation(body, modern)
            elif kind == _ATTRIBUTE:
                self.attribute(body)
            elif kind == _MANY:
                self.many(body)

    def continuation(self, body: bytes, modern: bool) -> None:
        place = self.offset(body, 0)
        length = int.from_bytes(
            body[self.block.width : self.block.width + self.block.lengths], "little"
        )
        self.waiting.append((place + 4, length - 8) if modern else (place, length))

    def many(self, body: bytes) -> None:
        """Attributes kept in a heap of their own, unless its address is that of nowhere."""
        at = 2 + (2 if body[1] & 1 else 0)
        if (
            int.from_bytes(body[at : at + self.block.width], "little")
            != (1 << 8 * self.block.width) - 1
        ):
            self.found.complete = False

    def attribute(self, body: bytes) -> None:
        version, flags, *sizes = struct.unpack_from("<BBHHH", body)
        if version not in (1, 2, 3) or (version > 1 and flags & 3):
            self.found.complete = False
            return
        at = 8 + (version == 3)
        parts = []
        for size in sizes:
            parts.append(body[at : at + size])
            at += -(-size // 8) * 8 if version == 1 else size
        name, kind, space = parts
        count = self.count(space)
        self.texts(name.rstrip(b"\0").decode("utf-8", "replace"), kind, count, body[at:])

    def count(self, space: bytes) -> int:
        version, rank = space[0], space[1]
        at, whole = 8 if version == 1 else 4, 1
        for _ in range(rank):
            whole *= int.from_bytes(space[at : at + self.block.lengths], "little")
            at += self.block.lengths
        return min(whole, MAX_MESSAGES)

    def texts(self, name: str, kind: bytes, count: int, data: bytes) -> None:
        group, size = kind[0] & 15, struct.unpack_from("<I", kind, 4)[0]
        if group == _FIXED_TEXT and size:
            self.found.texts += [
                (name, data[n * size : (n + 1) * size].rstrip(b"\0"))
                for n in range(count)
                if data[n * size : (n + 1) * size]
            ]
        elif group == _VARIABLE and kind[1] & 15 == 1:
            step = 8 + self.block.width
            for at in range(0, min(count * step, len(data) - step + 1), step):
                length, index = (
                    struct.unpack_from("<I", data, at)[0],
                    struct.unpack_from("<I", data, at + 4 + self.block.width)[0],
                )
                if length:
                    self.found.texts.append(
                        (name, self.heap_object(self.offset(data, at + 4), index)[:length])
                    )

    def heap_object(self, at: int, wanted: int) -> bytes:
        """An object of a global heap collection."""
        if at not in self.heaps:
            head = self.read(at, 8 + self.block.lengths)
            if head[:4] != b"GCOL":
                raise ValueError("there is no global heap")
            self.heaps[at] = self.read(at, int.from_bytes(head[8:], "little"))
        heap, place = self.heaps[at], 8 + self.block.lengths
        while place + 8 + self.block.lengths <= len(heap):
            index, length = (
                struct.unpack_from("<H", heap, place)[0],
                int.from_bytes(heap[place + 8 : place + 8 + self.block.lengths], "little"),
            )
            if not index:
                break
            start = place + 8 + self.block.lengths
            if index == wanted:
                return heap[start : start + length]
            place = start + -(-length // 8) * 8
        raise ValueError("the global heap does not hold the object")

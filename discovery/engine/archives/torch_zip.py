"""Reads the zip archives of ``torch.save`` without extracting anything.

What two programs would read differently is reported.

Source: PKWARE's APPNOTE.TXT 6.3.10 (4.3.7 local header, 4.3.12 directory, 4.3.14 zip64, 4.3.16 end
record).
"""

from __future__ import annotations

import re
import zlib
from struct import Struct
from typing import BinaryIO, NamedTuple

from discovery.engine.core.errors import InvalidHeader
from discovery.engine.core.types import Problem
from discovery.engine.core.vocabulary import Severity

LOCAL_MAGIC = b"PK\x03\x04"
MAX_COMMENT = 65_535
MAX_DIRECTORY_BYTES = 32 << 20
MAX_MEMBERS = 200_000
#: A pickle of 30,000 tensors has 6 MB.
MAX_PICKLE_BYTES = 32 << 20
#: Pickles of checkpoints shrink to a tenth; torch does not compress at all.
MAX_RATIO = 200
SMALL = 1 << 20

_END = Struct("<4s4H2IH")
_END64_LOCATOR = Struct("<4sIQI")
_END64 = Struct("<4sQ2H2I4Q")
_ENTRY = Struct("<4s6H3I5H2I")
_LOCAL = Struct("<4s5H3I2H")
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 1
LEADS_OUT = re.compile(r"\\|^/|^[A-Za-z]:|\0|(^|/)\.\.(/|$)")


class Member(NamedTuple):
    """One member of the archive.

    ``packed`` and ``size`` are bytes in the archive and unpacked; ``offset`` is where the local
    header starts.
    """

    name: str
    method: int
    flags: int
    crc: int
    packed: int
    size: int
    offset: int


class Archive:
    """The directory of ``stream``.

    Raises ``InvalidHeader`` when there is none or it is broken; oddities go into ``problems``.
    """

    def __init__(self, stream: BinaryIO, size: int, *, is_behind: bool = False) -> None:
        """``is_behind``: it may lie in something else, as the labels of a TFLite model do, or a
        checkpoint in a tar archive.
        """
        self.stream = stream
        self.size = size
        self.is_behind = is_behind
        self.problems: list[Problem] = []
        count, length, start = self._find_directory()
        self.directory = start
        self.members = self._read_directory(count, length)
        names = {member.name for member in self.members}
        self.is_checkpoint = any(name.rpartition("/")[2] == "data.pkl" for name in names)
        if len(names) < len(self.members):
            self._tampered(
                "two members have the same name: programs disagree on which one they load"
            )
        if leading_out := [member.name for member in self.members if LEADS_OUT.search(member.name)]:
            self._tampered(
                f"a member is named {leading_out[0][:120]!r}: unpacked, it would land outside the"
                " folder"
            )

    def _tampered(self, text: str, offset: int | None = None) -> None:
        if len(self.problems) < 20:
            self.problems.append(Problem("archive_tampered", text, "", Severity.ERROR, offset))

    def _find_directory(self) -> tuple[int, int, int]:
        """Number of members, bytes and position of the directory."""
        tail_at = max(self.size - MAX_COMMENT - _END.size, 0)
        tail = self._at(self.size - _END.size, _END.size)
        if tail[:4] == b"PK\x05\x06" and tail.endswith(b"\0\0"):
            tail_at = self.size - _END.size
        else:
            tail = self._at(tail_at, self.size - tail_at)
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) - at < _END.size:
            raise InvalidHeader(
                "the archive has no directory at its end: it is cut short", self.size
            )
        _, _, _, _, count, length, start, comment = _END.unpack_from(tail, at)
        end = tail_at + at
        if at + _END.size + comment != len(tail) and not self.is_behind:
            self._tampered("something follows the end of the archive", end)
        if found := self._find_zip64(end):
            count, length, start, end = found
        if length > MAX_DIRECTORY_BYTES or count > MAX_MEMBERS:
            raise InvalidHeader(
                f"the archive claims {count:,} members in a directory of {length:,} bytes", end
            )
        shift = end - length - start
        if shift < 0:
            raise InvalidHeader("the archive's directory lies past its end", end)
        if shift and not self.is_behind:
            self._tampered(
                f"{shift:,} bytes of something else come before the archive: programs disagree on"
                " what the file is",
                0,
            )
        self.shift = shift
        return count, length, start + shift

    def _find_zip64(self, end: int) -> tuple[int, int, int, int] | None:
        located = self._at(end - _END64_LOCATOR.size, _END64_LOCATOR.size)
        if located[:4] != b"PK\x06\x07":
            return None
        for position in (
            end - _END64_LOCATOR.size - _END64.size,
            _END64_LOCATOR.unpack(located)[2],
        ):
            record = self._at(position, _END64.size) if position < end else b""
            if len(record) == _END64.size and record[:4] == b"PK\x06\x06":
                _, _, _, _, _, _, _, count, length, start = _END64.unpack(record)
                return count, length, start, position
        raise InvalidHeader("the archive's zip64 record is missing", end)

    def _at(self, position: int, length: int) -> bytes:
        if position < 0:
            return b""
        self.stream.seek(position)
        return self.stream.read(length)

    def _read_directory(self, count: int, length: int) -> list[Member]:
        data = self._at(self.directory, length)
        members: list[Member] = []
        at = 0
        for _ in range(count):
            if at + _ENTRY.size > len(data):
                raise InvalidHeader("the archive's directory ends early", self.directory + at)
            (
                magic,
                _,
                _,
                flags,
                method,
                _,
                _,
                crc,
                packed,
                size,
                named,
                extra,
                comment,
                _,
                _,
                _,
                offset,
            ) = _ENTRY.unpack_from(data, at)
            at += _ENTRY.size
            if magic != b"PK\x01\x02" or at + named + extra + comment > len(data):
                raise InvalidHeader("the archive's directory is broken", self.directory + at)
            name = data[at : at + named].decode("utf-8", "replace")
            if 0xFFFFFFFF in (packed, size, offset):
                size, packed, offset = _zip64_sizes(
                    data[at + named : at + named + extra], size, packed, offset
                )
            at += named + extra + comment
            offset += self.shift
            if offset + _LOCAL.size + packed > self.directory:
                raise InvalidHeader(
                    f"member {name[:80]!r} lies past the end of the archive", self.directory
                )
            members.append(Member(name, method, flags, crc, packed, size, offset))
        return members

    def read(self, member: Member, limit: int = MAX_PICKLE_BYTES) -> bytes | None:
        """A pickle's bytes, at most ``limit``, or ``None`` when it cannot be unpacked; ``problems``
        says why.
        """
        start = self._check_local(member)
        if max(member.packed, member.size) > limit:
            self._unchecked(member, f"has more than {limit:,} bytes")
            return None
        data = self._at(start, member.packed)
        if member.method == _STORED and member.packed != member.size:
            self._tampered(f"member {member.name[:80]!r} has two sizes", start)
        if member.method == _DEFLATED:
            growth = max(member.packed * MAX_RATIO, SMALL)
            unpacker = zlib.decompressobj(-15)
            try:
                data = unpacker.decompress(data, min(limit, growth) + 1)
            except zlib.error as error:
                raise InvalidHeader(
                    f"member {member.name[:80]!r} cannot be unpacked: {error}", start
                ) from error
            if len(data) > min(limit, growth):
                beyond = (
                    f"more than {MAX_RATIO} times"
                    if growth < limit
                    else f"to more than {limit:,} bytes"
                )
                self._unchecked(member, f"grows {beyond} when it is unpacked")
                return None
        elif member.method != _STORED:
            self._unchecked(
                member, f"is packed by method {member.method}, which torch does not use"
            )
            return None
        if zlib.crc32(data) != member.crc:
            self.problems.append(
                Problem(
                    "checksum_mismatch",
                    f"the checksum of {member.name[:80]!r} is wrong",
                    "",
                    Severity.WARNING,
                    start,
                )
            )
        return data

    def head(self, member: Member, count: int) -> bytes:
        """The first ``count`` bytes, unpacked where they have to be; fewer when there are fewer, or
        when they cannot be unpacked.
        """
        self.stream.seek(member.offset)
        local = self.stream.read(_LOCAL.size)
        if len(local) < _LOCAL.size:
            return b""
        head = self._at(
            member.offset + _LOCAL.size + sum(_LOCAL.unpack(local)[-2:]),
            min(count + 64, member.packed),
        )
        if member.method != _DEFLATED:
            return head[:count] if member.method == _STORED else b""
        try:
            return zlib.decompressobj(-15).decompress(head, count)
        except zlib.error:
            return b""

    def start(self, member: Member) -> int | None:
        """The offset of the data of a stored member; ``None`` for a compressed one.

        Raises ``InvalidHeader``.
        """
        return (
            self._check_local(member)
            if member.method == _STORED and member.packed == member.size
            else None
        )

    def _unchecked(self, member: Member, reason: str) -> None:
        text = f"member {member.name[:80]!r} {reason}: it cannot be checked, do not load it"
        self.problems.append(Problem("unsafe_pickle", text, "", Severity.ERROR, member.offset))

    def _check_local(self, member: Member) -> int:
        """Where the member's data start.

        The local header repeats the directory; where they differ, programs do too.
        """
        local = self._at(member.offset, _LOCAL.size)
        if len(local) < _LOCAL.size or local[:4] != LOCAL_MAGIC:
            raise InvalidHeader(
                f"there is no member {member.name[:80]!r} where the directory says", member.offset
            )
        _, _, flags, method, _, _, _, _, _, named, extra = _LOCAL.unpack(local)
        name = self._at(member.offset + _LOCAL.size, named).decode("utf-8", "replace")
        if name != member.name:
            self._tampered(f"member {member.name[:80]!r} calls itself {name[:80]!r}", member.offset)
        if (flags | member.flags) & _ENCRYPTED and self.is_checkpoint:
            self._tampered(
                f"member {member.name[:80]!r} is marked as encrypted, which torch ignores",
                member.offset,
            )
        if method != member.method:
            self._tampered(
                f"member {member.name[:80]!r} is packed in one way by the directory and in another"
                " by itself",
                member.offset,
            )
        return member.offset + _LOCAL.size + int(named) + int(extra)


def _zip64_sizes(extra: bytes, *values: int) -> list[int]:
    """Size, packed size and offset, those that did not fit taken from the zip64 field in this
    order.
    """
    at = 0
    while at + 4 <= len(extra):
        kind, length = (
            int.from_bytes(extra[at : at + 2], "little"),
            int.from_bytes(extra[at + 2 : at + 4], "little"),
        )
        if kind == 1:
            numbers = iter(
                [
                    int.from_bytes(extra[n : n + 8], "little")
                    for n in range(at + 4, min(at + 4 + length, len(extra)) - 7, 8)
                ]
            )
            return [next(numbers, value) if value == 0xFFFFFFFF else value for value in values]
        at += 4 + length
    return list(values)

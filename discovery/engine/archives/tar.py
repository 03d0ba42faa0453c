"""Tar archives, walked by their headers: nothing is extracted, the data of members are passed over.

Source: the POSIX ustar and pax formats (IEEE Std 1003.1, ``pax``) and GNU's long names (``tar``
manual, "Basic Tar Format").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from discovery.engine.core.errors import InvalidHeader

RECORD = 512
#: Of a long name, or of the extended attributes of one member.
MAX_EXTENDED = 64 << 10
LINKS = frozenset({"1", "2"})
#: Links, devices, folders, pipes: what has no data, whatever length its header claims. (Python's
#: ``tarfile`` takes the rest for files.)
_WITHOUT_DATA = LINKS | frozenset({"3", "4", "5", "6"})


class TarMember(NamedTuple):
    """One member of a tar archive.

    ``kind`` is the type flag; ``start`` and ``size`` locate its data; ``link`` is the target of a
    link.
    """

    name: str
    kind: str
    start: int
    size: int
    link: str = ""

    @property
    def is_file(self) -> bool:
        return self.kind not in _WITHOUT_DATA

    @property
    def following(self) -> int:
        """Where the next header is."""
        return self.start + (-(-self.size // RECORD) * RECORD if self.is_file else 0)


def member(record: bytes, start: int = 0) -> TarMember:
    """The member that a header record describes. Raises ``InvalidHeader`` when it is none."""
    checksum = _octal(record[148:156])
    if len(record) < RECORD or checksum is None:
        raise InvalidHeader("a tar header has no checksum")
    total = sum(record) - sum(record[148:156]) + 8 * 32
    # Some old programs took the bytes for signed numbers, and Python's tarfile accepts their sums.
    if checksum not in (
        total,
        total - 256 * sum(byte > 127 for byte in record[:148] + record[156:]),
    ):
        raise InvalidHeader("a tar header's checksum is wrong")
    size = int.from_bytes(record[125:136], "big") if record[124] & 0x80 else _octal(record[124:136])
    if size is None:
        raise InvalidHeader("a tar header has no length")
    prefix = record[345:500].rstrip(b"\0") if record[257:263] == b"ustar\0" else b""
    name = b"/".join(part for part in (prefix, record[:100].split(b"\0")[0]) if part)
    link = record[157:257].split(b"\0")[0]
    return TarMember(
        name.decode("utf-8", "replace"),
        chr(record[156]),
        start,
        size,
        link.decode("utf-8", "replace"),
    )


def is_tar(head: bytes) -> bool:
    """Whether the first record is a member's."""
    if len(head) < RECORD or not _octal(head[148:156]):
        return False
    try:
        member(head[:RECORD])
    except InvalidHeader:
        return False
    return True


def members(stream: BinaryIO, size: int) -> Iterator[TarMember]:
    """Every member of ``stream``, with its long name where it has one.

    Raises ``InvalidHeader`` where the archive breaks off.
    """
    position = 0
    told: dict[str, str] = {}
    while True:
        if position + RECORD > size:
            raise InvalidHeader(
                "the archive has no end, as after an interrupted download", position
            )
        stream.seek(position)
        record = stream.read(RECORD)
        if not record.strip(b"\0"):
            return
        found = member(record, position + RECORD)
        if found.kind == "S" and record[482]:
            raise InvalidHeader(
                f"member {found.name[:80]!r} is stored with holes, which is not followed", position
            )
        if found.kind in "LKxg":
            if found.size > MAX_EXTENDED:
                raise InvalidHeader(f"a name or its attributes take {found.size:,} bytes", position)
            _extend(told, found.kind, stream.read(found.size))
        else:
            found = _named(found, told)
            told = {}
            yield found
        position = found.following


def _extend(told: dict[str, str], kind: str, data: bytes) -> None:
    """What the next member is called and how long it is: GNU's ``L`` and ``K``, or the ``length
    key=value`` lines of pax.
    """
    if kind in "LK":
        told["path" if kind == "L" else "linkpath"] = data.split(b"\0")[0].decode(
            "utf-8", "replace"
        )
        return
    while data:
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or not 0 < int(length[:9]) <= len(data):
            return
        pair, data = data[len(length) + 1 : int(length)], data[int(length) :]
        key, _, value = pair.rstrip(b"\n").partition(b"=")
        told[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")


def _named(found: TarMember, told: dict[str, str]) -> TarMember:
    size = told.get("size", "")
    return found._replace(
        name=told.get("path", found.name),
        link=told.get("linkpath", found.link),
        size=int(size) if size.isdecimal() and len(size) < 19 else found.size,
    )


def _octal(field: bytes) -> int | None:
    """A number as Python's tarfile reads it: up to a NUL, in whatever notation its ``int`` takes, 0
    when there is none. ``None``: no number.
    """
    try:
        return int(field.partition(b"\0")[0].strip() or b"0", 8)
    except ValueError:
        return None

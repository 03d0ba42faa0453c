"""Recognizes what may hide a pickle by its first bytes, and unpacks it within limits.

Sources: RFC 1950 to 1952 (zlib, deflate, gzip), RFC 8878 (zstd), the bzip2, xz and lz4 file
formats, ``joblib/compressor.py``, ``numpy/lib/format.py``.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import lz4.frame
import zstandard

from discovery.engine.archives import tar
from discovery.engine.core.errors import InvalidHeader
from discovery.engine.pickles.pickle_machine import INSTRUCTIONS

#: What ``kinds`` needs to see.
HEAD_BYTES = 512
BLOCK = 64 << 10
#: numpy refuses headers longer than 10,000 bytes unless it is told to unpickle.
MAX_NPY_HEADER = 64 << 10

#: What xz may ask for at its highest level.
MAX_DICTIONARY = 96 << 20

#: First bytes of what is packed by a codec that is known here, and of what is not.
_PACKED = (
    (b"\x1f\x8b\x08", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"\x5d\0", "lzma"),
    (b"ZF0x", "zlib"), (b"\x78\x01", "zlib"),
    (b"\x78\x5e", "zlib"), (b"\x78\x9c", "zlib"), (b"\x78\xda", "zlib"),
    (b"\x28\xb5\x2f\xfd", "zstd"), (b"\x04\x22\x4d\x18", "lz4"),
)  # fmt: skip
_OPAQUE = (
    (b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07", "rar"), (b"MSCF\0\0\0\0", "cabinet"),
    (b"\x1f\x9d", "compress"), (b"\x1f\xa0", "compress"),
    (b"LZIP\x01", "lzip"), (b"\x89LZO\0\r\n", "lzop"), (b"xar!\0", "xar"),
    (b"\xff\x06\0\0sNaPpY", "snappy"), (b"\x02\x21\x4c\x18", "old lz4"),
)  # fmt: skip
NPY_MAGIC = b"\x93NUMPY"
_LZMA = (".xz", ".lzma", ".XZ", ".LZMA")
#: What any of these start with.
_FIRST = frozenset({magic[0] for magic, _ in (*_PACKED, *_OPAQUE)}) | {
    NPY_MAGIC[0],
    *range(0x50, 0x60),
}
#: How the record starts that a zip archive ends with.
END_RECORD = b"PK\x05\x06"

#: Suffixes of files that somebody unpickles.
PICKLED = (
    ".pkl", ".pickle", ".p", ".dill", ".joblib", ".pt", ".pth", ".ckpt", ".npy", ".npz",
    ".cloudpickle", ".sav", ".pdparams", ".pdopt",
    ".jit", ".pt2", ".ptl", ".mar", ".torchscript", ".t7", ".pth.tar",
)  # fmt: skip
_SUFFIXES_OF_CODECS = (".gz", ".bz2", ".xz", ".lzma", ".zlib", ".z", ".zst", ".zstd", ".lz4")

#: What numpy writes for numbers and plain text; everything else may be or hold objects, which are
#: pickled.
_PLAIN_ARRAY = re.compile(
    rb"""\s*\{\s*'descr'\s*:\s*'[<>|=]?[?biufcSUVmM]\d*(?:\[\w+\])?'\s*,"""
    rb"""[^'"\\]*'fortran_order'[^'"\\]*'shape'[^'"\\]*\}\s*"""
)
#: And for records whose fields are all such numbers: the nodes of a tree.
_FIELD = rb"\('[\w .-]*', '[<>|=]?[?biufcSUVmM]\d*'(?:, \([\d, ]*\))?\)(?:, )?"
_PLAIN_RECORDS = re.compile(
    rb"\s*\{\s*'descr'\s*:\s*\[(?:" + _FIELD + rb")+\],"
    rb"""[^'"\\]*'fortran_order'[^'"\\]*'shape'[^'"\\]*\}\s*"""
)


def looks_like_pickle(head: bytes) -> bool:
    """Protocol 2 and later say so in their first two bytes; lower ones may."""
    return head[:1] == b"\x80" and head[1:2] in (b"\0", b"\x01", b"\x02", b"\x03", b"\x04", b"\x05")


def codec(head: bytes, name: str = "") -> str | None:
    known = next((codec for magic, codec in _PACKED if head.startswith(magic)), None)
    # LZMA may start with other bytes, where the name says it all.
    return known or ("lzma" if head[:1] < b"\xe1" and name.endswith(_LZMA) else None)


def opaque(head: bytes) -> str | None:
    """What it is packed by when nothing here can unpack it."""
    if head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F:
        return "zstd or lz4 behind a frame to be skipped"
    return next((name for magic, name in _OPAQUE if head.startswith(magic)), None)


def kinds(head: bytes, name: str = "", tail: bytes = b"") -> tuple[str, ...]:
    """Every reading that a loader could give a file: ``zip``, ``npy``, ``packed``, ``opaque``,
    ``tar``, ``pickle`` (what says so), ``perhaps``.

    ``head`` are the first :data:`HEAD_BYTES`, ``tail`` is the end of the file where it is known,
    ``name`` is what it is called.
    """
    if not head:
        return ()
    found = []
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06") or END_RECORD in tail:
        found.append("zip")
    is_marked = head[0] in _FIRST
    if is_marked and head.startswith(NPY_MAGIC):
        found.append("npy")
    if (is_marked or name.endswith(_LZMA)) and codec(head, name):
        found.append("packed")
    if is_marked and opaque(head):
        found.append("opaque")
    if tar.is_tar(head):
        found.append("tar")
    if looks_like_pickle(head):
        found.append("pickle")
    elif head[0] in INSTRUCTIONS:
        found.append("perhaps")
    return tuple(found)


def is_pickled(name: str) -> bool:
    """Whether a loader that unpickles is what opens a file of this name."""
    return inner_name(name.lower()).endswith(PICKLED)


def inner_name(name: str) -> str:
    """``model.pkl`` of ``model.pkl.gz``."""
    suffix = next((suffix for suffix in _SUFFIXES_OF_CODECS if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def array_header(head: bytes) -> int:
    """How many bytes of a ``.npy`` come before its data.

    Raises ``InvalidHeader`` when they are more than an array can need.
    """
    start = 10 if head[6:7] == b"\x01" else 12
    length = int.from_bytes(head[8:start], "little")
    if len(head) < start or length > MAX_NPY_HEADER:
        raise InvalidHeader(f"the header of the array claims {length:,} bytes")
    return start + length


def is_plain_array(header: bytes) -> bool:
    """Whether a ``.npy`` with this header contains numbers or text.

    Anything else may be objects, which numpy unpickles.
    """
    start = 10 if header[6:7] == b"\x01" else 12
    return any(plain.fullmatch(header, start) for plain in (_PLAIN_ARRAY, _PLAIN_RECORDS))


def unpacked(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """What ``stream`` holds, packed by the codec ``name``, in blocks.

    Parts that follow each other are one. Raises ``InvalidHeader``.
    """
    stream.seek(0)
    data = stream.read(BLOCK)
    if data.startswith(b"ZF0x"):  # joblib before 0.10: the length as text, then zlib
        data = data[data.find(b"\x78", 4) :]
    try:
        while True:
            unpacker = _unpacker(name)
            while not unpacker.eof:
                block = unpacker.decompress(data, BLOCK)
                data = getattr(unpacker, "unconsumed_tail", b"")
                if block:
                    yield block
                elif not data and getattr(unpacker, "needs_input", True) and not unpacker.eof:
                    data = stream.read(BLOCK)
                    if not data:
                        raise InvalidHeader("what is packed in it ends early")
            data = (unpacker.unused_data or stream.read(BLOCK)).lstrip(b"\0")
            if codec(data) != name:
                return
    except (
        zlib.error,
        OSError,
        lzma.LZMAError,
        EOFError,
        ValueError,
        RuntimeError,
        zstandard.ZstdError,
    ) as error:
        raise InvalidHeader(f"it cannot be unpacked: {str(error)[:120]}") from error


def _unpacker(name: str) -> Any:
    if name == "bzip2":
        return bz2.BZ2Decompressor()
    if name in ("xz", "lzma"):
        return lzma.LZMADecompressor(
            lzma.FORMAT_XZ if name == "xz" else lzma.FORMAT_ALONE, memlimit=MAX_DICTIONARY
        )
    if name == "lz4":
        return lz4.frame.LZ4FrameDecompressor()
    if name == "zstd":
        return _Zstd()
    return zlib.decompressobj({"gzip": 31, "zlib": 15}.get(name, -15))


class _Zstd:
    """A zstd frame, decoded in pieces that grow to a few megabytes at most."""

    PIECE = 256

    def __init__(self) -> None:
        self._unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_DICTIONARY).decompressobj()
        self.unconsumed_tail = b""

    @property
    def eof(self) -> bool:
        return self._unpacker.eof

    @property
    def unused_data(self) -> bytes:
        return self._unpacker.unused_data + self.unconsumed_tail

    def decompress(self, data: bytes, _limit: int) -> bytes:
        piece, self.unconsumed_tail = data[: self.PIECE], data[self.PIECE :]
        return self._unpacker.decompress(piece)


class _Window:
    """``size`` bytes of ``stream`` from ``start``, as a stream.

    The place in ``stream`` is set before every read: windows may share one.
    """

    def __init__(self, stream: BinaryIO, start: int, size: int) -> None:
        self.stream = stream
        self.start = start
        self.size = size
        self.position = 0

    def seek(self, position: int) -> int:
        self.position = position
        return position

    def read(self, count: int) -> bytes:
        self.stream.seek(self.start + self.position)
        data = self.stream.read(max(min(count, self.size - self.position), 0))
        self.position += len(data)
        return data


def gzip_start(stream: BinaryIO, count: int) -> bytes:
    """The first ``count`` bytes of what gzip has packed, fewer where there are fewer.

    Raises ``InvalidHeader`` for what no gzip wrote.
    """
    stream.seek(0)
    try:
        return zlib.decompressobj(31).decompress(stream.read(count + 1_024), count)
    except zlib.error as error:
        raise InvalidHeader(f"gzip cannot unpack its first bytes: {error}") from error


def window(stream: BinaryIO, start: int, size: int) -> BinaryIO:
    """A part of ``stream`` as a file of its own, of which readers here use ``seek(position)`` and
    ``read(count)``.
    """
    return cast("BinaryIO", _Window(stream, start, size))

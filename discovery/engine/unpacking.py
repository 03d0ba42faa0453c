"""What may hide a pickle, told by its first bytes, and unpacking that never goes further than it is asked to.

Sources: RFC 1950 to 1952 (zlib, deflate, gzip), the bzip2 and xz file formats, ``joblib/compressor.py``, ``numpy/lib/format.py``.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from discovery.engine import tar
from discovery.engine.errors import InvalidHeader

#: What ``kind`` needs to see.
HEAD_BYTES = 512
BLOCK = 64 << 10
#: numpy refuses headers longer than 10,000 bytes unless it is told to unpickle.
MAX_NPY_HEADER = 64 << 10

#: What xz may ask for at its highest level.
MAX_DICTIONARY = 96 << 20

#: First bytes of what is packed by a codec of Python's library, and of what is not.
_PACKED = (
    (b"\x1f\x8b\x08", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"\x5d\0\0", "lzma"), (b"ZF0x", "zlib"), (b"\x78\x01", "zlib"),
    (b"\x78\x5e", "zlib"), (b"\x78\x9c", "zlib"), (b"\x78\xda", "zlib"),
)  # fmt: skip
_OPAQUE = (
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
)
NPY_MAGIC = b"\x93NUMPY"

#: Suffixes of files that somebody unpickles.
PICKLED = (
    ".pkl",
    ".pickle",
    ".dill",
    ".joblib",
    ".pt",
    ".pth",
    ".ckpt",
    ".npy",
    ".npz",
    ".cloudpickle",
)
_SUFFIXES_OF_CODECS = (".gz", ".bz2", ".xz", ".lzma", ".zlib", ".z")

#: How a pickle of protocol 0 or 1 starts: containers, then an import of two names; or the marks that Python's own picklers write.
_TEXT_PICKLE = re.compile(
    rb"[(\]})]{0,8}c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n|\((?:[SVIFL][^\n]*\n){0,8}i[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n|\((?:d|l|t)p\d+\n|[\]}]q\0"
)
#: Instructions of later protocols that no text starts with: a pickle need not say its protocol.
_BINARY_START = re.compile(rb"[\x88-\x8f\x93\x95-\x97]|[(\]})]{1,8}[\x88-\x8f\x93\x95-\x97]")

#: What numpy writes for numbers and plain text; everything else may be or hold objects, which are pickled.
_PLAIN_ARRAY = re.compile(
    rb"""\s*\{\s*'descr'\s*:\s*'[<>|=]?[?biufcSUVmM]\d*(?:\[\w+\])?'\s*,[^'"\\]*'fortran_order'[^'"\\]*'shape'[^'"\\]*\}\s*"""
)


def looks_like_pickle(head: bytes) -> bool:
    """Protocol 2 and later say so in their first two bytes; lower ones may."""
    return head[:1] == b"\x80" and head[1:2] in (b"\0", b"\x01", b"\x02", b"\x03", b"\x04", b"\x05")


def codec(head: bytes) -> str | None:
    return next((name for magic, name in _PACKED if head.startswith(magic)), None)


def opaque(head: bytes) -> str | None:
    """What it is packed by when nothing here can unpack it."""
    return next((name for magic, name in _OPAQUE if head.startswith(magic)), None)


def kind(head: bytes, name: str = "") -> str | None:
    """``zip``, ``tar``, ``packed``, ``opaque``, ``npy``, ``pickle``, ``perhaps`` a pickle, or ``None`` for what nobody unpickles.

    ``head`` are the first :data:`HEAD_BYTES`, ``name`` is what the file or member is called.
    """
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    if looks_like_pickle(head):
        return "pickle"
    if head.startswith(NPY_MAGIC):
        return "npy"
    if codec(head):
        return "packed"
    if opaque(head):
        return "opaque"
    if tar.is_tar(head):
        return "tar"
    if is_pickled(name) or _TEXT_PICKLE.match(head) or _BINARY_START.match(head):
        return "perhaps"
    return None


def is_pickled(name: str) -> bool:
    """Whether a loader that unpickles is what opens a file of this name."""
    return inner_name(name.lower()).endswith(PICKLED)


def inner_name(name: str) -> str:
    """``model.pkl`` of ``model.pkl.gz``."""
    suffix = next((suffix for suffix in _SUFFIXES_OF_CODECS if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def array_header(head: bytes) -> int:
    """How many bytes of a ``.npy`` come before its data. Raises ``InvalidHeader`` when they are more than an array can need."""
    start = 10 if head[6:7] == b"\x01" else 12
    length = int.from_bytes(head[8:start], "little")
    if len(head) < start or length > MAX_NPY_HEADER:
        raise InvalidHeader(f"the header of the array claims {length:,} bytes")
    return start + length


def is_plain_array(header: bytes) -> bool:
    """Whether a ``.npy`` with this header holds numbers or text; anything else may be objects, which numpy unpickles."""
    return _PLAIN_ARRAY.fullmatch(header, 10 if header[6:7] == b"\x01" else 12) is not None


def unpacked(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """What ``stream`` holds, packed by the codec ``name``, in blocks. Parts that follow each other are one. Raises ``InvalidHeader``."""
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
    except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError) as error:
        raise InvalidHeader(f"it cannot be unpacked: {str(error)[:120]}") from error


def _unpacker(name: str) -> Any:
    if name == "bzip2":
        return bz2.BZ2Decompressor()
    if name in ("xz", "lzma"):
        return lzma.LZMADecompressor(
            lzma.FORMAT_XZ if name == "xz" else lzma.FORMAT_ALONE, memlimit=MAX_DICTIONARY
        )
    return zlib.decompressobj({"gzip": 31, "zlib": 15}.get(name, -15))


class _Window:
    """``size`` bytes of ``stream`` from ``start``, as a stream. The place in ``stream`` is set before every read: windows may share one."""

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


def window(stream: BinaryIO, start: int, size: int) -> BinaryIO:
    """A part of ``stream`` as a file of its own, of which readers here use ``seek(position)`` and ``read(count)``."""
    return cast("BinaryIO", _Window(stream, start, size))

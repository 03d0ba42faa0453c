"""What a file that no reader knows may be: a guess by its first bytes, for a person who wonders.

Sources of the first bytes: the formats' own specifications, as file(1) lists them.
"""

from __future__ import annotations

from typing import NamedTuple

from discovery.engine.core import executables, files
from discovery.engine.core.types import FileEntry

#: What is read of a file, once.
FIRST_BYTES = 4_096
#: What is kept of that.
SHOWN_BYTES = 16

_UNFINISHED = (
    ".part", ".partial", ".aria2", ".crdownload", ".incomplete", ".download", ".tmp", ".!qb",
)  # fmt: skip
#: (offset, bytes, what it is)
_KINDS = (
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "gzip-compressed data"),
    (0, b"BZh", "bzip2-compressed data"),
    (0, b"\xfd7zXZ\0", "xz-compressed data"),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard-compressed data"),
    (0, b"\x04\x22\x4d\x18", "LZ4-compressed data"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"hsqs", "a SquashFS image"),
    (0, b"QFI\xfb", "a QEMU disk image"),
    (0, b"SQLite format 3\0", "a SQLite database"),
    (0, b"PAR1", "a Parquet table"),
    (0, b"ARROW1", "an Arrow table"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x89PNG\r\n", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"GIF8", "a GIF picture"),
    (0, b"II*\0", "a TIFF picture"),
    (0, b"MM\0*", "a TIFF picture"),
    (8, b"WEBP", "a WebP picture"),
    (8, b"WAVE", "a WAV recording"),
    (8, b"AVI ", "an AVI video"),
    (4, b"ftyp", "an MP4 video or recording"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (0, b"fLaC", "a FLAC recording"),
    (0, b"OggS", "an Ogg recording or video"),
    (0, b"ID3", "an MP3 recording"),
    (0, b"GGUF", "a GGUF file"),
    (0, b"vmlinuz", "a Linux kernel"),
)


class Glimpse(NamedTuple):
    """``first_bytes`` are at most ``SHOWN_BYTES``; ``guess`` is empty where nothing is like it."""

    first_bytes: bytes
    guess: str


def look(root: str, entry: FileEntry) -> Glimpse:
    """Read the first 4 kB of a file below ``root`` (absolute), or report that it cannot be read."""
    try:
        head = files.read_file(root, entry, FIRST_BYTES)
    except OSError as error:
        return Glimpse(b"", f"cannot be read: {error.strerror or error}")
    return Glimpse(head[:SHOWN_BYTES], guess(head, entry.name))


def guess(head: bytes, name: str) -> str:
    """What a file that begins with ``head`` may be, as a noun phrase; empty for no idea."""
    if name.lower().endswith(_UNFINISHED):
        return "an unfinished download"
    if program := executables.what(head, name):
        return program[0]
    for offset, magic, what in _KINDS:
        if head[offset : offset + len(magic)] == magic:
            return what
    if head and not head.strip(b"\0"):
        return "only zeros at first: a preallocated or unfinished file"
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return "a Python pickle"
    return _text(head)


def _text(head: bytes) -> str:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # not merely a character that is cut off
            return ""
        text = head[: error.start].decode("utf-8")
    if not text or any(ord(letter) < 32 and letter not in "\t\n\r\f" for letter in text):
        return ""
    return "JSON" if text.lstrip()[:1] in ("{", "[") else "text"

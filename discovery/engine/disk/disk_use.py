"""How many bytes removing files frees, with hard and symbolic links counted correctly."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from discovery.engine.core.paths import to_native, to_text

FILE, LINK, FOLDER = "file", "link", "folder"


class DiskEntry(NamedTuple):
    """One directory entry.

    ``path`` is relative to its root; ``held`` are the bytes that its content takes on the disk.

    ``identity`` is the content's (device, inode), ``names`` how many entries lead to it: the bytes
    come back with the last of them.
    """

    path: str
    kind: str
    size: int
    held: int = 0
    identity: tuple[int, int] = (0, 0)
    names: int = 1
    mtime_ns: int = 0


def piece(root: str, path: str) -> DiskEntry | None:
    """The entry as it is now; ``None`` if it is missing, a pipe or a device.

    Links are not followed.
    """
    return piece_of(to_text(path), to_native(root, path))


def piece_of(path: str, absolute: str) -> DiskEntry | None:
    try:
        status = os.lstat(absolute)
    except (OSError, ValueError):
        return None
    if stat.S_ISLNK(status.st_mode):
        return DiskEntry(path, LINK, 0, mtime_ns=status.st_mtime_ns)
    if stat.S_ISDIR(status.st_mode):
        return DiskEntry(path, FOLDER, 0, mtime_ns=status.st_mtime_ns)
    if not stat.S_ISREG(status.st_mode):
        return None
    blocks = getattr(status, "st_blocks", None)  # in 512 bytes; not told on Windows
    held = status.st_size if blocks is None else min(status.st_size, blocks * 512)
    return DiskEntry(
        path,
        FILE,
        status.st_size,
        held,
        (status.st_dev, status.st_ino),
        status.st_nlink,
        status.st_mtime_ns,
    )


def freed(pieces: Iterable[DiskEntry]) -> int:
    """Bytes that removing all of ``pieces`` frees.

    A file only counts where none of its names stays.
    """
    gone: Counter[tuple[int, int]] = Counter()
    files: dict[tuple[int, int], DiskEntry] = {}
    for entry in {each.path: each for each in pieces if each.kind == FILE}.values():
        gone[entry.identity] += 1
        files[entry.identity] = entry
    return sum(entry.held for identity, entry in files.items() if gone[identity] >= entry.names)

"""Opens the files that the walk found: only regular files, never links or pipes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from discovery.engine.core.heartbeat import beat
from discovery.engine.core.types import FileEntry

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def opened(root: str, entry: FileEntry) -> BinaryIO:
    """The file of ``entry``, open for reading.

    Raises ``OSError`` when it is gone, forbidden or no longer a regular file.
    """
    beat()
    descriptor = os.open(os.path.join(root, entry.link or entry.path), _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is not a regular file")
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


@contextmanager
def open_file(root: str, entry: FileEntry) -> Iterator[BinaryIO]:
    """The same, closed in the end."""
    with opened(root, entry) as stream:
        yield stream


def glimpse(root: str, entry: FileEntry, head: int, tail: int) -> tuple[bytes, bytes]:
    """The first ``head`` bytes and the last ``tail`` bytes of a file.

    A file that is no longer than ``head`` has its end in the first part. One open, two reads at
    most.
    """
    descriptor = os.open(os.path.join(root, entry.link or entry.path), _FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is not a regular file")
        start = os.read(descriptor, head)
        if status.st_size <= len(start):
            return start, start[-tail:]
        os.lseek(descriptor, max(status.st_size - tail, 0), os.SEEK_SET)
        return start, os.read(descriptor, tail)
    finally:
        os.close(descriptor)


def read_file(root: str, entry: FileEntry, limit: int) -> bytes:
    """Up to ``limit`` bytes from the start, with as few system calls as possible.

    For files that are read by the thousand.
    """
    beat()
    descriptor = os.open(os.path.join(root, entry.link or entry.path), _FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is not a regular file")
        wanted = min(limit, status.st_size)
        parts = [os.read(descriptor, wanted)]
        while parts[-1] and sum(map(len, parts)) < wanted:
            parts.append(os.read(descriptor, wanted - sum(map(len, parts))))
        return b"".join(parts)
    finally:
        os.close(descriptor)

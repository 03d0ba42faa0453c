"""A lock among all processes of this host.

It is a lock on a file in the data folder, which the system frees when its holder dies.

The locking is filelock's. Its fallback to files whose mere existence is the lock stays off: a
killed process would leave one behind.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import FileLock

POLL = 0.2


class Held(Exception):
    """Somebody else holds the lock; the text is what they wrote into the file about themselves."""


@contextmanager
def host_lock(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock.

    While somebody else does, ``waiting`` is called a few times a second; what it raises ends the
    waiting.

    Raises ``OSError`` when the file cannot be opened.
    """
    lock = _lock(path)
    while not _take(lock):
        waiting()
        time.sleep(POLL)
    with _released(lock):
        yield


@contextmanager
def only_one(path: Path, about: str) -> Iterator[None]:
    """Hold the lock, with ``about`` in the file for others to read.

    A file that a dead process left is nobody's.

    Raises ``Held``, or ``OSError`` when the file cannot be opened or written.
    """
    opened: list[int] = []

    def tell(descriptor: int) -> None:
        # Windows lets no other descriptor write to a file that is locked.
        opened.append(descriptor)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, about.encode())

    lock = _lock(path, tell)
    if not _take(lock):
        raise Held(_written(path))
    with _released(lock):
        yield
        os.ftruncate(opened[0], 0)


@contextmanager
def tried(path: Path) -> Iterator[bool]:
    """Take the lock if it is free; yield whether it was.

    Raises ``OSError`` when the file cannot be opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = _lock(path)
    if not _take(lock):
        yield False
        return
    with _released(lock):
        yield True


def _lock(path: Path, on_acquired: Callable[[int], None] | None = None) -> FileLock:
    from filelock import FileLock  # with the first lock: most commands take none

    return FileLock(path, fallback_to_soft=False, preserve_lock_file=True, on_acquired=on_acquired)


def _take(lock: FileLock) -> bool:
    from filelock import Timeout

    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


@contextmanager
def _released(lock: FileLock) -> Iterator[None]:
    try:
        yield
    finally:
        lock.release()


def _written(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(300).decode(errors="replace")
    except PermissionError:  # Windows lets nobody read what is locked
        return ""

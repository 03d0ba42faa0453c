"""One at a time on this host, among all its processes: a lock on a file in the data folder, which the system frees when its holder dies."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

POLL = 0.2


@contextmanager
def host_lock(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds the lock. While somebody else does, ``waiting`` is called a few times a second; what it raises ends the waiting.

    Raises ``OSError`` when the file cannot be opened.
    """
    with path.open("ab") as file:
        while not _take(file):
            waiting()
            time.sleep(POLL)
        yield


def _take(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True

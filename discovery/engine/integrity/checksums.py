"""All bytes of a file, read once: SHA-256 and BLAKE3 side by side, and samples of its weights on
the way.

One thread computes SHA-256 while the other computes BLAKE3 of the same buffer and reads the next
one: both libraries let go of Python's lock. On two cores that is faster than giving BLAKE3 threads
of its own.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from blake3 import blake3

from discovery.engine.core.files import open_file, read_file
from discovery.engine.core.types import FileEntry
from discovery.engine.integrity.weight_samples import WeightSamples, sampler
from discovery.engine.sidecars import lfs

#: Bytes read at a time, in turn into two buffers of this size: all the memory that a file of any
#: size takes. Small enough that a slow disk gives one in about a second, which is how soon a
#: reading can be stopped.
CHUNK_BYTES = 1 << 20
#: A throttled reading sleeps no longer than this at a stretch.
NAP_SECONDS = 0.2

#: Called with the number of bytes read since the last call, 0 while a throttled reading sleeps.
#: What it raises ends the reading.
Tick = Callable[[int], None]


class Changed(Exception):
    """The file was written while it was read: the checksums describe no state that was ever on
    disk.
    """


@dataclass(frozen=True, slots=True)
class Reading:
    """The content of the file.

    ``sampled`` floating-point values were examined, ``nonfinite`` of them are NaN or infinite.
    """

    size: int
    mtime_ns: int
    sha256: str
    blake3: str
    sampled: int = 0
    nonfinite: int = 0


def read(root: str, entry: FileEntry, tick: Tick, *, bytes_per_second: int = 0) -> Reading:
    """Reads the file of ``entry`` from its first byte to its last, no faster than
    ``bytes_per_second`` (0: as fast as it goes).

    Raises ``OSError`` when it cannot be read, ``Changed``, and whatever ``tick`` raises.
    """
    with open_file(root, entry) as stream:
        before = os.fstat(stream.fileno())
        samples = sampler(stream, before.st_size)
        with io.FileIO(stream.fileno(), closefd=False) as file:
            file.seek(0)
            sha256, blake3_ = _digest(file, before.st_size, samples, tick, bytes_per_second)
        after = os.fstat(stream.fileno())
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise Changed
    return Reading(
        before.st_size, before.st_mtime_ns, sha256, blake3_, samples.sampled, samples.nonfinite
    )


def pointer(root: str, entry: FileEntry) -> lfs.Pointer | None:
    """The git-lfs pointer in place of the file, if there is one. Raises ``OSError``."""
    return (
        lfs.read(read_file(root, entry, lfs.MAX_POINTER_BYTES))
        if entry.size <= lfs.MAX_POINTER_BYTES
        else None
    )


def _digest(
    file: io.FileIO, size: int, samples: WeightSamples, tick: Tick, bytes_per_second: int
) -> tuple[str, str]:
    first, second = hashlib.sha256(), blake3()
    # One byte more than the file has: that it ends, or that it grew, shows without another buffer.
    buffers = cycle([memoryview(bytearray(min(size + 1, CHUNK_BYTES))) for _ in range(2)])
    position, started, earlier = 0, time.monotonic(), _over()
    # Left only when no thread reads from the buffers any more.
    with ThreadPoolExecutor(max_workers=1) as aside:
        while count := file.readinto(buffer := next(buffers)):
            chunk = buffer[:count]
            running = aside.submit(first.update, chunk)
            second.update(chunk)
            samples.take(chunk, position)
            position += count
            if position > size:
                raise Changed
            tick(count)
            earlier.result()  # the other buffer is free
            earlier = running
            if bytes_per_second:
                _wait(started + position / bytes_per_second, tick)
        earlier.result()
    if position != size:
        raise Changed
    return first.hexdigest(), second.hexdigest()


def _over() -> Future[Any]:
    """A piece of work that is done already."""
    future: Future[Any] = Future()
    future.set_result(None)
    return future


def _wait(until: float, tick: Tick) -> None:
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, NAP_SECONDS))
        tick(0)

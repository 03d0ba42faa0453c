"""Slots for jobs that read the roots.

There are fewer than workers, so that whatever a disk does, one worker is left for all other tasks.

A slot is a lock on a file in the data folder, which the system frees when its holder dies. A job
that finds none stays queued; whoever releases a slot puts queued jobs on the queue again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from django.conf import settings

from discovery.services.core.file_lock import tried

Result = TypeVar("Result")


def seats() -> int:
    """How many pieces of work may read the roots at once on this host."""
    return max(int(settings.Q_CLUSTER["workers"]) - 1, 1)


@contextmanager
def seat(*, long: bool = False) -> Iterator[bool]:
    """Hold a slot, if one is free.

    Work that may take hours (``long``) leaves the last one to scans, where there are several.

    Raises ``OSError`` when the data folder cannot be written.
    """
    numbers = range(1, max(seats() - 1, 1) + 1) if long else range(seats(), 0, -1)
    for number in numbers:
        with tried(Path(settings.DATA_DIR) / f"seat-{number}.lock") as taken:
            if taken:
                yield True
                return
    yield False


def seated(
    work: Callable[[], Result],
    otherwise: Result,
    *,
    afterwards: Callable[[], object],
    long: bool = False,
) -> Result:
    """What ``work`` returns; ``otherwise`` where no seat is free.

    ``afterwards`` puts on the queue again what was turned away meanwhile.

    A job that finds no slot had its row written before, so that the holder of a slot sees it when
    releasing the slot.
    """
    taken = False
    try:
        with seat(long=long) as taken:
            return work() if taken else otherwise
    finally:
        if taken:
            afterwards()

"""Limits on time that hold on a machine of any speed: CPU time of the thread at work, measured in
loops of plain Python run beside the work.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds that the loop takes on the machine that limits in seconds were written for.
REFERENCE = 0.07


def loop() -> float:
    """CPU seconds of a million additions, now: a shared machine is not as fast at every moment."""
    started = time.thread_time()
    total = 0
    for number in range(1_000_000):
        total += number & 7
    return time.thread_time() - started


def slowness() -> float:
    """How many times longer than on the reference machine things take here and now; at least 1."""
    return max(loop() / REFERENCE, 1.0)


def loops_of(seconds: float) -> float:
    """How many runs of the loop so many CPU seconds are: on the reference machine, or here where
    this one is slower.
    """
    return seconds / max(REFERENCE, *(loop() for _ in range(3)))


@contextmanager
def at_most(loops: float) -> Iterator[None]:
    """Fails when the block takes more CPU time than ``loops`` runs of the loop."""
    started = time.thread_time()
    yield
    taken = time.thread_time() - started
    # The loop is run only where the reference machine would have been quicker.
    assert taken < loops * REFERENCE or loops_of(taken) < loops, (
        f"{taken:.2f} seconds of CPU time where {loops} loops are allowed"
    )

"""Limits on time that hold on a machine of any speed: CPU time, measured in loops of plain Python
run beside the work.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds that the loop takes on the machine that limits in seconds were written for.
REFERENCE = 0.07


def loop() -> float:
    """CPU seconds of a million additions, now: a shared machine is not as fast at every moment."""
    started = time.process_time()
    total = 0
    for number in range(1_000_000):
        total += number & 7
    return time.process_time() - started


def slowness() -> float:
    """How many times longer than on the reference machine things take here and now; at least 1."""
    return max(loop() / REFERENCE, 1.0)


@contextmanager
def at_most(loops: float) -> Iterator[None]:
    """Fails when the block takes more CPU time than ``loops`` runs of the loop."""
    before = loop()
    started = time.process_time()
    yield
    taken = time.process_time() - started
    yardstick = max(before, loop())
    assert taken < loops * yardstick, (
        f"{taken / yardstick:.1f} loops of CPU time where {loops} are allowed"
    )

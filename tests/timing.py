"""Limits on time that hold on a machine of any speed: CPU time, measured in loops of plain Python run beside the work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


def _loop() -> float:
    started = time.process_time()
    total = 0
    for number in range(1_000_000):
        total += number & 7
    return time.process_time() - started


@contextmanager
def at_most(loops: float) -> Iterator[None]:
    """Fails when the block takes more CPU time than ``loops`` runs of a million additions (about 50 ms each on a desktop)."""
    before = _loop()
    started = time.process_time()
    yield
    taken = time.process_time() - started
    loop = max(before, _loop())
    assert taken < loops * loop, f"{taken / loop:.1f} loops of CPU time where {loops} are allowed"

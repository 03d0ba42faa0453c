"""Waiting for what another thread, process or browser does, on a machine of any speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds that anything may take that takes a moment on an idle machine.
DEADLINE = 120.0


def until(condition: Callable[[], T], *, told: object = "") -> T:
    """Waits until ``condition`` holds and returns what it returned; asks less often as time goes
    by, so that asking does not take the processor from what is waited for.

    Raises ``AssertionError`` with ``told`` when it does not hold after ``DEADLINE`` seconds.
    """
    deadline, pause = time.monotonic() + DEADLINE, 0.01
    while not (found := condition()):
        assert time.monotonic() < deadline, told or "what was waited for never happened"
        time.sleep(pause)
        pause = min(2 * pause, 0.5)
    return found

"""Signs of life from readers, which tell a slow reading from one that hangs.

A reading that nobody waits for costs one access to a thread-local variable per file.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_here = threading.local()


@dataclass(slots=True)
class Pulse:
    """Counts the folders and files that a reading has opened, and can cancel it.

    ``beats`` grows with each of them; ``called_off`` ends the reading at the next one.
    """

    beats: int = 0
    called_off: bool = False


class CalledOff(BaseException):
    """Nobody waits for this reading any more.

    Not an ``Exception``: no reader may take it for a fault of a file.
    """


@contextmanager
def felt(pulse: Pulse) -> Iterator[None]:
    """What this thread reads meanwhile beats in ``pulse``."""
    _here.pulse = pulse
    try:
        yield
    finally:
        _here.pulse = None


def beat() -> None:
    """Called by what lists a folder or opens a file. Raises ``CalledOff``."""
    pulse: Pulse | None = getattr(_here, "pulse", None)
    if pulse is None:
        return
    pulse.beats += 1
    if pulse.called_off:
        raise CalledOff

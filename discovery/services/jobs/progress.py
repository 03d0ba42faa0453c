"""The progress of a running scan.

Its row is updated a few times a second; each update also reads whether the scan is to stop.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from discovery.engine.core.paths import to_text
from discovery.models import ScanRun
from discovery.services.jobs import Stopped, beat

INTERVAL = 0.3

__all__ = ["COUNTS", "INTERVAL", "Progress", "Stopped"]

COUNTS = ("expected", "found", "new", "changed", "unchanged", "moved", "missing", "errors")


class Progress:
    """Counts of one run.

    ``tick`` is cheap: it writes at most every ``INTERVAL`` seconds, and raises ``Stopped`` when the
    run is to stop.
    """

    def __init__(
        self, run: ScanRun | None, listener: Callable[[Progress], None] | None = None
    ) -> None:
        self.run = run
        self.listener = listener
        self.expected = self.found = self.new = self.changed = self.unchanged = self.moved = (
            self.missing
        ) = self.errors = 0
        self.current_path = ""
        self._next = time.monotonic() + INTERVAL

    @property
    def done(self) -> int:
        return self.new + self.changed + self.unchanged

    def counts(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in COUNTS}

    def tick(self, *, now: bool = False) -> None:
        if not now and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + INTERVAL
        if self.listener:
            self.listener(self)
        if self.run is not None:
            beat(self.run, current_path=to_text(self.current_path)[:4096], **self.counts())

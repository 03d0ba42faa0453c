"""How a running scan tells the world where it is: its row, updated a few times a second, which also carries the stop sign back."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.utils import timezone

from discovery.engine.paths import to_text
from discovery.models import ScanRun

INTERVAL = 0.3

COUNTS = ("expected", "found", "new", "changed", "unchanged", "moved", "missing", "errors")


class Stopped(Exception):
    """Somebody pressed Stop, or the run was taken for dead and is no longer ours."""


class Progress:
    """Counts of one run. ``tick`` is cheap: it writes at most every ``INTERVAL`` seconds, and raises ``Stopped`` when told to."""

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

    def tick(self, path: str = "", *, now: bool = False) -> None:
        if path:
            self.current_path = path
        if not now and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + INTERVAL
        if self.listener:
            self.listener(self)
        if self.run is not None:
            self._write(self.run)

    def _write(self, run: ScanRun) -> None:
        rows = ScanRun.objects.filter(pk=run.pk, state=ScanRun.State.RUNNING)
        alive = rows.update(
            heartbeat_at=timezone.now(),
            current_path=to_text(self.current_path)[:4096],
            **self.counts(),
        )
        if not alive or rows.filter(cancel_requested=True).exists():
            raise Stopped

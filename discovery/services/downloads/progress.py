"""The progress of one download: its row, its speed, its share of the line, and room on the disk."""

from __future__ import annotations

import shutil
import time
from collections import deque
from pathlib import Path
from typing import Any

from discovery.engine.core.service_words import DownloadFault
from discovery.engine.core.text import human_bytes
from discovery.models import Download
from discovery.services import jobs
from discovery.services.core import config_files
from discovery.services.downloads.places import GB, Refused, reserve

#: Seconds between two writes of the row, and the span that the speed is measured over.
EVERY, SPAN = 0.5, 5.0
#: Seconds of its share that a download may take at once.
BURST = 0.25
#: Seconds between looks at the free space.
LOOKS = 2.0


class Paused(Exception):
    """Somebody wants it paused."""


class Progress:
    """``add`` counts bytes that came, and waits where the limit says so."""

    def __init__(self, job: Download, staging: Path | None = None) -> None:
        self.job, self.staging = job, staging
        self.done, self.files, self.current = 0, 0, ""
        #: Bytes that came by the line in this run.
        self.received = 0
        self._marks: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        self._rate, self._budget, self._refilled = 0.0, 0.0, time.monotonic()
        self._due = self._look = 0.0

    def add(self, count: int) -> None:
        self.done += count
        self.received += count
        self._budget -= count
        self.tick()
        while self._is_over_the_limit():
            time.sleep(min(-self._budget / self._rate, BURST))
            self.tick()

    def tick(self, *, now: bool = False, **columns: Any) -> None:
        """Writes the row from time to time.

        Raises ``Paused``, ``Stopped`` or ``Lost``; ``Refused`` where the disk has grown too full.
        """
        if not now and time.monotonic() < self._due:
            return
        self._due = time.monotonic() + EVERY
        told = {
            "done_bytes": self.done,
            "done_files": self.files,
            "current_path": self.current,
            "speed": self.speed(),
        }
        jobs.beat(self.job, **{**told, **columns})
        if Download.objects.filter(pk=self.job.pk, pause_requested=True).exists():
            raise Paused
        self._rate = self._share()
        self._require_limits()

    def speed(self) -> int:
        now = time.monotonic()
        self._marks.append((now, self.received))
        while len(self._marks) > 2 and now - self._marks[0][0] > SPAN:
            self._marks.popleft()
        since, before = self._marks[0]
        return round((self.received - before) / (now - since)) if now > since else 0

    def _share(self) -> float:
        """Bytes a second that this download may take now; 0 for as many as come."""
        limit = config_files.downloads().kb_per_second * 1_000
        if not limit:
            return 0.0
        running = Download.objects.filter(state=Download.State.RUNNING).count()
        return limit / max(running, 1)

    def _is_over_the_limit(self) -> bool:
        now = time.monotonic()
        if not self._rate:
            self._budget, self._refilled = 0.0, now
            return False
        self._budget += (now - self._refilled) * self._rate
        self._budget = min(self._budget, self._rate * BURST)
        self._refilled = now
        return self._budget < 0

    def _require_limits(self) -> None:
        most = config_files.downloads().max_gb * GB
        if self.done > most:  # the registry has not said how large its files are
            told = f"It has more than the {human_bytes(most)} that one download may have."
            raise Refused(DownloadFault.FILES, told)
        if self.staging is None or time.monotonic() < self._look:
            return
        self._look = time.monotonic() + LOOKS
        free, kept = shutil.disk_usage(self.staging).free, reserve()
        if free < kept:
            told = f"only {human_bytes(free)} are free, and {human_bytes(kept)} have to stay free"
            raise Refused(DownloadFault.DISK, f"The disk has not enough room: {told}.")

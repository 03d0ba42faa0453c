"""Calls that wait for a job, for so many seconds as the caller says."""

from __future__ import annotations

import threading
import time

from discovery.models import Job

MAX_WAIT = 120

#: Seconds between looks at a job that is waited for.
LOOK = 0.1
#: Callers that wait hold a thread of the web server each: more of them than this are sent to look
#: later, so that others are answered.
SEATS = threading.BoundedSemaphore(2)


def wait(job: Job, seconds: int) -> None:
    """Read the job again until it is over or the time is; at once where all seats are taken."""
    if not seconds or not SEATS.acquire(blocking=False):
        return
    try:
        until = time.monotonic() + seconds
        while job.is_active and time.monotonic() < until:
            time.sleep(LOOK)
            job.refresh_from_db()
    finally:
        SEATS.release()

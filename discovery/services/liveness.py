"""Whether the process that does a piece of work is still there: slow is not dead, silent for long is."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from typing import Any

import psutil
from django.utils import timezone

from discovery.models import ScanRun
from discovery.models.work import Work

#: Work that has not been heard of for so long is dead, wherever it ran.
SILENCE = timedelta(seconds=90)


def mine() -> dict[str, Any]:
    """The columns that tell whose work it is, for the statement that begins it in this process."""
    now = timezone.now()
    return {
        "started_at": now,
        "heartbeat_at": now,
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }


def is_alive(work: ScanRun | Work) -> bool:
    """For work that its row says is running."""
    if work.heartbeat_at is None or work.heartbeat_at < timezone.now() - SILENCE:
        return False
    if work.host != socket.gethostname() or work.pid is None:
        return True
    try:
        process = psutil.Process(work.pid)
        # A number that was given to another process since: that one is younger than the work.
        return process.status() != psutil.STATUS_ZOMBIE and (
            work.started_at is None or process.create_time() <= work.started_at.timestamp() + 1
        )
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True

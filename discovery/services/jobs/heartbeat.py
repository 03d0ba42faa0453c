"""Heartbeats of jobs: a slow process is alive, a long silent one is considered dead."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from typing import Any

import psutil
from django.utils import timezone

from discovery.models import Job
from discovery.services.jobs import process_tree

#: A job that has not been heard of for so long is dead, wherever it ran.
SILENCE = timedelta(seconds=90)


def mine() -> dict[str, Any]:
    """The columns that tell whose job it is, for the statement that begins it in this process."""
    now = timezone.now()
    return {
        "started_at": now,
        "heartbeat_at": now,
        "host": socket.gethostname(),
        "machine": process_tree.machine(),
        "pid": os.getpid(),
        "process_started": process_tree.started(os.getpid()),
    }


def is_alive(job: Job) -> bool:
    """For a job that its row says is running."""
    if job.heartbeat_at is None or job.heartbeat_at < timezone.now() - SILENCE:
        return False
    if job.pid is None or not _is_here(job):
        return True
    began = process_tree.started(job.pid)
    if not began:
        return began is not None
    if job.process_started is not None:
        return abs(began - job.process_started) < 0.5
    return _is_older(job)


def _is_here(job: Job) -> bool:
    """Whether its process would be seen from here."""
    if job.machine:
        return job.machine == process_tree.machine()
    return job.host == socket.gethostname()


def _is_older(job: Job) -> bool:
    """A number that was given to another process since: that one is younger than the job."""
    try:
        created = psutil.Process(job.pid).create_time()
    except psutil.Error:
        return False
    return job.started_at is None or created <= job.started_at.timestamp() + 1

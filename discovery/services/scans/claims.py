"""Who scans what: a run claims a root by a conditional UPDATE, and a dead run's claims fall back."""

from __future__ import annotations

import os
import socket
from datetime import timedelta

import psutil
from django.db.models import Q
from django.utils import timezone

from discovery.engine.types import Severity
from discovery.models import Channel, Root, ScanRun
from discovery.services import journal

#: A run that has not been heard of for so long is dead, wherever it ran.
SILENCE = timedelta(seconds=90)


def claim(root: Root, run: ScanRun) -> bool:
    """Takes ``root`` for ``run``, unless a living run has it."""
    free = Q(claim=None) | Q(claim=run) | ~Q(claim__state=ScanRun.State.RUNNING)
    holders = Root.objects.filter(pk=root.pk).exclude(claim=None).exclude(claim__state=ScanRun.State.RUNNING)
    Root.objects.filter(pk__in=holders.values("pk")).update(claim=None)
    return Root.objects.filter(free, pk=root.pk).filter(Q(claim=None) | Q(claim=run)).update(claim=run) == 1


def release(root: Root, run: ScanRun) -> None:
    Root.objects.filter(pk=root.pk, claim=run).update(claim=None)


def begin(run: ScanRun) -> bool:
    """Queued → running, in this process. ``False`` when somebody else has begun, or cancelled it."""
    now = timezone.now()
    begun = ScanRun.objects.filter(pk=run.pk, state=ScanRun.State.QUEUED).update(
        state=ScanRun.State.RUNNING, started_at=now, heartbeat_at=now, host=socket.gethostname(), pid=os.getpid()
    )
    run.refresh_from_db()
    return begun == 1


def reap() -> int:
    """Marks runs whose process is gone as interrupted and frees their roots. Returns how many."""
    running = ScanRun.objects.filter(state=ScanRun.State.RUNNING)
    dead = [run for run in running if not _alive(run)]
    for run in dead:
        ended = ScanRun.objects.filter(pk=run.pk, state=ScanRun.State.RUNNING).update(
            state=ScanRun.State.INTERRUPTED, finished_at=timezone.now(), message="The process that ran it is gone; the next scan goes on from here."
        )
        if ended:
            Root.objects.filter(claim=run).update(claim=None)
            journal.record(Channel.DISCOVERY, Severity.WARNING, "scan interrupted: the process that ran it is gone", scan=run)
    return len(dead)


def _alive(run: ScanRun) -> bool:
    if run.heartbeat_at is None or run.heartbeat_at < timezone.now() - SILENCE:
        return False
    if run.host != socket.gethostname() or run.pid is None:
        return True
    try:
        process = psutil.Process(run.pid)
        # A number that was given to another process since: that one is younger than the run.
        return process.status() != psutil.STATUS_ZOMBIE and (run.started_at is None or process.create_time() <= run.started_at.timestamp() + 1)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True

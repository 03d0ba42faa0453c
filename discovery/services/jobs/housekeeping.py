"""The housekeeper: reports, continues and resends interrupted jobs of every kind.

Several may run at once, on any hosts: each step is a conditional UPDATE that one of them wins.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from discovery.models import Job
from discovery.services.jobs import process_tree, task_queue
from discovery.services.jobs.kind import Kind
from discovery.services.jobs.registry import kinds

logger = logging.getLogger(__name__)

#: A task that was sent less than this ago may be on its way from the queue to a worker.
ON_ITS_WAY = timedelta(seconds=20)

STOPPED_HERE = "Karen Admin was stopped while it ran"


def housekeep() -> dict[str, int]:
    """All of it once: ``{"reaped": …, "resumed": …, "dispatched": …}``, how many jobs of each."""
    return {"reaped": reap_all(), "resumed": resume_all(), "dispatched": dispatch_all()}


def reap_all() -> int:
    """Nothing is left marked running that no process runs any more."""
    return sum(kind.reap() for kind in kinds())


def resume_all() -> int:
    """Queue interrupted jobs that are to continue."""
    return sum(_resume(kind, job) for kind in kinds() for job in _cut_off(kind))


def _cut_off(kind: Kind[Any]) -> list[Any]:
    return list(kind.light().filter(state=kind.state.INTERRUPTED, goes_on=True))


def _resume(kind: Kind[Any], job: Job) -> bool:
    """Continue a job once: only the process that clears ``goes_on`` does it."""
    with transaction.atomic():
        if not kind.rows.filter(pk=job.pk, goes_on=True).update(goes_on=False):
            return False
        again = kind.successor(job)
    return again is not None


def dispatch_all() -> int:
    """Send the tasks of queued jobs that the queue does not hold: never sent, or lost with it.

    A job begins once, however often it is sent.
    """
    late = Q(dispatched_at=None) | Q(dispatched_at__lt=timezone.now() - ON_ITS_WAY)
    waiting = [
        (kind, job)
        for kind in kinds()
        for job in kind.ready(kind.light().filter(late, state=kind.state.QUEUED)).order_by("pk")
    ]
    if not waiting:
        return 0
    try:
        held = task_queue.held()
    except task_queue.Unreachable as error:
        logger.warning("jobs that wait are not sent to the workers: %s", error)
        return 0
    return sum(_send(kind, job) for kind, job in waiting if (kind.task, job.pk) not in held)


def _send(kind: Kind[Any], job: Job) -> bool:
    """Send a job's task once: only the housekeeper that updates ``dispatched_at`` does it."""
    row = kind.rows.filter(pk=job.pk, state=kind.state.QUEUED, dispatched_at=job.dispatched_at)
    if not row.update(dispatched_at=timezone.now()):
        return False
    if kind.send(job):
        return True
    kind.rows.filter(pk=job.pk).update(dispatched_at=None)
    return False


def interrupt_here(pids: Collection[int], why: str = STOPPED_HERE) -> int:
    """Stop the jobs of these processes of this machine; return how many there are.

    Each stops within a second and continues after the next start. Whoever stops workers calls this.
    """
    here = {"machine": process_tree.machine(), "pid__in": list(pids)}
    found = [
        (kind, job)
        for kind in kinds()
        for job in kind.light().filter(state=kind.state.RUNNING, **here)
    ]
    return sum(kind.interrupt(job, why, died=False) for kind, job in found)

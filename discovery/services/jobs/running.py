"""A job at work, in this process."""

from __future__ import annotations

import logging
import time
from typing import Any

from django.db.models import Exists
from django.utils import timezone

from discovery.models import Job
from discovery.services.jobs.heartbeat import mine
from discovery.services.jobs.kind import Ending, Kind
from discovery.services.jobs.registry import kind_of

logger = logging.getLogger(__name__)


class Stopped(Exception):
    """Somebody pressed Stop."""


class Lost(Stopped):
    """The job was considered dead, or stopped with its worker: it is no longer ours."""


def beat(job: Job, **columns: Any) -> None:
    """Update the heartbeat and write ``columns``.

    Raises ``Stopped`` when the job is to stop, ``Lost`` when it is no longer ours.
    """
    rows = kind_of(job).mine(job)
    if not rows.update(heartbeat_at=timezone.now(), **columns):
        raise Lost
    if rows.filter(cancel_requested=True).exists():
        raise Stopped


class Pulse:
    """``beat``, at most once in ``every`` seconds however often it is called."""

    def __init__(self, job: Job, every: float) -> None:
        self.job, self.every = job, every
        self._due = time.monotonic()

    def __call__(self, **columns: Any) -> None:
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + self.every
            beat(self.job, **columns)


def execute(job: Job, *, in_turn: bool = False, **options: Any) -> Any:
    """Run a queued job in this process, to its end, and return it in its final state.

    A job that another process has started or that was canceled is returned unchanged; with
    ``in_turn``, so is one that has to wait for another. A failure becomes its state and message.
    """
    kind = kind_of(job)
    kind.reap()
    if not _begin(kind, job, in_turn):
        return job
    try:
        ending = kind.run(job, **options)
    except Lost:
        logger.warning(
            "%s %s was taken over, and is left to whoever goes on with it", kind.name, job.pk
        )
        ending = None
    except Stopped:
        ending = Ending(kind.state.CANCELLED, kind.stopped)
    except KeyboardInterrupt:
        kind.finish(job, Ending(kind.state.CANCELLED, kind.stopped))
        raise  # whoever loops over jobs stops too
    except Exception as error:
        logger.exception("%s %s failed", kind.name, job.pk)
        told = kind.broke.format(error=f"{type(error).__name__}: {error}")
        kind.finish(job, Ending(kind.state.FAILED, told))
        if kind.raises:
            raise
        return _as_it_is(job)
    if ending is not None:
        kind.finish(job, ending)
    return _as_it_is(job)


def _begin(kind: Kind[Any], job: Job, in_turn: bool) -> bool:
    """Queued → running, in this process."""
    rows = kind.rows.filter(pk=job.pk, state=kind.state.QUEUED)
    first = kind.before(job) if in_turn else None
    if first is not None:
        rows = rows.exclude(Exists(first))
    begun = rows.update(state=kind.state.RUNNING, goes_on=False, **mine())
    job.refresh_from_db()
    return bool(begun)


def _as_it_is(job: Job) -> Job:
    """Its row may be gone with what it was about."""
    try:
        job.refresh_from_db()
    except type(job).DoesNotExist:
        job.state = job.State.INTERRUPTED
    return job


def run_queued(kind: Kind[Any], pk: int) -> str:
    """Run the job with this key, then those that waited for it; for tasks.

    Returns its state.
    """
    job = kind.light().filter(pk=pk).first()
    if job is None:
        return "forgotten"
    state = str(execute(job, in_turn=True).state)
    if state != kind.state.INTERRUPTED:  # else this worker is to stop
        drain(kind)
    return state


def drain(kind: Kind[Any]) -> bool:
    """Run the jobs that wait their turn.

    Returns ``False`` when one was interrupted, so that this worker is to stop.
    """
    while (job := _next_in_turn(kind)) is not None:
        state = execute(job, in_turn=True).state
        if state in (kind.state.QUEUED, kind.state.INTERRUPTED):
            return bool(state == kind.state.QUEUED)
    return True


def _next_in_turn(kind: Kind[Any]) -> Any:
    """Jobs of kinds without turns have tasks of their own."""
    if type(kind).before is Kind.before:
        return None
    return kind.light().filter(state=kind.state.QUEUED).order_by("pk").first()

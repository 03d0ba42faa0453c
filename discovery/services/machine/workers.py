"""The task workers: which are alive, their current jobs, what is queued and what is scheduled.

Clusters of django-q2 report every second that they are alive, in Redis where it is the broker, else
in the cache ``clusters`` (settings). They report themselves as idle while nothing waits inside
them, whatever their workers do: current jobs come from the rows of the jobs, which name their
processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.models import Failure, Schedule
from django_q.status import Stat

from discovery.engine.core.text import plural
from discovery.models import Job
from discovery.services import jobs
from discovery.services.core.timeouts import ask
from discovery.services.jobs.heartbeat import SILENCE

#: A broker on another machine has so many seconds to answer.
PATIENCE = 1.5

#: A schedule that nobody followed for so long is overdue: clusters look at the clock every 30
#: seconds.
LATE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Worker:
    """One process.

    ``state`` is ``starting``, ``idle``, ``working`` or ``stopping``; ``since`` is the start of its
    cluster.

    A cluster that has no workers yet, or none any more, is listed by its own process.
    """

    host: str
    pid: int
    state: str
    since: datetime | None
    job: Job | None = None


@dataclass(frozen=True, slots=True)
class Workers:
    """The workers and the queue; ``waiting`` tasks have not been started.

    Where ``fault`` says why the broker did not answer, neither they nor the workers are known.
    """

    workers: tuple[Worker, ...]
    waiting: int | None
    fault: str = ""


def workers() -> Workers:
    clusters, waiting, fault = _broker()
    busy = {(job.host, job.pid): job for job in _jobs()} if clusters else {}
    rows = [worker for cluster in clusters for worker in _of(cluster, busy)]
    return Workers(
        tuple(sorted(rows, key=lambda worker: (worker.host, worker.pid))), waiting, fault
    )


def broker_fault() -> str:
    """Return why the queue cannot be read; empty when it can, or is in the database."""
    return _broker()[2] if settings.REDIS_URL else ""


def failed_since(moment: datetime) -> int:
    return int(Failure.objects.filter(stopped__gte=moment).count())


def _broker() -> tuple[list[Any], int | None, str]:
    """(clusters, tasks that wait, why neither is known)."""
    if not settings.REDIS_URL:
        try:
            return *_asked(), ""
        except OSError as error:  # the files of the cache
            return [], None, f"The state of the workers cannot be read: {error.strerror}."
    from redis.exceptions import RedisError

    try:
        answer = ask({"broker": _asked}, PATIENCE)
    except RedisError as error:
        return [], None, f"Redis cannot be asked: {str(error).rstrip('.')}."
    return (
        (*answer["broker"], "")
        if answer
        else ([], None, f"Redis did not answer in {PATIENCE:g} seconds.")
    )


def _asked() -> tuple[list[Any], int]:
    broker = get_broker()
    clusters = Stat.get_all(broker)
    # Clusters take a few tasks more than they have workers.
    return clusters, broker.queue_size() + sum(cluster.task_q_size for cluster in clusters)


def _jobs() -> Iterator[Job]:
    """What is running and was heard of lately."""
    silent = timezone.now() - SILENCE
    for kind in jobs.kinds():
        yield from kind.light().filter(state=kind.state.RUNNING, heartbeat_at__gte=silent)


def _of(cluster: Any, busy: dict[tuple[str, int | None], Job]) -> Iterator[Worker]:
    state = str(cluster.status).lower()
    if not cluster.workers and cluster.status != Conf.STOPPED:
        yield Worker(cluster.host, cluster.pid, state, cluster.tob)
    for pid in cluster.workers:
        job = busy.get((cluster.host, pid))
        yield Worker(
            cluster.host,
            pid,
            "working" if job and cluster.status == Conf.IDLE else state,
            cluster.tob,
            job,
        )


def interval(row: Any) -> str:
    """``every 60 minutes``, ``every 3 hours``, ``daily``, ``cron 0 3 * * *``."""
    if row.schedule_type == Schedule.CRON:
        return f"cron {row.cron}"
    if row.schedule_type != Schedule.MINUTES:
        return str(row.get_schedule_type_display()).lower()
    minutes = row.minutes or 1
    size, unit = next(
        (size, unit)
        for size, unit in ((1440, "day"), (60, "hour"), (1, "minute"))
        if minutes % size == 0
    )
    return f"every {unit}" if minutes == size else f"every {plural(minutes // size, unit)}"

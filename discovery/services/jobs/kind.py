"""The definition of a kind of job, and what all kinds have in common."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar, cast

from django.db import IntegrityError, transaction
from django.db.models import Min, QuerySet
from django.db.models.functions import Coalesce, Greatest
from django.db.transaction import on_commit
from django.utils import timezone
from django_q.tasks import async_task

from discovery.engine.core.text import clean
from discovery.models import Job
from discovery.services.jobs.heartbeat import is_alive

J = TypeVar("J", bound=Job)

logger = logging.getLogger(__name__)

#: A job whose process dies so many times in a row is not begun again by itself: it may be what
#: kills it.
MAX_INTERRUPTIONS = 3

#: Why a job has failed that no worker could be told of. The log has the queue's own words.
UNREACHABLE = (
    "The task queue cannot be reached, so nothing was started. Try again when it answers: the"
    " System page says whether it does."
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run of a job ended: its state, a sentence, and other columns to write with them."""

    state: str
    message: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)


class Kind(Generic[J]):
    """One kind of job. A subclass names its model and task, and does the work in ``run``."""

    model: ClassVar[type[Job]]
    #: Dotted name in ``discovery.tasks``: it stands in the queue, so it never changes. Where a kind
    #: says none it is ``run_`` and the name of the model, which needs no function there.
    task: ClassVar[str] = ""
    #: ``deep validation``: what people call one.
    name: ClassVar[str]
    #: It reads the roots, and takes one of the seats for that; ``is_long``: perhaps for hours.
    takes_seat: ClassVar[bool] = False
    is_long: ClassVar[bool] = False
    #: Relations that come with a job, and columns too heavy to be read with it.
    related: ClassVar[tuple[str, ...]] = ()
    heavy: ClassVar[tuple[str, ...]] = ()
    #: How the sentences of a job that was cut off, or stopped, go on.
    goes_on: ClassVar[str] = "it goes on by itself."
    given_up: ClassVar[str] = "it is not begun again by itself."
    stopped: ClassVar[str] = "Stopped."
    broke: ClassVar[str] = "{error}. Please report this; the log has the details."
    #: Columns that tell how far it is, and what they hold once it is over.
    cleared: ClassVar[Mapping[str, Any]] = {}
    #: Nobody waits for it: where the queue cannot be reached it waits, instead of having failed.
    is_patient: ClassVar[bool] = False
    #: An error that nobody foresaw is raised, once the job has failed for it.
    raises: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        cls.task = cls.task or f"discovery.tasks.run_{cls.model._meta.model_name}"

    # -- for subclasses

    def run(self, job: J, **options: Any) -> Ending:
        """Do the job, calling ``beat`` all along. An exception makes the job fail."""
        raise NotImplementedError

    def ready(self, queued: QuerySet[J]) -> QuerySet[J]:
        """Those of ``queued`` that may be sent to the workers now: the others wait their turn."""
        return queued

    def waits_since(self, queued: QuerySet[J]) -> datetime | None:
        """Return the time from which the first of ``queued`` could have started."""
        last = Greatest(
            "created_at",
            Coalesce("dispatched_at", "created_at"),
            Coalesce("heartbeat_at", "created_at"),
        )
        found = queued.order_by().annotate(since=last).aggregate(first=Min("since"))
        return cast("datetime | None", found["first"])

    def before(self, job: J) -> QuerySet[J] | None:
        """Jobs that have to be over for ``job`` to begin; ``None`` for a kind without turns."""
        return None

    def after(self, job: J, ending: Ending) -> None:
        """Report the result of a finished job. ``job`` is in its current state."""

    def successor(self, job: J) -> J | None:
        """Continue an interrupted job.

        The same row is queued again, unless a kind overrides this.
        """
        again = self.rows.filter(pk=job.pk, state=self.state.INTERRUPTED)
        fields = {"state": self.state.QUEUED, "finished_at": None, "message": ""}
        try:
            with transaction.atomic():
                if not again.update(**fields, cancel_requested=False, dispatched_at=None):
                    return None
        except IntegrityError:  # somebody has asked for the same meanwhile
            return None
        job.refresh_from_db(fields=["state", "finished_at", "message", "cancel_requested"])
        return job

    # -- for everybody

    @property
    def state(self) -> Any:
        return self.model.State

    @property
    def rows(self) -> QuerySet[J]:
        return cast("QuerySet[J]", self.model._default_manager.all())

    def light(self) -> QuerySet[J]:
        """Rows without their large columns, with everything that is shown."""
        found = self.rows.defer(*self.heavy)
        return found.select_related(*self.related) if self.related else found

    def request(self, unique: Mapping[str, Any] | None = None, **fields: Any) -> tuple[J, bool]:
        """Queue a job.

        While one with the same ``unique`` fields is active, it is that: (job, ``False``).
        """
        job, created = self.create(unique, **fields)
        if created:
            self.dispatch(job)
        return job, created

    def create(self, unique: Mapping[str, Any] | None = None, **fields: Any) -> tuple[J, bool]:
        """Like :meth:`request`, for a caller that executes the job itself."""
        self.reap()
        # The caller executes or sends it now: until then the housekeeper leaves it alone.
        given = {"dispatched_at": timezone.now(), **(unique or {}), **fields}
        active = self.rows.filter(**(unique or {}), state__in=self.model.ACTIVE)
        for _ in range(3):
            try:
                with transaction.atomic():
                    return self.rows.create(**given), True
            except IntegrityError:
                if unique is None:
                    raise
                if (job := active.first()) is not None:
                    return job, False
        raise RuntimeError(f"a {self.name} begins and ends faster than it can be asked for")

    def dispatch(self, job: J) -> None:
        """Send the task of a queued job once the transaction that created it has been committed.

        When the queue cannot be reached, the job fails; whoever requested it sees that and can
        retry.
        """
        on_commit(lambda: self.send(job, asked=True))

    def send(self, job: J, *, asked: bool = False) -> bool:
        """Put the task of a queued job into the queue.

        Returns ``False`` when the queue does not accept it.
        """
        queued = self.rows.filter(pk=job.pk, state=self.state.QUEUED)
        try:
            async_task(self.task, job.pk, task_name=f"{self.name} {job.pk}")
        except Exception as error:  # noqa: BLE001  (each broker has its own)
            logger.warning("the task queue did not take %s %s: %s", self.name, job.pk, error)
            if asked and not self.is_patient:
                ended = {"finished_at": timezone.now(), "message": UNREACHABLE}
                queued.update(state=self.state.FAILED, **ended)
                job.refresh_from_db(fields=["state", "finished_at", "message"])
            return False
        queued.update(dispatched_at=timezone.now())
        return True

    def cancel(self, job: J) -> bool:
        """Cancel a job; return ``False`` when it has already finished.

        A queued job ends at once, a running one soon.
        """
        now, row = timezone.now(), self.rows.filter(pk=job.pk)
        ended = {"finished_at": now, "message": "Stopped before it began."}
        if row.filter(state=self.state.QUEUED).update(state=self.state.CANCELLED, **ended):
            return True
        if row.filter(state=self.state.INTERRUPTED, goes_on=True).update(
            state=self.state.CANCELLED, goes_on=False, **ended
        ):
            return True
        return row.filter(state=self.state.RUNNING).update(cancel_requested=True) == 1

    def reap(self) -> int:
        """Mark jobs whose process is gone as interrupted. Returns how many."""
        running = list(self.light().filter(state=self.state.RUNNING))
        dead = [job for job in running if not is_alive(job)]
        return sum(
            self.interrupt(job, "The process that ran it is gone", died=True) for job in dead
        )

    def interrupt(self, job: J, why: str, *, died: bool) -> bool:
        """Mark a running job as interrupted, to be continued; one that was to stop is stopped.

        With ``died`` its process may have died of it: that happens a few times in a row at most.
        """
        interruptions = job.interruptions + died
        goes_on = interruptions < MAX_INTERRUPTIONS
        state = self.state.INTERRUPTED
        message = f"{why}; {self.goes_on if goes_on else self.given_up}"
        if job.cancel_requested:
            goes_on, state, message = False, self.state.CANCELLED, self.stopped
        columns = {"goes_on": goes_on, "interruptions": interruptions}
        return self.finish(job, Ending(state, message, columns))

    def finish(self, job: J, ending: Ending) -> bool:
        """Mark a running job as finished.

        Returns ``False`` when it was considered dead and is no longer ours.

        Its events are written in the same transaction as its state.
        """
        fields = {**self.cleared, "state": ending.state, **ending.columns}
        over = ending.state != self.state.QUEUED
        fields |= {
            "finished_at": timezone.now() if over else None,
            "message": clean(ending.message, 2000),
        }
        with transaction.atomic():
            if not self.mine(job).update(**fields):
                return False
            job.refresh_from_db()
            self.after(job, ending)
        return True

    def mine(self, job: J) -> QuerySet[J]:
        """The row, as long as it still belongs to this run of the job."""
        return self.rows.filter(pk=job.pk, state=self.state.RUNNING, started_at=job.started_at)

"""Deep validation: asking for all bytes of a model to be read, running it, stopping it, and the clock that asks for each once in a while."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from django_q.models import Schedule
from django_q.tasks import async_task

from discovery.engine.paths import to_native
from discovery.engine.types import Severity, Status
from discovery.models import Channel, DeepValidation, RegisteredModel, Root
from discovery.services import journal
from discovery.services.checksums import checksum_check
from discovery.services.deep_reading import NotRead, Progress, TimeUp, read_model
from discovery.services.liveness import is_alive, mine
from discovery.services.scans.progress import Stopped

__all__ = [
    "cancel", "checksum_check", "dispatch_queued", "due", "execute", "interrupt", "reap", "request", "run_due", "run_queued", "start_now",
    "sync_schedule",
]  # fmt: skip

logger = logging.getLogger(__name__)

SCHEDULE = "validate deeply"
#: What a run that was cut off has read is not read again within this time.
RESUME = timedelta(days=7)
#: A model that could not be read is not tried again by the clock before.
BACK_OFF = timedelta(days=1)
#: A run that is cut off so many times in a row is not begun again by itself: it may be what kills its worker.
MAX_INTERRUPTIONS = 3
#: What the hourly schedule may take: a third of one worker's time, and of a disk what leaves room for loading models.
SCHEDULED_SECONDS = 20 * 60
SCHEDULED_BYTES_PER_SECOND = 200_000_000

GOES_ON = "the next one goes on with the files that are left."
STOPPED = f"Stopped before the end; {GOES_ON}"

State = DeepValidation.State


def request(model: RegisteredModel, *, user_id: int | None = None) -> tuple[DeepValidation, bool]:
    """Queues a deep validation. While one of the same model is queued or running, that one is the answer: (run, ``False``)."""
    reap()
    run, created = _create(model, user_id)
    if created:
        _dispatch(run)
    return run, created


def start_now(model: RegisteredModel) -> tuple[DeepValidation, bool]:
    """Like :func:`request`, for a caller that executes the run itself."""
    reap()
    return _create(model, None)


def _create(model: RegisteredModel, user_id: int | None) -> tuple[DeepValidation, bool]:
    for _ in range(3):
        try:
            with transaction.atomic():
                return DeepValidation.objects.create(
                    model=model, requested_by_id=user_id, total_bytes=model.size_bytes
                ), True
        except IntegrityError:
            active = DeepValidation.objects.filter(
                model=model, state__in=DeepValidation.ACTIVE
            ).first()
            if active is not None:
                return active, False
    raise RuntimeError(
        "deep validations of this model begin and end faster than they can be asked for"
    )


def _dispatch(run: DeepValidation) -> None:
    async_task("discovery.tasks.validate_deep", run.pk, task_name=f"deep validation {run.pk}")


def cancel(run: DeepValidation) -> bool:
    """A queued run ends at once, a running one within a second; ``False`` when it is over already."""
    queued = DeepValidation.objects.filter(pk=run.pk, state=State.QUEUED)
    if queued.update(
        state=State.CANCELLED, finished_at=timezone.now(), message="Stopped before it began."
    ):
        return True
    return (
        DeepValidation.objects.filter(pk=run.pk, state=State.RUNNING).update(cancel_requested=True)
        == 1
    )


def reap() -> int:
    """Marks runs whose process is gone as interrupted. Returns how many."""
    dead = [
        run
        for run in DeepValidation.objects.filter(state=State.RUNNING).select_related("model")
        if not is_alive(run)
    ]
    for run in dead:
        _interrupt(run, f"The process that ran it is gone; {GOES_ON}")
    return len(dead)


def interrupt() -> int:
    """For a host that stops its workers: what runs here stops within a second, and goes on after the next start. Returns how many."""
    running = list(_running_here().select_related("model"))
    for run in running:
        _interrupt(run, f"Karen Admin was stopped while it ran; {GOES_ON}")
    return len(running)


def _interrupt(run: DeepValidation, text: str) -> None:
    ended = {
        "state": State.INTERRUPTED,
        "finished_at": timezone.now(),
        "message": text,
        "current_path": "",
    }
    if DeepValidation.objects.filter(pk=run.pk, state=State.RUNNING).update(**ended):
        _record(run.model, Severity.WARNING, f"deep validation interrupted: {text}")


def dispatch_queued() -> int:
    """After a restart: puts queued runs on the queue again (each begins once, however often it is dispatched), and interrupted ones anew."""
    reap()
    queued = list(DeepValidation.objects.filter(state=State.QUEUED))
    for run in queued:
        _dispatch(run)
    return len(queued) + _revive()


def _revive() -> int:
    """Asks again for models whose newest run was cut off, unless that has become a habit."""
    newest = DeepValidation.objects.filter(model=OuterRef("model")).order_by("-pk").values("pk")[:1]
    cut_off = DeepValidation.objects.filter(state=State.INTERRUPTED, pk=newest).select_related(
        "model"
    )
    count = 0
    for run in cut_off:
        before = list(
            DeepValidation.objects.filter(model=run.model_id).values_list("state", flat=True)[
                :MAX_INTERRUPTIONS
            ]
        )
        if before != [State.INTERRUPTED] * MAX_INTERRUPTIONS:
            again, created = _create(run.model, run.requested_by_id)
            if created:
                _dispatch(again)
            count += created
    return count


def execute(
    run: DeepValidation,
    *,
    bytes_per_second: int = 0,
    until: float | None = None,
    alone: bool = False,
) -> DeepValidation:
    """Runs a queued deep validation in this process, to its end. Returns the run, finished; what fails becomes its state and message.

    ``until`` is a moment of ``time.monotonic()`` after which no other file is begun. With ``alone`` the run stays queued while this host
    has another one running.
    """
    reap()
    if not _begin(run, alone):
        return run
    progress = Progress(run)
    state, message = State.DONE, ""
    try:
        message = read_model(
            run, progress, _since(run), bytes_per_second=bytes_per_second, until=until
        )
    except Stopped:
        state, message = State.CANCELLED, STOPPED
    except KeyboardInterrupt:
        state, message = State.CANCELLED, STOPPED
        raise  # whoever loops over models stops too
    except TimeUp:
        state, message = State.CANCELLED, f"The time set aside is used up; {GOES_ON}"
    except NotRead as error:
        state, message = State.FAILED, str(error)
    except Exception as error:
        logger.exception("deep validation %s failed", run.pk)
        state, message = (
            State.FAILED,
            f"{type(error).__name__}: {error}. Please report this; the log has the details.",
        )
    finally:
        _finish(run, progress, state, message)
    return run


def _begin(run: DeepValidation, alone: bool) -> bool:
    """Queued → running, in this process. ``False`` when somebody else has begun or cancelled it, or it has to wait."""
    rows = DeepValidation.objects.filter(pk=run.pk, state=State.QUEUED)
    if alone:
        rows = rows.exclude(Exists(_running_here()))
    begun = rows.update(state=State.RUNNING, **mine())
    run.refresh_from_db()
    return begun == 1


def _running_here() -> QuerySet[DeepValidation]:
    return DeepValidation.objects.filter(state=State.RUNNING, host=socket.gethostname())


def _since(run: DeepValidation) -> datetime:
    """When the reading that this run goes on with began: the first of the runs since the last complete one, if that is not too long ago."""
    since = run.started_at or timezone.now()
    oldest = since - RESUME
    for state, started in DeepValidation.objects.filter(
        model=run.model_id, pk__lt=run.pk
    ).values_list("state", "started_at")[:50]:
        if state == State.DONE:
            break
        since = min(since, started) if started and started >= oldest else since
    return since


def _finish(
    run: DeepValidation, progress: Progress, state: DeepValidation.State, message: str
) -> None:
    fields = {
        "state": state,
        "finished_at": timezone.now(),
        "message": message[:2000],
        "current_path": "",
    }
    ours = DeepValidation.objects.filter(pk=run.pk, state=State.RUNNING).update(
        **fields, done_bytes=progress.done + progress.in_file
    )
    if (
        not ours
    ):  # taken for dead, or its model was forgotten meanwhile: the row is not ours any more
        run.state = State.INTERRUPTED
        return
    if state != State.DONE:
        progress.store()
    run.refresh_from_db()
    level = (
        Severity.INFO
        if state == State.DONE and message.endswith("nothing wrong.")
        else Severity.WARNING
    )
    _record(run.model, level, f"deep validation {state.label.lower()}: {message}")


def _record(model: RegisteredModel, level: Severity, text: str) -> None:
    journal.record(Channel.VALIDATION, level, text, model_id=model.model_id, path=model.path)


def run_queued(pk: int) -> str:
    """Executes the run, then those that wait: one at a time a host, so that disks read in one place and scans find a free worker.

    Returns the run's state; while another one runs here it is still ``queued``, and that one's worker takes it up. One that was interrupted
    is the last that this worker runs: it is to stop.
    """
    run = DeepValidation.objects.filter(pk=pk).select_related("model__root").first()
    if run is None:
        return "forgotten"
    state = str(execute(run, alone=True).state)
    if state != State.INTERRUPTED:
        _drain()
    return state


def _drain() -> bool:
    """Runs were queued before the worker that was to begin them looked here, so one that ends now sees them. ``False``: one was interrupted."""
    while (run := _queued().first()) is not None:
        state = execute(run, alone=True).state
        if state in (State.QUEUED, State.INTERRUPTED):
            return state == State.QUEUED
    return True


def _queued() -> QuerySet[DeepValidation]:
    return (
        DeepValidation.objects.filter(state=State.QUEUED)
        .select_related("model__root")
        .order_by("pk")
    )


def due(root: Root, now: datetime) -> QuerySet[RegisteredModel]:
    """Models of ``root`` that nobody has read deeply for ``deep_every_days``, those never read first, then the oldest; 0 days: none."""
    models = (
        RegisteredModel.objects.filter(root=root)
        .exclude(status__in=(Status.MISSING, Status.REMOTE))
        .exclude(files=[])
    )
    if not root.deep_every_days:
        return models.none()
    late = Q(deep_validated_at=None) | Q(
        deep_validated_at__lt=now - timedelta(days=root.deep_every_days)
    )
    return models.filter(late).order_by(F("deep_validated_at").asc(nulls_first=True), "pk")


def run_due(
    seconds: float = SCHEDULED_SECONDS, *, bytes_per_second: int = SCHEDULED_BYTES_PER_SECOND
) -> int:
    """Works through what is due, the oldest first, until ``seconds`` are used up: the file at hand is read to its end.

    What people asked for goes first. Returns how many models were read to their end.
    """
    until = time.monotonic() + seconds
    reap()
    _revive()
    count = 0
    tried: list[int] = []
    while time.monotonic() < until:
        model = None if not _drain() or _running_here().exists() else _oldest_due(tried)
        if model is None:
            break
        tried.append(model.pk)
        run, created = _create(model, None)
        if created:
            state = execute(run, bytes_per_second=bytes_per_second, until=until, alone=True).state
            count += state == State.DONE
            if state == State.INTERRUPTED:
                break
    return count


def _oldest_due(tried: Sequence[int]) -> RegisteredModel | None:
    """Of all roots that can be believed now."""
    now = timezone.now()
    failed = DeepValidation.objects.filter(
        model=OuterRef("pk"), state=State.FAILED, finished_at__gt=now - BACK_OFF
    )
    first: list[RegisteredModel] = []
    for root in Root.objects.filter(enabled=True, frozen_reason="", deep_every_days__gt=0):
        if os.path.isdir(to_native("/", root.path)):
            first += (
                due(root, now)
                .exclude(Exists(failed))
                .exclude(pk__in=tried)
                .select_related("root")[:1]
            )
    return min(
        first,
        key=lambda model: (model.deep_validated_at is not None, model.deep_validated_at, model.pk),
        default=None,
    )


def sync_schedule() -> None:
    """Makes the hourly schedule, where it is not there yet. How often a model is read is for its root to say."""
    values = {
        "func": "discovery.tasks.scheduled_validation",
        "schedule_type": Schedule.HOURLY,
        "repeats": -1,
    }
    first = timezone.now() + timedelta(minutes=10)
    Schedule.objects.get_or_create(name=SCHEDULE, defaults={**values, "next_run": first})

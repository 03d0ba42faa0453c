"""Deep validation reads all bytes of a model.

This module requests, runs and stops it, and schedules it for each model after a number of days.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from django_q.models import Schedule

from discovery.engine.core.vocabulary import Severity, Status
from discovery.models import DeepValidation, Finding, LogTopic, RegisteredModel, Root
from discovery.services import jobs
from discovery.services.core import config_files, event_log
from discovery.services.health.checksums import checksum_check
from discovery.services.health.deep_reading import (
    NotRead,
    ReadingProgress,
    TimeBudgetExceeded,
    read_model,
)
from discovery.services.jobs import Ending
from discovery.services.jobs.kind import MAX_INTERRUPTIONS
from discovery.services.machine import root_probes
from discovery.services.machine.root_probes import RootSilent

__all__ = [
    "KIND",
    "cancel",
    "checksum_check",
    "due",
    "execute",
    "request",
    "run_due",
    "start_now",
    "sync_schedule",
]

SCHEDULE = "validate deeply"
#: What a run that was cut off has read is not read again within this time.
RESUME = timedelta(days=7)
#: A model that could not be read is not tried again by the clock before.
BACK_OFF = timedelta(days=1)
#: What the hourly schedule may take: a third of one worker's time. Of a disk it takes what
#: ``throttles`` of the config file leaves it.
SCHEDULED_SECONDS = 20 * 60

GOES_ON = "the next one goes on with the files that are left."
STOPPED = f"Stopped before the end; {GOES_ON}"

State = DeepValidation.State


class DeepValidations(jobs.Kind[DeepValidation]):
    """One at a time a host, so that disks read in one place and scans find a free worker."""

    model = DeepValidation
    task = "discovery.tasks.validate_deep"
    name = "deep validation"
    takes_seat = True
    is_long = True
    related = ("model__root",)
    goes_on = GOES_ON
    given_up = "it is not begun again by itself."
    stopped = STOPPED
    cleared = {"current_path": ""}

    def run(
        self,
        job: DeepValidation,
        *,
        bytes_per_second: int = 0,
        until: float | None = None,
        **_options: Any,
    ) -> Ending:
        progress = ReadingProgress(job)
        try:
            limits = {"bytes_per_second": bytes_per_second, "until": until}
            message = read_model(job, progress, _since(job), **limits)  # type: ignore[arg-type]
            return Ending(State.DONE, message, {"done_bytes": progress.reached})
        except TimeBudgetExceeded:
            message = f"The time set aside is used up; {GOES_ON}"
            ending = Ending(State.CANCELLED, message, {"done_bytes": progress.reached})
        except (NotRead, RootSilent) as error:
            ending = Ending(State.FAILED, str(error), {"done_bytes": progress.reached})
        except BaseException:
            self.mine(job).update(done_bytes=progress.reached)
            if self.mine(job).exists():
                progress.store()
            raise
        progress.store()
        return ending

    def ready(self, queued: QuerySet[DeepValidation]) -> QuerySet[DeepValidation]:
        """While one runs here, its worker takes up the next one."""
        return queued.exclude(Exists(_running_here()))

    def before(self, job: DeepValidation) -> QuerySet[DeepValidation]:
        return _running_here()

    def after(self, job: DeepValidation, ending: Ending) -> None:
        well = (
            job.state == State.DONE
            and not job.model.findings.filter(source=Finding.Source.DEEP, resolved_at=None).exists()
        )
        text = f"deep validation {job.get_state_display().lower()}: {job.message}"
        _record(job.model, Severity.INFO if well else Severity.WARNING, text)

    def successor(self, job: DeepValidation) -> DeepValidation | None:
        """Create another run for the remaining files, unless one has been created since."""
        if DeepValidation.objects.filter(model=job.model_id, pk__gt=job.pk).exists():
            return None
        told = {
            "requested_by_id": job.requested_by_id,
            "interruptions": job.interruptions,
            "dispatched_at": None,
        }
        run, created = self.create({"model": job.model}, total_bytes=job.model.size_bytes, **told)
        return run if created else None


KIND = DeepValidations()


def request(model: RegisteredModel, *, user_id: int | None = None) -> tuple[DeepValidation, bool]:
    """Queue a deep validation.

    While one of the same model is queued or running, that one is the answer: (run, ``False``).
    """
    return KIND.request({"model": model}, requested_by_id=user_id, total_bytes=model.size_bytes)


def start_now(model: RegisteredModel) -> tuple[DeepValidation, bool]:
    """Like :func:`request`, for a caller that executes the run itself."""
    return KIND.create({"model": model}, total_bytes=model.size_bytes)


def cancel(run: DeepValidation) -> bool:
    """Cancel a run; return ``False`` when it has already finished.

    A queued run ends at once, a running one within a second.
    """
    return KIND.cancel(run)


def execute(
    run: DeepValidation,
    *,
    bytes_per_second: int = 0,
    until: float | None = None,
    alone: bool = False,
) -> DeepValidation:
    """Run a queued deep validation in this process, to its end.

    ``until`` is a time of ``time.monotonic()`` after which no other file is started. With ``alone``
    the run stays queued while this host has another one running.
    """
    limits = {"bytes_per_second": bytes_per_second, "until": until}
    return jobs.execute(run, in_turn=alone, **limits)  # type: ignore[no-any-return]


def _running_here() -> QuerySet[DeepValidation]:
    return DeepValidation.objects.filter(state=State.RUNNING, host=socket.gethostname())


def _since(run: DeepValidation) -> datetime:
    """Return when the reading that this run continues began.

    That is the first of the runs since the last complete one, if it is not too long ago.
    """
    since = run.started_at or timezone.now()
    oldest = since - RESUME
    for state, started in DeepValidation.objects.filter(
        model=run.model_id, pk__lt=run.pk
    ).values_list("state", "started_at")[:50]:
        if state == State.DONE:
            break
        since = min(since, started) if started and started >= oldest else since
    return since


def _record(model: RegisteredModel, level: Severity, text: str) -> None:
    event_log.record(LogTopic.VALIDATION, level, text, model_id=model.model_id, path=model.path)


def due(root: Root, now: datetime) -> QuerySet[RegisteredModel]:
    """Models of ``root`` that have not been read deeply for ``deep_every_days`` days.

    Those never read come first, then the oldest; 0 days select none.
    """
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


def run_due(seconds: float = SCHEDULED_SECONDS, *, bytes_per_second: int | None = None) -> int:
    """Validate the models that are due, the oldest first, until ``seconds`` are used up.

    The current file is always read to its end, no faster than ``bytes_per_second``: 0 is as fast as
    it goes, ``None`` what ``model_discovery.json`` allows.

    People's requests come first. Returns how many models were read to their end.
    """
    until = time.monotonic() + seconds
    speed = bytes_per_second
    if speed is None:
        speed = config_files.throttles().deep_validation_mb_per_second * 10**6
    jobs.reap_all()
    count = 0
    tried: list[int] = []
    while time.monotonic() < until:
        model = None if not jobs.drain(KIND) or _running_here().exists() else _oldest_due(tried)
        if model is None:
            break
        tried.append(model.pk)
        run, created = start_now(model)
        if created:
            state = execute(run, bytes_per_second=speed, until=until, alone=True).state
            count += state == State.DONE
            if state == State.INTERRUPTED:
                break
    return count


def _oldest_due(tried: Sequence[int]) -> RegisteredModel | None:
    """Of all roots that can be believed now."""
    now = timezone.now()
    bad = Q(state=State.FAILED) | Q(state=State.INTERRUPTED, interruptions__gte=MAX_INTERRUPTIONS)
    failed = DeepValidation.objects.filter(
        bad, model=OuterRef("pk"), finished_at__gt=now - BACK_OFF
    )
    first: list[RegisteredModel] = []
    for root, look in root_probes.probe_roots(
        Root.objects.filter(enabled=True, frozen_reason="", deep_every_days__gt=0)
    ).items():
        if not look.fault:
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
    """Create the hourly schedule, where it does not exist yet.

    How often a model is read is for its root to say.
    """
    values = {
        "func": "discovery.tasks.scheduled_validation",
        "schedule_type": Schedule.HOURLY,
        "repeats": -1,
    }
    first = timezone.now() + timedelta(minutes=10)
    Schedule.objects.get_or_create(name=SCHEDULE, defaults={**values, "next_run": first})

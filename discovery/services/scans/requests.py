"""Asking for a scan: now in this process, or queued for the cluster; by hand or by the clock."""

from __future__ import annotations

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone
from django_q.models import Schedule
from django_q.tasks import async_task

from discovery.models import Root, ScanRun
from discovery.services import configs
from discovery.services.scans.claims import reap

SCHEDULE = "scan the roots"


def request(
    trigger: ScanRun.Trigger,
    *,
    path: str = "",
    full: bool = False,
    accept_missing: bool = False,
    user_id: int | None = None,
) -> tuple[ScanRun, bool]:
    """Queues a scan. While one of the same scope is queued or running, that one is the answer: (run, ``False``)."""
    reap()
    run, created = _create(
        trigger, path=path, full=full, accept_missing=accept_missing, user_id=user_id
    )
    if created:
        async_task("discovery.tasks.run_scan", run.pk, task_name=f"scan {run.pk}")
    return run, created


def start_now(
    trigger: ScanRun.Trigger, *, path: str = "", full: bool = False
) -> tuple[ScanRun, bool]:
    """Like :func:`request`, for a caller that runs the scan itself."""
    reap()
    return _create(trigger, path=path, full=full, accept_missing=False, user_id=None)


def _create(
    trigger: ScanRun.Trigger, *, path: str, full: bool, accept_missing: bool, user_id: int | None
) -> tuple[ScanRun, bool]:
    for _ in range(3):
        try:
            with transaction.atomic():
                run = ScanRun.objects.create(
                    trigger=trigger,
                    path=path,
                    full=full,
                    accept_missing=accept_missing,
                    requested_by_id=user_id,
                )
            return run, True
        except IntegrityError:
            active = ScanRun.objects.filter(path=path, state__in=ScanRun.ACTIVE).first()
            if active is not None:
                return active, False
    raise RuntimeError("scans of this scope begin and end faster than they can be asked for")


def cancel(run: ScanRun) -> bool:
    """A queued run ends at once, a running one within a second; ``False`` when it is over already."""
    now = timezone.now()
    queued = ScanRun.objects.filter(pk=run.pk, state=ScanRun.State.QUEUED)
    if queued.update(
        state=ScanRun.State.CANCELLED, finished_at=now, message="Stopped before it began."
    ):
        return True
    return (
        ScanRun.objects.filter(pk=run.pk, state=ScanRun.State.RUNNING).update(cancel_requested=True)
        == 1
    )


def dispatch_queued() -> int:
    """Puts queued runs on the queue again after a restart: a run begins once, however often it is dispatched."""
    runs = list(ScanRun.objects.filter(state=ScanRun.State.QUEUED))
    for run in runs:
        async_task("discovery.tasks.run_scan", run.pk, task_name=f"scan {run.pk}")
    return len(runs)


def sync_schedule() -> None:
    """Makes the schedule follow ``scan_interval_minutes``; 0 means no scans by the clock."""
    minutes = configs.discovery().scan_interval_minutes
    schedule = Schedule.objects.filter(name=SCHEDULE).first()
    if minutes == 0:
        if schedule:
            schedule.delete()
        return
    if schedule and schedule.minutes == minutes:
        return
    last = (
        Root.objects.order_by("-last_scan_at")
        .values_list("last_scan_at", flat=True)
        .exclude(last_scan_at=None)
        .first()
    )
    due = max((last or timezone.now()) + timedelta(minutes=minutes), timezone.now())
    values = {
        "func": "discovery.tasks.scheduled_scan",
        "schedule_type": Schedule.MINUTES,
        "minutes": minutes,
        "next_run": due,
        "repeats": -1,
    }
    Schedule.objects.update_or_create(name=SCHEDULE, defaults=values)

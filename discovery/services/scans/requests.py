"""Request a scan: now in this process, or queued for the cluster; manually or by schedule."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from django_q.models import Schedule

from discovery.engine.core.service_words import Trigger
from discovery.models import Root, ScanRun
from discovery.services.scans.job import KIND
from discovery.services.scans.roots import scan_minutes

SCHEDULE = "scan the roots"


def request(
    trigger: Trigger,
    *,
    path: str = "",
    full: bool = False,
    accept_missing: bool = False,
    user_id: int | None = None,
) -> tuple[ScanRun, bool]:
    """Queue a scan.

    While one of the same scope is queued or running, that one is the answer: (run, ``False``).
    """
    return KIND.request(
        {"path": path},
        trigger=trigger,
        full=full,
        accept_missing=accept_missing,
        requested_by_id=user_id,
    )


def start_now(trigger: Trigger, *, path: str = "", full: bool = False) -> tuple[ScanRun, bool]:
    """Like :func:`request`, for a caller that runs the scan itself."""
    return KIND.create({"path": path}, trigger=trigger, full=full)


def cancel(run: ScanRun) -> bool:
    """Cancel a run; return ``False`` when it has already finished.

    A queued run ends at once, a running one within a second.
    """
    return KIND.cancel(run)


def sync_schedule() -> None:
    """Set the schedule from ``scan_interval_minutes`` and the roots' own intervals.

    0 means no scheduled scans.
    """
    minutes = scan_minutes()
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
    }
    if schedule:  # one that somebody has paused stays so
        Schedule.objects.filter(pk=schedule.pk).update(**values)
    else:
        Schedule.objects.create(name=SCHEDULE, repeats=-1, **values)

"""A closed list of schedules, which people run, pause and move, but never write.

The interval of a schedule is decided elsewhere, and shown: scans by ``scan_interval_minutes`` of
the config file, deep validations by each root.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from django.utils import timezone
from django_q.models import Schedule
from django_q.tasks import async_task

from discovery.engine.core.vocabulary import Severity
from discovery.models import LogTopic
from discovery.services.core import config_files, event_log
from discovery.services.health import deep_validation
from discovery.services.jobs.allowed_tasks import functions
from discovery.services.machine.workers import LATE, interval
from discovery.services.scans.requests import SCHEDULE as SCAN

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: The furthest that a schedule can be moved.
FURTHEST = timedelta(days=365)


class ScheduleError(Exception):
    """The sentence says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A schedule that there may be. ``set_by`` says what decides how often it comes round."""

    name: str
    label: str
    set_by: str


KINDS = {
    kind.name: kind
    for kind in (
        Kind(SCAN, "Scan the roots", "scan_interval_minutes in model_discovery.json"),
        Kind(
            deep_validation.SCHEDULE,
            "Deep validation",
            "“validate deeply every” of each root; this looks which models are due",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """The current state of one schedule.

    ``kind`` is ``None`` for one that is not on the list: its tasks are refused.
    """

    pk: int | None
    name: str
    label: str
    every: str
    set_by: str
    next_run: datetime | None
    is_late: bool = False
    is_paused: bool = False
    is_ours: bool = True


def rows() -> list[ScheduleRow]:
    """Return the listed schedules, even those that do not exist, then all others in the table."""
    known = {row.name: row for row in Schedule.objects.filter(name__in=KINDS)}
    told = [_row(kind, known.get(name)) for name, kind in KINDS.items()]
    told += [
        ScheduleRow(
            row.pk, row.name or "", row.func, interval(row), "", row.next_run, is_ours=False
        )
        for row in _others().order_by("pk")[:100]
    ]
    return told


def _others() -> QuerySet[Any]:
    """Schedules in the table that are not on the list: workers refuse them."""
    rows: QuerySet[Any] = Schedule.objects.exclude(name__in=KINDS)
    return rows.exclude(func__in=functions())


def _row(kind: Kind, row: Schedule | None) -> ScheduleRow:
    if row is None:
        return ScheduleRow(None, kind.name, kind.label, "off", kind.set_by, None)
    paused = row.repeats == 0
    late = not paused and row.next_run is not None and row.next_run < timezone.now() - LATE
    return ScheduleRow(
        row.pk, kind.name, kind.label, interval(row), kind.set_by, row.next_run, late, paused
    )


def run_now(name: str, *, by: User) -> None:
    """Queue the job of a schedule now; its next run stays as it is.

    Raises ``ScheduleError``.
    """
    row, kind = _fetch(name), KINDS[name]
    if row.func not in functions():
        raise ScheduleError(
            f"{kind.label} names a function that workers do not run. Restart the server to set it"
            " right."
        )
    async_task(row.func, task_name=kind.name)
    _note(by, "ran", kind)


def pause(name: str, *, by: User) -> None:
    row = _fetch(name)
    Schedule.objects.filter(pk=row.pk).update(repeats=0)
    _note(by, "paused", KINDS[name])


def resume(name: str, *, by: User) -> None:
    """A time that has passed meanwhile is now."""
    row = _fetch(name)
    due = max(row.next_run or timezone.now(), timezone.now())
    Schedule.objects.filter(pk=row.pk).update(repeats=-1, next_run=due)
    _note(by, "resumed", KINDS[name])


def move(name: str, at: datetime, *, by: User, seen: str = "") -> None:
    """When it comes round next; from then on in its own interval.

    ``seen`` is the time that a form showed, in ISO 8601. Raises ``ScheduleError``.
    """
    row, now = _fetch(name), timezone.now()
    if seen and seen != row.next_run.isoformat():
        raise ScheduleError(
            f"It comes round at {row.next_run:%Y-%m-%d %H:%M} UTC by now, which this page did not"
            " show. It was not moved: decide again."
        )
    if at < now - timedelta(minutes=1):
        raise ScheduleError("That time has passed. Choose one that is still to come.")
    if at > now + FURTHEST:
        raise ScheduleError("That is more than a year away. Pause the schedule instead.")
    Schedule.objects.filter(pk=row.pk).update(next_run=at)
    _note(by, f"moved to {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC", KINDS[name])


def delete(pk: int, *, by: User) -> None:
    """One that is not on the list. Raises ``ScheduleError``."""
    row = _others().filter(pk=pk).first()
    if row is None:
        raise ScheduleError("There is no such schedule any more.")
    row.delete()
    event_log.record(
        LogTopic.ACCESS,
        Severity.INFO,
        f"{by.get_username()} deleted the schedule {row.name or row.func}",
    )


def _fetch(name: str) -> Schedule:
    row = Schedule.objects.filter(name=name).first() if name in KINDS else None
    if row is not None:
        return row
    if name == SCAN and not config_files.discovery().scan_interval_minutes:
        raise ScheduleError(
            "Scans by the clock are off: set scan_interval_minutes in model_discovery.json to a"
            " number above 0."
        )
    raise ScheduleError("This schedule does not exist yet: serve makes it when it starts.")


def _note(by: User, what: str, kind: Kind) -> None:
    event_log.record(
        LogTopic.ACCESS, Severity.INFO, f"{by.get_username()} {what} the schedule “{kind.label}”"
    )

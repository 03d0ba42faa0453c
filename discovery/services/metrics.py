"""Figures for Prometheus, in its text format (https://prometheus.io/docs/instrumenting/exposition_formats/)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from django.db.models import Count, Sum

from discovery.engine.types import Severity, Status
from discovery.models import Finding, Listing, ScanRun
from discovery.services import browse, system, versions
from discovery.services.workers import workers

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[Mapping[str, str], float]


def text(user: AbstractBaseUser | AnonymousUser) -> str:
    """Models that ``user`` may see; for staff also scans, problems, workers and disks."""
    lines = list(_models(user))
    if getattr(user, "is_staff", False):
        lines += [*_scans(), *_problems(), *_workers(), *_disks()]
    return "".join(f"{line}\n" for line in lines)


def _models(user: AbstractBaseUser | AnonymousUser) -> Iterator[str]:
    version = versions.programs()[0].version or "unknown"
    yield from _metric("karen_info", "The program that answers.", [({"version": version}, 1)])
    visible = Listing.objects.visible_to(user).order_by()
    rows = {
        status: (count, size)
        for status, count, size in visible.values_list("status").annotate(
            Count("pk"), Sum("size_bytes")
        )
    }
    counts: list[Sample] = [({"status": status}, rows.get(status, (0, 0))[0]) for status in Status]
    sizes: list[Sample] = [({"status": status}, rows.get(status, (0, 0))[1]) for status in Status]
    yield from _metric("karen_models", "Registered models.", counts)
    yield from _metric("karen_models_bytes", "Size of their files.", sizes)


def _scans() -> Iterator[str]:
    states = dict(ScanRun.objects.order_by().values_list("state").annotate(Count("pk")))
    yield from _metric(
        "karen_scans",
        "Scans by state.",
        [({"state": state}, states.get(state, 0)) for state in ScanRun.State.values],
    )
    last = ScanRun.objects.filter(state=ScanRun.State.DONE).first()
    if last and last.finished_at:
        yield from _metric(
            "karen_last_scan_timestamp_seconds",
            "End of the last complete scan.",
            [({}, last.finished_at.timestamp())],
        )
        yield from _metric(
            "karen_last_scan_seconds", "How long it took.", [({}, last.seconds or 0)]
        )


def _problems() -> Iterator[str]:
    found = dict(
        Finding.objects.all().open().order_by().values_list("severity").annotate(Count("pk"))
    )
    yield from _metric(
        "karen_problems",
        "Open findings.",
        [({"severity": level}, found.get(level, 0)) for level in Severity],
    )


def _workers() -> Iterator[str]:
    now = workers()
    if now.fault:
        return
    yield from _metric("karen_workers", "Task workers that are alive.", [({}, len(now.workers))])
    yield from _metric(
        "karen_tasks_waiting", "Tasks that no worker has begun.", [({}, now.waiting or 0)]
    )


def _disks() -> Iterator[str]:
    known = [(disk.roots[0].path, disk) for disk in system.disks(browse.roots())]
    sizes = [
        ({"path": path}, float(disk.total_bytes))
        for path, disk in known
        if disk.total_bytes is not None
    ]
    free = [
        ({"path": path}, float(disk.free_bytes))
        for path, disk in known
        if disk.free_bytes is not None
    ]
    yield from _metric("karen_disk_bytes", "Size of the disks that hold models.", sizes)
    yield from _metric("karen_disk_free_bytes", "Free on them.", free)


def _metric(name: str, what: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {what}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples:
        shown = ",".join(f'{label}="{_escaped(content)}"' for label, content in labels.items())
        yield f"{name}{{{shown}}} {value:.15g}" if shown else f"{name} {value:.15g}"


def _escaped(content: str) -> str:
    return content.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

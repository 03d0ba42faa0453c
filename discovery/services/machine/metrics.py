"""Figures for Prometheus, counted for each request.

Its own library writes them (https://prometheus.io/docs/instrumenting/exposition_formats/).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count, Sum
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from discovery.engine.core.vocabulary import Severity, Status
from discovery.models import Finding, Listing, Right, ScanRun
from discovery.services.access import permissions
from discovery.services.machine import resources, root_states, versions
from discovery.services.machine.workers import workers

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

__all__ = ["CONTENT_TYPE", "text"]

Sample = tuple[Mapping[str, str], float]


def text(user: AbstractBaseUser | AnonymousUser) -> bytes:
    """The page that Prometheus reads, as ``user`` may see it."""
    return generate_latest(_Figures(user))


@dataclass(frozen=True)
class _Figures(Collector):
    """The figures that ``user`` may see.

    These are visible models; people who may see the system and all models also get scans, problems,
    workers and disks.
    """

    user: AbstractBaseUser | AnonymousUser

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from _models(self.user)
        if permissions.may_all(self.user, (Right.SYSTEM, Right.VIEW_ALL)):
            yield from _scans()
            yield from _problems()
            yield from _workers()
            yield from _disks()


def _models(user: AbstractBaseUser | AnonymousUser) -> Iterator[GaugeMetricFamily]:
    version = versions.programs()[0].version or "unknown"
    yield _gauge("karen_info", "The program that answers.", [({"version": version}, 1)])
    visible = Listing.objects.visible_to(user).order_by()
    rows = {
        status: (count, size)
        for status, count, size in visible.values_list("status").annotate(
            Count("pk"), Sum("size_bytes")
        )
    }
    counts: list[Sample] = [({"status": status}, rows.get(status, (0, 0))[0]) for status in Status]
    sizes: list[Sample] = [({"status": status}, rows.get(status, (0, 0))[1]) for status in Status]
    yield _gauge("karen_models", "Registered models.", counts)
    yield _gauge("karen_models_bytes", "Size of their files.", sizes)


def _scans() -> Iterator[GaugeMetricFamily]:
    states = dict(ScanRun.objects.order_by().values_list("state").annotate(Count("pk")))
    yield _gauge(
        "karen_scans",
        "Scans by state.",
        [({"state": state}, states.get(state, 0)) for state in ScanRun.State.values],
    )
    last = ScanRun.objects.filter(state=ScanRun.State.DONE).first()
    if last and last.finished_at:
        yield _gauge(
            "karen_last_scan_timestamp_seconds",
            "End of the last complete scan.",
            [({}, last.finished_at.timestamp())],
        )
        yield _gauge("karen_last_scan_seconds", "How long it took.", [({}, last.seconds or 0)])


def _problems() -> Iterator[GaugeMetricFamily]:
    found = dict(
        Finding.objects.all().open().order_by().values_list("severity").annotate(Count("pk"))
    )
    yield _gauge(
        "karen_problems",
        "Open findings.",
        [({"severity": level}, found.get(level, 0)) for level in Severity],
    )


def _workers() -> Iterator[GaugeMetricFamily]:
    now = workers()
    if now.fault:
        return
    yield _gauge("karen_workers", "Task workers that are alive.", [({}, len(now.workers))])
    yield _gauge("karen_tasks_waiting", "Tasks that no worker has begun.", [({}, now.waiting or 0)])


def _disks() -> Iterator[GaugeMetricFamily]:
    known = [(disk.roots[0].path, disk) for disk in resources.disks(root_states.roots())]
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
    yield _gauge("karen_disk_bytes", "Size of the disks that hold models.", sizes)
    yield _gauge("karen_disk_free_bytes", "Free on them.", free)


def _gauge(name: str, what: str, samples: Iterable[Sample]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, what)
    for labels, value in samples:
        family.add_sample(name, dict(labels), value)
    return family

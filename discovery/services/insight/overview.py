"""The figures of the Overview page for the whole registry.

They are sums by category, runtime, state and root, and the largest, the newest and the faulty
models.

It takes a fixed number of statements, answered from indexes: lists are cut in the database, never
in Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from django.db.models import Count, F, Max, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from discovery.engine.core.vocabulary import Status
from discovery.models import Finding, Listing, RegisteredModel, RegisteredModelQuerySet, ScanRun

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    User = AbstractBaseUser | AnonymousUser

#: Nothing of these lies on a disk.
ABSENT = (Status.MISSING, Status.REMOTE)
#: What is not whole is no copy of anything: two empty files are alike, and say nothing.
NO_COPY = (*ABSENT, Status.INCOMPLETE)
#: What needs somebody, the worst first.
TROUBLED = (Status.UNSAFE, Status.CORRUPT, Status.INCOMPLETE, Status.MISSING)

WEEK = timedelta(days=7)
#: Days that the growth chart looks back.
GROWTH_DAYS = 90

#: Columns of a row in one of the page's lists.
_LISTED = (
    "model_id",
    "name",
    "display_name",
    "primary",
    "type",
    "status",
    "size_bytes",
    "added_at",
    "changed_at",
)


@dataclass(frozen=True, slots=True)
class Cell:
    """Models alike in category, runtime, state and root.

    ``primary`` is empty where no verdict was reached.
    """

    primary: str
    type: str
    status: str
    root: int
    models: int
    size: int

    @property
    def bytes_on_disk(self) -> int:
        return 0 if self.status in ABSENT else self.size


@dataclass(frozen=True, slots=True)
class Share:
    """How many models, and how many bytes on disk, have one value."""

    value: str
    models: int
    size: int


@dataclass(frozen=True, slots=True)
class Registry:
    """The registry as one person sees it, in as few cells as it has kinds of models."""

    cells: tuple[Cell, ...]

    @property
    def models(self) -> int:
        return sum(cell.models for cell in self.cells)

    @property
    def size(self) -> int:
        return sum(cell.bytes_on_disk for cell in self.cells)

    def by(self, field: str) -> list[Share]:
        """Return the shares of one field, the value with the most models first.

        ``field`` is ``primary``, ``type``, ``status`` or ``root``.
        """
        value = attrgetter(field)
        counted: dict[str, list[int]] = {}
        for cell in self.cells:
            entry = counted.setdefault(value(cell), [0, 0])
            entry[0] += cell.models
            entry[1] += cell.bytes_on_disk
        shares = [Share(name, models, size) for name, (models, size) in counted.items()]
        return sorted(shares, key=lambda share: (-share.models, str(share.value)))

    def count(self, *statuses: str) -> int:
        return sum(cell.models for cell in self.cells if cell.status in statuses)


class Growth(NamedTuple):
    """Models found by the last full scan of one day, with those that were new and missing."""

    at: datetime
    found: int
    new: int
    missing: int


def registry(user: User) -> Registry:
    rows = (
        RegisteredModel.objects.visible_to(user)
        .order_by()
        .values_list("primary", "type", "status", "root")
    )
    counted = rows.annotate(models=Count("pk"), size=Sum("size_bytes"))
    return Registry(
        tuple(
            Cell(primary or "", kind, status, root, models, size or 0)
            for primary, kind, status, root, models, size in counted
        )
    )


def _listed(user: User) -> RegisteredModelQuerySet:
    return RegisteredModel.objects.visible_to(user).only(*_LISTED)


def largest(user: User, limit: int, primary: str | None = None) -> list[RegisteredModel]:
    """The models that take up the most disk space.

    ``primary`` limits them to a category, an empty one to those without a category.
    """
    there = (
        RegisteredModel.objects.visible_to(user).exclude(status__in=ABSENT).filter(size_bytes__gt=0)
    )
    if primary is not None:
        there = there.filter(primary=primary) if primary else there.filter(primary=None)
    chosen = list(there.order_by("-size_bytes", "-pk").values_list("pk", flat=True)[:limit])
    return list(_listed(user).filter(pk__in=chosen).order_by("-size_bytes", "-pk"))


def added_this_week(user: User) -> int:
    return (
        RegisteredModel.objects.visible_to(user).filter(added_at__gte=timezone.now() - WEEK).count()
    )


def recently_added(user: User, limit: int) -> list[RegisteredModel]:
    return list(_listed(user).order_by("-added_at", "-pk")[:limit])


def recently_changed(user: User, limit: int) -> list[RegisteredModel]:
    """Changed since they were added.

    Only the newest changes are checked: after a first scan there are none to show.
    """
    newest = _listed(user).order_by("-changed_at", "-pk")[: limit * 5]
    return [
        record for record in newest if record.changed_at - record.added_at > timedelta(minutes=1)
    ][:limit]


def unlicensed() -> int:
    """Models without a license. For administrators."""
    return Listing.objects.filter(license=None).count()


def attention(limit: int) -> list[Finding]:
    """The worst open finding of each of ``limit`` models, errors first. For administrators."""
    rows = Finding.objects.all().open().order_by("severity", "-last_seen_at", "-pk")[: limit * 5]
    keys = list(rows.values_list("pk", "model_id"))
    first: dict[int, int] = {}
    for key, model in keys:
        first.setdefault(model, key)
    chosen = list(first.values())[:limit]
    found = {
        row.pk: row
        for row in Finding.objects.filter(pk__in=chosen).select_related("model").only(*_FINDING)
    }
    return [found[key] for key in chosen if key in found]


_FINDING = (
    "code", "message", "severity", "path", "model__model_id", "model__name", "model__display_name",
    "model__status",
)  # fmt: skip


def growth(now: datetime | None = None) -> list[Growth]:
    """Return one point for each day: the result of its last full scan.

    For administrators: scans see what readers may not.
    """
    since = (now or timezone.now()) - timedelta(days=GROWTH_DAYS)
    whole = ScanRun.objects.filter(path="", state=ScanRun.State.DONE, finished_at__gte=since)
    last = (
        whole.annotate(day=TruncDate("finished_at"))
        .order_by()
        .values("day")
        .annotate(last=Max("pk"))
        .values("last")
    )
    rows = ScanRun.objects.filter(pk__in=last).order_by("finished_at")
    return [
        Growth(run.finished_at, run.found, run.new, run.missing) for run in rows if run.finished_at
    ]


def possible_duplicates() -> int:
    """Return the bytes that removing copies with the same fingerprint could free at most.

    Models with the same fingerprint need not be the same, see ``services.cleanup.duplicates``.
    """
    there = RegisteredModel.objects.exclude(status__in=NO_COPY).order_by()
    groups = (
        there.values("fingerprint")
        .annotate(models=Count("pk"), total=Sum("size_bytes"), kept=Max("size_bytes"))
        .filter(models__gt=1)
    )
    spare = groups.aggregate(spare=Sum(F("total") - F("kept")))["spare"]
    return int(spare or 0)


def troubled(kinds: Registry) -> Sequence[tuple[str, int]]:
    """Return (status, models) that need attention, the worst first, without missing ones."""
    return [(status, count) for status in TROUBLED if (count := kinds.count(status))]

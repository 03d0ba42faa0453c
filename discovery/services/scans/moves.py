"""What a scan did not see: moved, missing, or a root that should not be believed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeVar

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from discovery.engine.text import plural
from discovery.engine.types import Severity, Status
from discovery.models import Channel, LogEntry, RegisteredModel, Root, ScanRun
from discovery.services import findings, tags
from discovery.services.journal import Journal
from discovery.services.records import SCANNED, resolve

CHUNK = 400

T = TypeVar("T")


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


def relink(root: Root, run: ScanRun, gone: Sequence[int], journal: Journal) -> set[int]:
    """Records whose weights turned up at a new place take it over, with all that people decided. Returns their keys.

    One gone and one new with the same fingerprint is a move; anything less certain is left for a person, and said.
    """
    missing = RegisteredModel.objects.filter(status=Status.MISSING)
    if not gone and not missing.exists():
        return set()
    new = RegisteredModel.objects.exclude(status=Status.MISSING).filter(_fresh(root, run))
    if not new.exists():
        return set()
    arrivals: dict[str, list[int]] = defaultdict(list)
    leaving = set(gone)
    for pk, fingerprint in new.values_list("pk", "fingerprint"):
        if pk not in leaving:
            arrivals[fingerprint].append(pk)
    departures: dict[str, list[int]] = defaultdict(list)
    for part in chunks(gone):
        for pk, fingerprint in RegisteredModel.objects.filter(pk__in=part).values_list(
            "pk", "fingerprint"
        ):
            if fingerprint in arrivals:
                departures[fingerprint].append(pk)
    for pk, fingerprint in missing.values_list("pk", "fingerprint"):
        if fingerprint in arrivals:
            departures[fingerprint].append(pk)
    pairs = {}
    for fingerprint, old in departures.items():
        if len(old) == 1 and len(arrivals[fingerprint]) == 1:
            pairs[old[0]] = arrivals[fingerprint][0]
        else:
            _ask(journal, old, arrivals[fingerprint])
    moved: set[int] = set()
    for part in chunks(list(pairs)):
        moved |= _take_over({pk: pairs[pk] for pk in part}, journal)
    return moved


def _fresh(root: Root, run: ScanRun) -> Q:
    """Records that no complete scan of the root has seen before: this run's, and those of runs that were cut off."""
    fresh = Q(added_in=run)
    if root.last_scan_at:
        fresh |= Q(root=root, added_at__gt=root.last_scan_at)
    return fresh


def _ask(journal: Journal, old: Sequence[int], new: Sequence[int]) -> None:
    names = dict(RegisteredModel.objects.filter(pk__in=[*old, *new]).values_list("pk", "model_id"))
    there = " or ".join(names[pk] for pk in new)
    text = f"{', '.join(names[pk] for pk in old)} may have moved to {there}: the weights are the same. Nothing was joined."
    journal.add(Channel.DISCOVERY, Severity.WARNING, text, model_id=names[old[0]])


def _take_over(pairs: dict[int, int], journal: Journal) -> set[int]:
    """The old record keeps its id, its curated values and its grants; everything scanned comes from the new one, which goes."""
    with transaction.atomic():
        records = RegisteredModel.objects.in_bulk([*pairs, *pairs.values()])
        pairs = {
            old: new
            for old, new in pairs.items()
            if old in records and new in records and not records[new].curated
        }
        for old_key, new_key in pairs.items():
            old, new = records[old_key], records[new_key]
            text = f"moved from {old.path}"
            journal.add(
                Channel.DISCOVERY,
                Severity.INFO,
                text,
                model_id=old.model_id,
                path=new.path,
                event=LogEntry.Event.MOVED,
            )
            for name in SCANNED:
                setattr(old, name, getattr(new, name))
            resolve(old)
        arrived = [records[pk].model_id for pk in pairs.values()]
        LogEntry.objects.filter(
            scan=journal.scan, event=LogEntry.Event.NEW, model_id__in=arrived
        ).update(event="")  # they were not new after all
        RegisteredModel.objects.filter(pk__in=list(pairs.values())).delete()
        moved = [records[pk] for pk in pairs]
        if moved:
            RegisteredModel.objects.bulk_create(
                moved,
                update_conflicts=True,
                unique_fields=["model_id"],
                update_fields=list(SCANNED),
            )
            findings.after_scan(moved)
            tags.sync(moved)
        journal.write()
    return set(pairs)


def mark_missing(root: Root, gone: Sequence[int], journal: Journal) -> int:
    """Marks records missing; they keep everything else until somebody forgets them."""
    now, count = timezone.now(), 0
    for part in chunks(gone):
        with transaction.atomic():
            rows = RegisteredModel.objects.filter(pk__in=part, root=root).exclude(
                status=Status.MISSING
            )
            for model_id, path in rows.values_list("model_id", "path"):
                text = "missing: its files are gone"
                journal.add(
                    Channel.DISCOVERY,
                    Severity.WARNING,
                    text,
                    model_id=model_id,
                    path=path,
                    event=LogEntry.Event.MISSING,
                )
            count += rows.update(status=Status.MISSING, missing_since=now, changed_at=now)
            findings.gone(part)
            journal.write()
    return count


def distrust(known: int, seen: int, gone: int) -> str:
    """Why the root's answer should not be believed; empty when it may be.

    An unmounted disk looks like an empty folder: that must not mark a thousand models missing.
    """
    if gone and not seen:
        return f"The folder is empty, but {plural(known, 'model')} {'was' if known == 1 else 'were'} in it. Is the disk mounted?"
    if gone * 2 > known:
        return f"{gone:,} of {plural(known, 'model')} are gone, more than half."
    return ""


def freeze(root: Root, reason: str, gone: int, journal: Journal) -> None:
    Root.objects.filter(pk=root.pk).update(frozen_reason=reason[:500], missing_count=gone)
    journal.add(
        Channel.DISCOVERY,
        Severity.ERROR,
        f"root frozen, nothing was marked missing: {reason}",
        path=root.path,
    )


def thaw(root: Root) -> None:
    Root.objects.filter(pk=root.pk).exclude(frozen_reason="").update(
        frozen_reason="", missing_count=0
    )

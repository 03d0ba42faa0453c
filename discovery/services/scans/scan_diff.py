"""The events of a run by model and place, and the differences between two runs.

Read from the log, which scans write anyway.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Count, QuerySet

from discovery.models import LogEntry, ScanRun
from discovery.services.core import event_log
from discovery.services.scans.relinking import chunks

Event = LogEntry.Event

#: Events that say whether a model is there afterwards.
_ARRIVES = (Event.NEW, Event.BACK)


@dataclass(slots=True)
class Difference:
    """One model between two runs.

    ``was`` and ``is_there`` say in which of them it is; ``events`` what happened, oldest first.
    """

    model_id: str
    path: str
    was: bool
    is_there: bool
    events: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """``added``, ``gone``, ``changed``; empty for what came and went in between."""
        if self.was and self.is_there:
            return "changed"
        return "added" if self.is_there else "gone" if self.was else ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """``runs`` lie after the first run, up to and with the second.

    Of ``untold`` ones the log is not kept any more.
    """

    differences: tuple[Difference, ...]
    runs: int
    untold: int

    def of(self, kind: str) -> list[Difference]:
        return [each for each in self.differences if each.kind == kind]


def counts(run: ScanRun) -> dict[str, int]:
    """Return {event: count}, in the order in which they are shown."""
    rows = (
        LogEntry.objects.filter(scan=run)
        .exclude(event="")
        .order_by("event")
        .values_list("event")
        .annotate(count=Count("pk"))
    )
    found = dict(rows)
    return {event.value: found.get(event.value, 0) for event in Event}


def events(run: ScanRun, event: str = "", text: str = "") -> QuerySet[LogEntry]:
    """Return the events of the run in order.

    ``event`` limits them to one event, ``text`` to entries that contain each of its words.
    """
    rows = LogEntry.objects.filter(scan=run).exclude(event="").order_by("pk")
    if event:
        rows = rows.filter(event=event)
    return event_log.matching(rows, text)


def previous(run: ScanRun) -> ScanRun | None:
    """The run of the same scope that ended before this one."""
    return (
        ScanRun.objects.filter(path=run.path, pk__lt=run.pk, state=ScanRun.State.DONE)
        .order_by("-pk")
        .first()
    )


def compare(first: ScanRun, second: ScanRun) -> Comparison:
    """Return what the registry had after one of two runs and not after the other.

    It combines the events of all runs between them.
    """
    between = ScanRun.objects.filter(pk__gt=first.pk, pk__lte=second.pk).exclude(
        state__in=ScanRun.ACTIVE
    )
    told = LogEntry.objects.filter(scan__in=between.values("pk"))
    rows = (
        told.exclude(event__in=("", Event.SKIPPED))
        .order_by("pk")
        .values_list("model_id", "event", "path")
    )
    untold = between.exclude(pk__in=told.values("scan")).exclude(started_at=None).count()
    differences = _differences(rows.iterator(chunk_size=5000))
    _correct_returns(differences, first)
    told_ones = sorted(
        (one for one in differences if one.kind), key=lambda one: (one.kind, one.path)
    )
    return Comparison(tuple(told_ones), between.count(), untold)


def _differences(rows: Iterable[tuple[str, str, str]]) -> list[Difference]:
    seen: dict[str, Difference] = {}
    for model_id, event, path in rows:
        one = seen.get(model_id)
        if one is None:
            one = seen[model_id] = Difference(
                model_id, path, was=event not in _ARRIVES, is_there=True
            )
        one.path, one.is_there = path, event != Event.MISSING
        if event not in one.events:
            one.events.append(event)
    return list(seen.values())


def _correct_returns(differences: Iterable[Difference], first: ScanRun) -> None:
    """What is first heard of as moved was there before, unless it had been missing then already."""
    moved = {one.model_id: one for one in differences if one.events[0] == Event.MOVED}
    for part in chunks(list(moved)):
        earlier = (
            event_log.of_models(part).filter(scan__lte=first.pk).exclude(event="").order_by("pk")
        )
        last = dict(earlier.values_list("model_id", "event"))
        for model_id, event in last.items():
            moved[model_id].was = event != Event.MISSING

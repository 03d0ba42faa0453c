"""What changed, the newest first: edits, scans, access, users, settings and rules in one list.

Each kind of event stays in its own table. A page of the list takes one statement over all tables
for the order (time, kind and key), and one for each kind that the page holds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, overload

from django.db.models import CharField, Count, F, Max, Q, QuerySet, Value

from discovery.models import MetadataChange
from discovery.services.access.redaction import Sight
from discovery.services.activity.sources import EDIT, SOURCES, Source, edited


class Mark(NamedTuple):
    """Where an event stands in the list."""

    at: datetime
    kind: str
    key: int


@dataclass(frozen=True, slots=True)
class Event:
    """``text`` says what was done, without who did it; ``address`` is the page that shows it.

    ``row`` is the row of its table.
    """

    mark: Mark
    by: str
    text: str
    address: str
    row: Any

    @property
    def label(self) -> str:
        """What its kind is called."""
        return SOURCES[self.mark.kind].label


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What of the list is asked for; nothing given means everything.

    ``edits`` narrows the edits further; where it is given, nothing else is listed.
    """

    kinds: Collection[str] = ()
    by: str = ""
    since: datetime | None = None
    until: datetime | None = None
    edits: Callable[[QuerySet[MetadataChange]], QuerySet[MetadataChange]] | None = None


class Feed(Sequence[Event]):
    """The events that ``sight`` may know, the newest first.

    ``together``: edits that were made together are one event, which ends with the last of them.
    """

    def __init__(self, sight: Sight, wanted: Wanted, *, together: bool = False) -> None:
        self._sight, self._together = sight, together
        self._rows: dict[str, QuerySet[Any]] = {}
        for source in sources(wanted):
            rows = source.rows(sight)
            if rows is None:
                continue
            if wanted.edits is not None:
                rows = wanted.edits(rows)
            limits: dict[str, Any] = {
                f"{source.at}__gte": wanted.since,
                f"{source.at}__lt": wanted.until,
            }
            limits |= {source.by: wanted.by or None}
            given = {name: value for name, value in limits.items() if value is not None}
            self._rows[source.kind] = rows.filter(**given)
        self._count: int | None = None

    def __len__(self) -> int:
        if self._count is None:
            marks = self._marks()
            self._count = marks.count() if marks is not None else 0
        return self._count

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> list[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | list[Event]:
        if isinstance(index, int):
            return self[index : index + 1][0]
        start, stop, _ = index.indices(len(self))
        marks = self._marks()
        return [] if marks is None else self._events([Mark(*each) for each in marks[start:stop]])

    def after(self, mark: Mark | None, size: int) -> list[Event]:
        """Return the ``size`` events that follow a mark: none comes twice, whatever is added."""
        marks = self._marks(mark)
        return [] if marks is None else self._events([Mark(*each) for each in marks[:size]])

    def _marks(self, after: Mark | None = None) -> QuerySet[Any, Any] | None:
        parts = []
        for kind, rows in self._rows.items():
            at = SOURCES[kind].at
            rows = rows.order_by()
            if after is not None:
                rows = rows.filter(_follows(kind, at, after))
            if kind == EDIT and self._together:
                last = rows.values("batch").annotate(last=Max("pk")).values("last")
                rows = rows.filter(pk__in=last)
            named = rows.annotate(
                mark_at=F(at), mark_kind=Value(kind, CharField()), mark_key=F("pk")
            )
            parts.append(named.values_list("mark_at", "mark_kind", "mark_key"))
        if not parts:
            return None
        first, *others = parts
        merged: QuerySet[Any, Any] = first.union(*others, all=True) if others else first
        return merged.order_by("-mark_at", "mark_kind", "-mark_key")

    def _events(self, marks: Sequence[Mark]) -> list[Event]:
        keys: dict[str, list[int]] = {}
        for mark in marks:
            keys.setdefault(mark.kind, []).append(mark.key)
        rows: dict[tuple[str, int], Any] = {}
        batches: dict[Any, dict[str, int]] = {}
        for kind, wanted in keys.items():
            source = SOURCES[kind]
            found = self._rows[kind].select_related(*source.related).defer(*source.deferred)
            rows |= {(kind, row.pk): row for row in found.filter(pk__in=wanted)}
        if self._together and EDIT in keys:
            batches = self._batches(row for (kind, _), row in rows.items() if kind == EDIT)
        return [
            self._event(mark, rows[mark.kind, mark.key], batches)
            for mark in marks
            if (mark.kind, mark.key) in rows
        ]

    def _batches(self, rows: Iterable[MetadataChange]) -> dict[Any, dict[str, int]]:
        """{batch: {field: models}} of the edits that the person may see."""
        counted = (
            self._rows[EDIT]
            .filter(batch__in={row.batch for row in rows})
            .order_by()
            .values("batch", "field")
            .annotate(models=Count("pk"))
            .order_by("batch", "field")
        )
        batches: dict[Any, dict[str, int]] = {}
        for each in counted:
            batches.setdefault(each["batch"], {})[each["field"]] = each["models"]
        return batches

    def _event(self, mark: Mark, row: Any, batches: Mapping[Any, Mapping[str, int]]) -> Event:
        source = SOURCES[mark.kind]
        is_batch = mark.kind == EDIT and row.batch in batches
        text = edited(row, batches[row.batch]) if is_batch else source.text(row)
        by = self._sight.person(source.author(row))
        return Event(mark, by, text, source.address(row), row)


def sources(wanted: Wanted) -> list[Source]:
    """The kinds of events that are asked for."""
    if wanted.edits is not None:
        return [SOURCES[EDIT]] if not wanted.kinds or EDIT in wanted.kinds else []
    return [each for kind, each in SOURCES.items() if not wanted.kinds or kind in wanted.kinds]


def seen_by(sight: Sight) -> list[Source]:
    """The kinds of events that a person may see at all."""
    return [each for each in SOURCES.values() if each.rows(sight) is not None]


def _follows(kind: str, at: str, mark: Mark) -> Q:
    """The condition on rows of a kind that stand after a mark."""
    if kind > mark.kind:
        return Q(**{f"{at}__lte": mark.at})
    earlier = Q(**{f"{at}__lt": mark.at})
    return earlier | Q(**{at: mark.at, "pk__lt": mark.key}) if kind == mark.kind else earlier

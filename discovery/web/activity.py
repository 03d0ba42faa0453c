"""What changed, day by day: edits, scans, access, users, settings and rules in one list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from discovery.engine.core.text import clean
from discovery.services.access.redaction import Sight
from discovery.services.activity.feed import Event, Feed, Wanted, seen_by
from discovery.services.activity.sources import SOURCES
from discovery.web.shared.days import read_day
from discovery.web.shared.shortcuts import numbered, page_or_partial

PAGE = 50


@dataclass(frozen=True, slots=True)
class Day:
    date: date
    events: list[Event]


@dataclass(slots=True)
class ActivityFilters:
    """What the address asks for; what cannot be read is named in ``faults``."""

    kind: str = ""
    by: str = ""
    since: str = ""
    until: str = ""
    faults: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, request: HttpRequest) -> ActivityFilters:
        kind, by, since, until = (
            clean(request.GET.get(name, ""), 200).strip()
            for name in ("kind", "by", "since", "until")
        )
        return cls(kind, by, since, until)

    @property
    def narrows(self) -> bool:
        return any((self.kind, self.by, self.since, self.until))

    def wanted(self) -> Wanted:
        first, last = (self._day(text) for text in (self.since, self.until))
        if self.kind and self.kind not in SOURCES:
            self.faults.append(f"“{self.kind[:40]}” is not a kind of event.")
        return Wanted(
            kinds=(self.kind,) if self.kind else (),
            by=self.by,
            since=first,
            until=last + timedelta(days=1) if last else None,
        )

    def _day(self, text: str) -> datetime | None:
        try:
            return read_day(text) if text else None
        except ValueError as error:
            self.faults.append(str(error))
            return None


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    sight, filters = Sight(request.user), ActivityFilters.read(request)
    wanted = filters.wanted()
    # A name that the person may not know finds nothing, as one that nobody has.
    hidden = bool(filters.by) and sight.person(filters.by) != filters.by
    feed = Feed(sight, Wanted(kinds=("none",)) if hidden else wanted, together=True)
    page = numbered(request, feed, PAGE)
    context = {
        "filters": filters,
        "page": page,
        "days": list(_days(page.object_list)),
        "sources": seen_by(sight),
        "sight": sight,
    }
    return page_or_partial(request, "discovery/activity.html", "results", context)


def _days(events: Iterable[Event]) -> Iterable[Day]:
    """The events of a page by the day of the person's time zone."""
    dated = groupby(events, key=lambda event: timezone.localtime(event.mark.at).date())
    return (Day(day, list(found)) for day, found in dated)

"""The Logs page: every event of scans, validation and metadata, the newest first, as it comes in.

For administrators.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.views.decorators.http import require_safe

from discovery.engine.core.text import clean
from discovery.engine.core.vocabulary import Severity
from discovery.models import LogTopic, Right
from discovery.services.access import permissions
from discovery.services.core import event_log
from discovery.services.registry import aliases
from discovery.services.search import model_filters
from discovery.web.shared.shortcuts import (
    as_key,
    in_utc,
    is_fragment,
    known_models,
    needs,
    page_or_partial,
)

PAGE_SIZE = 100

#: What ``since`` offers: its value → how long ago, and the words for it.
PERIODS = {
    "15m": (timedelta(minutes=15), "the last 15 minutes"),
    "1h": (timedelta(hours=1), "the last hour"),
    "1d": (timedelta(days=1), "the last day"),
    "7d": (timedelta(days=7), "the last week"),
}


@dataclass(frozen=True, slots=True)
class LogFilters:
    """What the address asks for.

    ``faults`` are the parts that could not be parsed, in words.
    """

    level: str = ""
    channel: str = ""
    scan: int | None = None
    model: str = ""
    text: str = ""
    since: str = ""
    after: datetime | None = None
    faults: tuple[str, ...] = ()

    @classmethod
    def read(cls, query: QueryDict) -> LogFilters:
        faults = []
        level, channel, scan, since = (
            clean(query.get(name, ""), 60).strip() for name in ("level", "channel", "scan", "since")
        )
        if level and level not in Severity.values:
            faults.append(f"There is no level “{level}”: choose from {', '.join(Severity)}.")
            level = ""
        if channel and channel not in LogTopic.values:
            faults.append(
                f"There is no channel “{channel}”: choose from {', '.join(LogTopic.values)}."
            )
            channel = ""
        number = as_key(scan)
        if scan and number is None:
            faults.append(f"“{scan}” is not the number of a scan.")
        after = _moment(since)
        if since and after is None:
            faults.append(
                f"“{since}” is not a time: write 2026-11-24 or 2026-11-24T03:00, in your time zone."
            )
            since = ""
        model = clean(query.get("model", ""), 200).strip()
        return cls(
            level,
            channel,
            number,
            model,
            model_filters.normal_text(query.get("q", "")),
            since,
            after,
            tuple(faults),
        )

    @property
    def narrowed(self) -> bool:
        return bool(
            self.level or self.channel or self.scan or self.model or self.text or self.since
        )


def _moment(text: str) -> datetime | None:
    if text in PERIODS:
        return timezone.now() - PERIODS[text][0]
    try:
        moment = parse_datetime(text)
        day = parse_date(text) if moment is None else None
    except ValueError:
        return None
    if day is not None:
        moment = datetime(day.year, day.month, day.day)  # noqa: DTZ001  (its zone follows)
    return None if moment is None else in_utc(moment)


@require_safe
@needs(Right.VIEW_LOG)
def index(request: HttpRequest) -> HttpResponse:
    """Newest first, ``before`` an entry's key for older ones.

    While it is live, the page asks again and is answered only when there is news.
    """
    filters = LogFilters.read(request.GET)
    rows = event_log.entries(
        level=filters.level,
        topic=filters.channel,
        scan=filters.scan,
        model_id=aliases.current(filters.model) if filters.model else "",
        text=filters.text,
        since=filters.after,
    )
    rows = permissions.visible_log(request.user, rows)
    before, latest = as_key(request.GET.get("before", "")), as_key(request.GET.get("latest", ""))
    if is_fragment(request) and latest is not None and not rows.filter(pk__gt=latest).exists():
        return HttpResponse(status=204)
    found = list((rows.filter(pk__lt=before) if before else rows)[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    context = {
        "filters": filters,
        "entries": shown,
        "known": known_models(request, shown),
        "older": shown[-1].pk if len(found) > PAGE_SIZE else None,
        "before": before,
        "latest": shown[0].pk if shown else 0,
        "live": request.GET.get("live") != "0" and not before,
        "levels": Severity.choices,
        "channels": LogTopic.values,
        "periods": {name: words for name, (_, words) in PERIODS.items()},
    }
    return page_or_partial(request, "discovery/logs.html", "results", context)

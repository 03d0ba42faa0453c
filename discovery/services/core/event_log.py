"""Write events: one row in the database and one line in the log file for each.

They are written in batches.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.db.models.expressions import Combinable
from django.utils import timezone

from discovery.engine.core.paths import to_text
from discovery.engine.core.text import clean
from discovery.engine.core.vocabulary import Severity
from discovery.models import LogEntry, LogTopic, ScanRun
from discovery.services.core import config_files

#: Words of a search that are looked at.
MAX_WORDS = 8

_LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ERROR: logging.ERROR,
}


@dataclass(slots=True)
class Journal:
    """Collects the events of one piece of work; ``write`` stores them."""

    scan: ScanRun | None = None
    entries: list[LogEntry] = field(default_factory=list)

    def add(
        self,
        topic: LogTopic,
        level: Severity,
        message: str,
        *,
        model_id: str = "",
        path: str = "",
        event: str = "",
    ) -> None:
        entry = LogEntry(
            at=timezone.now(),
            level=level,
            topic=topic,
            scan=self.scan,
            model_id=model_id,
            event=event,
        )
        entry.path, entry.message = to_text(path), clean(to_text(message), 2000)
        self.entries.append(entry)

    def write(self) -> None:
        """Insert the collected rows and append their lines to the log files."""
        if not self.entries:
            return
        entries, self.entries = self.entries, []
        LogEntry.objects.bulk_create(entries, batch_size=100)
        for topic in LogTopic:
            lines = [line(entry) for entry in entries if entry.topic == topic]
            if lines:
                logging.getLogger(f"karen.{topic.value}").info("\n".join(lines))


def line(entry: LogEntry) -> str:
    """Format an entry as one line of the log file.

    It looks like ``2026-11-24T03:07:00Z WARNING scan=12 model=bloom path="a/b" message``; control
    characters never break a line.
    """
    parts = [
        _stamp(entry.at),
        entry.level.upper(),
        f"scan={entry.scan_id or '-'}",
        f"model={entry.model_id or '-'}",
    ]
    if entry.path:
        parts.append('path="' + clean(entry.path, 500).replace("\n", " ").replace('"', "'") + '"')
    return " ".join([*parts, entry.text.replace("\n", " ")])


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def record(
    topic: LogTopic,
    level: Severity,
    message: str,
    *,
    scan: ScanRun | None = None,
    model_id: str = "",
    path: str = "",
) -> None:
    """One event, at once."""
    journal = Journal(scan)
    journal.add(topic, level, message, model_id=model_id, path=path)
    journal.write()


def entries(
    *,
    level: str = "",
    topic: str = "",
    scan: int | None = None,
    model_id: str | Combinable = "",
    text: str = "",
    since: datetime | None = None,
) -> QuerySet[LogEntry]:
    """The events that are all of this, the newest first."""
    wanted = {"level": level, "topic": topic, "scan": scan, "at__gte": since}
    rows = LogEntry.objects.filter(
        **{name: value for name, value in wanted.items() if value}
    ).order_by("-pk")
    return matching(of_models([model_id], rows) if model_id else rows, text)


def of_models(
    model_ids: Collection[str | Combinable], rows: QuerySet[LogEntry] | None = None
) -> QuerySet[LogEntry]:
    """Return the events of these models.

    The second condition matches the partial index.
    """
    return (
        (LogEntry.objects.all() if rows is None else rows)
        .filter(model_id__in=model_ids)
        .exclude(model_id="")
    )


def matching(rows: QuerySet[LogEntry], text: str) -> QuerySet[LogEntry]:
    """Return the events that contain each word of ``text`` in message, path or model."""
    for word in text.split()[:MAX_WORDS]:
        rows = rows.filter(
            Q(message__icontains=word) | Q(path__icontains=word) | Q(model_id__icontains=word)
        )
    return rows


def prune() -> None:
    """Delete events that are older than ``retention`` of the config file, or exceed its number."""
    kept = config_files.retention()
    LogEntry.objects.filter(at__lt=timezone.now() - timedelta(days=kept.log_days)).delete()
    oldest: Iterable[int] = LogEntry.objects.order_by("-pk").values_list("pk", flat=True)[
        kept.log_entries : kept.log_entries + 1
    ]
    for pk in oldest:
        LogEntry.objects.filter(pk__lte=pk).delete()

"""What a scan did not see and that did not move: missing, or a root that should not be believed."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from discovery.engine.core.text import plural
from discovery.engine.core.vocabulary import Severity, Status
from discovery.models import LogEntry, LogTopic, RegisteredModel, Root
from discovery.services.core.event_log import Journal
from discovery.services.findings import findings
from discovery.services.scans.relinking import chunks


def mark_missing(root: Root, gone: Sequence[int], journal: Journal) -> int:
    """Mark records missing; they keep everything else until somebody removes them."""
    now, count = timezone.now(), 0
    for part in chunks(gone):
        with transaction.atomic():
            rows = RegisteredModel.objects.filter(pk__in=part, root=root).exclude(
                status=Status.MISSING
            )
            for model_id, path in rows.values_list("model_id", "path"):
                text = "its files are gone"
                journal.add(
                    LogTopic.DISCOVERY,
                    Severity.WARNING,
                    text,
                    model_id=model_id,
                    path=path,
                    event=LogEntry.Event.MISSING,
                )
            count += rows.update(
                status=Status.MISSING, missing_since=now, changed_at=now, seen_at=root.seen_at
            )
            findings.gone(part)
            journal.write()
    return count


def distrust(known: int, seen: int, gone: int) -> str:
    """Why the root's answer should not be believed; empty when it may be.

    An unmounted disk looks like an empty folder: that must not mark a thousand models missing.
    """
    if gone and not seen:
        return (
            f"The folder is empty, but {plural(known, 'model')} {'was' if known == 1 else 'were'}"
            " in it. Is the disk mounted?"
        )
    if gone * 2 > known:
        return f"{gone:,} of {plural(known, 'model')} are gone, more than half."
    return ""


def freeze(root: Root, reason: str, gone: int, journal: Journal) -> None:
    Root.objects.filter(pk=root.pk).update(frozen_reason=reason[:500], missing_count=gone)
    journal.add(
        LogTopic.DISCOVERY,
        Severity.ERROR,
        f"root frozen, nothing was marked missing: {reason}",
        path=root.path,
    )


def thaw(root: Root) -> None:
    Root.objects.filter(pk=root.pk).exclude(frozen_reason="").update(
        frozen_reason="", missing_count=0
    )

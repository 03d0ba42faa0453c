"""Whether jobs wait that should have started."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from discovery.services.jobs.kind import Kind
from discovery.services.jobs.registry import kinds


def waits_since() -> datetime | None:
    """Return since when the first job that may start waits; ``None`` when none does."""
    found = [kind.waits_since(_ready(kind)) for kind in kinds()]
    return min((since for since in found if since), default=None)


def has_begun_within(span: timedelta) -> bool:
    """Return whether a job of any kind was started in the last ``span``."""
    recent = timezone.now() - span
    return any(kind.rows.filter(started_at__gte=recent).exists() for kind in kinds())


def _ready(kind: Kind[Any]) -> QuerySet[Any]:
    return kind.ready(kind.rows.filter(state=kind.state.QUEUED))

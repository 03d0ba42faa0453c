"""``/models/discovery``: how scanning stands, what it did, and what it wrote into the log."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Query, Router

from discovery.api import paging
from discovery.api.access import ADMIN, PUBLIC, READ, caller_of
from discovery.api.discovery_schemas import Log, Scans, Status, WantedLog
from discovery.models import LogEntry, RegisteredModel, ScanRun
from discovery.services import scans

router = Router(tags=["Discovery"])


@router.get("/models/discovery/status", auth=PUBLIC, response=Status, operation_id="discovery_status", summary="How discovery stands")
def status(request: HttpRequest) -> dict[str, Any]:
    """The scan under way, the last one, the next one, and models by status."""
    return scans.standing(caller_of(request).user)


@router.get("/models/discovery/scans", auth=ADMIN, response=Scans, operation_id="list_scans", summary="Past scans")
def past(request: HttpRequest, asked: Query[paging.Paged]) -> dict[str, Any]:
    """Scans that are over or under way, the newest first."""
    return paging.numbered(request, ScanRun.objects.select_related("requested_by"), asked, scans.result_of)


@router.get("/models/discovery/logs", auth=READ, response=Log, operation_id="discovery_logs", summary="Log")
def logs(request: HttpRequest, asked: Query[WantedLog]) -> dict[str, Any]:
    """Events, the newest first. Who is no administrator reads what concerns the models they see."""
    return paging.numbered(request, _entries(request, asked), asked, _event)


def _entries(request: HttpRequest, asked: WantedLog) -> QuerySet[LogEntry]:
    caller, rows = caller_of(request), LogEntry.objects.all()
    if not caller.is_staff:
        rows = rows.filter(model_id__in=RegisteredModel.objects.visible_to(caller.user).values("model_id"))
    if asked.level:
        rows = rows.filter(level__in=asked.level)
    if asked.channel:
        rows = rows.filter(channel__in=asked.channel)
    if asked.scan_id is not None:
        rows = rows.filter(scan=asked.scan_id)
    if asked.model_id is not None:
        rows = rows.filter(model_id=asked.model_id)
    if asked.since is not None:
        rows = rows.filter(at__gte=asked.since if asked.since.tzinfo else asked.since.replace(tzinfo=UTC))
    return rows


def _event(entry: LogEntry) -> dict[str, Any]:
    return {
        "at": entry.at,
        "level": entry.level,
        "channel": entry.channel,
        "scan_id": entry.scan_id,
        "model_id": entry.model_id or None,
        "path": entry.path or None,
        "message": entry.message,
    }

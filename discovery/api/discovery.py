"""``/models/discovery``: how scanning stands, what it did, and what it wrote into the log."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from ninja import Path, Query, Router

from discovery.api import paging
from discovery.api.access import ADMIN, PUBLIC, READ, STAFF, caller_of
from discovery.api.discovery_schemas import (
    Asked,
    Cancelled,
    DiscoveryStatus,
    Log,
    Refresh,
    ScanId,
    Scans,
    WantedLog,
)
from discovery.api.errors import ApiError
from discovery.api.preconditions import once
from discovery.models import LogEntry, RegisteredModel, ScanRun
from discovery.services import scans, strictness

router = Router(tags=["Discovery"])


@router.get(
    "/models/discovery/status",
    auth=PUBLIC,
    response=DiscoveryStatus,
    operation_id="discovery_status",
    summary="How discovery stands",
)
def status(request: HttpRequest) -> dict[str, Any]:
    """The scan under way, the last one, the next one, and models by status."""
    return scans.standing(caller_of(request).user)


@router.get(
    "/models/discovery/scans",
    auth=STAFF,
    response=Scans,
    operation_id="list_scans",
    summary="Past scans",
)
def past(request: HttpRequest, asked: Query[paging.Paged]) -> dict[str, Any]:
    """Scans that are over or under way, the newest first."""
    return paging.numbered(
        request, ScanRun.objects.select_related("requested_by"), asked, scans.result_of
    )


@router.post(
    "/models/discovery/refresh",
    auth=ADMIN,
    response={202: Asked},
    operation_id="refresh",
    summary="Scan now",
)
def refresh(request: HttpRequest, payload: Refresh | None = None) -> HttpResponse:
    """Queues a scan; while one of the same folders is queued or running it is that one. Takes an `Idempotency-Key`."""

    def act() -> tuple[int, Any]:
        path = _scope(payload.path) if payload and payload.path else ""
        full = payload.full if payload else False
        run, created = scans.request(
            ScanRun.Trigger.API, path=path, full=full, user_id=caller_of(request).user.pk
        )
        return 202, {"scan_id": run.pk, "status": str(run.state), "created": created}

    return once(request, act, Asked)


def _scope(given: str) -> str:
    """The folder as scans name it. Only what lies in a root may be scanned by a program."""
    try:
        if fault := strictness.fault("path", given):
            raise scans.NoSuchFolder(fault)
        root, below = scans.locate(given, add=False)
        if root.pk is None:
            raise scans.NoSuchFolder("it is in no root: add the root in the admin first")
    except scans.NoSuchFolder as error:
        raise ApiError(
            422, "This folder cannot be scanned.", errors=[(("body", "path"), str(error))]
        ) from None
    return root.path if below == "." else f"{root.path.rstrip('/')}/{below}"


@router.post(
    "/models/discovery/scans/{scan_id}/cancel",
    auth=ADMIN,
    response=Cancelled,
    operation_id="cancel_scan",
    summary="Stop a scan",
)
def cancel(request: HttpRequest, scan_id: Path[ScanId]) -> dict[str, Any]:  # noqa: ARG001  (ninja passes it)
    """A queued one ends at once, a running one within a second. What it has read stays registered."""
    run = ScanRun.objects.filter(pk=scan_id).first()
    if run is None:
        raise Http404(f"There is no scan {scan_id}.")
    cancelled = scans.cancel(run)
    run.refresh_from_db()
    return {"scan_id": run.pk, "status": str(run.state), "cancelled": cancelled}


@router.get(
    "/models/discovery/logs", auth=READ, response=Log, operation_id="discovery_logs", summary="Log"
)
def logs(request: HttpRequest, asked: Query[WantedLog]) -> dict[str, Any]:
    """Events, the newest first. Who is no administrator reads what concerns the models they see."""
    return paging.numbered(request, _entries(request, asked), asked, _event)


def _entries(request: HttpRequest, asked: WantedLog) -> QuerySet[LogEntry]:
    caller, rows = caller_of(request), LogEntry.objects.all()
    if not caller.is_staff:
        rows = rows.filter(
            model_id__in=RegisteredModel.objects.visible_to(caller.user).values("model_id")
        )
    if asked.level:
        rows = rows.filter(level__in=asked.level)
    if asked.channel:
        rows = rows.filter(channel__in=asked.channel)
    if asked.scan_id is not None:
        rows = rows.filter(scan=asked.scan_id)
    if asked.model_id is not None:
        rows = rows.filter(model_id=asked.model_id)
    if asked.since is not None:
        rows = rows.filter(
            at__gte=asked.since if asked.since.tzinfo else asked.since.replace(tzinfo=UTC)
        )
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

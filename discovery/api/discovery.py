"""``/models/discovery``: the state of scanning, its results and its log."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from ninja import Path, Query, Router

from discovery.api import paging
from discovery.api.authentication import PUBLIC, READ, Access, caller_of
from discovery.api.discovery_schemas import (
    Asked,
    Cancelled,
    DiscoveryStatus,
    Log,
    LogQuery,
    Refresh,
    ScanId,
    Scans,
    UnrecognizedFiles,
)
from discovery.api.errors import ApiError
from discovery.api.preconditions import once
from discovery.engine.core.vocabulary import TokenScope
from discovery.models import LogEntry, RegisteredModel, Right, Root, ScanRun, Unrecognized
from discovery.services import scans
from discovery.services.access import permissions
from discovery.services.access.redaction import Sight
from discovery.services.metadata import input_checks
from discovery.services.registry import aliases
from discovery.services.scans import ledgers

router = Router(tags=["Discovery"])


@router.get(
    "/models/discovery/status",
    auth=PUBLIC,
    response=DiscoveryStatus,
    operation_id="discovery_status",
    summary="How discovery stands",
)
def status(request: HttpRequest) -> dict[str, Any]:
    """The running scan, the last one, the next one, and models by status."""
    return scans.standing(caller_of(request).user)


@router.get(
    "/models/discovery/scans",
    auth=Access(TokenScope.READ, Right.VIEW_SCANS, Right.VIEW_ALL),
    response=Scans,
    operation_id="list_scans",
    summary="Past scans",
)
def past(request: HttpRequest, asked: Query[paging.Paged]) -> dict[str, Any]:
    """Scans that are finished or running, the newest first."""
    return paging.numbered(
        request, ScanRun.objects.select_related("requested_by"), asked, scans.result_of
    )


@router.post(
    "/models/discovery/refresh",
    auth=Access(TokenScope.ADMIN, Right.SCAN),
    response={202: Asked},
    operation_id="refresh",
    summary="Scan now",
)
def refresh(request: HttpRequest, payload: Refresh | None = None) -> HttpResponse:
    """Queues a scan; while one of the same folders is queued or running it is that one.

    Takes an `Idempotency-Key`.
    """

    def act() -> tuple[int, Any]:
        path = (
            _scope(payload.path, Sight(caller_of(request).user)) if payload and payload.path else ""
        )
        full = payload.full if payload else False
        run, created = scans.request(
            ScanRun.Trigger.API, path=path, full=full, user_id=caller_of(request).user.pk
        )
        if run.state == ScanRun.State.FAILED:
            raise ApiError(503, run.message)
        return 202, {"scan_id": run.pk, "status": str(run.state), "created": created}

    return once(request, act, Asked)


def _scope(given: str, sight: Sight) -> str:
    """The folder as scans name it. Only what lies in a root may be scanned by a program."""
    try:
        if fault := input_checks.fault("path", given):
            raise scans.NoSuchFolder(fault)
        root, below = scans.locate(given, add=False)
        if root.pk is None:
            raise scans.NoSuchFolder("it is in no root: add the root in the admin first")
    except scans.NoSuchFolder as error:
        raise ApiError(
            422,
            "This folder cannot be scanned.",
            errors=[(("body", "path"), sight.text(str(error)))],
        ) from None
    return root.path if below == "." else f"{root.path.rstrip('/')}/{below}"


@router.post(
    "/models/discovery/scans/{scan_id}/cancel",
    auth=Access(TokenScope.ADMIN, Right.SCAN),
    response=Cancelled,
    operation_id="cancel_scan",
    summary="Stop a scan",
)
# Ninja passes it.
def cancel(request: HttpRequest, scan_id: Path[ScanId]) -> dict[str, Any]:  # noqa: ARG001
    """A queued scan ends at once, a running one within a second.

    Models that it has read stay registered.
    """
    run = ScanRun.objects.filter(pk=scan_id).first()
    if run is None:
        raise Http404(f"There is no scan {scan_id}.")
    cancelled = scans.cancel(run)
    run.refresh_from_db()
    return {"scan_id": run.pk, "status": str(run.state), "cancelled": cancelled}


@router.get(
    "/models/discovery/unrecognized",
    auth=Access(TokenScope.READ, Right.VIEW_SCANS, Right.VIEW_ALL),
    response=UnrecognizedFiles,
    operation_id="list_unrecognized",
    summary="Files that no reader knows",
)
def unrecognized(request: HttpRequest, asked: Query[paging.Paged]) -> dict[str, Any]:
    """Files of 1 MB or more under the roots, the largest first, and what all files there are."""
    return paging.numbered(
        request,
        Unrecognized.objects.select_related("root"),
        asked,
        _unrecognized,
        totals={
            str(use): {"files": count.files, "bytes": count.bytes}
            for use, count in ledgers.sums(Root.objects.filter(enabled=True)).items()
        },
    )


def _unrecognized(file: Unrecognized) -> dict[str, Any]:
    return {
        "path": file.path,
        "root": file.root.path,
        "size_bytes": file.size_bytes,
        "first_bytes": file.first_bytes,
        "guess": file.guess or None,
    }


@router.get(
    "/models/discovery/logs", auth=READ, response=Log, operation_id="discovery_logs", summary="Log"
)
def logs(request: HttpRequest, asked: Query[LogQuery]) -> dict[str, Any]:
    """Events, the newest first.

    Without the permission to view log entries you read what concerns the models you see.
    """
    sight = Sight(caller_of(request).user)
    return paging.numbered(
        request, _entries(request, asked), asked, lambda entry: _event(entry, sight)
    )


def _entries(request: HttpRequest, asked: LogQuery) -> QuerySet[LogEntry]:
    caller, rows = caller_of(request), LogEntry.objects.all()
    if caller.may(Right.VIEW_LOG):
        rows = permissions.visible_log(caller.user, rows)
    else:
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
        rows = rows.filter(model_id=aliases.current(asked.model_id))
    if asked.since is not None:
        rows = rows.filter(
            at__gte=asked.since if asked.since.tzinfo else asked.since.replace(tzinfo=UTC)
        )
    return rows


def _event(entry: LogEntry, sight: Sight) -> dict[str, Any]:
    return {
        "at": entry.at,
        "level": entry.level,
        "channel": entry.channel,
        "scan_id": entry.scan_id,
        "model_id": entry.model_id or None,
        "path": sight.text(entry.path) or None,
        "message": sight.log(entry.text),
    }

"""``/models/discovery/scans`` and ``refresh``: scans, asked for, followed, stopped and compared."""

from __future__ import annotations

import json
import os
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Path, Query, Router

from discovery.api import paging, waiting
from discovery.api.authentication import Access, caller_of
from discovery.api.discovery import SCANS
from discovery.api.discovery_schemas import (
    Asked,
    Cancelled,
    ComparisonQuery,
    EventsQuery,
    Refresh,
    RefreshQuery,
    ScanComparison,
    ScanDetails,
    ScanEvents,
    ScanId,
    Scans,
)
from discovery.api.errors import ApiError
from discovery.api.preconditions import as_json, once
from discovery.engine.core.service_words import TokenScope
from discovery.models import Right, Root, ScanRun
from discovery.services import scans
from discovery.services.access.redaction import Sight
from discovery.services.metadata import input_checks
from discovery.services.scans import roots
from discovery.services.search.model_filters import normal_text

router = Router(tags=["Discovery"])


@router.get(
    "/models/discovery/scans",
    auth=SCANS,
    response=Scans,
    operation_id="list_scans",
    summary="Past scans",
)
def past(request: HttpRequest, query: Query[paging.Paged]) -> dict[str, Any]:
    """Scans that are finished or running, the newest first."""
    return paging.numbered(
        request, ScanRun.objects.select_related("requested_by"), query, scans.result_of
    )


@router.post(
    "/models/discovery/refresh",
    auth=Access(TokenScope.ADMIN, Right.SCAN),
    response={200: ScanDetails, 202: Asked},
    operation_id="refresh",
    summary="Scan now",
)
def refresh(
    request: HttpRequest, query: Query[RefreshQuery], payload: Refresh | None = None
) -> HttpResponse:
    """Queues a scan; while one of the same folders is queued or running it is that one.

    `Location` answers its progress and its result. With `wait` this call does, where the scan is
    over in time. Takes an `Idempotency-Key`.
    """

    def act() -> tuple[int, Any]:
        path = (
            _scope(payload.path, Sight(caller_of(request).user)) if payload and payload.path else ""
        )
        full = payload.full if payload else False
        accept = payload.accept_missing if payload else False
        if accept and not Root.objects.filter(path=path).exists():
            fault = (("body", "accept_missing"), "is for one root: give its path")
            raise ApiError(422, "Only of one root can it be confirmed.", errors=[fault])
        run, created = scans.request(
            ScanRun.Trigger.API,
            path=path,
            full=full,
            accept_missing=accept,
            user_id=caller_of(request).user.pk,
        )
        if run.state == ScanRun.State.FAILED:
            raise ApiError(503, run.message)
        place = request.build_absolute_uri(reverse("api:get_scan", args=[run.pk]))
        state = str(run.state)
        return 202, {"scan_id": run.pk, "status": state, "created": created, "location": place}

    response = once(request, act, Asked)
    told = json.loads(response.content)
    if query.wait:
        run = ScanRun.objects.get(pk=told["scan_id"])
        waiting.wait(run, query.wait)
        if not run.is_active:
            response = as_json(200, _details(run), ScanDetails)
    response["Location"] = told["location"]
    return response


def _scope(given: str, sight: Sight) -> str:
    """The folder as scans name it. Only what lies in a root may be scanned by a program."""
    try:
        if fault := input_checks.fault("path", given):
            raise scans.NoSuchFolder(fault)
        if not os.path.isabs(given):
            given = roots.below_a_root(given, Root.objects.exclude(path=Root.REMOTE))
        root, below = scans.locate(given, add=False)
        if root.pk is None:
            raise scans.NoSuchFolder("it is in no root: add it under Settings first")
    except scans.NoSuchFolder as error:
        raise ApiError(
            422,
            "This folder cannot be scanned.",
            errors=[(("body", "path"), sight.text(str(error)))],
        ) from None
    return root.path if below == "." else f"{root.path.rstrip('/')}/{below}"


@router.get(
    "/models/discovery/scans/{scan_id}",
    auth=SCANS,
    response=ScanDetails,
    operation_id="get_scan",
    summary="One scan",
)
# Ninja passes it.
def one(request: HttpRequest, scan_id: Path[ScanId]) -> dict[str, Any]:  # noqa: ARG001
    """Its progress while it is queued or running, its result afterwards."""
    return _details(_run(scan_id))


def _details(run: ScanRun) -> dict[str, Any]:
    before = scans.previous(run)
    return {
        **scans.result_of(run),
        "expected": run.expected,
        "current_path": run.current_path or None,
        "events": scans.counts(run),
        "previous_scan_id": before.pk if before else None,
    }


def _run(scan_id: int) -> ScanRun:
    run = ScanRun.objects.select_related("requested_by").filter(pk=scan_id).first()
    if run is None:
        raise Http404(f"There is no scan {scan_id}.")
    return run


@router.get(
    "/models/discovery/scans/{scan_id}/events",
    auth=SCANS,
    response=ScanEvents,
    operation_id="list_scan_events",
    summary="What a scan did",
)
def events(
    request: HttpRequest, scan_id: Path[ScanId], query: Query[EventsQuery]
) -> dict[str, Any]:
    """Models that were new, changed, moved or missing, and places that were skipped, in order."""
    rows = scans.events(_run(scan_id), text=normal_text(query.search))
    if query.event:
        rows = rows.filter(event__in=query.event)
    return paging.numbered(
        request,
        rows,
        query,
        lambda entry: {
            "event": entry.event,
            "model_id": entry.model_id or None,
            "path": entry.path or None,
            "message": entry.text,
        },
    )


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
    run = _run(scan_id)
    cancelled = scans.cancel(run)
    run.refresh_from_db()
    return {"scan_id": run.pk, "status": str(run.state), "cancelled": cancelled}


@router.get(
    "/models/discovery/comparison",
    auth=SCANS,
    response=ScanComparison,
    operation_id="compare_scans",
    summary="Differences between two scans",
)
def comparison(request: HttpRequest, query: Query[ComparisonQuery]) -> dict[str, Any]:
    """Models that were there after one of two scans and not after the other, and changed ones."""
    ended = ScanRun.objects.exclude(state__in=ScanRun.ACTIVE).order_by("-pk")
    newest = [run.pk for run in ended.only("pk")[:2]]
    defaults = {"first": newest[-1] if len(newest) > 1 else 0, "second": newest[0] if newest else 0}
    keys = {name: getattr(query, name) or default for name, default in defaults.items()}
    found = {run.pk: run for run in ended.filter(pk__in=keys.values())}
    lost = [
        (("query", name), f"there is no scan {key} that is over" if key else "give a scan")
        for name, key in keys.items()
        if key not in found
    ]
    if lost or keys["first"] >= keys["second"]:
        order = (("query", "second"), "must be a later scan than first")
        raise ApiError(422, "These scans cannot be compared.", errors=lost or [order])
    compared = scans.compare(found[keys["first"]], found[keys["second"]])
    rows = [each for each in compared.differences if not query.kind or each.kind in query.kind]
    return paging.numbered(
        request,
        rows,
        query,
        lambda row: {
            "model_id": row.model_id,
            "path": row.path,
            "kind": row.kind,
            "events": row.events,
        },
        first=keys["first"],
        second=keys["second"],
        scans=compared.runs,
        untold=compared.untold,
    )

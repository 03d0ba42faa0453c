"""``/models/discovery``: the state of scanning, its results and its log."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Query, Router

from discovery.api import closed_lists, paging
from discovery.api.authentication import PUBLIC, READ, Access, caller_of
from discovery.api.discovery_schemas import (
    DiscoveryStatus,
    ExplainQuery,
    Log,
    LogQuery,
    PathExplanation,
    SkippedPlaces,
    SkippedQuery,
    SupportedFormats,
    SupportFormats,
    UnrecognizedFiles,
)
from discovery.api.errors import ApiError
from discovery.engine.core.service_words import TokenScope
from discovery.models import LogEntry, RegisteredModel, Right, Root, ScanRun, Unrecognized
from discovery.services import scans
from discovery.services.access import permissions
from discovery.services.access.redaction import Sight
from discovery.services.core import config_files
from discovery.services.registry import aliases
from discovery.services.scans import explain_missing, ledgers
from discovery.services.search.model_filters import normal_text
from discovery.services.settings import formats
from discovery.services.settings.editing import SettingsError

router = Router(tags=["Discovery"])

SCANS = Access(TokenScope.READ, Right.VIEW_SCANS, Right.VIEW_ALL)


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
    "/models/discovery/skipped",
    auth=SCANS,
    response=SkippedPlaces,
    operation_id="list_skipped",
    summary="Places that are not models",
)
def skipped(request: HttpRequest, query: Query[SkippedQuery]) -> dict[str, Any]:
    """Every place that looks like a model and is not one, with the reason."""
    return paging.numbered(
        request,
        ledgers.skipped(normal_text(query.search)),
        query,
        lambda row: {"path": row.place, "root": row.root.path, "reason": row.reason},
    )


@router.get(
    "/models/discovery/explain",
    auth=Access(TokenScope.READ, Right.SYSTEM, Right.VIEW_ALL),
    response=PathExplanation,
    operation_id="explain_path",
    summary="Why a path is not a model",
)
def explain(request: HttpRequest, query: Query[ExplainQuery]) -> dict[str, Any]:
    """What a scan makes of one path, and what the registry knows about it."""
    try:
        told = explain_missing.explain(query.path, caller_of(request).user)
    except explain_missing.NotAPath as error:
        raise ApiError(
            422, "This is not a path.", errors=[(("query", "path"), str(error))]
        ) from None
    return {
        "path": told.path,
        "title": told.title,
        "tone": told.tone,
        "detail": told.detail,
        "advice": told.advice or None,
        "root": told.root.path if told.root else None,
        "models": [record.model_id for record in told.models],
        "problems": list(told.problems),
        "scan_helps": told.scan,
        "register_helps": told.may_register,
    }


@router.get(
    "/models/discovery/unrecognized",
    auth=SCANS,
    response=UnrecognizedFiles,
    operation_id="list_unrecognized",
    summary="Files that no reader knows",
)
def unrecognized(request: HttpRequest, query: Query[paging.Paged]) -> dict[str, Any]:
    """Files of 1 MB or more under the roots, the largest first, and what all files there are."""
    roots = list(Root.objects.filter(enabled=True))
    return paging.numbered(
        request,
        Unrecognized.objects.select_related("root"),
        query,
        _unrecognized,
        totals={
            str(use): {"files": count.files, "bytes": count.bytes}
            for use, count in ledgers.sums(roots).items()
        },
        left_out=[
            {"formats": told.split(), "files": count.files, "bytes": count.bytes}
            for told, count in ledgers.formats_left_out(roots).items()
        ],
    )


def _unrecognized(file: Unrecognized) -> dict[str, Any]:
    return {
        "path": file.path,
        "root": file.root.path,
        "size_bytes": file.size_bytes,
        "first_bytes": file.first_bytes,
        "guess": file.guess or None,
    }


@router.post(
    "/models/discovery/unrecognized/support",
    auth=Access(TokenScope.ADMIN, Right.VIEW_SCANS, Right.VIEW_ALL, Right.ROOTS),
    response=SupportedFormats,
    operation_id="support_formats",
    summary="Read formats that are left out",
)
def support(request: HttpRequest, payload: SupportFormats) -> dict[str, Any]:
    """They are added to `supported_formats`: the next scan reads their models."""
    known = formats.left_out()
    wrong = [
        (("body", "formats", place), closed_lists.not_known(name, sorted(known)))
        for place, name in enumerate(payload.formats)
        if name not in known
    ]
    if wrong:
        raise ApiError(422, "No such format is left out. Nothing changed.", errors=wrong)
    try:
        formats.support(payload.formats, by=caller_of(request).person)
    except SettingsError as error:
        raise ApiError(409, f"The configuration cannot be changed: {error}") from None
    return {"supported_formats": sorted(config_files.discovery().supported_formats or ())}


@router.get(
    "/models/discovery/logs",
    auth=READ,
    response=Log,
    operation_id="discovery_logs",
    summary="Log",
    exclude_unset=True,
)
def logs(request: HttpRequest, query: Query[LogQuery]) -> dict[str, Any]:
    """Events, the newest first.

    Without the permission to view log entries you read what concerns the models you see.
    """
    sight = Sight(caller_of(request).user)
    answer = paging.numbered(
        request, _entries(request, query), query, lambda entry: _event(entry, sight)
    )
    if not answer["count"] and (unknown := _unknown(request, query)):
        answer["unknown"] = unknown
    return answer


def _unknown(request: HttpRequest, query: LogQuery) -> dict[str, list[str]]:
    """What an empty list was asked for that does not exist for the caller."""
    caller, found = caller_of(request), {}
    seen = RegisteredModel.objects.visible_to(caller.user)
    if query.model_id is not None and aliases.find(seen, query.model_id) is None:
        found["model_id"] = [query.model_id]
    scans_seen = caller.may(Right.VIEW_SCANS)
    if query.scan_id is not None and not (
        scans_seen and ScanRun.objects.filter(pk=query.scan_id).exists()
    ):
        found["scan_id"] = [str(query.scan_id)]
    return found


def _entries(request: HttpRequest, query: LogQuery) -> QuerySet[LogEntry]:
    caller, rows = caller_of(request), LogEntry.objects.all()
    if caller.may(Right.VIEW_LOG):
        rows = permissions.visible_log(caller.user, rows)
    else:
        rows = rows.filter(
            model_id__in=RegisteredModel.objects.visible_to(caller.user).values("model_id")
        )
    if query.level:
        rows = rows.filter(level__in=query.level)
    if query.channel:
        rows = rows.filter(topic__in=query.channel)
    if query.scan_id is not None:
        rows = rows.filter(scan=query.scan_id)
    if query.model_id is not None:
        rows = rows.filter(model_id=aliases.current(query.model_id))
    if query.since is not None:
        rows = rows.filter(
            at__gte=query.since if query.since.tzinfo else query.since.replace(tzinfo=UTC)
        )
    return rows


def _event(entry: LogEntry, sight: Sight) -> dict[str, Any]:
    return {
        "at": entry.at,
        "level": entry.level,
        "channel": entry.topic,
        "scan_id": entry.scan_id,
        "model_id": entry.model_id or None,
        "path": sight.text(entry.path) or None,
        "message": sight.log(entry.text),
    }

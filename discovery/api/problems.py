"""``/problems``: all problems of all models, decisions about them, and quarantine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router

from discovery.api import paging
from discovery.api import problems_schemas as schemas
from discovery.api.authentication import READ, Access, caller_of, fetch
from discovery.api.errors import ApiError
from discovery.api.preconditions import if_match, stale
from discovery.engine.core.problem_codes import PROBLEM_CODES
from discovery.engine.core.service_words import TokenScope
from discovery.models import Finding, RegisteredModel, Right
from discovery.services.access.redaction import Sight
from discovery.services.findings import listing, triage
from discovery.services.registry import aliases
from discovery.services.search.model_filters import normal_text

router = Router(tags=["Problems"])

DECIDE = Access(TokenScope.WRITE, Right.VIEW_FINDINGS, Right.DECIDE)
GRANT = Access(TokenScope.WRITE, Right.GRANT)


@router.get(
    "/problems",
    auth=Access(TokenScope.READ, Right.VIEW_FINDINGS),
    response=schemas.Problems,
    operation_id="list_problems",
    summary="Problems of all models",
    exclude_unset=True,
)
def listed(request: HttpRequest, query: Query[schemas.ProblemsQuery]) -> dict[str, Any]:
    """Of the models that you see: errors first, then the newest."""
    user = caller_of(request).user
    rows, more = listing.in_state(listing.seen_by(user), query.state), {}
    if query.model_id:
        visible = RegisteredModel.objects.visible_to(user).only("pk", "model_id")
        known = aliases.find_many(visible, query.model_id)
        rows = rows.filter(model__in=[record.pk for record in known.values()])
        if lost := [name for name in query.model_id if name not in known]:
            more["unknown"] = {"model_id": lost}
    rows = listing.containing(rows, normal_text(query.search))
    return _page(request, rows, query, **more)


@router.get(
    "/models/{model_id}/problems",
    auth=READ,
    response=schemas.Problems,
    operation_id="list_model_problems",
    summary="Problems of a model",
    exclude_unset=True,
)
def of_model(
    request: HttpRequest, model_id: str, query: Query[schemas.ProblemsOfModel]
) -> dict[str, Any]:
    """Errors first, then the newest."""
    record = fetch(request, model_id)
    seen = Finding.objects.filter(model=record)
    return _page(request, listing.in_state(seen, query.state), query)


def _page(
    request: HttpRequest, rows: QuerySet[Finding], query: schemas.ProblemsOfModel, **more: Any
) -> dict[str, Any]:
    if query.severity:
        rows = rows.filter(severity__in=query.severity)
    if query.code:
        rows = rows.filter(code__in=query.code)
    light = rows.select_related("model", "accepted_by").defer(*listing.HEAVY)
    shown = _shown(request)
    if query.cursor is None:
        ordered = light.order_by("severity", "-first_seen_at", "-pk")
        return paging.numbered(request, ordered, query, shown, **more)

    def read(keys: list[int]) -> list[dict[str, Any]]:
        return [shown(row) for row in light.filter(pk__in=keys).order_by("pk")]

    return paging.by_cursor(request, rows, query.cursor, query.page_size, read, **more)


def _shown(request: HttpRequest) -> Callable[[Finding], dict[str, Any]]:
    sight = Sight(caller_of(request).user)

    def row(finding: Finding) -> dict[str, Any]:
        code = PROBLEM_CODES.get(finding.code)
        return {
            "problem_id": finding.pk,
            "model_id": finding.model.model_id,
            "code": finding.code,
            "severity": finding.severity,
            "source": finding.source,
            "message": sight.text(finding.message),
            "advice": (code.advice if code else "") or None,
            "path": finding.path or None,
            "offset": finding.offset,
            "state": listing.state_of(finding),
            "first_seen_at": finding.first_seen_at,
            "last_seen_at": finding.last_seen_at,
            "resolved_at": finding.resolved_at,
            "snoozed_until": finding.snoozed_until,
            "accepted": _acceptance(finding, sight),
            "decision": triage.state(finding),
        }

    return row


def _acceptance(finding: Finding, sight: Sight) -> dict[str, Any] | None:
    if not finding.is_accepted:
        return None
    by = finding.accepted_by
    return {
        "reason": finding.accepted_reason,
        "by": (sight.person(by.get_username()) or None) if by else None,
        "at": finding.accepted_at,
    }


@router.post(
    "/problems/accept",
    auth=DECIDE,
    response=schemas.Decided,
    operation_id="accept_problems",
    summary="Accept problems",
)
def accept(request: HttpRequest, payload: schemas.AcceptProblems) -> dict[str, Any]:
    """They are open again once the files of their model change."""
    rows, by = _chosen(request, payload), caller_of(request).person
    try:
        triage.accept(rows, by=by, reason=payload.reason, channel="api")
    except triage.ReasonRequired as error:
        raise ApiError(
            422, "Accepting needs a reason.", errors=[(("body", "reason"), str(error))]
        ) from None
    return _decided(request, rows)


@router.post(
    "/problems/snooze",
    auth=DECIDE,
    response=schemas.Decided,
    operation_id="snooze_problems",
    summary="Snooze problems",
)
def snooze(request: HttpRequest, payload: schemas.SnoozeProblems) -> dict[str, Any]:
    """They are out of the list of open problems for some days."""
    rows, until = _chosen(request, payload), timezone.now() + timedelta(days=payload.days)
    triage.snooze(rows, until, by=caller_of(request).person, channel="api")
    return _decided(request, rows)


@router.post(
    "/problems/reopen",
    auth=DECIDE,
    response=schemas.Decided,
    operation_id="reopen_problems",
    summary="Reopen problems",
)
def reopen(request: HttpRequest, payload: schemas.ReopenProblems) -> dict[str, Any]:
    """They are as if nobody had decided about them."""
    rows = _chosen(request, payload)
    triage.reopen(rows, by=caller_of(request).person, channel="api")
    return _decided(request, rows)


def _chosen(request: HttpRequest, payload: schemas.Chosen) -> list[Finding]:
    """The problems that are named; all of them must be there, and as they were seen."""
    seen = listing.seen_by(caller_of(request).user)
    found = {
        row.pk: row
        for row in seen.filter(pk__in=payload.problems).select_related("model", "accepted_by")
    }
    lost = [
        (("body", "problems", number), f"there is no problem {key}")
        for number, key in enumerate(payload.problems)
        if key not in found
    ]
    if lost:
        raise ApiError(422, "Some of these problems do not exist. Nothing changed.", errors=lost)
    rows = list(found.values())
    stamps = {key: payload.seen[str(key)] for key in found if str(key) in payload.seen}
    try:
        triage.compare(rows, stamps)
    except triage.Decided:
        raise ApiError(
            409,
            "Somebody has decided about these problems since you read them. Nothing changed.",
            errors=[
                (("body", "seen", str(row.pk)), f"is {triage.state(row)} now")
                for row in rows
                if row.pk in stamps and stamps[row.pk] != triage.state(row)
            ],
        ) from None
    return rows


def _decided(request: HttpRequest, rows: list[Finding]) -> dict[str, Any]:
    shown = _shown(request)
    return {"updated": len(rows), "results": [shown(row) for row in rows]}


@router.put(
    "/models/{model_id}/quarantine",
    auth=GRANT,
    response=schemas.Quarantine,
    operation_id="quarantine_model",
    summary="Quarantine a model",
)
def quarantine(request: HttpRequest, model_id: str) -> dict[str, Any]:
    """Hides the model from all but administrators. Its files stay where they are."""
    record = _unchanged(request, model_id)
    changed = triage.quarantine(record, by=caller_of(request).person, channel="api")
    return _quarantine(record, changed)


@router.delete(
    "/models/{model_id}/quarantine",
    auth=GRANT,
    response=schemas.Quarantine,
    operation_id="lift_quarantine",
    summary="Lift a quarantine",
)
def lift(request: HttpRequest, model_id: str) -> dict[str, Any]:
    """The model has the visibility again that it had before."""
    record = _unchanged(request, model_id)
    changed = triage.lift_quarantine(record, by=caller_of(request).person, channel="api")
    return _quarantine(record, changed)


def _unchanged(request: HttpRequest, model_id: str) -> RegisteredModel:
    record = fetch(request, model_id)
    if not if_match(request)(record):
        raise stale()
    return record


def _quarantine(record: RegisteredModel, changed: bool) -> dict[str, Any]:
    return {
        "model_id": record.model_id,
        "quarantined_at": record.quarantined_at,
        "visibility": record.visibility,
        "changed": changed,
    }

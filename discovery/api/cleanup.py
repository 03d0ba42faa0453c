"""``/clean-up``: what could be removed, and the plan that people run themselves.

Nothing here removes a file.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router, Status

from discovery.api import cleanup_schemas as schemas
from discovery.api import paging
from discovery.api.authentication import Access, caller_of
from discovery.api.errors import ApiError
from discovery.engine.core.paths import to_text
from discovery.engine.core.service_words import TokenScope
from discovery.models import RegisteredModel, Right
from discovery.services.cleanup import (
    alternate_formats,
    copies,
    duplicates,
    orphans,
    plan_output,
    removal_plan,
)
from discovery.services.cleanup.removal import PlanError, Unconfirmed
from discovery.services.cleanup.removal_plan import COPIES, FORMATS
from discovery.services.health import deep_validation

router = Router(tags=["Clean-up"])

LOOK = Access(TokenScope.READ, Right.CLEAN_UP, Right.VIEW_ALL)
COMPARE = Access(TokenScope.WRITE, Right.CLEAN_UP, Right.VIEW_ALL, Right.VALIDATE)


@router.get(
    "/clean-up/items/{kind}",
    auth=LOOK,
    response=schemas.CleanUpItems,
    operation_id="list_clean_up",
    summary="What could be removed",
)
def listed(
    request: HttpRequest, kind: Path[schemas.CleanUpKind], query: Query[paging.Paged]
) -> dict[str, Any]:
    """Of one kind: copies, second formats, or what downloads and stores left behind.

    Of copies a page is so many groups, the first of each group being the one to keep.
    """
    try:
        if kind == COPIES:
            return _copies(request, query)
        return _formats(request, query) if kind == FORMATS else _leftovers(request, kind, query)
    except copies.DiskTimeout as error:
        raise ApiError(503, str(error), headers={"Retry-After": "10"}) from None


def _copies(request: HttpRequest, query: paging.Paged) -> dict[str, Any]:
    told: list[str] = []

    def together(page: list[tuple[str, int, int]]) -> list[dict[str, Any]]:
        looked = duplicates.look([fingerprint for fingerprint, _, _ in page])
        told.extend(map(str, looked.silent))
        groups = [group for each in looked.likenesses for group in each.groups]
        return [
            {
                "key": str(copy.record.pk),
                "title": copy.record.title,
                "path": copy.location,
                "model_id": copy.record.model_id,
                "keeps": group.copies[0].location if copy is not group.copies[0] else None,
                "note": str(group.certainty),
                "frees_bytes": copy.freed,
                "group": group.fingerprint,
            }
            for group in groups
            if len(group.copies) > 1
            for copy in group.copies
        ]

    answer = paging.numbered(
        request, duplicates.fingerprints(), query, together=together, waiting=[]
    )
    return {**answer, "silent": told}


def _formats(request: HttpRequest, query: paging.Paged) -> dict[str, Any]:
    found, silent = alternate_formats.look()
    return paging.numbered(
        request,
        found,
        query,
        lambda each: {
            "key": each.key,
            "title": each.record.title,
            "path": to_text(each.name),
            "model_id": each.record.model_id,
            "keeps": to_text(each.kept),
            "note": each.alike,
            "frees_bytes": each.freed,
            "group": None,
        },
        waiting=[],
        silent=[str(each) for each in silent],
    )


def _leftovers(request: HttpRequest, kind: str, query: paging.Paged) -> dict[str, Any]:
    told = orphans.look()
    return paging.numbered(
        request,
        [item for item in told.items if item.leftover.kind == kind],
        query,
        lambda item: {
            "key": item.key,
            "title": to_text(item.leftover.path),
            "path": f"{item.root.rstrip('/')}/{to_text(item.leftover.path)}",
            "model_id": None,
            "keeps": None,
            "note": item.leftover.note,
            "frees_bytes": item.leftover.freed,
            "group": None,
        },
        waiting=list(told.waiting),
        silent=list(told.silent),
    )


@router.post(
    "/clean-up/plan",
    auth=LOOK,
    response=schemas.CleanUpPlan,
    operation_id="plan_clean_up",
    summary="Plan what to remove",
    openapi_extra={
        "responses": {200: {"content": {"application/x-sh": {"schema": {"type": "string"}}}}}
    },
)
def plan(request: HttpRequest, payload: schemas.PlanBody, query: Query[schemas.PlanQuery]) -> Any:
    """Made from the disk as it is now, as data or as a script. Nothing is removed.

    Where what would go differs from what would stay, 409 names each difference and its key.
    """
    by = caller_of(request).person.get_username()
    try:
        made = removal_plan.plan(
            payload.kind, tuple(payload.remove), by=by, confirmed=tuple(payload.confirmed)
        )
    except Unconfirmed as error:
        raise ApiError(
            409,
            str(error),
            errors=[
                (("body", "confirmed"), f"{choice.key}: {choice.difference.text} ({choice.title})")
                for choice in error.choices
            ],
        ) from None
    except PlanError as error:
        raise ApiError(
            422, "No plan can be made.", errors=[(("body", "remove"), str(error))]
        ) from None
    if query.form == "sh":
        return HttpResponse(plan_output.as_script(made), content_type="application/x-sh")
    return {**plan_output.as_json(made), "stamp": made.stamp}


@router.post(
    "/clean-up/look",
    auth=LOOK,
    response={204: None},
    operation_id="look_again",
    summary="Rescan the disks",
)
# Ninja passes it.
def look_again(request: HttpRequest) -> Status[None]:  # noqa: ARG001
    """What earlier walks have found is not believed any more."""
    orphans.forget()
    return Status(204, None)


@router.post(
    "/clean-up/compare",
    auth=COMPARE,
    response={202: schemas.ComparingCopies},
    operation_id="compare_copies",
    summary="Read all bytes of copies",
)
def compare(request: HttpRequest, payload: schemas.CompareCopies) -> Status[dict[str, Any]]:
    """Their checksums then say whether they are the same."""
    records = RegisteredModel.objects.filter(fingerprint=payload.group, missing_since=None)
    chosen = list(records.order_by("pk")[: duplicates.MAX_COPIES])
    if not chosen:
        fault = (("body", "group"), "has no models that are there")
        raise ApiError(422, "There is no such group.", errors=[fault])
    by = caller_of(request).person.pk
    runs = [deep_validation.request(record, user_id=by)[0] for record in chosen]
    failed = next((run for run in runs if run.state == run.State.FAILED), None)
    if failed is not None:
        raise ApiError(503, failed.message)
    return Status(202, {"validations": [run.pk for run in runs]})

"""``/bulk-edits``: change many models in the same way, and follow, stop and resume it."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from ninja import Path, Query, Router

from discovery.api import bulk_documents, bulk_requests, paging
from discovery.api import bulk_edits_schemas as schemas
from discovery.api.authentication import Access, caller_of
from discovery.api.changes_schemas import BulkEditDocument
from discovery.api.errors import ApiError
from discovery.api.inputs import Key
from discovery.api.preconditions import named_tags, once
from discovery.engine.core.service_words import TokenScope
from discovery.models import BulkEdit, Right
from discovery.services.access import permissions
from discovery.services.bulk import bulk_edits, selections

router = Router(tags=["Many at once"])
ANY = tuple(permissions.OF_BULK.values())
FOLLOW = Access(TokenScope.READ, some=(*ANY, Right.VIEW_ALL))
CHANGE = Access(TokenScope.WRITE, some=(*ANY, Right.VIEW_ALL))


@router.get(
    "/bulk-edits",
    auth=Access(TokenScope.READ, some=ANY),
    response=schemas.BulkEdits,
    operation_id="list_bulk_edits",
    summary="Changes of many models",
)
def edits(request: HttpRequest, query: Query[paging.Paged]) -> dict[str, Any]:
    """Those that you asked for, the newest first. Who sees every model gets all."""
    rows = _mine(request).select_related("requested_by").defer("selection")
    return paging.numbered(request, rows, query, bulk_documents.document)


@router.post(
    "/bulk-edits/preview",
    auth=Access(TokenScope.READ, some=ANY),
    response=schemas.BulkPreview,
    operation_id="preview_bulk_edit",
    summary="What a change of many models would do",
)
def preview(
    request: HttpRequest, payload: schemas.BulkRequest, response: HttpResponse
) -> dict[str, Any]:
    """Takes the body of `POST /bulk-edits`, and writes nothing.

    Send the `ETag` of the answer as `If-Match` to change what was previewed, or nothing.
    """
    user = caller_of(request).person
    wanted = bulk_requests.read(payload, user)
    told = selections.preview(wanted.operation, wanted.selection, user)
    response["ETag"] = f'"{selections.mark(wanted.operation, told)}"'
    return bulk_requests.shown(wanted, told, user)


@router.post(
    "/bulk-edits",
    auth=Access(TokenScope.WRITE, some=ANY),
    response={201: BulkEditDocument, 202: BulkEditDocument},
    operation_id="create_bulk_edit",
    summary="Change many models",
)
def create(request: HttpRequest, payload: schemas.BulkRequest) -> HttpResponse:
    """Gives all chosen models the same values, or adds and removes entries of their lists.

    Up to 200 models are changed at once: 201. More are left to a worker: 202, and the `Location`
    answers how far it is. With `If-Match` of a preview nothing is changed where it would do
    something else by now (412).
    """
    user = caller_of(request).person
    wanted = bulk_requests.read(payload, user)

    def act() -> tuple[int, Any]:
        _require_previewed(request, wanted)
        try:
            made = bulk_edits.request(
                wanted.operation, wanted.selection, by=user, channel="api", atomic=payload.atomic
            )
        except bulk_edits.EmptySelection:
            raise ApiError(409, "No model was chosen, so nothing was changed.") from None
        except bulk_edits.EditRefused as error:
            raise bulk_requests.refused(error) from None
        made.refresh_from_db()
        return 202 if made.is_active else 201, bulk_documents.document(made)

    response = once(request, act, BulkEditDocument)
    edit_id = json.loads(response.content)["edit_id"]
    response["Location"] = request.build_absolute_uri(bulk_documents.path(edit_id))
    return response


def _require_previewed(request: HttpRequest, wanted: bulk_requests.Wanted) -> None:
    tags = named_tags(request)
    if tags is None:
        return
    told = selections.preview(wanted.operation, wanted.selection, caller_of(request).person)
    if f'"{selections.mark(wanted.operation, told)}"' not in tags:
        raise ApiError(412, "Since the preview models have changed: preview it again.")


@router.get(
    "/bulk-edits/{edit_id}",
    auth=FOLLOW,
    response=BulkEditDocument,
    operation_id="get_bulk_edit",
    summary="One change of many models",
)
def edit(request: HttpRequest, edit_id: Path[Key]) -> dict[str, Any]:
    """How far it is, and what came of it. Undo it by its `batch`."""
    return bulk_documents.document(_fetch(request, edit_id))


@router.post(
    "/bulk-edits/{edit_id}/cancel",
    auth=CHANGE,
    response=schemas.Stopped,
    operation_id="cancel_bulk_edit",
    summary="Stop a change of many models",
)
def cancel(request: HttpRequest, edit_id: Path[Key]) -> dict[str, Any]:
    """What is done so far stays; resume the rest, or undo all of it by its `batch`."""
    record = _fetch(request, edit_id)
    accepted = bulk_edits.cancel(record)
    return {**bulk_documents.document(_fetch(request, edit_id)), "accepted": accepted}


@router.post(
    "/bulk-edits/{edit_id}/resume",
    auth=Access(TokenScope.WRITE, some=ANY),
    response=schemas.Stopped,
    operation_id="resume_bulk_edit",
    summary="Resume a change of many models",
)
def resume(request: HttpRequest, edit_id: Path[Key]) -> dict[str, Any]:
    """Queues the rest of what was stopped or interrupted.

    It takes the permission for what it changes.
    """
    record = _fetch(request, edit_id)
    needed = permissions.OF_BULK.get(record.operation["kind"], Right.EDIT)
    if reason := permissions.lacking(caller_of(request).user, (needed,)):
        raise ApiError(403, reason)
    accepted = bulk_edits.resume(record)
    return {**bulk_documents.document(_fetch(request, edit_id)), "accepted": accepted}


def _mine(request: HttpRequest) -> QuerySet[BulkEdit]:
    return permissions.own(caller_of(request).user, BulkEdit.objects.order_by("-pk"))


def _fetch(request: HttpRequest, edit_id: int) -> BulkEdit:
    row = _mine(request).select_related("requested_by").defer("selection").filter(pk=edit_id)
    if (record := row.first()) is None:
        raise Http404(f"There is no bulk edit {edit_id}.")
    return record

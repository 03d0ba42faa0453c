"""``/bulk-edits``: change many models in the same way, and follow, stop and resume it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from ninja import Path, Query, Router

from discovery.api import bulk_documents, paging
from discovery.api import bulk_edits_schemas as schemas
from discovery.api.authentication import Access, caller_of
from discovery.api.changes_schemas import BulkEditDocument
from discovery.api.errors import ApiError
from discovery.api.inputs import Key
from discovery.engine.core.vocabulary import TokenScope
from discovery.models import BulkEdit, Right
from discovery.services.access import permissions
from discovery.services.bulk import bulk_edits

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
def edits(request: HttpRequest, asked: Query[paging.Paged]) -> dict[str, Any]:
    """Those that you asked for, the newest first. Who sees every model gets all."""
    rows = _mine(request).select_related("requested_by").defer("selection")
    return paging.numbered(request, rows, asked, bulk_documents.document)


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
    accepted = bulk_edits.go_on(record)
    return {**bulk_documents.document(_fetch(request, edit_id)), "accepted": accepted}


def _mine(request: HttpRequest) -> QuerySet[BulkEdit]:
    return permissions.own(caller_of(request).user, BulkEdit.objects.order_by("-pk"))


def _fetch(request: HttpRequest, edit_id: int) -> BulkEdit:
    row = _mine(request).select_related("requested_by").defer("selection").filter(pk=edit_id)
    if (record := row.first()) is None:
        raise Http404(f"There is no bulk edit {edit_id}.")
    return record

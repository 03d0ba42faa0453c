"""Changes of many models as the API shows them, whichever call began them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Status

from discovery.models import BulkEdit
from discovery.services.bulk import bulk_edits


def document(edit: BulkEdit) -> dict[str, Any]:
    wanted = edit.operation
    return {
        "edit_id": edit.pk,
        "kind": wanted["kind"],
        "state": str(edit.state),
        "batch": str(edit.batch),
        "undoes": wanted.get("undoes"),
        "set": wanted.get("values", {}),
        "add": wanted.get("add", {}),
        "remove": wanted.get("remove", {}),
        "atomic": wanted["atomic"],
        "by": edit.requested_by.get_username() if edit.requested_by else None,
        "created_at": edit.created_at,
        "finished_at": edit.finished_at,
        "total": edit.total,
        "done": edit.done,
        "changed": edit.changed,
        "skipped": edit.skipped,
        "kept": [
            {"model_id": each["model_id"], "name": each["title"], "reason": each["reason"]}
            for each in edit.reasons
        ],
        "summary": bulk_edits.in_words(edit),
        "message": edit.message,
    }


def path(edit_id: int) -> str:
    return f"/api/bulk-edits/{edit_id}"


def begun(request: HttpRequest, edit: BulkEdit, response: HttpResponse) -> Status[dict[str, Any]]:
    """201 for an edit that is over already, 202 for one that a worker is left with."""
    edit.refresh_from_db()
    response["Location"] = request.build_absolute_uri(path(edit.pk))
    return Status(202 if edit.is_active else 201, document(edit))

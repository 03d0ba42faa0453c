"""Changing models: their metadata, their category, and many at once."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from discovery.api import metadata_schemas as schemas
from discovery.api.access import WRITE, caller_of, fetch
from discovery.api.model_schemas import ModelDocument
from discovery.api.preconditions import as_seen, stale, tagged
from discovery.services import updates

router = Router(tags=["Curating"])


@router.put(
    "/models/{model_id}/metadata",
    auth=WRITE,
    response=ModelDocument,
    operation_id="update_metadata",
    summary="Change metadata",
)
def metadata(
    request: HttpRequest, model_id: str, payload: schemas.Metadata, response: HttpResponse
) -> dict[str, Any]:  # type: ignore[valid-type]
    """Only the fields that are sent. With `If-Match` nothing is written once the model has changed: 412."""
    return _changed(request, model_id, payload.given(), response)  # type: ignore[attr-defined]


@router.put(
    "/models/{model_id}/category",
    auth=WRITE,
    response=ModelDocument,
    operation_id="update_category",
    summary="Change the category",
)
def category(
    request: HttpRequest, model_id: str, payload: schemas.CategoryChange, response: HttpResponse
) -> dict[str, Any]:
    """Any of the three axes."""
    return _changed(request, model_id, payload.given(), response)


def _changed(
    request: HttpRequest, model_id: str, changes: dict[str, Any], response: HttpResponse
) -> dict[str, Any]:
    record = fetch(request, model_id)
    try:
        record = updates.update(
            record, changes, by=caller_of(request).person, through="api", as_seen=as_seen(request)
        )
    except updates.Stale:
        raise stale() from None
    return tagged(record, response)


@router.post(
    "/models/metadata/bulk-update",
    auth=WRITE,
    response={200: schemas.BulkAnswer, 422: schemas.BulkAnswer},
    operation_id="bulk_update",
    summary="Change metadata of many models",
    exclude_unset=True,
)
def bulk(
    request: HttpRequest, payload: schemas.Bulk, asked: Query[schemas.WantedBulk]
) -> Status[dict[str, Any]]:
    """Up to 1,000, in one batch that one undo takes back. Each result says what came of its model."""
    wanted = [(item.model_id, item.metadata) for item in payload.updates]
    told = updates.update_many(
        wanted, by=caller_of(request).person, through="api", atomic=asked.atomic
    )
    failed = sum(bool(result.errors) for result in told)
    undone = asked.atomic and failed
    return Status(
        422 if undone else 200,
        {
            "updated": 0 if undone else len(told) - failed,
            "failed": failed,
            "results": [
                _result(number, result, bool(undone)) for number, result in enumerate(told)
            ],
        },
    )


def _result(number: int, result: updates.Update, undone: bool) -> dict[str, Any]:
    if not result.errors and not undone:
        return {"model_id": result.model_id, "status": "updated"}
    place = ("body", "updates", number)
    faults = [
        {
            "loc": [*place, "model_id"] if name == "model_id" else [*place, "metadata", name],
            "msg": text,
        }
        for name, text in result.errors.items()
    ]
    faults = faults or [
        {"loc": [*place], "msg": "not written, because others of the batch are wrong"}
    ]
    return {"model_id": result.model_id, "status": "error", "errors": faults}

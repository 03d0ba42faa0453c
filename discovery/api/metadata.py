"""Changing models: their metadata, their category, and many at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from discovery.api import metadata_schemas as schemas
from discovery.api.authentication import Access, caller_of, fetch
from discovery.api.errors import ApiError
from discovery.api.model_schemas import ModelDocument
from discovery.api.preconditions import if_match, plain, stale, with_etag
from discovery.engine.core.service_words import TokenScope
from discovery.models import RegisteredModel, Right
from discovery.services.access import permissions
from discovery.services.access.redaction import Sight
from discovery.services.metadata import documents, merge_patch
from discovery.services.registry import records

router = Router(tags=["Curating"])
CHANGE = Access(TokenScope.WRITE, Right.EDIT)


@router.put(
    "/models/{model_id}/metadata",
    auth=CHANGE,
    response=ModelDocument,
    operation_id="update_metadata",
    summary="Change metadata",
)
def metadata(
    request: HttpRequest,
    model_id: str,
    payload: schemas.MetadataChange,  # type: ignore[valid-type]
    response: HttpResponse,
) -> dict[str, Any]:
    """Only the fields that are sent.

    A document that was read may be sent whole: fields that nobody sets and that are as they were
    are passed over, and so are values in it that did not change. With `If-Match` nothing is
    written once the model has changed: 412.
    """
    return _changed(request, model_id, given(payload), response)


@router.put(
    "/models/{model_id}/category",
    auth=CHANGE,
    response=ModelDocument,
    operation_id="update_category",
    summary="Change the category",
)
def category(
    request: HttpRequest,
    model_id: str,
    payload: schemas.CategoryChange,  # type: ignore[valid-type]
    response: HttpResponse,
) -> dict[str, Any]:
    """Any of the three axes."""
    return _changed(request, model_id, given(payload), response)


def given(payload: Any) -> dict[str, Any]:
    """Return what was sent; a nested ``category`` as an object."""
    sent: dict[str, Any] = payload.given()
    if isinstance(category := sent.get("category"), schemas.Strict):
        sent["category"] = category.given()
    return sent


def _read(given: Mapping[str, Any], record: RegisteredModel, sight: Sight) -> Mapping[str, Any]:
    """Return the changes in what was sent, which may be the whole document of the model."""
    return documents.changes(given, lambda: plain(records.document(record, sight), ModelDocument))


def _changed(
    request: HttpRequest, model_id: str, sent: dict[str, Any], response: HttpResponse
) -> dict[str, Any]:
    record = fetch(request, model_id)
    changes = _read(sent, record, Sight(caller_of(request).user))
    if refused := permissions.refusals(caller_of(request).user, changes, record):
        raise ApiError(
            403,
            "You may not set this.",
            errors=[(("body", name), text) for name, text in refused.items()],
        )
    try:
        record = merge_patch.update(
            record, changes, by=caller_of(request).person, channel="api", if_match=if_match(request)
        )
    except merge_patch.Stale:
        raise stale() from None
    return with_etag(request, record, response)


@router.post(
    "/models/metadata/bulk-update",
    auth=CHANGE,
    response={200: schemas.BulkAnswer, 422: schemas.BulkAnswer},
    operation_id="bulk_update",
    summary="Change metadata of many models",
    exclude_unset=True,
)
def bulk(
    request: HttpRequest, payload: schemas.Bulk, query: Query[schemas.BulkBody]
) -> Status[dict[str, Any]]:
    """Changes up to 1,000 models in one batch, which can be undone as a whole.

    Each result describes one model.
    """
    wanted = [(item.model_id, item.metadata) for item in payload.updates]
    person = caller_of(request).person
    told = merge_patch.update_many(
        wanted,
        by=person,
        channel="api",
        atomic=query.atomic,
        may=partial(permissions.refusals, person),
        read=partial(_read, sight=Sight(person)),
    )
    failed = sum(bool(result.errors) for result in told)
    undone = query.atomic and failed
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


def _result(number: int, result: merge_patch.Update, undone: bool) -> dict[str, Any]:
    told = {"model_id": result.model_id} | ({"alias": result.alias} if result.alias else {})
    if not result.errors and not undone:
        return {**told, "status": "updated"}
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
    return {**told, "status": "error", "errors": faults}

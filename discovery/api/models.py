"""``/models/{model_id}``: the model document, and forgetting the model."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router, Status

from discovery.api.authentication import PUBLIC, Access, caller_of, fetch
from discovery.api.errors import ApiError
from discovery.api.model_schemas import ModelDocument
from discovery.api.preconditions import if_match, stale, with_etag
from discovery.engine.core.service_words import TokenScope
from discovery.models import Right
from discovery.services.registry import deregistration

router = Router(tags=["Models"])


@router.get(
    "/models/{model_id}",
    auth=PUBLIC,
    response=ModelDocument,
    operation_id="get_model",
    summary="One model",
)
def document(request: HttpRequest, model_id: str, response: HttpResponse) -> dict[str, Any]:
    """The model document, with the source of every value."""
    return with_etag(request, fetch(request, model_id), response)


@router.delete(
    "/models/{model_id}",
    auth=Access(TokenScope.WRITE, Right.FORGET),
    response={204: None},
    operation_id="forget_model",
    summary="Forget a model",
)
def forget(request: HttpRequest, model_id: str) -> Status[None]:
    """Removes the model from the registry; its files stay.

    A scan that still finds the files restores it, with all decisions about it.

    Only the model's own id is accepted: an alias may stand for a part of the current model, and is
    refused with 409.
    """
    record = fetch(request, model_id)
    if record.model_id != model_id:
        text = f"{model_id} is an alias of {record.model_id}: forget the model by its own id."
        raise ApiError(409, text)
    if not if_match(request)(record):
        raise stale()
    deregistration.forget(record, by=caller_of(request).person, channel="api")
    return Status(204, None)

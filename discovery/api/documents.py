"""``/models/{model_id}``: the model document, and its tag that tells whether it is still the one that was read."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router

from discovery.api.access import PUBLIC, fetch
from discovery.api.model_schemas import ModelDocument
from discovery.models import RegisteredModel
from discovery.services import records

router = Router(tags=["Models"])


@router.get("/models/{model_id}", auth=PUBLIC, response=ModelDocument, operation_id="get_model", summary="One model")
def document(request: HttpRequest, model_id: str, response: HttpResponse) -> dict[str, Any]:
    """The model document, with the source of every value."""
    return tagged(fetch(request, model_id), response)


def tagged(record: RegisteredModel, response: HttpResponse) -> dict[str, Any]:
    """The document; its ``ETag`` goes into the response."""
    shown = records.document(record)
    response["ETag"] = etag(shown)
    return shown


def etag(shown: dict[str, Any]) -> str:
    return f'"{blake2b(json.dumps(shown, sort_keys=True).encode(), digest_size=16).hexdigest()}"'

"""``POST /models/register``: a model that scans do not find, or that another server runs."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Router
from pydantic import Field, create_model

from discovery.api import metadata, metadata_schemas
from discovery.api.authentication import Access, caller_of
from discovery.api.errors import ApiError
from discovery.api.model_schemas import ModelDocument
from discovery.api.preconditions import etag, once
from discovery.engine.core.service_words import TokenScope
from discovery.models import RegisteredModel, Right
from discovery.services.access import permissions
from discovery.services.access.redaction import Sight
from discovery.services.registry import records
from discovery.services.scans import registration
from discovery.services.scans.registration import AlreadyRegistered

router = Router(tags=["Curating"])

_OWN: dict[str, Any] = {
    "name": (str, Field(min_length=1, max_length=registration.MAX_NAME)),
    "path": (
        str | None,
        Field(None, max_length=registration.MAX_PATH, description="Absolute, or below a root."),
    ),
    "category": (metadata_schemas.CategoryChange | None, None),
}
Registration = create_model(
    "Registration",
    __base__=metadata_schemas.Metadata,
    __doc__="`path`, or for type OPENAI `endpoint`.",
    **_OWN,
)


@router.post(
    "/models/register",
    auth=Access(TokenScope.WRITE, Right.REGISTER),
    response={201: ModelDocument},
    operation_id="register_model",
    summary="Register a model by hand",
)
def register(
    request: HttpRequest,
    payload: Registration,  # type: ignore[valid-type]
) -> HttpResponse:
    """What can be read of it is read; the rest is metadata. 409 when it is registered already.

    Takes an `Idempotency-Key`.
    """
    given = metadata.given(payload)
    set_too = {
        name: value
        for name, value in given.items()
        if name in ("visibility", "groups", "collections")
    }
    if refused := permissions.refusals(caller_of(request).user, set_too):
        raise ApiError(
            403,
            "You may not set this.",
            errors=[(("body", name), text) for name, text in refused.items()],
        )

    person = caller_of(request).person

    def act() -> tuple[int, Any]:
        try:
            record = registration.register(given, by=person, channel="api")
        except AlreadyRegistered as error:
            if (
                not RegisteredModel.objects.visible_to(person)
                .filter(model_id=error.model_id)
                .exists()
            ):
                raise ApiError(
                    409,
                    "It is registered already.",
                    errors=[(("body", "path"), "is a model that you may not see")],
                ) from None
            text = f"It is registered already, as {error.model_id}."
            raise ApiError(
                409, text, errors=[(("body", "path"), f"is the model {error.model_id}")]
            ) from None
        return 201, records.document(record, Sight(person))

    response = once(request, act, ModelDocument)
    made = json.loads(response.content)["model_id"]
    response["Location"] = request.build_absolute_uri(reverse("api:get_model", args=[made]))
    if record := RegisteredModel.objects.select_related("root").filter(model_id=made).first():
        response["ETag"] = etag(records.document(record, Sight(person)))
    return response

"""``POST /models/register``: a model that scans do not find, or that another server runs."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router
from pydantic import Field, create_model

from discovery.api import metadata_schemas
from discovery.api.access import WRITE, caller_of
from discovery.api.errors import ApiError
from discovery.api.model_schemas import ModelDocument
from discovery.api.preconditions import once
from discovery.services import records, registration
from discovery.services.registration import AlreadyRegistered

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
    auth=WRITE,
    response={201: ModelDocument},
    operation_id="register_model",
    summary="Register a model by hand",
)
def register(request: HttpRequest, payload: Registration) -> HttpResponse:  # type: ignore[valid-type]
    """What can be read of it is read; the rest is metadata. 409 when it is registered already. Takes an `Idempotency-Key`."""
    given = payload.given()  # type: ignore[attr-defined]
    if isinstance(given.get("category"), metadata_schemas.CategoryChange):
        given["category"] = given["category"].given()

    def act() -> tuple[int, Any]:
        try:
            record = registration.register(given, by=caller_of(request).person, through="api")
        except AlreadyRegistered as error:
            text = f"It is registered already, as {error.model_id}."
            raise ApiError(
                409, text, errors=[(("body", "path"), f"is the model {error.model_id}")]
            ) from None
        return 201, records.document(record)

    return once(request, act, ModelDocument)

"""``/registries/matches``: which local models are which remote ones."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Path, Query, Router, Status

from discovery.api import paging
from discovery.api import registries_schemas as schemas
from discovery.api.authentication import Access, caller_of
from discovery.api.errors import ApiError
from discovery.api.inputs import Key
from discovery.engine.core.service_words import TokenScope
from discovery.models import RegisteredModel, RemoteMatch, Right
from discovery.services.registries import links, overview
from discovery.services.registry import aliases

router = Router(tags=["Registries"])

SEE = Access(TokenScope.READ, Right.EDIT)
DECIDE = Access(TokenScope.WRITE, Right.EDIT)


@router.get(
    "/registries/matches",
    auth=SEE,
    response=schemas.Matches,
    operation_id="list_matches",
    summary="Local models and their remote ones",
)
def matches(request: HttpRequest, query: Query[schemas.MatchesQuery]) -> dict[str, Any]:
    """Of models that the caller may see."""
    rows = links.visible(caller_of(request).user).filter(links.VIEWS[query.view])
    if query.registry:
        rows = rows.filter(registry=query.registry)
    if query.model_id:
        rows = rows.filter(model=_model(request, query.model_id))
    return paging.numbered(request, rows, query, links.as_json)


@router.post(
    "/registries/matches",
    auth=DECIDE,
    response={201: schemas.MatchRow},
    operation_id="link_model",
    summary="Link a model by hand",
)
def link(request: HttpRequest, payload: schemas.NewLink, response: HttpResponse) -> Any:
    """Asks the registry for the remote model now. 409 where that fails; a link of before ends.

    `Location` answers the matches of the model.
    """
    record = _model(request, payload.model_id)
    if record is None:
        raise ApiError(422, errors=[(("body", "model_id"), "there is no such model")])
    if overview.row_of(payload.registry) is None:
        raise ApiError(422, errors=[(("body", "registry"), "there is no such registry")])
    try:
        match = links.link(
            record, payload.registry, payload.remote_id, by=caller_of(request).person
        )
    except links.LinkError as error:
        raise ApiError(409, str(error)) from None
    place = f"{reverse('api:list_matches')}?{urlencode({'model_id': record.model_id})}"
    response["Location"] = request.build_absolute_uri(place)
    return Status(201, links.as_json(_match(request, match.pk)))


@router.post(
    "/registries/matches/{match_id}/confirm",
    auth=DECIDE,
    response=schemas.MatchRow,
    operation_id="confirm_match",
    summary="Confirm a match",
)
def confirm(request: HttpRequest, match_id: Path[Key]) -> dict[str, Any]:
    """The model is linked; other proposals of this registry for it end."""
    try:
        links.confirm(_match(request, match_id), by=caller_of(request).person)
    except links.LinkError as error:
        raise ApiError(409, str(error)) from None
    return links.as_json(_match(request, match_id))


@router.post(
    "/registries/matches/{match_id}/reject",
    auth=DECIDE,
    response=schemas.MatchRow,
    operation_id="reject_match",
    summary="Reject a match, or unlink a model",
)
def reject(request: HttpRequest, match_id: Path[Key]) -> dict[str, Any]:
    """It is not proposed again. Values from the registry are removed from the model."""
    links.reject(_match(request, match_id), by=caller_of(request).person)
    return links.as_json(_match(request, match_id))


def _model(request: HttpRequest, model_id: str) -> RegisteredModel | None:
    rows = RegisteredModel.objects.visible_to(caller_of(request).user)
    return aliases.find(rows, model_id)


def _match(request: HttpRequest, match_id: int) -> RemoteMatch:
    match = links.visible(caller_of(request).user).filter(pk=match_id).first()
    if match is None:
        raise Http404(f"There is no match {match_id}.")
    return match

"""``/models/discovery/moves``: missing models that may be elsewhere now, for people to decide."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from discovery.api import moves_schemas as schemas
from discovery.api import paging
from discovery.api.authentication import Access, caller_of
from discovery.api.errors import ApiError
from discovery.api.model_schemas import ModelDocument
from discovery.api.preconditions import with_etag
from discovery.engine.core.service_words import TokenScope
from discovery.models import RegisteredModel, Right
from discovery.services.registry import aliases
from discovery.services.scans import merging, reviewing

router = Router(tags=["Discovery"])

READ = Access(TokenScope.READ, Right.JOIN, Right.VIEW_ALL)
JOIN = Access(TokenScope.WRITE, Right.JOIN, Right.VIEW_ALL)


@router.get(
    "/models/discovery/moves",
    auth=READ,
    response=schemas.Moves,
    operation_id="list_moves",
    summary="Missing models that may have moved",
)
def listed(request: HttpRequest, query: Query[paging.Paged]) -> dict[str, Any]:
    """Each with every place that may be its own, what went missing last first."""
    rows = reviewing.open_moves().select_related("root").only(*reviewing.COLUMNS)
    return paging.numbered(request, rows, query, together=_offers)


def _offers(olds: list[RegisteredModel]) -> list[dict[str, Any]]:
    return [
        {
            **_place(offer.old),
            "missing_since": offer.old.missing_since,
            "decisions": offer.decisions,
            "candidates": [
                {
                    **_place(each.record),
                    "decisions": each.decisions,
                    "existed_together": each.together,
                    "same_content": each.same_content,
                    "is_whole": each.is_whole,
                }
                for each in offer.candidates
            ],
            "more": offer.left,
        }
        for offer in reviewing.offers(olds)
    ]


def _place(record: RegisteredModel) -> dict[str, str]:
    return {"model_id": record.model_id, "root": record.root.path, "path": record.path}


@router.get(
    "/models/discovery/moves/comparison",
    auth=READ,
    response=schemas.MoveComparison,
    operation_id="compare_move",
    summary="What joining two models would do",
)
def comparison(request: HttpRequest, query: Query[schemas.MovePair]) -> dict[str, Any]:
    """Any two may be compared; `refusal` says why they cannot be joined."""
    old, new = _pair(request, query, "query")
    return {
        "old": old.model_id,
        "new": new.model_id,
        "stays": (new if reviewing.is_part(old, new) else old).model_id,
        "refusal": reviewing.refusal(old, new) or None,
        "same_weights": bool(old.fingerprint) and old.fingerprint == new.fingerprint,
        "same_content": old.content == new.content,
        "existed_together": reviewing.together(old, new),
        "choices": [
            {
                "field": choice.name,
                "old": choice.old,
                "new": choice.new,
                "result": choice.result,
                "wins": choice.wins,
                "disputed": choice.is_disputed,
            }
            for choice in merging.choices(old, new)
        ],
    }


@router.post(
    "/models/discovery/moves/join",
    auth=JOIN,
    response=ModelDocument,
    operation_id="join_move",
    summary="Join a missing model with one that is there",
)
def join(request: HttpRequest, payload: schemas.MovePair, response: HttpResponse) -> dict[str, Any]:
    """They become one model in the place of `new`, with what was decided about either."""
    old, new = _pair(request, payload, "body")
    try:
        joined = reviewing.join(old, new, by=caller_of(request).person, channel="api")
    except reviewing.NotJoined as error:
        raise ApiError(409, str(error)) from None
    return with_etag(request, joined, response)


@router.post(
    "/models/discovery/moves/reject",
    auth=JOIN,
    response=schemas.RejectedPair,
    operation_id="reject_move",
    summary="Reject a possible move",
)
def reject(request: HttpRequest, payload: schemas.MovePair) -> dict[str, Any]:
    """The two stay two models: the pair is not offered again, and scans do not join it."""
    old, new = _pair(request, payload, "body")
    reviewing.reject(old, new, by=caller_of(request).person)
    return {"old": old.model_id, "new": new.model_id, "rejected": True}


def _pair(
    request: HttpRequest, pair: schemas.MovePair, place: str
) -> tuple[RegisteredModel, RegisteredModel]:
    visible = RegisteredModel.objects.visible_to(caller_of(request).user).select_related("root")
    named = {"old": pair.old, "new": pair.new}
    found = {name: aliases.find(visible, model_id) for name, model_id in named.items()}
    lost = [
        ((place, name), f"there is no model {named[name]}")
        for name, record in found.items()
        if record is None
    ]
    old, new = found["old"], found["new"]
    if old is None or new is None:
        raise ApiError(422, "One of the two models is not registered.", errors=lost)
    if old.pk == new.pk:
        raise ApiError(422, errors=[((place, "new"), "is the same model as old")])
    return old, new

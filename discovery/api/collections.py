"""``/collections`` and ``/models/{model_id}/collections``: groups of models, and whom they open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from ninja import Path, Query, Router, Status

from discovery.api import bulk_documents, members, model_queries, paging
from discovery.api import collections_schemas as schemas
from discovery.api.authentication import READ, Access, caller_of
from discovery.api.closed_lists import not_known
from discovery.api.errors import ApiError, Loc
from discovery.api.inputs import Key
from discovery.api.model_schemas import ModelDocument
from discovery.api.preconditions import answered, require_seen
from discovery.api.tags import change_list
from discovery.api.tags_schemas import Entries
from discovery.engine.core.service_words import TokenScope
from discovery.models import BulkEdit, Collection, RegisteredModel, Right
from discovery.services.access import permissions
from discovery.services.access.redaction import Sight
from discovery.services.bulk import bulk_edits
from discovery.services.bulk.operations import Operation
from discovery.services.bulk.selections import Selection
from discovery.services.core.form_stamps import Conflict, stamp
from discovery.services.curation import collections
from discovery.services.registry import aliases

router = Router(tags=["Catalogue"])
CHANGE = Access(TokenScope.WRITE, Right.CHANGE_COLLECTION)


@router.get(
    "/collections",
    auth=READ,
    response=schemas.Collections,
    operation_id="list_collections",
    summary="Collections",
)
def listed(request: HttpRequest, query: Query[schemas.CollectionsQuery]) -> dict[str, Any]:
    """Collections with models that you may see. Administrators get all."""
    rows = Collection.objects.prefetch_related("groups").order_by("name")
    for word in query.search.split():
        rows = rows.filter(name__icontains=word)
    through = RegisteredModel.collections.through
    found, models = members.counted(request, rows, through, "collection")
    shown = _Shown(request)
    return paging.numbered(request, found, query, lambda row: shown(row, models(row)))


@router.post(
    "/collections",
    auth=Access(TokenScope.WRITE, Right.ADD_COLLECTION),
    response={201: schemas.CollectionRow},
    operation_id="create_collection",
    summary="Create a collection",
)
def create(
    request: HttpRequest, payload: schemas.NewCollection, response: HttpResponse
) -> Status[dict[str, Any]]:
    """Creates a collection that is filled by hand, or one that follows a filter.

    Giving it groups also takes the permission to set who sees a model.
    """
    given = {
        "name": payload.name,
        "description": payload.description,
        "query": _query(request, payload.query),
        "groups": _groups(request, payload.groups),
    }
    record = _saved(request, Collection(), given)
    response["Location"] = request.build_absolute_uri(f"/api/collections/{record.pk}")
    return Status(201, answered(_document(request, record), response))


@router.get(
    "/collections/{collection_id}",
    auth=READ,
    response=schemas.CollectionRow,
    operation_id="get_collection",
    summary="One collection",
)
def one(request: HttpRequest, collection_id: Path[Key], response: HttpResponse) -> dict[str, Any]:
    """A collection with models that you see; `/models/discovered?collection=` lists them."""
    return answered(_fetch(request, collection_id)[1], response)


@router.put(
    "/collections/{collection_id}",
    auth=CHANGE,
    response=schemas.CollectionRow,
    operation_id="update_collection",
    summary="Change a collection",
)
def update(
    request: HttpRequest,
    collection_id: Path[Key],
    payload: schemas.CollectionEdit,
    response: HttpResponse,
) -> dict[str, Any]:
    """Only the fields that are sent. A filter that is emptied keeps its models.

    Where a collection has groups, or gets some, this also takes the permission to set who sees a
    model.
    """
    record, shown = _fetch(request, collection_id)
    _require_reach(request, Right.CHANGE_COLLECTION, record)
    is_seen = require_seen(request, shown)
    changes = payload.changes(shown)
    if "query" in changes:
        changes["query"] = _query(request, changes["query"])
    if "groups" in changes:
        changes["groups"] = _groups(request, changes["groups"])
    now = collections.shown(record)
    # What is not sent is not written; with If-Match, what is sent only over what was read.
    seen = {name: stamp(value) for name, value in now.items() if is_seen or name not in changes}
    now["groups"] = list(record.groups.all())
    record = _saved(request, record, {**now, **changes}, seen)
    return answered(_document(request, record), response)


@router.delete(
    "/collections/{collection_id}",
    auth=Access(TokenScope.WRITE, Right.DELETE_COLLECTION),
    response={204: None},
    operation_id="delete_collection",
    summary="Delete a collection",
)
def delete(request: HttpRequest, collection_id: Path[Key]) -> Status[None]:
    """Its models stay. What its groups saw through it, they see no longer."""
    record, shown = _fetch(request, collection_id)
    _require_reach(request, Right.DELETE_COLLECTION, record)
    require_seen(request, shown)
    collections.delete(record, by=caller_of(request).person)
    return Status(204, None)


@router.post(
    "/collections/{collection_id}/models",
    auth=CHANGE,
    response={200: schemas.MembersChange, 202: schemas.MembersChange},
    operation_id="change_members",
    summary="Put models into a collection, and take some out",
)
def change_members(
    request: HttpRequest, collection_id: Path[Key], payload: schemas.Members, response: HttpResponse
) -> Status[dict[str, Any]]:
    """Adds and removes models of a collection that is chosen by hand.

    More than 200 are left to a worker: 202, and `edits` say how far it is.
    """
    record, _ = _fetch(request, collection_id)
    _require_reach(request, Right.CHANGE_COLLECTION, record)
    if record.query:
        raise ApiError(409, "This collection follows a filter: change the filter instead.")
    chosen = {how: _selection(request, how, getattr(payload, how)) for how in ("add", "remove")}
    made: list[BulkEdit] = []
    with transaction.atomic():
        for how, selection in chosen.items():
            if selection.ids:
                lists = {"collections": [record.name]}
                operation = Operation.read("collection", **{how: lists})
                person = caller_of(request).person
                made.append(bulk_edits.request(operation, selection, by=person, channel="api"))
    for edit in made:
        edit.refresh_from_db()
    told = {
        "collection": answered(_document(request, record), response),
        "edits": [bulk_documents.document(edit) for edit in made],
    }
    return Status(202 if any(edit.is_active for edit in made) else 200, told)


@router.post(
    "/models/{model_id}/collections",
    auth=CHANGE,
    response=ModelDocument,
    operation_id="change_collections",
    summary="Put a model into collections, and take it out of some",
)
def of_model(
    request: HttpRequest, model_id: str, payload: Entries, response: HttpResponse
) -> dict[str, Any]:
    """Names of collections that are chosen by hand; the others of the model stay.

    Where one has groups, this also takes the permission to set who sees a model.
    """
    return change_list(request, model_id, "collections", payload, response)


class _Shown:
    """Collections as documents; what the caller may know is asked for once."""

    def __init__(self, request: HttpRequest) -> None:
        user = caller_of(request).user
        self.sight = Sight(user)
        self.grants = self.sight.everything or permissions.may(user, Right.GRANT)

    def __call__(self, row: Collection, models: int) -> dict[str, Any]:
        groups = sorted(group.name for group in row.groups.all())
        return {
            "collection_id": row.pk,
            "name": row.name,
            "description": row.description,
            "query": self.sight.query(row.query) or None,
            "groups": [name for name in groups if self.grants or name in self.sight.groups],
            "models": models,
        }


def _fetch(request: HttpRequest, collection_id: int) -> tuple[Collection, dict[str, Any]]:
    """The collection and its document, where the caller knows of it.

    Who may change collections knows of those without models too, as the page has it.
    """
    rows = Collection.objects.filter(pk=collection_id)
    found, models = members.counted(
        request, rows, RegisteredModel.collections.through, "collection"
    )
    record = found.first()
    may_edit = (Right.ADD_COLLECTION, Right.CHANGE_COLLECTION, Right.DELETE_COLLECTION)
    if record is None and permissions.may_any(caller_of(request).user, may_edit):
        record = rows.first()
    if record is None:
        raise Http404(f"There is no collection {collection_id}.")
    return record, _Shown(request)(record, models(record))


def _document(request: HttpRequest, record: Collection) -> dict[str, Any]:
    return _fetch(request, record.pk)[1]


def _require_reach(request: HttpRequest, right: Right, record: Collection) -> None:
    user = caller_of(request).user
    if not permissions.may(user, right, record):
        raise ApiError(403, permissions.lacking(user, (right, Right.GRANT)))


def _query(request: HttpRequest, query: str | None) -> str:
    if not query or not query.strip():
        return ""
    return model_queries.require_query(query, Sight(caller_of(request).user), "body", "query")


def _groups(request: HttpRequest, names: Sequence[str]) -> list[Group]:
    user = caller_of(request).user
    if names and (reason := permissions.lacking(user, (Right.GRANT,))):
        raise ApiError(403, reason, errors=[(("body", "groups"), reason)])
    found = {group.name: group for group in Group.objects.filter(name__in=names)}
    known = list(Group.objects.order_by("name").values_list("name", flat=True)[:500])
    faults: list[tuple[Loc, str]] = [
        (("body", "groups", number), not_known(name, known))
        for number, name in enumerate(names)
        if name not in found
    ]
    if faults:
        raise ApiError(422, "There are no such groups.", errors=faults)
    return list(found.values())


def _saved(
    request: HttpRequest,
    record: Collection,
    given: dict[str, Any],
    seen: dict[str, str] | None = None,
) -> Collection:
    try:
        return collections.save(record, **given, by=caller_of(request).person, seen=seen)
    except collections.CollectionError as error:
        taken = error.field == "name" and "already" in str(error)
        place: list[tuple[Loc, str]] = [(("body", error.field), str(error))]
        raise ApiError(409 if taken else 422, str(error), errors=place) from None
    except Conflict as conflict:
        raise ApiError(412, f"It was {conflict}: read it again, and decide anew.") from None


def _selection(request: HttpRequest, how: str, model_ids: Sequence[str]) -> Selection:
    visible = RegisteredModel.objects.visible_to(caller_of(request).user).only("model_id")
    found = aliases.find_many(visible, model_ids) if model_ids else {}
    faults: list[tuple[Loc, str]] = [
        (("body", how, number), f"there is no model {model_id}")
        for number, model_id in enumerate(model_ids)
        if model_id not in found
    ]
    if faults:
        raise ApiError(422, "There are no such models; nothing was changed.", errors=faults)
    return Selection(ids=tuple(dict.fromkeys(record.model_id for record in found.values())))

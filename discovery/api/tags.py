"""``/tags`` and ``/models/{model_id}/tags``: tags, everywhere and of one model."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from ninja import Path, Query, Router, Status

from discovery.api import bulk_documents, members, paging
from discovery.api import tags_schemas as schemas
from discovery.api.authentication import PUBLIC, Access, caller_of, fetch
from discovery.api.errors import ApiError
from discovery.api.inputs import Key
from discovery.api.model_schemas import ModelDocument
from discovery.api.preconditions import answered, if_match, require_seen, stale, with_etag
from discovery.engine.core.service_words import TokenScope
from discovery.models import BulkEdit, RegisteredModel, Right, Tag
from discovery.services.access import permissions
from discovery.services.bulk import bulk_edits, single_edits, tag_edits
from discovery.services.bulk.operations import NothingToDo, Operation
from discovery.services.core.form_stamps import Conflict, stamp
from discovery.services.metadata import merge_patch

router = Router(tags=["Catalogue"])
CHANGE = Access(TokenScope.WRITE, Right.CHANGE_TAG)
EVERYWHERE = Access(TokenScope.WRITE, Right.CHANGE_TAG, Right.EDIT)


@router.get("/tags", auth=PUBLIC, response=schemas.Tags, operation_id="list_tags", summary="Tags")
def tags(request: HttpRequest, query: Query[schemas.TagsQuery]) -> dict[str, Any]:
    """Tags of the models that you may see. Administrators also get tags that no model has."""
    rows = Tag.objects.order_by("name")
    for word in query.search.split():
        rows = rows.filter(name__icontains=word)
    found, models = members.counted(request, rows, RegisteredModel.tagged.through, "tag")
    listed: Any = found
    if query.ordering == "-models":
        listed = sorted(found, key=lambda tag: (-models(tag), tag.name))
    return paging.numbered(request, listed, query, lambda tag: _row(tag, models(tag)))


@router.post(
    "/tags",
    auth=Access(TokenScope.WRITE, Right.ADD_TAG),
    response={201: schemas.TagRow},
    operation_id="create_tag",
    summary="Create a tag",
)
def create(
    request: HttpRequest, payload: schemas.NewTag, response: HttpResponse
) -> Status[dict[str, Any]]:
    """Creates a tag that no model has yet. Tags are also created by giving them to a model."""
    try:
        tag = tag_edits.create(payload.name, payload.color, by=caller_of(request).person)
    except tag_edits.NameTaken as error:
        raise ApiError(409, str(error), errors=[(("body", "name"), "is taken")]) from None
    except tag_edits.TagError as error:
        raise ApiError(422, str(error), errors=[(("body", "name"), str(error))]) from None
    response["Location"] = request.build_absolute_uri(f"/api/tags/{tag.pk}")
    return Status(201, answered(_row(tag, 0), response))


@router.get(
    "/tags/{tag_id}",
    auth=PUBLIC,
    response=schemas.TagRow,
    operation_id="get_tag",
    summary="One tag",
)
def one(request: HttpRequest, tag_id: Path[Key], response: HttpResponse) -> dict[str, Any]:
    """A tag of models that you see; `/models/discovered?tag=` lists them."""
    return answered(_shown(request, tag_id)[1], response)


@router.put(
    "/tags/{tag_id}",
    auth=CHANGE,
    response={200: schemas.TagChange, 202: schemas.TagChange},
    operation_id="update_tag",
    summary="Rename or color a tag",
)
def update(
    request: HttpRequest, tag_id: Path[Key], payload: schemas.TagEdit, response: HttpResponse
) -> Status[dict[str, Any]]:
    """Renames a tag on all models that have it, and sets its color.

    A renamed tag is a new one: take its id from the answer. Renaming also takes the permission to
    change models. 202 when so many have it that a worker goes on: see `edit`.
    """
    tag, shown = _shown(request, tag_id)
    is_seen = require_seen(request, shown)
    changes = payload.changes(shown)
    name, color = changes.get("name"), changes.get("color")
    edit: BulkEdit | None = None
    if name is not None:
        _require_everywhere(request, tag)
    with transaction.atomic():
        if color is not None:
            seen = {"colour": stamp(tag.colour)} if is_seen else None
            try:
                tag_edits.recolour(tag, color, seen=seen)
            except Conflict:
                raise ApiError(412, "Somebody else changed the color: read it again.") from None
            tag.refresh_from_db()
        if name is not None:
            edit = _rename(request, tag, name, merge=False)
            tag = Tag.objects.get(name=" ".join(name.split()))
    return _changed(request, tag, edit, response)


@router.post(
    "/tags/{tag_id}/merge",
    auth=EVERYWHERE,
    response={200: schemas.TagChange, 202: schemas.TagChange},
    operation_id="merge_tag",
    summary="Merge a tag into another one",
)
def merge(
    request: HttpRequest, tag_id: Path[Key], payload: schemas.Merge, response: HttpResponse
) -> Status[dict[str, Any]]:
    """All models that have the tag get the other one in its place; the tag itself is gone."""
    tag, shown = _shown(request, tag_id)
    require_seen(request, shown)
    _require_everywhere(request, tag)
    into = " ".join(payload.into.split())
    if not Tag.objects.filter(name=into).exists():
        text = f"there is no tag {into}: rename this one instead"
        raise ApiError(422, "There is no such tag.", errors=[(("body", "into"), text)])
    edit = _rename(request, tag, into, merge=True)
    return _changed(request, Tag.objects.get(name=into), edit, response)


@router.delete(
    "/tags/{tag_id}",
    auth=Access(TokenScope.WRITE, Right.CHANGE_TAG, Right.EDIT, Right.DELETE_TAG),
    response={200: schemas.TagChange, 202: schemas.TagChange},
    operation_id="delete_tag",
    summary="Delete a tag",
)
def delete(
    request: HttpRequest, tag_id: Path[Key], response: HttpResponse
) -> Status[dict[str, Any]]:
    """Removes the tag from all its models.

    Undo it by the `batch` of `edit`. A later scan that reads the tag in a file does not bring it
    back.
    """
    tag, shown = _shown(request, tag_id)
    require_seen(request, shown)
    _require_everywhere(request, tag)
    return _changed(request, None, tag_edits.delete(tag, by=caller_of(request).person), response)


@router.post(
    "/models/{model_id}/tags",
    auth=Access(TokenScope.WRITE, Right.EDIT),
    response=ModelDocument,
    operation_id="change_tags",
    summary="Add and remove single tags of a model",
)
def of_model(
    request: HttpRequest, model_id: str, payload: schemas.Entries, response: HttpResponse
) -> dict[str, Any]:
    """Adds and removes single tags, and leaves the others as they are.

    What is there already, or not there, changes nothing.
    """
    return change_list(request, model_id, "tags", payload, response)


def change_list(
    request: HttpRequest,
    model_id: str,
    field: str,
    payload: schemas.Entries,
    response: HttpResponse,
) -> dict[str, Any]:
    """Add and remove entries of a list of one model; the answer is its document."""
    record, person = fetch(request, model_id), caller_of(request).person
    if refused := permissions.refusals(person, {field: [*payload.add, *payload.remove]}):
        raise ApiError(403, "You may not set this.", errors=[(("body",), refused[field])])
    kind = "tags" if field == "tags" else "collection"
    try:
        operation = Operation.read(kind, add={field: payload.add}, remove={field: payload.remove})
        record = single_edits.apply(
            operation, record, by=person, channel="api", if_match=if_match(request)
        )
    except NothingToDo:
        text = "name something to add or to remove"
        raise ApiError(422, "There is nothing to do.", errors=[(("body",), text)]) from None
    except merge_patch.Stale:
        raise stale() from None
    except bulk_edits.EditRefused as error:
        raise ApiError(409, str(error)) from None
    return with_etag(request, record, response)


def _shown(request: HttpRequest, tag_id: int) -> tuple[Tag, dict[str, Any]]:
    rows = Tag.objects.filter(pk=tag_id)
    found, models = members.counted(request, rows, RegisteredModel.tagged.through, "tag")
    tag = found.first()
    if tag is None and permissions.may_any(
        caller_of(request).user, (Right.ADD_TAG, Right.CHANGE_TAG)
    ):
        tag = rows.filter(models=None).first()  # kept ready
    if tag is None:
        raise Http404(f"There is no tag {tag_id}.")
    return tag, _row(tag, models(tag))


def _row(tag: Tag, models: int) -> dict[str, Any]:
    return {
        "tag_id": tag.pk,
        "name": tag.name,
        "color": tag.colour,
        "colour": tag.colour,
        "models": models,
    }


def _require_everywhere(request: HttpRequest, tag: Tag) -> None:
    user = caller_of(request).person
    if reason := permissions.lacking(user, (Right.EDIT,)):
        raise ApiError(403, reason)
    if not tag_edits.is_within_reach(tag, user):
        raise ApiError(
            403,
            "Models that you do not see have this tag: only who sees every model may change it.",
        )


def _rename(request: HttpRequest, tag: Tag, name: str, *, merge: bool) -> BulkEdit | None:
    field = "into" if merge else "name"
    try:
        return tag_edits.rename(tag, name, by=caller_of(request).person, merge=merge)
    except tag_edits.NameTaken as error:
        raise ApiError(409, str(error), errors=[(("body", field), "is taken")]) from None
    except tag_edits.TagError as error:
        raise ApiError(422, str(error), errors=[(("body", field), str(error))]) from None


def _changed(
    request: HttpRequest, tag: Tag | None, edit: BulkEdit | None, response: HttpResponse
) -> Status[dict[str, Any]]:
    told: dict[str, Any] = {"tag": None, "edit": None}
    if tag is not None:
        rows = Tag.objects.filter(pk=tag.pk)
        found, models = members.counted(request, rows, RegisteredModel.tagged.through, "tag")
        tag = found.first() or tag
        told["tag"] = answered(_row(tag, models(tag)), response)
    if edit is not None:
        edit.refresh_from_db()
        told["edit"] = bulk_documents.document(edit)
        response["Location"] = request.build_absolute_uri(bulk_documents.path(edit.pk))
    return Status(202 if edit is not None and edit.is_active else 200, told)

"""``/changes``: what was changed in all models, and undoing one change or all made together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, cast
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from ninja import Path, Query, Router, Status

from discovery.api import bulk_documents, paging
from discovery.api import changes_schemas as schemas
from discovery.api.authentication import READ, Access, caller_of
from discovery.api.errors import ApiError
from discovery.api.inputs import Key
from discovery.engine.core.service_words import TokenScope
from discovery.models import MetadataChange, RegisteredModel
from discovery.services.access import permissions
from discovery.services.access.redaction import Sight
from discovery.services.activity.feed import Event, Feed, Wanted
from discovery.services.activity.sources import EDIT
from discovery.services.bulk import bulk_edits, tag_edits
from discovery.services.metadata import metadata, undo, undone
from discovery.services.registry import aliases

router = Router(tags=["History"])
WRITE = Access(TokenScope.WRITE)

#: A condition that no row meets, and a kind that no event is of.
NOTHING, NO_KIND = Q(pk__in=()), ("none",)

_COLUMNS = (
    "field", "before", "after", "at", "channel", "batch", "undoes", "by__username",
    "model__model_id",
)  # fmt: skip


@router.get(
    "/changes",
    auth=READ,
    response=schemas.Changes,
    operation_id="list_all_changes",
    summary="What changed",
)
def changes(request: HttpRequest, query: Query[schemas.ChangesQuery]) -> dict[str, Any]:
    """What people, scans and rules changed in models, access, users and settings, newest first.

    You see edits of the models that you see, and the other kinds where you may see their pages.
    Only administrators see who made an edit, and changes of groups.
    """
    sight = Sight(caller_of(request).user)
    feed, notes = _found(sight, query)
    together = partial(_events, sight=sight)
    if query.cursor is None:
        return paging.numbered(request, feed, query, together=together, notes=notes)
    return paging.along(request, feed, query.cursor, query.page_size, together, notes=notes)


def _found(sight: Sight, query: schemas.ChangesQuery) -> tuple[Feed, list[str]]:
    """(what the filters leave, a sentence for each that asks for what is not there)."""
    notes, narrow = [], []
    if query.model_id is not None:
        visible = RegisteredModel.objects.visible_to(cast("User", sight.user))
        record = aliases.find(visible, query.model_id)
        narrow.append(Q(model=record) if record else NOTHING)
        notes += [] if record else [f"There is no model {query.model_id}."]
    if query.batch is not None:
        narrow.append(Q(batch=query.batch))
        seen = metadata.changes_told_to(sight).filter(batch=query.batch)
        notes += [] if seen.exists() else [f"There are no changes of the batch {query.batch}."]
    exact = {"field": query.field, "channel": query.through}
    narrow += [Q(**{name: value}) for name, value in exact.items() if value is not None]
    kinds: Sequence[str] = query.kind
    if query.by is not None:
        known = sight.person(query.by) and User.objects.filter(username=query.by).exists()
        notes += [] if known else [f"You know of no user {query.by} who changed something."]
        kinds = kinds if known else NO_KIND
    if narrow and kinds and EDIT not in kinds:
        notes.append("Only edits have a model, a field, a batch and a way in which they were made.")
    return Feed(
        sight,
        Wanted(
            kinds=kinds,
            by=query.by or "",
            since=query.since,
            until=query.until,
            edits=(lambda rows: rows.filter(*narrow)) if narrow else None,
        ),
    ), notes


def _events(page: Iterable[Event], sight: Sight) -> list[dict[str, Any]]:
    """Events as they are answered, in a fixed number of queries."""
    events = list(page)
    keys = [event.mark.key for event in events if event.mark.kind == EDIT]
    rows = light(MetadataChange.objects.filter(pk__in=keys)) if keys else ()
    edits = {each["change_id"]: each for each in change_rows(rows, sight)}
    return [
        {
            "kind": event.mark.kind,
            "at": event.mark.at,
            "by": event.by or None,
            "text": event.text,
            "address": event.address,
            **(edits.get(event.mark.key, {}) if event.mark.kind == EDIT else {}),
        }
        for event in events
    ]


@router.get(
    "/changes/{change_id}",
    auth=READ,
    response=schemas.ChangeRow,
    operation_id="get_change",
    summary="One change",
)
def change(request: HttpRequest, change_id: Path[Key]) -> dict[str, Any]:
    """A change of a model that you see."""
    sight = Sight(caller_of(request).user)
    rows = light(metadata.changes_told_to(sight).filter(pk=change_id))
    if not (found := change_rows(rows, sight)):
        raise Http404(f"There is no change {change_id}.")
    return found[0]


@router.post(
    "/changes/{change_id}/undo",
    auth=WRITE,
    response={201: schemas.ChangeRow},
    operation_id="undo_change",
    summary="Undo a change",
)
def undo_one(
    request: HttpRequest, change_id: Path[Key], response: HttpResponse
) -> Status[dict[str, Any]]:
    """Gives the field the value that it had before; the answer is the change that does so.

    It takes the permission to make the change. What somebody decided since is never overwritten:
    409 says so, and nothing is changed.
    """
    person = caller_of(request).person
    seen = RegisteredModel.objects.visible_to(person).values("pk")
    rows = MetadataChange.objects.filter(pk=change_id)
    found = rows.filter(model__in=seen).first()
    if found is None:
        raise Http404(f"There is no change {change_id}.")
    _require_own(request, rows)
    if not undo.is_undoable(found.field):
        raise ApiError(409, f"A change of {found.field} is undone where it was decided, not here.")
    try:
        [made] = undo.undo_change(found, by=person, channel="api")
    except undo.NotUndoable as error:
        reason = [(("path", "change_id"), str(error))]
        raise ApiError(409, "Nothing was undone.", errors=reason) from None
    response["Location"] = request.build_absolute_uri(f"/api/changes/{made.pk}")
    told = change_rows(light(MetadataChange.objects.filter(pk=made.pk)), Sight(person))
    return Status(201, told[0])


@router.get(
    "/changes/batches/{batch}",
    auth=READ,
    response=schemas.BatchDocument,
    operation_id="get_batch",
    summary="Changes that were made together",
)
def one_batch(request: HttpRequest, batch: Path[UUID]) -> dict[str, Any]:
    """Who made them, and how many of them there are; `/changes?batch=` lists them."""
    sight = Sight(caller_of(request).user)
    seen = metadata.changes_told_to(sight)
    rows = seen.filter(batch=batch)
    last = rows.select_related("by").defer("before", "after").first()
    if last is None:
        raise Http404(f"There are no changes of the batch {batch}.")
    counted = list(rows.order_by().values_list("field").annotate(Count("pk")).order_by("field"))
    return {
        **_made(last, sight),
        "changes": sum(count for _, count in counted),
        "models": rows.order_by().aggregate(models=Count("model", distinct=True))["models"],
        "fields": [{"field": field, "changes": count} for field, count in counted],
        "undone": undone.counts([batch], seen).get(batch, 0),
    }


@router.post(
    "/changes/batches/{batch}/undo",
    auth=WRITE,
    response={201: schemas.BulkEditDocument, 202: schemas.BulkEditDocument},
    operation_id="undo_batch",
    summary="Undo changes that were made together",
)
def undo_batch(
    request: HttpRequest, batch: Path[UUID], response: HttpResponse
) -> Status[dict[str, Any]]:
    """Gives each field the value that it had before; `kept` names what was not, and why.

    201 when it is done; 202 when there is so much that a worker does it: then the `Location`
    answers how far it is. The `batch` of the answer undoes the undo.
    """
    rows = permissions.batch(batch)
    person = caller_of(request).person
    if not rows.filter(model__in=RegisteredModel.objects.visible_to(person).values("pk")).exists():
        raise Http404(f"There are no changes of the batch {batch}.")
    _require_own(request, rows)
    try:
        edit = bulk_edits.undo_batch(batch, by=person, channel="api")
    except undo.NotUndoable as error:
        raise ApiError(409, f"Nothing was undone. {error}") from None
    except bulk_edits.EmptySelection:
        text = "Nothing was undone: these decisions are undone where they were made."
        raise ApiError(409, text) from None
    if rows.filter(field="tags").exists():
        tag_edits.sweep()
    return bulk_documents.begun(request, edit, response)


def _require_own(request: HttpRequest, rows: QuerySet[MetadataChange]) -> None:
    if not permissions.may_undo(caller_of(request).user, rows):
        raise ApiError(403, "This changed models or fields that you may not change.")


def light(rows: QuerySet[MetadataChange]) -> QuerySet[MetadataChange]:
    """The changes with what a document shows; the models' JSON columns stay in the database."""
    return rows.select_related("model", "by").only(*_COLUMNS)


def change_rows(rows: Iterable[MetadataChange], sight: Sight) -> list[dict[str, Any]]:
    """Changes as they are answered, in a fixed number of queries."""
    page = list(rows)
    gone = undone.changes(page) if page else set()
    told = []
    for row in page:
        is_undone = (row.batch, row.model_id, row.field) in gone
        told.append(
            {
                "change_id": row.pk,
                "model_id": row.model.model_id,
                "field": row.field,
                "before": sight.change(row.field, row.before),
                "after": sight.change(row.field, row.after),
                **_made(row, sight),
                "undone": is_undone,
                "undoable": undo.is_undoable(row.field) and not is_undone,
            }
        )
    return told


def _made(row: MetadataChange, sight: Sight) -> dict[str, Any]:
    """Who made it, when, and through what."""
    return {
        "by": (sight.person(row.by.get_username()) or None) if row.by else None,
        "at": row.at,
        "through": row.channel,
        "batch": str(row.batch),
        "undoes": str(row.undoes) if row.undoes else None,
    }

"""``/views`` and ``/favorites``: what a person keeps of the lists of models."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja import Path, Query, Router, Status

from discovery.api import model_list, model_queries, paging
from discovery.api import saved_views_schemas as schemas
from discovery.api.authentication import READ, Access, caller_of, fetch
from discovery.api.errors import ApiError
from discovery.api.inputs import Key
from discovery.api.preconditions import answered, require_seen
from discovery.engine.core.service_words import TokenScope
from discovery.models import RegisteredModel, Right, SavedView
from discovery.services.access import permissions
from discovery.services.access.redaction import Sight
from discovery.services.core.form_stamps import Conflict, stamp
from discovery.services.curation import favourites, saved_views

router = Router(tags=["Saved views and favorites"])
WRITE = Access(TokenScope.WRITE)


@router.get(
    "/views", auth=READ, response=schemas.Views, operation_id="list_views", summary="Saved views"
)
def listed(request: HttpRequest, query: Query[paging.Paged]) -> dict[str, Any]:
    """Your own, and those that others share. Open one as `/models/discovered` or as a page."""
    user = caller_of(request).person
    sight = Sight(user)
    return paging.numbered(
        request, saved_views.visible_to(user), query, lambda view: _document(view, sight)
    )


@router.post(
    "/views",
    auth=WRITE,
    response={201: schemas.ViewRow},
    operation_id="create_view",
    summary="Save a view",
)
def create(
    request: HttpRequest, payload: schemas.NewView, response: HttpResponse
) -> Status[dict[str, Any]]:
    """Keeps a list of models under a name. 409 when you have a view of that name."""
    user = caller_of(request).person
    sight = Sight(user)
    _require_sharing(request, shared=payload.shared)
    query = model_queries.require_query(payload.query, sight, "body", "query")
    try:
        view = saved_views.save(user, payload.name, query, shared=payload.shared)
    except saved_views.SavedViewError as error:
        raise _refused(error) from None
    response["Location"] = request.build_absolute_uri(f"/api/views/{view.pk}")
    return Status(201, answered(_document(view, sight), response))


@router.get(
    "/views/{view_id}",
    auth=READ,
    response=schemas.ViewRow,
    operation_id="get_view",
    summary="One saved view",
)
def one(request: HttpRequest, view_id: Path[Key], response: HttpResponse) -> dict[str, Any]:
    """A view of yours, or one that somebody shares."""
    sight = Sight(caller_of(request).user)
    return answered(_document(_fetch(request, view_id), sight), response)


@router.put(
    "/views/{view_id}",
    auth=WRITE,
    response=schemas.ViewRow,
    operation_id="update_view",
    summary="Change a saved view",
)
def update(
    request: HttpRequest, view_id: Path[Key], payload: schemas.ViewEdit, response: HttpResponse
) -> dict[str, Any]:
    """Only the fields that are sent.

    Views of others, and sharing, take the permission to change saved views.
    """
    user, view = caller_of(request).person, _own(request, view_id)
    sight = Sight(user)
    now = saved_views.fields_of(view)
    shown = _document(view, sight)
    seen = {name: stamp(value) for name, value in now.items()}
    is_seen = require_seen(request, shown)
    changes = payload.changes(shown)
    _require_sharing(request, shared=bool(changes.get("shared")))
    if "query" in changes:
        query = model_queries.require_query(changes["query"], sight, "body", "query")
        changes["query"] = query
    try:
        saved_views.change(view, user, **changes, seen=seen if is_seen else None)
    except saved_views.SavedViewError as error:
        raise _refused(error) from None
    except Conflict as conflict:
        raise ApiError(412, f"It was {conflict}: read it again, and decide anew.") from None
    return answered(_document(_fetch(request, view_id), sight), response)


@router.delete(
    "/views/{view_id}",
    auth=WRITE,
    response={204: None},
    operation_id="delete_view",
    summary="Delete a saved view",
)
def delete(request: HttpRequest, view_id: Path[Key]) -> Status[None]:
    """The models stay as they are."""
    view = _own(request, view_id)
    require_seen(request, _document(view, Sight(caller_of(request).user)))
    view.delete()
    return Status(204, None)


@router.get(
    "/favorites",
    auth=READ,
    response=schemas.Favorites,
    operation_id="list_favorites",
    summary="Favorites",
)
def favorites(request: HttpRequest, query: Query[paging.Paged]) -> dict[str, Any]:
    """The models that you marked, as far as you see them. Nobody else learns of it."""
    user = caller_of(request).person
    rows = RegisteredModel.objects.visible_to(user).filter(pk__in=favourites.keys(user))
    rows = rows.only(*model_list.COLUMNS).order_by("sort_name", "pk")
    return paging.numbered(request, rows, query, model_list.Shown(user))


@router.put(
    "/models/{model_id}/favorite",
    auth=WRITE,
    response={204: None},
    operation_id="add_favorite",
    summary="Mark a model as a favorite",
)
def add(request: HttpRequest, model_id: str) -> Status[None]:
    """Marks it for you alone; marking it again changes nothing."""
    favourites.mark(fetch(request, model_id), caller_of(request).person, favourite=True)
    return Status(204, None)


@router.delete(
    "/models/{model_id}/favorite",
    auth=WRITE,
    response={204: None},
    operation_id="remove_favorite",
    summary="Remove a model from your favorites",
)
def remove(request: HttpRequest, model_id: str) -> Status[None]:
    """Removes your mark; where there is none, nothing changes."""
    favourites.mark(fetch(request, model_id), caller_of(request).person, favourite=False)
    return Status(204, None)


def _document(view: SavedView, sight: Sight) -> dict[str, Any]:
    return {
        "view_id": view.pk,
        "name": view.name,
        "query": sight.query(view.query),
        "shared": view.shared,
        "owner": view.owner.get_username(),
        "created_at": view.created_at,
    }


def _fetch(request: HttpRequest, view_id: int) -> SavedView:
    view = saved_views.visible_to(caller_of(request).person).filter(pk=view_id).first()
    if view is None:
        raise Http404(f"There is no view {view_id}.")
    return view


def _own(request: HttpRequest, view_id: int) -> SavedView:
    """The view, where the caller may change it."""
    view, user = _fetch(request, view_id), caller_of(request).person
    if not saved_views.editable_by(user).filter(pk=view.pk).exists():
        raise ApiError(403, permissions.lacking(user, (Right.SHARE_VIEWS,)))
    return view


def _require_sharing(request: HttpRequest, *, shared: bool) -> None:
    reason = permissions.lacking(caller_of(request).user, (Right.SHARE_VIEWS,))
    if shared and reason:
        raise ApiError(403, reason, errors=[(("body", "shared"), reason)])


def _refused(error: saved_views.SavedViewError) -> ApiError:
    taken = isinstance(error, saved_views.NameTaken)
    return ApiError(409 if taken else 422, str(error), errors=[(("body", "name"), str(error))])

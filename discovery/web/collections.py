"""Collections: their list, their contents, and how administrators manage them.

It also changes the collections of one model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from discovery.models import Collection, RegisteredModel, Right
from discovery.models.registry import sees_all
from discovery.services.access import permissions
from discovery.services.access.redaction import Sight
from discovery.services.bulk import bulk_edits
from discovery.services.bulk.operations import NothingToDo, Operation
from discovery.services.bulk.selections import Selection
from discovery.services.core.form_stamps import Conflict
from discovery.services.curation import collections
from discovery.services.metadata.metadata import InvalidMetadata
from discovery.web.shared import shown
from discovery.web.shared.shortcuts import (
    fetch,
    is_fragment,
    needs,
    numbered,
    page_or_partial,
    require,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PAGE_SIZE = 50

#: What the rows of a collection show of a model.
COLUMNS = (
    "model_id",
    "name",
    "display_name",
    "path",
    "type",
    "parameter_count",
    "size_bytes",
    "status",
    "quarantined_at",
    "problems",
)


def _seen(request: HttpRequest) -> QuerySet[Any]:
    """Collections with ``count``, the number of models in them that this person may see.

    Collections without any are shown to people who see every model.
    """
    if sees_all(request.user):
        return Collection.objects.annotate(count=Count("models"))
    visible = RegisteredModel.objects.visible_to(request.user).values("pk")
    return Collection.objects.annotate(count=Count("models", filter=Q(models__in=visible))).filter(
        count__gt=0
    )


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    page, sight = (
        numbered(request, _seen(request).prefetch_related("groups").order_by("name"), PAGE_SIZE),
        Sight(request.user),
    )
    for collection in page.object_list:
        collection.query = sight.query(collection.query)
    return page_or_partial(request, "discovery/collections.html", "results", {"page": page})


@require_safe
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    collection = get_object_or_404(_seen(request).prefetch_related("groups"), pk=pk)
    sight = Sight(request.user)
    collection.query = sight.query(collection.query)
    rows = (
        RegisteredModel.objects.visible_to(request.user)
        .filter(collections=collection.pk)
        .only(*COLUMNS)
        .order_by("sort_name", "pk")
    )
    context = {
        "sight": sight,
        "collection": collection,
        "page": numbered(request, rows, PAGE_SIZE),
        "may_change": permissions.may(request.user, Right.CHANGE_COLLECTION, collection),
    }
    return page_or_partial(request, "discovery/collection.html", "results", context)


def _require(request: HttpRequest, right: Right, collection: Collection) -> None:
    require(request, right)
    if not permissions.may(request.user, right, collection):
        require(request, Right.GRANT)


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """A new collection, or the fields of one.

    ``?query=`` is the filter that a new one is to follow.
    """
    collection = get_object_or_404(Collection, pk=pk) if pk else Collection()
    _require(request, Right.CHANGE_COLLECTION if pk else Right.ADD_COLLECTION, collection)
    may_grant = permissions.may(request.user, Right.GRANT)
    now = collections.shown(collection)
    given = _given(request, now)
    context: dict[str, Any] = {
        "collection": collection,
        "given": given,
        "stamps": shown.stamps(now),
    }
    context |= {"groups": Group.objects.order_by("name") if may_grant else ()}
    status = 200
    if request.method == "POST":
        groups = (
            list(Group.objects.filter(pk__in=given["groups"]).order_by("name")) if may_grant else []
        )
        if given["groups"] and not may_grant:
            require(request, Right.GRANT)
        told = {name: given[name] for name in ("name", "description", "query")}
        seen = shown.seen(request.POST, now) if pk else None
        try:
            collections.save(
                collection, **told, groups=groups, by=cast("User", request.user), seen=seen
            )
        except collections.CollectionError as error:
            context |= {"error": str(error), "wrong": error.field, "stamps": seen or {}}
            status = 422
        except Conflict as conflict:
            now = collections.shown(collection)
            disputes = shown.disputes(conflict.theirs, given, _LABELS, _in_words)
            context |= {
                "disputes": disputes,
                "given": shown.again(given, now, seen or {}, conflict.theirs),
                "stamps": shown.stamps(now),
            }
            status = 409
        else:
            messages.success(request, f"The collection {collection.name} is saved.")
            return redirect("collection", collection.pk)
    return page_or_partial(
        request, "discovery/collection_edit.html", "form", context, status=status
    )


_LABELS = {"name": "Name", "description": "Description", "query": "Filter", "groups": "Groups"}


def _in_words(name: str, value: Any) -> str:
    return (
        ", ".join(
            Group.objects.filter(pk__in=value).order_by("name").values_list("name", flat=True)
        )
        if name == "groups"
        else str(value)
    )


def _given(request: HttpRequest, now: dict[str, Any]) -> dict[str, Any]:
    if request.method == "POST":
        keys = [
            int(key)
            for key in shown.sent(request.POST, "groups")[:500]
            if key.isascii() and key.isdigit() and len(key) < 19
        ]
        return {
            **{
                name: "".join(shown.sent(request.POST, name)[-1:])
                for name in ("name", "description", "query")
            },
            "groups": sorted(keys),
        }
    return {**now, "query": now["query"] or request.GET.get("query", "")[: collections.MAX_QUERY]}


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    collection = get_object_or_404(Collection, pk=pk)
    _require(request, Right.DELETE_COLLECTION, collection)
    collections.delete(collection, by=cast("User", request.user))
    messages.success(
        request, f"The collection {collection.name} is deleted. Its models are where they were."
    )
    return redirect("collections")


@require_POST
@needs(Right.CHANGE_COLLECTION)
def of_model(request: HttpRequest, model_id: str) -> HttpResponse:
    """Add one model to the collection in ``add``, or remove it from the one in ``remove``.

    Collections that follow a filter cannot be changed by hand.
    """
    record = fetch(request, model_id)
    names = [request.POST[what] for what in ("add", "remove") if request.POST.get(what)]
    if refused := permissions.refusals(request.user, {"collections": names}):
        raise PermissionDenied(f"{refused['collections'][0].upper()}{refused['collections'][1:]}.")
    lists = {
        what: {"collections": [request.POST[what]]}
        for what in ("add", "remove")
        if request.POST.get(what)
    }
    try:
        operation = Operation.read("collection", add=lists.get("add"), remove=lists.get("remove"))
        bulk_edits.request(
            operation, Selection(ids=(record.model_id,)), by=cast("User", request.user)
        )
    except InvalidMetadata as error:
        messages.error(request, f"That cannot be done: {error.errors.get('collections', '')}.")
    except (NothingToDo, bulk_edits.EmptySelection):
        messages.error(request, "Choose a collection first.")
    except bulk_edits.EditRefused as error:
        messages.error(request, str(error))
    if is_fragment(request):
        return page_or_partial(request, "discovery/collection_of.html", "panel", {"model": record})
    back = request.POST.get("back", "")
    return (
        redirect("collection", int(back))
        if back.isascii() and back.isdigit() and len(back) < 19
        else redirect("model", record.model_id)
    )

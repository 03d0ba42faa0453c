"""Collections: their list, what is in each, and how administrators keep them; and the collections of one model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.contrib.auth.models import Group
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from discovery.models import Collection, RegisteredModel
from discovery.services import bulk, collections
from discovery.services.metadata import InvalidMetadata
from discovery.services.operations import NothingToDo, Operation
from discovery.services.selections import Selection
from discovery.web.pages import fetch, is_fragment, numbered, page_or_partial, staff_only

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
    """Collections with ``count``, of the models that this person may see; one without any is shown to administrators alone."""
    if request.user.is_staff:
        return Collection.objects.annotate(count=Count("models"))
    visible = RegisteredModel.objects.visible_to(request.user).values("pk")
    return Collection.objects.annotate(count=Count("models", filter=Q(models__in=visible))).filter(
        count__gt=0
    )


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    page = numbered(request, _seen(request).prefetch_related("groups").order_by("name"), PAGE_SIZE)
    return page_or_partial(
        request, "discovery/collections.html", "results", {"section": "collections", "page": page}
    )


@require_safe
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    collection = get_object_or_404(_seen(request).prefetch_related("groups"), pk=pk)
    rows = (
        RegisteredModel.objects.visible_to(request.user)
        .filter(collections=collection.pk)
        .only(*COLUMNS)
        .order_by("sort_name", "pk")
    )
    context = {
        "section": "collections",
        "collection": collection,
        "page": numbered(request, rows, PAGE_SIZE),
    }
    return page_or_partial(request, "discovery/collection.html", "results", context)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_only
def edit(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """A new collection, or the fields of one. ``?query=`` is the filter that a new one is to follow."""
    collection = get_object_or_404(Collection, pk=pk) if pk else Collection()
    given = _given(request, collection)
    context: dict[str, Any] = {
        "section": "collections",
        "collection": collection,
        "given": given,
        "groups": Group.objects.order_by("name"),
    }
    if request.method == "POST":
        groups = list(Group.objects.filter(pk__in=given["groups"]).order_by("name"))
        told = {name: given[name] for name in ("name", "description", "query")}
        try:
            collections.save(collection, **told, groups=groups, by=cast("User", request.user))
        except collections.NotDone as error:
            context |= {"error": str(error), "wrong": error.field}
        else:
            messages.success(request, f"The collection {collection.name} is saved.")
            return redirect("collection", collection.pk)
    return page_or_partial(
        request,
        "discovery/collection_edit.html",
        "form",
        context,
        status=422 if "error" in context else 200,
    )


def _given(request: HttpRequest, collection: Collection) -> dict[str, Any]:
    if request.method == "POST":
        keys = [
            int(key)
            for key in request.POST.getlist("groups")[:500]
            if key.isascii() and key.isdigit() and len(key) < 19
        ]
        return {
            **{name: request.POST.get(name, "") for name in ("name", "description", "query")},
            "groups": keys,
        }
    groups = list(collection.groups.values_list("pk", flat=True)) if collection.pk else []
    query = collection.query or request.GET.get("query", "")[: collections.MAX_QUERY]
    return {
        "name": collection.name,
        "description": collection.description,
        "query": query,
        "groups": groups,
    }


@require_POST
@staff_only
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    collection = get_object_or_404(Collection, pk=pk)
    collections.delete(collection, by=cast("User", request.user))
    messages.success(
        request, f"The collection {collection.name} is deleted. Its models are where they were."
    )
    return redirect("collections")


@require_POST
@staff_only
def of_model(request: HttpRequest, model_id: str) -> HttpResponse:
    """Puts one model into the collection named in ``add``, or takes it out of the one in ``remove``: by hand, so not where a filter decides."""
    record = fetch(request, model_id)
    lists = {
        what: {"collections": [request.POST[what]]}
        for what in ("add", "remove")
        if request.POST.get(what)
    }
    try:
        operation = Operation.read("collection", add=lists.get("add"), remove=lists.get("remove"))
        bulk.request(operation, Selection(ids=(record.model_id,)), by=cast("User", request.user))
    except InvalidMetadata as error:
        messages.error(request, f"That cannot be done: {error.errors.get('collections', '')}.")
    except (NothingToDo, bulk.NobodyChosen):
        messages.error(request, "Choose a collection first.")
    except bulk.Refused as error:
        messages.error(request, str(error))
    if is_fragment(request):
        return page_or_partial(request, "discovery/collection_of.html", "panel", {"model": record})
    back = request.POST.get("back", "")
    return (
        redirect("collection", int(back))
        if back.isascii() and back.isdigit() and len(back) < 19
        else redirect("model", record.model_id)
    )

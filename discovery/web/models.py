"""The Models page: everything this person may see, searched, narrowed by facets, sorted, a page at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from discovery.models import Root
from discovery.services import facets, memory, search
from discovery.web import model_list
from discovery.web.pages import is_fragment, numbered, page_or_partial

PAGE_SIZE = 50

#: Column of the list → columns of the registry that it is read from, besides those that every row shows.
_READ = {
    "category": ("primary", "secondary"), "context": ("context_length",), "memory": ("memory_bytes",), "license": ("license",),
    "family": ("model_family",), "author": ("author",), "tags": ("extracted", "curated"), "visibility": ("visibility",), "format": ("format",),
    "added": ("added_at",), "modified": ("modified_at",),
}  # fmt: skip
_ALWAYS = ("model_id", "name", "display_name", "path", "type", "status", "parameter_count", "dtype", "quantization", "size_bytes", "problems",
           "missing_since", "quarantined_at")  # fmt: skip


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    filters = search.Filters.read(request.GET)
    # While somebody types, facets stay as they are without what is not understood yet; the list waits.
    counted, names = (
        replace(filters, text="", bounds=(), faults=()) if filters.faults else filters,
        model_list.wanted(request, filters),
    )
    if not set(names).isdisjoint(facets.LINKED):  # statements of their own count these
        counted = search.hurried(request.user, counted)
    found = facets.count(request.user, counted, names)
    total = 0 if filters.faults else found.total
    shown = model_list.columns(request.GET)
    read = (*_ALWAYS, *(column for name in shown for column in _READ.get(name, ())))
    results = search.Results(
        request.user,
        filters if filters.faults else replace(counted, keys=found.keys),
        columns=read,
        total=total,
        most=found.most,
    )
    context = {
        "section": "models",
        "page": numbered(request, results, PAGE_SIZE),
        "filters": filters,
        "text": filters.text,
        "sort": filters.sort,
        "facets": model_list.facet_list(request, filters, found.counts),
        "chips": model_list.chips(request, filters),
        "cleared": model_list.cleared(request),
        "hidden": model_list.hidden(request, filters),
        "query": filters.as_query(),
        "columns": model_list.COLUMNS,
        "show": dict.fromkeys(shown, True),
        "rest_of_address": model_list.everything(request, "columns"),
        "compact": model_list.is_compact(request),
        **_nothing(request, filters, total),
    }
    if found.seen is not None:
        context["model_count"] = found.seen
    if "memory" in shown:
        context["inside"], context["together"] = memory.capacity()
    return page_or_partial(
        request, "discovery/models.html", "results", context, status=422 if filters.faults else 200
    )


def _nothing(request: HttpRequest, filters: search.Filters, total: int) -> dict[str, Any]:
    """What an empty registry tells administrators: where to put models."""
    if total or filters.narrows or filters.faults or not request.user.is_staff:
        return {"roots": []}
    return {
        "roots": list(Root.objects.exclude(path=Root.REMOTE).values_list("path", flat=True))
        or [str(settings.MODELS_DIR)]
    }


@require_safe
def facet(request: HttpRequest, name: str) -> HttpResponse:
    """The options of one facet, for htmx when somebody opens it; without it, the page with that facet open."""
    if name not in model_list.HEADINGS or (name in model_list.STAFF and not request.user.is_staff):
        raise Http404(f"no facet {name}")
    if not is_fragment(request):
        query = request.GET.copy()
        query.appendlist("open", name)
        return redirect(f"{model_list.address(request, *request.GET)}?{query.urlencode()}")
    filters = search.Filters.read(request.GET)
    counts = facets.counts(request.user, filters, (name,))
    return render(
        request,
        "includes/facet_options.html",
        {"facet": model_list.facet(request, filters, name, counts)},
    )

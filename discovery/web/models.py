"""The Models page: search, facets, sorting and paging over all models that a person may see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from discovery.models import Right, Root
from discovery.services.access import permissions
from discovery.services.access.redaction import Sight
from discovery.services.machine import memory_fit
from discovery.services.search import facets, model_filters, model_search
from discovery.services.search.filters import FACETS, FILTERS, NUMBERS
from discovery.services.transfer.export_formats import FORMATS
from discovery.web import model_list
from discovery.web.shared.shortcuts import is_fragment, numbered, page_or_partial

PAGE_SIZE = 50

#: Column of the list → columns of the registry that it is read from, besides those that every row
#: shows.
_READ = {
    "category": ("primary", "secondary"), "context": ("context_length",),
    "memory": ("memory_bytes",), "license": ("license",),
    "family": ("model_family",), "author": ("author",), "tags": ("extracted", "curated"),
    "visibility": ("visibility",), "format": ("format",),
    "added": ("added_at",), "modified": ("modified_at",),
}  # fmt: skip
_ALWAYS = ("model_id", "name", "display_name", "path", "type", "status", "parameter_count", "dtype",
    "quantization", "size_bytes", "problems",
           "missing_since", "quarantined_at")  # fmt: skip


#: Kind of bulk edit → the words of its button.
BULK = {
    "metadata": "Edit metadata", "tags": "Tag", "category": "Category", "collection": "Collection",
    "visibility": "Access",
    "validate": "Validate",
}  # fmt: skip


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    filters = model_filters.ModelFilters.read(request.GET)
    # While somebody types, facets stay as they are without what is not understood yet; the list
    # waits.
    counted, names = (
        (replace(filters, text="", bounds=(), faults=()) if filters.faults else filters),
        model_list.wanted(request, filters),
    )
    if not set(names).isdisjoint(facets.LINKED):  # statements of their own count these
        counted = model_search.with_cached_keys(request.user, counted)
    found = facets.count(request.user, counted, names)
    total = 0 if filters.faults else found.total
    shown = model_list.columns(request.GET)
    read = (*_ALWAYS, *(column for name in shown for column in _READ.get(name, ())))
    results = model_search.Results(
        request.user,
        filters if filters.faults else replace(counted, keys=found.keys),
        columns=read,
        total=total,
        most=found.most,
    )
    context = {
        "sight": Sight(request.user),
        "page": numbered(request, results, PAGE_SIZE),
        "filters": filters,
        "text": filters.text,
        "sort": filters.sort,
        "facets": model_list.facet_list(request, filters, found.counts),
        "chips": model_list.chips(request, filters),
        "cleared": model_list.clear_url(request),
        "hidden": model_list.hidden_inputs(request, filters),
        "query": filters.as_query(),
        "search_filters": FILTERS.values(),
        "search_numbers": NUMBERS.values(),
        "columns": model_list.COLUMNS,
        "show": dict.fromkeys(shown, True),
        "rest_of_address": model_list.query_params(request, "columns"),
        "compact": model_list.is_compact(request),
        "export_formats": FORMATS,
        "bulk_kinds": [
            (kind, words)
            for kind, words in BULK.items()
            if permissions.may(request.user, permissions.OF_BULK[kind])
        ],
        **_nothing(request, filters, total),
    }
    if found.seen is not None:
        context["model_count"] = found.seen
    if "memory" in shown:
        context["inside"], context["together"] = memory_fit.capacity()
    return page_or_partial(
        request, "discovery/models.html", "results", context, status=422 if filters.faults else 200
    )


def _nothing(
    request: HttpRequest, filters: model_filters.ModelFilters, total: int
) -> dict[str, Any]:
    """Tell administrators of an empty registry where to put models."""
    if (
        total
        or filters.is_filtered
        or filters.faults
        or not permissions.may_all(request.user, (Right.SCAN, Right.VIEW_SCANS))
    ):
        return {"roots": []}
    return {
        "roots": (
            list(Root.objects.exclude(path=Root.REMOTE).values_list("path", flat=True))
            or [str(settings.MODELS_DIR)]
        )
    }


@require_safe
def facet(request: HttpRequest, name: str) -> HttpResponse:
    """Show the options of one facet, for htmx when somebody opens it.

    Without htmx it is the page with that facet open.
    """
    if name not in FACETS or not model_list.is_offered(request, name):
        raise Http404(f"no facet {name}")
    if not is_fragment(request):
        query = request.GET.copy()
        query.appendlist("open", name)
        return redirect(f"{model_list.address(request, *request.GET)}?{query.urlencode()}")
    filters = model_filters.ModelFilters.read(request.GET)
    counts = facets.counts(request.user, filters, (name,))
    return render(
        request,
        "discovery/models/_facet_options.html",
        {"facet": model_list.facet(request, filters, name, counts)},
    )

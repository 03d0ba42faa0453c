"""The Models page: everything this person may see, searched, sorted, a page at a time."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from discovery.models import RegisteredModel, Root
from discovery.services import search
from discovery.web.pages import numbered, page_or_partial

PAGE_SIZE = 50

COLUMNS = (
    "model_id", "name", "display_name", "path", "type", "format", "status", "parameter_count", "context_length", "dtype", "quantization",
    "size_bytes", "primary", "secondary", "problems", "added_at", "missing_since",
)  # fmt: skip


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    filters = search.Filters.read(request.GET)
    text, sort = filters.text, filters.sort
    page = numbered(request, search.Results(request.user, filters, columns=COLUMNS), PAGE_SIZE)
    visible = RegisteredModel.objects.visible_to(request.user)
    context = {
        "section": "models",
        "page": page,
        "text": text,
        "sort": sort,
        "sorted_by_default": sort == search.DEFAULT_SORT,
        "show_category": visible.exclude(primary=None).exists(),
        "roots": [],
    }
    if not page.paginator.count and not text and request.user.is_staff:
        context["roots"] = list(Root.objects.exclude(path=Root.REMOTE).values_list("path", flat=True)) or [str(settings.MODELS_DIR)]
    return page_or_partial(request, "discovery/models.html", "results", context)

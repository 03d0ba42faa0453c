"""Export: what a filter of the Models page shows, as a file that streams."""

from __future__ import annotations

from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from discovery.services import exports, search


@require_safe
def export(request: HttpRequest) -> StreamingHttpResponse:
    """``?format=csv|json`` and the filter of the Models page: the models that this person may see, in the order of the list."""
    asked = request.GET.copy()
    formats = asked.getlist("format")
    form = next((each for each in formats if each in exports.FORMATS), "csv")
    # The Models page filters by a parameter of the same name: what is no format of a file is one of models.
    asked.setlist("format", [each for each in formats if each not in exports.FORMATS])
    pieces, kind = exports.FORMATS[form]
    rows = search.found(request.user, search.Filters.read(asked))
    name = f"models-{timezone.now():%Y-%m-%d}.{form}"
    return StreamingHttpResponse(pieces(rows), content_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})

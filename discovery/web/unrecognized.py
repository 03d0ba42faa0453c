"""Scans → Unrecognized files: what lies under the roots, and what of it no reader knows.

For administrators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from discovery.engine.core.text import plural
from discovery.engine.disk.ledger import Use
from discovery.models import Right, Root, Unrecognized
from discovery.services.scans import ledgers
from discovery.services.search import model_filters
from discovery.services.settings import formats
from discovery.services.settings.editing import SettingsError
from discovery.web.shared.shortcuts import needs, numbered, page_or_partial

if TYPE_CHECKING:
    from django.contrib.auth.models import User

ROWS_PAGE = 100

#: How each use is called, and what it means.
USES = {
    Use.MODEL: ("Models", "weights and what is read with them"),
    Use.COMPANION: ("Companions", "cards, tokenizers, code and pictures beside models"),
    Use.EXCLUDED: ("Excluded", "left out by exclude_patterns, max_scan_depth or supported_formats"),
    Use.JUNK: ("Junk", "version control, caches, trash and leftovers of file managers"),
    Use.UNRECOGNIZED: ("Unrecognized", "no reader knows them"),
}


@require_safe
@needs(Right.VIEW_SCANS, Right.VIEW_ALL)
def index(request: HttpRequest) -> HttpResponse:
    text = model_filters.normal_text(request.GET.get("q", ""))
    rows = Unrecognized.objects.select_related("root")
    for word in text.split()[: model_filters.MAX_WORDS]:
        rows = rows.filter(
            Q(path__icontains=word) | Q(guess__icontains=word) | Q(root__path__icontains=word)
        )
    roots = list(Root.objects.filter(enabled=True))
    sums = ledgers.sums(roots)
    context = {
        "text": text,
        "page": numbered(request, rows, ROWS_PAGE),
        "uses": [(*USES[use], count) for use, count in sums.items()],
        "whole": sum(count.bytes for count in sums.values()),
        "left_out": [
            (told.split(), count) for told, count in ledgers.formats_left_out(roots).items()
        ],
        "unmeasured": [path for root in roots for path in root.ledger.get("unmeasured", ())],
    }
    return page_or_partial(request, "discovery/unrecognized.html", "results", context)


@require_POST
@needs(Right.VIEW_SCANS, Right.VIEW_ALL, Right.ROOTS)
def support(request: HttpRequest) -> HttpResponse:
    """Add formats that scans have found and the configuration leaves out."""
    asked = set(request.POST.getlist("format"))
    if not asked or not asked <= formats.left_out():
        messages.error(request, "No such format is left out any more. Nothing was changed.")
        return redirect("unrecognized")
    try:
        formats.support(asked, by=cast("User", request.user))
    except SettingsError as error:
        messages.error(request, f"The configuration was not changed: {error}")
    else:
        messages.success(
            request,
            f"{plural(len(asked), 'format was', 'formats were')} added to supported_formats. The"
            " next scan reads the models.",
        )
    return redirect("unrecognized")

"""Export what a filter of the Models page shows, and import what was edited.

An upload is checked row by row, then applied or discarded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from discovery.engine.core.service_words import ImportStage
from discovery.models import MetadataChange, MetadataImport
from discovery.services.access import permissions
from discovery.services.access.redaction import Sight
from discovery.services.bulk import bulk_edits
from discovery.services.metadata import undo
from discovery.services.search import model_filters, model_search
from discovery.services.transfer import export_formats, import_jobs
from discovery.services.transfer.export_formats import FORMATS
from discovery.services.transfer.import_parsing import UnreadableFile
from discovery.web.scans import STOP_POLLING
from discovery.web.shared.shortcuts import is_fragment, needs, page_or_partial

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Earlier imports that are listed below the form.
RECENT = 10


@require_safe
def export(request: HttpRequest) -> StreamingHttpResponse:
    """Export the models of the Models page's filter, in the order of the list.

    ``?format=`` chooses one of ``export_formats``, each ``?id=`` one model instead of the filter;
    only models that this person may see are included.
    """
    asked = request.GET.copy()
    formats, ids = asked.getlist("format"), asked.getlist("id")
    form = FORMATS[next((each for each in formats if each in FORMATS), "csv")]
    if ids:
        rows = export_formats.named(request.user, ids)
    else:
        # The Models page filters by a parameter of the same name: what is not a format of a file
        # is one of models.
        asked.setlist("format", [each for each in formats if each not in FORMATS])
        rows = model_search.found(request.user, model_filters.ModelFilters.read(asked))
    return StreamingHttpResponse(form.write(rows, Sight(request.user)), headers=form.headers(ids))


@require_http_methods(["GET", "HEAD", "POST"])
@needs(*permissions.IMPORTING)
def upload(request: HttpRequest) -> HttpResponse:
    context: dict[str, Any] = {"megabytes": import_jobs.MAX_BYTES >> 20}
    if request.method == "POST":
        try:
            return redirect("import-run", _submitted(request).pk)
        except UnreadableFile as error:
            context["error"] = str(error)
    context["recent"] = list(
        MetadataImport.objects.select_related("requested_by").defer("content", "report")[:RECENT]
    )
    return page_or_partial(
        request, "discovery/import.html", "form", context, status=422 if "error" in context else 200
    )


def _submitted(request: HttpRequest) -> MetadataImport:
    """Store the uploaded file as an import; raises ``UnreadableFile``."""
    file = request.FILES.get("file")
    if file is None:
        raise UnreadableFile(
            "Choose a file first; if you did, it did not arrive whole: send it again."
        )
    content = file.read(import_jobs.MAX_BYTES + 1)
    return import_jobs.submit(file.name or "file", content, cast("User", request.user))


def _fetch(pk: int) -> MetadataImport:
    return get_object_or_404(
        MetadataImport.objects.select_related("requested_by").defer("content"), pk=pk
    )


@require_safe
@needs(*permissions.IMPORTING)
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """What each row does, or has done; while a worker is at it, how far it is."""
    shown = _fetch(pk)
    written = (
        MetadataChange.objects.filter(batch=shown.batch).exists()
        if shown.stage == ImportStage.APPLY
        else False
    )
    context = {
        "run": shown,
        "report": shown.report,
        "applied": (shown.stage == ImportStage.APPLY and shown.state == MetadataImport.State.DONE),
        "written": written,
        "undone": written and MetadataChange.objects.filter(undoes=shown.batch).exists(),
    }
    status = STOP_POLLING if is_fragment(request) and not shown.is_active else 200
    return page_or_partial(request, "discovery/import_run.html", "results", context, status=status)


@require_POST
@needs(*permissions.IMPORTING)
def action(request: HttpRequest, pk: int) -> HttpResponse:
    """Handle ``action``: apply, skip (apply the valid rows), discard or undo."""
    shown, user, action = _fetch(pk), cast("User", request.user), request.POST.get("action", "")
    if action in ("apply", "skip"):
        if not import_jobs.apply(shown, user, skip_errors=action == "skip"):
            messages.warning(request, "This file is being imported already, or was.")
    elif action == "discard":
        if import_jobs.discard(shown):
            messages.success(request, f"{shown.name} is thrown away. Nothing was imported from it.")
            return redirect("import")
        messages.warning(request, "It is being read at this moment: wait until that is over.")
    elif action == "undo":
        _undo(request, shown, user)
    else:
        messages.error(request, "That is not something that can be done here.")
    return redirect("import-run", pk)


def _undo(request: HttpRequest, shown: MetadataImport, user: User) -> None:
    try:
        edit = bulk_edits.undo_batch(shown.batch, by=user)
    except (bulk_edits.EmptySelection, undo.NotUndoable) as error:
        messages.error(request, str(error) or "There is nothing to undo.")
        return
    if edit.is_active:
        messages.success(request, "The import is being undone: that takes a moment.")
    else:
        messages.success(request, f"Undone: {bulk_edits.in_words(edit)}.")

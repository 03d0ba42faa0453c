"""The Scans page: roots, the scan under way, past runs and their logs. For administrators."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST, require_safe

from discovery.models import LogEntry, RegisteredModel, Root, ScanRun
from discovery.services import browse, scans
from discovery.web.context import frame
from discovery.web.pages import is_fragment, numbered, page_or_partial, staff_only
from discovery.words import LEVELS

RUNS_PAGE = 25
LOG_PAGE = 100

#: htmx stops polling when it is answered with this status.
STOP_POLLING = 286


@require_safe
@staff_only
def index(request: HttpRequest) -> HttpResponse:
    return page_or_partial(request, "discovery/scans.html", "runs", _context(request))


@require_safe
@staff_only
def progress(request: HttpRequest) -> HttpResponse:
    """The live panel. Once nothing is under way, it also refreshes the lists beside it, and is asked no more."""
    if not is_fragment(request):
        return redirect("scans")
    runs = under_way()
    if runs:
        return page_or_partial(request, "discovery/scans.html", "live", {"active": runs})
    context = {**frame(request), **_context(request), "over": True}
    return page_or_partial(request, "discovery/scans.html", "finished", context, status=STOP_POLLING)


@require_POST
@staff_only
def start(request: HttpRequest) -> HttpResponse:
    """Asks for a scan: of everything, or of the root whose number is given."""
    path, accept = "", False
    if request.POST.get("root"):
        number = request.POST["root"]
        root = get_object_or_404(Root, pk=int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0)
        path, accept = root.path, request.POST.get("accept_missing") == "1"
    full = request.POST.get("full") == "1"
    _, created = scans.request(ScanRun.Trigger.PAGE, path=path, full=full, accept_missing=accept, user_id=request.user.pk)
    if created:
        messages.success(request, "The scan is on its way.")
    else:
        messages.warning(request, "A scan of this is under way already. Nothing else was started.")
    return redirect("scans")


@require_POST
@staff_only
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    if scans.cancel(get_object_or_404(ScanRun, pk=pk)):
        messages.success(request, "The scan stops. What it has read stays registered.")
    else:
        messages.warning(request, "The scan was over already.")
    return redirect("scans")


@require_safe
@staff_only
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """One run and its log. While it goes on the page asks again every second."""
    record = get_object_or_404(ScanRun.objects.select_related("requested_by"), pk=pk)
    level = request.GET.get("level", "")
    level = level if level in LEVELS else ""
    log = LogEntry.objects.filter(scan=record)
    page = numbered(request, log.filter(level=level) if level else log, LOG_PAGE)
    ids = {entry.model_id for entry in page.object_list if entry.model_id}
    context = {
        "section": "scans",
        "run": record,
        "level": level,
        "levels": [(name, word) for name, (word, _) in LEVELS.items()],
        "page": page,
        "known": set(RegisteredModel.objects.filter(model_id__in=ids).values_list("model_id", flat=True)),
    }
    over = is_fragment(request) and not record.is_active and request.headers.get("HX-Trigger") == "run"
    return page_or_partial(request, "discovery/scan.html", "run", context, status=STOP_POLLING if over else 200)


def _context(request: HttpRequest) -> dict[str, Any]:
    past = ScanRun.objects.exclude(state__in=ScanRun.ACTIVE).select_related("requested_by")
    return {"section": "scans", "active": under_way(), "roots": browse.roots(), "page": numbered(request, past, RUNS_PAGE)}


def under_way() -> list[ScanRun]:
    """Scans that are queued or running, those of dead workers left out."""
    scans.reap()
    return list(ScanRun.objects.filter(state__in=ScanRun.ACTIVE).select_related("requested_by").order_by("pk"))

"""The Scans pages: roots, the running scan, past runs and their events, and comparisons.

For administrators.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST, require_safe

from discovery.models import LogEntry, Right, Root, ScanRun, SkippedPath, Unrecognized
from discovery.services import scans
from discovery.services.access import permissions
from discovery.services.machine import root_states
from discovery.services.scans import ledgers, reviewing
from discovery.services.search import model_filters
from discovery.web.shared.context import base_context
from discovery.web.shared.shortcuts import (
    as_key,
    is_fragment,
    known_models,
    needs,
    numbered,
    page_or_partial,
)

RUNS_PAGE = 25
EVENTS_PAGE = 100

#: Runs that another one can be compared with.
MAX_CHOICES = 100

#: What the list of past scans can be narrowed to: value of ``show`` → its words.
SHOWN = {
    "": "All",
    "different": "With changes",
    "trouble": "With errors",
    "unfinished": "Interrupted",
}

#: What a comparison tells, in its order: kind of difference → its words.
KINDS = {"added": "Added", "gone": "Gone", "changed": "Changed"}

#: htmx stops polling when it is answered with this status.
STOP_POLLING = 286


@require_safe
@needs(Right.VIEW_SCANS)
def index(request: HttpRequest) -> HttpResponse:
    return page_or_partial(request, "discovery/scans.html", "runs", _context(request))


@require_safe
@needs(Right.VIEW_SCANS)
def progress(request: HttpRequest) -> HttpResponse:
    """The live panel.

    Once no scan runs, it also refreshes the lists on the page, and polling ends.
    """
    if not is_fragment(request):
        return redirect("scans")
    runs = active_runs()
    if runs:
        return page_or_partial(request, "discovery/scans.html", "live", {"active": runs})
    context = {**base_context(request), **_context(request), "over": True}
    return page_or_partial(
        request, "discovery/scans.html", "finished", context, status=STOP_POLLING
    )


@require_POST
@needs(Right.SCAN)
def start(request: HttpRequest) -> HttpResponse:
    """Start a scan of everything, or of the root with the given number."""
    path, accept = "", False
    if request.POST.get("root"):
        root = get_object_or_404(Root, pk=as_key(request.POST["root"]) or 0)
        path, accept = root.path, request.POST.get("accept_missing") == "1"
    full = request.POST.get("full") == "1"
    asked, created = scans.request(
        ScanRun.Trigger.PAGE, path=path, full=full, accept_missing=accept, user_id=request.user.pk
    )
    if asked.state == ScanRun.State.FAILED:
        messages.error(request, asked.message)
    elif created:
        messages.success(request, "Scan started.")
    else:
        messages.warning(request, "A scan of this is under way already. Nothing else was started.")
    return _back(request)


@require_POST
@needs(Right.SCAN)
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    if scans.cancel(get_object_or_404(ScanRun, pk=pk)):
        messages.success(request, "The scan stops. What it has read stays registered.")
    else:
        messages.warning(request, "The scan has already finished.")
    return _back(request)


def _back(request: HttpRequest) -> HttpResponse:
    """Who may scan need not be allowed to see how scans went."""
    return redirect("scans" if permissions.may(request.user, Right.VIEW_SCANS) else "home")


@require_safe
@needs(Right.VIEW_SCANS, Right.VIEW_ALL)
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """One run: what was new, changed, moved, missing and skipped.

    The page refreshes every second while it runs.
    """
    record = get_object_or_404(ScanRun.objects.select_related("requested_by"), pk=pk)
    counts = scans.counts(record)
    event = request.GET.get("event", "")
    event = event if event in counts else ""
    text = model_filters.normal_text(request.GET.get("q", ""))
    page = numbered(request, scans.events(record, event, text), EVENTS_PAGE)
    context = {
        "run": record,
        "event": event,
        "events": [(value.value, value.label, counts[value.value]) for value in LogEntry.Event],
        "text": text,
        "page": page,
        "known": known_models(request, page.object_list),
        "previous": scans.previous(record),
        "skipped_now": SkippedPath.objects.count() if event == LogEntry.Event.SKIPPED else 0,
    }
    over = (
        is_fragment(request) and not record.is_active and request.headers.get("HX-Trigger") == "run"
    )
    return page_or_partial(
        request, "discovery/scan.html", "run", context, status=STOP_POLLING if over else 200
    )


@require_safe
@needs(Right.VIEW_SCANS, Right.VIEW_ALL)
def compare(request: HttpRequest) -> HttpResponse:
    """Show what the registry had after one run (``from``) and not after another (``to``).

    The default are the last two runs.
    """
    ended = ScanRun.objects.exclude(state__in=ScanRun.ACTIVE).order_by("-pk")
    choices = list(ended[:MAX_CHOICES])
    asked = [request.GET.get(name, "")[:30] for name in ("from", "to")]
    keys = [as_key(text) for text in asked] if any(asked) else [run.pk for run in choices[:2]]
    chosen = list(ended.filter(pk__in=[key for key in keys if key]).order_by("pk"))
    compared = scans.compare(*chosen) if len(chosen) == 2 else None
    kind = request.GET.get("kind", "")
    kind = kind if kind in KINDS else ""
    rows = [] if compared is None else compared.of(kind) if kind else list(compared.differences)
    page = numbered(request, rows, EVENTS_PAGE)
    context = {
        "choices": sorted({*choices, *chosen}, key=lambda run: -run.pk),
        "first": chosen[0] if chosen else None,
        "second": chosen[-1] if chosen else None,
        "lost": [
            text
            for text, key in zip(asked, keys, strict=False)
            if text and key not in {run.pk for run in chosen}
        ],
        "compared": compared,
        "kinds": [
            (value, words, len(compared.of(value)) if compared else 0)
            for value, words in KINDS.items()
        ],
        "kind": kind,
        "page": page,
        "known": known_models(request, page.object_list),
    }
    return page_or_partial(request, "discovery/scan_compare.html", "results", context)


@require_safe
@needs(Right.VIEW_SCANS, Right.VIEW_ALL)
def skipped(request: HttpRequest) -> HttpResponse:
    """Every place that looks like a model and is none, with the reason."""
    text = model_filters.normal_text(request.GET.get("q", ""))
    context = {"text": text, "page": numbered(request, ledgers.skipped(text), EVENTS_PAGE)}
    return page_or_partial(request, "discovery/skipped.html", "results", context)


def _context(request: HttpRequest) -> dict[str, Any]:
    show = request.GET.get("show", "")
    show = show if show in SHOWN else ""
    past = _shown(show).select_related("requested_by").order_by("-pk")
    return {
        "active": active_runs(),
        "roots": root_states.roots(),
        "page": numbered(request, past, RUNS_PAGE),
        "show": show,
        "shown": SHOWN,
        "skipped_now": SkippedPath.objects.count(),
        "unrecognized": Unrecognized.objects.aggregate(count=Count("pk"), size=Sum("size_bytes")),
        "open_moves": reviewing.count_open,  # asked where it is shown
    }


def _shown(show: str) -> QuerySet[ScanRun]:
    past = ScanRun.objects.exclude(state__in=ScanRun.ACTIVE)
    if show == "different":
        return past.filter(Q(new__gt=0) | Q(changed__gt=0) | Q(moved__gt=0) | Q(missing__gt=0))
    if show == "trouble":
        return past.filter(Q(errors__gt=0) | Q(state=ScanRun.State.FAILED))
    return past.exclude(state=ScanRun.State.DONE) if show == "unfinished" else past


def active_runs() -> list[ScanRun]:
    """Scans that are queued or running."""
    return list(
        ScanRun.objects.filter(state__in=ScanRun.ACTIVE)
        .select_related("requested_by")
        .order_by("pk")
    )

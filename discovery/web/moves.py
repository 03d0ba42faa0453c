"""Moves for administrators to decide.

They are missing models with their possible new places, and another path for a root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from discovery.models import RegisteredModel, Right, Root, ScanRun
from discovery.services import scans
from discovery.services.core.form_stamps import stamp
from discovery.services.insight import decisions
from discovery.services.registry import aliases
from discovery.services.scans import merging, reviewing
from discovery.services.scans.relinking import ELSEWHERE
from discovery.services.search import model_filters
from discovery.web.shared import changes
from discovery.web.shared.shortcuts import fetch, needs, numbered, page_or_partial

MOVES_PAGE = 20
#: Models that a search for the new place lists.
MAX_FOUND = 20

#: Which side of a choice holds → its words.
WINS = {
    "old": "from the missing model",
    "new": "from the present model",
    "both": "put together",
    "": "the same",
}


@dataclass(frozen=True, slots=True)
class FieldComparison:
    """One field of two models, and what the joined one has."""

    label: str
    old: changes.ValueView
    new: changes.ValueView
    result: changes.ValueView
    wins: str

    @property
    def differs(self) -> bool:
        return self.wins != WINS[""]


@require_safe
@needs(Right.JOIN, Right.VIEW_ALL)
def index(request: HttpRequest) -> HttpResponse:
    """Missing models whose weights are somewhere else now, with every place that may be theirs."""
    rows = reviewing.open_moves().select_related("root").only(*reviewing.COLUMNS)
    page = numbered(request, rows, MOVES_PAGE)
    context = {"page": page, "offers": reviewing.offers(list(page.object_list))}
    return page_or_partial(request, "discovery/moves.html", "results", context)


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.JOIN, Right.VIEW_ALL)
def join(request: HttpRequest) -> HttpResponse:
    """Join a missing model (``old``) with a present one (``new``), or reject the pair."""
    asked = request.POST if request.method == "POST" else request.GET
    ids = [asked.get(name, "")[:300] for name in ("old", "new")]
    if not ids[0]:
        return redirect("moves")
    old = fetch(request, ids[0])
    new = fetch(request, ids[1]) if ids[1] else None
    if request.method == "POST":
        if new is None:
            raise Http404("no second model")
        return _decide(request, old, new)
    if new is None:
        return page_or_partial(
            request, "discovery/moves_choose.html", "results", _choices(request, old)
        )
    return page_or_partial(request, "discovery/moves_join.html", "pair", _pair(old, new))


def _decide(request: HttpRequest, old: RegisteredModel, new: RegisteredModel) -> HttpResponse:
    """Joining does what the page showed: values that changed since then are shown first."""
    by = cast("User", request.user)
    if request.POST.get("action") == "reject":
        reviewing.reject(old, new, by=by)
        messages.success(
            request, f"{old.title} and {new.title} stay two models. This pair is not offered again."
        )
        return redirect("moves")
    pair = _pair(old, new)
    if request.POST.get("seen", pair["seen"]) != pair["seen"]:
        fault = "Somebody has changed one of them since you opened this page: look again."
        told = {**pair, "fault": fault}
        return page_or_partial(request, "discovery/moves_join.html", "pair", told, status=409)
    try:
        joined = reviewing.join(old, new, by=by)
    except reviewing.NotJoined as error:
        return page_or_partial(
            request,
            "discovery/moves_join.html",
            "pair",
            {**pair, "fault": str(error)},
            status=422,
        )
    said = f"{joined.title} is in its new place, with everything that was decided about it."
    if joined.pk == new.pk:
        said = f"{joined.title} has everything that was decided about {old.title}, too."
    messages.success(request, said)
    return redirect("model", joined.model_id)


def _pair(old: RegisteredModel, new: RegisteredModel) -> dict[str, Any]:
    told = decisions.summaries([old, new])
    choices = merging.choices(old, new)
    return {
        "seen": stamp([(each.name, each.old, each.new) for each in choices]),
        "offer": reviewing.Offer(old, told[old.pk]),
        "candidate": reviewing.Candidate(
            new,
            told[new.pk],
            reviewing.together(old, new),
            old.content == new.content,
            reviewing.is_part(old, new),
        ),
        "same_weights": bool(old.fingerprint) and old.fingerprint == new.fingerprint,
        "refusal": reviewing.refusal(old, new),
        "rows": [_row(choice) for choice in choices],
    }


def _row(choice: merging.Choice) -> FieldComparison:
    nothing = "none" if isinstance(choice.result, list) else "automatic"
    old, new, result = (
        changes.value_view(choice.name, value, nothing)
        for value in (choice.old, choice.new, choice.result)
    )
    return FieldComparison(changes.label(choice.name), old, new, result, WINS[choice.wins])


def _choices(request: HttpRequest, old: RegisteredModel) -> dict[str, Any]:
    """Where it may be: what has its weights, and what a search finds among all that is there."""
    text = model_filters.normal_text(request.GET.get("q", ""))
    (offer,) = reviewing.offers([old])
    return {
        "offer": offer,
        "text": text,
        "found": _found(old, text) if text else [],
        "most": MAX_FOUND,
    }


def _found(old: RegisteredModel, text: str) -> list[RegisteredModel]:
    rows = (
        RegisteredModel.objects.exclude(status__in=ELSEWHERE)
        .exclude(pk=old.pk)
        .filter(root__frozen_reason="", type=old.type)
    )
    for word in text.split()[: model_filters.MAX_WORDS]:
        rows = rows.filter(
            Q(model_id__icontains=word)
            | Q(search_text__contains=word.casefold())
            | Q(root__path__icontains=word)
            | Q(pk__in=aliases.like(word))
        )
    return list(
        rows.select_related("root").only(*reviewing.COLUMNS).order_by("sort_name", "pk")[:MAX_FOUND]
    )


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.ROOTS)
def root_path(request: HttpRequest, pk: int) -> HttpResponse:
    """The folder of a root is elsewhere now: its models go with it."""
    root = get_object_or_404(Root.objects.exclude(path=Root.REMOTE), pk=pk)
    context: dict[str, Any] = {
        "root": root,
        "moving": root.models.count(),
        "path": root.path,
    }
    if request.method != "POST":
        return page_or_partial(request, "discovery/root_path.html", "form", context)
    path = request.POST.get("path", "")[:4_096]
    if request.POST.get("seen", stamp(root.path)) != stamp(root.path):
        fault = f"Somebody else moved this root to {root.path} since you opened this page."
        told = {**context, "path": path, "fault": fault}
        return page_or_partial(request, "discovery/root_path.html", "form", told, status=409)
    try:
        count = scans.move_root(root, path, channel="page", by=request.user.get_username())
    except scans.NotMoved as error:
        return page_or_partial(
            request,
            "discovery/root_path.html",
            "form",
            {**context, "path": path, "fault": str(error)},
            status=422,
        )
    scans.request(ScanRun.Trigger.PAGE, path=root.path, user_id=request.user.pk)
    model = "1 model went" if count == 1 else f"{count:,} models went"
    messages.success(request, f"The root is {root.path} now; {model} with it. A scan was started.")
    return redirect(reverse("scans"))

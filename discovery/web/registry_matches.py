"""Which local models are which remote ones: what waits for a person, links, and updates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from discovery.models import RemoteMatch, Right
from discovery.services.registries import links
from discovery.services.registries.configured import configured
from discovery.web.shared import cards
from discovery.web.shared.shortcuts import fetch, needs, numbered, page_or_partial

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PAGE_SIZE = 50
VIEWS = {
    "review": "To review",
    "updates": "Updates",
    "linked": "Linked",
    "rejected": "Rejected",
}


@require_safe
@needs(Right.EDIT)
def index(request: HttpRequest) -> HttpResponse:
    view = request.GET.get("view", "review")
    view = view if view in VIEWS else "review"
    registry = request.GET.get("registry", "")[:40]
    rows = links.visible(request.user).filter(links.VIEWS[view])
    if registry:
        rows = rows.filter(registry=registry)
    context: dict[str, Any] = {
        "page": numbered(request, rows, PAGE_SIZE),
        "views": VIEWS,
        "view": view,
        "registry": registry,
        "registries": configured(),
    }
    return page_or_partial(request, "discovery/registry_matches.html", "results", context)


@require_safe
@needs(Right.EDIT)
def match(request: HttpRequest, pk: int) -> HttpResponse:
    """One match: what speaks for it, what the registry says, and what is newer there."""
    row = get_object_or_404(links.visible(request.user), pk=pk)
    context = {
        "match": row,
        "card_html": cards.render(row.entry.card) if row.entry.card else "",
        "registries": configured(),
    }
    return page_or_partial(request, "discovery/registry_match.html", "match", context)


@require_POST
@needs(Right.EDIT)
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """``action`` is confirm or reject."""
    row = get_object_or_404(links.visible(request.user), pk=pk)
    by, action = cast("User", request.user), request.POST.get("action", "")
    try:
        if action == "confirm":
            links.confirm(row, by=by)
            messages.success(request, f"{row.model.title} is linked to {row.entry.remote_id}.")
        elif action == "reject":
            links.reject(row, by=by)
            messages.success(request, f"{row.model.title} is not {row.entry.remote_id}.")
        else:
            messages.error(request, "That action is not available here.")
    except links.LinkError as error:
        messages.error(request, str(error))
    return (
        redirect("registry-match", pk) if request.POST.get("stay") else redirect("registry-matches")
    )


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.EDIT)
def link(request: HttpRequest, model_id: str) -> HttpResponse:
    """Link a model by hand."""
    record = fetch(request, model_id)
    enabled = {name: each for name, each in configured().items() if each.settings.enabled}
    context: dict[str, Any] = {
        "model": record,
        "enabled": enabled,
        "given": {
            "registry": request.GET.get("registry", "")[:40],
            "remote_id": request.GET.get("remote_id", "")[:300],
        },
        "matches": _of(request, record.pk),
    }
    status = 200
    if request.method == "POST":
        registry = request.POST.get("registry", "")[:40]
        remote_id = request.POST.get("remote_id", "")
        try:
            made = links.link(record, registry, remote_id, by=cast("User", request.user))
        except links.LinkError as error:
            given = {"registry": registry, "remote_id": remote_id[:300]}
            context |= {"error": str(error), "given": given}
            status = 422
        else:
            messages.success(request, f"{record.title} is linked to {made.entry.remote_id}.")
            return redirect("registry-match", made.pk)
    return page_or_partial(request, "discovery/registry_link.html", "form", context, status)


def _of(request: HttpRequest, pk: int) -> list[RemoteMatch]:
    return list(links.visible(request.user).filter(model=pk))

"""Duplicates and clean-up: what could go, the plan of it, and the script that somebody runs. The product itself removes nothing."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from discovery.engine import leftovers as kinds
from discovery.engine.text import plural
from discovery.models import RegisteredModel
from discovery.services import clean_up, deep_validation, duplicates, leftovers, second_formats
from discovery.services.clean_up import COPIES, FORMATS, CannotPlan, Plan
from discovery.web.pages import numbered, page_or_partial, staff_only

GROUPS_PAGE = 20
ITEMS_PAGE = 100

#: Kind → its name, and what it is, in a sentence.
KINDS = {
    COPIES: (
        "Copies",
        "Models whose weights have the same sizes and the same first bytes; checksums or links say whether they are the same.",
    ),
    FORMATS: (
        "Second formats",
        "Models that hold their weights once more in another format, in the same folder or under the same name elsewhere.",
    ),
    kinds.REVISIONS: (
        "Old revisions",
        "Revisions in the Hub’s cache that no branch or tag names any more.",
    ),
    kinds.BLOBS: (
        "Unnamed blobs",
        "Contents in the Hub’s cache and in Ollama stores that nothing names any more.",
    ),
    kinds.SHARDS: (
        "Lone shards",
        "Parts of weights whose other parts are missing, or that the model beside them does not use.",
    ),
    kinds.PARTIAL: (
        "Broken-off downloads",
        "What downloads left behind that never ended. Files written within the last hour are not counted.",
    ),
    kinds.EMPTY: ("Empty folders", "Folders that hold no file at any depth."),
}

#: Scripts that are longer are shown by their beginning.
PREVIEW = 60_000


@require_safe
@staff_only
def index(request: HttpRequest) -> HttpResponse:
    return page_or_partial(
        request,
        "discovery/duplicates.html",
        "results",
        _context(request, _kind(request.GET.get("kind", ""))),
    )


def _kind(name: str) -> str:
    return name if name in KINDS else COPIES


def _context(
    request: HttpRequest, kind: str, fault: str = "", ticked: tuple[str, ...] = ()
) -> dict[str, Any]:
    context: dict[str, Any] = {
        "section": "duplicates", "kind": kind, "title": KINDS[kind][0], "hint": KINDS[kind][1], "fault": fault, "ticked": set(ticked),
        "kinds": [(name, words[0], None) for name, words in KINDS.items()],
    }  # fmt: skip
    try:
        context |= (
            _copies(request)
            if kind == COPIES
            else _formats(request)
            if kind == FORMATS
            else _leftovers(request, kind)
        )
    except duplicates.NoAnswer as error:
        context |= {"page": numbered(request, [], 1), "fault": fault or str(error)}
    if request.GET.get("tick") == "rest" and kind == COPIES:
        context["ticked"] |= {
            str(copy.record.pk) for group in context.get("groups", ()) for copy in group.copies[1:]
        }
    return context


def _copies(request: HttpRequest) -> dict[str, Any]:
    page = numbered(request, duplicates.fingerprints(), GROUPS_PAGE)
    return {
        "page": page,
        "groups": duplicates.groups([fingerprint for fingerprint, _, _ in page.object_list]),
    }


def _formats(request: HttpRequest) -> dict[str, Any]:
    found = second_formats.found()
    return {
        "page": numbered(request, found, ITEMS_PAGE),
        "total": second_formats.spare(found),
        "largest": second_formats.LARGEST,
    }


def _leftovers(request: HttpRequest, kind: str) -> dict[str, Any]:
    told = leftovers.look()
    found = [item for item in told.items if item.leftover.kind == kind]
    counted = [
        (name, words[0], sum(item.leftover.kind == name for item in told.items))
        for name, words in KINDS.items()
    ]
    shown = [
        (name, word, None if name in (COPIES, FORMATS) else count) for name, word, count in counted
    ]
    return {
        "page": numbered(request, found, ITEMS_PAGE),
        "total": sum(item.leftover.freed for item in found),
        "told": told,
        "kinds": shown,
    }


@require_POST
@staff_only
def look_again(request: HttpRequest) -> HttpResponse:
    leftovers.forget()
    return redirect(f"{reverse('duplicates')}?kind={_kind(request.POST.get('kind', ''))}")


@require_POST
@staff_only
def compare(request: HttpRequest) -> HttpResponse:
    """Has all bytes of a group read, so that checksums say whether its models are the same."""
    records = RegisteredModel.objects.filter(
        fingerprint=request.POST.get("fingerprint", "").replace("\0", ""), missing_since=None
    )
    asked = [
        deep_validation.request(record, user_id=request.user.pk)[1]
        for record in records.order_by("pk")[: duplicates.MAX_COPIES]
    ]
    if asked:
        messages.success(
            request,
            f"All bytes of {plural(len(asked), 'model')} will be read. Their checksums then say whether they are the same.",
        )
    else:
        messages.warning(request, "These models are not there any more.")
    return redirect("duplicates")


@require_POST
@staff_only
def plan(request: HttpRequest) -> HttpResponse:
    """What was ticked as a plan to review, or as the script or the JSON of a plan that was reviewed."""
    kind, ticked = _kind(request.POST.get("kind", "")), tuple(request.POST.getlist("remove"))
    try:
        made = clean_up.plan(kind, ticked, by=request.user.get_username())
    except CannotPlan as error:
        return render(
            request,
            "discovery/duplicates.html",
            _context(request, kind, str(error), ticked),
            status=422,
        )
    wanted = request.POST.get("as", "review")
    changed = bool(request.POST.get("stamp")) and request.POST["stamp"] != made.stamp
    if wanted == "sh" and not changed:
        return _download(clean_up.as_script(made), "application/x-sh", "clean-up.sh")
    if wanted == "json" and not changed:
        return _download(
            json.dumps(clean_up.as_json(made), indent=2).encode(),
            "application/json",
            "clean-up.json",
        )
    return render(
        request,
        "discovery/duplicates_plan.html",
        _review(made, ticked, changed),
        status=409 if changed else 200,
    )


def _review(made: Plan, ticked: tuple[str, ...], changed: bool) -> dict[str, Any]:
    script = clean_up.as_script(made).decode("utf-8", "backslashreplace")
    context = {
        "section": "duplicates",
        "plan": made,
        "ticked": ticked,
        "changed": changed,
        "title": KINDS[made.kind][0],
    }
    return {**context, "script": script[:PREVIEW], "cut": len(script) > PREVIEW}


def _download(content: bytes, kind: str, name: str) -> HttpResponse:
    return HttpResponse(
        content,
        content_type=kind,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )

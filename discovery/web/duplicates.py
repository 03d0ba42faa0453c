"""Duplicates and clean-up: what could go, the plan of it, and the script that somebody runs.

The product itself removes nothing.
"""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from discovery.engine.core.text import plural
from discovery.engine.disk import leftovers as kinds
from discovery.models import RegisteredModel, Right
from discovery.services.cleanup import (
    alternate_formats,
    copies,
    duplicates,
    orphans,
    plan_output,
    removal_plan,
)
from discovery.services.cleanup.removal import Choice, Plan, PlanError, Unconfirmed
from discovery.services.cleanup.removal_plan import COPIES, FORMATS
from discovery.services.health import deep_validation
from discovery.web.shared.shortcuts import needs, numbered, page_or_partial

GROUPS_PAGE = 20
ITEMS_PAGE = 100

#: Kind → its name, and what it is, in a sentence.
KINDS = {
    COPIES: (
        "Copies",
        (
            "Models all of whose files agree. Small files are compared in full, weights by size and"
            " first bytes unless checksums or links say more."
        ),
    ),
    FORMATS: (
        "Duplicate formats",
        "Models stored in more than one format, with the same precision.",
    ),
    kinds.REVISIONS: (
        "Old revisions",
        "Revisions in the Hub’s cache that no branch or tag names any more.",
    ),
    kinds.BLOBS: (
        "Unreferenced blobs",
        "Contents in the Hub’s cache and in Ollama stores that nothing names any more.",
    ),
    kinds.SHARDS: (
        "Orphaned shards",
        (
            "Parts of weights whose other parts are missing, or that the model beside them does not"
            " use."
        ),
    ),
    kinds.PARTIAL: (
        "Interrupted downloads",
        (
            "What downloads left behind that never ended. Files written within the last hour are"
            " not counted."
        ),
    ),
    kinds.EMPTY: ("Empty folders", "Folders that hold no file at any depth."),
}

#: Differences that one plan may confirm.
MAX_CONFIRMED = 5_000
#: Scripts that are longer are shown by their beginning.
PREVIEW = 60_000


@require_safe
@needs(Right.CLEAN_UP, Right.VIEW_ALL)
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
        "kind": kind, "title": KINDS[kind][0], "hint": KINDS[kind][1],
        "fault": fault, "ticked": set(ticked),
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
    except copies.DiskTimeout as error:
        context |= {"page": numbered(request, [], 1), "fault": fault or str(error)}
    if request.GET.get("tick") == "rest" and kind == COPIES:
        groups = [group for each in context.get("likenesses", ()) for group in each.groups]
        context["ticked"] |= {str(copy.record.pk) for group in groups for copy in group.copies[1:]}
    return context


def _copies(request: HttpRequest) -> dict[str, Any]:
    page = numbered(request, duplicates.fingerprints(), GROUPS_PAGE)
    looked = duplicates.look([fingerprint for fingerprint, _, _ in page.object_list])
    return {"page": page, "likenesses": looked.likenesses, "silences": looked.silent}


def _formats(request: HttpRequest) -> dict[str, Any]:
    found, silent = alternate_formats.look()
    told = {
        "total": alternate_formats.spare(found),
        "largest": alternate_formats.LARGEST,
        "silences": silent,
    }
    return {"page": numbered(request, found, ITEMS_PAGE), **told}


def _leftovers(request: HttpRequest, kind: str) -> dict[str, Any]:
    told = orphans.look()
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
@needs(Right.CLEAN_UP, Right.VIEW_ALL)
def look_again(request: HttpRequest) -> HttpResponse:
    orphans.forget()
    return redirect(f"{reverse('duplicates')}?kind={_kind(request.POST.get('kind', ''))}")


@require_POST
@needs(Right.CLEAN_UP, Right.VIEW_ALL, Right.VALIDATE)
def compare(request: HttpRequest) -> HttpResponse:
    """Have all bytes of a group read, so that checksums say whether its models are the same."""
    records = RegisteredModel.objects.filter(
        fingerprint=request.POST.get("fingerprint", "").replace("\0", ""), missing_since=None
    )
    asked = [
        deep_validation.request(record, user_id=request.user.pk)[0]
        for record in records.order_by("pk")[: duplicates.MAX_COPIES]
    ]
    failed = next((run for run in asked if run.state == run.State.FAILED), None)
    if failed is not None:
        messages.error(request, failed.message)
    elif asked:
        messages.success(
            request,
            f"All bytes of {plural(len(asked), 'model')} will be read. Their checksums then say"
            " whether they are the same.",
        )
    else:
        messages.warning(request, "These models are not there any more.")
    return redirect("duplicates")


@require_POST
@needs(Right.CLEAN_UP, Right.VIEW_ALL)
def plan(request: HttpRequest) -> HttpResponse:
    """Show the selected items as a plan to review.

    A reviewed plan is returned as its script or its JSON.
    """
    kind, ticked = _kind(request.POST.get("kind", "")), tuple(request.POST.getlist("remove"))
    confirmed = tuple(request.POST.getlist("confirm")[:MAX_CONFIRMED])
    try:
        made = removal_plan.plan(kind, ticked, by=request.user.get_username(), confirmed=confirmed)
    except Unconfirmed as error:
        context = {
            "kind": kind,
            "title": KINDS[kind][0],
            "ticked": ticked,
            "confirmed": confirmed,
            "again": bool(confirmed),
        }
        return render(
            request,
            "discovery/duplicates_differences.html",
            {**context, "fault": str(error), "models": _by_model(error)},
            status=422,
        )
    except PlanError as error:
        return render(
            request,
            "discovery/duplicates.html",
            _context(request, kind, str(error), ticked),
            status=422,
        )
    wanted = request.POST.get("as", "review")
    changed = bool(request.POST.get("stamp")) and request.POST["stamp"] != made.stamp
    if wanted == "sh" and not changed:
        return _download(plan_output.as_script(made), "application/x-sh", "clean-up.sh")
    if wanted == "json" and not changed:
        return _download(
            json.dumps(plan_output.as_json(made), indent=2).encode(),
            "application/json",
            "clean-up.json",
        )
    return render(
        request,
        "discovery/duplicates_plan.html",
        _review(made, ticked, confirmed, changed),
        status=409 if changed else 200,
    )


def _by_model(error: Unconfirmed) -> list[tuple[Choice, list[Choice]]]:
    """The differences of each model together, the first of them in front to name it."""
    by_place: dict[str, list[Choice]] = {}
    for choice in error.choices:
        by_place.setdefault(choice.location, []).append(choice)
    return [(choices[0], choices) for choices in by_place.values()]


def _review(
    made: Plan, ticked: tuple[str, ...], confirmed: tuple[str, ...], changed: bool
) -> dict[str, Any]:
    script = plan_output.as_script(made).decode("utf-8", "backslashreplace")
    context = {
        "plan": made,
        "ticked": ticked,
        "confirmed": confirmed,
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

"""Change many models at once, for administrators.

The page has a form for the new values, a preview, and the running or finished edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.db.models import Count, QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from discovery.engine.core.text import plural
from discovery.models import BulkEdit, MetadataChange, Right, Tag
from discovery.services.access import permissions
from discovery.services.bulk import bulk_edits
from discovery.services.bulk.operations import KINDS, NothingToDo
from discovery.services.bulk.selections import MAX_FAULTS, Preview, Selection, mark, preview
from discovery.services.metadata import metadata
from discovery.web import bulk_form
from discovery.web.scans import STOP_POLLING
from discovery.web.shared import changes
from discovery.web.shared.shortcuts import (
    is_fragment,
    needs_any,
    numbered,
    page_or_partial,
    require,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import User

EDITS_PAGE = 25
MAX_NAMED = 5
MAX_TAGS = 40

BULK = needs_any(permissions.OF_BULK.values())

NOTHING = "Nothing is filled in yet: enter what to change."


@require_http_methods(["GET", "HEAD", "POST"])
@BULK
def index(request: HttpRequest) -> HttpResponse:
    """Show the form for the selected models, preview the changes or apply them, as ``step`` says.

    Without a selection it lists the earlier edits.
    """
    if request.method != "POST":
        return _edits(request)
    require(request, permissions.OF_BULK.get(request.POST.get("kind", ""), Right.EDIT))
    user, kind, selection = (
        cast("User", request.user),
        request.POST.get("kind", ""),
        _selection(request.POST),
    )
    count = selection.models(user).count() if kind in KINDS else 0
    if selection.faults or not count:
        _tell_nothing_chosen(request, selection, kind)
        return redirect("models")
    form, step = bulk_form.read(kind, request.POST), request.POST.get("step", "")
    atomic = request.POST.get("atomic") != "0"
    context: dict[str, Any] = {
        "form": form,
        "selection": selection,
        "count": count,
        "atomic": atomic,
    }
    if not step and kind != "validate":
        return _render(request, context)
    try:
        operation = form.operation()
    except metadata.InvalidMetadata as error:
        form.blame(error.errors)
        return _render(request, {**context, "faulty": True}, status=422)
    except NothingToDo:
        return _render(request, {**context, "notice": NOTHING}, status=422)
    named = {
        name: [*operation.add.get(name, ()), *operation.remove.get(name, ())]
        for name in operation.fields
    }
    if refused := permissions.refusals(user, named):
        form.blame(refused)
        return _render(request, {**context, "faulty": True}, status=403)
    now = preview(operation, selection, user)
    seen = mark(operation, now)
    if step == "apply" and request.POST.get("mark") == seen:
        try:
            edit = bulk_edits.request(
                operation, selection, by=user, channel=_through(request.POST), atomic=atomic
            )
        except bulk_edits.EditRefused:
            faulty = {"refused": True, "mark": seen, **_preview_context(now)}
            return _render(request, {**context, **faulty}, status=422)
        return redirect("bulk-edit", edit.pk)
    overtaken = step == "apply"
    context |= {"mark": seen, "overtaken": overtaken, **_preview_context(now)}
    return _render(request, context, status=409 if overtaken else 200)


def _tell_nothing_chosen(request: HttpRequest, selection: Selection, kind: str) -> None:
    if faults := selection.faults:
        messages.error(
            request,
            f"The filter is not understood, so no model was chosen. {faults[0].term}:"
            f" {faults[0].reason}.",
        )
    elif kind in KINDS:
        messages.warning(request, "Choose some models first.")
    else:
        messages.warning(request, "Choose what is to be done with the models.")


def _selection(sent: QueryDict) -> Selection:
    """Return the models that were selected.

    A ``query`` of the Models page selects everything it finds, whatever is checked; otherwise model
    IDs are selected: one in each ``id``, or all in ``ids``.
    """
    if "query" in sent:
        return Selection(query=sent.get("query", ""))
    return Selection(ids=tuple(dict.fromkeys([*sent.getlist("id"), *sent.get("ids", "").split()])))


def _through(sent: QueryDict) -> str:
    return "admin" if sent.get("through") == "admin" else "page"


def _preview_context(result: Preview) -> dict[str, Any]:
    effects = [
        (
            changes.label(name),
            effect,
            [
                (each, changes.change_view(name, each.before, each.after, nothing="nothing"))
                for each in effect.examples
            ],
        )
        for name, effect in result.effects.items()
    ]
    return {"preview": result, "effects": effects, "max_faults": MAX_FAULTS}


def _render(request: HttpRequest, context: dict[str, Any], status: int = 200) -> HttpResponse:
    selection: Selection = context["selection"]
    user, form = cast("User", request.user), context["form"]
    chosen = selection.models(user)
    more = {
        "kind_word": changes.KINDS[form.kind],
        "ids": " ".join(selection.ids),
        "through": _through(request.POST),
        "named": list(chosen.only("model_id", "name", "display_name")[:MAX_NAMED]),
        "unnamed": max(context["count"] - MAX_NAMED, 0),
        "gone": len(selection.ids) - context["count"] if selection.query is None else 0,
    }
    if form.kind == "tags":
        tagged = Tag.objects.filter(models__in=chosen.order_by().values("pk")).annotate(
            models_here=Count("models")
        )
        more["tags"] = list(tagged.order_by("-models_here", "name")[:MAX_TAGS])
        more["removed"] = form.removed
    return page_or_partial(
        request, "discovery/bulk.html", "bulk", {**context, **more}, status=status
    )


def _edits(request: HttpRequest) -> HttpResponse:
    rows = permissions.own(
        request.user, BulkEdit.objects.select_related("requested_by").defer("selection", "reasons")
    )
    page = numbered(request, rows, EDITS_PAGE)
    shown = [
        (
            edit,
            changes.KINDS[edit.operation["kind"]],
            changes.describe_operation(edit.operation),
            bulk_edits.in_words(edit),
        )
        for edit in page.object_list
    ]
    return page_or_partial(
        request,
        "discovery/bulk_edits.html",
        "results",
        {"page": page, "edits": shown},
    )


def _mine(request: HttpRequest) -> QuerySet[BulkEdit]:
    return permissions.own(request.user, BulkEdit.objects.all())


@require_safe
@BULK
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one edit; the page refreshes every second while it runs."""
    record = get_object_or_404(
        _mine(request).select_related("requested_by").defer("selection"), pk=pk
    )
    kind = record.operation["kind"]
    undone = (
        MetadataChange.objects.filter(undoes=record.batch)
        .select_related("by")
        .only("by__username", "at", "batch")
        .first()
    )
    context = {
        "edit": record,
        "kind_word": changes.KINDS[kind],
        "wishes": changes.describe_operation(record.operation),
        "summary": bulk_edits.in_words(record),
        "undone": undone,
        "has_changes": MetadataChange.objects.filter(batch=record.batch).exists(),
        "left": record.total - record.done,
        "query": (
            ""
            if record.is_active
            else BulkEdit.objects.filter(pk=pk)
            .values_list(KeyTextTransform("query", "selection"), flat=True)
            .get()
        ),
    }
    over = is_fragment(request) and not record.is_active
    return page_or_partial(
        request, "discovery/bulk_edit.html", "state", context, status=STOP_POLLING if over else 200
    )


@require_POST
@BULK
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    if bulk_edits.cancel(get_object_or_404(_mine(request), pk=pk)):
        messages.success(request, "It stops. What was done so far stands.")
    else:
        messages.warning(request, "It has already finished.")
    return redirect("bulk-edit", pk)


@require_POST
@BULK
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    record = get_object_or_404(_mine(request), pk=pk)
    require(request, permissions.OF_BULK.get(record.operation["kind"], Right.EDIT))
    if bulk_edits.resume(record):
        messages.success(
            request,
            f"It goes on with the {plural(record.total - record.done, 'model')} that are left.",
        )
    else:
        messages.warning(request, "There is nothing left to go on with.")
    return redirect("bulk-edit", pk)

"""The Tags page: every tag with its number of models.

Administrators can change a tag everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from discovery.engine.core.service_words import TagColor
from discovery.models import BulkEdit, RegisteredModel, Right, Tag
from discovery.models.registry import sees_all
from discovery.services.access import permissions
from discovery.services.bulk import bulk_edits, tag_edits
from discovery.services.core.form_stamps import Conflict
from discovery.services.metadata import undo
from discovery.services.search import model_filters
from discovery.web.shared import shown
from discovery.web.shared.shortcuts import needs, numbered, page_or_partial, require

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PAGE_SIZE = 100


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    context: dict[str, Any] = {}
    if request.method == "POST":
        return _create(request)
    return _page(request, context)


@needs(Right.ADD_TAG)
def _create(request: HttpRequest) -> HttpResponse:
    given = {name: request.POST.get(name, "") for name in ("name", "colour")}
    try:
        tag = tag_edits.create(given["name"], given["colour"], by=cast("User", request.user))
    except tag_edits.TagError as error:
        return _page(request, {"given": given, "error": str(error)}, status=422)
    messages.success(request, f"The tag {tag.name} is ready.")
    return redirect("tags")


def _page(request: HttpRequest, context: dict[str, Any], status: int = 200) -> HttpResponse:
    text = model_filters.normal_text(request.GET.get("q", ""))
    often = request.GET.get("sort", "") == "-models"
    rows = _counted(request)
    for word in text.split()[: model_filters.MAX_WORDS]:
        rows = rows.filter(name__icontains=word)
    page = numbered(
        request,
        (
            rows.order_by("-count", Lower("name"), "name")
            if often
            else rows.order_by(Lower("name"), "name")
        ),
        PAGE_SIZE,
    )
    context = {
        "page": page,
        "text": text,
        "often": often,
        "colours": TagColor.choices,
        **context,
        **_edit(request),
    }
    return page_or_partial(request, "discovery/tags.html", "results", context, status=status)


def _counted(request: HttpRequest) -> QuerySet[Any]:
    """Tags with ``count``, the number of their models that this person may see.

    Tags without such a model are only shown to administrators.
    """
    if sees_all(request.user):
        return Tag.objects.annotate(count=Count("models")).exclude(count=0, colour="")
    visible = RegisteredModel.objects.visible_to(request.user).values("pk")
    return Tag.objects.annotate(count=Count("models", filter=Q(models__in=visible))).filter(
        count__gt=0
    )


def _edit(request: HttpRequest) -> dict[str, Any]:
    """The change of models that ``?edit=`` names, one's own."""
    number = request.GET.get("edit", "")
    key = int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0
    edit = (
        BulkEdit.objects.filter(pk=key, requested_by=request.user.pk).defer("selection").first()
        if key
        else None
    )
    return {"edit": edit, "said": bulk_edits.in_words(edit)} if edit else {}


def _require_reach(user: User, tag: Tag) -> None:
    if not tag_edits.is_within_reach(tag, user):
        raise PermissionDenied(
            "Models that you do not see have this tag: only who sees every model may change it."
        )


@require_POST
@needs(Right.CHANGE_TAG)
def change(request: HttpRequest, pk: int) -> HttpResponse:
    """``action``: rename, merge, colour or delete."""
    tag, user = get_object_or_404(Tag, pk=pk), cast("User", request.user)
    action, name = request.POST.get("action", ""), request.POST.get("name", "")
    if action in ("rename", "merge", "delete"):  # they change the models that have the tag
        require(request, Right.EDIT, *([Right.DELETE_TAG] if action == "delete" else []))
        _require_reach(user, tag)
    edit: BulkEdit | None = None
    try:
        if action == "colour":
            tag_edits.recolour(
                tag,
                "".join(shown.sent(request.POST, "colour")[-1:]),
                seen=shown.seen(request.POST, {"colour": ""}),
            )
            messages.success(request, f"{tag.name} has its colour.")
        elif action in ("rename", "merge"):
            edit = tag_edits.rename(tag, name, by=user, merge=action == "merge")
            messages.success(request, f"{tag.name} is {' '.join(name.split())} now.")
        elif action == "delete":
            edit = tag_edits.delete(tag, by=user)
            messages.success(request, f"The tag {tag.name} is deleted.")
        else:
            messages.error(request, "That is not something that can be done here.")
    except tag_edits.NameTaken as error:
        return _page(
            request, {"changing": tag, "given_name": name, "error": str(error)}, status=422
        )
    except Conflict as conflict:
        tag.refresh_from_db()
        disputes = shown.disputes(
            conflict.theirs,
            {"colour": request.POST.get("colour", "")},
            {"colour": f"Color of {tag.name}"},
            _in_words,
        )
        return _page(
            request,
            {"disputed": tag, "disputes": disputes, "stamps": shown.stamps({"colour": tag.colour})},
            status=409,
        )
    except tag_edits.TagError as error:
        messages.error(request, str(error))
    return redirect(f"{reverse('tags')}?edit={edit.pk}" if edit else "tags")


def _in_words(_name: str, value: Any) -> str:
    return str(dict(TagColor.choices).get(value, value))


@require_POST
@needs(Right.CHANGE_TAG)
def undo_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Undo a change of a tag: each model gets the tags that it had."""
    edit = get_object_or_404(
        permissions.own(request.user, BulkEdit.objects.defer("selection")), pk=pk
    )
    if not permissions.may_undo(request.user, permissions.batch(edit.batch)):
        raise PermissionDenied("This changed models or fields that you may not change.")
    try:
        undone = bulk_edits.undo_batch(edit.batch, by=cast("User", request.user))
    except (bulk_edits.EmptySelection, undo.NotUndoable) as error:
        messages.error(request, str(error) or "There is nothing to undo.")
        return redirect("tags")
    tag_edits.sweep()
    return redirect(f"{reverse('tags')}?edit={undone.pk}")

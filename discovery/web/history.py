"""What people changed: of all models, or of one; who, when, through what, before and after.

Administrators take it back from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Max, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from discovery.engine.core.service_words import Channel
from discovery.models import MetadataChange, RegisteredModel
from discovery.models.registry import sees_all
from discovery.services.access import permissions
from discovery.services.access.redaction import Sight
from discovery.services.bulk import bulk_edits
from discovery.services.metadata import metadata, undo
from discovery.services.registry import aliases
from discovery.services.search import model_filters
from discovery.web.model import tab_context
from discovery.web.shared import changes
from discovery.web.shared.change_batches import (
    Batch,
    batches_ending_with,
    grouped_by_batch,
    without_heavy_columns,
)
from discovery.web.shared.days import read_day
from discovery.web.shared.shortcuts import fetch, numbered, page_or_partial
from discovery.words import FIELD_LABELS

BATCHES_PAGE, CHANGES_PAGE = 25, 50
MAX_PEOPLE = 200


@dataclass(slots=True)
class HistoryFilters:
    """What the address asks for.

    A value that nothing has finds nothing; what cannot be read is named in ``faults``.
    """

    by: str = ""
    field_name: str = ""
    through: str = ""
    model: str = ""
    since: str = ""
    until: str = ""
    batch: str = ""
    faults: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, sent: QueryDict) -> HistoryFilters:
        names = ("by", "field", "through", "model", "since", "until", "batch")
        by, name, through, model, since, until, batch = (
            model_filters.normal_text(sent.get(name, "")) for name in names
        )
        return cls(by, name, through, model, since, until, batch)

    @property
    def is_filtered(self) -> bool:
        return any(
            (self.by, self.field_name, self.through, self.model, self.since, self.until, self.batch)
        )

    def apply(self, rows: QuerySet[MetadataChange]) -> QuerySet[MetadataChange]:
        if self.by:
            rows = rows.filter(by__username=self.by)
        if self.field_name:
            rows = rows.filter(field=self.field_name)
        if self.through:
            rows = rows.filter(channel=self.through)
        if words := self.model.split()[: model_filters.MAX_WORDS]:
            models = RegisteredModel.objects.all()
            for word in words:
                models = models.filter(
                    Q(model_id__icontains=word)
                    | Q(name__icontains=word)
                    | Q(display_name__icontains=word)
                    | Q(pk__in=aliases.like(word))
                )
            rows = rows.filter(model__in=models.values("pk"))
        if self.batch:
            key = _uuid(self.batch)
            rows = rows.filter(batch=key) if key else rows.none()
        first, last = self._day(self.since), self._day(self.until)
        if first:
            rows = rows.filter(at__gte=first)
        return rows.filter(at__lt=last + timedelta(days=1)) if last else rows

    def _day(self, text: str) -> datetime | None:
        try:
            return read_day(text) if text else None
        except ValueError as error:
            self.faults.append(str(error))
            return None


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Batches, the newest first; with ``batch``, each change of it."""
    sight = Sight(request.user)
    rows = metadata.changes_told_to(sight)
    filters = HistoryFilters.read(request.GET)
    found = filters.apply(rows) if sight.person(filters.by) == filters.by else rows.none()
    context: dict[str, Any] = {
        "filters": filters,
        "people": list(_people(sight)[:MAX_PEOPLE]),
        "sight": sight,
        "field_words": FIELD_LABELS,
        "channel_words": dict(Channel.choices),
    }
    if filters.batch:
        context["page"] = numbered(request, without_heavy_columns(found), CHANGES_PAGE)
        context["batches"] = grouped_by_batch(context["page"].object_list, rows, sight)
    else:
        heads = found.values("batch").annotate(head=Max("pk")).order_by("-head")
        context["page"] = numbered(request, heads, BATCHES_PAGE)
        context["batches"] = batches_ending_with(
            [row["head"] for row in context["page"].object_list], found, rows, sight
        )
    _permit(request, context["batches"])
    return page_or_partial(request, "discovery/history.html", "results", context)


@require_safe
def of_model(request: HttpRequest, model_id: str) -> HttpResponse:
    """One model's changes, those made together side by side."""
    record = fetch(request, model_id)
    shared = tab_context(request, record, "history")
    rows = metadata.changes_told_to(shared["sight"])
    page = numbered(request, without_heavy_columns(rows.filter(model=record)), CHANGES_PAGE)
    batches = grouped_by_batch(page.object_list, rows, shared["sight"])
    _permit(request, batches)
    context = {"page": page, "batches": batches, "one_model": True}
    return page_or_partial(
        request, "discovery/model_history.html", "results", {**shared, **context}
    )


@require_POST
def undo_changes(request: HttpRequest) -> HttpResponse:
    """Undo one ``change``, or all of a ``batch``."""
    user, back = cast("User", request.user), request.POST.get("next", "")
    back = (
        back
        if url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()})
        else "history"
    )
    number = request.POST.get("change", "")
    try:
        if number:
            key = int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0
            change = get_object_or_404(_visible(request).select_related("model"), pk=key)
            _require_own(request, MetadataChange.objects.filter(pk=change.pk))
            undo.undo_change(change, by=user, channel="page")
            messages.success(
                request,
                f"{changes.label(change.field)} of {change.model.title} is what it was before.",
            )
            return redirect(back)
        batch = _uuid(request.POST.get("batch", ""))
        if batch is None:
            raise Http404("no such batch")
        _require_own(request, permissions.batch(batch))
        edit = bulk_edits.undo_batch(batch, by=user)
    except undo.NotUndoable as error:
        messages.error(request, f"Nothing was undone. {error}")
        return redirect(back)
    except bulk_edits.EmptySelection:
        messages.error(
            request,
            "There is nothing to undo here: the models are forgotten, or it is decided elsewhere.",
        )
        return redirect(back)
    if edit.is_active or edit.skipped or not request.POST.get("next"):
        return redirect("bulk-edit", edit.pk)
    messages.success(request, f"Undone: {bulk_edits.in_words(edit)}.")
    return redirect(back)


def _people(sight: Sight) -> QuerySet[User]:
    """Return the people to filter by: others only for people who see every model."""
    people = User.objects.filter(pk__in=MetadataChange.objects.order_by().values("by")).order_by(
        "username"
    )
    return (
        people
        if sight.everything or sight.user is None
        else people.filter(username=sight.user.get_username())
    )


def _permit(request: HttpRequest, batches: Sequence[Batch]) -> None:
    """Keep only the Undo buttons that would work for this person."""
    hidden: set[UUID] = set()
    if not sees_all(request.user):
        visible = RegisteredModel.objects.visible_to(request.user).values("pk")
        mine = MetadataChange.objects.filter(batch__in=[batch.head.batch for batch in batches])
        hidden = set(
            mine.exclude(model__in=visible).order_by().values_list("batch", flat=True).distinct()
        )
    for batch in batches:
        whole = permissions.may_all(
            request.user, permissions.of_undo(name for name, _, _ in batch.fields)
        )
        batch.can_undo = batch.can_undo and whole and batch.head.batch not in hidden
        batch.rows = [
            replace(
                row,
                can_undo=row.can_undo
                and permissions.may_all(request.user, permissions.of_undo([row.change.field])),
            )
            for row in batch.rows
        ]


def _require_own(request: HttpRequest, rows: QuerySet[MetadataChange]) -> None:
    if not permissions.may_undo(request.user, rows):
        raise PermissionDenied("This changed models or fields that you may not change.")


def _visible(request: HttpRequest) -> QuerySet[MetadataChange]:
    """The changes of models that this person may see, the newest first.

    Only these are listed, and counted.
    """
    rows = MetadataChange.objects.order_by("-pk")
    return (
        rows
        if sees_all(request.user)
        else rows.filter(model__in=RegisteredModel.objects.visible_to(request.user).values("pk"))
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None

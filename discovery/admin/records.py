"""Records that only the services write: scans, log, history, findings, skipped places."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import display_for_value
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from discovery.admin.by_permission import OfAllModels, ReadOnlyAdmin, visible_models
from discovery.admin.filters import words_filter
from discovery.engine.core.fields import FIELDS
from discovery.engine.core.vocabulary import Visibility
from discovery.models import (
    Finding,
    LogEntry,
    MetadataChange,
    RegisteredModel,
    ScanRun,
    SkippedPath,
)
from discovery.models.registry import sees_all
from discovery.services.access import permissions
from discovery.services.findings import listing
from discovery.words import FIELD_LABELS


def _field(name: str) -> str:
    return FIELD_LABELS.get(name) or _code(name)


def _code(code: str) -> str:
    return code.replace("_", " ").capitalize()


def _history_of(model: RegisteredModel) -> str:
    return reverse("model-history", args=[model.model_id])


@admin.register(ScanRun)
class ScanRunAdmin(OfAllModels):
    list_display = (
        "__str__",
        "state",
        "trigger",
        "requested_by",
        "created_at",
        "found",
        "new",
        "changed",
        "missing",
        "errors",
        "seconds",
    )
    list_filter = ("state", "trigger")
    list_select_related = ("requested_by",)


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "level", "topic", "model_id", "message", "scan")
    list_filter = ("level", "topic")
    list_select_related = ("scan",)
    search_fields = ("message", "model_id", "path")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LogEntry]:
        rows: QuerySet[LogEntry] = super().get_queryset(request)
        return permissions.visible_log(request.user, rows)


@admin.register(MetadataChange)
class MetadataChangeAdmin(ReadOnlyAdmin):
    list_display = ("at", "model", "shown_field", "shown_before", "shown_after", "by", "channel")
    list_filter = ("channel", words_filter("field", "field", _field))
    fields = ("model", "shown_field", "shown_before", "shown_after", "by", "at", "channel")
    list_select_related = ("model", "by")
    search_fields = ("model__model_id", "model__name", "field")

    def get_queryset(self, request: HttpRequest) -> QuerySet[MetadataChange]:
        rows: QuerySet[MetadataChange] = super().get_queryset(request)
        heavy = ("files", "variants", "extracted", "curated", "problems")
        if not sees_all(request.user):
            rows = rows.filter(model__in=visible_models(request))
        return rows.defer(*(f"model__{name}" for name in heavy))

    def own_history(self, obj: Any) -> str:
        return _history_of(obj.model)

    @admin.display(description="field", ordering="field")
    def shown_field(self, change: MetadataChange) -> str:
        return _field(change.field)

    @admin.display(description="before")
    def shown_before(self, change: MetadataChange) -> str:
        return _shortened(change.field, change.before)

    @admin.display(description="after")
    def shown_after(self, change: MetadataChange) -> str:
        return _shortened(change.field, change.after)


@admin.register(Finding)
class FindingAdmin(ReadOnlyAdmin):
    """What is wrong and what was decided about it: to search and to filter.

    Decisions are made on the Problems page.
    """

    fields = (
        "shown_code",
        "severity",
        "model",
        "message",
        "path",
        "source",
        "first_seen_at",
        "last_seen_at",
        "resolved_at",
        "snoozed_until",
        "accepted_by",
        "accepted_at",
        "accepted_reason",
    )

    list_display = (
        "shown_code",
        "severity",
        "model",
        "message",
        "path",
        "source",
        "first_seen_at",
        "accepted_by",
        "resolved_at",
    )
    list_filter = (
        "severity",
        "source",
        ("resolved_at", admin.EmptyFieldListFilter),
        ("accepted_at", admin.EmptyFieldListFilter),
        words_filter("code", "problem", _code),
    )
    list_select_related = ("model", "accepted_by")
    search_fields = ("message", "path", "model__model_id", "model__name")
    search_help_text = "Message, file, model ID or name"
    date_hierarchy = "first_seen_at"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Finding]:
        rows: QuerySet[Finding] = super().get_queryset(request)
        if not sees_all(request.user):
            rows = rows.filter(model__in=visible_models(request))
        return rows.defer(*listing.HEAVY)

    def view_on_site(self, obj: Finding) -> str:
        return reverse("model-health", args=[obj.model.model_id])

    @admin.display(description="problem", ordering="code")
    def shown_code(self, finding: Finding) -> str:
        return _code(finding.code)


@admin.register(SkippedPath)
class SkippedPathAdmin(OfAllModels):
    list_display = ("place", "root", "reason")
    list_filter = ("root",)
    list_select_related = ("root",)
    search_fields = ("place", "reason")


def _shortened(field: str, value: Any) -> str:
    """A value in the words of the pages; what the absence of one means is automatic."""
    if value is None:
        return "Automatic"
    known = FIELDS.get(field)
    say = known.said if known and known.words else _said
    values = value if isinstance(value, list) else [value]
    text = ", ".join(say(each) if isinstance(each, str) else _plain(each) for each in values)
    return (text if len(text) <= 100 else f"{text[:99]}…") or "None"


def _said(value: str) -> str:
    return Visibility.label_of(value)


def _plain(value: Any) -> str:
    if isinstance(value, dict) and "message" in value:  # what was decided about a problem
        return f"{_said(str(value.get('decision', ''))).capitalize()}: {value['message']}"
    return str(display_for_value(value, "–"))

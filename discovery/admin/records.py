"""Records that only the services write: scans, log, history, findings, skipped places."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import display_for_value
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from discovery.admin.by_permission import OfAllModels, ReadOnlyAdmin, visible_models
from discovery.models import Finding, LogEntry, MetadataChange, ScanRun, Skipped
from discovery.models.registry import sees_all
from discovery.services.access import permissions


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
    list_display = ("at", "level", "channel", "model_id", "message", "scan")
    list_filter = ("level", "channel")
    list_select_related = ("scan",)
    search_fields = ("message", "model_id", "path")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LogEntry]:
        rows: QuerySet[LogEntry] = super().get_queryset(request)
        return permissions.visible_log(request.user, rows)


@admin.register(MetadataChange)
class MetadataChangeAdmin(ReadOnlyAdmin):
    list_display = ("at", "model", "field", "shown_before", "shown_after", "by", "through")
    list_filter = ("through", "field")
    list_select_related = ("model", "by")
    search_fields = ("model__model_id", "model__name", "field")

    def get_queryset(self, request: HttpRequest) -> QuerySet[MetadataChange]:
        rows: QuerySet[MetadataChange] = super().get_queryset(request)
        heavy = ("files", "variants", "extracted", "curated", "problems")
        if not sees_all(request.user):
            rows = rows.filter(model__in=visible_models(request))
        return rows.defer(*(f"model__{name}" for name in heavy))

    @admin.display(description="before")
    def shown_before(self, change: MetadataChange) -> str:
        return _shortened(change.before)

    @admin.display(description="after")
    def shown_after(self, change: MetadataChange) -> str:
        return _shortened(change.after)


@admin.register(Finding)
class FindingAdmin(ReadOnlyAdmin):
    """What is wrong and what was decided about it: to search and to filter.

    Decisions are made on the Problems page.
    """

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
        "code",
    )
    list_select_related = ("model", "accepted_by")
    search_fields = ("message", "path", "model__model_id", "model__name")
    search_help_text = "Message, file, model ID or name"
    date_hierarchy = "first_seen_at"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Finding]:
        rows: QuerySet[Finding] = super().get_queryset(request)
        heavy = (
            "files",
            "variants",
            "extracted",
            "curated",
            "problems",
            "signals",
            "evidence",
            "attention",
            "checks",
        )
        if not sees_all(request.user):
            rows = rows.filter(model__in=visible_models(request))
        return rows.defer(*(f"model__{name}" for name in heavy))

    def view_on_site(self, obj: Finding) -> str:
        return reverse("model-health", args=[obj.model.model_id])

    @admin.display(description="problem", ordering="code")
    def shown_code(self, finding: Finding) -> str:
        return finding.code.replace("_", " ")


@admin.register(Skipped)
class SkippedAdmin(OfAllModels):
    list_display = ("place", "root", "reason")
    list_filter = ("root",)
    list_select_related = ("root",)
    search_fields = ("place", "reason")


def _shortened(value: Any) -> str:
    text = (
        ", ".join(map(str, value))
        if isinstance(value, list)
        else str(display_for_value(value, "–"))
    )
    return text if len(text) <= 100 else f"{text[:99]}…"

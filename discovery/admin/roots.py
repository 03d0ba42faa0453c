"""Roots in Django's administration."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from discovery.admin.by_permission import ByRight
from discovery.admin.forms import RootForm
from discovery.models import Root, Skipped


@admin.register(Root)
class RootAdmin(ByRight):
    form = RootForm
    list_display = ("path", "name", "enabled", "deep_every_days", "frozen_reason", "last_scan_at")
    list_filter = ("enabled",)
    search_fields = ("path", "name")
    fields = (
        "path",
        "name",
        "enabled",
        "deep_every_days",
        "frozen_reason",
        "missing_count",
        "last_scan_at",
        "claim",
        "created_at",
    )
    readonly_fields = (
        "name",
        "frozen_reason",
        "missing_count",
        "last_scan_at",
        "claim",
        "created_at",
        "shown_path",
    )

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """The path of a root that exists is changed where its models go with it."""
        return ("shown_path", *self.fields[1:]) if obj else self.fields

    @admin.display(description="path")
    def shown_path(self, root: Root) -> SafeString | str:
        if root.pk is None or root.path == Root.REMOTE:
            return root.path
        return format_html(
            '{} – <a href="{}">Change path</a>', root.path, reverse("root-path", args=[root.pk])
        )

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        shown, counts, lacking, protected = super().get_deleted_objects(objs, request)
        return shown, counts, lacking - {Skipped._meta.verbose_name}, protected

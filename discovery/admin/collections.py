"""Collections in Django's administration."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from discovery.admin.by_permission import ByRight
from discovery.admin.forms import CollectionForm
from discovery.models import Collection, Right
from discovery.services.access import permissions
from discovery.services.curation import collections


@admin.register(Collection)
class CollectionAdmin(ByRight):
    form = CollectionForm
    list_display = ("name", "description", "query")
    search_fields = ("name",)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        return () if permissions.may(request.user, Right.GRANT) else ("groups",)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        collections.follow(form.instance)

"""Collections in Django's administration."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from discovery.admin.by_permission import ByRight
from discovery.admin.forms import CollectionForm
from discovery.models import Collection, Right
from discovery.services.access import permissions
from discovery.services.curation import collections


@admin.register(Collection)
class CollectionAdmin(ByRight):
    form = CollectionForm
    list_display = ("name", "description", "shown_query")
    search_fields = ("name",)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        return () if permissions.may(request.user, Right.GRANT) else ("groups",)

    @admin.display(description="models", ordering="query")
    def shown_query(self, collection: Collection) -> SafeString:
        chosen = "by its filter" if collection.query else "by hand"
        address = f"{reverse('models')}?{urlencode({'collection': collection.name})}"
        return format_html('<a href="{}">Chosen {}</a>', address, chosen)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        collections.follow(form.instance)

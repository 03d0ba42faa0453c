"""Admin pages that ask the same permissions as the pages and the API."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_permission_codename
from django.http import HttpRequest

from discovery.models import RegisteredModel, Right
from discovery.services.access import permissions


class ByRight(admin.ModelAdmin):  # type: ignore[type-arg]
    """Asks the same permissions as pages and API, for each row that is about a model as well."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "view", obj) or self._may(request, "change", obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "add", None)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "delete", obj)

    def _may(self, request: HttpRequest, action: str, obj: Any) -> bool:
        return permissions.may(
            request.user, f"{self.opts.app_label}.{get_permission_codename(action, self.opts)}", obj
        )


def visible_models(request: HttpRequest) -> Any:
    return RegisteredModel.objects.visible_to(request.user).values("pk")


class ReadOnlyAdmin(ByRight):
    """Records that only the services write."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class OfAllModels(ReadOnlyAdmin):
    """The administration of rows that name models, for people who see all models."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) and permissions.may(
            request.user, Right.VIEW_ALL
        )

"""Roots in Django's administration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from discovery.admin.by_permission import ByRight
from discovery.admin.forms import RootForm
from discovery.engine.core.text import plural
from discovery.models import RegisteredModel, Root, SkippedPath
from discovery.services.settings import roots
from discovery.services.settings.editing import SettingsError

if TYPE_CHECKING:
    from django.contrib.auth.models import User

READ = ("name", "frozen_reason", "missing_count", "last_scan_at", "claim", "created_at")


@admin.register(Root)
class RootAdmin(ByRight):
    """A root that has models is disabled, not deleted: its models and all decisions stay."""

    form = RootForm
    list_display = ("path", "name", "enabled", "deep_every_days", "frozen_reason", "last_scan_at")
    list_filter = ("enabled",)
    search_fields = ("path", "name")
    fields = ("path", "name", "enabled", "deep_every_days", *READ[1:])
    readonly_fields = (*READ, "shown_path")
    actions = ("enable", "disable")
    delete_confirmation_template = "admin/delete_root.html"
    delete_selected_confirmation_template = "admin/delete_roots.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Root]:
        """Without what stands for models that other servers run: that is not a folder."""
        rows: QuerySet[Root] = super().get_queryset(request)
        return rows.exclude(path=Root.REMOTE)

    def own_history(self, obj: Model) -> str:
        return reverse("settings-history")

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """The path of a root that exists is changed where its models go with it."""
        return ("shown_path", *self.fields[1:]) if obj else self.fields

    @admin.display(description="path")
    def shown_path(self, root: Root) -> SafeString | str:
        if root.pk is None:
            return root.path
        return format_html(
            '{} – <a href="{}">Change path</a>', root.path, reverse("root-path", args=[root.pk])
        )

    def save_model(self, request: HttpRequest, obj: Root, form: Any, change: bool) -> None:
        """Written to the file as well, as from the Roots page."""
        if not change:
            self._add(request, obj)
            return
        super().save_model(request, obj, form, change)
        if "enabled" in form.changed_data:
            Root.objects.filter(pk=obj.pk).update(enabled=not obj.enabled)
            self._switch(request, [obj], on=obj.enabled)

    def _add(self, request: HttpRequest, obj: Root) -> None:
        by = cast("User", request.user)
        made = roots.add(obj.path, by=by)
        if not obj.enabled:
            roots.change(made, {"enabled": False}, by=by)
        Root.objects.filter(pk=made.pk).update(deep_every_days=obj.deep_every_days)
        obj.pk = made.pk

    def delete_model(self, request: HttpRequest, obj: Root) -> None:
        """It leaves the file as well: a scan would bring it back."""
        roots.remove(obj, forget=True, by=cast("User", request.user))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Root]) -> None:
        for root in queryset:
            self.delete_model(request, root)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            response: HttpResponse = super().add_view(request, form_url, extra_context)
        except SettingsError as error:
            self.message_user(request, f"The root was not added: {error}", messages.ERROR)
            return HttpResponseRedirect(reverse("admin:discovery_root_changelist"))
        return response

    @admin.action(description="Enable the selected roots", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Root]) -> None:
        self._tell(request, self._switch(request, queryset, on=True), "is scanned again")

    @admin.action(description="Disable the selected roots", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Root]) -> None:
        self._tell(request, self._switch(request, queryset, on=False), "is not scanned any more")

    def _switch(self, request: HttpRequest, rows: Any, *, on: bool) -> list[str]:
        """Return the paths of the roots that were switched; a fault of the file is told."""
        switched = []
        for root in rows:
            try:
                roots.change(root, {"enabled": on}, by=cast("User", request.user))
            except SettingsError as error:
                self.message_user(request, f"{root.path}: {error}", messages.ERROR)
            else:
                switched.append(root.path)
        return switched

    def _tell(self, request: HttpRequest, paths: list[str], what: str) -> None:
        for path in paths:
            self.message_user(
                request, f"{path} {what}. Its models stay registered.", messages.SUCCESS
            )

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method == "POST" and "disable" in request.POST:
            root = self.get_object(request, unquote(object_id))
            if root is not None and self.has_change_permission(request, root):
                self.disable(request, Root.objects.filter(pk=root.pk))
                return HttpResponseRedirect(reverse("admin:discovery_root_changelist"))
        try:
            response: HttpResponse = super().delete_view(request, object_id, extra_context)
        except SettingsError as error:
            self.message_user(request, f"The root was not deleted: {error}", messages.ERROR)
            return HttpResponseRedirect(reverse("admin:discovery_root_changelist"))
        return response

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """One sentence for each root that has models, however many they are."""
        kept = []
        for root in objs:
            if count := RegisteredModel.objects.filter(root=root).count():
                has = plural(count, "model is", "models are")
                kept.append(f"{root.path}: {has} registered in it.")
        if kept:
            return [], {}, set(), kept
        shown, counts, lacking, protected = super().get_deleted_objects(objs, request)
        return shown, counts, lacking - {SkippedPath._meta.verbose_name}, protected

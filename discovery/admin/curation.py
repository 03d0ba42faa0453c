"""Tags and saved views in Django's administration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from discovery.admin.by_permission import ByRight
from discovery.engine.core.service_words import TagColor
from discovery.models import Right, SavedView, Tag
from discovery.services.access import permissions
from discovery.services.bulk import tag_edits
from discovery.services.curation import saved_views

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class TagForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Tag
        fields = ("name", "colour")
        labels = {"colour": "Color"}

    def clean_name(self) -> str:
        name = " ".join(str(self.cleaned_data["name"]).split())
        if Tag.objects.filter(name=name).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(
                f"There is a tag {name} already. Merge the two on the Tags page, or choose another"
                " name."
            )
        return name

    def clean_colour(self) -> str:
        colour: str = self.cleaned_data["colour"]
        if self.instance.pk is None and not colour:
            raise forms.ValidationError("Choose a color: without one, an unused tag is removed.")
        return colour


@admin.register(Tag)
class TagAdmin(ByRight):
    """Renaming and deleting change every model that has the tag, in one batch that can be undone.

    They are for people who see every model.
    """

    form = TagForm
    list_display = ("name", "shown_colour", "shown_models")
    list_display_links = ("name",)
    search_fields = ("name",)
    list_per_page = 100

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) and _sees_all(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = super().has_change_permission(request, obj) and _sees_all(request)
        return may and permissions.may(request.user, Right.EDIT)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = super().has_delete_permission(request, obj) and _sees_all(request)
        return may and permissions.may(request.user, Right.EDIT)

    def save_model(self, request: HttpRequest, obj: Tag, form: Any, change: bool) -> None:
        by = cast("User", request.user)
        if not change:
            made = tag_edits.create(obj.name, obj.colour, by=by)
            obj.pk = made.pk
            return
        tag = Tag.objects.get(pk=obj.pk)
        if "colour" in form.changed_data:
            tag_edits.recolour(tag, obj.colour)
            tag.refresh_from_db()
        if "name" in form.changed_data:
            tag_edits.rename(tag, obj.name, by=by)

    def response_change(self, request: HttpRequest, obj: Tag) -> HttpResponse:
        """Back to the list: a tag that has another name is another row."""
        self.message_user(request, f"The tag {obj.name} was saved.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:discovery_tag_changelist"))

    def delete_model(self, request: HttpRequest, obj: Tag) -> None:
        tag_edits.delete(obj, by=cast("User", request.user))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Tag]) -> None:
        for tag in queryset:
            self.delete_model(request, tag)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """A tag goes from its models; no model goes with it."""
        shown = [f"{tag.name}: removed from every model that has it" for tag in objs]
        return shown, {"tags": len(shown)}, set(), []

    @admin.display(description="color", ordering="colour")
    def shown_colour(self, tag: Tag) -> str:
        return TagColor.label_of(tag.colour)

    @admin.display(description="models")
    def shown_models(self, tag: Tag) -> SafeString:
        address = reverse("admin:discovery_registeredmodel_changelist")
        return format_html('<a href="{}?{}">Show models</a>', address, urlencode({"tag": tag.name}))


def _sees_all(request: HttpRequest) -> bool:
    return permissions.may(request.user, Right.VIEW_ALL)


class SavedViewForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = SavedView
        fields = ("name", "shared")

    def clean_name(self) -> str:
        name = " ".join(str(self.cleaned_data["name"]).split())
        owned = SavedView.objects.filter(owner=self.instance.owner_id, name=name)
        if owned.exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(
                f"{self.instance.owner} has a view called {name} already. Choose another name."
            )
        return name


@admin.register(SavedView)
class SavedViewAdmin(ByRight):
    """One's own views and those that are shared; others are their owners' alone."""

    form = SavedViewForm
    fields = ("name", "shared", "owner", "shown_query", "created_at")
    readonly_fields = ("owner", "shown_query", "created_at")
    list_display = ("name", "owner", "shared", "shown_query")
    list_filter = ("shared",)
    list_select_related = ("owner",)
    search_fields = ("name", "owner__username")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SavedView]:
        seen = saved_views.visible_to(cast("User", request.user)).values("pk")
        rows: QuerySet[SavedView] = super().get_queryset(request)
        return rows.filter(pk__in=seen)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: SavedView, form: Any, change: bool) -> None:
        values = {name: getattr(obj, name) for name in form.changed_data}
        view = SavedView.objects.get(pk=obj.pk)
        saved_views.change(view, cast("User", request.user), **values)

    @admin.display(description="filter")
    def shown_query(self, view: SavedView) -> SafeString:
        return format_html(
            '<a href="{}?{}">{}</a>', reverse("models"), view.query, view.query or "All models"
        )

"""Django's administration, where no form overwrites what its person has not seen.

Every change form, of our models, of Django's own and of whatever another app registers, brings
along what each field showed. What was not touched is never written; what somebody else has changed
meanwhile is asked about.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.apps import AdminConfig
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.html import format_html

KEEP = "keep-"
#: Changes that the front page shows.
LATEST = 10


class Shown(forms.MultipleHiddenInput):
    """The choices that a multiple-choice field showed, recorded even where none was selected."""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        return super().get_context(name, ["", *(value or [])], attrs)

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        return [each for each in super().value_from_datadict(data, files, name) or [] if each]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return name not in data


class Compares:
    """A mixin for model forms that detects conflicting changes.

    ``conflicts`` are the fields that somebody else has changed since they were shown.
    """

    fields: dict[str, Any]
    data: Any
    files: Any
    instance: Any
    is_bound: bool
    cleaned_data: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conflicts: list[str] = []
        if self.instance.pk is None:
            return
        for name, field in self.fields.items():
            if field.disabled:
                continue
            if issubclass(field.hidden_widget, forms.MultipleHiddenInput):
                field.hidden_widget = Shown
            field.show_hidden_initial = (
                not self.is_bound
                or not field.hidden_widget().value_omitted_from_data(
                    self.data, self.files, self._place(name)
                )
            )

    def _place(self, name: str) -> str:
        place: str = self[name].html_initial_name  # type: ignore[index]
        return place

    @cached_property
    def changed_data(self) -> list[str]:
        """Without the fields whose person keeps what somebody else has set."""
        changed: list[str] = super().changed_data  # type: ignore[misc]
        return [name for name in changed if f"{KEEP}{name}" not in self.data]

    def clean(self) -> dict[str, Any]:
        super().clean()  # type: ignore[misc]
        if self.instance.pk is not None:
            for name, field in self.fields.items():
                if field.show_hidden_initial and name in self.changed_data:
                    self._compare(name, field)
            for name in self.cleaned_data.keys() - set(self.changed_data):
                del self.cleaned_data[name]  # what is not among the cleaned values is not written
        return self.cleaned_data

    def _compare(self, name: str, field: forms.Field) -> None:
        bound = self[name]  # type: ignore[index]
        shown = field.hidden_widget().value_from_datadict(
            self.data, self.files, bound.html_initial_name
        )
        now = self.get_initial_for_field(field, name)  # type: ignore[attr-defined]
        if not field.has_changed(now, shown) or not field.has_changed(now, bound.data):
            return
        self.conflicts.append(name)
        text = format_html(
            "Somebody else has set this to “{}” since you opened the page; you have entered “{}”. "
            "Save again to use yours. "
            '<label><input type="checkbox" name="{}"> Keep theirs</label>',
            _in_words(field, field.prepare_value(now)), _in_words(field, bound.data),
            f"{KEEP}{name}",
        )  # fmt: skip
        self.add_error(name, text)  # type: ignore[attr-defined]
        self._show_anew(bound, field.prepare_value(now))

    def _show_anew(self, bound: Any, now: Any) -> None:
        """Record that the form now shows the current values."""
        data = self.data.copy()
        widget = bound.field.hidden_widget()
        if isinstance(widget, Shown):
            data.setlist(bound.html_initial_name, ["", *map(str, now or [])])
        elif isinstance(widget, forms.MultiWidget):
            for number, part in enumerate(widget.decompress(now) or ()):
                data[f"{bound.html_initial_name}_{number}"] = "" if part is None else str(part)
        else:
            data[bound.html_initial_name] = "" if now is None else str(now)
        self.data = data


def _in_words(field: Any, value: Any) -> str:
    """A value as people know it: choices by their words."""
    values = [
        item
        for item in (value if isinstance(value, list | tuple) else [value])
        if item not in (None, "")
    ]
    words = (
        {str(key): str(word) for key, word in getattr(field, "choices", ()) or ()} if values else {}
    )
    return ", ".join(words.get(str(item), str(item)) for item in values) or "nothing"


class ComparingAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Mixed into the administration of every model."""

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        return (
            type(form.__name__, (Compares, form), {})
            if change and not issubclass(form, Compares)
            else form
        )

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Lock the object while it is changed.

        The values that are compared are then those that are overwritten.
        """
        found = super().get_object(request, object_id, from_field)
        if (
            found is None
            or request.method != "POST"
            or not transaction.get_connection().in_atomic_block
        ):
            return found
        list(
            self.model._default_manager.select_for_update(of=("self",))
            .filter(pk=found.pk)
            .values_list("pk")
        )
        return super().get_object(request, object_id, from_field)

    def own_history(self, obj: Model) -> str:
        """Return the address of the history that services keep; empty: Django keeps one."""
        return ""

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        return None if self.own_history(obj) else super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Nothing is logged where nothing changed, and nothing twice."""
        request.nothing_changed = not message  # type: ignore[attr-defined]
        if not message or self.own_history(obj):
            return None
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        rows: Any = [obj for obj in queryset if not self.own_history(obj)]
        return super().log_deletions(request, rows) if rows else None

    def message_user(
        self,
        request: HttpRequest,
        message: Any,
        level: int | str = messages.INFO,
        extra_tags: str = "",
        fail_silently: bool = False,
    ) -> None:
        if level == messages.SUCCESS and getattr(request, "nothing_changed", False):
            message, level = "Nothing was changed.", messages.INFO
        super().message_user(request, message, level, extra_tags, fail_silently)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        obj = self.get_object(request, unquote(object_id))
        address = self.own_history(obj) if obj and self.has_view_permission(request, obj) else ""
        if address:
            return HttpResponseRedirect(address)
        response: HttpResponse = super().history_view(request, object_id, extra_context)
        return response

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        if not change or not isinstance(form, Compares):
            super().save_model(request, obj, form, change)
            return
        columns = {field.name for field in obj._meta.concrete_fields}
        obj.save(update_fields=[*_written(form.changed_data, columns)])

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().changeform_view(request, *args, **kwargs)
        if isinstance(response, TemplateResponse) and response.context_data:
            shown = response.context_data.get("adminform")
            if shown is not None and getattr(shown.form, "conflicts", None):
                response.status_code = 409
        return response


def _written(names: Iterable[str], columns: Iterable[str]) -> list[str]:
    return [name for name in names if name in set(columns)]


#: Django's own names of applications and tables → what pages call them.
CALLED = {"auth": "Users and groups", "discovery": "Registry", "ApiToken": "API tokens"}


class Site(admin.AdminSite):
    """The administration whose every change form compares."""

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        apps = super().get_app_list(request, app_label)
        for app in apps:
            app["name"] = CALLED.get(app["app_label"], app["name"])
            for table in app["models"]:
                table["name"] = CALLED.get(table["object_name"], table["name"])
        return apps

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        wanted = admin_class or admin.ModelAdmin
        if not issubclass(wanted, ComparingAdmin):
            wanted = type(
                wanted.__name__, (wanted, ComparingAdmin), {"__module__": wanted.__module__}
            )
        super().register(model_or_iterable, wanted, **options)

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """The front page, with what this person changed last by our own history."""
        # Models load after the administration.
        from discovery.models import MetadataChange, RegisteredModel
        from discovery.words import FIELD_LABELS

        seen = RegisteredModel.objects.visible_to(request.user).values("pk")
        mine = MetadataChange.objects.filter(by=request.user.pk, model__in=seen)
        columns = ("field", "at", "model__model_id", "model__name", "model__display_name")
        rows = mine.select_related("model").order_by("-pk").only(*columns)[:LATEST]
        latest = [(row, FIELD_LABELS.get(row.field, row.field)) for row in rows]
        return super().index(request, {"latest_changes": latest, **(extra_context or {})})


class Config(AdminConfig):
    default_site = "discovery.site.Site"

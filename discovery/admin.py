"""Django's administration of the registry.

What scans write is shown, not edited; what people decide goes through the services.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.utils import display_for_value
from django.contrib.auth import get_permission_codename
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from discovery import admin_accounts as admin_accounts
from discovery.engine.core.fields import grouped
from discovery.engine.core.text import human_bytes, plural
from discovery.engine.core.vocabulary import ModelType, Status
from discovery.forms import (
    INLINE,
    PREFIX,
    CollectionForm,
    InlineForm,
    InlineFormWithoutAccess,
    RegisteredModelForm,
    RootForm,
)
from discovery.models import (
    Collection,
    Finding,
    LogEntry,
    MetadataChange,
    RegisteredModel,
    Right,
    Root,
    ScanRun,
    Skipped,
)
from discovery.models.registry import seen_by, sees_all
from discovery.services.access import permissions
from discovery.services.bulk.operations import KINDS
from discovery.services.curation import collections
from discovery.services.metadata import metadata
from discovery.services.registry.deregistration import forget
from discovery.services.transfer import exports

admin.site.site_header = "Karen Admin"
admin.site.site_title = "Karen Admin"
admin.site.index_title = "Administration"

#: Kind of bulk edit → what its action is called.
_ACTIONS = {
    "metadata": "Change metadata", "tags": "Add and remove tags", "category": "Set the category",
    "visibility": "Set who may see them",
    "collection": "Put into collections, take out", "validate": "Validate",
}  # fmt: skip
#: Kind of bulk edit → the question of ``RegisteredModelAdmin`` that decides whether it is offered.
_ASKS = {"visibility": "grant", "collection": "collect", "validate": "validate"}
#: Models that the page before a bulk edit names.
MAX_NAMED = 20

SCANNED = (
    "model_id", "name", "root", "path", "shown_status", "format", "size", "file_count",
    "shown_problems", "modified_at", "added_at", "changed_at",
    "missing_since",
)  # fmt: skip


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


def _seen_models(request: HttpRequest) -> Any:
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
    """Its rows name models whoever they are shared with: it is for those who see them all."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) and permissions.may(
            request.user, Right.VIEW_ALL
        )


def _in_bulk(kind: str) -> Callable[..., HttpResponse]:
    """An action that hands the chosen models to the bulk page, where they are changed as from the
    Models page.
    """

    def action(
        modeladmin: admin.ModelAdmin[RegisteredModel],
        request: HttpRequest,
        queryset: QuerySet[RegisteredModel],
    ) -> HttpResponse:
        ids = list(queryset.order_by("pk").values_list("model_id", flat=True))
        context = {
            **modeladmin.admin_site.each_context(request),
            "opts": modeladmin.model._meta,
            "title": f"{_ACTIONS[kind]} of {plural(len(ids), 'model')}",
            "kind": kind,
            "ids": " ".join(ids),
            "named": queryset.order_by("pk")[:MAX_NAMED],
            "unnamed": max(len(ids) - MAX_NAMED, 0),
        }
        return TemplateResponse(request, "admin/bulk.html", context)

    action.__name__ = f"bulk_{kind}"
    return admin.action(
        action, description=f"{_ACTIONS[kind]}…", permissions=[_ASKS.get(kind, "change")]
    )


def _export_as(form: str) -> Callable[..., StreamingHttpResponse]:
    """An action that streams the chosen models as a file; the same service as the Models page's, so
    that every export can be imported.

    django-import-export would write through model forms of its own, past the one road of changes,
    and keep each file in memory.
    """

    def action(
        _: admin.ModelAdmin[RegisteredModel],
        request: HttpRequest,
        queryset: QuerySet[RegisteredModel],
    ) -> StreamingHttpResponse:
        pieces, kind = exports.FORMATS[form]
        rows = (
            RegisteredModel.objects.visible_to(request.user)
            .filter(pk__in=queryset.order_by().values("pk"))
            .order_by("sort_name", "pk")
        )
        headers = {"Content-Disposition": f'attachment; filename="models.{form}"'}
        return StreamingHttpResponse(pieces(rows), content_type=kind, headers=headers)

    action.__name__ = f"export_{form}"
    return admin.action(action, description=f"Export as {form.upper()}", permissions=["view"])


@admin.register(RegisteredModel)
class RegisteredModelAdmin(ByRight):
    form = RegisteredModelForm
    list_display = (
        "title",
        "shown_type",
        "format",
        "shown_status",
        "visibility",
        "license",
        "size",
        "root",
    )
    list_editable = INLINE
    actions = [*(_in_bulk(kind) for kind in KINDS), *(_export_as(form) for form in exports.FORMATS)]
    change_list_template = "admin/models.html"
    delete_confirmation_template = "admin/forget.html"
    delete_selected_confirmation_template = "admin/forget_selected.html"
    list_filter = (
        "status",
        "type",
        "format",
        "visibility",
        "root",
        "primary",
    )
    list_select_related = ("root",)
    list_per_page = 50
    list_max_show_all = 100  # each row is four fields of a form, and a form has at most a thousand
    show_full_result_count = False
    search_fields = ("name", "display_name", "path", "model_id")
    search_help_text = "Name, display name, path or model ID"
    ordering = ("name", "pk")
    readonly_fields = SCANNED

    def get_queryset(self, request: HttpRequest) -> QuerySet[RegisteredModel]:
        rows: QuerySet[RegisteredModel] = super().get_queryset(request)
        return rows.filter(seen_by(request.user)).defer("files", "variants")

    def get_fieldsets(self, request: HttpRequest, obj: RegisteredModel | None = None) -> Any:
        """The groups of the Metadata tab between access and what only scans write."""
        curated: list[tuple[str, dict[str, Any]]] = [
            (group, {"fields": [PREFIX + field.name for field in fields if field.editable]})
            for group, fields in grouped().items()
            if not fields[0].hosted or (obj and obj.is_hosted)
        ]
        curated[0][1]["description"] = "A field that is empty is filled in from the files."
        return [
            ("Who may see it", {"fields": ("visibility", "groups", "collections")}),
            *curated,
            ("What the last scan read", {"fields": SCANNED}),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        may_import = permissions.may_all(request.user, permissions.IMPORTING)
        return super().changelist_view(request, {**(extra_context or {}), "may_import": may_import})

    def has_grant_permission(self, request: HttpRequest) -> bool:
        return permissions.may(request.user, Right.GRANT)

    def has_collect_permission(self, request: HttpRequest) -> bool:
        return permissions.may(request.user, Right.CHANGE_COLLECTION)

    def has_validate_permission(self, request: HttpRequest) -> bool:
        return permissions.may(request.user, Right.VALIDATE)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        """Who sees a model is a right of its own; collections may give access, so they go
        with it.
        """
        grants = self.has_grant_permission(request)
        fixed = () if grants else ("visibility", "groups")
        return (
            *self.readonly_fields,
            *fixed,
            *(() if grants and self.has_collect_permission(request) else ("collections",)),
        )

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return InlineForm if self.has_grant_permission(request) else InlineFormWithoutAccess

    def save_model(
        self,
        request: HttpRequest,
        obj: RegisteredModel,
        form: RegisteredModelForm | InlineForm,
        change: bool,
    ) -> None:
        """Of the form and of a row of the list alike: through the service, which keeps the
        history.
        """
        changes = form.changes()
        if changes:
            metadata.edit(obj, changes, by=cast("User", request.user), through="admin")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Groups and collections are written with the rest, by the service."""

    def delete_model(self, request: HttpRequest, obj: RegisteredModel) -> None:
        forget(obj, by=cast("User", request.user), through="admin")

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[RegisteredModel]) -> None:
        for record in queryset:
            self.delete_model(request, record)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """What the bulk page offers, and forgetting in its own words."""
        actions: dict[str, Any] = super().get_actions(request)
        if "delete_selected" in actions:
            function, name, _ = actions.pop("delete_selected")
            actions["delete_selected"] = (
                function,
                name,
                "Forget the chosen models (their files stay)",
            )
        return actions

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """To forget a model is to forget its changes and findings too, which nobody may delete by
        themselves.
        """
        shown, counts, lacking, protected = super().get_deleted_objects(objs, request)
        return (
            shown,
            counts,
            lacking - {MetadataChange._meta.verbose_name, Finding._meta.verbose_name},
            protected,
        )

    def view_on_site(self, obj: RegisteredModel) -> str:
        return reverse("model", args=[obj.model_id])

    @admin.display(description="runs with", ordering="type")
    def shown_type(self, record: RegisteredModel) -> str:
        return ModelType.label_of(record.type)

    @admin.display(description="status", ordering="status")
    def shown_status(self, record: RegisteredModel) -> str:
        return Status.label_of(record.status)

    @admin.display(description="size", ordering="size_bytes")
    def size(self, record: RegisteredModel) -> str:
        return human_bytes(record.size_bytes)

    @admin.display(description="problems")
    def shown_problems(self, record: RegisteredModel) -> SafeString | str:
        return (
            format_html_join(
                "", "<div>{}</div>", ((problem["message"],) for problem in record.problems)
            )
            or "None"
        )


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
            rows = rows.filter(model__in=_seen_models(request))
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
            rows = rows.filter(model__in=_seen_models(request))
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

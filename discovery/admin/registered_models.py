"""Models in Django's administration: the list, the form and the actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from discovery.admin.by_permission import ByRight
from discovery.admin.filters import Edited, Missing, Quarantined, catalogue_filters
from discovery.admin.forms import (
    INLINE,
    PREFIX,
    InlineForm,
    InlineFormWithoutAccess,
    RegisteredModelForm,
)
from discovery.engine.core import format_registry
from discovery.engine.core.fields import grouped
from discovery.engine.core.text import human_bytes, plural
from discovery.engine.core.vocabulary import ModelType, Status
from discovery.models import Finding, MetadataChange, RegisteredModel, Right
from discovery.models.registry import seen_by
from discovery.services.access import permissions
from discovery.services.access.redaction import Sight
from discovery.services.bulk.operations import KINDS
from discovery.services.metadata import metadata
from discovery.services.registry import aliases
from discovery.services.registry.deregistration import forget
from discovery.services.search.model_filters import ModelFilters
from discovery.services.search.model_search import listed
from discovery.services.transfer.export_formats import FORMATS

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
    "model_id", "shown_aliases", "name", "root", "path", "shown_status", "shown_format", "size",
    "file_count",
    "shown_problems", "modified_at", "added_at", "changed_at",
    "missing_since",
)  # fmt: skip


def _in_bulk(kind: str) -> Callable[..., HttpResponse]:
    """Return an action that passes the selected models to the bulk page.

    They are changed there as from the Models page.
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
    """Return an action that streams the selected models as a file.

    It uses the same service as the Models page, so that every export can be imported.

    django-import-export would write through model forms of its own, without the history of changes,
    and keep each file in memory.
    """

    def action(
        _: admin.ModelAdmin[RegisteredModel],
        request: HttpRequest,
        queryset: QuerySet[RegisteredModel],
    ) -> StreamingHttpResponse:
        chosen = FORMATS[form]
        rows = (
            RegisteredModel.objects.visible_to(request.user)
            .filter(pk__in=queryset.order_by().values("pk"))
            .order_by("sort_name", "pk")
        )
        pieces = chosen.write(rows, Sight(request.user))
        return StreamingHttpResponse(pieces, headers=chosen.headers())

    action.__name__ = f"export_{form.replace('-', '_')}"
    label = FORMATS[form].label
    return admin.action(action, description=f"Export as {label}", permissions=["view"])


@admin.register(RegisteredModel)
class RegisteredModelAdmin(ByRight):
    form = RegisteredModelForm
    list_display = (
        "title",
        "shown_type",
        "shown_format",
        "shown_status",
        "visibility",
        "license",
        "size",
        "root",
    )
    list_editable = INLINE
    actions = [*(_in_bulk(kind) for kind in KINDS), *(_export_as(form) for form in FORMATS)]
    change_list_template = "admin/models.html"
    delete_confirmation_template = "admin/forget.html"
    delete_selected_confirmation_template = "admin/forget_selected.html"
    list_filter = (*catalogue_filters(), Edited, Quarantined, Missing)
    show_facets = admin.ShowFacets.NEVER  # the filters count by themselves
    list_select_related = ("root",)
    list_per_page = 50
    list_max_show_all = 100  # each row is four fields of a form, and a form has at most a thousand
    show_full_result_count = False
    search_fields = ("name",)
    search_help_text = (
        "As on the Models page: words, license:mit, size:>10GB, -tag:old; also a model ID."
    )
    ordering = ("name", "pk")
    readonly_fields = SCANNED

    def get_queryset(self, request: HttpRequest) -> QuerySet[RegisteredModel]:
        rows: QuerySet[RegisteredModel] = super().get_queryset(request)
        return rows.filter(seen_by(request.user)).defer("files", "variants")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[RegisteredModel], search_term: str
    ) -> tuple[QuerySet[RegisteredModel], bool]:
        """The search language of the Models page; a model ID and an alias find their model too.

        What is not understood finds nothing, and says so.
        """
        filters = ModelFilters.read(urlencode({"q": search_term}))
        if not filters.text:
            return queryset, False
        for fault in filters.faults:
            text = f"The search was not understood: {fault.term}: {fault.reason}."
            self.message_user(request, text, messages.WARNING)
        by_text = Q(pk__in=listed(request.user, filters).values("pk"))
        by_id = aliases.named([search_term.strip()])
        return queryset.filter(by_text | by_id), False

    @admin.display(description="Aliases")
    def shown_aliases(self, record: RegisteredModel) -> str:
        return ", ".join(each.alias for each in record.aliases.all()) or "none"

    def get_fieldsets(self, request: HttpRequest, obj: RegisteredModel | None = None) -> Any:
        """The groups of the Metadata tab between access and what only scans write."""
        curated: list[tuple[str, dict[str, Any]]] = [
            (group, {"fields": [PREFIX + field.name for field in fields if field.editable]})
            for group, fields in grouped().items()
            if not fields[0].hosted or (obj and obj.is_hosted)
        ]
        curated[0][1]["description"] = "Leave a field empty to use the detected value."
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
        """Return the fields that this person may not change.

        Deciding who sees a model is a right of its own; collections may give access, so they need
        it too.
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
        """Save the form or a row of the list through the service, which keeps the history."""
        changes = form.changes()
        if changes:
            metadata.edit(obj, changes, by=cast("User", request.user), channel="admin")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Groups and collections are written with the rest, by the service."""

    def delete_model(self, request: HttpRequest, obj: RegisteredModel) -> None:
        forget(obj, by=cast("User", request.user), channel="admin")

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
        """Allow deleting a model with its changes and findings.

        They cannot be deleted separately, which would otherwise forbid it.
        """
        shown, counts, lacking, protected = super().get_deleted_objects(objs, request)
        return (
            shown,
            counts,
            lacking - {MetadataChange._meta.verbose_name, Finding._meta.verbose_name},
            protected,
        )

    def own_history(self, obj: Model) -> str:
        return reverse("model-history", args=[cast("RegisteredModel", obj).model_id])

    def view_on_site(self, obj: RegisteredModel) -> str:
        return reverse("model", args=[obj.model_id])

    @admin.display(description="runs with", ordering="type")
    def shown_type(self, record: RegisteredModel) -> str:
        return ModelType.label_of(record.type)

    @admin.display(description="format", ordering="format")
    def shown_format(self, record: RegisteredModel) -> str:
        return format_registry.label(record.format) if record.format else "No weights"

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

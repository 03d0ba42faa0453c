"""API tokens and webhooks in Django's administration. Neither shows a secret."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from discovery.admin.by_permission import ByRight, ReadOnlyAdmin
from discovery.engine.core.text import plural
from discovery.models import ApiToken, Right, Webhook
from discovery.services.access import permissions
from discovery.services.integrations import api_tokens, webhooks


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """Tokens are created on the API tokens page, which shows them once; here they are revoked."""

    list_display = (
        "name",
        "user",
        "shown_prefix",
        "scope",
        "created_at",
        "expires_at",
        "last_used_at",
        "shown_state",
    )
    list_filter = ("scope", ("revoked_at", admin.EmptyFieldListFilter))
    list_select_related = ("user",)
    search_fields = ("name", "user__username", "prefix")
    exclude = ("digest",)
    actions = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        rows: QuerySet[ApiToken] = super().get_queryset(request)
        return rows if self.has_revoke_permission(request) else rows.filter(user=request.user.pk)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return permissions.may(request.user, Right.TOKENS)

    @admin.action(description="Revoke the selected tokens", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        count = sum(api_tokens.revoke(row) for row in queryset)
        level = messages.SUCCESS if count else messages.INFO
        self.message_user(request, f"{plural(count, 'token was', 'tokens were')} revoked.", level)

    @admin.display(description="begins with", ordering="prefix")
    def shown_prefix(self, token: ApiToken) -> str:
        return f"{token.prefix}…"

    @admin.display(description="state", ordering="revoked_at")
    def shown_state(self, token: ApiToken) -> str:
        if token.revoked_at:
            return "Revoked"
        return "Expired" if token.is_expired else "Valid"


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Webhook
        fields = ("enabled",)


@admin.register(Webhook)
class WebhookAdmin(ByRight):
    """Webhooks are created on the Webhooks page, which shows their secret.

    Here they are switched and deleted.
    """

    form = WebhookForm
    fields = ("url", "shown_events", "enabled", "created_by", "created_at")
    readonly_fields = ("url", "shown_events", "created_by", "created_at")
    list_display = ("url", "shown_events", "enabled", "created_by", "created_at")
    list_filter = ("enabled",)
    list_select_related = ("created_by",)
    search_fields = ("url",)
    actions = ("enable", "disable")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Webhook, form: Any, change: bool) -> None:
        if "enabled" in form.changed_data:
            webhooks.switch(obj, on=obj.enabled)

    def delete_model(self, request: HttpRequest, obj: Webhook) -> None:
        webhooks.delete(obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Its deliveries go with it, and cannot be deleted by themselves."""
        shown = [f"{hook.url}, with its deliveries" for hook in objs]
        return shown, {"webhooks": len(shown)}, set(), []

    @admin.action(description="Enable the selected webhooks", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        self._switch(request, queryset, on=True)

    @admin.action(description="Disable the selected webhooks", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        self._switch(request, queryset, on=False)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Webhook], *, on: bool) -> None:
        for hook in queryset:
            webhooks.switch(hook, on=on)
        count = plural(queryset.count(), "webhook is", "webhooks are")
        self.message_user(request, f"{count} {'enabled' if on else 'disabled'}.", messages.SUCCESS)

    @admin.display(description="events")
    def shown_events(self, hook: Webhook) -> str:
        return ", ".join(webhooks.EVENTS.get(event, event) for event in hook.events)

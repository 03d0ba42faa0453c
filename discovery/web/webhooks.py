"""The Webhooks page for administrators: receivers, events and deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_http_methods, require_POST

from discovery.engine.core.service_words import DeliveryState
from discovery.models import Right, Webhook, WebhookDelivery
from discovery.services.integrations import webhooks
from discovery.web.shared import once
from discovery.web.shared.shortcuts import needs, numbered, page_or_partial, require

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PAGE_SIZE = 50


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.VIEW_WEBHOOKS, Right.VIEW_ALL)
def index(request: HttpRequest) -> HttpResponse:
    context: dict[str, Any] = {"given": {"events": list(webhooks.EVENTS)}}
    status = 200
    if request.method == "POST":
        require(request, Right.ADD_WEBHOOK)
        url, events = request.POST.get("url", ""), request.POST.getlist("events")
        try:
            hook = webhooks.create(url, events, by=cast("User", request.user))
            return once.hand_over(
                request, redirect("webhooks"), {"url": hook.url, "secret": hook.secret}
            )
        except webhooks.WebhookError as error:
            context, status = {"given": {"url": url, "events": events}, "error": str(error)}, 422
    newest = (
        WebhookDelivery.objects.filter(webhook=OuterRef("pk")).order_by("-pk").values("state")[:1]
    )
    deliveries = WebhookDelivery.objects.select_related("webhook").defer("body")
    context |= {
        "made": once.take(request),
        "events": webhooks.EVENTS,
        "hooks": [
            (hook, DeliveryState.tone_of(hook.last))
            for hook in Webhook.objects.annotate(last=Subquery(newest))
        ],
        "page": numbered(request, deliveries, PAGE_SIZE),
    }
    return once.forget(
        request,
        page_or_partial(request, "discovery/webhooks.html", "results", context, status=status),
    )


@require_POST
@needs(Right.VIEW_WEBHOOKS, Right.VIEW_ALL)
def action(request: HttpRequest, pk: int) -> HttpResponse:
    """One of a webhook's buttons: ``action`` says which."""
    hook = get_object_or_404(Webhook, pk=pk)
    action = request.POST.get("action", "")
    require(request, Right.DELETE_WEBHOOK if action == "delete" else Right.CHANGE_WEBHOOK)
    if action == "test":
        webhooks.ping(hook)
        messages.success(request, "Test message sent. Its delivery is listed below.")
    elif action in ("on", "off"):
        webhooks.switch(hook, on=action == "on")
        messages.success(
            request,
            f"{hook.url} is told"
            f" {'again' if action == 'on' else 'nothing until you switch it on again'}.",
        )
    elif action == "delete":
        webhooks.delete(hook)
        messages.success(request, f"{hook.url} is told nothing any more.")
    else:
        messages.error(request, "That is not something that can be done here.")
    return redirect("webhooks")

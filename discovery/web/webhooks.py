"""The Webhooks page: who is told what, and what became of each message. For administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from discovery.models import Webhook, WebhookDelivery
from discovery.services import webhooks
from discovery.web.pages import numbered, page_or_partial, staff_only

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PAGE_SIZE = 50

#: State of a delivery → how it looks.
TONES = {"waiting": "accent", "delivered": "ok", "failed": "bad"}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_only
def index(request: HttpRequest) -> HttpResponse:
    context: dict[str, Any] = {"given": {"events": list(webhooks.EVENTS)}}
    status = 200
    if request.method == "POST":
        url, events = request.POST.get("url", ""), request.POST.getlist("events")
        try:
            context["made"] = webhooks.create(url, events, by=cast("User", request.user))
        except webhooks.NotMade as error:
            context, status = {"given": {"url": url, "events": events}, "error": str(error)}, 422
    newest = (
        WebhookDelivery.objects.filter(webhook=OuterRef("pk")).order_by("-pk").values("state")[:1]
    )
    deliveries = WebhookDelivery.objects.select_related("webhook").defer("body")
    context |= {
        "section": "webhooks",
        "events": webhooks.EVENTS,
        "hooks": [
            (hook, TONES.get(hook.last, "plain"))
            for hook in Webhook.objects.annotate(last=Subquery(newest))
        ],
        "page": numbered(request, deliveries, PAGE_SIZE),
        "tones": TONES,
    }
    return page_or_partial(request, "discovery/webhooks.html", "results", context, status=status)


@require_POST
@staff_only
def act(request: HttpRequest, pk: int) -> HttpResponse:
    """One of a webhook's buttons: ``action`` says which."""
    hook = get_object_or_404(Webhook, pk=pk)
    action = request.POST.get("action", "")
    if action == "test":
        webhooks.ping(hook)
        messages.success(
            request, "A test message is on its way. What becomes of it is listed below."
        )
    elif action in ("on", "off"):
        webhooks.switch(hook, on=action == "on")
        messages.success(
            request,
            f"{hook.url} is told {'again' if action == 'on' else 'nothing until you switch it on again'}.",
        )
    elif action == "delete":
        webhooks.delete(hook)
        messages.success(request, f"{hook.url} is told nothing any more.")
    else:
        messages.error(request, "That is not something that can be done here.")
    return redirect("webhooks")

"""``/tokens`` and ``/webhooks``: what programs come with, and whom they are told by."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Path, Query, Router, Status

from discovery.api import integrations_schemas as schemas
from discovery.api import paging
from discovery.api.authentication import READ, Access, caller_of
from discovery.api.errors import ApiError
from discovery.api.inputs import Key
from discovery.api.preconditions import etag, require_seen
from discovery.engine.core.service_words import TokenScope
from discovery.models import ApiToken, Right, Webhook, WebhookDelivery
from discovery.services.integrations import api_tokens, webhooks

router = Router(tags=["Integrations"])

_HOOKS = (Right.VIEW_WEBHOOKS, Right.VIEW_ALL)
HOOKS = Access(TokenScope.READ, *_HOOKS)
ADD_HOOK = Access(TokenScope.ADMIN, *_HOOKS, Right.ADD_WEBHOOK)
CHANGE_HOOK = Access(TokenScope.ADMIN, *_HOOKS, Right.CHANGE_WEBHOOK)
DELETE_HOOK = Access(TokenScope.ADMIN, *_HOOKS, Right.DELETE_WEBHOOK)


def _tokens(request: HttpRequest) -> QuerySet[ApiToken]:
    """One's own; who looks after tokens gets everybody's."""
    caller, rows = caller_of(request), ApiToken.objects.select_related("user")
    return rows if caller.may(Right.TOKENS) else rows.filter(user=caller.person)


def _token(row: ApiToken) -> dict[str, Any]:
    return {
        "token_id": row.pk,
        "name": row.name,
        "user": row.user.get_username(),
        "prefix": row.prefix,
        "scope": row.scope,
        "is_valid": row.is_valid,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
        "revoked_at": row.revoked_at,
    }


@router.get(
    "/tokens",
    auth=READ,
    response=schemas.Tokens,
    operation_id="list_tokens",
    summary="API tokens",
)
def tokens(request: HttpRequest, query: Query[paging.Paged]) -> dict[str, Any]:
    """Your own, the newest first; administrators get everybody's."""
    return paging.numbered(request, _tokens(request), query, _token)


@router.get(
    "/tokens/{token_id}",
    auth=READ,
    response=schemas.TokenRow,
    operation_id="get_token",
    summary="One API token",
)
def token(request: HttpRequest, token_id: Path[Key]) -> dict[str, Any]:
    """Without the token itself."""
    return _token(_of(_tokens(request), token_id, "API token"))


@router.post(
    "/tokens",
    auth=Access(TokenScope.WRITE),
    response={201: schemas.MadeToken},
    operation_id="create_token",
    summary="Create an API token",
)
def create_token(
    request: HttpRequest, payload: schemas.NewToken, response: HttpResponse
) -> Status[dict[str, Any]]:
    """For yourself. The answer has the token itself, and nothing else ever does."""
    caller = caller_of(request)
    if not caller.has(payload.scope):
        text = f"This call has the scope {caller.scope}: it makes no token with {payload.scope}."
        raise ApiError(403, text, errors=[(("body", "scope"), f"is at most {caller.scope}")])
    try:
        expires = api_tokens.expiry(payload.days) if payload.days else None
        row, made = api_tokens.create(
            caller.person, payload.name, payload.scope, expires_at=expires
        )
    except api_tokens.TokenError as error:
        raise ApiError(422, str(error)) from None
    response["Location"] = request.build_absolute_uri(reverse("api:get_token", args=[row.pk]))
    return Status(201, {**_token(row), "token": made})


@router.post(
    "/tokens/{token_id}/revoke",
    auth=Access(TokenScope.WRITE),
    response=schemas.Revoked,
    operation_id="revoke_token",
    summary="Revoke an API token",
)
def revoke_token(request: HttpRequest, token_id: Path[Key]) -> dict[str, Any]:
    """Whoever uses it is refused from now on.

    The token that this call comes with is not revoked by itself: 409.
    """
    row = _of(_tokens(request), token_id, "API token")
    if caller_of(request).key == f"token:{row.pk}":
        raise ApiError(409, "This call comes with that token: revoke it with another one.")
    return {"token_id": row.pk, "revoked": api_tokens.revoke(row)}


def _of(rows: QuerySet[Any], key: int, name: str) -> Any:
    row = rows.filter(pk=key).first()
    if row is None:
        raise Http404(f"There is no {name} {key}.")
    return row


# -- webhooks


def _hooks() -> QuerySet[Webhook]:
    newest = WebhookDelivery.objects.filter(webhook=OuterRef("pk")).order_by("-pk")
    rows = Webhook.objects.select_related("created_by")
    return rows.annotate(last=Subquery(newest.values("state")[:1]))


def _hook(row: Any) -> dict[str, Any]:
    return {
        "webhook_id": row.pk,
        "url": row.url,
        "events": row.events,
        "enabled": row.enabled,
        "created_by": row.created_by.get_username() if row.created_by else None,
        "created_at": row.created_at,
        "last_delivery": row.last or None,
    }


@router.get(
    "/webhooks",
    auth=HOOKS,
    response=schemas.Webhooks,
    operation_id="list_webhooks",
    summary="Webhooks",
)
def hooks(request: HttpRequest, query: Query[paging.Paged]) -> dict[str, Any]:
    """Each with its events, and how its newest message stands."""
    return paging.numbered(request, _hooks(), query, _hook)


@router.get(
    "/webhooks/deliveries",
    auth=HOOKS,
    response=schemas.DeliveryRows,
    operation_id="list_deliveries",
    summary="Messages to webhooks",
)
def deliveries(request: HttpRequest, query: Query[schemas.DeliveriesQuery]) -> dict[str, Any]:
    """Of all webhooks, the newest first."""
    return _page_of_deliveries(request, WebhookDelivery.objects.all(), query)


@router.post(
    "/webhooks",
    auth=ADD_HOOK,
    response={201: schemas.MadeWebhook},
    operation_id="create_webhook",
    summary="Create a webhook",
)
def create_hook(
    request: HttpRequest, payload: schemas.NewWebhook, response: HttpResponse
) -> Status[dict[str, Any]]:
    """The answer has the secret that messages are signed with, and nothing else ever does."""
    try:
        hook = webhooks.create(payload.url, payload.events, by=caller_of(request).person)
    except webhooks.WebhookError as error:
        raise _refused(error) from None
    response["Location"] = request.build_absolute_uri(reverse("api:get_webhook", args=[hook.pk]))
    return Status(201, {**_tagged(_one(hook.pk), response), "secret": hook.secret})


def _refused(error: webhooks.WebhookError) -> ApiError:
    return ApiError(422, "The webhook cannot be like that.", errors=[(("body", "url"), str(error))])


def _one(key: int) -> Any:
    return _of(_hooks(), key, "webhook")


@router.get(
    "/webhooks/{webhook_id}",
    auth=HOOKS,
    response=schemas.WebhookRow,
    operation_id="get_webhook",
    summary="One webhook",
)
def hook(
    request: HttpRequest,  # noqa: ARG001  (ninja passes it)
    webhook_id: Path[Key],
    response: HttpResponse,
) -> dict[str, Any]:
    """Without its secret."""
    return _tagged(_one(webhook_id), response)


def _tagged(row: Webhook, response: HttpResponse) -> dict[str, Any]:
    """The webhook; its tag changes with what people set, and not with what is sent."""
    response["ETag"] = etag(_settable(row))
    return _hook(row)


def _settable(row: Webhook) -> dict[str, Any]:
    return {"url": row.url, "events": row.events, "enabled": row.enabled}


@router.put(
    "/webhooks/{webhook_id}",
    auth=CHANGE_HOOK,
    response=schemas.WebhookRow,
    operation_id="update_webhook",
    summary="Change a webhook",
)
def change_hook(
    request: HttpRequest,
    webhook_id: Path[Key],
    payload: schemas.WebhookChange,
    response: HttpResponse,
) -> dict[str, Any]:
    """Only what is sent changes. The secret stays."""
    with transaction.atomic():
        row = _locked(request, webhook_id)
        try:
            webhooks.change(row, url=payload.url, events=payload.events)
        except webhooks.WebhookError as error:
            raise _refused(error) from None
        if payload.enabled is not None:
            webhooks.switch(row, on=payload.enabled)
    return _tagged(_one(webhook_id), response)


def _locked(request: HttpRequest, key: int) -> Any:
    """The webhook, as ``If-Match`` names it."""
    row = _of(Webhook.objects.select_for_update(), key, "webhook")
    require_seen(request, _settable(row))
    return row


@router.delete(
    "/webhooks/{webhook_id}",
    auth=DELETE_HOOK,
    response={204: None},
    operation_id="delete_webhook",
    summary="Delete a webhook",
)
def delete_hook(request: HttpRequest, webhook_id: Path[Key]) -> Status[None]:
    """With its messages, those too that wait."""
    with transaction.atomic():
        webhooks.delete(_locked(request, webhook_id))
    return Status(204, None)


@router.post(
    "/webhooks/{webhook_id}/test",
    auth=CHANGE_HOOK,
    response={202: schemas.DeliveryRow},
    operation_id="test_webhook",
    summary="Send a test message",
)
# Ninja passes it.
def test_hook(
    request: HttpRequest,  # noqa: ARG001
    webhook_id: Path[Key],
) -> Status[dict[str, Any]]:
    """It says nothing, to see whether it arrives: its delivery tells."""
    return Status(202, _delivery(webhooks.ping(_one(webhook_id))))


@router.get(
    "/webhooks/{webhook_id}/deliveries",
    auth=HOOKS,
    response=schemas.DeliveryRows,
    operation_id="list_webhook_deliveries",
    summary="Messages to one webhook",
)
def hook_deliveries(
    request: HttpRequest, webhook_id: Path[Key], query: Query[schemas.DeliveriesQuery]
) -> dict[str, Any]:
    """The newest first."""
    rows = WebhookDelivery.objects.filter(webhook=_one(webhook_id))
    return _page_of_deliveries(request, rows, query)


def _page_of_deliveries(
    request: HttpRequest, rows: QuerySet[WebhookDelivery], query: schemas.DeliveriesQuery
) -> dict[str, Any]:
    if query.state:
        rows = rows.filter(state__in=query.state)
    return paging.numbered(request, rows.defer("body"), query, _delivery)


def _delivery(row: WebhookDelivery) -> dict[str, Any]:
    return {
        "delivery_id": row.pk,
        "webhook_id": row.webhook_id,
        "message_id": str(row.uuid),
        "event": row.event,
        "state": row.state,
        "attempts": row.attempts,
        "http_status": row.status,
        "seconds": row.seconds,
        "created_at": row.created_at,
        "next_at": row.next_at,
        "message": row.message or None,
    }

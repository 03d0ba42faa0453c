"""The API tokens page: what a person's programs come with.

The token itself is on the page that follows its making, and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from discovery.engine.core.service_words import TokenScope
from discovery.models import ApiToken, Right
from discovery.services.access import permissions
from discovery.services.integrations import api_tokens
from discovery.web.shared import once
from discovery.web.shared.shortcuts import numbered, page_or_partial

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PAGE_SIZE = 100

#: Days of validity that are offered, and the choice of none.
FOR_EVER = "0"
LIVES = {"30": "30 days", "90": "90 days", "365": "1 year", FOR_EVER: "Never"}
_DEFAULT_LIFE = "90"


def _mine(request: HttpRequest) -> QuerySet[ApiToken]:
    """One's own; administrators look after everybody's."""
    rows = ApiToken.objects.select_related("user")
    return (
        rows if permissions.may(request.user, Right.TOKENS) else rows.filter(user=request.user.pk)
    )


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    context: dict[str, Any] = {"given": {"scope": "read", "life": _DEFAULT_LIFE}}
    status = 200
    if request.method == "POST":
        given = {name: request.POST.get(name, "") for name in ("name", "scope", "life")}
        try:
            row, token = _create(request, given)
            return once.hand_over(request, redirect("tokens"), {"name": row.name, "token": token})
        except api_tokens.TokenError as error:
            context, status = {"given": given, "error": str(error)}, 422
    allowed = api_tokens.scopes(cast("User", request.user))
    scopes = [choice for choice in TokenScope.choices if choice[0] in allowed]
    context["made"] = once.take(request)
    context |= {
        "page": numbered(request, _mine(request), PAGE_SIZE),
        "scopes": scopes,
        "lives": LIVES,
    }
    return once.forget(
        request,
        page_or_partial(request, "discovery/tokens.html", "results", context, status=status),
    )


def _create(request: HttpRequest, given: dict[str, str]) -> tuple[ApiToken, str]:
    if given["life"] not in LIVES:
        raise api_tokens.TokenError("Choose how long it is valid from the list.")
    expires = None if given["life"] == FOR_EVER else api_tokens.expiry(given["life"])
    return api_tokens.create(
        cast("User", request.user), given["name"], given["scope"], expires_at=expires
    )


@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    row = _mine(request).filter(pk=pk).first()
    if row is None:
        raise Http404("no such token")
    if api_tokens.revoke(row):
        messages.success(
            request, f"The token {row.name} is revoked: whoever uses it is refused from now on."
        )
    else:
        messages.warning(request, "It was revoked already.")
    return redirect("tokens")

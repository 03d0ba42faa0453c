"""The API tokens page: what a person's programs come with. The token itself is on the page that made it, and nowhere else."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from discovery.models import ApiToken
from discovery.services import tokens
from discovery.web.pages import numbered, page_or_partial

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PAGE_SIZE = 100

#: Days of validity that are offered; 0 stands for "until it is revoked".
LIVES = {"30": "30 days", "90": "90 days", "365": "a year", "0": "until it is revoked"}
_DEFAULT_LIFE = "90"


def _mine(request: HttpRequest) -> QuerySet[ApiToken]:
    """One's own; administrators look after everybody's."""
    rows = ApiToken.objects.select_related("user")
    return rows if request.user.is_staff else rows.filter(user=request.user.pk)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    context: dict[str, Any] = {"given": {"scope": "read", "life": _DEFAULT_LIFE}}
    status = 200
    if request.method == "POST":
        given = {name: request.POST.get(name, "") for name in ("name", "scope", "life")}
        try:
            context["row"], context["token"] = _create(request, given)
        except tokens.NotGiven as error:
            context, status = {"given": given, "error": str(error)}, 422
    scopes = ApiToken.Scope.choices if request.user.is_staff else ApiToken.Scope.choices[:1]
    context |= {
        "section": "tokens",
        "page": numbered(request, _mine(request), PAGE_SIZE),
        "scopes": scopes,
        "lives": LIVES,
    }
    return page_or_partial(request, "discovery/tokens.html", "results", context, status=status)


def _create(request: HttpRequest, given: dict[str, str]) -> tuple[ApiToken, str]:
    if given["life"] not in LIVES:
        raise tokens.NotGiven("Choose how long it is valid from the list.")
    days = int(given["life"])
    expires = timezone.now() + timedelta(days=days) if days else None
    return tokens.create(
        cast("User", request.user), given["name"], given["scope"], expires_at=expires
    )


@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    row = _mine(request).filter(pk=pk).first()
    if row is None:
        raise Http404("no such token")
    if tokens.revoke(row):
        messages.success(
            request, f"The token {row.name} is revoked: whoever uses it is refused from now on."
        )
    else:
        messages.warning(request, "It was revoked already.")
    return redirect("tokens")

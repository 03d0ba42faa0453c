"""View the registry as a group or a person.

It starts on the Access page, is marked on every page, and ends with one click. Nothing can be
changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from discovery.services.access import view_as
from discovery.web.shared.shortcuts import needs

_KEPT = "view_as"
_SAFE = ("GET", "HEAD", "OPTIONS")

#: Names of the addresses that work all the same.
_ALLOWED = ("view-as-end", "logout")

REFUSED = "You are viewing as somebody else, and nothing can be changed. End the view first."


class ViewAsMiddleware:
    """Replace the person by the stand-in, and refuse every unsafe method."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        kept = request.session.get(_KEPT)
        if kept is not None and request.user.is_authenticated:
            found = view_as.stand_in(request.user, kept)
            if found is not None:
                request.user, request.viewed_as = found  # type: ignore[attr-defined]
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        if not hasattr(request, "viewed_as") or request.method in _SAFE:
            return None
        match = request.resolver_match
        if match is not None and match.url_name in _ALLOWED:
            return None
        if request.path.startswith("/api/"):
            return JsonResponse({"detail": REFUSED}, status=403)
        raise PermissionDenied(REFUSED)


@require_POST
@needs(*view_as.RIGHTS)
def begin(request: HttpRequest) -> HttpResponse:
    try:
        view = view_as.find(request.POST.get("kind", ""), request.POST.get("name", ""))
    except view_as.ViewAsError as error:
        messages.error(request, str(error))
        return redirect("access")
    request.session[_KEPT] = view.as_json()
    return redirect("models")


@require_POST
def end(request: HttpRequest) -> HttpResponse:
    request.session.pop(_KEPT, None)
    return redirect("access")

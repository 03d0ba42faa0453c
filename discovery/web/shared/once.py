"""Show a secret only once, on the page after it was created.

Until then it is in a signed cookie of that person's browser, and on no server.

Reloading the page creates nothing again, and no longer shows the secret.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

#: Seconds that the browser has to follow the redirect.
SECONDS = 60

_COOKIE = "shown_once"


def hand_over(
    request: HttpRequest, response: HttpResponse, value: dict[str, Any], *, path: str = ""
) -> HttpResponse:
    """Add ``value`` to the redirect to ``path`` (this same address), where ``take`` finds it."""
    path = path or request.path
    response.set_cookie(
        _COOKIE,
        signing.dumps(value, salt=_salt(request, path), compress=True),
        max_age=SECONDS,
        path=path,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )
    return response


def take(request: HttpRequest) -> dict[str, Any]:
    """What the request before handed over to this person; empty for anybody else, and later.

    ``forget`` belongs to the answer.
    """
    try:
        value: dict[str, Any] = signing.loads(
            request.COOKIES.get(_COOKIE, ""), salt=_salt(request, request.path), max_age=SECONDS
        )
    except signing.BadSignature:
        return {}
    return value


def forget(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    if _COOKIE in request.COOKIES:
        response.delete_cookie(_COOKIE, path=request.path, samesite="Strict")
    return response


def _salt(request: HttpRequest, path: str) -> str:
    return f"shown once to {request.user.pk} at {path}"

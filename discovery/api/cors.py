"""Cross-origin calls: pages of other sites may use the API with a token, where ``KAREN_API_CORS_ORIGINS`` names them. Off by default.

Never with cookies: a session stays with the pages it was made for. Source: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

_METHODS = "GET, POST, PUT, DELETE"
_SENT = "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key"
_SHOWN = "ETag, Location, Retry-After, Idempotency-Replayed"
_MAX_AGE = "600"


def preflight(request: HttpRequest) -> HttpResponse | None:
    """The answer to a browser that asks whether it may; ``None`` for every other request, and for origins that may not."""
    if (
        request.method != "OPTIONS"
        or "Access-Control-Request-Method" not in request.headers
        or not _is_welcome(request)
    ):
        return None
    headers = {
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": _SENT,
        "Access-Control-Max-Age": _MAX_AGE,
    }
    return HttpResponse(status=204, headers=headers)


def add_headers(request: HttpRequest, response: HttpResponseBase) -> None:
    """Lets the page that asked read the answer, if its origin is welcome."""
    if not settings.API_CORS_ORIGINS:
        return
    patch_vary_headers(response, ["Origin"])
    if _is_welcome(request):
        response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
        response.headers["Access-Control-Expose-Headers"] = _SHOWN


def _is_welcome(request: HttpRequest) -> bool:
    return request.headers.get("Origin", "") in settings.API_CORS_ORIGINS

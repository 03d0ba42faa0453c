"""Middleware for every response below ``/api/`` and ``/v1/``.

It also applies to responses that do not come from an endpoint.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.middleware.http import ConditionalGetMiddleware
from django.utils.cache import patch_cache_control, patch_vary_headers

from discovery.api.errors import respond

_KEPT = ("Allow", "Retry-After", "WWW-Authenticate")


def is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith(("/api/", "/v1/"))


class ApiMiddleware:
    """Return all errors as JSON in the one shape, whatever raised them.

    Answers are for the caller alone, who asks again whether they still hold.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not is_api(request):
            return self.get_response(request)
        response = self._answer(request)
        if response.status_code >= 400 and not response.headers.get("Content-Type", "").startswith(
            "application/json"
        ):
            kept = {name: response.headers[name] for name in _KEPT if name in response.headers}
            response = respond(response.status_code, headers=kept)
        patch_vary_headers(response, ["Authorization", "Cookie"])
        if not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_cache=True)
        if response.status_code < 300 and hasattr(request, "own_path"):
            response.headers["Content-Location"] = request.own_path
        if (allowance := getattr(request, "allowance", None)) is not None:
            for name, value in allowance.headers.items():
                response.headers[name] = value
        return response

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        """HEAD is answered as GET is, without the body."""
        if request.method != "HEAD":
            return self.get_response(request)
        request.method = "GET"
        response = self.get_response(request)
        request.method = "HEAD"
        if isinstance(response, HttpResponse):
            response.headers["Content-Length"] = str(len(response.content))
            response.content = b""
        elif isinstance(response, StreamingHttpResponse):
            response.streaming_content = iter(())
        return response


class ApiConditionalGetMiddleware(ConditionalGetMiddleware):
    """``ETag`` on what is read from the API, 304 for ``If-None-Match``.

    Pages carry a fresh CSRF token each time: no tag would hold.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        if (
            not is_api(request)
            or response.status_code != 200
            or not isinstance(response, HttpResponse)
        ):
            return response
        return super().process_response(request, response)

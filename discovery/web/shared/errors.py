"""Error pages, and what an error says in place of a part of a page.

The one for our own failures needs neither the database nor the request.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.template.loader import render_to_string

from discovery.models.registry import sees_all
from discovery.services.core import failures
from discovery.services.machine.root_probes import RootSilent
from discovery.web.shared.shortcuts import Renamed, is_fragment


def _answer(request: HttpRequest, status: int, sentence: str, reason: str = "") -> HttpResponse:
    """Return the page of this status.

    htmx shows it as a message, so it gets one sentence of plain text.
    """
    if is_fragment(request):
        return HttpResponse(
            reason or sentence, status=status, content_type="text/plain; charset=utf-8"
        )
    return HttpResponse(render_to_string(f"{status}.html", {"reason": reason}), status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say what is too much where that is the reason; the rest are requests that no page makes."""
    reason = ""
    if isinstance(exception, TooManyFieldsSent):
        most = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
        reason = f"The request has more than {most:,} values. Nothing was changed."
    elif isinstance(exception, RequestDataTooBig):
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE >> 20
        reason = f"The form holds more than {most} MiB. Nothing was changed."
    return _answer(request, 400, "The server could not read this request. Reload the page.", reason)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 403, "You may not do this.", str(exception))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001
    if is_fragment(request):
        return _answer(
            request,
            403,
            "The form has expired. Nothing was changed: reload the page and send it again.",
        )
    return HttpResponse(render_to_string("403_csrf.html"), status=403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    return _answer(
        request, 404, "It is not there any more, or not shared with you. Reload the page."
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Handle an exception; Django calls this while it is active.

    Failures of the installation are explained; everything else is a fault of ours.
    """
    error = sys.exc_info()[1]
    failure = failures.explain(error) if error is not None else None
    if failure is not None and failure.cause.meets_requests:
        return _answer(request, 503, failure.cause.sentence, failure.cause.sentence)
    return _answer(request, 500, "The server failed. What went wrong is in its log; try again.")


class RootSilentMiddleware:
    """Show an error for a page that needs files of a folder that does not answer.

    Most pages handle this themselves and show it in place of the contents.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, RootSilent):
            return None
        reason = str(exception) if sees_all(request.user) else exception.plain
        response = _answer(request, 503, reason, reason)
        response.headers["Retry-After"] = "10"
        return response


class RenamedMiddleware:
    """A page at an address with an alias of a model leads to the same page of the model itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(
        self,
        request: HttpRequest,
        exception: Exception,
    ) -> HttpResponse | None:
        return HttpResponseRedirect(exception.address) if isinstance(exception, Renamed) else None


def method_not_allowed(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware that explains a 405 response, which Django leaves empty.

    People see it when they open the URL of a form, for example after signing in again.
    """

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if isinstance(response, HttpResponseNotAllowed) and not response.content:
            page = _answer(
                request, 405, "This cannot be asked for. Nothing was changed: reload the page."
            )
            page.headers["Allow"] = response.headers["Allow"]
            return page
        return response

    return answer

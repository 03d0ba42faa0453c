"""Error pages, and what an error says in place of a part of a page. The one for our own failures needs neither the database nor the request."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.loader import render_to_string

from discovery.web.pages import is_fragment


def _answer(request: HttpRequest, status: int, sentence: str, reason: str = "") -> HttpResponse:
    """The page of this status; for htmx, which shows it as a message, one sentence of plain text."""
    if is_fragment(request):
        return HttpResponse(
            reason or sentence, status=status, content_type="text/plain; charset=utf-8"
        )
    return HttpResponse(render_to_string(f"{status}.html", {"reason": reason}), status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  (Django passes it by name)
    return _answer(request, 400, "This request makes no sense. Reload the page.")


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
    return _answer(request, 500, "The server failed. What went wrong is in its log; try again.")


def method_not_allowed(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: who comes to the address of a form (after signing in again, say) is told so; Django answers with nothing at all."""

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

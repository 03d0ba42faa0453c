"""Everyone signs in, guessing is slow, and what people are answered stays out of every cache.

An expired session sends the whole page to the sign-in form, never a fragment of it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django_htmx.http import HttpResponseClientRedirect

from discovery.services.access import account_journal, proxy_header, signed_in
from discovery.services.access.external_accounts import Refused
from discovery.services.access.signing_in import Locked
from discovery.services.core.reading import reading

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class SignInMiddleware(LoginRequiredMiddleware):
    """Django's own, made to answer htmx with a redirect of the page the reader is on."""

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> Any:
        htmx = getattr(request, "htmx", None)
        if not htmx:
            return super().handle_no_permission(request, view_func)
        there = htmx.current_url_abs_path or request.get_full_path()
        return HttpResponseClientRedirect(
            redirect_to_login(there, self.get_login_url(view_func)).url
        )


def private_answers(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """``private, no-store`` on whatever is answered to credentials, a session or a token: pages,
    their parts, exports, errors, the API.

    No proxy keeps it, and the browser of somebody who signed out shows nothing by its Back button.
    Programs that keep an answer of the API themselves still ask by its ``ETag``. Static files are
    served before, and may be kept.
    """

    def answered(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if settings.SESSION_COOKIE_NAME in request.COOKIES or "Authorization" in request.headers:
            response.headers["Cache-Control"] = "private, no-store"
        return response

    return answered


def reading_writes_nothing(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Tells services that a request by a safe method only reads."""

    def answered(request: HttpRequest) -> HttpResponseBase:
        with reading() if request.method in SAFE_METHODS else nullcontext():
            return get_response(request)

    return answered


class ProxySignInMiddleware:
    """Signs in whom a trusted proxy names in its header.

    Programs use tokens: no call of the API or of a probe signs anybody in, and a session that
    began by the header counts there only while the proxy names the same person.
    """

    _PROGRAMS = ("/api/", "/v1/", "/healthz", "/readyz", "/metrics")

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if proxy_header.is_on():
            if not request.path_info.startswith(self._PROGRAMS):
                try:
                    proxy_header.follow(request)
                except Refused as refused:
                    cast("Any", request).sign_in_refused = str(refused)
            elif not proxy_header.holds(request):
                request.user = AnonymousUser()
        return self.get_response(request)


class PersonMiddleware:
    """Times are in the zone that whoever asks has chosen, and the history of accounts knows who
    acts.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with timezone.override(None), account_journal.acting(request.user):
            return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, *_: Any) -> None:
        # What visitors may ask for, health among it, does without the database.
        if getattr(view, "login_required", True):
            timezone.activate(signed_in.zone(request.user) or timezone.get_default_timezone())


class LockedMiddleware:
    """Whichever page asked for the password: while sign-in is locked the answer says how long, and
    429.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, Locked):
            return None
        context = {"locked": exception, "back": request.get_full_path()}
        response = render(request, "registration/locked.html", context, status=429)
        response["Retry-After"] = str(exception.seconds)
        add_never_cache_headers(response)
        return response

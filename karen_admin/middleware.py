"""Everyone signs in; an expired session sends the whole page to the sign-in form, never a fragment of it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest
from django_htmx.http import HttpResponseClientRedirect


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

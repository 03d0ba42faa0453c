"""Signing in, and the page of a one-time link, whose holder chooses a password."""

from __future__ import annotations

from typing import Any
from zlib import crc32

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import password_validators_help_texts
from django.contrib.auth.views import LoginView, LogoutView, PasswordResetConfirmView
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from discovery.engine.core.vocabulary import Severity
from discovery.models import LogTopic
from discovery.services.access import account_journal, accounts, elsewhere, proxy_header
from discovery.services.access.external_accounts import Refused
from discovery.services.core import event_log
from discovery.services.core.client_address import address
from discovery.web.account import start_address

#: Where a session keeps why the last sign-in through the provider failed.
_FAULT = "sign_in_fault"


class PasswordForm(AuthenticationForm):
    """Where signing in with a password is turned off, superusers still may."""

    def confirm_login_allowed(self, user: Any) -> None:
        super().confirm_login_allowed(user)
        if fault := elsewhere.password_fault(user):
            raise ValidationError(fault, code="local_off")


class SignIn(LoginView):
    """Leads to the page that the person has chosen to start with."""

    template_name = "registration/login.html"
    redirect_authenticated_user = True
    authentication_form = PasswordForm

    def get_default_redirect_url(self) -> str:
        return start_address(self.request.user)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        local = elsewhere.local_is_on()
        there = self.get_redirect_url()
        return {
            **super().get_context_data(**kwargs),
            "provider": settings.OIDC_LABEL if elsewhere.provider_is_on() else "",
            "fault": getattr(self.request, "sign_in_refused", "")
            or ("" if self.request.method == "POST" else self.request.session.pop(_FAULT, "")),
            "local": local,
            "with_password": local or "password" in self.request.GET or kwargs.get("form"),
            "query": urlencode({"next": there}) if there else "",
        }


class SignOut(LogoutView):
    """Where a proxy signed somebody in, its own page for signing out follows, if it is known."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if proxy_header.began(request) and settings.PROXY_SIGN_OUT_URL:
            self.next_page = settings.PROXY_SIGN_OUT_URL
        return super().post(request, *args, **kwargs)


@login_not_required
@never_cache
@require_safe
def to_provider(request: HttpRequest) -> HttpResponse:
    """Begin to sign in at the provider.

    A link leads here, not a form: the content policy lets forms lead to this server alone.
    """
    if not elsewhere.provider_is_on():
        raise Http404("No sign-in provider is configured.")
    there = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(
        there, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        there = ""
    if request.user.is_authenticated:
        return redirect(there or start_address(request.user))
    from discovery.web import openid  # its extra is installed where the provider is on

    try:
        return openid.begin(request, there)
    except Refused as refused:
        return _refuse(request, refused, there)


@login_not_required
@never_cache
@require_safe
def from_provider(request: HttpRequest) -> HttpResponse:
    """Whom the provider sends back is signed in, or told why not on the sign-in page."""
    if not elsewhere.provider_is_on():
        raise Http404("No sign-in provider is configured.")
    from discovery.web import openid

    try:
        return openid.finish(request)
    except Refused as refused:
        return _refuse(request, refused, "")


def _refuse(request: HttpRequest, refused: Refused, there: str) -> HttpResponse:
    """Lead to the sign-in page, whose address holds no code that a reload would use again."""
    request.session[_FAULT] = str(refused)
    # Anybody can make a sign-in fail: the same reason is told once a minute.
    if cache.add(f"sign-in-refused-{crc32(str(refused).encode())}", True, 60):
        event_log.record(
            LogTopic.ACCESS,
            Severity.WARNING,
            "A sign-in through the provider failed, from"
            f" {address(request) or 'an unknown address'}: {refused}",
        )
    query = f"?{urlencode({'next': there})}" if there else ""
    return redirect(reverse("login") + query)


# Django's own answers any method, and takes PUT for POST.
@method_decorator(require_http_methods(["GET", "HEAD", "POST"]), name="dispatch")
class SetPassword(PasswordResetConfirmView):
    """Django's view, which removes the token from the URL that the browser keeps."""

    template_name = "registration/set_password.html"
    token_generator = accounts.one_time_links
    post_reset_login = True
    post_reset_login_backend = "discovery.services.access.signed_in.Accounts"

    def get_user(self, uidb64: str) -> User | None:
        person = super().get_user(uidb64)
        return person if isinstance(person, User) and person.is_active else None

    def form_valid(self, form: Any) -> HttpResponse:
        with account_journal.acting(form.user):
            return super().form_valid(form)

    def get_success_url(self) -> str:
        return start_address(self.request.user)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "rules": password_validators_help_texts()}

    def render_to_response(self, context: dict[str, Any], **named: Any) -> HttpResponse:
        if not self.validlink:
            named["status"] = 410
        elif context["form"].errors:
            named["status"] = 422
        return super().render_to_response(context, **named)

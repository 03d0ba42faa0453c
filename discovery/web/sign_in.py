"""Signing in, and the page of a one-time link, whose holder chooses a password."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import password_validators_help_texts
from django.contrib.auth.views import LoginView, PasswordResetConfirmView
from django.http import HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods

from discovery.services.access import account_journal, accounts
from discovery.web.account import start_address


class SignIn(LoginView):
    """Leads to the page that the person has chosen to start with."""

    template_name = "registration/login.html"
    redirect_authenticated_user = True

    def get_default_redirect_url(self) -> str:
        return start_address(self.request.user)


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

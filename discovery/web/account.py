"""The Account page: who one is here, and a new password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.password_validation import password_validators_help_texts
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from discovery.models import roles
from discovery.services.access import permissions, signing_in
from discovery.services.core.client_address import address
from discovery.web.shared.shortcuts import page_or_partial

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class NewPassword(PasswordChangeForm):
    """Whoever sits at somebody's open session guesses their password no faster here than on the
    sign-in page.
    """

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(cast("User", request.user), *args, **kwargs)
        self.origin = address(request)

    def clean_old_password(self) -> str:
        name = self.user.get_username()
        signing_in.check(name, self.origin)
        try:
            return super().clean_old_password()
        except ValidationError:
            signing_in.failed(name, self.origin)
            raise


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    user = cast("User", request.user)
    form = NewPassword(request, request.POST if request.method == "POST" else None)
    if form.is_valid():
        form.save()
        update_session_auth_hash(request, user)
        messages.success(
            request,
            "Your password is changed. You stay signed in here; everywhere else you are signed"
            " out.",
        )
        return redirect("account")
    context = {
        "form": form,
        "rules": password_validators_help_texts(),
        "groups": list(user.groups.order_by("name").values_list("name", flat=True)),
        "allowed": roles.allowed(permissions.rights(user)),
    }
    return page_or_partial(
        request, "discovery/account.html", "form", context, status=422 if form.errors else 200
    )

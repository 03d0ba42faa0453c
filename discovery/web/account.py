"""The Account page: a new password, sessions, preferences, and what one may do."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import available_timezones

from django import forms
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.password_validation import password_validators_help_texts
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from discovery.engine.core.text import plural
from discovery.models import ApiToken, Profile, Right, roles
from discovery.services.access import permissions, signed_in, signing_in
from discovery.services.core.client_address import address
from discovery.web.shared.shortcuts import page_or_partial

if TYPE_CHECKING:
    from django.contrib.auth.models import User


#: Pages to start with → (label, permissions that they take).
START_PAGES: dict[str, tuple[str, tuple[Right, ...]]] = {
    "": ("Overview", ()),
    "models": ("Models", ()),
    "collections": ("Collections", ()),
    "history": ("History", ()),
    "scans": ("Scans", (Right.VIEW_SCANS,)),
    "problems": ("Problems", (Right.VIEW_FINDINGS,)),
    "users": ("Users", (Right.VIEW_USERS,)),
}


class NewPassword(PasswordChangeForm):
    """The form for a new password.

    A stranger at somebody's open session can guess the password no faster here than on the sign-in
    page.
    """

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(cast("User", request.user), *args, **kwargs)
        self.origin = address(request)
        # The page has more than this form: nobody is taken to it.
        self.fields["old_password"].widget.attrs.pop("autofocus", None)

    def clean_old_password(self) -> str:
        name = self.user.get_username()
        signing_in.check(name, self.origin)
        try:
            return super().clean_old_password()
        except ValidationError:
            signing_in.failed(name, self.origin)
            raise


@functools.cache
def _zones() -> list[tuple[str, str]]:
    return [("", "UTC"), *((name, name) for name in sorted(available_timezones()) if "/" in name)]


class Preferences(forms.ModelForm):  # type: ignore[type-arg]
    time_zone = forms.ChoiceField(required=False, choices=_zones)
    start_page = forms.ChoiceField(
        required=False, choices=[(name, label) for name, (label, _) in START_PAGES.items()]
    )

    class Meta:
        model = Profile
        fields = ("time_zone", "theme", "start_page")


def start_address(user: Any) -> str:
    """The page that somebody starts with; the overview where they may not open it any more."""
    name = signed_in.start_page(user)
    name = name if name in START_PAGES else ""
    rights = START_PAGES[name][1]
    return reverse(name if permissions.may_all(user, rights) and name else "home")


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """A POST sets a new password."""
    user = cast("User", request.user)
    form = NewPassword(request, request.POST if request.method == "POST" else None)
    if form.is_valid():
        form.save()
        update_session_auth_hash(request, user)
        signed_in.sign_out_elsewhere(user, request.session.session_key)
        messages.success(
            request,
            "Your password is changed. You stay signed in here; everywhere else you are signed"
            " out.",
        )
        return redirect("account")
    context = {"form": form, **_shown(request)}
    return page_or_partial(
        request, "discovery/account.html", "form", context, status=422 if form.errors else 200
    )


def _shown(request: HttpRequest) -> dict[str, Any]:
    user = cast("User", request.user)
    return {
        "rules": password_validators_help_texts(),
        "groups": list(user.groups.order_by("name").values_list("name", flat=True)),
        "allowed": roles.allowed(permissions.rights(user)),
        "places": signed_in.places(user, request.session.session_key),
        "tokens": ApiToken.objects.filter(user=user, revoked_at=None).count(),
        "preferences": Preferences(instance=signed_in.profile(user)),
    }


@require_POST
def preferences(request: HttpRequest) -> HttpResponse:
    user = cast("User", request.user)
    profile, _ = Profile.objects.get_or_create(user=user)
    form = Preferences(request.POST, instance=profile)
    if form.is_valid():
        profile.save(update_fields=list(form.cleaned_data))
        messages.success(request, "Your preferences were saved.")
        return redirect("account")
    context = {**_shown(request), "form": NewPassword(request, None), "preferences": form}
    return page_or_partial(request, "discovery/account.html", "preferences", context, status=422)


@require_POST
def sign_out_elsewhere(request: HttpRequest) -> HttpResponse:
    count = signed_in.sign_out_elsewhere(cast("User", request.user), request.session.session_key)
    messages.success(request, f"{plural(count, 'other session')} ended.")
    return redirect("account")

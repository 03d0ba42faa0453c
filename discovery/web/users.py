"""The Users pages: who has an account, new accounts and invitations, and what was changed."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from discovery.engine.core.text import clean
from discovery.models import AccountChange, Right
from discovery.services.access import accounts, permissions
from discovery.web.shared import once
from discovery.web.shared.shortcuts import as_key, needs, needs_any, numbered, page_or_partial

PAGE_SIZE = 100

#: What ``?state=`` may be → the condition.
STATES = {
    "active": ("Active", Q(is_active=True)),
    "deactivated": ("Deactivated", Q(is_active=False)),
    "superuser": ("Superusers", Q(is_superuser=True)),
    "alone": ("In no group", Q(groups=None, is_superuser=False)),
}


def _text(request: HttpRequest) -> str:
    """Return the search text, cut to the length that a database compares."""
    return clean(request.GET.get("q", ""), 200)


def found(request: HttpRequest) -> QuerySet[User]:
    """The accounts that the search, the group and the state of the address leave."""
    rows = User.objects.order_by("username")
    for word in _text(request).split()[:8]:
        rows = rows.filter(
            Q(username__icontains=word)
            | Q(email__icontains=word)
            | Q(first_name__icontains=word)
            | Q(last_name__icontains=word)
        )
    if key := as_key(request.GET.get("group", "")):
        rows = rows.filter(groups=key)
    if (state := request.GET.get("state", "")) in STATES:
        rows = rows.filter(STATES[state][1])
    return rows


@require_safe
@needs(Right.VIEW_USERS)
def index(request: HttpRequest) -> HttpResponse:
    context = {
        "page": numbered(request, found(request).prefetch_related("groups"), PAGE_SIZE),
        "text": _text(request),
        "groups": Group.objects.order_by("name"),
        "group": as_key(request.GET.get("group", "")),
        "states": {name: words for name, (words, _) in STATES.items()},
        "state": request.GET.get("state", ""),
    }
    context["narrowed"] = bool(context["text"] or context["group"] or context["state"])
    return page_or_partial(request, "discovery/users.html", "results", context)


class NewUser(forms.ModelForm):  # type: ignore[type-arg]
    """A password may be left out: then the person chooses one by a one-time link."""

    password = forms.CharField(
        required=False,
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Leave empty to get a one-time link, with which the person chooses a password.",
    )
    groups = forms.ModelMultipleChoiceField(
        Group.objects.none(), required=False, widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = User
        fields = ("username", "email", "groups", "password")

    def __init__(self, by: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice = cast("forms.ModelMultipleChoiceField[Group]", self.fields["groups"])
        choice.queryset = accounts.givable(by)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if password := cleaned.get("password"):
            try:
                validate_password(
                    password,
                    User(username=cleaned.get("username", ""), email=cleaned.get("email", "")),
                )
            except forms.ValidationError as error:
                self.add_error("password", error)
        return cleaned


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.ADD_USER)
def new(request: HttpRequest) -> HttpResponse:
    by = cast("User", request.user)
    form = NewUser(by, request.POST if request.method == "POST" else None)
    if form.is_valid():
        person, password = form.save(commit=False), form.cleaned_data["password"]
        if password:
            person.set_password(password)
        else:
            person.set_unusable_password()
        with transaction.atomic():
            person.save()
            person.groups.set(form.cleaned_data["groups"])
            link = None if password else accounts.one_time_link(person)
        messages.success(request, f"The account {person.username} was created.")
        return leave(request, person, link)
    chosen = request.POST.getlist("groups")
    choices = [
        (group, str(group.pk) in chosen, accounts.allowed_to(group))
        for group in accounts.givable(by).prefetch_related("permissions__content_type")
    ]
    context = {"form": form, "choices": choices}
    return page_or_partial(
        request, "discovery/user_new.html", "form", context, status=422 if form.errors else 200
    )


def leave(request: HttpRequest, person: User, link: str | None) -> HttpResponse:
    """Redirect to the page that shows ``link`` once, else to the account.

    People who may not see accounts get to the form for the next new one.
    """
    if link is None:
        may = permissions.may(request.user, Right.VIEW_USERS)
        return redirect("user", person.pk) if may else redirect("user-new")
    value = {"link": request.build_absolute_uri(link), "user": person.username}
    there = reverse("user-link", args=[person.pk])
    return once.hand_over(request, redirect(there), value, path=there)


@require_safe
@needs_any((Right.CHANGE_USER, Right.ADD_USER))
def link(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a new one-time link to its creator; nothing after a reload."""
    context = {
        "made": once.take(request),
        "days": settings.PASSWORD_RESET_TIMEOUT // 86_400,
        "key": pk,
    }
    response = page_or_partial(request, "discovery/user_link.html", "link", context)
    add_never_cache_headers(response)
    return once.forget(request, response)


@require_safe
@needs(Right.VIEW_USERS)
def changes(request: HttpRequest) -> HttpResponse:
    rows = AccountChange.objects.order_by("-pk")
    for word in _text(request).split()[:8]:
        rows = rows.filter(
            Q(text__icontains=word) | Q(by__icontains=word) | Q(name__icontains=word)
        )
    context = {
        "page": numbered(request, rows, PAGE_SIZE),
        "text": _text(request),
    }
    return page_or_partial(request, "discovery/account_changes.html", "results", context)

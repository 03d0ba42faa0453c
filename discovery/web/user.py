"""The page of one account: who it is, groups, sign-in, tokens, and what was changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_http_methods, require_POST

from discovery.engine.core.service_words import AccountKind
from discovery.engine.core.text import plural
from discovery.models import AccountChange, ApiToken, ExternalIdentity, Right, roles
from discovery.services.access import (
    accounts,
    external_accounts,
    external_groups,
    permissions,
    signed_in,
)
from discovery.services.core.form_stamps import Conflict, agree, touched
from discovery.services.integrations import api_tokens
from discovery.web import users
from discovery.web.shared import shown
from discovery.web.shared.shortcuts import as_key, needs, page_or_partial, require

#: Changes that the page shows; all are in the history.
CHANGES = 10

LABELS = {
    "username": "Username",
    "first_name": "First name",
    "last_name": "Last name",
    "email": "Email address",
}


class Details(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = tuple(LABELS)
        labels = LABELS


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.VIEW_USERS)
def page(request: HttpRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(User, pk=pk)
    now = {name: getattr(person, name) for name in LABELS}
    context: dict[str, Any] = {"stamps": shown.stamps(now)}
    form, status = Details(instance=person), 200
    if request.method == "POST":
        require_reach(request, person)
        seen = shown.seen(request.POST, now)
        given = {name: "".join(shown.sent(request.POST, name)[-1:]) for name in LABELS}
        changed = touched(given, seen)
        form = Details({**now, **changed}, instance=person)
        try:
            agree(changed, now, seen)
        except Conflict as conflict:
            form = Details(shown.again(given, now, seen, conflict.theirs), instance=person)
            context["disputes"] = shown.disputes(conflict.theirs, given, LABELS)
            status = 409
        else:
            if form.is_valid():
                form.save()
                messages.success(request, f"The account {person.username} was saved.")
                return redirect("user", pk)
            context["stamps"], status = seen, 422
    person = User.objects.get(pk=pk)
    context |= {"form": form, **_shown(request, person)}
    return page_or_partial(request, "discovery/user.html", "details", context, status=status)


def _shown(request: HttpRequest, person: User) -> dict[str, Any]:
    by = cast("User", request.user)
    reached = permissions.may(by, Right.CHANGE_USER) and permissions.outranks(by, person)
    own = set(person.groups.values_list("pk", flat=True))
    givable = set(accounts.givable(by).values_list("pk", flat=True)) if reached else set()
    groups = Group.objects.prefetch_related("permissions__content_type").order_by("name")
    changes = AccountChange.objects.filter(kind=AccountKind.USER, key=person.pk)
    return {
        "person": person,
        "may_change": reached,
        "groups": [
            (group, group.pk in own, group.pk in givable, accounts.allowed_to(group))
            for group in groups
            if group.pk in own or group.pk in givable
        ],
        "allowed": roles.allowed(permissions.rights(permissions.switched_on(person))),
        "provided": external_groups.given(person),
        "identities": ExternalIdentity.objects.filter(user=person).order_by("pk"),
        "places": signed_in.places(person, None),
        "tokens": ApiToken.objects.filter(user=person).order_by("-pk"),
        "changes": changes[:CHANGES],
    }


def require_reach(request: HttpRequest, person: User) -> None:
    """Raise ``PermissionDenied`` for people who may not change this account."""
    require(request, Right.CHANGE_USER)
    if not permissions.outranks(cast("User", request.user), person):
        raise PermissionDenied(
            f"{person.username} can do or see more than you: only a superuser can change this"
            " account."
        )


@require_POST
def set_groups(request: HttpRequest, pk: int) -> HttpResponse:
    """Change the groups that differ between ``shown`` and ``groups``.

    ``shown`` are those that the form had checked, ``groups`` those checked now; changes that
    somebody else made in the meantime are kept.
    """
    person = get_object_or_404(User, pk=pk)
    require_reach(request, person)
    before, after = _keys(request, "shown"), _keys(request, "groups")
    mine = {group.pk: group for group in accounts.givable(cast("User", request.user))}
    if beyond := (before ^ after) - mine.keys():
        if Group.objects.filter(pk__in=beyond).exists():
            raise PermissionDenied(
                "You cannot give or take a group that can do or see more than you."
            )
        messages.warning(request, "A group that you chose was deleted meanwhile.")
    person.groups.add(*(after - before) & mine.keys())
    person.groups.remove(*(before - after) & mine.keys())
    messages.success(request, f"The groups of {person.username} were saved.")
    return redirect("user", pk)


def _keys(request: HttpRequest, name: str) -> set[int]:
    keys = (as_key(text) for text in request.POST.getlist(name)[:10_000])
    return {key for key in keys if key is not None}


@require_POST
def action(request: HttpRequest, pk: int) -> HttpResponse:
    """One of the buttons: ``action`` is a name of ``_ACTIONS``, or of ``_RANKS`` for superusers."""
    person = get_object_or_404(User, pk=pk)
    require_reach(request, person)
    action = request.POST.get("action", "")
    if action == "link":
        return _link(request, person)
    if action in _RANKS:
        if not request.user.is_superuser:
            raise PermissionDenied("Only superusers can change the status of an account.")
        _rank(request, person, *_RANKS[action])
    elif action in _ACTIONS:
        _ACTIONS[action](request, person)
    else:
        messages.error(request, "There is no such action.")
    return redirect("user", pk)


def _link(request: HttpRequest, person: User) -> HttpResponse:
    if person.is_active:
        return users.leave(request, person, accounts.one_time_link(person))
    messages.error(request, f"The account {person.username} is deactivated. Activate it first.")
    return redirect("user", person.pk)


#: Buttons of superusers → (field, its value, what is said afterwards).
_RANKS = {
    "superuser": ("is_superuser", True, "{} is a superuser now."),
    "no-superuser": ("is_superuser", False, "{} is no longer a superuser."),
    "staff": ("is_staff", True, "{} can open Django's admin now."),
    "no-staff": ("is_staff", False, "{} can no longer open Django's admin."),
}


def _rank(request: HttpRequest, person: User, field: str, value: bool, said: str) -> None:
    setattr(person, field, value)
    _save(request, person, field, said)


def _save(request: HttpRequest, person: User, field: str, said: str) -> None:
    try:
        person.save(update_fields=[field])
    except accounts.LastSuperuser as error:
        messages.error(request, str(error))
    else:
        messages.success(request, said.format(person.username))


def _activate(request: HttpRequest, person: User) -> None:
    person.is_active = True
    _save(request, person, "is_active", "The account {} was activated.")


def _deactivate(request: HttpRequest, person: User) -> None:
    person.is_active = False
    _save(request, person, "is_active", "The account {} was deactivated. It can no longer sign in.")


def _sign_out(request: HttpRequest, person: User) -> None:
    count = signed_in.sign_out_elsewhere(person, None)
    messages.success(request, f"{plural(count, 'session')} of {person.username} ended.")


def _revoke(request: HttpRequest, person: User) -> None:
    key = as_key(request.POST.get("token", ""))
    row = ApiToken.objects.filter(user=person, pk=key).first() if key else None
    if row is not None and api_tokens.revoke(row):
        messages.success(request, f"The token {row.name} was revoked.")
    else:
        messages.warning(request, "The token is already revoked.")


def _unlink(request: HttpRequest, person: User) -> None:
    key = as_key(request.POST.get("identity", ""))
    row = ExternalIdentity.objects.filter(user=person, pk=key).first() if key else None
    if row is None:
        messages.warning(request, "The account is no longer linked with it.")
        return
    external_accounts.unlink(row)
    messages.success(request, f"The account {person.username} was unlinked.")


_ACTIONS: dict[str, Callable[[HttpRequest, User], None]] = {
    "activate": _activate,
    "deactivate": _deactivate,
    "sign-out": _sign_out,
    "revoke": _revoke,
    "unlink": _unlink,
}

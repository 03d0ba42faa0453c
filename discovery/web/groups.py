"""The Groups pages: who is in each, and what it allows."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_http_methods, require_POST

from discovery.engine.core.service_words import AccountKind
from discovery.engine.core.text import clean, plural
from discovery.models import AccountChange, Right, roles
from discovery.models.permissions import WORDS
from discovery.services.access import accounts, permissions
from discovery.services.core.form_stamps import stamp
from discovery.web.shared.shortcuts import needs, numbered, page_or_partial, require

PAGE_SIZE = 100
#: Members on the page of a group.
MEMBERS = 100
CHANGES = 10


class Name(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Group
        fields = ("name",)

    def clean_name(self) -> str:
        """As one line without control characters: the history and log files name groups."""
        name = " ".join(clean(self.cleaned_data["name"], 150).split())
        if not name:
            raise forms.ValidationError("Enter a name with at least one visible character.")
        return name


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.VIEW_GROUPS)
def index(request: HttpRequest) -> HttpResponse:
    """The list; a POST creates a group."""
    form = Name(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        require(request, Right.ADD_GROUP)
        if form.is_valid():
            group = form.save()
            messages.success(request, f"The group {group.name} was created.")
            return redirect("group", group.pk)
    rows = Group.objects.annotate(members=Count("user")).order_by("name")
    page = numbered(request, rows.prefetch_related("permissions__content_type"), PAGE_SIZE)
    context = {
        "page": page,
        "groups": [(group, accounts.allowed_to(group)) for group in page],
        "superusers": User.objects.filter(is_superuser=True, is_active=True).count(),
        "superuser_words": roles.SUPERUSER,
        "form": form,
    }
    return page_or_partial(
        request, "discovery/groups.html", "results", context, status=422 if form.errors else 200
    )


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.VIEW_GROUPS)
def page(request: HttpRequest, pk: int) -> HttpResponse:
    """One group; a POST renames it."""
    group = get_object_or_404(Group, pk=pk)
    before, status = group.name, 200
    form = Name(instance=group)
    if request.method == "POST":
        require_reach(request, group, Right.CHANGE_GROUP)
        form = Name(request.POST, instance=group)
        if request.POST.get("seen-name", stamp(before)) != stamp(before):
            form.add_error("name", f"Somebody else renamed the group to {before} meanwhile.")
        if form.is_valid():
            form.save()
            messages.success(request, f"The group {group.name} was saved.")
            return redirect("group", pk)
        status = 422
        group.name = before
    context = {"form": form, "seen": stamp(before), **_shown(request, group)}
    return page_or_partial(request, "discovery/group.html", "name", context, status=status)


def _shown(request: HttpRequest, group: Group) -> dict[str, Any]:
    held, user = accounts.group_rights(group), cast("User", request.user)
    members = group.user_set.order_by("username")
    return {
        "group": group,
        "may_change": _reaches(user, group, Right.CHANGE_GROUP),
        "may_delete": _reaches(user, group, Right.DELETE_GROUP),
        "members": members[:MEMBERS],
        "member_count": members.count(),
        "allowed": roles.allowed(held),
        "rights": [(right, words, right in held) for right, words in WORDS.items()],
        "roles": [(role, sorted(role.rights)) for role in roles.ROLES],
        "changes": AccountChange.objects.filter(kind=AccountKind.GROUP, key=group.pk)[:CHANGES],
    }


def _reaches(user: User, group: Group, right: Right) -> bool:
    """A group that allows something is for superusers to change."""
    return permissions.may(user, right) and (user.is_superuser or not group.permissions.exists())


def require_reach(request: HttpRequest, group: Group, right: Right) -> None:
    require(request, right)
    if not _reaches(cast("User", request.user), group, right):
        raise PermissionDenied(
            f"The group {group.name} gives its members permissions: only a superuser can change it."
        )


@require_POST
def set_rights(request: HttpRequest, pk: int) -> HttpResponse:
    """Change the permissions that differ between ``shown`` and ``rights``.

    ``shown`` are those that the form had checked, ``rights`` those checked now.
    """
    require(request, Right.CHANGE_GROUP)
    if not request.user.is_superuser:
        raise PermissionDenied("Only superusers can change what a group allows.")
    group = get_object_or_404(Group, pk=pk)
    before, after = (
        {Right(name) for name in request.POST.getlist(field)[:500] if name in set(Right)}
        for field in ("shown", "rights")
    )
    group.permissions.add(*roles.rows(after - before))
    group.permissions.remove(*roles.rows(before - after))
    messages.success(request, f"What the group {group.name} allows was saved.")
    return redirect("group", pk)


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    group = get_object_or_404(Group, pk=pk)
    require_reach(request, group, Right.DELETE_GROUP)
    count = group.user_set.count()
    group.delete()
    messages.success(
        request,
        f"The group {group.name} was deleted. {plural(count, 'person', 'people')} left it.",
    )
    return redirect("groups")

"""``/users`` and ``/groups``: who has an account, and what groups allow."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from django.db.models import Count, Q
from django.http import HttpRequest
from ninja import Query, Router

from discovery.api import access_schemas as schemas
from discovery.api import paging
from discovery.api.authentication import Access
from discovery.engine.core.service_words import TokenScope
from discovery.models import AccountChange, Right
from discovery.services.access import accounts

router = Router(tags=["Access"])

USERS = Access(TokenScope.READ, Right.VIEW_USERS)
MAX_WORDS = 8

_STATES = {
    "active": Q(is_active=True),
    "deactivated": Q(is_active=False),
    "superuser": Q(is_superuser=True),
    "alone": Q(groups=None, is_superuser=False),
}
_TEXTS = ("username", "email", "first_name", "last_name")


@router.get(
    "/users", auth=USERS, response=schemas.Users, operation_id="list_users", summary="Accounts"
)
def users(request: HttpRequest, query: Query[schemas.UsersQuery]) -> dict[str, Any]:
    """Who has an account, and in which groups. Accounts are managed on the pages."""
    rows, notes = User.objects.order_by("username").prefetch_related("groups"), []
    for word in query.search.split()[:MAX_WORDS]:
        condition = Q()
        for name in _TEXTS:
            condition |= Q(**{f"{name}__icontains": word})
        rows = rows.filter(condition)
    if query.state is not None:
        rows = rows.filter(_STATES[query.state])
    if query.group is not None:
        rows = rows.filter(groups__name=query.group)
        known = Group.objects.filter(name=query.group).exists()
        notes += [] if known else [f"There is no group {query.group}."]
    return paging.numbered(request, rows, query, _user, notes=notes)


@router.get(
    "/users/changes",
    auth=USERS,
    response=schemas.AccountChanges,
    operation_id="list_account_changes",
    summary="History of accounts and groups",
)
def changes(request: HttpRequest, query: Query[paging.Paged]) -> dict[str, Any]:
    """What was done to accounts and groups, on any surface."""
    return paging.numbered(
        request,
        AccountChange.objects.order_by("-pk"),
        query,
        lambda row: {
            "at": row.at,
            "by": row.by or None,
            "kind": str(row.kind),
            "name": row.name,
            "text": row.text,
        },
    )


@router.get(
    "/groups",
    auth=Access(TokenScope.READ, Right.VIEW_GROUPS),
    response=schemas.Groups,
    operation_id="list_groups",
    summary="Groups",
)
def groups(request: HttpRequest, query: Query[schemas.GroupsQuery]) -> dict[str, Any]:
    """Each with its number of members, and what it allows them."""
    rows = Group.objects.annotate(members=Count("user")).order_by("name")
    for word in query.search.split()[:MAX_WORDS]:
        rows = rows.filter(name__icontains=word)
    return paging.numbered(
        request,
        rows.prefetch_related("permissions__content_type"),
        query,
        lambda group: {
            "group_id": group.pk,
            "name": group.name,
            "members": group.members,
            "permissions": sorted(accounts.group_rights(group)),
        },
    )


def _user(person: User) -> dict[str, Any]:
    return {
        "user_id": person.pk,
        "username": person.username,
        "name": person.get_full_name(),
        "email": person.email,
        "active": person.is_active,
        "superuser": person.is_superuser,
        "groups": sorted(group.name for group in person.groups.all()),
        "last_login": person.last_login,
        "joined": person.date_joined,
    }

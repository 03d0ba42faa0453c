"""Looking after accounts and groups: who may touch whom, what they may give, and one-time links.

Nobody gives more than they hold, and somebody can always look after accounts: the last active
superuser stays one.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db import transaction
from django.db.models import F, QuerySet
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from discovery.models import Profile, roles
from discovery.models.registry import sees_all
from discovery.services.access import account_journal
from discovery.services.access.last_superuser import LastSuperuser, check_superuser_remains

__all__ = [
    "LastSuperuser", "allowed_to", "check_superuser_remains", "givable", "group_rights",
    "one_time_link", "one_time_links",
]  # fmt: skip


def givable(actor: User) -> QuerySet[Group]:
    """The groups whose members ``actor`` may choose.

    What such a group permits and shows to its members is within what ``actor`` can do and see.
    """
    groups = Group.objects.order_by("name")
    if actor.is_superuser:
        return groups
    if not sees_all(actor):
        groups = groups.filter(user=actor)
    beyond = [
        group.pk
        for group in groups.prefetch_related("permissions__content_type")
        if not group_rights(group) <= actor.get_all_permissions()
    ]
    return groups.exclude(pk__in=beyond)


def group_rights(group: Group) -> set[str]:
    """``app.codename`` of each permission that a group holds."""
    return {f"{row.content_type.app_label}.{row.codename}" for row in group.permissions.all()}


def allowed_to(group: Group) -> roles.Allowed:
    return roles.allowed(group_rights(group))


class OneTimeLinks(PasswordResetTokenGenerator):
    """Django's password links, each of which works once.

    A link is valid until a password is set or ``PASSWORD_RESET_TIMEOUT`` has passed; of several
    links of one account only the newest is valid.
    """

    key_salt = "discovery.one_time_links"

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        number = (
            Profile.objects.filter(user=user.pk).values_list("link_number", flat=True).first() or 0
        )
        return f"{super()._make_hash_value(user, timestamp)}-{number}"


one_time_links = OneTimeLinks()


def one_time_link(person: User) -> str:
    """Return the path of a page where its holder can choose a password for this account, once."""
    with transaction.atomic():
        Profile.objects.get_or_create(user=person)
        Profile.objects.filter(user=person).update(link_number=F("link_number") + 1)
        token = one_time_links.make_token(person)
        account_journal.of_user(person, f"made a one-time link for {person.username}")
    return reverse("set-password", args=[urlsafe_base64_encode(force_bytes(person.pk)), token])

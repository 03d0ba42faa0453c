"""People of the tests: what somebody may do comes from permissions, never from ``is_staff``."""

from __future__ import annotations

from django.contrib.auth.models import Permission, User

from discovery.models import Right
from discovery.services.access import permissions


def administer(user: User) -> User:
    """Makes an administrator, as the migration does: in a group with every right, and let into
    Django's administration.
    """
    user.is_staff = True
    user.save()
    user.groups.add(permissions.administrators())
    return User.objects.get(pk=user.pk)


def permit(user: User, *rights: Right | str) -> User:
    """Gives single permissions, as ``app.codename``; the account as it is then, without what was
    remembered of it.
    """
    for right in rights:
        app, codename = str(right).split(".")
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=codename)
        )
    return User.objects.get(pk=user.pk)

"""People of the tests: what somebody may do comes from permissions, never from ``is_staff``."""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission, User

from discovery.models import Right, roles


def administer(user: User) -> User:
    """Makes an administrator, who is also let into Django's administration."""
    user.is_staff = True
    user.save()
    return join(user, roles.ADMINISTRATOR)


def restore(role: roles.Role) -> Group:
    """The group of a role, which is made where a test emptied the database."""
    group, _ = Group.objects.get_or_create(name=role.name)
    group.permissions.set(roles.rows(role.rights))
    return group


def join(user: User, role: roles.Role) -> User:
    """Puts somebody into the group of a role."""
    group = restore(role)
    user.groups.add(group)
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

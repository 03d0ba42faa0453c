"""Somebody can always look after accounts: the last active superuser stays one."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction


class LastSuperuser(PermissionDenied):
    """Nobody could look after accounts any more."""

    def __init__(self) -> None:
        super().__init__(
            "This is the last active superuser, and somebody has to manage accounts: make another"
            " account a superuser first."
        )


def check_superuser_remains(*people: User, superuser: bool = False, active: bool = False) -> None:
    """Raise ``LastSuperuser`` if a change would leave no active superuser.

    ``people``, as they are in the database, would then be all active superusers, and no longer be
    that with these values.
    """
    if superuser and active:
        return
    with transaction.atomic():
        # Locked, so that two cannot step down for each other.
        rows = User.objects.select_for_update().filter(is_superuser=True, is_active=True)
        there = set(rows.values_list("pk", flat=True))
    if there and there <= {person.pk for person in people}:
        raise LastSuperuser


def check_one_is_left(gone: User) -> None:
    """Raise ``LastSuperuser`` unless one is left after deletions.

    Several deletions may run at the same time.
    """
    there = User.objects.filter(is_superuser=True, is_active=True).exists()
    if gone.is_superuser and gone.is_active and not there:
        raise LastSuperuser

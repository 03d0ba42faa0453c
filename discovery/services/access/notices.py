"""Notices about upgrades: superusers see each until one of them confirms it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import QuerySet
from django.utils import timezone

from discovery.models import Notice

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def unconfirmed() -> QuerySet[Notice]:
    """The notices that nobody has confirmed."""
    return Notice.objects.filter(confirmed_at=None)


def confirm(notice: Notice, *, by: User) -> None:
    """Record that somebody has read a notice; who did it first stays."""
    unconfirmed().filter(pk=notice.pk).update(confirmed_at=timezone.now(), confirmed_by=by)

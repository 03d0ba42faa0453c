"""The models that a person marked with a star. Nobody else sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discovery.models import RegisteredModel

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

_Star = RegisteredModel.favoured_by.through


def mark(record: RegisteredModel, user: AbstractBaseUser, *, favourite: bool) -> None:
    """Mark a model; marking it again changes nothing."""
    if favourite:
        record.favoured_by.add(user.pk)
    else:
        record.favoured_by.remove(user.pk)


def keys(user: AbstractBaseUser | AnonymousUser) -> frozenset[int]:
    """Primary keys of the models this person marked."""
    return (
        frozenset(_Star.objects.filter(user=user.pk).values_list("registeredmodel_id", flat=True))
        if user.pk
        else frozenset()
    )

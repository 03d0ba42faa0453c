"""The groups and the status that a sign-in provider or a trusted proxy gives.

They follow the provider at each sign-in: what it no longer says is taken away again, unless
somebody here gave the same by hand. ``ExternalGrant`` keeps which is which.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db.models.signals import m2m_changed

from discovery.engine.core.service_words import ProviderStatus, SignInSource
from discovery.engine.core.text import clean
from discovery.engine.core.vocabulary import Severity
from discovery.models import ExternalGrant, LogTopic
from discovery.services.access.last_superuser import LastSuperuser
from discovery.services.core import event_log

#: Values of one person that are read; more are the mistake of a provider.
MOST_VALUES = 1_000
_NAME_LENGTH = 150


def wanted(values: Iterable[str]) -> list[Group]:
    """The groups here that these values of the provider mean.

    Where unknown groups are created, a value that nobody mapped means the group of its own name,
    but never one that holds permissions: what people may do is given only by the map.
    """
    create = settings.SIGN_IN_UNKNOWN_GROUPS == "create"
    mapped: set[str] = set()
    own: set[str] = set()
    for value in sorted(values)[:MOST_VALUES]:
        if value in settings.SIGN_IN_GROUPS:
            mapped.update(settings.SIGN_IN_GROUPS[value])
        elif create and 0 < len(value) <= _NAME_LENGTH and clean(value, _NAME_LENGTH) == value:
            own.add(value)
    names = mapped | own
    found = {group.name: group for group in Group.objects.filter(name__in=names)}
    if create:
        for name in sorted(names - found.keys()):
            found[name], _ = Group.objects.get_or_create(name=name)
    powerful = set(
        Group.objects.filter(name__in=own - mapped, permissions__isnull=False).values_list(
            "name", flat=True
        )
    )
    return [group for name, group in sorted(found.items()) if name not in powerful]


def missing() -> list[str]:
    """Groups that the map names and that do not exist here."""
    names = {name for each in settings.SIGN_IN_GROUPS.values() for name in each}
    there = set(Group.objects.filter(name__in=names).values_list("name", flat=True))
    return sorted(names - there)


def follow(person: User, source: SignInSource, values: frozenset[str], groups: list[Group]) -> None:
    """Give and take what the provider says about somebody."""
    _follow_groups(person, source, {group.pk: group for group in groups})
    _follow_status(
        person, source, ProviderStatus.SUPERUSER, bool(values & settings.SIGN_IN_SUPERUSERS)
    )
    _follow_status(person, source, ProviderStatus.STAFF, bool(values & settings.SIGN_IN_STAFF))


def given(person: User) -> set[int]:
    """Primary keys of the groups that somebody is in because a provider says so."""
    rows = ExternalGrant.objects.filter(user=person, group__isnull=False)
    return {key for key in rows.values_list("group_id", flat=True) if key is not None}


def _follow_groups(person: User, source: SignInSource, groups: dict[int, Group]) -> None:
    member = set(person.groups.values_list("pk", flat=True))
    rows = ExternalGrant.objects.filter(user=person, group__isnull=False)
    mine: set[int] = set()
    others: set[int] = set()
    for key, of in rows.values_list("group__pk", "source"):
        (mine if of == source else others).add(key)
    added = groups.keys() - member
    person.groups.add(*(groups[key] for key in sorted(added)))
    ExternalGrant.objects.bulk_create(
        [
            ExternalGrant(user=person, source=source, group_id=key)
            for key in sorted((added | (groups.keys() & others)) - mine)
        ]
    )
    gone = mine - groups.keys()
    if gone:
        rows.filter(source=source, group__in=gone).delete()
        person.groups.remove(*Group.objects.filter(pk__in=gone - others))


def _follow_status(
    person: User, source: SignInSource, status: ProviderStatus, wanted: bool
) -> None:
    field = {ProviderStatus.SUPERUSER: "is_superuser", ProviderStatus.STAFF: "is_staff"}[status]
    rows = ExternalGrant.objects.filter(user=person, status=status)
    row = rows.filter(source=source).first()
    if wanted and not getattr(person, field):
        setattr(person, field, True)
        person.save(update_fields=[field])
        rows.get_or_create(user=person, source=source, status=status)
    elif not wanted and row is not None:
        last = not rows.exclude(pk=row.pk).exists()
        if getattr(person, field) and last and not _take(person, field):
            return
        row.delete()


def _take(person: User, field: str) -> bool:
    """Whether the status could be taken: the last active superuser keeps it."""
    setattr(person, field, False)
    try:
        person.save(update_fields=[field])
    except LastSuperuser:
        setattr(person, field, True)
        event_log.record(
            LogTopic.ACCESS,
            Severity.WARNING,
            f"{person.username} stays a superuser although the sign-in provider no longer says so:"
            " it is the last active one.",
        )
        return False
    return True


def _by_hand(instance: Any, action: str, pk_set: set[int] | None, **_: Any) -> None:
    """Forget that a membership came from a provider once it has ended.

    Whoever gives it again by hand then gives it for good.
    """
    if action not in ("post_remove", "pre_clear"):
        return
    ours = {"user": instance} if isinstance(instance, User) else {"group": instance}
    other = "group__in" if isinstance(instance, User) else "user__in"
    rows = ExternalGrant.objects.filter(**ours, group__isnull=False)
    (rows if pk_set is None else rows.filter(**{other: pk_set})).delete()


def listen() -> None:
    """Called once, when the application is ready."""
    m2m_changed.connect(
        _by_hand, sender=User.groups.through, dispatch_uid="karen-external-memberships"
    )

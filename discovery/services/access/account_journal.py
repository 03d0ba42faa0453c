"""The history of accounts and groups: what was changed on any surface, and by whom.

It listens to what is saved, so that pages, Django's admin and commands need not tell it; who acts
is known from the request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save
from django.utils import timezone

from discovery.engine.core.service_words import AccountKind
from discovery.engine.core.text import clean, listed
from discovery.models import AccountChange
from discovery.services.access.last_superuser import check_one_is_left, check_superuser_remains

_actor: ContextVar[Any] = ContextVar("actor", default=None)

#: Flags of an account → (what was done when it is set, when it is not).
_FLAGS = {
    "is_active": ("activated the account {name}", "deactivated the account {name}"),
    "is_superuser": ("made {name} a superuser", "took superuser status from {name}"),
    "is_staff": ("gave {name} staff status", "took staff status from {name}"),
}
_TEXTS = {"email": "email address", "first_name": "first name", "last_name": "last name"}
_WATCHED = ("username", "password", *_FLAGS, *_TEXTS)


@contextmanager
def acting(person: Any) -> Iterator[None]:
    """What happens inside is done by ``person``."""
    token = _actor.set(person)
    try:
        yield
    finally:
        _actor.reset(token)


def of_user(person: User, text: str) -> None:
    _keep(AccountKind.USER, person.pk, person.username, text)


def of_group(group: Group, text: str) -> None:
    _keep(AccountKind.GROUP, group.pk, group.name, text)


def _keep(kind: AccountKind, key: int, name: str, text: str) -> None:
    actor = _actor.get()
    AccountChange.objects.create(
        at=timezone.now(),
        by=actor.get_username() if actor is not None else "",
        kind=kind,
        key=key,
        name=name,
        text=clean(text, 1000),
    )


def _before_user(instance: User, raw: bool = False, update_fields: Any = None, **_: Any) -> None:
    watched = set(_WATCHED).intersection(_WATCHED if update_fields is None else update_fields)
    before = (
        User.objects.filter(pk=instance.pk).values(*watched).first()
        if watched and instance.pk and not raw
        else None
    )
    instance._before = before  # type: ignore[attr-defined]
    if before is not None and {"is_superuser", "is_active"} & watched:
        check_superuser_remains(
            instance, superuser=instance.is_superuser, active=instance.is_active
        )


def _after_user(instance: User, created: bool, raw: bool = False, **_: Any) -> None:
    if raw:
        return
    if created:
        what = "the superuser" if instance.is_superuser else "the account"
        of_user(instance, f"created {what} {instance.username}")
        return
    before: dict[str, Any] = getattr(instance, "_before", None) or {}
    for text in _differences(before, instance):
        of_user(instance, text)


def _differences(before: dict[str, Any], person: User) -> Iterator[str]:
    changed = {name for name, value in before.items() if value != getattr(person, name)}
    if "username" in changed:
        yield f"renamed the account {before['username']} to {person.username}"
    # Django also writes the same password anew, when it hashes it more slowly than before.
    if "password" in changed and getattr(person, "_password", None) is not None:
        yield f"set a new password for {person.username}"
    elif "password" in changed and not person.has_usable_password():
        yield f"took the password from {person.username}"
    for name, texts in _FLAGS.items():
        if name in changed:
            yield texts[0 if getattr(person, name) else 1].format(name=person.username)
    if words := [words for name, words in _TEXTS.items() if name in changed]:
        yield f"changed the {listed(words)} of {person.username}"


def _before_deletion(instance: User, **_: Any) -> None:
    check_superuser_remains(instance)


def _after_deletion(instance: User, **_: Any) -> None:
    check_one_is_left(instance)
    of_user(instance, f"deleted the account {instance.username}")


def _before_group(instance: Group, raw: bool = False, **_: Any) -> None:
    rows = Group.objects.filter(pk=instance.pk).values_list("name", flat=True)
    instance._before = rows.first() if instance.pk and not raw else None  # type: ignore[attr-defined]


def _after_group(instance: Group, created: bool, raw: bool = False, **_: Any) -> None:
    before = getattr(instance, "_before", None)
    if created and not raw:
        of_group(instance, f"created the group {instance.name}")
    elif before and before != instance.name:
        of_group(instance, f"renamed the group {before} to {instance.name}")


def _before_group_deletion(instance: Group, **_: Any) -> None:
    instance._members = _people(instance.user_set.all())  # type: ignore[attr-defined]


def _after_group_deletion(instance: Group, **_: Any) -> None:
    members = getattr(instance, "_members", "")
    told = f", whose members were {members}" if members else ", which had no members"
    of_group(instance, f"deleted the group {instance.name}{told}")


def _membership(instance: Any, action: str, pk_set: set[int] | None, **_: Any) -> None:
    """Record a change of membership, which may start from the group or from the account."""
    if action not in ("post_add", "pre_remove", "pre_clear"):
        return
    person = isinstance(instance, User)
    rows = (instance.groups if person else instance.user_set).order_by("pk")
    others = rows if pk_set is None else rows.filter(pk__in=pk_set)
    pairs = [(instance, other) if person else (other, instance) for other in others]
    for person, group in pairs:
        of_user(
            person,
            f"put {person.username} into the group {group.name}"
            if action == "post_add"
            else f"took {person.username} out of the group {group.name}",
        )


def _permissions(instance: Any, action: str, pk_set: set[int] | None, **_: Any) -> None:
    """Of a person or a group. The other side, a permission, is never where people change it."""
    if action not in ("post_add", "pre_remove", "pre_clear") or isinstance(instance, Permission):
        return
    person = isinstance(instance, User)
    held = instance.user_permissions if person else instance.permissions
    rows = held.all() if pk_set is None else Permission.objects.filter(pk__in=pk_set)
    if not (names := [row.name for row in rows.order_by("name")]):
        return
    which = (
        f"the permission{'s' if len(names) > 1 else ''} {listed([f'“{name}”' for name in names])}"
    )
    done = "gave {} " + which if action == "post_add" else "took from {} " + which
    if person:
        of_user(instance, done.format(instance.username))
    else:
        of_group(instance, done.format(f"the group {instance.name}"))


def _people(rows: Iterable[User]) -> str:
    names = sorted(person.username for person in rows)
    return listed(names[:20] + [f"{len(names) - 20:,} more"] * (len(names) > 20))


def listen() -> None:
    """Called once, when the application is ready."""
    for signal, receiver, sender in (
        (pre_save, _before_user, User),
        (post_save, _after_user, User),
        (pre_delete, _before_deletion, User),
        (post_delete, _after_deletion, User),
        (pre_save, _before_group, Group),
        (post_save, _after_group, Group),
        (pre_delete, _before_group_deletion, Group),
        (post_delete, _after_group_deletion, Group),
        (m2m_changed, _membership, User.groups.through),
        (m2m_changed, _permissions, User.user_permissions.through),
        (m2m_changed, _permissions, Group.permissions.through),
    ):
        signal.connect(receiver, sender=sender, dispatch_uid=f"karen-{receiver.__name__}-{sender}")

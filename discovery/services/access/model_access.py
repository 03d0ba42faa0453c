"""Who may see a model, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group, User
from django.db.models import Q

from discovery.models import RegisteredModel, Visibility
from discovery.models.registry import sees_all
from discovery.services.access.permissions import seeing_all


def explained(record: RegisteredModel) -> dict[str, Any]:
    """``users``: active people who do not see all models anyway, whom a group lets see the
    restricted model, directly or by a collection.
    """
    collections = list(record.collections.prefetch_related("groups").order_by("name"))
    own = list(record.groups.order_by("name"))
    granting = Group.objects.filter(Q(models=record) | Q(collections__models=record))
    seeing = User.objects.filter(seeing_all()).values("pk")
    people = (
        User.objects.filter(is_active=True, groups__in=granting)
        .exclude(pk__in=seeing)
        .order_by("username")
        .distinct()
    )
    return {
        "model_id": record.model_id,
        "visibility": record.visibility,
        "quarantined_at": record.quarantined_at,
        "groups": [group.name for group in own],
        "collections": [
            {"name": item.name, "groups": sorted(group.name for group in item.groups.all())}
            for item in collections
        ],
        "users": (
            [user.username for user in people] if record.visibility == Visibility.RESTRICTED else []
        ),
    }


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether one person sees a model, and why in a sentence; ``None`` where there is no such
    person.
    """

    allowed: bool | None
    why: str


def of_person(record: RegisteredModel, username: str) -> Answer:
    """The answer for one account, as ``visible_to`` gives it."""
    person = User.objects.filter(username=username.replace("\0", "")).first()
    if person is None:
        return Answer(None, "There is no account of this name.")
    if not person.is_active:
        return Answer(
            record.visibility == Visibility.PUBLIC,
            "The account is switched off: it sees no more than a visitor.",
        )
    if person.is_superuser:
        return Answer(True, "Superusers see every model.")
    if sees_all(person):
        return Answer(True, "The account has the permission to see every model.")
    if record.visibility == Visibility.PUBLIC:
        return Answer(True, "The model is public.")
    if record.visibility == Visibility.ADMIN_ONLY:
        return Answer(
            False,
            (
                "In quarantine only administrators see it."
                if record.quarantined_at
                else "Only administrators see it."
            ),
        )
    return _restricted(record, person)


def _restricted(record: RegisteredModel, person: User) -> Answer:
    own = list(person.groups.order_by("name").values_list("name", flat=True))
    direct = list(
        record.groups.filter(name__in=own).order_by("name").values_list("name", flat=True)
    )
    if direct:
        return Answer(True, f"{_groups(direct)} may see it.")
    granted = (
        record.collections.filter(groups__name__in=own)
        .order_by("name", "groups__name")
        .values_list("name", "groups__name")
        .first()
    )
    if granted:
        return Answer(
            True, f"{_groups([granted[1]])} may see the collection {granted[0]}, which it is in."
        )
    if not own:
        return Answer(False, "The model is restricted, and the account is in no group.")
    return Answer(
        False, f"The model is restricted, and {_groups(own, first=False)} may not see it."
    )


def _groups(names: list[str], *, first: bool = True) -> str:
    text = (
        f"group{'s' if len(names) > 1 else ''}"
        f" {', '.join(names[:5])}{' …' if len(names) > 5 else ''}"
    )
    return f"The {text}" if first else f"the {text}"


def explained_to(user: User, record: RegisteredModel) -> dict[str, Any]:
    """The same for those who see every model; others are told of their own groups and of
    themselves.
    """
    told = explained(record)
    if sees_all(user):
        return told
    own = set(user.groups.values_list("name", flat=True))
    shared = [
        {**item, "groups": sorted(own.intersection(item["groups"]))}
        for item in told["collections"]
        if own.intersection(item["groups"])
    ]
    mine = [name for name in told["users"] if name == user.username]
    return {
        **told,
        "groups": sorted(own.intersection(told["groups"])),
        "collections": shared,
        "users": mine,
    }

"""The roles: groups that a migration makes, each with the rights declared here.

A role is an ordinary group from then on. What it holds may be changed, it may be renamed or
deleted, and a person may be in any number of groups. A migration that adds a right gives it to
the groups that should have it, as that of settings does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.contrib.auth.models import Permission
from django.db.models import Q, QuerySet

from discovery.models.permissions import OVER_ACCOUNTS, WORDS, Right


@dataclass(frozen=True, slots=True)
class Role:
    """``name`` is that of its group; ``sentence`` what it allows, in words."""

    name: str
    sentence: str
    rights: frozenset[Right]


VIEWER = Role("Viewers", "See the models that are public or granted to their groups.", frozenset())
EDITOR = Role(
    "Editors",
    "Change metadata, tags and collections of the models that they see.",
    frozenset(
        {
            Right.EDIT,
            Right.ADD_COLLECTION,
            Right.CHANGE_COLLECTION,
            Right.DELETE_COLLECTION,
            Right.ADD_TAG,
            Right.CHANGE_TAG,
            Right.DELETE_TAG,
        }
    ),
)
# A rule decides about every model, and its preview lists them: curators see all.
CURATOR = Role(
    "Curators",
    "Do what editors do, see every model, change the rules of categories, validate models and"
    " decide on problems.",
    EDITOR.rights
    | {
        Right.VIEW_ALL,
        Right.RULES,
        Right.VALIDATE,
        Right.VIEW_FINDINGS,
        Right.DECIDE,
        Right.SHARE_VIEWS,
    },
)
ADMINISTRATOR = Role(
    "Registry administrators",
    "Do everything except manage users and groups.",
    frozenset(Right) - OVER_ACCOUNTS,
)

#: From the least to the most. Superusers, who also manage accounts, are no group.
ROLES = (VIEWER, EDITOR, CURATOR, ADMINISTRATOR)
SUPERUSER = "Do everything, and manage users and groups."


@dataclass(frozen=True, slots=True)
class Allowed:
    """Rights in words: the largest role that they contain, and the permissions beyond it."""

    role: Role
    more: tuple[str, ...]


def allowed(rights: Collection[str]) -> Allowed:
    """What a person or a group with these rights (``app.codename``) may do.

    Permissions that nothing here asks for are left out.
    """
    role = max(
        (each for each in ROLES if each.rights <= set(rights)), key=lambda each: len(each.rights)
    )
    return Allowed(
        role,
        tuple(
            words for right, words in WORDS.items() if right in rights and right not in role.rights
        ),
    )


def rows(rights: Iterable[Right]) -> QuerySet[Permission]:
    """The permissions for ``rights``, as far as they exist."""
    found = Q(pk__in=())
    for right in rights:
        app, _, codename = right.partition(".")
        found |= Q(content_type__app_label=app, codename=codename)
    return Permission.objects.filter(found)

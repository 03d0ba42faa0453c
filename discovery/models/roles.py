"""The roles: groups that a migration makes, each with the rights declared here.

A role is an ordinary group from then on. What it holds may be changed, it may be renamed or
deleted, and a person may be in any number of groups. A migration that adds a right calls
:func:`give` for it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.management import create_permissions
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


def rows(rights: Iterable[Right], permissions: QuerySet[Any] | None = None) -> QuerySet[Any]:
    """The permissions that stand for ``rights``, as far as they exist."""
    found = Q(pk__in=())
    for right in rights:
        app, _, codename = right.partition(".")
        found |= Q(content_type__app_label=app, codename=codename)
    return (Permission.objects.all() if permissions is None else permissions).filter(found)


def make(apps: Any, schema_editor: Any) -> None:
    """For the migration: makes the groups of all roles that are not there yet.

    A group of the name that has permissions, or that needs none, is taken for the role and left
    as it is. One without them has members and models of its own: the role is then made under the
    next free name, so that nobody is given what they never had.
    """
    permissions = _permissions(apps, schema_editor)
    groups = apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias)
    for role in ROLES:
        named = re.compile(rf"{re.escape(role.name)}( \d+)?")
        same = [
            row for row in groups.filter(name__startswith=role.name) if named.fullmatch(row.name)
        ]
        if any(not role.rights or row.permissions.exists() for row in same):
            continue
        taken, name, number = {row.name for row in same}, role.name, 2
        while name in taken:
            name, number = f"{role.name} {number}", number + 1
        groups.create(name=name).permissions.add(*rows(role.rights, permissions))


def give(apps: Any, schema_editor: Any, *rights: Right) -> None:
    """For a migration that adds ``rights``: each goes to the groups that hold everything else of
    a role that has it.

    A group that people took something from is left as they left it.
    """
    permissions = _permissions(apps, schema_editor)
    groups = apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias)
    for role in ROLES:
        new, old = role.rights.intersection(rights), role.rights.difference(rights)
        before = set(rows(old, permissions).values_list("pk", flat=True))
        for group in groups.all() if new and before else ():
            if before <= set(group.permissions.values_list("pk", flat=True)):
                group.permissions.add(*rows(new, permissions))


def _permissions(apps: Any, schema_editor: Any) -> QuerySet[Any]:
    """Django makes permissions after all migrations; these are needed now."""
    using = schema_editor.connection.alias
    for label in ("auth", "discovery"):
        config = apps.get_app_config(label)
        # The apps of a migration have no module of models, and would be passed over.
        before, config.models_module = getattr(config, "models_module", None), True
        create_permissions(config, apps=apps, verbosity=0, using=using)
        config.models_module = before
    found: QuerySet[Any] = apps.get_model("auth", "Permission").objects.using(using)
    return found

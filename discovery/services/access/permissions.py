"""Who may do what: pages, the API, tokens, the administration and commands all ask here.

``may(user, right, row)`` is ``user.has_perm`` with the row's own condition: a right applies to the
models that a person sees, never beyond. ``Objects`` answers ``user.has_perm(right, row)`` in the
same way wherever Django asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser, Permission, PermissionsMixin
from django.db.models import Q, QuerySet

from discovery.engine.core.service_words import TokenScope
from discovery.models import (
    ApiToken,
    BulkEdit,
    Collection,
    Listing,
    LogEntry,
    MetadataChange,
    MetadataImport,
    RegisteredModel,
    Right,
    SavedView,
)
from discovery.models.permissions import WORDS
from discovery.models.registry import sees_all

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, User

    Person = AbstractBaseUser | AnonymousUser

#: Field of a model → the right that changing it takes; every other field takes ``Right.EDIT``.
_OF_FIELDS = {
    "visibility": Right.GRANT,
    "groups": Right.GRANT,
    "collections": Right.CHANGE_COLLECTION,
}

#: Kind of bulk edit → the right it takes.
OF_BULK = {
    "metadata": Right.EDIT,
    "tags": Right.EDIT,
    "category": Right.EDIT,
    "visibility": Right.GRANT,
    "collection": Right.CHANGE_COLLECTION,
    "validate": Right.VALIDATE,
}

#: A file of metadata sets any field of any model.
IMPORTING = (Right.IMPORT, Right.EDIT, Right.GRANT, Right.CHANGE_COLLECTION, Right.VIEW_ALL)

#: Scope of a token → rights of which its owner has one at least: otherwise the scope would open
#: nothing. Everybody has favorites, saved views and tokens of their own to write.
OF_SCOPES: dict[str, tuple[Right, ...]] = {
    TokenScope.READ: (),
    TokenScope.WRITE: (),
    TokenScope.ADMIN: (
        Right.SCAN,
        Right.SYSTEM,
        Right.ROOTS,
        Right.SETTINGS,
        Right.SCHEDULES,
        Right.RULES,
        Right.ADD_WEBHOOK,
        Right.CHANGE_WEBHOOK,
        Right.DELETE_WEBHOOK,
        Right.DOWNLOAD,
    ),
}

#: Only to be seen and changed with a model they are about.
_ABOUT_A_MODEL = frozenset(
    {"finding", "metadatachange", "deepvalidation", "loadtest", "filechecksum"}
)


def may(user: Person, right: str, row: Any = None) -> bool:
    """Whether ``user`` is active and has the permission, and may see ``row`` where one is given."""
    if (
        not isinstance(user, PermissionsMixin)
        or not getattr(user, "is_active", False)
        or not (user.is_superuser or user.pk)
    ):
        return False
    return user.has_perm(right) and (row is None or sees(user, row, right))


def may_all(user: Person, rights: Iterable[str]) -> bool:
    return all(may(user, right) for right in rights)


def rights(user: Person) -> frozenset[str]:
    """Return all rights of a person, whatever their source."""
    return frozenset(right for right in Right if may(user, right))


def may_any(user: Person, rights: Iterable[str]) -> bool:
    return any(may(user, right) for right in rights)


def lacking(user: Person, rights: Iterable[Right]) -> str:
    """What to say to somebody who lacks one of ``rights``; empty for those who have them all."""
    missing = next((right for right in rights if not may(user, right)), None)
    return f"You need the permission “{WORDS[missing]}” for this." if missing else ""


def sees(user: Person, row: Any, right: str = "") -> bool:
    """Return whether a person sees a row, regardless of their rights on rows of its kind."""
    if getattr(user, "is_superuser", False) or row.pk is None:
        return True
    if isinstance(row, RegisteredModel | Listing):
        return RegisteredModel.objects.visible_to(user).filter(pk=row.pk).exists()
    if isinstance(row, LogEntry):
        return visible_log(user, LogEntry.objects.filter(pk=row.pk)).exists()
    if isinstance(row, Collection):
        return _reaches(user, row, right)
    if isinstance(row, BulkEdit | MetadataImport):
        return sees_all(user) or row.requested_by_id == user.pk
    if isinstance(row, ApiToken):
        return row.user_id == user.pk or may(user, Right.TOKENS)
    if isinstance(row, SavedView):
        return row.owner_id == user.pk or row.shared
    if row._meta.app_label == "discovery" and row._meta.model_name in _ABOUT_A_MODEL:
        return sees(user, row.model)
    return True


def _reaches(user: Person, collection: Collection, right: str) -> bool:
    """Return whether the right may apply to this collection.

    The members of a collection's groups may see its models, so changing it grants access, which is
    a right of its own.
    """
    if right in (Right.CHANGE_COLLECTION, Right.DELETE_COLLECTION) and not may(user, Right.GRANT):
        return not collection.groups.exists()
    return True


def visible_log(user: Person, rows: QuerySet[LogEntry]) -> QuerySet[LogEntry]:
    """Without what concerns models that this person may not see."""
    if sees_all(user):
        return rows
    visible = RegisteredModel.objects.visible_to(user).values("model_id")
    return rows.filter(Q(model_id="") | Q(model_id__in=visible))


def own(user: Person, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Limit requested jobs that name models to the user's own.

    People who see all models get all jobs.
    """
    return rows if sees_all(user) else rows.filter(requested_by=user.pk)


def of_fields(fields: Iterable[str]) -> set[Right]:
    """The rights that changing these fields of a model takes."""
    return {_OF_FIELDS.get(field, Right.EDIT) for field in fields}


def of_undo(fields: Iterable[str]) -> set[Right]:
    """Return the rights that undoing changes of these fields needs.

    Undoing ``collections`` always needs the right to grant access, because the groups that the
    collections had are not checked.
    """
    fields = set(fields)
    return of_fields(fields) | ({Right.GRANT} if "collections" in fields else set())


def refusals(
    user: Person, changes: Mapping[str, Any], record: RegisteredModel | None = None
) -> dict[str, str]:
    """{field: why this person may not set it}.

    ``changes`` maps fields to their values, or to names that are added and removed.

    With ``record`` a list is what it is to have afterwards.
    """
    refused = {
        field: f"you need the permission “{WORDS[right]}” for this"
        for field in changes
        if not may(user, right := _OF_FIELDS.get(field, Right.EDIT))
    }
    if "collections" in changes and "collections" not in refused and not may(user, Right.GRANT):
        names = {name for name in changes["collections"] or () if isinstance(name, str)}
        if record is not None:
            names ^= set(record.collections.values_list("name", flat=True))
        granting = (
            Collection.objects.filter(name__in=names).exclude(groups=None).order_by("name").first()
        )
        if granting:
            refused["collections"] = (
                f"{granting.name} gives groups access to its models, for which you need the"
                f" permission “{WORDS[Right.GRANT]}”"
            )
    return refused


def may_undo(user: Person, changes: QuerySet[MetadataChange]) -> bool:
    """Return whether this person could have made each of these changes on models that they see."""
    fields = set(changes.order_by().values_list("field", flat=True).distinct())
    if not may_all(user, of_undo(fields)):
        return False
    visible = RegisteredModel.objects.visible_to(user).values("pk")
    return sees_all(user) or not changes.exclude(model__in=visible).exists()


def batch(key: UUID) -> QuerySet[MetadataChange]:
    return MetadataChange.objects.filter(batch=key)


def seeing_all() -> Q:
    """The condition on accounts that see every model."""
    own = Permission.objects.filter(
        content_type__app_label="discovery", codename=Right.VIEW_ALL.codename
    )
    return Q(is_superuser=True) | Q(user_permissions__in=own) | Q(groups__permissions__in=own)


def switched_on(person: User) -> User:
    """Return the account as if it were active, with empty caches.

    The rights of a disabled account count, because it can be enabled again.
    """
    return type(person)(pk=person.pk, is_superuser=person.is_superuser, is_active=True)


def outranks(actor: User, person: User) -> bool:
    """Return whether ``actor`` may change the account of ``person``.

    Superusers may change all accounts; others only those that can do and see no more than they can.
    """
    if actor.is_superuser:
        return True
    if (
        person.is_superuser
        or not switched_on(person).get_all_permissions() <= actor.get_all_permissions()
    ):
        return False
    return sees_all(actor) or not person.groups.exclude(user=actor).exists()


class Objects:
    """The authentication backend that answers for single rows.

    It answers ``user.has_perm("discovery.change_registeredmodel", model)``; ``ModelBackend``
    answers for kinds of rows, and signs people in.
    """

    def authenticate(self, request: Any) -> None:
        return None

    def has_perm(self, user: Person, right: str, row: Any = None) -> bool:
        return row is not None and may(user, right, row)

"""One narrow row a model: what lists filter, count, search and sort by.

Rows of the registry are some 10 kB each, most of it JSON: reading a hundred thousand of them takes
too long for a page. The database itself keeps this copy, by triggers, so that no writer can forget
it; nothing else writes here. ``install`` creates the triggers after each ``migrate`` (SQLite drops
them when a migration rebuilds the table) and fills the copy again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django.db import connections, models
from django.db.models import QuerySet

from discovery.models.registry import RegisteredModel, seen_by

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
    from django.db.backends.base.base import BaseDatabaseWrapper

#: Columns with few values: ``profile`` is all of them in one text, so that one grouped walk along
#: an index counts every combination there is.
PROFILE = (
    "primary", "secondary", "specialization", "type", "format", "status", "visibility", "root_id",
    "modality_words", "capability_words",
)  # fmt: skip

#: Between the values in a profile. No stored text holds a control character.
SEPARATOR = "\x1f"


class ListingQuerySet(QuerySet["Listing"]):
    def visible_to(
        self, user: AbstractBaseUser | AnonymousUser, few: bool = False
    ) -> ListingQuerySet:
        """As ``RegisteredModelQuerySet.visible_to``: the same condition on the same columns."""
        return self.filter(seen_by(user, few))


class Listing(models.Model):
    """``id`` is the model's own. Unknown is ``NULL``, as it is there."""

    id = models.BigAutoField(primary_key=True)
    profile = models.TextField(default="")
    root_id = models.BigIntegerField()
    sort_name = models.CharField(max_length=500)
    search_text = models.TextField()
    type = models.CharField(max_length=30)
    format = models.CharField(max_length=30, null=True)
    status = models.CharField(max_length=12)
    primary = models.CharField(max_length=12, null=True)
    secondary = models.CharField(max_length=12, null=True)
    specialization = models.CharField(max_length=12, null=True)
    visibility = models.CharField(max_length=12)
    audience_id = models.BigIntegerField(null=True)
    license = models.CharField(max_length=200, null=True)
    model_family = models.CharField(max_length=200, null=True)
    author = models.CharField(max_length=200, null=True)
    architecture = models.CharField(max_length=200, null=True)
    quantization = models.CharField(max_length=80, null=True)
    dtype = models.CharField(max_length=40, null=True)
    modality_words = models.CharField(max_length=255)
    capability_words = models.CharField(max_length=255)
    parameter_count = models.BigIntegerField(null=True)
    context_length = models.BigIntegerField(null=True)
    size_bytes = models.BigIntegerField()
    memory_bytes = models.BigIntegerField(null=True)
    added_at = models.DateTimeField()
    modified_at = models.DateTimeField(null=True)

    objects = ListingQuerySet.as_manager()

    class Meta:
        ordering = ["sort_name", "pk"]
        default_permissions = ()
        indexes = [
            # The two that no page can do without; any other would tempt SQLite away from them.
            models.Index(
                fields=["sort_name", "id", "visibility", "audience_id"], name="listing_by_name"
            ),
            models.Index(
                fields=[
                    "profile",
                    "license",
                    "model_family",
                    "memory_bytes",
                    "visibility",
                    "audience_id",
                ],
                name="listing_by_profile",
            ),
        ]

    def __str__(self) -> str:
        return self.sort_name


#: Columns copied as they are.
COPIED = tuple(each.attname for each in Listing._meta.fields if each.attname != "profile")

#: What the index of profiles holds: counting by anything else looks up every row.
INDEXED = frozenset(
    column
    for index in Listing._meta.indexes
    if index.name == "listing_by_profile"
    for column in index.fields
)

_SOURCE = RegisteredModel._meta.db_table
_COPY = Listing._meta.db_table
_FOLLOW = "listing_follows"
_TRIGGERS = (f"{_FOLLOW}_insert", f"{_FOLLOW}_update", f"{_FOLLOW}_delete")


def _profile(row: str) -> str:
    return f" || '{SEPARATOR}' || ".join(
        f"COALESCE(CAST({row}.\"{name}\" AS TEXT), '')" for name in PROFILE
    )


def _values(row: str) -> str:
    return ", ".join([*(f'{row}."{name}"' for name in COPIED), _profile(row)])


# Statements are put together from names of this module alone.
_COLUMNS = ", ".join(f'"{name}"' for name in (*COPIED, "profile"))
_CHANGES = (
    ", ".join(f'"{name}" = NEW."{name}"' for name in COPIED if name != "id")
    + f', "profile" = {_profile("NEW")}'
)
_INSERT = f"INSERT INTO {_COPY} ({_COLUMNS}) VALUES ({_values('NEW')});"  # noqa: S608
_UPDATE = f"UPDATE {_COPY} SET {_CHANGES} WHERE id = NEW.id;"  # noqa: S608
_DELETE = f"DELETE FROM {_COPY} WHERE id = OLD.id;"  # noqa: S608
_EMPTY = f"DELETE FROM {_COPY}"  # noqa: S608
_FILL = f"INSERT INTO {_COPY} ({_COLUMNS}) SELECT {_values(_SOURCE)} FROM {_SOURCE}"  # noqa: S608
_WATCHED = ", ".join(f'"{name}"' for name in COPIED if name != "id")

_FOLLOWED = (
    f"IF TG_OP = 'INSERT' THEN {_INSERT} ELSIF TG_OP = 'UPDATE' THEN {_UPDATE} ELSE {_DELETE}"
    " END IF;"
)
_SQLITE = (
    f"CREATE TRIGGER {_FOLLOW}_insert AFTER INSERT ON {_SOURCE} BEGIN {_INSERT} END",
    f"CREATE TRIGGER {_FOLLOW}_update AFTER UPDATE OF {_WATCHED} ON {_SOURCE} BEGIN {_UPDATE} END",
    f"CREATE TRIGGER {_FOLLOW}_delete AFTER DELETE ON {_SOURCE} BEGIN {_DELETE} END",
)
_POSTGRESQL = (
    (
        f"CREATE OR REPLACE FUNCTION {_FOLLOW}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" {_FOLLOWED} RETURN NULL; END $$"
    ),
    (
        f"CREATE TRIGGER {_FOLLOW}_insert AFTER INSERT ON {_SOURCE} FOR EACH ROW EXECUTE FUNCTION"
        f" {_FOLLOW}()"
    ),
    (
        f"CREATE TRIGGER {_FOLLOW}_update AFTER UPDATE OF {_WATCHED} ON {_SOURCE} FOR EACH ROW"
        f" EXECUTE FUNCTION {_FOLLOW}()"
    ),
    (
        f"CREATE TRIGGER {_FOLLOW}_delete AFTER DELETE ON {_SOURCE} FOR EACH ROW EXECUTE FUNCTION"
        f" {_FOLLOW}()"
    ),
)


def install(using: str, **_: Any) -> None:
    """After ``migrate``: the triggers where they are missing, and then the copy from scratch."""
    connection = connections[using]
    if has_triggers(connection, _TRIGGERS):
        return
    with connection.cursor() as cursor:
        for statement in _SQLITE if connection.vendor == "sqlite" else _POSTGRESQL:
            cursor.execute(statement)
        cursor.execute(_EMPTY)
        cursor.execute(_FILL)


def uninstall(using: str, plan: Sequence[Any], **_: Any) -> None:
    """Before migrations run: SQLite cannot rebuild a table that a trigger names."""
    connection = connections[using]
    if not plan or not has_triggers(connection, _TRIGGERS):
        return
    place = "" if connection.vendor == "sqlite" else f" ON {_SOURCE}"
    with connection.cursor() as cursor:
        for name in _TRIGGERS:
            cursor.execute(f"DROP TRIGGER {name}{place}")


def has_triggers(connection: BaseDatabaseWrapper, names: Iterable[str]) -> bool:
    """Return whether the database has all triggers of these names."""
    known = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if connection.vendor == "sqlite"
        else "SELECT tgname FROM pg_trigger"
    )
    with connection.cursor() as cursor:
        cursor.execute(known)
        return set(names) <= {name for (name,) in cursor.fetchall()}

"""A version of everything that lists count, which changes with each commit that changes any of it.

Counting a hundred thousand rows costs more than the rest of a page. Whoever keeps a count keeps
the version that it was counted at: while the version is the same, so is the count. The database
itself changes it, by triggers, so that no writer can forget it.

Its values are random, because a number that is counted up would be given twice where a transaction
is rolled back. On PostgreSQL each connection has a row of its own, so that no writer waits for
another one; SQLite has one writer at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django.db import connections, models

from discovery.models.curation import Collection, Tag
from discovery.models.grants import Opening
from discovery.models.listing import COPIED, Listing, has_triggers
from discovery.models.registry import RegisteredModel

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

#: Random values have so many bits: a sum of many rows still fits its column.
_BITS = 44


class ListingVersion(models.Model):
    """``slot`` is the process number of a PostgreSQL connection; 0 on SQLite."""

    slot = models.BigIntegerField(primary_key=True)
    value = models.BigIntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.slot}: {self.value}"

    @classmethod
    def current(cls) -> int:
        """Return the version that this transaction sees."""
        return cls._default_manager.aggregate(sum=models.Sum("value"))["sum"] or 0


_VERSION = ListingVersion._meta.db_table
_TAGGED, _COLLECTED = (
    getattr(RegisteredModel, name).through._meta.db_table for name in ("tagged", "collections")
)
_ADDED, _RENAMED = ("INSERT", "DELETE"), ('UPDATE OF "name"', "DELETE")
_NARROW = ", ".join(f'"{name}"' for name in COPIED if name != "id")

#: Table → what changes a count. PostgreSQL, where one statement may change many rows, watches the
#: registry instead of its narrow copy, to which a trigger writes row by row.
_SQLITE: dict[str, Sequence[str]] = {
    Listing._meta.db_table: ("INSERT", "UPDATE", "DELETE"),
    Opening._meta.db_table: _ADDED,
    _TAGGED: _ADDED,
    _COLLECTED: _ADDED,
    Tag._meta.db_table: _RENAMED,
    Collection._meta.db_table: _RENAMED,
}
_POSTGRESQL: dict[str, Sequence[str]] = {
    **{table: (*events, "TRUNCATE") for table, events in _SQLITE.items()},
    RegisteredModel._meta.db_table: ("INSERT", f"UPDATE OF {_NARROW}", "DELETE", "TRUNCATE"),
}
del _POSTGRESQL[Listing._meta.db_table]


def _write(slot: str, value: str) -> str:
    return (
        f"INSERT INTO {_VERSION} (slot, value) VALUES ({slot}, {value})"  # noqa: S608
        " ON CONFLICT (slot) DO UPDATE SET value = excluded.value;"
    )


_ON_SQLITE = _write("0", f"abs(random() % {1 << _BITS})")
_ON_POSTGRESQL = _write("pg_backend_pid()", f"(random() * {1 << _BITS})::bigint")


def _name(table: str, event: str) -> str:
    return f"version_{table.removeprefix('discovery_')}_{event.split()[0].lower()}"


def _triggers(connection: BaseDatabaseWrapper) -> dict[str, tuple[str, str]]:
    """{name: (table, event)}."""
    tables = _SQLITE if connection.vendor == "sqlite" else _POSTGRESQL
    return {
        _name(table, event): (table, event) for table, events in tables.items() for event in events
    }


def _statements(connection: BaseDatabaseWrapper) -> Iterable[str]:
    sqlite = connection.vendor == "sqlite"
    if not sqlite:
        yield (
            "CREATE OR REPLACE FUNCTION new_listing_version() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN {_ON_POSTGRESQL} RETURN NULL; END $$"
        )
    action = (
        f"BEGIN {_ON_SQLITE} END"
        if sqlite
        else "FOR EACH STATEMENT EXECUTE FUNCTION new_listing_version()"
    )
    for name, (table, event) in _triggers(connection).items():
        yield f"CREATE TRIGGER {name} AFTER {event} ON {table} {action}"


def install(using: str, **_: Any) -> None:
    """After ``migrate``: the triggers where they are missing.

    There are none where the database was migrated to a version without this table.
    """
    connection = connections[using]
    if has_triggers(connection, _triggers(connection)):
        return
    if _VERSION not in connection.introspection.table_names():
        return
    with connection.cursor() as cursor:
        _drop(connection)
        for statement in _statements(connection):
            cursor.execute(statement)


def uninstall(using: str, plan: Sequence[Any], **_: Any) -> None:
    """Before migrations run: SQLite cannot rebuild a table that a trigger names."""
    if plan:
        _drop(connections[using])


def _drop(connection: BaseDatabaseWrapper) -> None:
    tables = set(connection.introspection.table_names())
    with connection.cursor() as cursor:
        for name, (table, _event) in _triggers(connection).items():
            if table in tables:
                place = "" if connection.vendor == "sqlite" else f" ON {table}"
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}{place}")


def fold(using: str = "default") -> None:
    """Fold the rows of PostgreSQL connections that are closed into one, without a new version."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH gone AS (DELETE FROM {_VERSION} WHERE slot <> 0 AND slot NOT IN"  # noqa: S608
            " (SELECT pid FROM pg_stat_activity WHERE pid IS NOT NULL) RETURNING value)"
            f" INSERT INTO {_VERSION} (slot, value) SELECT 0, SUM(value) FROM gone"
            " HAVING COUNT(*) > 0"
            f" ON CONFLICT (slot) DO UPDATE SET value = {_VERSION}.value + excluded.value"
        )

"""Commands that use the database, before the first ``serve`` as well."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from discovery.management.own_command import OwnCommand
from discovery.services.core.file_lock import host_lock

#: Seconds after which a command stops waiting for another one that sets up the database.
PATIENCE = 120.0


class DatabaseCommand(OwnCommand):
    """Sets up the tables of an empty database first.

    One that holds anything is left as it is: whether to migrate it is for a person to decide.
    """

    def execute(self, *args: Any, **options: Any) -> str | None:
        if _is_empty():
            migrate(only_empty=True)
        result: str | None = super().execute(*args, **options)
        return result


def migrate(*, only_empty: bool = False) -> None:
    """Migrate the database; processes that start at the same time do so one after the other.

    Raises ``CommandError`` when another one does not finish.
    """
    began = time.monotonic()

    def wait() -> None:
        if time.monotonic() - began > PATIENCE:
            raise CommandError(
                "Another process sets up the database: wait until it is done.", returncode=2
            )

    with host_lock(settings.DATA_DIR / "migrate.lock", wait):
        if not only_empty or _is_empty():
            call_command("migrate", interactive=False, verbosity=0)


def _is_empty() -> bool:
    return not connection.introspection.table_names()

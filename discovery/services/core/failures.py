"""Explain failures of the installation rather than the code.

Examples are a full disk and a database that cannot be reached, written or read.

The same few causes affect commands, pages and the API; each is described here once, with what to do
about it.
"""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError


class Cause(Enum):
    """(whether it meets a request too, what everybody may read, what to do about it)."""

    DISK_FULL = (
        True,
        "The disk of the server is full: nothing can be written.",
        "Free some space on it.",
    )
    READ_ONLY = (
        True,
        "The database cannot be written.",
        "Let the user that runs Karen Admin write it and its folder.",
    )
    DAMAGED = (
        True,
        "The database is damaged, or is not a database.",
        "Restore a backup, or move the file away to begin with an empty one.",
    )
    UNREACHABLE = (True, "The database cannot be reached.", "Start it, or correct DATABASE_URL.")
    NOT_OPENED = (
        True,
        "The database cannot be opened.",
        (
            "Let the user that runs Karen Admin use its folder, or correct KAREN_DATA_DIR or"
            " DATABASE_URL."
        ),
    )
    NOT_SET_UP = (
        True,
        "The database is not set up for this version of Karen Admin.",
        "Run `python manage.py migrate`.",
    )
    BUSY = (True, "The database is busy.", "Try again in a moment.")
    QUEUE = (
        True,
        "Redis, which holds the task queue, cannot be reached.",
        "Start it, or correct REDIS_URL.",
    )
    FILE = (
        False,
        "A file of the installation cannot be used.",
        (
            "Check who owns it, and what its file system allows, or correct KAREN_DATA_DIR,"
            " KAREN_LOGS_DIR or KAREN_CONFIG_DIR."
        ),
    )
    SETTINGS = (False, "A setting is wrong.", "")

    @property
    def meets_requests(self) -> bool:
        """The server cannot answer now (503), rather than being at fault (500)."""
        return bool(self.value[0])

    @property
    def sentence(self) -> str:
        """Without places and names of the machine."""
        return str(self.value[1])


@dataclass(frozen=True, slots=True)
class Failure:
    """``detail`` names place and reason, for who runs the installation."""

    cause: Cause
    detail: str = ""

    def __str__(self) -> str:
        """One line for the terminal."""
        if self.cause is Cause.SETTINGS:
            return self.detail
        what = self.cause.sentence.rstrip(".")
        where = f" ({self.detail.rstrip('.')})" if self.detail else ""
        return " ".join(f"{what}{where}. {self.cause.value[2]}".split())


#: Less than this free on the disk of a database that cannot be opened or read: that is why.
_NOTHING_LEFT = 256 << 10

_SQLITE = {
    sqlite3.SQLITE_FULL: Cause.DISK_FULL,
    sqlite3.SQLITE_READONLY: Cause.READ_ONLY,
    sqlite3.SQLITE_NOTADB: Cause.DAMAGED,
    sqlite3.SQLITE_CORRUPT: Cause.DAMAGED,
    sqlite3.SQLITE_CANTOPEN: Cause.NOT_OPENED,
    sqlite3.SQLITE_IOERR: Cause.UNREACHABLE,
    sqlite3.SQLITE_PERM: Cause.NOT_OPENED,
    sqlite3.SQLITE_BUSY: Cause.BUSY,
    sqlite3.SQLITE_LOCKED: Cause.BUSY,
}
#: Codes of the SQL standard and of PostgreSQL (appendix A of its manual); a class of two characters
#: stands for all of its codes.
_SQLSTATE = {
    "53100": Cause.DISK_FULL,
    "25006": Cause.READ_ONLY,
    "42P01": Cause.NOT_SET_UP,
    "42703": Cause.NOT_SET_UP,
    "XX": Cause.DAMAGED,
    "08": Cause.UNREACHABLE,
    "28": Cause.UNREACHABLE,
    "3D": Cause.UNREACHABLE,
    "42501": Cause.READ_ONLY,
    "53": Cause.UNREACHABLE,
    "57": Cause.UNREACHABLE,
    "55": Cause.BUSY,
    "40": Cause.BUSY,
}
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_UNUSABLE = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR}


def explain(error: BaseException) -> Failure | None:
    """Return the known failure behind an exception.

    ``None`` means that the exception is a fault of ours, whose traceback is needed.
    """
    return next(
        (failure for link in _chain(error) if (failure := _explained(link)) is not None), None
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and its causes, as long as they are errors of the database.

    Django raises some of its errors as errors of its own.
    """
    link: BaseException | None = error
    while link is not None:
        yield link
        link = (
            (link.__cause__ or link.__context__)
            if isinstance(link, (DatabaseError, InterfaceError, ImproperlyConfigured))
            else None
        )


def _explained(error: BaseException) -> Failure | None:
    if isinstance(error, ImproperlyConfigured):
        return Failure(Cause.SETTINGS, str(error))
    if isinstance(error, sqlite3.Error):
        return _sqlite(error)
    if isinstance(error, (DatabaseError, InterfaceError)):
        return _driver(error)
    if isinstance(error, OSError) and error.errno in _FULL | _UNUSABLE:
        place = f"{error.filename}: " if error.filename else ""
        return Failure(
            Cause.DISK_FULL if error.errno in _FULL else Cause.FILE, f"{place}{error.strerror}"
        )
    return Failure(Cause.QUEUE, _first_line(error)) if _is_redis(error) else None


def _sqlite(error: sqlite3.Error) -> Failure | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    cause = _SQLITE.get(code)
    if cause is None and str(error).startswith(("no such table", "no such column")):
        cause = Cause.NOT_SET_UP
    if cause in (Cause.UNREACHABLE, Cause.NOT_OPENED) and _is_full(
        Path(_database()["NAME"]).parent
    ):
        cause = Cause.DISK_FULL
    return Failure(cause, f"{_database()['NAME']}: {error}") if cause else None


def _driver(error: BaseException) -> Failure | None:
    """What the server, or the way to it, says.

    Django's error itself says nothing more than the driver's behind it.
    """
    driver = error.__cause__
    if driver is None or not type(driver).__module__.startswith("psycopg"):
        return None
    state = getattr(driver, "sqlstate", None)
    if state is None:
        # No answer of the server's: the connection failed, or broke.
        is_connection = type(driver).__name__ in (
            "OperationalError",
            "InterfaceError",
            "ConnectionTimeout",
        )
        return Failure(Cause.UNREACHABLE, _first_line(driver)) if is_connection else None
    cause = _SQLSTATE.get(state) or _SQLSTATE.get(state[:2])
    return Failure(cause, _first_line(driver)) if cause else None


def _is_redis(error: BaseException) -> bool:
    """Without importing its library, which is optional."""
    return any(
        kind.__module__ == "redis.exceptions" and kind.__name__ == "RedisError"
        for kind in type(error).__mro__
    )


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _NOTHING_LEFT
    except OSError:
        return False


def _database() -> Any:
    return settings.DATABASES["default"]


def _first_line(error: BaseException) -> str:
    return next(
        (line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__
    )

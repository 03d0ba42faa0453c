"""What is wrong with the installation is told in words; what is wrong with the code is not mistaken
for it.
"""

from __future__ import annotations

import errno
import logging
import shutil
import sqlite3
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, IntegrityError, OperationalError, ProgrammingError
from django.db.migrations.exceptions import MigrationSchemaMissing

from discovery.services.core import failures
from discovery.services.core.failures import Cause
from karen_admin.log_files import Plain

Fails = Callable[[Path], object]


def raised(act: Callable[[], object]) -> BaseException:
    try:
        act()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def wrapped(error: BaseException, kind: type[Exception] = OperationalError) -> BaseException:
    """As Django passes on what a driver raises."""

    def act() -> None:
        raise kind(*error.args) from error

    return raised(act)


def full(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("create table t (x)")
        database.execute("pragma max_page_count = 3")
        database.executemany("insert into t values (zeroblob(1000))", [()] * 100)


def read_only(path: Path) -> None:
    sqlite3.connect(path).execute("create table t (x)").connection.close()
    sqlite3.connect(f"file:{path}?mode=ro", uri=True).execute("insert into t values (1)")


def not_a_database(path: Path) -> None:
    path.write_bytes(b"a letter to a friend, " * 100)
    sqlite3.connect(path).execute("select * from t")


def malformed(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("create table t (x)")
    database.executemany("insert into t values (zeroblob(3000))", [()] * 10)
    database.commit()
    database.close()
    raw = bytearray(path.read_bytes())
    raw[4096:] = b"\xee" * (len(raw) - 4096)
    path.write_bytes(bytes(raw))
    sqlite3.connect(path).execute("select count(x) from t").fetchall()


def no_folder(path: Path) -> None:
    sqlite3.connect(path / "nowhere" / "db").execute("select 1")


def no_table(path: Path) -> None:
    sqlite3.connect(path).execute("select * from t")


def locked(path: Path) -> None:
    holder, other = sqlite3.connect(path), sqlite3.connect(path, timeout=0)
    holder.execute("begin exclusive")
    other.execute("create table t (x)")


SQLITE: list[tuple[Fails, Cause]] = [
    (full, Cause.DISK_FULL),
    (read_only, Cause.READ_ONLY),
    (not_a_database, Cause.DAMAGED),
    (malformed, Cause.DAMAGED),
    (no_folder, Cause.NOT_OPENED),
    (no_table, Cause.NOT_SET_UP),
    (locked, Cause.BUSY),
]


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize(("act", "cause"), SQLITE, ids=[act.__name__ for act, _ in SQLITE])
def test_what_sqlite_says_of_its_file(act: Fails, cause: Cause, tmp_path: Path) -> None:
    failure = failures.explain(wrapped(raised(lambda: act(tmp_path / "db"))))
    assert failure is not None
    assert failure.cause is cause
    assert "\n" not in str(failure)


def test_a_database_that_cannot_be_opened_on_a_full_disk_is_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 100, 0))
    failure = failures.explain(wrapped(raised(lambda: no_folder(tmp_path))))
    assert failure is not None
    assert failure.cause is Cause.DISK_FULL


POSTGRESQL = [
    ("DiskFull", Cause.DISK_FULL),
    ("ReadOnlySqlTransaction", Cause.READ_ONLY),
    ("InsufficientPrivilege", Cause.READ_ONLY),
    ("UndefinedTable", Cause.NOT_SET_UP),
    ("UndefinedColumn", Cause.NOT_SET_UP),
    ("InvalidPassword", Cause.UNREACHABLE),
    ("InvalidCatalogName", Cause.UNREACHABLE),
    ("AdminShutdown", Cause.UNREACHABLE),
    ("TooManyConnections", Cause.UNREACHABLE),
    ("DataCorrupted", Cause.DAMAGED),
    ("LockNotAvailable", Cause.BUSY),
    ("DeadlockDetected", Cause.BUSY),
    ("OperationalError", Cause.UNREACHABLE),
]


@pytest.mark.parametrize(("name", "cause"), POSTGRESQL)
def test_what_postgresql_says_and_that_it_says_nothing(name: str, cause: Cause) -> None:
    psycopg = pytest.importorskip("psycopg", reason="the PostgreSQL driver is an extra")
    error = (
        psycopg.OperationalError if name == "OperationalError" else getattr(psycopg.errors, name)
    )("as the server says\nand goes on")
    failure = failures.explain(wrapped(error))
    assert failure is not None
    assert (failure.cause, failure.detail) == (cause, "as the server says")


def test_errors_that_django_words_anew_are_known_by_what_lies_behind_them(tmp_path: Path) -> None:
    behind = wrapped(raised(lambda: no_folder(tmp_path)))
    failure = failures.explain(wrapped(behind, MigrationSchemaMissing))
    assert failure is not None
    assert failure.cause is Cause.NOT_OPENED


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_files_that_cannot_be_written(number: int) -> None:
    failure = failures.explain(OSError(number, "so the system says", "/srv/data/file"))
    assert failure is not None
    assert failure.cause is (Cause.DISK_FULL if number == errno.ENOSPC else Cause.FILE)
    assert "/srv/data/file: so the system says" in str(failure)
    assert "/srv" not in failure.cause.sentence


def test_redis_is_known_without_its_library_being_imported_here() -> None:
    redis = pytest.importorskip("redis", reason="the Redis library is an extra")
    failure = failures.explain(
        redis.ConnectionError("Error 111 connecting to 127.0.0.1:1. Connection refused.")
    )
    assert str(failure).startswith(
        "Redis, which holds the task queue, cannot be reached (Error 111 connecting to 127.0.0.1:1."
        " Connection refused)"
    )


def test_a_setting_is_told_as_it_is() -> None:
    told = "KAREN_DEBUG is 'maybe': write true or false."
    assert str(failures.explain(ImproperlyConfigured(told))) == told


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("no"),
        KeyError("x"),
        IntegrityError("UNIQUE constraint failed"),
        ProgrammingError("syntax error"),
        DatabaseError("?"),
        FileNotFoundError(errno.ENOENT, "No such file", "x"),
    ],
)
def test_faults_of_ours_are_none_of_these(error: Exception) -> None:
    assert failures.explain(error) is None


def test_a_fault_of_ours_while_a_failure_is_handled_stays_ours(tmp_path: Path) -> None:
    def act() -> None:
        try:
            raise OSError(errno.ENOSPC, "full")
        except OSError:
            raise KeyError("x") from None

    assert failures.explain(raised(act)) is None


def test_the_terminal_gets_a_sentence_for_a_failure_and_a_traceback_for_a_fault_of_ours() -> None:
    def line(error: Exception) -> str:
        caught = raised(lambda: (_ for _ in ()).throw(error))
        record = logging.LogRecord(
            "x",
            logging.ERROR,
            "x",
            1,
            "scan 1 failed",
            (),
            (type(caught), caught, caught.__traceback__),
        )
        return Plain("%(message)s").format(record)

    assert line(OSError(errno.ENOSPC, "No space left", "/d")).splitlines()[1:] == [
        (
            "The disk of the server is full: nothing can be written (/d: No space left). Free some"
            " space on it."
        )
    ]
    assert "Traceback" in line(KeyError("x"))

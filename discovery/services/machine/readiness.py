"""Readiness: whether this installation can work now, for programs that start and monitor it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from discovery.engine.core.text import plural
from discovery.services import jobs
from discovery.services.core.timeouts import ask
from discovery.services.jobs import task_queue
from discovery.services.machine.workers import Workers, workers

#: Seconds that all together have to answer.
PATIENCE = 3.0


#: Tasks that wait for so long while a worker is free, and none is begun, are stuck.
STUCK = timedelta(seconds=60)


class PublicFault(str):
    """A fault that names nothing which is not for everybody to know."""

    __slots__ = ()


def faults() -> dict[str, str]:
    """Return what is wrong with each service; empty when nothing is.

    The result looks like ``{"database": "", "migrations": "", "broker": ""}``.
    """
    questions: dict[tuple[str, str], Callable[[], str]] = {
        ("ready", name): question for name, question in _QUESTIONS.items()
    }
    answers = ask(questions, PATIENCE)
    return {
        name: answers.get(("ready", name), f"no answer in {PATIENCE:g} seconds")
        for name in _QUESTIONS
    }


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    return ""


def newer_database() -> str:
    """In a sentence, when a later version of Karen Admin has set the database up; empty when not.

    Raises ``DatabaseError``.
    """
    loader = MigrationLoader(connection)
    known = {
        name
        for migration in loader.disk_migrations.values()
        for name in (migration.name, *(old for _, old in migration.replaces))
    }
    unknown = sorted(
        name
        for app, name in loader.applied_migrations or ()
        if app == "discovery" and name not in known
    )
    if not unknown:
        return ""
    return (
        f"The database was set up by a later version of Karen Admin (it has {unknown[-1]}, which"
        " this one does not know): install that version, or restore a backup from before."
    )


def _migrations() -> str:
    if newer := newer_database():
        return newer
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return f"{len(waiting)} not applied: run manage.py migrate" if waiting else ""


def _broker() -> str:
    """Return what is wrong with the queue: it does not answer, or its tasks are not started."""
    now = workers()
    return now.fault or _stuck(now)


def _stuck(now: Workers) -> str:
    """Return why tasks are stuck; workers that are all busy are not a reason."""
    busy = bool(now.workers) and all(worker.job for worker in now.workers)
    since = None if busy else _first_waits_since()
    waited = timezone.now() - since if since else timedelta(0)
    if waited < STUCK or jobs.has_begun_within(STUCK):
        return ""
    why = "no worker takes them" if now.workers else "no worker is running"
    minutes = plural(int(waited.total_seconds() // 60), "minute")
    return PublicFault(f"tasks have waited for {minutes} and none was begun: {why}")


def _first_waits_since() -> datetime | None:
    try:
        oldest = task_queue.oldest_waits_since()
    except task_queue.Unreachable:  # a moment after it answered: the next look tells
        oldest = None
    return min((since for since in (oldest, jobs.waits_since()) if since), default=None)


def _closing(question: Callable[[], str]) -> Callable[[], str]:
    """Wrap a question so that it closes the database connection of its own thread."""

    def asked() -> str:
        try:
            return question()
        except DatabaseError as error:
            return f"the database does not answer: {error}"
        finally:
            connection.close()

    return asked


_QUESTIONS = {
    "database": _closing(_database),
    "migrations": _closing(_migrations),
    "broker": _closing(_broker),
}

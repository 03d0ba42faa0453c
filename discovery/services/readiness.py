"""Can this installation do its work now? Asked by whoever starts, stops and watches it."""

from __future__ import annotations

from collections.abc import Callable

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from discovery.services.patience import ask
from discovery.services.workers import workers

#: Seconds that all together have to answer.
PATIENCE = 3.0


def faults() -> dict[str, str]:
    """``{"database": "", "migrations": "", "broker": ""}``: what is wrong with each, empty when nothing is."""
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


def _migrations() -> str:
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return f"{len(waiting)} not applied: run manage.py migrate" if waiting else ""


def _broker() -> str:
    return workers().fault


def _closing(question: Callable[[], str]) -> Callable[[], str]:
    """In a thread of its own, whose connection nobody else would close."""

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

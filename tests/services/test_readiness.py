"""Ready is who takes tasks: while some wait, nobody begins any and a worker is free, the server is
not. Nor is it on a later version's database.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone
from django_q.conf import Conf
from django_q.status import Stat, Status

from discovery.models import ScanRun
from discovery.services.jobs import heartbeat
from discovery.services.machine import readiness


@pytest.fixture
def clusters(monkeypatch: pytest.MonkeyPatch, task_queue: Any) -> list[Status]:
    """The clusters that say that they are alive: none, until a test adds some."""
    told: list[Status] = []
    monkeypatch.setattr(Stat, "get_all", lambda _broker: told)
    questions = {name: getattr(readiness, f"_{name}") for name in readiness._QUESTIONS}
    monkeypatch.setattr(readiness, "_QUESTIONS", questions)
    monkeypatch.setattr(
        readiness, "ask", lambda asked, _: {key: ask() for key, ask in asked.items()}
    )
    return told


def cluster(*pids: int) -> Status:
    told = Status(pid=10, cluster_id=uuid.uuid4())
    told.host, told.workers, told.status = heartbeat.mine()["host"], list(pids), Conf.IDLE
    return told


def waiting(seconds: float, **columns: Any) -> ScanRun:
    run = ScanRun.objects.create(trigger="page", **columns)
    at = timezone.now() - timedelta(seconds=seconds)
    ScanRun.objects.filter(pk=run.pk).update(created_at=at, dispatched_at=at)
    return run


def fault() -> str:
    return readiness.faults()["broker"]


def test_tasks_that_wait_for_a_moment_are_no_fault(clusters: list[Status]) -> None:
    waiting(20)
    assert fault() == ""


def test_tasks_that_nobody_takes_are(clusters: list[Status], client: Client) -> None:
    waiting(130)
    assert fault() == "tasks have waited for 2 minutes and none was begun: no worker is running"
    clusters.append(cluster(11, 12))
    assert fault() == "tasks have waited for 2 minutes and none was begun: no worker takes them"
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["broker"]) == (503, "failed")
    assert "Tasks have waited for 2 minutes and none was begun" in answer.json()["detail"]


def test_once_one_is_begun_it_is_ready_again(clusters: list[Status]) -> None:
    run = waiting(130)
    waiting(130, path="/other")
    assert fault()
    ScanRun.objects.filter(pk=run.pk).update(state="running", **heartbeat.mine())
    assert fault() == ""


def test_workers_that_are_all_busy_keep_nobody_from_being_ready(clusters: list[Status]) -> None:
    waiting(130)
    own = {**heartbeat.mine(), "started_at": timezone.now() - timedelta(hours=1)}
    ScanRun.objects.create(trigger="page", path="/long", state="running", **own)
    clusters.append(cluster(own["pid"]))
    assert fault() == ""
    clusters[0].workers.append(12)
    assert fault(), "the other worker is free"


def test_a_task_that_is_no_job_waits_too(
    clusters: list[Status], task_queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_q.tasks import async_task

    async_task("discovery.tasks.scheduled_scan")
    assert fault() == ""
    monkeypatch.setattr(readiness, "STUCK", timedelta(0))
    assert fault()


@pytest.mark.django_db
def test_a_database_of_this_version_is_not_newer_and_one_with_an_unknown_migration_is() -> None:
    assert readiness.newer_database() == ""
    recorder = MigrationRecorder(connection)
    recorder.record_applied("another_app", "9999_of_its_own")
    assert readiness.newer_database() == ""
    recorder.record_applied("discovery", "9998_from_the_future")
    recorder.record_applied("discovery", "9999_from_the_future")
    assert "it has 9999_from_the_future, which this one does not know" in readiness.newer_database()

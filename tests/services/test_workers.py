"""Workers as their clusters and the rows of their work tell of them, the queue, and what the clock
will do.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from django_q.brokers import Broker
from django_q.conf import Conf
from django_q.models import Schedule, Task
from django_q.status import Stat, Status
from django_q.tasks import async_task

from discovery.models import BulkEdit, DeepValidation, LoadTest, RegisteredModel, ScanRun
from discovery.services import schedules
from discovery.services.machine import workers

Make = Callable[..., RegisteredModel]


def cluster(
    host: str = "alpha", pids: tuple[int, ...] = (11, 12), status: Any = Conf.IDLE, taken: int = 0
) -> Status:
    told = Status(pid=10, cluster_id=uuid.uuid4())
    told.host, told.workers, told.status, told.task_q_size, told.tob = (
        host,
        list(pids),
        status,
        taken,
        timezone.now(),
    )
    return told


@pytest.fixture
def clusters(monkeypatch: pytest.MonkeyPatch, task_queue: Broker) -> list[Status]:
    """The clusters that say that they are alive: none, until a test adds some."""
    alive: list[Status] = []
    monkeypatch.setattr(Stat, "get_all", lambda _broker=None: alive)
    return alive


def at_work(**fields: Any) -> dict[str, Any]:
    now = timezone.now()
    return {
        "state": "running",
        "host": "alpha",
        "pid": 11,
        "started_at": now,
        "heartbeat_at": now,
        **fields,
    }


def test_without_a_cluster_there_are_no_workers(clusters: list[Status]) -> None:
    assert workers.workers() == workers.Workers((), 0)


def test_workers_of_all_clusters_are_listed_by_host_and_process(clusters: list[Status]) -> None:
    clusters += [cluster("beta", (7,)), cluster("alpha", (12, 11))]
    assert [(each.host, each.pid, each.state) for each in workers.workers().workers] == [
        ("alpha", 11, "idle"),
        ("alpha", 12, "idle"),
        ("beta", 7, "idle"),
    ]


def test_a_worker_that_a_scan_names_is_working_though_its_cluster_calls_itself_idle(
    clusters: list[Status],
) -> None:
    clusters.append(cluster())
    run = ScanRun.objects.create(trigger="page", **at_work())
    busy, idle = workers.workers().workers
    assert (busy.pid, busy.state, busy.job) == (11, "working", run)
    assert (idle.pid, idle.state, idle.job) == (12, "idle", None)


@pytest.mark.parametrize("kind", [DeepValidation, LoadTest])
def test_deep_validations_and_test_loads_name_their_worker_too(
    kind: type[DeepValidation | LoadTest], clusters: list[Status], make_model: Make
) -> None:
    clusters.append(cluster())
    job = kind.objects.create(model=make_model(), **at_work(pid=12))
    assert [(each.state, each.job) for each in workers.workers().workers] == [
        ("idle", None),
        ("working", job),
    ]


def test_a_bulk_edit_names_its_worker_too(clusters: list[Status]) -> None:
    clusters.append(cluster())
    job = BulkEdit.objects.create(
        operation={"kind": "tags"}, selection={"keys": []}, batch=uuid4(), **at_work(pid=12)
    )
    assert [(each.state, each.job) for each in workers.workers().workers] == [
        ("idle", None),
        ("working", job),
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"host": "beta"},
        {"pid": 99},
        {"state": "done"},
        {"heartbeat_at": timezone.now() - timedelta(hours=1)},
        {"heartbeat_at": None},
    ],
)
def test_work_elsewhere_over_or_silent_makes_nobody_busy(
    fields: dict[str, Any], clusters: list[Status]
) -> None:
    clusters.append(cluster())
    ScanRun.objects.create(trigger="page", **at_work(**fields))
    assert {each.state for each in workers.workers().workers} == {"idle"}


@pytest.mark.parametrize(
    ("status", "pids", "expected"),
    [
        (Conf.STARTING, (), [(10, "starting")]),
        (Conf.WORKING, (11,), [(11, "working")]),
        (Conf.STOPPING, (11,), [(11, "stopping")]),
        (Conf.STOPPING, (), [(10, "stopping")]),
        (Conf.STOPPED, (), []),
    ],
)
def test_states_are_those_of_the_cluster(
    status: Any, pids: tuple[int, ...], expected: list[tuple[int, str]], clusters: list[Status]
) -> None:
    clusters.append(cluster(pids=pids, status=status))
    assert [(each.pid, each.state) for each in workers.workers().workers] == expected


def test_a_worker_that_finishes_its_scan_while_its_cluster_stops_says_both(
    clusters: list[Status],
) -> None:
    clusters.append(cluster(pids=(11,), status=Conf.STOPPING))
    run = ScanRun.objects.create(trigger="page", **at_work())
    assert [(each.state, each.job) for each in workers.workers().workers] == [("stopping", run)]


def test_tasks_wait_in_the_queue_and_inside_clusters(clusters: list[Status]) -> None:
    clusters.append(cluster(taken=2))
    for _ in range(3):
        async_task("discovery.tasks.run_scan", 0)
    assert workers.workers().waiting == 5


def test_state_files_that_cannot_be_read_are_told(
    monkeypatch: pytest.MonkeyPatch, db: None, settings: Any
) -> None:
    def refused(_broker: Broker) -> list[Status]:
        raise PermissionError(13, "Permission denied")

    settings.REDIS_URL = ""
    monkeypatch.setattr(Stat, "get_all", refused)
    assert workers.workers() == workers.Workers(
        (), None, "The state of the workers cannot be read: Permission denied."
    )


def test_a_redis_that_refuses_is_told(
    monkeypatch: pytest.MonkeyPatch, db: None, settings: Any
) -> None:
    errors = pytest.importorskip("redis.exceptions")

    def refused() -> Broker:
        raise errors.ConnectionError("Error 111 connecting to 127.0.0.1:6379. Connection refused.")

    settings.REDIS_URL = "redis://127.0.0.1:6379"
    monkeypatch.setattr(workers, "get_broker", refused)
    told = workers.workers()
    assert (told.workers, told.waiting) == ((), None)
    assert (
        told.fault
        == "Redis cannot be asked: Error 111 connecting to 127.0.0.1:6379. Connection refused."
    )


def test_a_redis_that_hangs_holds_nobody_up(
    silence: threading.Event, monkeypatch: pytest.MonkeyPatch, db: None, settings: Any
) -> None:
    pytest.importorskip("redis")
    settings.REDIS_URL = "redis://127.0.0.1:6379"
    monkeypatch.setattr(workers, "PATIENCE", 0.05)
    monkeypatch.setattr(workers, "_asked", silence.wait)
    assert workers.workers() == workers.Workers((), None, "Redis did not answer in 0.05 seconds.")


def test_only_failures_of_the_time_asked_for_are_counted(db: None) -> None:
    now = timezone.now()
    for number, (hours, success) in enumerate([(1, False), (23, False), (25, False), (1, True)]):
        at = now - timedelta(hours=hours)
        Task.objects.create(
            id=str(number), name="x", func="f", started=at, stopped=at, success=success
        )
    assert workers.failed_since(now - timedelta(days=1)) == 2


@pytest.mark.parametrize(
    ("fields", "every"),
    [
        ({"schedule_type": Schedule.MINUTES, "minutes": 1}, "every minute"),
        ({"schedule_type": Schedule.MINUTES, "minutes": 45}, "every 45 minutes"),
        ({"schedule_type": Schedule.MINUTES, "minutes": 60}, "every hour"),
        ({"schedule_type": Schedule.MINUTES, "minutes": 90}, "every 90 minutes"),
        ({"schedule_type": Schedule.MINUTES, "minutes": 360}, "every 6 hours"),
        ({"schedule_type": Schedule.MINUTES, "minutes": 2880}, "every 2 days"),
        ({"schedule_type": Schedule.DAILY}, "daily"),
        ({"schedule_type": Schedule.ONCE}, "once"),
    ],
)
def test_how_often_a_schedule_runs_is_said_in_words(
    fields: dict[str, Any], every: str, db: None
) -> None:
    Schedule.objects.create(name="scan the roots", func="discovery.tasks.scheduled_scan", **fields)
    assert [(row.name, row.every) for row in schedules.rows()][:1] == [("scan the roots", every)]

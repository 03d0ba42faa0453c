"""Workers run functions of one list, whoever names another one, and wherever."""

from __future__ import annotations

import sys
from multiprocessing import Queue, Value
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from django_q.brokers import Broker
from django_q.models import Failure, Schedule, Success
from django_q.monitor import monitor
from django_q.pusher import pusher
from django_q.scheduler import scheduler
from django_q.signing import SignedPackage
from django_q.tasks import async_task
from django_q.worker import worker

from discovery import tasks
from discovery.services.jobs import allowed_tasks


def work(broker: Broker) -> None:
    """Takes what is queued through pusher, worker and monitor, as a cluster does, in this
    process.
    """
    from threading import Event

    todo: Any = Queue()
    done: Any = Queue()
    over = Event()
    over.set()
    while broker.queue_size():
        pusher(todo, over, broker)
        todo.put("STOP")
        worker(todo, done, Value("f", -1), timeout=30)
        done.put("STOP")
        monitor(done, broker)


def told() -> list[tuple[str, str]]:
    return [
        (row.func, str(row.result).partition(" : ")[0])
        for row in Failure.objects.order_by("started")
    ]


@pytest.fixture(autouse=True)
def same_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster's processes begin with connections of their own; here all is one process."""
    for module in ("worker", "monitor", "scheduler"):
        monkeypatch.setattr(f"django_q.{module}.close_old_django_connections", lambda: None)


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that leaves a mark when it is imported, and another one when it is called."""
    package = tmp_path / "evil_package"
    package.mkdir()
    mark = tmp_path / "mark"
    (package / "__init__.py").write_text(
        f"from pathlib import Path\nPath({str(mark)!r}).touch()\ndef run(*a, **k):\n   "
        f" Path({str(mark)!r}).touch()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield mark  # type: ignore[misc]
    sys.modules.pop("evil_package", None)


def test_every_function_of_the_list_is_there() -> None:
    entries = {
        f"discovery.tasks.{name}"
        for name, thing in vars(tasks).items()
        if getattr(thing, "__module__", "") == "discovery.tasks"
        and callable(thing)
        and not name.startswith("_")
    }
    assert entries - {allowed_tasks.REFUSE} <= allowed_tasks.functions()
    for name in allowed_tasks.functions():
        # As django-q2 finds it: kinds of jobs have no function of their own.
        assert callable(getattr(tasks, name.removeprefix("discovery.tasks."))), name


def test_another_function_that_is_queued_is_refused_and_never_imported(
    task_queue: Broker, evil: Path
) -> None:
    async_task("evil_package.run", 1)
    async_task("os.system", "true")
    async_task(print, "x")
    work(task_queue)
    assert [func for func, _ in told()] == [allowed_tasks.REFUSE] * 3
    assert told()[0][1] == "Refused: evil_package.run is not a function that workers run."
    assert not evil.exists()


def test_a_signed_package_that_others_put_into_the_queue_is_refused(
    task_queue: Broker, evil: Path
) -> None:
    now = timezone.now()
    for number, more in enumerate(
        (
            {"func": "evil_package.run"},
            {"func": "discovery.tasks.validate_models", "hook": "evil_package.run"},
        )
    ):
        task_queue.enqueue(
            SignedPackage.dumps(
                {
                    "id": f"{number}" * 32,
                    "name": "x",
                    "args": ([],),
                    "kwargs": {},
                    "started": now,
                    **more,
                }
            )
        )
    work(task_queue)
    assert [why for _, why in told()] == [
        "Refused: evil_package.run is not a function that workers run.",
        "Refused: a task may not bring a hook along.",
    ]
    assert not evil.exists()


def test_a_schedule_with_another_function_is_refused_and_holds_up_no_other(
    task_queue: Broker, evil: Path
) -> None:
    past = timezone.now()
    Schedule.objects.create(name="bad", func="evil_package.run", schedule_type="O", next_run=past)
    Schedule.objects.create(
        name="hooked",
        func="discovery.tasks.recategorize",
        hook="evil_package.run",
        schedule_type="O",
        next_run=past,
    )
    Schedule.objects.create(
        name="good",
        func="discovery.tasks.validate_models",
        args="([],)",
        schedule_type="O",
        next_run=past,
    )
    scheduler(broker=task_queue)
    assert task_queue.queue_size() == 3
    work(task_queue)
    assert Success.objects.get().func == "discovery.tasks.validate_models"
    assert sorted(why for _, why in told()) == [
        "Refused: a task may not bring a hook along.",
        "Refused: evil_package.run is not a function that workers run.",
    ]
    assert not evil.exists()


def test_what_is_on_the_list_runs(task_queue: Broker) -> None:
    async_task("discovery.tasks.validate_models", [])
    work(task_queue)
    assert Success.objects.get().result == 0

"""Seats for work that reads the roots: one worker is always left for everything else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from django_q.brokers import Broker

from discovery import tasks
from discovery.models import DeepValidation, LoadTest, RegisteredModel, ScanRun
from discovery.services import scans
from discovery.services.jobs.worker_slots import seat, seats


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR = tmp_path / "data"


def test_all_seats_together_are_fewer_than_there_are_workers(settings: Any) -> None:
    assert seats() == settings.Q_CLUSTER["workers"] - 1 >= 2
    with ExitStack() as held:
        assert [held.enter_context(seat()) for _ in range(seats() + 1)] == [True] * seats() + [
            False
        ]
    with seat() as taken:
        assert taken


def test_long_work_leaves_a_seat_to_scans() -> None:
    with ExitStack() as held:
        assert [held.enter_context(seat(long=True)) for _ in range(seats())] == [True] * (
            seats() - 1
        ) + [False]
        assert held.enter_context(seat()), "for a scan"


def test_a_scan_finds_the_seat_that_long_work_may_not_have_first() -> None:
    with seat() as scan, seat(long=True) as validation:
        assert (scan, validation) == (True, True)


def test_a_scan_without_a_seat_stays_queued_and_is_begun_once_one_is_free(
    make_model: Callable[..., RegisteredModel], models_root: Path, task_queue: Broker
) -> None:
    first, _ = scans.start_now(ScanRun.Trigger.PAGE)
    with ExitStack() as held:
        for _ in range(seats()):
            held.enter_context(seat())
        assert tasks.run_scan(first.pk) == "queued"
    first.refresh_from_db()
    assert first.state == "queued"
    assert task_queue.queue_size() == 0
    ScanRun.objects.update(dispatched_at=timezone.now() - timedelta(minutes=1))
    other = ScanRun.objects.create(trigger="page", path=str(models_root))
    assert tasks.run_scan(other.pk) in ("done", "failed")
    assert task_queue.queue_size() == 1, "the first one again"
    assert tasks.run_scan(first.pk) == "done"


def test_what_waits_of_other_kinds_is_queued_again_by_who_gets_up(
    make_model: Callable[..., RegisteredModel], task_queue: Broker
) -> None:
    model = make_model()
    LoadTest.objects.create(model=model)
    DeepValidation.objects.create(model=model)
    run, _ = scans.start_now(ScanRun.Trigger.PAGE)
    tasks.run_scan(run.pk)
    assert task_queue.queue_size() == 2


def test_a_load_test_and_a_deep_validation_without_a_seat_stay_queued(
    make_model: Callable[..., RegisteredModel], task_queue: Broker
) -> None:
    model = make_model()
    test, deep = LoadTest.objects.create(model=model), DeepValidation.objects.create(model=model)
    with ExitStack() as held:
        for _ in range(seats() - 1):
            held.enter_context(seat(long=True))
        assert tasks.run_load_test(test.pk) == "queued"
        assert tasks.validate_deep(deep.pk) == "queued"
        assert tasks.scheduled_validation() == 0
    for row in (test, deep):
        row.refresh_from_db()
        assert row.state == "queued"

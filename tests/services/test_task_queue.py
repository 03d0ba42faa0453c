"""The queue on either broker: tasks stay in the name of the cluster that takes them, and in one
key's hands.
"""

from __future__ import annotations

from typing import Any

import pytest
from django_q.conf import Conf
from django_q.signing import SignedPackage
from django_q.tasks import async_task

from discovery.services.jobs import brokers, cluster
from discovery.services.jobs import task_queue as queue


@pytest.fixture
def taken(task_queue: Any) -> Any:
    """A queue whose only task is in the hands of the cluster ``one``."""
    async_task("discovery.tasks.run_scan", 7)
    task_queue.holder = "one"
    [(task_queue.ack_id, _)] = task_queue.dequeue()
    return task_queue


@pytest.fixture
def another_key(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Changes the secret key of this process for tasks, and changes it back."""

    def change() -> None:
        monkeypatch.setattr(Conf, "SECRET_KEY", "another key" * 5)

    return change


def test_what_a_cluster_has_taken_is_neither_waiting_nor_lost(taken: Any) -> None:
    assert (taken.queue_size(), taken.lock_size()) == (0, 1)
    assert taken.holders() == {"one"}
    assert queue.held() == {("discovery.tasks.run_scan", 7)}
    taken.acknowledge(taken.ack_id)
    assert queue.held() == set()


def test_what_a_dead_cluster_has_taken_is_put_back_in_order(task_queue: Any) -> None:
    for number in range(3):
        async_task("discovery.tasks.run_scan", number)
    task_queue.holder = "one"
    first, second = task_queue.dequeue(), task_queue.dequeue()
    assert first
    assert second
    assert task_queue.release("one") == 2
    order = [SignedPackage.loads(payload)["args"][0] for payload in task_queue.payloads()]
    assert order == [0, 1, 2]


def test_a_cluster_that_is_not_heard_of_for_a_while_has_its_tasks_put_back(
    taken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(cluster.time, "monotonic", lambda: now[0])
    house = cluster.House("here")
    house._tasks()
    assert taken.queue_size() == 0, "it may only be slow to speak"
    now[0] += cluster.FORGOTTEN
    monkeypatch.setattr(queue, "alive", lambda: {"one"})
    house._tasks()
    assert taken.queue_size() == 0, "it is alive"
    monkeypatch.setattr(queue, "alive", set)
    house._tasks()
    now[0] += cluster.FORGOTTEN
    house._tasks()
    assert taken.queue_size() == 1


def test_a_task_that_cannot_be_unsigned_is_laid_aside_and_looked_at_again(taken: Any) -> None:
    taken.fail(taken.ack_id)
    assert (taken.queue_size(), taken.holders()) == (0, {brokers.UNREADABLE})
    assert queue.holders() == set()
    assert queue.release_unreadable() == 1
    assert taken.queue_size() == 1


def test_tasks_of_another_key_are_not_opened_and_their_jobs_are_sent_again(
    taken: Any, another_key: Any
) -> None:
    another_key()
    assert queue.held() == set()
    taken.release("one")
    assert queue.oldest_waits_since() is None


def test_a_cluster_with_another_key_is_refused_while_one_works_on_the_queue(
    task_queue: Any, another_key: Any
) -> None:
    assert queue.refusal("first") == ""
    assert queue.refusal("second") == "", "one with the same key is welcome"
    another_key()
    told = queue.refusal("third")
    assert "second" in told
    assert "KAREN_SECRET_KEY" in told


def test_once_the_others_have_stopped_the_key_may_change(
    task_queue: Any, another_key: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert queue.refusal("first") == ""
    queue.leave("first")
    another_key()
    assert queue.refusal("second") == ""


def test_the_first_task_tells_since_when_it_waits(task_queue: Any) -> None:
    assert queue.oldest_waits_since() is None
    async_task("discovery.tasks.run_scan", 1)
    assert queue.oldest_waits_since() is not None

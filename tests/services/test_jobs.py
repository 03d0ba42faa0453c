"""Every kind of job: asked for, lost with its task, cut off, gone on with, stopped; by one
housekeeper or by two.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from django_q.brokers import Broker
from django_q.conf import Conf
from django_q.status import Stat, Status

from discovery.management.commands import serve
from discovery.models import (
    BulkEdit,
    DeepValidation,
    Download,
    Job,
    LoadTest,
    MetadataImport,
    Recategorization,
    RegisteredModel,
    RegistrySync,
    Root,
    ScanRun,
    Webhook,
    WebhookDelivery,
)
from discovery.services import jobs, scans
from discovery.services.bulk import bulk_edits
from discovery.services.bulk.operations import Operation
from discovery.services.bulk.selections import Selection
from discovery.services.health import deep_validation, test_loads
from discovery.services.jobs import heartbeat, process_tree, task_queue
from discovery.services.jobs.kind import MAX_INTERRUPTIONS, UNREACHABLE
from discovery.services.machine import resources, workers
from discovery.services.scans import categorization
from tests.support import builders
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]


def _scan(make: Make) -> Job:
    return ScanRun.objects.create(trigger="page")


def _deep(make: Make) -> Job:
    return DeepValidation.objects.create(model=make())


def _load(make: Make) -> Job:
    return LoadTest.objects.create(model=make())


def _bulk(make: Make) -> Job:
    make()
    keys = list(RegisteredModel.objects.values_list("pk", flat=True))
    operation = {**Operation.read("validate").as_json(), "atomic": False, "channel": "page"}
    return BulkEdit.objects.create(
        operation=operation, selection={"keys": keys}, batch=uuid4(), total=len(keys)
    )


def _import(make: Make) -> Job:
    make("m")
    return MetadataImport.objects.create(
        name="x.csv", content=b"model_id,license\nm,mit\n", batch=uuid4()
    )


def _recategorization(make: Make) -> Job:
    return Recategorization.objects.create()


def _delivery(make: Make) -> Job:
    hook = Webhook.objects.create(url="http://127.0.0.1:9/", events=["metadata.edited"], secret="s")
    fields = {"event": "metadata.edited", "body": {}, "created_at": timezone.now()}
    return WebhookDelivery.objects.create(webhook=hook, uuid=uuid4(), **fields)


def _sync(make: Make) -> Job:
    return RegistrySync.objects.create(registry="huggingface")


def _download(make: Make) -> Job:
    root = make().root
    return Download.objects.create(registry="x", remote_id="acme/x", root=root, folder="x")


MAKERS = [
    _sync, _scan, _deep, _load, _bulk, _import, _recategorization, _delivery, _download
]  # fmt: skip


@pytest.fixture(params=MAKERS, ids=lambda maker: maker.__name__.strip("_"))
def job(request: Any, make_model: Make, task_queue: Broker, settings: Any) -> Job:
    """A job of each kind that waits, and was never sent."""
    settings.WEBHOOK_PRIVATE = ["127.0.0.0/8"]
    made: Job = request.param(make_model)
    return made


def newest(job: Job) -> Any:
    return type(job)._default_manager.latest("pk")


def columns(job: Job, **values: Any) -> None:
    type(job)._default_manager.filter(pk=job.pk).update(**values)
    job.refresh_from_db()


def running(job: Job, dead: dict[str, Any], **values: Any) -> None:
    columns(job, **{"state": jobs.kind_of(job).state.RUNNING, **dead, **values})


def test_every_model_that_is_a_job_has_a_kind_whose_task_exists() -> None:
    import pydoc

    from django.apps import apps

    models = {model for model in apps.get_models() if issubclass(model, Job)}
    assert {kind.model for kind in jobs.kinds()} == models
    assert all(callable(pydoc.locate(kind.task)) for kind in jobs.kinds())
    assert len({kind.task for kind in jobs.kinds()}) == len(models)


def test_a_queued_job_without_a_task_is_sent_once(job: Job, task_queue: Broker) -> None:
    assert jobs.dispatch_all() == 1
    assert task_queue.queue_size() == 1
    columns(job, dispatched_at=timezone.now() - timedelta(minutes=5))
    assert jobs.dispatch_all() == 0, "its task waits"
    task_queue.purge_queue()
    assert jobs.dispatch_all() == 1, "its task is lost"
    assert jobs.dispatch_all() == 0, "it is on its way"


def test_a_task_in_the_hands_of_a_cluster_is_not_lost(job: Job, task_queue: Any) -> None:
    jobs.dispatch_all()
    task_queue.holder = "one"
    assert task_queue.dequeue()
    columns(job, dispatched_at=timezone.now() - timedelta(minutes=5))
    assert jobs.dispatch_all() == 0
    assert task_queue.release("one") == 1
    assert task_queue.queue_size() == 1


def test_a_job_whose_process_is_gone_is_told_gone_on_with_and_sent(
    job: Job, task_queue: Broker, dead: dict[str, Any]
) -> None:
    kind = jobs.kind_of(job)
    running(job, dead)
    assert jobs.reap_all() == 1
    job.refresh_from_db()
    assert (job.state, job.goes_on, job.interruptions) == (kind.state.INTERRUPTED, True, 1)
    assert job.message.startswith("The process that ran it is gone;")
    assert jobs.resume_all() == 1
    assert jobs.resume_all() == 0
    assert (newest(job).state, newest(job).interruptions) == (kind.state.QUEUED, 1)
    assert jobs.dispatch_all() == 1


def test_a_job_that_was_gone_on_with_runs_to_its_end(
    job: Job, task_queue: Broker, dead: dict[str, Any]
) -> None:
    running(job, dead)
    jobs.housekeep()
    kind = jobs.kind_of(job)
    state = jobs.run_queued(kind, newest(job).pk)
    # One has no files, the registries of the others are off.
    lacks = isinstance(job, DeepValidation | RegistrySync | Download)
    unread = [kind.state.FAILED] if lacks else []
    assert state in (kind.state.DONE, kind.state.QUEUED, *unread), newest(job).message


def test_a_job_that_kills_its_process_every_time_is_not_begun_for_ever(
    job: Job, task_queue: Broker, dead: dict[str, Any]
) -> None:
    for _ in range(MAX_INTERRUPTIONS):
        running(newest(job), dead)
        jobs.housekeep()
    last = newest(job)
    assert last.state == jobs.kind_of(job).state.INTERRUPTED
    assert not last.goes_on
    assert jobs.housekeep() == {"reaped": 0, "resumed": 0, "dispatched": 0}


def test_a_job_that_was_to_stop_when_its_process_died_is_stopped(
    job: Job, task_queue: Broker, dead: dict[str, Any]
) -> None:
    running(job, dead, cancel_requested=True)
    assert jobs.housekeep() == {"reaped": 1, "resumed": 0, "dispatched": 0}
    job.refresh_from_db()
    assert job.state == jobs.kind_of(job).state.CANCELLED


def test_a_queued_job_that_is_stopped_does_not_begin(job: Job, task_queue: Broker) -> None:
    kind = jobs.kind_of(job)
    assert kind.cancel(job)
    assert jobs.run_queued(kind, job.pk) == kind.state.CANCELLED
    assert not kind.cancel(job)
    assert jobs.dispatch_all() == 0


def test_a_job_that_waits_to_go_on_can_be_stopped(
    job: Job, task_queue: Broker, dead: dict[str, Any]
) -> None:
    running(job, dead)
    jobs.reap_all()
    assert jobs.kind_of(job).cancel(job)
    assert jobs.resume_all() == 0


def test_a_running_job_carries_the_stop_sign_back(job: Job) -> None:
    kind = jobs.kind_of(job)
    columns(job, state=kind.state.RUNNING, **heartbeat.mine())
    jobs.beat(job)
    assert kind.cancel(job)
    with pytest.raises(jobs.Stopped):
        jobs.beat(job)


def test_a_job_that_was_taken_over_is_no_longer_ours(job: Job) -> None:
    kind = jobs.kind_of(job)
    columns(job, state=kind.state.RUNNING, **heartbeat.mine())
    type(job)._default_manager.filter(pk=job.pk).update(started_at=timezone.now())
    with pytest.raises(jobs.Lost):
        jobs.beat(job)
    assert not kind.finish(job, jobs.Ending(kind.state.DONE))


def test_only_the_jobs_of_the_processes_named_are_interrupted(job: Job, task_queue: Broker) -> None:
    kind = jobs.kind_of(job)
    columns(job, state=kind.state.RUNNING, **heartbeat.mine())
    assert jobs.interrupt_here([os.getpid() + 1]) == 0
    columns(job, machine="another")
    assert jobs.interrupt_here([os.getpid()]) == 0
    columns(job, machine=process_tree.machine(), host="renamed since")
    assert jobs.interrupt_here([os.getpid()]) == 1
    job.refresh_from_db()
    assert (job.state, job.goes_on, job.interruptions) == (kind.state.INTERRUPTED, True, 0)
    assert job.message.startswith("Karen Admin was stopped while it ran;")


def test_a_running_job_of_every_kind_is_shown_beside_its_worker(
    job: Job, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Status(pid=10, cluster_id=uuid4())
    cluster.host, cluster.status, cluster.workers = "alpha", Conf.IDLE, [11]
    cluster.task_q_size, cluster.tob = 0, timezone.now()
    monkeypatch.setattr(Stat, "get_all", lambda _broker=None: [cluster])
    alive = {"host": "alpha", "pid": 11, "heartbeat_at": timezone.now()}
    columns(job, state=jobs.kind_of(job).state.RUNNING, **alive)
    (worker,) = workers.workers().workers
    assert (worker.state, worker.job) == ("working", job)
    monkeypatch.setattr(resources, "workers", workers.workers)
    page = page_text(admin_client.get("/system/"))
    assert re.search(r'id="job-11" href="/[^"]+">[^<]+</a>', page)


def test_serve_interrupts_a_running_job_of_every_kind(job: Job, task_queue: Broker) -> None:
    columns(job, state=jobs.kind_of(job).state.RUNNING, **heartbeat.mine())
    serve._end_work({os.getpid()})
    with pytest.raises((jobs.Stopped, jobs.Lost)):
        jobs.beat(job)
    job.refresh_from_db()
    assert (job.state, job.goes_on) == (jobs.kind_of(job).state.INTERRUPTED, True)


def test_a_job_that_nobody_takes_is_what_waits(job: Job) -> None:
    now = timezone.now()
    columns(job, created_at=now - timedelta(minutes=3), dispatched_at=now - timedelta(minutes=2))
    since = jobs.waits_since()
    assert since is not None
    assert timedelta(minutes=2) <= timezone.now() - since < timedelta(minutes=3)
    assert not jobs.has_begun_within(timedelta(minutes=1))


# -- asking while the queue is away


@pytest.fixture
def no_queue(monkeypatch: pytest.MonkeyPatch, task_queue: Broker) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("Error 111 connecting to redis.internal:6379.")

    monkeypatch.setattr("discovery.services.jobs.kind.async_task", away)


def test_a_job_that_somebody_waits_for_fails_with_a_sentence_while_the_queue_is_away(
    no_queue: None, make_model: Make
) -> None:
    run, _ = scans.request(ScanRun.Trigger.PAGE)
    deep, _ = deep_validation.request(make_model())
    assert {(each.state, each.message) for each in (run, deep)} == {("failed", UNREACHABLE)}
    assert scans.request(ScanRun.Trigger.PAGE)[1], "and can be asked for again"


def test_pages_and_api_say_that_nothing_was_started(no_queue: None, admin_client: Client) -> None:
    page = admin_client.post("/scans/start/", follow=True)
    assert UNREACHABLE.split(":")[0] in page_text(page)
    assert "Scan started" not in page_text(page)
    answer = admin_client.post("/api/models/discovery/refresh", content_type="application/json")
    assert answer.status_code == 503
    assert "redis.internal" not in answer.text


def test_new_rules_wait_for_the_queue(no_queue: None, admin_user: User) -> None:
    job = categorization.request_recategorization(admin_user)
    job.refresh_from_db()
    assert job.state == "queued"


def test_a_housekeeper_that_cannot_reach_the_queue_tries_again(
    job: Job, monkeypatch: pytest.MonkeyPatch, task_queue: Broker
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr("discovery.services.jobs.kind.async_task", away)
        assert jobs.dispatch_all() == 0
    assert jobs.dispatch_all() == 1


@pytest.mark.django_db(transaction=True)
def test_a_task_is_sent_when_what_asked_for_it_is_committed_and_never_before() -> None:
    broker = task_queue.get_broker()
    broker.purge_queue()
    with transaction.atomic():
        scans.request(ScanRun.Trigger.PAGE)
        assert broker.queue_size() == 0
    assert broker.queue_size() == 1
    with transaction.atomic():
        scans.request(ScanRun.Trigger.PAGE, path="/elsewhere")
        transaction.set_rollback(True)
    assert broker.queue_size() == 1
    broker.purge_queue()


# -- several housekeepers


@pytest.mark.django_db(transaction=True)
def test_two_housekeepers_at_once_do_everything_once(
    make_model: Make, dead: dict[str, Any]
) -> None:
    broker = task_queue.get_broker()
    broker.purge_queue()
    for maker in (_scan, _bulk, _import, _recategorization, _delivery):
        running(maker(make_model), dead)
    waiting = LoadTest.objects.create(model=make_model("waits"))
    start, done = threading.Barrier(3), []

    def clean() -> None:
        try:
            start.wait()
            done.append(jobs.housekeep())
        finally:
            connection.close()

    threads = [threading.Thread(target=clean) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    jobs.housekeep()
    assert len(done) == 3
    assert sum(each["reaped"] for each in done) == 5
    tasks = [task for payload in broker.payloads() for task in task_queue._read([payload])]
    assert len(tasks) == len(set(tasks)) == 6
    assert ("discovery.tasks.run_load_test", waiting.pk) in tasks
    assert ScanRun.objects.count() == 2
    broker.purge_queue()


# -- whose process it is


def alive(**values: Any) -> bool:
    run = ScanRun(trigger="page", state="running", **{**heartbeat.mine(), **values})
    return heartbeat.is_alive(run)


def test_a_process_is_known_by_boot_number_and_start_whatever_the_host_is_called() -> None:
    assert alive()
    assert alive(host="renamed since")
    assert not alive(host="renamed since", pid=2**22 + 1)
    assert not alive(process_started=1.0), "its number was given to another process"
    assert alive(machine="another", host=socket.gethostname(), pid=2**22 + 1)
    assert not alive(machine="another", heartbeat_at=timezone.now() - timedelta(minutes=5))


def test_rows_of_earlier_versions_are_judged_by_host_and_number() -> None:
    old = {"machine": "", "process_started": None}
    assert alive(**old)
    assert not alive(**old, pid=2**22 + 1)
    assert alive(**old, host="elsewhere", pid=2**22 + 1)


def test_a_scan_that_was_cut_off_is_not_repeated_after_a_later_one(
    models_root: Any, dead: dict[str, Any], task_queue: Broker
) -> None:
    Root.objects.create(path=str(models_root))
    run, _ = scans.start_now(ScanRun.Trigger.PAGE)
    running(run, dead)
    jobs.reap_all()
    scans.execute(scans.start_now(ScanRun.Trigger.COMMAND)[0])
    assert jobs.resume_all() == 0


def test_a_scan_that_is_interrupted_while_it_runs_stops_and_another_one_finds_the_rest(
    models_root: Any, monkeypatch: pytest.MonkeyPatch, task_queue: Broker
) -> None:
    monkeypatch.setattr("discovery.services.jobs.progress.INTERVAL", 0)
    Root.objects.create(path=str(models_root))
    for number in range(3):
        builders.transformers(models_root / f"m{number}", hidden=64 + 8 * number)
    run, _ = scans.start_now(ScanRun.Trigger.PAGE)
    scans.execute(run, lambda _progress: jobs.interrupt_here([os.getpid()]) and None)
    assert run.state == "interrupted"
    assert Root.objects.get().claim is None
    jobs.housekeep()
    assert jobs.run_queued(jobs.kind_of(run), newest(run).pk) == "done"
    assert RegisteredModel.objects.count() == 3


# -- rules


def test_one_recategorization_waits_and_one_that_runs_by_old_rules_stops(
    admin_user: User, make_model: Make, task_queue: Broker, dead: dict[str, Any]
) -> None:
    make_model()
    first = categorization.request_recategorization(admin_user)
    assert categorization.request_recategorization(admin_user) == first
    columns(first, state="running", **heartbeat.mine())
    second = categorization.request_recategorization(admin_user)
    assert second != first
    first.refresh_from_db()
    assert first.cancel_requested
    assert jobs.run_queued(categorization.KIND, second.pk) == "queued", "the first one still runs"
    with pytest.raises(jobs.Stopped):
        jobs.beat(first)
    categorization.KIND.finish(first, jobs.Ending("cancelled", "Stopped."))
    assert jobs.run_queued(categorization.KIND, second.pk) == "done"


def test_problems_that_are_read_again_are_a_job_too(
    make_model: Make, admin_client: Client, task_queue: Broker
) -> None:
    from discovery.models import Finding

    now = timezone.now()
    finding = Finding.objects.create(
        model=make_model(), source="scan", code="x", severity="error", message="bad",
        first_seen_at=now, last_seen_at=now,
    )  # fmt: skip
    sent = {"action": "rescan", "finding": [finding.pk]}
    page = admin_client.post("/problems/decide/", sent, follow=True)
    assert "1 model is being read again" in page_text(page)
    edit = BulkEdit.objects.get()
    assert (edit.state, edit.operation["kind"]) == ("queued", "validate")
    assert bulk_edits.execute(edit).state == "done"


def test_a_load_test_keeps_its_number_when_it_goes_on(
    make_model: Make, dead: dict[str, Any], task_queue: Broker
) -> None:
    test, _ = test_loads.request(make_model())
    running(test, dead)
    jobs.housekeep()
    assert LoadTest.objects.get().pk == test.pk


def test_selections_of_nobody_ask_for_nothing(admin_user: User) -> None:
    with pytest.raises(bulk_edits.EmptySelection):
        bulk_edits.request(Operation.read("validate"), Selection(("gone",)), by=admin_user)


def test_system_names_the_job_that_a_worker_does(
    job: Job, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_q.conf import Conf
    from django_q.status import Stat, Status

    own = heartbeat.mine()
    columns(job, state=jobs.kind_of(job).state.RUNNING, **own)
    told = Status(pid=10, cluster_id=uuid4())
    told.host, told.workers, told.status = own["host"], [own["pid"]], Conf.IDLE
    monkeypatch.setattr(Stat, "get_all", lambda _broker: [told])
    page = page_text(admin_client.get("/system/"))
    assert str(job) in page
    assert f'id="job-{own["pid"]}"' in page, "with a link to where it is told of"

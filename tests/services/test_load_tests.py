"""Test loads from the request to the result: refused, run, stopped, kept; one at a time."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from django_q.brokers import Broker

from discovery import tasks
from discovery.loading import supervise
from discovery.loading.job import Job, Outcome, Result
from discovery.models import Finding, LoadTest, LogEntry, LogTopic, RegisteredModel, ScanRun
from discovery.services import jobs
from discovery.services.core.file_lock import host_lock
from discovery.services.health import test_loads
from tests.loading.jobs import loading
from tests.support import builders
from tests.support.waiting import DEADLINE, until

Scan = Callable[..., ScanRun]
Make = Callable[..., RegisteredModel]
Load = Callable[..., LoadTest]

pytestmark = pytest.mark.django_db

GIB = 1 << 30


@pytest.fixture(autouse=True)
def own_folders(config_dir: Path, tmp_path: Path, task_queue: Broker) -> None:
    (tmp_path / "data").mkdir()


@pytest.fixture
def load(models_root: Path, scan: Scan) -> Load:
    """Scans, then tests a variant of the model in this process with a real child."""

    def loading(model_id: str, variant: str = "", **limits: Any) -> LoadTest:
        scan(models_root)
        test, created = test_loads.request(RegisteredModel.objects.get(model_id=model_id), variant)
        assert created
        return test_loads.execute(test, **limits)

    return loading


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> list[Outcome | Exception]:
    """What children answer, one after the other, without any being started."""
    told: list[Outcome | Exception] = []

    def run(job: Job, *, wall_seconds: float, tick: Callable[[], None]) -> Outcome:
        tick()
        outcome = told.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(supervise, "run", run)
    return told


def passed(message: str = "loaded") -> Outcome:
    return Outcome(
        result=Result.PASSED,
        loader="safetensors",
        message=message,
        seconds=0.5,
        peak_memory_bytes=50 << 20,
    )


def failed(message: str) -> Outcome:
    return Outcome(result=Result.FAILED, loader="safetensors", message=message, seconds=0.5)


def variant(name: str = "safetensors", **fields: Any) -> dict[str, Any]:
    made = {
        "name": name,
        "path": "tiny-model",
        "format": "safetensors",
        "status": "READY",
        "size_bytes": 1000,
        "weights_bytes": 1000,
    }
    return {**made, "files": ["tiny-model/model.safetensors"], **fields}


def execute(model: RegisteredModel, name: str = "", **limits: Any) -> LoadTest:
    return test_loads.execute(test_loads.request(model, name)[0], **limits)


def open_findings(model: RegisteredModel) -> list[tuple[str, str, str]]:
    rows = Finding.objects.filter(model=model, resolved_at=None, source=Finding.Source.LOAD)
    return sorted(rows.values_list("code", "path", "message"))


def test_a_good_model_passes_and_the_result_is_kept(models_root: Path, load: Load) -> None:
    builders.sentence_transformers(models_root / "mini")
    test = load("mini")
    assert (test.state, test.result, test.variant) == ("done", "passed", "safetensors")
    assert test.loader in ("safetensors", "transformers")
    assert test.load_seconds is not None
    assert test.peak_memory_bytes is not None
    assert test.peak_memory_bytes > 10 << 20
    assert test.finished_at is not None
    entry = LogEntry.objects.get(
        topic=LogTopic.VALIDATION, model_id="mini", message__startswith="test load passed: "
    )
    assert (entry.level, entry.path) == ("info", "mini")


@pytest.mark.slow
def test_a_header_spoilt_since_the_scan_fails_with_the_reason_and_becomes_a_finding(
    models_root: Path, load: Load
) -> None:
    path = models_root / "mini" / "model.safetensors"
    builders.sentence_transformers(models_root / "mini")
    load("mini")
    whole = path.read_bytes()
    path.write_bytes(whole[:8] + b"\xff" + whole[9:])
    model = RegisteredModel.objects.get()
    test = execute(model)
    assert (test.result, test.loader) in {("failed", "safetensors"), ("failed", "transformers")}
    assert "model.safetensors" in test.message
    assert open_findings(model) == [
        ("load_failed", "mini/model.safetensors", f"safetensors: {test.message}")
    ]
    path.write_bytes(whole)
    assert execute(model).result == "passed"
    assert open_findings(model) == []


def test_a_corrupt_model_is_tried_for_the_reason_is_worth_having(
    models_root: Path, load: Load
) -> None:
    builders.sentence_transformers(models_root / "mini")
    (models_root / "mini" / "model.safetensors").write_bytes(
        b"\x10\0\0\0\0\0\0\0{broken" + b" " * 100
    )
    assert load("mini").result == "failed"
    assert RegisteredModel.objects.get().status == "CORRUPT"


def test_an_unsafe_model_is_refused(models_root: Path, load: Load) -> None:
    builders.pickle_with_import(
        models_root / "evil" / "pytorch_model.bin", "posix", "system", "touch executed"
    )
    builders.write_json(
        models_root / "evil" / "config.json", {"model_type": "bert", "architectures": ["BertModel"]}
    )
    test = load("evil")
    assert (test.state, test.result, test.loader) == ("done", "refused", "")
    assert test.message.startswith("The model is unsafe and is not loaded: ")
    assert "posix.system" in test.message
    assert open_findings(test.model) == []


def test_a_model_that_has_become_unsafe_behind_our_back_is_refused_by_the_child(
    models_root: Path, load: Load
) -> None:
    path = models_root / "net.pt"
    builders.torch_zip(path, [("w", "F32", (4, 4))])
    load("net")
    path.unlink()
    builders.pickle_with_import(path, "posix", "system", "touch executed")
    test = execute(RegisteredModel.objects.get())
    assert (test.result, test.loader) == ("refused", "pytorch")
    assert "posix.system" in test.message


def test_too_little_memory_says_how_much_is_missing_before_anything_is_tried(
    make_model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = psutil.virtual_memory()._replace(available=int(3.1 * GIB))
    monkeypatch.setattr(test_loads.psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(supervise, "run", None)
    test = execute(make_model(variants=[variant(weights_bytes=int(14.2 * GIB))]))
    assert (test.result, test.message) == (
        "refused",
        "Needs 14.2 GiB; only 3.1 GiB available.",
    )


def test_the_memory_that_may_be_used_can_be_less_than_there_is(make_model: Make) -> None:
    test = execute(make_model(variants=[variant(weights_bytes=GIB)]), memory_bytes=GIB // 2)
    assert test.message == "Needs 1.0 GiB; only 0.5 GiB available."


def test_memory_is_estimated_for_loading_not_for_the_longest_conversation(
    models_root: Path, scan: Scan
) -> None:
    builders.transformers(models_root / "long", context=100_000_000)
    scan(models_root)
    model = RegisteredModel.objects.get()
    assert model.memory_bytes is not None
    assert model.memory_bytes > 10 * GIB
    assert test_loads._needed(model, model.variants[0]) < GIB


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"status": "MISSING"}, "Its files are gone: scan again when they are back."),
        (
            {
                "status": "INCOMPLETE",
                "problems": [{"message": "2 of 3 shards are missing"}],
                "variants": [],
            },
            "no weights to load: 2 of 3 shards",
        ),
        (
            {
                "status": "INCOMPLETE",
                "problems": [{"message": "cut short"}],
                "variants": [variant(status="INCOMPLETE")],
            },
            "is not complete: cut short",
        ),
        (
            {"status": "REMOTE", "type": "OPENAI"},
            "It has no endpoint: enter the server's address among its metadata.",
        ),
        (
            {"status": "READY", "variants": [variant(status="UNSAFE")]},
            "The model is unsafe and is not loaded: see its findings.",
        ),
    ],
)
def test_what_cannot_be_loaded_is_refused_with_the_reason(
    make_model: Make, columns: dict[str, Any], said: str
) -> None:
    test = execute(make_model(**{"variants": [variant()], **columns}))
    assert (test.state, test.result) == ("done", "refused")
    assert said in test.message


def test_a_whole_variant_of_an_incomplete_model_is_tried(
    make_model: Make, outcomes: list[Outcome | Exception]
) -> None:
    outcomes.append(passed())
    assert execute(make_model(status="INCOMPLETE", variants=[variant()])).result == "passed"


def test_a_model_without_a_loader_is_unsupported_and_no_finding(
    models_root: Path, load: Load
) -> None:
    builders.tflite(
        models_root / "net.tflite",
        [("w", "F32", (4, 4))],
        [("x", "F32", (1, 4))],
        [("y", "F32", (1, 4))],
    )
    test = load("net")
    assert (test.result, test.message) == (
        "unsupported",
        "There is no test loader for files of the format tflite.",
    )
    assert open_findings(test.model) == []


def test_a_model_that_lies_outside_its_root_is_refused(
    models_root: Path, tmp_path: Path, load: Load
) -> None:
    builders.sentence_transformers(models_root / "mini")
    load("mini")
    (models_root / "mini").rename(tmp_path / "moved")
    (models_root / "mini").symlink_to(tmp_path / "moved")
    test = execute(RegisteredModel.objects.get())
    assert (test.result, test.message) == (
        "refused",
        "mini/model.safetensors leads out of the root: it is not opened.",
    )


def test_asking_twice_gives_the_same_test_and_queues_it_once(
    make_model: Make, user: User, task_queue: Broker
) -> None:
    model = make_model(variants=[variant("Q4_K_M"), variant("Q8_0")])
    test, created = test_loads.request(model, user_id=user.pk)
    assert (created, test.state, test.variant, test.requested_by) == (
        True,
        "queued",
        "Q4_K_M",
        user,
    )
    assert test_loads.request(model, "Q4_K_M") == (test, False)
    assert task_queue.queue_size() == 1
    other, created = test_loads.request(model, "Q8_0")
    assert created
    assert {row.pk for row in test_loads.latest(model)} == {test.pk, other.pk}
    with pytest.raises(test_loads.UnknownVariant):
        test_loads.request(model, "Q2_K")


def test_only_the_newest_test_of_each_variant_is_the_latest(
    make_model: Make, outcomes: list[Outcome | Exception]
) -> None:
    model = make_model(variants=[variant("a"), variant("b")])
    outcomes += [passed(), passed(), passed()]
    tests = [execute(model, name) for name in ("a", "b", "a")]
    assert test_loads.latest(model) == [tests[2], tests[1]]


def test_the_task_runs_it_and_says_how_it_ended(
    make_model: Make, outcomes: list[Outcome | Exception]
) -> None:
    outcomes.append(passed())
    test, _ = test_loads.request(make_model(variants=[variant()]))
    assert tasks.run_load_test(test.pk) == "passed"
    assert tasks.run_load_test(test.pk) == "passed"
    assert tasks.run_load_test(test.pk + 1) == "forgotten"


def test_a_failure_of_one_variant_stays_when_another_loads(
    make_model: Make, outcomes: list[Outcome | Exception]
) -> None:
    model = make_model(
        variants=[
            variant("Q4_K_M", path="tiny-model/a.gguf"),
            variant("Q8_0", path="tiny-model/b.gguf"),
        ]
    )
    outcomes += [failed("bad magic"), failed("cut short"), passed()]
    execute(model, "Q4_K_M")
    execute(model, "Q8_0")
    assert open_findings(model) == [
        ("load_failed", "tiny-model/a.gguf", "Q4_K_M: bad magic"),
        ("load_failed", "tiny-model/b.gguf", "Q8_0: cut short"),
    ]  # fmt: skip
    execute(model, "Q8_0")
    assert open_findings(model) == [("load_failed", "tiny-model/a.gguf", "Q4_K_M: bad magic")]


def test_an_error_of_our_own_ends_the_test_and_is_told(
    make_model: Make, outcomes: list[Outcome | Exception]
) -> None:
    outcomes.append(OSError("no more processes"))
    test = execute(make_model(variants=[variant()]))
    assert (test.state, test.result) == ("failed", "")
    assert (
        test.message == "The test itself failed (OSError: no more processes); please report this."
    )


def test_a_queued_test_is_cancelled_at_once_and_never_begins(make_model: Make) -> None:
    test, _ = test_loads.request(make_model(variants=[variant()]))
    assert test_loads.cancel(test)
    assert not test_loads.cancel(test)
    assert test_loads.execute(test).state == "cancelled"


def test_a_test_whose_process_is_gone_is_interrupted_and_can_be_asked_for_again(
    make_model: Make,
) -> None:
    model = make_model(variants=[variant()])
    test, _ = test_loads.request(model)
    silent = timezone.now() - timedelta(minutes=10)
    LoadTest.objects.filter(pk=test.pk).update(
        state="running",
        started_at=silent,
        heartbeat_at=silent,
        host=socket.gethostname(),
        pid=os.getpid(),
    )
    again, created = test_loads.request(model)
    assert created
    assert again.pk != test.pk
    test.refresh_from_db()
    assert test.state == "interrupted"


def test_a_test_that_was_taken_for_dead_writes_nothing_more(
    make_model: Make, outcomes: list[Outcome | Exception], monkeypatch: Any
) -> None:
    test, _ = test_loads.request(make_model(variants=[variant()]))

    def run(job: Job, *, wall_seconds: float, tick: Callable[[], None]) -> Outcome:
        LoadTest.objects.filter(pk=test.pk).update(state="interrupted")
        return failed("too late")

    monkeypatch.setattr(supervise, "run", run)
    assert test_loads.execute(test).state == "interrupted"
    assert open_findings(test.model) == []


def test_queued_tests_are_dispatched_again_after_a_restart(
    make_model: Make, task_queue: Broker
) -> None:
    test_loads.request(make_model(variants=[variant()]))
    task_queue.purge_queue()
    LoadTest.objects.update(dispatched_at=None)
    assert jobs.dispatch_all() == 1
    assert jobs.dispatch_all() == 0
    assert task_queue.queue_size() == 1


def test_the_key_of_an_endpoint_comes_from_a_variable_made_for_it_and_from_no_other(
    make_model: Make, outcomes: list[Outcome | Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAREN_ENDPOINT_KEY_LAB", "sk-lab")
    monkeypatch.setenv("KAREN_ENDPOINT_HOSTS_LAB", "models.example")
    monkeypatch.setenv("KAREN_ADMIN_PASSWORD", "secret")
    jobs: list[Job] = []

    def run(job: Job, *, wall_seconds: float, tick: Callable[[], None]) -> Outcome:
        jobs.append(job)
        return passed()

    monkeypatch.setattr(supervise, "run", run)
    told = {"endpoint": "https://models.example/v1", "type": "OPENAI"}
    for number, name in enumerate(
        ("KAREN_ENDPOINT_KEY_LAB", "KAREN_ADMIN_PASSWORD", "KAREN_ENDPOINT_KEY_GONE", None)
    ):
        execute(
            make_model(
                f"hosted-{number}", status="REMOTE", extracted={**told, "api_key_variable": name}
            )
        )
    assert [(job.endpoint, job.api_key) for job in jobs] == [
        ("https://models.example/v1", key) for key in ("sk-lab", "", "", "")
    ]


@pytest.fixture
def slow_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children that never end by themselves."""
    real, command = supervise.run, loading("time.sleep(3600)")
    monkeypatch.setattr(
        supervise, "run", lambda job, **options: real(job, command=command, **options)
    )


def child_of_this_process() -> psutil.Process | None:
    children = psutil.Process().children(recursive=True)  # bubblewrap stands between
    return next((child for child in children if child.nice() == 19), None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("slow_child")
def test_a_running_test_is_stopped_and_its_child_is_gone(make_model: Make) -> None:
    test, _ = test_loads.request(make_model(variants=[variant()]))
    thread, ended = _in_thread(test)
    child = until(child_of_this_process)
    assert test_loads.cancel(test)
    thread.join(DEADLINE)
    until(lambda: not child.is_running())
    assert ended == ["cancelled"]
    test.refresh_from_db()
    assert (test.state, test.result, test.message) == ("cancelled", "", "Stopped.")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("slow_child")
def test_a_host_that_stops_its_workers_ends_the_test_and_its_child_and_no_test_elsewhere(
    make_model: Make,
) -> None:
    far, _ = test_loads.request(make_model("far", variants=[variant()]))
    LoadTest.objects.filter(pk=far.pk).update(
        state="running", heartbeat_at=timezone.now(), host="elsewhere", pid=1
    )
    test, _ = test_loads.request(make_model(variants=[variant()]))
    thread, ended = _in_thread(test)
    child = until(child_of_this_process)
    assert jobs.interrupt_here([os.getpid()]) == 1
    thread.join(DEADLINE)
    assert not child.is_running()
    assert ended == ["interrupted"]
    test.refresh_from_db()
    far.refresh_from_db()
    assert (test.message, far.state) == (
        "Karen Admin was stopped while it ran; it is tried again by itself.",
        "running",
    )


@pytest.mark.django_db(transaction=True)
def test_while_another_test_loads_here_the_next_one_waits_alive_and_can_be_stopped(
    make_model: Make, settings: Any
) -> None:
    test, _ = test_loads.request(make_model(variants=[variant()]))
    with host_lock(settings.DATA_DIR / "test-load.lock", lambda: None):
        thread, ended = _in_thread(test)
        first = until(lambda: LoadTest.objects.get(pk=test.pk).heartbeat_at)
        until(lambda: LoadTest.objects.filter(pk=test.pk, heartbeat_at__gt=first).exists())
        assert jobs.reap_all() == 0
        assert test_loads.cancel(test)
        thread.join(DEADLINE)
    assert ended == ["cancelled"]


@pytest.mark.django_db(transaction=True)
def test_a_test_that_waited_runs_once_the_other_is_done(
    make_model: Make, settings: Any, outcomes: list[Outcome | Exception]
) -> None:
    outcomes.append(passed())
    test, _ = test_loads.request(make_model(variants=[variant()]))
    with host_lock(settings.DATA_DIR / "test-load.lock", lambda: None):
        thread, ended = _in_thread(test)
        until(lambda: LoadTest.objects.get(pk=test.pk).state == "running")
        time.sleep(0.3)
        assert ended == []
    thread.join(DEADLINE)
    assert ended == ["done"]


def _in_thread(test: LoadTest) -> tuple[threading.Thread, list[str]]:
    from django.db import connection

    ended: list[str] = []

    def run() -> None:
        try:
            ended.append(test_loads.execute(test).state)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, ended


def test_a_test_that_takes_too_long_fails_and_says_so(
    models_root: Path, load: Load, slow_child: None
) -> None:
    builders.sentence_transformers(models_root / "mini")
    test = load("mini", wall_seconds=1.0)
    assert (test.result, test.message) == ("failed", "It took longer than 1 second and was ended.")


@pytest.mark.slow
def test_models_in_a_hub_cache_and_an_ollama_store_load_by_their_own_paths(
    models_root: Path, scan: Scan
) -> None:
    (models_root / "hub").mkdir()
    builders.hub_cache(models_root / "hub", "org/name")
    builders.ollama_store(models_root / "ollama", "tiny", ("latest", "fp16"))
    scan(models_root)
    tests = [
        execute(model, item["name"])
        for model in RegisteredModel.objects.all()
        for item in model.variants
    ]
    assert [(test.result, test.message) for test in tests if test.result != "passed"] == []
    assert len(tests) == 4

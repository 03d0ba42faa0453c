"""Test loads: does this variant load here, with the library that programs would use? Asked for, run one at a time on each host, stopped.

The loading itself happens in a child process (``discovery.loading``). What comes of it is kept in ``LoadTest``; a failure is a finding too.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from typing import Any

import psutil
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django_q.tasks import async_task

from discovery.engine.paths import to_native
from discovery.engine.text import clean
from discovery.engine.types import ModelType, Problem, Severity, Status
from discovery.loading import supervise
from discovery.loading.job import Job, Outcome, Result
from discovery.models import Channel, Finding, LoadTest, RegisteredModel
from discovery.services import findings, journal, liveness, memory
from discovery.services.host_lock import host_lock

logger = logging.getLogger(__name__)

CODE = "load_failed"
#: Tokens that the estimate makes room for: loading is tried, not a long conversation.
CONTEXT = 512
#: A loader's own time, and the slowest disk that is worth waiting for.
BASE_SECONDS, BYTES_PER_SECOND = 120.0, 50e6
ENDPOINT_SECONDS = 30.0
#: Seconds between writes to the row of a running test.
BEAT = 0.5

_LEVELS = {
    Result.PASSED: Severity.INFO,
    Result.UNSUPPORTED: Severity.INFO,
    Result.REFUSED: Severity.WARNING,
    Result.FAILED: Severity.ERROR,
}


class UnknownVariant(LookupError):
    """The model has no variant of that name."""


class _Stopped(Exception):
    """Somebody pressed Stop, or the test was taken for dead and is no longer ours."""


def request(
    model: RegisteredModel, variant: str = "", *, user_id: int | None = None
) -> tuple[LoadTest, bool]:
    """Queues a test of a variant, the first one unless it is named. While one is queued or running, that is the answer: (test, ``False``).

    Raises ``UnknownVariant``.
    """
    reap()
    name = _variant(model, variant).get("name", "")
    for _ in range(3):
        try:
            with transaction.atomic():
                test = LoadTest.objects.create(model=model, variant=name, requested_by_id=user_id)
        except IntegrityError:
            active = LoadTest.objects.filter(
                model=model, variant=name, state__in=LoadTest.ACTIVE
            ).first()
            if active is not None:
                return active, False
        else:
            _queue(test)
            return test, True
    raise RuntimeError("test loads of this variant begin and end faster than they can be asked for")


def dispatch_queued() -> int:
    """Puts queued tests on the queue again after a restart: a test begins once, however often it is dispatched."""
    tests = list(LoadTest.objects.filter(state=LoadTest.State.QUEUED))
    for test in tests:
        _queue(test)
    return len(tests)


def _queue(test: LoadTest) -> None:
    async_task("discovery.tasks.run_load_test", test.pk, task_name=f"test load {test.pk}")


def cancel(test: LoadTest) -> bool:
    """A queued test ends at once, a running one within a second; ``False`` when it is over already."""
    queued = LoadTest.objects.filter(pk=test.pk, state=LoadTest.State.QUEUED)
    if queued.update(
        state=LoadTest.State.CANCELLED,
        finished_at=timezone.now(),
        message="Stopped before it began.",
    ):
        return True
    return (
        LoadTest.objects.filter(pk=test.pk, state=LoadTest.State.RUNNING).update(
            cancel_requested=True
        )
        == 1
    )


def reap() -> int:
    """Marks tests whose process is gone as interrupted; returns how many."""
    dead = [
        test
        for test in LoadTest.objects.filter(state=LoadTest.State.RUNNING).select_related("model")
        if not liveness.is_alive(test)
    ]
    for test in dead:
        _interrupt(test, "The process that ran it is gone; try again.")
    return len(dead)


def interrupt() -> int:
    """For a host that stops its workers: what runs here stops within a second, child and all. Returns how many."""
    running = LoadTest.objects.filter(
        state=LoadTest.State.RUNNING, host=socket.gethostname()
    ).select_related("model")
    stopped = [
        test
        for test in running
        if _interrupt(test, "Karen Admin was stopped while it ran; try again.")
    ]
    return len(stopped)


def _interrupt(test: LoadTest, text: str) -> bool:
    if not _finish(test, LoadTest.State.INTERRUPTED, text):
        return False
    _note(test, Severity.WARNING, f"test load interrupted: {text}")
    return True


def latest(model: RegisteredModel) -> list[LoadTest]:
    """The newest test of each variant, newest first."""
    newest: dict[str, LoadTest] = {}
    for test in LoadTest.objects.filter(model=model).select_related("requested_by"):
        newest.setdefault(test.variant, test)
    return list(newest.values())


def execute(
    test: LoadTest, *, wall_seconds: float | None = None, memory_bytes: int | None = None
) -> LoadTest:
    """Runs a queued test in this process, and returns it as it ended; one that somebody else has begun, or cancelled, as it is.

    ``memory_bytes`` bounds what it may allocate, at most what is available; ``wall_seconds`` how long it may take, by default as long as
    a slow disk needs to read the variant.
    """
    begun = LoadTest.objects.filter(pk=test.pk, state=LoadTest.State.QUEUED).update(
        state=LoadTest.State.RUNNING, **liveness.mine()
    )
    test = LoadTest.objects.select_related("model__root").get(pk=test.pk)
    if not begun:
        return test
    tick = _pulse(test)
    try:
        with host_lock(settings.DATA_DIR / "test-load.lock", tick):
            LoadTest.objects.filter(pk=test.pk).update(started_at=timezone.now())
            outcome = _try(test, wall_seconds, memory_bytes, tick)
        _keep(test, outcome)
    except _Stopped:
        if _finish(test, LoadTest.State.CANCELLED, "Stopped."):
            _note(test, Severity.INFO, "test load stopped")
    except Exception as error:
        logger.exception("test load %s failed", test.pk)
        _finish(
            test,
            LoadTest.State.FAILED,
            f"The test itself failed ({type(error).__name__}: {error}); please report this.",
        )
        _note(test, Severity.ERROR, f"the test load itself failed: {type(error).__name__}: {error}")
    test.refresh_from_db()
    return test


def _pulse(test: LoadTest) -> Callable[[], None]:
    """Keeps the heartbeat and carries the stop sign back; writes at most every ``BEAT`` seconds."""
    due = time.monotonic()

    def tick() -> None:
        nonlocal due
        if time.monotonic() < due:
            return
        due = time.monotonic() + BEAT
        rows = LoadTest.objects.filter(pk=test.pk, state=LoadTest.State.RUNNING)
        if (
            not rows.update(heartbeat_at=timezone.now())
            or rows.filter(cancel_requested=True).exists()
        ):
            raise _Stopped

    return tick


def _try(
    test: LoadTest, wall_seconds: float | None, memory_bytes: int | None, tick: Callable[[], None]
) -> Outcome:
    model = test.model
    try:
        variant = _variant(model, test.variant)
    except UnknownVariant:
        return _refused("The model has no such variant any more.")
    available = min(psutil.virtual_memory().available, memory_bytes or 1 << 62)
    if reason := _reason_not_to(model, variant) or _too_little(model, variant, available):
        return _refused(reason)
    tick()
    hosted = model.type == ModelType.OPENAI
    seconds = wall_seconds or (
        ENDPOINT_SECONDS
        if hosted
        else BASE_SECONDS + variant.get("size_bytes", 0) / BYTES_PER_SECOND
    )
    return supervise.run(_job(model, variant, available, seconds), wall_seconds=seconds, tick=tick)


def _variant(model: RegisteredModel, name: str) -> dict[str, Any]:
    """The variant called ``name``, the first for an empty name; empty for a model without variants. Raises ``UnknownVariant``."""
    if not name:
        return dict(model.variants[0]) if model.variants else {}
    for variant in model.variants:
        if variant["name"] == name:
            return dict(variant)
    raise UnknownVariant(name)


def _reason_not_to(model: RegisteredModel, variant: dict[str, Any]) -> str:
    """Why it is not even tried; empty when it may be. A corrupt model may: the library's own words are worth having."""
    status, files_say = model.status, variant.get("status")
    if Status.UNSAFE in (status, files_say):
        return f"The model is unsafe and is not loaded: {_worst(model)}"
    if status == Status.MISSING:
        return "Its files are gone: scan again when they are back."
    if model.type == ModelType.OPENAI:
        return (
            ""
            if model.value("endpoint")
            else "It has no endpoint: enter the server's address among its metadata."
        )
    if not variant.get("files"):
        return f"There are no weights to load: {_worst(model)}"
    if files_say == Status.INCOMPLETE:
        return f"The download is not complete: {_worst(model)}"
    return ""


def _worst(model: RegisteredModel) -> str:
    """The first problem that the scan names; errors come first there."""
    return str(model.problems[0]["message"])[:500] if model.problems else "see its findings."


def _too_little(model: RegisteredModel, variant: dict[str, Any], available: int) -> str:
    needed = _needed(model, variant)
    if needed <= available:
        return ""
    return f"It needs {_gib(needed)}, {_gib(available)} are available, {_gib(needed - available)} are missing."


def _needed(model: RegisteredModel, variant: dict[str, Any]) -> int:
    need = memory.need(model, variant=variant.get("name", ""), context=CONTEXT)
    estimated = need.estimate.total_bytes if need else None
    return estimated or variant.get("weights_bytes") or variant.get("size_bytes") or 0


def _gib(count: int) -> str:
    return f"{count / (1 << 30):,.1f} GiB"


def _job(model: RegisteredModel, variant: dict[str, Any], memory_bytes: int, seconds: float) -> Job:
    root = to_native("/", model.root.path)
    return Job(
        root=root,
        files=tuple(
            os.path.relpath(to_native(root, path), root) for path in variant.get("files", ())
        ),
        type=model.type,
        format=variant.get("format"),
        name=model.name,
        weights_bytes=variant.get("weights_bytes") or variant.get("size_bytes") or 0,
        memory_bytes=memory_bytes,
        cpu_seconds=max(round(seconds), 1),
        parent=os.getpid(),
        endpoint=str(model.value("endpoint")) if model.type == ModelType.OPENAI else "",
        api_key=_key(model),
    )


def _key(model: RegisteredModel) -> str:
    """The value of the environment variable that the model names; only variables made for that may be named, for the key leaves the house."""
    name = model.value("api_key_variable")
    return (
        os.environ.get(name, "")
        if isinstance(name, str)
        and name.startswith("KAREN_ENDPOINT_KEY")
        and model.type == ModelType.OPENAI
        else ""
    )


def _refused(reason: str) -> Outcome:
    return Outcome(result=Result.REFUSED, message=reason)


def _keep(test: LoadTest, outcome: Outcome) -> None:
    """The result, its finding (a failure makes one, anything that loads takes it away), and a line in the journal."""
    columns = {"load_seconds": outcome.seconds, "peak_memory_bytes": outcome.peak_memory_bytes}
    kept = _finish(
        test,
        LoadTest.State.DONE,
        outcome.message,
        result=outcome.result.value,
        loader=outcome.loader,
        **columns,
    )
    if not kept:
        return
    if outcome.result in (Result.PASSED, Result.FAILED):
        findings.replace(test.model, Finding.Source.LOAD, _problems(test, outcome))
    _note(test, _LEVELS[outcome.result], f"test load {outcome.result}: {outcome.message}")


def _problems(test: LoadTest, outcome: Outcome) -> list[Problem]:
    """Those of the model's other variants as they stand, and this one's."""
    mine = f"{test.variant}: " if test.variant else ""
    rows = Finding.objects.filter(model=test.model, source=Finding.Source.LOAD, resolved_at=None)
    others = [
        Problem(row.code, row.message, row.path, Severity(row.severity), row.offset)
        for row in rows
        if not row.message.startswith(mine)
    ]
    if outcome.result is Result.PASSED:
        return others
    variant = _variant(test.model, test.variant)
    return [
        *others,
        Problem(CODE, f"{mine}{outcome.message}", variant.get("path", test.model.path)),
    ]


def _finish(test: LoadTest, state: LoadTest.State, message: str, **columns: Any) -> bool:
    """``False`` when the test is no longer running: somebody took it for dead."""
    running = LoadTest.objects.filter(pk=test.pk, state=LoadTest.State.RUNNING)
    return (
        running.update(
            state=state, finished_at=timezone.now(), message=clean(message, 2000), **columns
        )
        == 1
    )


def _note(test: LoadTest, level: Severity, message: str) -> None:
    journal.record(
        Channel.VALIDATION, level, message, model_id=test.model.model_id, path=test.model.path
    )

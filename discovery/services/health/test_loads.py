"""Test loads: does this variant load here, with the library that programs would use?

Asked for, run one at a time on each host, stopped.

The loading itself happens in a child process (``discovery.loading``). Its result is kept in
``LoadTest``; a failure is a finding too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import psutil
from django.conf import settings
from django.utils import timezone

from discovery.engine.core.addresses import read
from discovery.engine.core.paths import to_native
from discovery.engine.core.types import Problem
from discovery.engine.core.vocabulary import ModelType, Severity, Status
from discovery.loading import supervise
from discovery.loading.job import MAX_MESSAGE, Job, Outcome, Result
from discovery.models import Finding, LoadTest, LogTopic, RegisteredModel
from discovery.services import jobs
from discovery.services.core import endpoint_addresses, event_log
from discovery.services.core.file_lock import host_lock
from discovery.services.findings import findings
from discovery.services.integrations import endpoint_keys, http_client
from discovery.services.jobs import Ending
from discovery.services.machine import memory_fit, reach, root_probes
from discovery.services.machine.root_probes import RootSilent

State = LoadTest.State

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


class LoadTests(jobs.Kind[LoadTest]):
    """One loads at a time on each host: the others wait in their workers, and can be stopped."""

    model = LoadTest
    task = "discovery.tasks.run_load_test"
    name = "test load"
    takes_seat = True
    is_long = True
    related = ("model__root",)
    goes_on = "it is tried again by itself."
    given_up = "try again."
    broke = "The test itself failed ({error}); please report this."

    def run(
        self,
        job: LoadTest,
        *,
        wall_seconds: float | None = None,
        memory_bytes: int | None = None,
        **_options: Any,
    ) -> Ending:
        tick = jobs.Pulse(job, BEAT)
        with host_lock(settings.DATA_DIR / "test-load.lock", tick):
            self._begins_now(job)
            outcome = _try(job, wall_seconds, memory_bytes, tick)
        told = {"result": outcome.result.value, "loader": outcome.loader}
        columns = {"load_seconds": outcome.seconds, "peak_memory_bytes": outcome.peak_memory_bytes}
        return Ending(State.DONE, outcome.message, {**told, **columns})

    def _begins_now(self, job: LoadTest) -> None:
        """What it waited for others is not its own time."""
        now = timezone.now()
        if not self.mine(job).update(started_at=now):
            raise jobs.Lost
        job.started_at = now

    def after(self, job: LoadTest, ending: Ending) -> None:
        if job.state == State.CANCELLED:
            return _note(job, Severity.INFO, "test load stopped")
        if job.state == State.INTERRUPTED:
            return _note(job, Severity.WARNING, f"test load interrupted: {job.message}")
        if job.state == State.FAILED:
            return _note(job, Severity.ERROR, f"test load failed: {job.message}")
        result = Result(job.result)
        if result in (Result.PASSED, Result.FAILED):
            findings.replace(job.model, Finding.Source.LOAD, _problems(job, result))
        return _note(job, _LEVELS[result], f"test load {result}: {job.message}")


KIND = LoadTests()


def request(
    model: RegisteredModel, variant: str = "", *, user_id: int | None = None
) -> tuple[LoadTest, bool]:
    """Queue a test of a variant, the first one unless it is named.

    While one is queued or running, that is the answer: (test, ``False``).

    Raises ``UnknownVariant``.
    """
    name = _variant(model, variant).get("name", "")
    return KIND.request({"model": model, "variant": name}, requested_by_id=user_id)


def cancel(test: LoadTest) -> bool:
    """Cancel a test; return ``False`` when it has already finished.

    A queued test ends at once, a running one within a second.
    """
    return KIND.cancel(test)


def latest(model: RegisteredModel) -> list[LoadTest]:
    """The newest test of each variant, newest first."""
    newest: dict[str, LoadTest] = {}
    for test in LoadTest.objects.filter(model=model).select_related("requested_by"):
        newest.setdefault(test.variant, test)
    return list(newest.values())


def execute(
    test: LoadTest, *, wall_seconds: float | None = None, memory_bytes: int | None = None
) -> LoadTest:
    """Run a queued test in this process, and return it in its final state.

    A test that another process has started, or that was canceled, is returned unchanged.

    ``memory_bytes`` bounds what it may allocate, at most what is available; ``wall_seconds`` how
    long it may take, by default as long as a slow disk needs to read the variant.
    """
    return jobs.execute(  # type: ignore[no-any-return]
        test, wall_seconds=wall_seconds, memory_bytes=memory_bytes
    )


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
    if model.type == ModelType.OPENAI:
        return _ask_server(model, available, wall_seconds or ENDPOINT_SECONDS, tick)
    seconds = wall_seconds or BASE_SECONDS + variant.get("size_bytes", 0) / BYTES_PER_SECOND
    try:
        # A child that reads from a share that hangs could not even be killed.
        root_probes.require(model.root)
        job = reach.within(
            model.root, ("test load", model.pk), partial(_job, model, variant, available, seconds)
        )
    except RootSilent as error:
        return _refused(str(error))
    return supervise.run(job, wall_seconds=seconds, tick=tick)


def _ask_server(
    model: RegisteredModel, available: int, seconds: float, tick: Callable[[], None]
) -> Outcome:
    """Query the server of a hosted model, where that is permitted.

    The request carries the key that is bound to the server's host.
    """
    endpoint = str(model.value("endpoint"))
    if reason := endpoint_addresses.endpoint_fault(endpoint):
        return _refused(f"The endpoint {reason}: nothing was sent.")
    address = read(endpoint)
    try:
        place = http_client.allowed(address.host, address.port, http_client.ENDPOINTS)
    except http_client.AddressRefused as error:
        return _refused(str(error))
    except http_client.Unreachable as error:
        return Outcome(result=Result.FAILED, message=str(error))
    key, note = endpoint_keys.key_for(model.value("api_key_variable"), address)
    job = msgspec.structs.replace(
        _job(model, {}, available, seconds), endpoint=endpoint, place=place, api_key=key
    )
    outcome = supervise.run(job, wall_seconds=seconds, tick=tick)
    return msgspec.structs.replace(
        outcome, message=f"{outcome.message} {note}".strip()[:MAX_MESSAGE]
    )


def _variant(model: RegisteredModel, name: str) -> dict[str, Any]:
    """The variant called ``name``, the first for an empty name; empty for a model without variants.

    Raises ``UnknownVariant``.
    """
    if not name:
        return dict(model.variants[0]) if model.variants else {}
    for variant in model.variants:
        if variant["name"] == name:
            return dict(variant)
    raise UnknownVariant(name)


def _reason_not_to(model: RegisteredModel, variant: dict[str, Any]) -> str:
    """Why it is not even tried; empty when it may be.

    A corrupt model may: the library's own words are worth having.
    """
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
    return f"Needs {_gib(needed)}; only {_gib(available)} available."


def _needed(model: RegisteredModel, variant: dict[str, Any]) -> int:
    need = memory_fit.need(model, variant=variant.get("name", ""), context=CONTEXT)
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
    )


def _refused(reason: str) -> Outcome:
    return Outcome(result=Result.REFUSED, message=reason)


def _problems(test: LoadTest, result: Result) -> list[Problem]:
    """Return the problems of the model's other variants unchanged, and those of this one.

    A failure adds a problem; a successful load removes it.
    """
    rows = Finding.objects.filter(
        model=test.model, source=Finding.Source.LOAD, resolved_at=None
    ).exclude(key=test.variant)
    others = [
        Problem(row.code, row.message, row.path, Severity(row.severity), row.offset, row.key or "")
        for row in rows
    ]
    if result is Result.PASSED:
        return others
    variant = _variant(test.model, test.variant)
    named = f"{test.variant}: {test.message}" if test.variant else test.message
    return [*others, Problem(CODE, named, variant.get("path", test.model.path), key=test.variant)]


def _note(test: LoadTest, level: Severity, message: str) -> None:
    event_log.record(
        LogTopic.VALIDATION, level, message, model_id=test.model.model_id, path=test.model.path
    )

"""Entry points of django-q2.

Their dotted names are stored with queued tasks and schedules: never rename them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from discovery.models import LoadTest, ScanRun
from discovery.services import jobs, scans
from discovery.services.bulk import bulk_edits
from discovery.services.health import deep_validation, test_loads, validation
from discovery.services.integrations import webhooks
from discovery.services.jobs.worker_slots import seated
from discovery.services.scans import categorization
from discovery.services.scans import job as scan_job
from discovery.services.transfer import import_jobs

#: What a task returns whose job found no free seat: the housekeeper sends it again.
QUEUED = "queued"


def _seated(work: Callable[[], str], **more: Any) -> str:
    return seated(work, QUEUED, afterwards=jobs.dispatch_all, **more)


def _run(kind: jobs.Kind[Any], pk: int) -> str:
    """Run a queued job and return its final state.

    The result may be that it is still queued because no slot is free.
    """
    if not kind.takes_seat:
        return jobs.run_queued(kind, pk)
    return _seated(lambda: jobs.run_queued(kind, pk), long=kind.is_long)


def __getattr__(name: str) -> Callable[[int], str]:
    """Entry points of kinds of jobs that have no function here."""
    for kind in jobs.kinds():
        if kind.task == f"{__name__}.{name}":
            return partial(_run, kind)
    raise AttributeError(name)


def run_scan(pk: int) -> str:
    return _run(scan_job.KIND, pk)


def scheduled_scan() -> str:
    """Run the scheduled scan.

    The schedule is first updated from the config file, which may have changed.
    """
    scans.sync_schedule()
    run, created = scans.start_now(ScanRun.Trigger.SCHEDULE)
    if not created:
        return "another scan is under way"
    return _seated(lambda: str(scans.execute(run).state))


def validate_models(keys: list[int]) -> int:
    """Read the headers of these models again; return how many have a failed check.

    Older versions queued this task; now it is a bulk edit.
    """
    return validation.validate_many(keys)


def run_load_test(pk: int) -> str:
    """Run a queued test load; return its result, or its state if there is none."""
    state = _run(test_loads.KIND, pk)
    return (
        LoadTest.objects.filter(pk=pk).exclude(result="").values_list("result", flat=True).first()
        or state
    )


def validate_deep(pk: int) -> str:
    """Read all bytes of a model; return the final state of the deep validation."""
    return _run(deep_validation.KIND, pk)


def scheduled_validation() -> int:
    """The clock's deep validations; returns how many models were read to their end.

    Without a seat the next hour does.
    """
    return seated(deep_validation.run_due, 0, afterwards=jobs.dispatch_all, long=True)


def recategorize() -> int:
    """After a change of rules; returns how many models changed.

    Older versions queued this task; now it is a job.
    """
    return categorization.recategorize()


def run_recategorization(pk: int) -> str:
    """Recategorize every model with the current rules; return the final state."""
    return _run(categorization.KIND, pk)


def run_bulk_edit(pk: int) -> str:
    """Run a queued change of many models; return its final state."""
    return _run(bulk_edits.KIND, pk)


def run_import(pk: int) -> str:
    """Check or apply a queued file of metadata; return the final state."""
    return _run(import_jobs.KIND, pk)


def deliver_webhook(pk: int) -> str:
    """One attempt at a message for a webhook; returns the state it leaves it in."""
    return webhooks.deliver(pk)


def refuse(reason: str) -> None:
    """Refuse a task whose function is not on our list (see ``services.jobs.allowed_tasks``).

    It stands in for that function.
    """
    raise PermissionError(f"Refused: {reason}.")

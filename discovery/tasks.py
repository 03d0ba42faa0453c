"""Entry points of django-q2. Their dotted names are stored with queued tasks and schedules: never rename them."""

from __future__ import annotations

from discovery.models import BulkEdit, LoadTest, MetadataImport, ScanRun
from discovery.services import (
    bulk,
    categories,
    deep_validation,
    import_runs,
    load_tests,
    scans,
    validation,
    webhooks,
)


def run_scan(pk: int) -> str:
    """Runs a queued scan; returns its final state."""
    run = ScanRun.objects.filter(pk=pk).first()
    return str(scans.execute(run).state) if run else "forgotten"


def scheduled_scan() -> str:
    """The clock's scan. The schedule first follows the config file, which may have changed since."""
    scans.sync_schedule()
    run, created = scans.start_now(ScanRun.Trigger.SCHEDULE)
    return str(scans.execute(run).state) if created else "another scan is under way"


def validate_models(keys: list[int]) -> int:
    """Reads the headers of these models again; returns how many have a failed check."""
    return validation.validate_many(keys)


def run_load_test(pk: int) -> str:
    """Runs a queued test load; returns its result, or how it ended without one."""
    test = LoadTest.objects.filter(pk=pk).first()
    if test is None:
        return "forgotten"
    test = load_tests.execute(test)
    return str(test.result or test.state)


def validate_deep(pk: int) -> str:
    """Reads all bytes of a model; returns the final state of the deep validation."""
    return deep_validation.run_queued(pk)


def scheduled_validation() -> int:
    """The clock's deep validations; returns how many models were read to their end."""
    return deep_validation.run_due()


def recategorize() -> int:
    """After a change of rules; returns how many models changed."""
    return categories.recategorize()


def run_bulk_edit(pk: int) -> str:
    """Runs a queued change of many models; returns its final state."""
    edit = BulkEdit.objects.filter(pk=pk).first()
    return str(bulk.execute(edit).state) if edit else "forgotten"


def run_import(pk: int) -> str:
    """Checks or applies a queued file of metadata; returns the state it ended in."""
    run = MetadataImport.objects.filter(pk=pk).first()
    return str(import_runs.execute(run).state) if run else "forgotten"


def deliver_webhook(pk: int) -> str:
    """One attempt at a message for a webhook; returns the state it leaves it in."""
    return webhooks.deliver(pk)

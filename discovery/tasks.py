"""Entry points of django-q2. Their dotted names are stored with queued tasks and schedules: never rename them."""

from __future__ import annotations

from discovery.models import ScanRun
from discovery.services import categories, scans


def run_scan(pk: int) -> str:
    """Runs a queued scan; returns its final state."""
    run = ScanRun.objects.filter(pk=pk).first()
    return str(scans.execute(run).state) if run else "forgotten"


def scheduled_scan() -> str:
    """The clock's scan. The schedule first follows the config file, which may have changed since."""
    scans.sync_schedule()
    run, created = scans.start_now(ScanRun.Trigger.SCHEDULE)
    return str(scans.execute(run).state) if created else "another scan is under way"


def recategorize() -> int:
    """After a change of rules; returns how many models changed."""
    return categories.recategorize()

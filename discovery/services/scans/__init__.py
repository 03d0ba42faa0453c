"""Scanning: asking for a run, running it, stopping it, and telling how it goes."""

from discovery.services.scans.claims import reap
from discovery.services.scans.outcomes import Comparison, compare, counts, events, previous
from discovery.services.scans.requests import (
    cancel,
    dispatch_queued,
    request,
    start_now,
    sync_schedule,
)
from discovery.services.scans.roots import NoSuchFolder, locate, sync_roots
from discovery.services.scans.runner import execute, preview
from discovery.services.scans.standing import progress_of, result_of, standing

__all__ = [
    "Comparison", "NoSuchFolder", "cancel", "compare", "counts", "dispatch_queued", "events", "execute", "locate", "preview", "previous",
    "progress_of", "reap", "request", "result_of", "standing", "start_now", "sync_roots", "sync_schedule",
]  # fmt: skip

"""Scanning: asking for a run, running it, stopping it, and telling how it goes."""

from discovery.services.scans.claims import reap
from discovery.services.scans.requests import cancel, dispatch_queued, request, start_now, sync_schedule
from discovery.services.scans.roots import NoSuchFolder, locate, sync_roots
from discovery.services.scans.runner import execute, preview

__all__ = [
    "NoSuchFolder", "cancel", "dispatch_queued", "execute", "locate", "preview", "reap", "request", "start_now", "sync_roots",
    "sync_schedule",
]  # fmt: skip

"""Scanning: asking for a run, running it, stopping it, and telling how it goes."""

from discovery.services.scans.job import execute
from discovery.services.scans.requests import cancel, request, start_now, sync_schedule
from discovery.services.scans.root_paths import NotMoved
from discovery.services.scans.root_paths import move as move_root
from discovery.services.scans.roots import NoSuchFolder, add_root, locate, sync_roots
from discovery.services.scans.runner import preview
from discovery.services.scans.scan_diff import Comparison, compare, counts, events, previous
from discovery.services.scans.scan_status import progress_of, result_of, standing

__all__ = [
    "Comparison", "NoSuchFolder", "NotMoved", "add_root", "cancel", "compare", "counts", "events",
    "execute", "locate", "move_root", "preview",
    "previous",
    "progress_of", "request", "result_of", "standing", "start_now", "sync_roots", "sync_schedule",
]  # fmt: skip

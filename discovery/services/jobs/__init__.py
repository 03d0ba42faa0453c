"""Jobs: request, run, stop and continue them.

A kind of job is a model that inherits ``models.Job``, and a subclass of :class:`Kind` in the module
that the model names.
"""

from discovery.services.jobs.housekeeping import (
    STOPPED_HERE,
    dispatch_all,
    housekeep,
    interrupt_here,
    reap_all,
    resume_all,
)
from discovery.services.jobs.kind import Ending, Kind
from discovery.services.jobs.registry import kind_of, kinds
from discovery.services.jobs.running import Lost, Pulse, Stopped, beat, drain, execute, run_queued
from discovery.services.jobs.waiting import has_begun_within, waits_since

__all__ = [
    "STOPPED_HERE", "Ending", "Kind", "Lost", "Pulse", "Stopped", "beat", "dispatch_all", "drain",
    "execute", "has_begun_within", "housekeep", "interrupt_here", "kind_of", "kinds", "reap_all",
    "resume_all", "run_queued", "waits_since",
]  # fmt: skip

"""The state of discovery: the running scan, the last one and the next one.

Nobody learns more than they may see themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django_q.models import Schedule

from discovery.models import Right, ScanRun
from discovery.services.access import permissions
from discovery.services.machine import root_states
from discovery.services.scans.requests import SCHEDULE
from discovery.services.search import facets
from discovery.services.search.model_filters import ModelFilters

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

_COUNTS = ("found", "new", "changed", "unchanged", "moved", "missing", "errors")


def standing(user: AbstractBaseUser | AnonymousUser) -> dict[str, Any]:
    """The answer of ``GET /models/discovery/status``.

    Counts of scans are counts of all models: who may not see scans gets ``null``.
    """
    running = ScanRun.objects.filter(state=ScanRun.State.RUNNING).first()
    active = running or ScanRun.objects.filter(state=ScanRun.State.QUEUED).first()
    last = ScanRun.objects.exclude(state__in=ScanRun.ACTIVE).first()
    schedule = Schedule.objects.filter(name=SCHEDULE).only("next_run").first()
    scans = permissions.may_all(user, (Right.VIEW_SCANS, Right.VIEW_ALL))
    return {
        "state": str(active.state) if active else "idle",
        "scan": progress_of(active) if active and scans else None,
        "last_scan": result_of(last) if last and scans else None,
        "next_scan_at": schedule.next_run if schedule else None,
        "models": dict(sorted(facets.counts(user, ModelFilters(), ("status",))["status"])),
        "roots": _roots() if scans and permissions.may(user, Right.SYSTEM) else [],
    }


def _roots() -> list[dict[str, Any]]:
    return [
        {
            "path": state.root.path,
            "reachable": not state.fault,
            "models": state.models,
            "last_scan_at": state.root.last_scan_at,
            "fault": state.fault or None,
            "frozen_reason": state.root.frozen_reason or None,
        }
        for state in root_states.roots()
    ]


def progress_of(run: ScanRun) -> dict[str, Any]:
    """A run that is queued or running. ``expected``: models known before it began."""
    return {
        "scan_id": run.pk,
        "status": str(run.state),
        "path": run.path or None,
        "started_at": run.started_at,
        "done": run.new + run.changed + run.unchanged,
        "expected": run.expected,
        "current_path": run.current_path or None,
        **{name: getattr(run, name) for name in _COUNTS},
    }


def result_of(run: ScanRun) -> dict[str, Any]:
    """Return the result of a finished run."""
    return {
        "scan_id": run.pk,
        "status": str(run.state),
        "path": run.path or None,
        "full": run.full,
        "trigger": str(run.trigger),
        "requested_by": run.requested_by.get_username() if run.requested_by else None,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "seconds": run.seconds,
        "message": run.message or None,
        **{name: getattr(run, name) for name in _COUNTS},
    }

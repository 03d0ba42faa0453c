"""Who scans what: a run claims a root by a conditional UPDATE, and a dead run's claims fall back."""

from __future__ import annotations

from django.db.models import Q
from django.utils import timezone

from discovery.engine.types import Severity
from discovery.models import Channel, Root, ScanRun
from discovery.services import journal, webhooks
from discovery.services.liveness import SILENCE, is_alive, mine

__all__ = ["SILENCE", "begin", "claim", "reap", "release"]


def claim(root: Root, run: ScanRun) -> bool:
    """Takes ``root`` for ``run``, unless a living run has it."""
    free = Q(claim=None) | Q(claim=run) | ~Q(claim__state=ScanRun.State.RUNNING)
    holders = (
        Root.objects.filter(pk=root.pk)
        .exclude(claim=None)
        .exclude(claim__state=ScanRun.State.RUNNING)
    )
    Root.objects.filter(pk__in=holders.values("pk")).update(claim=None)
    return (
        Root.objects.filter(free, pk=root.pk).filter(Q(claim=None) | Q(claim=run)).update(claim=run)
        == 1
    )


def release(root: Root, run: ScanRun) -> None:
    Root.objects.filter(pk=root.pk, claim=run).update(claim=None)


def begin(run: ScanRun) -> bool:
    """Queued → running, in this process. ``False`` when somebody else has begun, or cancelled it."""
    begun = ScanRun.objects.filter(pk=run.pk, state=ScanRun.State.QUEUED).update(
        state=ScanRun.State.RUNNING, **mine()
    )
    run.refresh_from_db()
    return begun == 1


def reap() -> int:
    """Marks runs whose process is gone as interrupted and frees their roots. Returns how many."""
    running = ScanRun.objects.filter(state=ScanRun.State.RUNNING)
    dead = [run for run in running if not is_alive(run)]
    for run in dead:
        ended = ScanRun.objects.filter(pk=run.pk, state=ScanRun.State.RUNNING).update(
            state=ScanRun.State.INTERRUPTED,
            finished_at=timezone.now(),
            message="The process that ran it is gone; the next scan goes on from here.",
        )
        if ended:
            Root.objects.filter(claim=run).update(claim=None)
            journal.record(
                Channel.DISCOVERY,
                Severity.WARNING,
                "scan interrupted: the process that ran it is gone",
                scan=run,
            )
            run.refresh_from_db()
            webhooks.after_scan(run)
    return len(dead)

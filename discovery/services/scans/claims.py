"""Claim roots for scans.

A run claims a root by a conditional UPDATE, and the claims of a dead run are released.
"""

from __future__ import annotations

from django.db.models import Q

from discovery.models import Root, ScanRun


def claim(root: Root, run: ScanRun) -> bool:
    """Claim ``root`` for ``run``, unless a living run has it."""
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


def release_all(run: ScanRun) -> None:
    """Release everything that a finished run still claims."""
    Root.objects.filter(claim=run).update(claim=None)

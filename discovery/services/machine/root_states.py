"""The roots as pages show them: how many models each holds, and why one cannot be scanned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count

from discovery.models import Root
from discovery.services.machine import root_probes
from discovery.services.machine.root_probes import FileSystem


@dataclass(frozen=True, slots=True)
class RootState:
    """The state of a root.

    ``fault`` explains why it cannot be scanned; ``disk`` is its file system, known unless there is
    a fault.
    """

    root: Root
    models: int
    fault: str
    disk: FileSystem | None


def roots() -> list[RootState]:
    """All roots with their models, and why one cannot be scanned.

    A network drive that hangs holds nobody up.
    """
    rows = list(
        Root.objects.exclude(path=Root.REMOTE)
        .annotate(model_total=Count("models"))
        .order_by("path")
    )
    return states(rows, {root.pk: root.model_total for root in rows})


def states(rows: Sequence[Root], models: Mapping[int, int]) -> list[RootState]:
    """The same of these roots, where the number of ``models`` of each is known already."""
    looks = root_probes.probe_roots(rows)
    return [RootState(root, models.get(root.pk, 0), *looks[root]) for root in rows]


def fault(root: Root) -> str:
    """Why the root cannot be scanned now; empty when it can."""
    return root_probes.probe_roots([root])[root].fault

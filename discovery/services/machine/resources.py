"""What this installation runs on.

These are the processor, memory, GPUs, the disks that hold the roots, and the task workers.

``None`` is a value that could not be determined; a field next to it has the reason. The figures are
of the machine that serves the page: workers may run on others.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psutil
from django.db.models import Sum

from discovery.engine.core.vocabulary import Status
from discovery.loading import cell
from discovery.models import RegisteredModel
from discovery.services.machine import hardware, root_states
from discovery.services.machine.hardware import Cards
from discovery.services.machine.root_states import RootState
from discovery.services.machine.workers import Workers, workers

#: Seconds over which the processor's load is measured; each page waits for them.
SAMPLE = 0.2


@dataclass(frozen=True, slots=True)
class Cpu:
    """``cores`` are logical ones.

    ``averages`` are the tasks that ran or wanted to, over 1, 5 and 15 minutes.
    """

    cores: int | None
    load_percent: float
    averages: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Memory:
    """``available_bytes`` can be had without swapping."""

    total_bytes: int
    available_bytes: int


@dataclass(frozen=True, slots=True)
class Share:
    """A root, and the size of its registered models that are there."""

    path: str
    models_bytes: int


@dataclass(frozen=True, slots=True)
class Disk:
    """One file system and the roots on it, or one root that cannot be reached because of ``fault``.

    The file system of such a root is unknown.
    """

    roots: tuple[Share, ...]
    total_bytes: int | None
    free_bytes: int | None
    fault: str = ""

    @property
    def models_bytes(self) -> int:
        return sum(share.models_bytes for share in self.roots)


@dataclass(frozen=True, slots=True)
class Snapshot:
    host: str
    booted_at: datetime
    cpu: Cpu
    memory: Memory
    gpus: Cards
    disks: tuple[Disk, ...]
    workers: Workers


def snapshot() -> Snapshot:
    """Take a snapshot, which takes ``SAMPLE`` seconds.

    Drives, GPU drivers or a broker that hang add their timeouts, each at most once.
    """
    memory = psutil.virtual_memory()
    return Snapshot(
        socket.gethostname(),
        datetime.fromtimestamp(psutil.boot_time(), UTC),
        Cpu(
            psutil.cpu_count(),
            psutil.cpu_percent(SAMPLE),
            tuple(os.getloadavg()) if hasattr(os, "getloadavg") else (),
        ),
        Memory(memory.total, memory.available),
        hardware.cards(),
        disks(root_states.roots()),
        workers(),
    )


def sandbox() -> cell.Standing:
    """How test loads are held on the machine that serves the page.

    Tried once in each process, which takes a moment.
    """
    return cell.here()


def resources() -> dict[str, Any]:
    """The answer of ``GET /system/resources``.

    A disk that holds several roots goes by the path of the first.
    """
    now = snapshot()
    return {
        "cpu": {"cores": now.cpu.cores, "load_percent": now.cpu.load_percent},
        "memory": {
            "total_bytes": now.memory.total_bytes,
            "available_bytes": now.memory.available_bytes,
        },
        "gpus": [
            {"name": card.name, "total_bytes": card.total_bytes, "free_bytes": card.free_bytes}
            for card in now.gpus.cards
        ],
        "disks": [
            {
                "path": disk.roots[0].path,
                "total_bytes": disk.total_bytes,
                "free_bytes": disk.free_bytes,
                "models_bytes": disk.models_bytes,
            }
            for disk in now.disks
        ],
        "workers": [
            {"host": worker.host, "pid": worker.pid, "state": worker.state}
            for worker in now.workers.workers
        ],
    }


def disks(roots: Sequence[RootState], sizes: Mapping[int, int] | None = None) -> tuple[Disk, ...]:
    """Each file system once, in the order of the roots.

    ``sizes``: bytes of the models by root, where they are known already.
    """
    if sizes is None:
        models = RegisteredModel.objects.exclude(status=Status.MISSING).order_by()
        sizes = dict(models.values_list("root").annotate(Sum("size_bytes")))
    found: dict[int, Disk] = {}
    for state in roots:
        share = Share(state.root.path, sizes.get(state.root.pk, 0))
        if state.disk is None:
            found[-state.root.pk] = Disk((share,), None, None, state.fault)
            continue
        before = found.get(state.disk.device)
        together = (*before.roots, share) if before else (share,)
        found[state.disk.device] = Disk(together, state.disk.total_bytes, state.disk.free_bytes)
    return tuple(found.values())

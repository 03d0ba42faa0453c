"""The System page: what this installation runs on, its workers, its schedules and what is installed. For administrators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_safe

from discovery.services import configs, system, versions, workers
from discovery.services.system import Disk
from discovery.web.memory import Part, stack
from discovery.web.pages import is_fragment, page_or_partial, staff_only

#: Less than this share of a disk free is worth a word.
NEARLY_FULL = 0.05

#: State of a worker → tone.
TONES = {"idle": "ok", "working": "accent", "starting": "plain", "stopping": "warn"}


@dataclass(frozen=True, slots=True)
class DiskBar:
    """``dense``: the sizes of the models come to more than is in use, so that their share of it is not known."""

    disk: Disk
    parts: tuple[Part, ...]
    is_nearly_full: bool
    dense: bool


@require_safe
@staff_only
def index(request: HttpRequest) -> HttpResponse:
    context = {"section": "system", **_context()}
    if not is_fragment(request):
        context |= {"programs": versions.programs(), "extras": versions.EXTRAS}
    return page_or_partial(request, "discovery/system.html", "resources", context)


@require_safe
@staff_only
def live(request: HttpRequest) -> HttpResponse:
    """What changes from one moment to the next, asked for every few seconds."""
    if not is_fragment(request):
        return redirect("system")
    return page_or_partial(request, "discovery/system.html", "resources", _context())


def _context() -> dict[str, Any]:
    now = system.snapshot()
    memory, load = now.memory, now.cpu.load_percent
    return {
        "now": now,
        "cpu_bar": stack([("busy", "busy", round(load))], 100),
        "memory_bar": stack(
            [("in use", "busy", memory.total_bytes - memory.available_bytes)], memory.total_bytes
        ),
        "gpus": [(card, _gpu_bar(card.total_bytes, card.free_bytes)) for card in now.gpus.cards],
        "disks": [disk_bar(disk) for disk in now.disks],
        "workers": [(worker, TONES.get(worker.state, "plain")) for worker in now.workers.workers],
        "failed": workers.failed_since(timezone.now() - timedelta(days=1)),
        "schedules": workers.schedules(),
        "scan_interval": configs.discovery().scan_interval_minutes,
    }


def _gpu_bar(total: int, free: int | None) -> tuple[Part, ...]:
    return stack([("in use", "busy", None if free is None else total - free)], total)


def disk_bar(disk: Disk) -> DiskBar:
    """What is in use of a disk, by models and by other files; nothing where the disk is out of reach."""
    if disk.total_bytes is None or disk.free_bytes is None:
        return DiskBar(disk, (), is_nearly_full=False, dense=False)
    used = disk.total_bytes - disk.free_bytes
    dense = disk.models_bytes > used
    terms = (
        [("in use", "other", used)]
        if dense
        else [
            ("models", "busy", disk.models_bytes),
            ("other files", "other", used - disk.models_bytes),
        ]
    )
    return DiskBar(
        disk,
        stack(terms, disk.total_bytes),
        disk.free_bytes < disk.total_bytes * NEARLY_FULL,
        dense,
    )

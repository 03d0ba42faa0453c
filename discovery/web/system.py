"""The System page for administrators.

It shows what this installation runs on, its workers, its schedules and what is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_POST, require_safe

from discovery.models import Notice, Right
from discovery.services import schedules
from discovery.services.access import elsewhere, notices, permissions
from discovery.services.core import private_files
from discovery.services.integrations import endpoint_keys
from discovery.services.machine import resources, versions, workers
from discovery.services.machine.resources import Disk
from discovery.web.model_memory import Part, stack
from discovery.web.shared.shortcuts import as_key, in_utc, is_fragment, needs, page_or_partial

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Less than this share of a disk free is worth a word.
NEARLY_FULL = 0.05

#: State of a worker → tone.
TONES = {"idle": "ok", "working": "accent", "starting": "plain", "stopping": "warn"}

#: Level of the sandbox of test loads → (tone, name).
SANDBOX_TONES = {
    "bubblewrap": ("ok", "bubblewrap"),
    "landlock": ("ok", "Landlock"),
    "filter": ("warn", "Partial"),
    "limits": ("bad", "None"),
}


@dataclass(frozen=True, slots=True)
class DiskBar:
    """The bar of one disk.

    ``dense`` means that the sizes of the models add up to more than is in use, so that their share
    is unknown.
    """

    disk: Disk
    parts: tuple[Part, ...]
    is_nearly_full: bool
    dense: bool


@require_safe
@needs(Right.SYSTEM)
def index(request: HttpRequest) -> HttpResponse:
    context = _context()
    if not is_fragment(request):
        context |= {
            "programs": versions.programs(),
            "extras": versions.EXTRAS,
            "notices": _notices(request),
        }
        context |= {
            "sandbox": (held := resources.sandbox()),
            "sandbox_tone": SANDBOX_TONES[held.level],
        }
        context |= {"keys": endpoint_keys.keys(), "key_faults": endpoint_keys.faults()}
        context["sign_in_faults"] = [*elsewhere.errors(), *elsewhere.warnings()]
    return page_or_partial(request, "discovery/system.html", "resources", context)


@require_safe
@needs(Right.SYSTEM)
def live(request: HttpRequest) -> HttpResponse:
    """Show what changes from moment to moment; the page refreshes it every few seconds."""
    if not is_fragment(request):
        return redirect("system")
    return page_or_partial(request, "discovery/system.html", "resources", _context())


def _notices(request: HttpRequest) -> list[Notice]:
    """What an upgrade did to accounts is for those who look after them."""
    return list(notices.unconfirmed()) if request.user.is_superuser else []


@require_POST
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """A superuser has read the notice: it is shown no more."""
    if not request.user.is_superuser:
        raise PermissionDenied("Only superusers look after accounts.")
    notice = get_object_or_404(Notice, pk=pk)
    notices.confirm(notice, by=request.user)
    return redirect("system")


@require_POST
@needs(Right.SCHEDULES)
def schedule(request: HttpRequest) -> HttpResponse:
    """Handle one of the buttons of a schedule.

    ``action`` is run, pause, resume, move (``at``) or delete (``row``).
    """
    by, name, action = (
        cast("User", request.user),
        request.POST.get("name", ""),
        request.POST.get("action", ""),
    )
    try:
        if action == "delete":
            schedules.delete(as_key(request.POST.get("row", "")) or 0, by=by)
            said = "The schedule is deleted."
        elif action == "move":
            at, seen = _time(request.POST.get("at", "")), request.POST.get("seen", "")
            schedules.move(name, at, by=by, seen=seen)
            said = "The schedule is moved."
        elif action in _DONE:
            act, said = _DONE[action]
            act(name, by=by)
        else:
            raise schedules.ScheduleError("That is not something that can be done here.")
        messages.success(request, said)
    except schedules.ScheduleError as error:
        messages.error(request, str(error))
    return redirect("system" if permissions.may(request.user, Right.SYSTEM) else "home")


_DONE = {
    "run": (schedules.run_now, "It is queued: a worker takes it as soon as one is free."),
    "pause": (schedules.pause, "The schedule is paused until you resume it."),
    "resume": (schedules.resume, "The schedule goes on."),
}


def _time(text: str) -> datetime:
    """As the form sends it, in the time zone of the person. Raises ``ScheduleError``."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    moment = None if moment is None else in_utc(moment)
    if moment is None:
        raise schedules.ScheduleError("Write the time as 2026-11-24T03:00, in your time zone.")
    return moment


def _context() -> dict[str, Any]:
    now = resources.snapshot()
    memory, load = now.memory, now.cpu.load_percent
    return {
        "now": now,
        "folder_faults": private_files.faults(),
        "cpu_bar": stack([("busy", "busy", round(load))], 100),
        "memory_bar": stack(
            [("in use", "busy", memory.total_bytes - memory.available_bytes)], memory.total_bytes
        ),
        "gpus": [(card, _gpu_bar(card.total_bytes, card.free_bytes)) for card in now.gpus.cards],
        "disks": [disk_bar(disk) for disk in now.disks],
        "workers": [
            (worker, TONES.get(worker.state, "plain"), worker.job.address() if worker.job else "")
            for worker in now.workers.workers
        ],
        "failed": workers.failed_since(timezone.now() - timedelta(days=1)),
        "schedules": schedules.rows(),
    }


def _gpu_bar(total: int, free: int | None) -> tuple[Part, ...]:
    return stack([("in use", "busy", None if free is None else total - free)], total)


def disk_bar(disk: Disk) -> DiskBar:
    """Return how much of a disk is in use, by models and by other files.

    It has no parts where the disk cannot be reached.
    """
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

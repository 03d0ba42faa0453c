"""``/schedules``, ``/system/queue`` and ``/settings``: what runs by the clock, and how."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.utils import timezone
from ninja import Path, Query, Router, Status

from discovery.api import closed_lists, paging
from discovery.api import roots_schemas as schemas
from discovery.api.authentication import Access, caller_of
from discovery.api.errors import ApiError
from discovery.api.inputs import Key
from discovery.engine.core.service_words import TokenScope
from discovery.models import Right, SettingChange
from discovery.services import jobs, schedules
from discovery.services.core.form_stamps import Conflict, stamp
from discovery.services.machine import workers
from discovery.services.settings import editing, roots, undoing, watch
from discovery.services.settings.catalogue import LIMITS, SCANNING
from discovery.services.settings.editing import SettingsError

router = Router(tags=["System"])

SETTINGS = Access(TokenScope.ADMIN, Right.SETTINGS)
SCHEDULES = Access(TokenScope.ADMIN, Right.SCHEDULES)
SYSTEM = Access(TokenScope.ADMIN, Right.SYSTEM)

#: Jobs of one kind that are told.
MAX_JOBS = 100
#: Key of the profiles of other machines.
MACHINES = "machines"
_CATALOGUE = (*SCANNING, *LIMITS)

# -- schedules


@router.get(
    "/schedules",
    auth=SYSTEM,
    response=schemas.Schedules,
    operation_id="list_schedules",
    summary="Schedules",
)
# Ninja passes it.
def listed(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001
    """What comes round by the clock, and when it does so next."""
    return _schedules()


def _schedules() -> dict[str, Any]:
    rows = schedules.rows()
    ours = [_schedule(row) for row in rows if row.is_ours]
    strays = [
        {"schedule_id": row.pk, "name": row.name, "function": row.label}
        for row in rows
        if not row.is_ours
    ]
    return {"count": len(ours), "results": ours, "strays": strays}


def _schedule(row: schedules.ScheduleRow) -> dict[str, Any]:
    return {
        "name": row.name.replace(" ", "-"),
        "label": row.label,
        "every": row.every,
        "set_by": row.set_by,
        "next_run_at": row.next_run,
        "is_late": row.is_late,
        "is_paused": row.is_paused,
    }


@router.put(
    "/schedules/{name}",
    auth=SCHEDULES,
    response=schemas.ScheduleRow,
    operation_id="update_schedule",
    summary="Pause, resume or move a schedule",
)
def change(request: HttpRequest, name: str, payload: schemas.ScheduleChange) -> dict[str, Any]:
    """Only what is sent changes; from the next time on it comes round in its own interval."""
    called, by = _called(name), caller_of(request).person
    try:
        if payload.paused is not None:
            (schedules.pause if payload.paused else schedules.resume)(called, by=by)
        if payload.next_run_at is not None:
            schedules.move(called, payload.next_run_at, by=by)
    except schedules.ScheduleError as error:
        raise ApiError(
            422, "The schedule cannot be changed so.", errors=[(("body",), str(error))]
        ) from None
    return next(_schedule(row) for row in schedules.rows() if row.name == called)


@router.post(
    "/schedules/{name}/run",
    auth=SCHEDULES,
    response={202: schemas.Ran},
    operation_id="run_schedule",
    summary="Run a schedule now",
)
def run(request: HttpRequest, name: str) -> Status[dict[str, Any]]:
    """Once; its next time stays as it is."""
    called = _called(name)
    try:
        schedules.run_now(called, by=caller_of(request).person)
    except schedules.ScheduleError as error:
        raise ApiError(409, str(error)) from None
    return Status(202, {"name": name, "queued": True})


def _called(name: str) -> str:
    called = next((each for each in schedules.KINDS if each.replace(" ", "-") == name), None)
    if called is None:
        raise Http404(f"There is no schedule {name[:80]}.")
    return called


@router.delete(
    "/schedules/strays/{schedule_id}",
    auth=SCHEDULES,
    response={204: None},
    operation_id="delete_stray_schedule",
    summary="Delete a schedule that is not on the list",
)
def delete(request: HttpRequest, schedule_id: Path[Key]) -> Status[None]:
    """Workers refuse its tasks anyway."""
    try:
        schedules.delete(schedule_id, by=caller_of(request).person)
    except schedules.ScheduleError:
        raise Http404(f"There is no such schedule {schedule_id}.") from None
    return Status(204, None)


# -- the queue


@router.get(
    "/system/queue",
    auth=SYSTEM,
    response=schemas.Queue,
    operation_id="get_queue",
    summary="Workers and their work",
)
# Ninja passes it.
def queue(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001
    """What runs now, and what waits for a worker."""
    now = workers.workers()
    rows = [_job(kind, job) for kind in jobs.kinds() for job in _active(kind)]
    return {
        "waiting": now.waiting,
        "fault": now.fault or None,
        "failed_last_day": workers.failed_since(timezone.now() - timedelta(days=1)),
        "workers": [
            {"host": each.host, "pid": each.pid, "state": each.state, "since": each.since}
            for each in now.workers
        ],
        "jobs": sorted(rows, key=lambda row: (row["state"] != "running", row["created_at"])),
    }


def _active(kind: Any) -> QuerySet[Any]:
    rows: QuerySet[Any] = kind.light().filter(state__in=kind.model.ACTIVE)
    return rows.select_related("requested_by").order_by("pk")[:MAX_JOBS]


def _job(kind: Any, job: Any) -> dict[str, Any]:
    """Messages have words of their own for these states."""
    return {
        "kind": kind.name,
        "job_id": job.pk,
        "state": "running" if job.state == kind.state.RUNNING else "queued",
        "requested_by": job.requested_by.get_username() if job.requested_by else None,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "host": job.host or None,
        "pid": job.pid,
    }


# -- settings


@router.get(
    "/settings",
    auth=SETTINGS,
    response=schemas.SettingRows,
    operation_id="list_settings",
    summary="Settings",
)
# Ninja passes it.
def settings(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001
    """Each with what is in force and where that comes from."""
    rows = _settings()
    return {"count": len(rows), "results": rows}


def _settings() -> list[dict[str, Any]]:
    rows = [
        {
            "key": now.setting.key,
            "label": now.setting.label,
            "help": now.setting.help,
            "value": now.value,
            "source": now.source,
            "stamp": now.stamp,
        }
        for now in editing.in_force(_CATALOGUE)
    ]
    value, written = editing.current(MACHINES), editing.held(editing.written(), MACHINES)
    return [
        *rows,
        {
            "key": MACHINES,
            "label": "Machines",
            "help": "Profiles of other machines: name → ram_gb and gpus_gb.",
            "value": value,
            "source": "file" if written else "default",
            "stamp": stamp(value),
        },
    ]


@router.put(
    "/settings",
    auth=SETTINGS,
    response=schemas.SavedSettings,
    operation_id="update_settings",
    summary="Change settings",
)
def save(request: HttpRequest, payload: schemas.SettingsChange) -> dict[str, Any]:
    """All of them or none. They take effect at once, and the file on the disk has them."""
    known = [*(setting.key for setting in _CATALOGUE), MACHINES]
    wrong = [
        (("body", "values", key[:200]), closed_lists.not_known(key, known))
        for key in payload.values
        if key not in known
    ]
    fixed = [now.setting for now in editing.in_force(_CATALOGUE) if now.source == "environment"]
    wrong += [
        (("body", "values", each.key), f"is set by the environment variable {each.variable}")
        for each in fixed
        if each.key in payload.values
    ]
    if wrong:
        raise ApiError(422, "These settings cannot be set. Nothing changed.", errors=wrong)
    try:
        changed = editing.save(payload.values, by=caller_of(request).person, seen=payload.seen)
    except SettingsError as error:
        faults = [
            (("body", "values", *([key] if key else [])), text)
            for key, text in error.faults.items()
        ]
        raise ApiError(
            422, "The settings cannot be saved. Nothing changed.", errors=faults
        ) from None
    except Conflict as conflict:
        faults = [(("body", "seen", key), "was changed meanwhile") for key in conflict.theirs]
        raise ApiError(
            409, "Settings were changed since you read them. Nothing changed.", errors=faults
        ) from None
    watch.apply()
    return {"changed": changed, "results": _settings()}


@router.get(
    "/settings/changes",
    auth=SETTINGS,
    response=schemas.SettingChanges,
    operation_id="list_setting_changes",
    summary="Changes of settings",
)
def changes(request: HttpRequest, query: Query[paging.Paged]) -> dict[str, Any]:
    """Here and in the file itself, the newest first."""
    return paging.numbered(request, _changes(request), query, _change)


def _changes(request: HttpRequest) -> QuerySet[SettingChange]:
    """Paths of roots are not for everybody."""
    rows = SettingChange.objects.select_related("by")
    allowed = caller_of(request).may(Right.ROOTS, Right.VIEW_ALL)
    return rows if allowed else rows.exclude(key=roots.KEY)


def _change(row: SettingChange) -> dict[str, Any]:
    return {
        "change_id": row.pk,
        "key": row.key,
        "before": row.before["value"] if row.before else None,
        "after": row.after["value"] if row.after else None,
        "by": row.by.get_username() if row.by else None,
        "at": row.at,
        "through": row.channel,
        "undone_at": row.undone_at,
    }


@router.post(
    "/settings/changes/{setting_change_id}/undo",
    auth=SETTINGS,
    response=schemas.SettingChangeRow,
    operation_id="undo_setting_change",
    summary="Undo a change of a setting",
)
def undo(request: HttpRequest, setting_change_id: Path[Key]) -> dict[str, Any]:
    """409 where the value has changed since, or is not valid any more."""
    row = _changes(request).filter(pk=setting_change_id).first()
    if row is None:
        raise Http404(f"There is no change {setting_change_id}.")
    try:
        undoing.undo(row, by=caller_of(request).person)
    except SettingsError as error:
        raise ApiError(409, str(error)) from None
    row.refresh_from_db()
    return _change(row)

"""``/downloads``: models from external registries on their way to a root."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Path, Query, Router, Status

from discovery.api import downloads_schemas as schemas
from discovery.api import paging
from discovery.api.authentication import Access, caller_of
from discovery.api.errors import ApiError
from discovery.api.inputs import Key
from discovery.engine.core.service_words import RegistryFault, TokenScope
from discovery.models import Download, Right, Root
from discovery.services.downloads import planning, queue
from discovery.services.downloads.planning import Plan, Wish
from discovery.services.downloads.queue import NotDownloaded
from discovery.services.registries.protocol import RegistryError

router = Router(tags=["Downloads"])

READ = Access(TokenScope.READ, Right.DOWNLOAD, Right.VIEW_ALL)
CHANGE = Access(TokenScope.ADMIN, Right.DOWNLOAD, Right.VIEW_ALL)

#: Of the registry itself; the others are about what was asked for.
_AWAY = (RegistryFault.UNREACHABLE, RegistryFault.BUSY, RegistryFault.UNREADABLE)


@router.get(
    "/downloads",
    auth=READ,
    response=schemas.DownloadList,
    operation_id="list_downloads",
    summary="Downloads",
)
def listed(request: HttpRequest, asked: Query[schemas.DownloadsQuery]) -> dict[str, Any]:
    """Those that wait, run or are over, the newest first."""
    rows = Download.objects.select_related("root", "model", "requested_by")
    if asked.state:
        rows = rows.filter(state__in=asked.state)
    return paging.numbered(request, rows, asked, shown)


@router.post(
    "/downloads",
    auth=CHANGE,
    response={202: schemas.QueuedDownload},
    operation_id="request_download",
    summary="Download a model",
)
def ask(
    request: HttpRequest, payload: schemas.NewDownload, response: HttpResponse
) -> Status[dict[str, Any]]:
    """Queues it; where it is queued, paused or failed already, that one is the answer, and goes on.

    The files are fetched, checked against their checksums and looked through for code before the
    model is moved into its folder as a whole. `Location` answers how far it is.
    """
    try:
        plan = _planned(payload)
        job, created = queue.queue(plan, by=caller_of(request).person)
    except NotDownloaded as error:
        faults = [(("body", field), text) for field, text in error.faults.items()]
        raise ApiError(422, "This cannot be downloaded so.", errors=faults) from None
    if job.state == Download.State.FAILED and created:
        raise ApiError(503, job.message)
    place = reverse("api:get_download", args=[job.pk])
    response["Location"] = request.build_absolute_uri(place)
    return Status(202, {**_details(job), "created": created})


@router.post(
    "/downloads/preview",
    auth=CHANGE,
    response=schemas.DownloadPreview,
    operation_id="preview_download",
    summary="What a download would be",
)
def preview(request: HttpRequest, payload: schemas.NewDownload) -> dict[str, Any]:  # noqa: ARG001
    """Asks the registry and looks at the disk; queues nothing."""
    plan = _planned(payload)
    chosen = plan.chosen_paths
    return {
        "registry": plan.registry.name,
        "remote_id": plan.model.remote_id,
        "revision": plan.model.revision or None,
        "license": plan.model.license or None,
        "gated": bool(plan.model.gated),
        "root": plan.root.path if plan.root else None,
        "folder": plan.folder,
        "total_bytes": plan.total_bytes,
        "free_bytes": plan.place.free_bytes if plan.place else None,
        "download_id": plan.known.pk if plan.known else None,
        "faults": plan.faults,
        "notes": plan.notes,
        "files": [
            {
                "path": each.path,
                "size_bytes": each.file.size,
                "sha256": each.file.sha256 or None,
                "chosen": each.path in chosen,
                "pickle": each.is_pickle,
                "fault": each.fault or None,
            }
            for each in plan.offered
        ],
    }


def _planned(payload: schemas.NewDownload) -> Plan:
    wish = Wish(
        payload.registry,
        payload.remote_id,
        payload.revision,
        payload.files,
        _root(payload.root),
        payload.folder,
        payload.pickles,
    )
    try:
        return planning.make(wish)
    except RegistryError as error:
        if error.fault in _AWAY:
            raise ApiError(503, f"{payload.registry}: {error}") from None
        field = "registry" if error.fault == RegistryFault.SETTINGS else "remote_id"
        raise ApiError(
            422, "This cannot be downloaded.", errors=[(("body", field), str(error))]
        ) from None


def _root(given: str) -> Root | None:
    if not given:
        return None
    rows = Root.objects.exclude(path=Root.REMOTE)
    found = rows.filter(Q(path=given) | Q(name=given)).first()
    if found is None:
        fault = (("body", "root"), "there is no such root: give its path or its name")
        raise ApiError(422, "This cannot be downloaded so.", errors=[fault])
    return found


@router.get(
    "/downloads/{download_id}",
    auth=READ,
    response=schemas.DownloadDetails,
    operation_id="get_download",
    summary="One download",
)
def one(request: HttpRequest, download_id: Path[Key]) -> dict[str, Any]:  # noqa: ARG001
    """How far it is, and its files."""
    return _details(_found(download_id))


@router.post(
    "/downloads/{download_id}/pause",
    auth=CHANGE,
    response=schemas.DownloadDetails,
    operation_id="pause_download",
    summary="Pause a download",
)
def pause(request: HttpRequest, download_id: Path[Key]) -> dict[str, Any]:  # noqa: ARG001
    """What is there is kept. One that runs pauses within seconds. 409 for one that does neither
    wait nor run.
    """
    return _changed(download_id, queue.pause, "It neither waits nor runs.")


@router.post(
    "/downloads/{download_id}/resume",
    auth=CHANGE,
    response=schemas.DownloadDetails,
    operation_id="resume_download",
    summary="Resume a download",
)
def resume(
    request: HttpRequest,  # noqa: ARG001
    download_id: Path[Key],
    payload: schemas.ResumeDownload | None = None,
) -> dict[str, Any]:
    """One that is paused or failed goes on with what is there. 409 for any other one, and while
    another one goes to its folder.
    """

    def act(job: Download) -> bool:
        return queue.resume(job, accept_unsafe=bool(payload and payload.accept_unsafe))

    return _changed(download_id, act, "It is neither paused nor failed, or its folder is taken.")


@router.post(
    "/downloads/{download_id}/cancel",
    auth=CHANGE,
    response=schemas.DownloadDetails,
    operation_id="cancel_download",
    summary="Cancel a download",
)
def cancel(request: HttpRequest, download_id: Path[Key]) -> dict[str, Any]:  # noqa: ARG001
    """What it has fetched is deleted. 409 for one that is over."""
    return _changed(download_id, queue.cancel, "It is over already.")


def _found(download_id: int) -> Download:
    rows = Download.objects.select_related("root", "model", "requested_by")
    job = rows.filter(pk=download_id).first()
    if job is None:
        raise Http404(f"There is no download {download_id}.")
    return job


def _changed(download_id: int, act: Callable[[Download], bool], refusal: str) -> dict[str, Any]:
    if not act(_found(download_id)):
        raise ApiError(409, f"{refusal} Nothing changed.")
    return _details(_found(download_id))


def shown(job: Download) -> dict[str, Any]:
    return {
        "download_id": job.pk,
        "state": job.state,
        "registry": job.registry,
        "remote_id": job.remote_id,
        "revision": job.revision or None,
        "license": job.license or None,
        "root": job.root.path,
        "folder": job.folder,
        "model_id": job.model.model_id if job.model else None,
        "total_bytes": job.total_bytes,
        "done_bytes": job.done_bytes,
        "total_files": len(job.files),
        "done_files": job.done_files,
        "bytes_per_second": job.speed,
        "seconds_left": job.seconds_left,
        "current_path": job.current_path or None,
        "fault": job.fault or None,
        "message": job.message or None,
        "attempts": job.attempts,
        "retry_at": job.retry_at,
        "automatic": job.is_automatic,
        "requested_by": job.requested_by.get_username() if job.requested_by else None,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }


def _details(job: Download) -> dict[str, Any]:
    files = [
        {"path": row["path"], "size_bytes": row["size"], "sha256": row["sha256"] or None}
        for row in job.files
    ]
    return {**shown(job), "files": files}

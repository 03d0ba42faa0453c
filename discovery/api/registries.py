"""``/registries``: external registries, their settings, syncs and models."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Path, Query, Router, Status

from discovery.api import registries_schemas as schemas
from discovery.api.authentication import Access, caller_of
from discovery.api.errors import ApiError
from discovery.api.inputs import Key
from discovery.engine.core.service_words import TokenScope
from discovery.models import RegistrySync, Right
from discovery.services.registries import overview, remote_search, syncing
from discovery.services.registries.protocol import RegistryError
from discovery.services.settings import registries as settings
from discovery.services.settings.editing import SettingsError

router = Router(tags=["Registries"])

MANAGE = Access(TokenScope.ADMIN, Right.SETTINGS)


@router.get(
    "/registries",
    auth=MANAGE,
    response=schemas.Registries,
    operation_id="list_registries",
    summary="External registries",
)
def listed(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001
    """Each with its settings, how it answered last, and what of it is here."""
    rows = [row.as_json() for row in overview.rows()]
    return {"count": len(rows), "results": rows, "faults": overview.faults()}


@router.patch(
    "/registries/{registry}",
    auth=MANAGE,
    response=schemas.RegistryRow,
    operation_id="change_registry",
    summary="Change the settings of a registry",
)
def change(
    request: HttpRequest, registry: str, payload: schemas.RegistrySettings
) -> dict[str, Any]:
    """Writes external_registries.json; the change is kept in the history and can be undone."""
    known(registry)
    values = payload.dict(exclude_unset=True)
    lacking = [name for name, each in values.items() if each is None]
    if lacking:
        faults = [(("body", name), "must not be null") for name in lacking]
        raise ApiError(422, "A setting has a value.", errors=faults)
    try:
        settings.change(registry, values, by=caller_of(request).person)
    except SettingsError as error:
        faults = [(("body", name), told) for name, told in error.faults.items() if name]
        raise ApiError(422, str(error), errors=faults) from None
    row = overview.row_of(registry)
    assert row is not None
    return row.as_json()


@router.post(
    "/registries/{registry}/sync",
    auth=MANAGE,
    response={202: schemas.SyncRow},
    operation_id="sync_registry",
    summary="Sync a registry",
)
def sync(request: HttpRequest, registry: str, response: HttpResponse) -> Any:
    """Queues a sync; while one is under way it is that. `Location` answers how far it is."""
    known(registry)
    try:
        job, created = syncing.request(registry, by=caller_of(request).person)
    except syncing.NotEnabled as error:
        raise ApiError(409, str(error)) from None
    response["Location"] = request.build_absolute_uri(
        reverse("api:get_registry_sync", args=[registry, job.pk])
    )
    return Status(202, _sync(job, created=created))


@router.get(
    "/registries/{registry}/syncs/{sync_id}",
    auth=MANAGE,
    response=schemas.SyncRow,
    operation_id="get_registry_sync",
    summary="Progress of a sync",
)
def progress(
    request: HttpRequest,  # noqa: ARG001
    registry: str,
    sync_id: Path[Key],
) -> dict[str, Any]:
    """How far it is, and what came of it."""
    job = RegistrySync.objects.filter(registry=registry, pk=sync_id).first()
    if job is None:
        raise Http404(f"There is no sync {sync_id} of this registry.")
    return _sync(job, created=False)


@router.get(
    "/registries/{registry}/models",
    auth=MANAGE,
    response=schemas.RemoteModels,
    operation_id="search_registry",
    summary="Search a registry",
)
def models(
    request: HttpRequest,  # noqa: ARG001
    registry: str,
    query: Query[schemas.RemoteQuery],
) -> dict[str, Any]:
    """Asks the registry now, once. 409 where it is off, 503 where it does not answer."""
    known(registry)
    try:
        found = remote_search.search(registry, query.search, query.limit)
    except syncing.NotEnabled as error:
        raise ApiError(409, str(error)) from None
    except RegistryError as error:
        wait = {"Retry-After": f"{error.seconds:.0f}"} if error.seconds is not None else {}
        raise ApiError(503, str(error), headers=wait) from None
    return {"count": len(found), "results": [remote_search.as_json(each) for each in found]}


def known(registry: str) -> None:
    if overview.row_of(registry) is None:
        raise Http404(f"There is no registry {registry[:60]}.")


def _sync(job: RegistrySync, *, created: bool) -> dict[str, Any]:
    counts = (
        "total", "done", "linked", "proposed", "updates", "changed", "errors", "requests",
    )  # fmt: skip
    return {
        "sync_id": job.pk,
        "registry": job.registry,
        "state": job.state,
        "created": created,
        "message": job.message or None,
        "fault": job.fault or None,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        **{name: getattr(job, name) for name in counts},
    }

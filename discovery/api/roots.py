"""``/roots``: the folders that are scanned."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Path, Query, Router, Status

from discovery.api import roots_schemas as schemas
from discovery.api.authentication import Access, caller_of
from discovery.api.errors import ApiError
from discovery.api.inputs import Key
from discovery.engine.core.service_words import TokenScope
from discovery.models import Right, Root, ScanRun
from discovery.services import scans
from discovery.services.core.form_stamps import Conflict
from discovery.services.settings import roots, stores
from discovery.services.settings.editing import SettingsError

router = Router(tags=["Roots"])

READ = Access(TokenScope.READ, Right.ROOTS, Right.VIEW_ALL)
CHANGE = Access(TokenScope.ADMIN, Right.ROOTS, Right.VIEW_ALL)


@router.get("/roots", auth=READ, response=schemas.Roots, operation_id="list_roots", summary="Roots")
# Ninja passes it.
def listed(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001
    """Each with how it stands now."""
    rows = [_shown(row) for row in roots.rows()]
    return {"count": len(rows), "results": rows}


@router.get(
    "/roots/found",
    auth=READ,
    response=schemas.Stores,
    operation_id="find_roots",
    summary="Folders of other programs",
)
# Ninja passes it.
def found(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001
    """Folders on this machine in which other programs keep models, looked through now."""
    rows = [
        {
            "program": store.program,
            "path": store.path,
            "models": store.models,
            "size_bytes": store.size,
            "is_whole": store.is_whole,
            "root": store.root or None,
        }
        for store in stores.found()
    ]
    return {"count": len(rows), "results": rows}


@router.post(
    "/roots",
    auth=CHANGE,
    response={201: schemas.RootRow},
    operation_id="add_root",
    summary="Add a root",
)
def add(
    request: HttpRequest, payload: schemas.NewRoot, response: HttpResponse
) -> Status[dict[str, Any]]:
    """It takes effect at once; refresh scans it."""
    try:
        root = roots.add(payload.path, name=payload.name, by=caller_of(request).person)
    except SettingsError as error:
        raise _refused(error, "path") from None
    row = _row(root.pk)
    response["Location"] = request.build_absolute_uri(reverse("api:get_root", args=[root.pk]))
    response["ETag"] = _tag(row)
    return Status(201, _shown(row))


@router.get(
    "/roots/{root_id}",
    auth=READ,
    response=schemas.RootRow,
    operation_id="get_root",
    summary="One root",
)
# Ninja passes it.
def one(
    request: HttpRequest,  # noqa: ARG001
    root_id: Path[Key],
    response: HttpResponse,
) -> dict[str, Any]:
    """With how it stands now."""
    row = _row(root_id)
    response["ETag"] = _tag(row)
    return _shown(row)


@router.put(
    "/roots/{root_id}",
    auth=CHANGE,
    response=schemas.RootRow,
    operation_id="update_root",
    summary="Change a root",
)
def change(
    request: HttpRequest,
    root_id: Path[Key],
    payload: schemas.RootChange,
    response: HttpResponse,
) -> dict[str, Any]:
    """Only what is sent changes; null is as the others, where a number may be so."""
    row, seen = _seen(request, root_id)
    given = {name: getattr(payload, name) for name in payload.model_fields_set}
    off = [name for name in ("enabled", "read_only") if name in given and given[name] is None]
    if off:
        raise ApiError(422, errors=[(("body", name), "must be true or false") for name in off])
    try:
        roots.change(row.root, given, by=caller_of(request).person, seen=seen)
    except SettingsError as error:
        raise _refused(error) from None
    except Conflict:
        raise _stale() from None
    row = _row(root_id)
    response["ETag"] = _tag(row)
    return _shown(row)


@router.post(
    "/roots/{root_id}/move",
    auth=Access(TokenScope.ADMIN, Right.ROOTS),
    response=schemas.MovedRoot,
    operation_id="move_root",
    summary="Say where a root is now",
)
def move(request: HttpRequest, root_id: Path[Key], payload: schemas.RootMove) -> dict[str, Any]:
    """Its models go with it, and a scan of it is queued."""
    root, by = _row(root_id).root, caller_of(request).person
    try:
        count = scans.move_root(root, payload.path, channel="api", by=by.get_username())
    except scans.NotMoved as error:
        raise ApiError(
            422, "The root cannot be moved.", errors=[(("body", "path"), str(error))]
        ) from None
    run, _ = scans.request(ScanRun.Trigger.API, path=root.path, user_id=by.pk)
    return {"root": _shown(_row(root_id)), "models": count, "scan_id": run.pk}


@router.delete(
    "/roots/{root_id}",
    auth=Access(TokenScope.ADMIN, Right.ROOTS, Right.FORGET, Right.VIEW_ALL),
    response=schemas.RemovedRoot,
    operation_id="remove_root",
    summary="Remove a root",
)
def remove(
    request: HttpRequest, root_id: Path[Key], query: Query[schemas.RemoveQuery]
) -> dict[str, Any]:
    """Files stay where they are. 409 while a scan of it is running."""
    root = _seen(request, root_id)[0].root
    path = root.path
    try:
        count = roots.remove(root, forget=query.models == "forget", by=caller_of(request).person)
    except SettingsError as error:
        raise ApiError(409, str(error)) from None
    return {"path": path, "forgotten": count}


def _row(key: int) -> roots.RootRow:
    row = next((row for row in roots.rows() if row.root.pk == key), None)
    if row is None:
        raise Http404(f"There is no root {key}.")
    return row


def _seen(request: HttpRequest, key: int) -> tuple[roots.RootRow, str | None]:
    """The root, and the stamp that ``If-Match`` names; 412 where that is not its own any more."""
    row, tag = _row(key), request.headers.get("If-Match", "").strip()
    seen = None if tag in ("", "*") else tag.removeprefix("W/").strip('"')
    if seen is not None and seen != row.stamp:
        raise _stale()
    return row, seen


def _tag(row: roots.RootRow) -> str:
    return f'"{row.stamp}"'


def _stale() -> ApiError:
    return ApiError(412, "The root was changed since you read it: read it again.")


def _refused(error: SettingsError, *places: str) -> ApiError:
    text = "; ".join(error.faults.values())
    return ApiError(422, "The root cannot be like that.", errors=[(("body", *places), text)])


def _shown(row: roots.RootRow) -> dict[str, Any]:
    root: Root = row.root
    return {
        "root_id": root.pk,
        "path": root.path,
        "name": root.label,
        "enabled": root.enabled,
        "read_only": root.read_only,
        "interval_minutes": root.interval_minutes,
        "max_depth": root.max_depth,
        "reachable": not row.look.fault,
        "fault": row.look.fault or None,
        "frozen_reason": root.frozen_reason or None,
        "models": row.models,
        "size_bytes": row.size,
        "last_scan_at": root.last_scan_at,
        "in_file": row.in_file,
    }

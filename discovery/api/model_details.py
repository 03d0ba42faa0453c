"""The contents of a model's pages: files, tensors, history and access.

The paths are ``/models/{model_id}/files``, ``/tensors``, ``/metadata-raw``, ``/history`` and
``/access``.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Query, Router

from discovery.api import model_details_schemas as schemas
from discovery.api import paging
from discovery.api.authentication import PUBLIC, READ, caller_of, fetch
from discovery.api.changes import change_rows, light
from discovery.api.errors import ApiError
from discovery.models import Right
from discovery.services.access import permissions, visibility
from discovery.services.access.redaction import Sight
from discovery.services.insight import model_contents
from discovery.services.metadata import metadata
from discovery.services.registry import model_files
from discovery.services.search.model_filters import normal_text

router = Router(tags=["Models"])


@router.get(
    "/models/{model_id}/files",
    auth=PUBLIC,
    response=schemas.Files,
    operation_id="list_files",
    summary="Files of a model",
)
def files(request: HttpRequest, model_id: str, query: Query[schemas.FilesQuery]) -> dict[str, Any]:
    """As the last scan saw them."""
    rows = [row for row in fetch(request, model_id).files if _matches(row[0], query.search)]
    return paging.numbered(request, rows, query, lambda row: {"path": row[0], "size_bytes": row[1]})


@router.get(
    "/models/{model_id}/tensors",
    auth=PUBLIC,
    response=schemas.Tensors,
    operation_id="list_tensors",
    summary="Tensors of a model",
)
def tensors(
    request: HttpRequest, model_id: str, query: Query[schemas.TensorsQuery]
) -> dict[str, Any]:
    """Read now, from the headers of the weight files."""
    read = _read(request, model_id, query.file)
    rows = [row for row in read.rows if _matches(row.tensor.name, query.search)]
    return paging.numbered(
        request,
        rows,
        query,
        _tensor,
        files=read.total,
        files_read=read.read,
        problems=_problems(request, read),
    )


@router.get(
    "/models/{model_id}/metadata-raw",
    auth=PUBLIC,
    response=schemas.RawMetadata,
    operation_id="get_raw_metadata",
    summary="Metadata in the headers of a model's files",
)
def metadata_raw(
    request: HttpRequest, model_id: str, query: Query[schemas.HeaderQuery]
) -> dict[str, Any]:
    """Read now, from the headers of the weight files: GGUF's keys, safetensors' `__metadata__`."""
    read = _read(request, model_id, query.file)
    return {
        "files": read.total,
        "files_read": read.read,
        "results": [{"path": path, "metadata": found} for path, found in read.metadata.items()],
        "problems": _problems(request, read),
    }


def _read(request: HttpRequest, model_id: str, file: str) -> model_contents.Tensors:
    record = fetch(request, model_id)
    if file and file not in model_files.weight_files(record):
        raise ApiError(
            422,
            "The model has no such weight file.",
            errors=[(("query", "file"), "is none of its weight files")],
        )
    if record.missing_since is not None:
        return model_contents.Tensors()
    return model_contents.tensors(record, file)


def _problems(request: HttpRequest, read: model_contents.Tensors) -> list[dict[str, Any]]:
    sight = Sight(caller_of(request).user)
    return [
        {
            "code": each.code,
            "message": sight.text(each.message),
            "path": each.path,
            "severity": each.severity,
            "offset": each.offset,
        }
        for each in read.problems
    ]


def _tensor(row: model_contents.TensorInFile) -> dict[str, Any]:
    tensor = row.tensor
    return {
        "name": tensor.name,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "elements": row.elements,
        "size_bytes": tensor.size,
        "file": row.file,
    }


@router.get(
    "/models/{model_id}/history",
    auth=READ,
    response=schemas.History,
    operation_id="list_changes",
    summary="What people changed",
)
def history(request: HttpRequest, model_id: str, query: Query[paging.Walked]) -> dict[str, Any]:
    """Who changed what, when and through what, the newest first.

    Only administrators see who made a change, and changes of groups.
    """
    sight = Sight(caller_of(request).user)
    rows = metadata.changes_told_to(sight).filter(model=fetch(request, model_id))
    if query.cursor is None:
        return paging.numbered(
            request, light(rows), query, together=lambda page: change_rows(page, sight)
        )
    return paging.by_cursor(
        request,
        rows,
        query.cursor,
        query.page_size,
        lambda keys: change_rows(light(rows.filter(pk__in=keys)), sight),
        newest=True,
    )


@router.get(
    "/models/{model_id}/access",
    auth=READ,
    response=schemas.AccessRules,
    operation_id="get_access",
    summary="Who may see a model",
)
def who(
    request: HttpRequest,
    model_id: str,
    query: Query[schemas.AccessQuery],
) -> dict[str, Any]:
    """Its visibility, and through which groups, collections and access rules people see it.

    Other people only learn about their own groups, and may not ask for others.
    """
    caller = caller_of(request)
    record = fetch(request, model_id)
    told = visibility.explained_to(caller.person, record)
    if not (user := query.user):
        return told
    if not caller.may(Right.GRANT, Right.VIEW_ALL):
        raise ApiError(403, permissions.lacking(caller.user, (Right.GRANT, Right.VIEW_ALL)))
    answer = visibility.of_person(record, user)
    if answer.allowed is None:
        raise ApiError(404, f"There is no user {user}.")
    steps = [{"text": step.text, "allows": step.allows} for step in answer.steps]
    person = {"user": user, "allowed": answer.allowed, "why": answer.why, "steps": steps}
    return {**told, "person": person}


def _matches(name: str, text: str) -> bool:
    folded = name.casefold()
    return all(word.casefold() in folded for word in normal_text(text).split())

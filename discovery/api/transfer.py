"""``/export`` and ``/imports``: metadata out into a file, and back in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse
from ninja import Path, Query, Router, Schema, Status
from pydantic import Field, create_model

from discovery.api import paging
from discovery.api import transfer_schemas as schemas
from discovery.api.authentication import READ, Access, caller_of
from discovery.api.errors import ApiError
from discovery.api.inputs import Key
from discovery.api.model_list import PARAMETERS, filters_of
from discovery.engine.core.service_words import TokenScope
from discovery.models import MetadataImport
from discovery.services.access.permissions import IMPORTING
from discovery.services.access.redaction import Sight
from discovery.services.search import model_search
from discovery.services.search.model_filters import MAX_VALUES
from discovery.services.transfer import export_formats, import_jobs
from discovery.services.transfer.export_formats import FORMATS
from discovery.services.transfer.import_parsing import UnreadableFile

router = Router(tags=["Transfer"])

LOOK = Access(TokenScope.READ, *IMPORTING)
IMPORT = Access(TokenScope.WRITE, *IMPORTING)

_FILE: Any = (
    Literal[tuple(FORMATS)],
    Field(
        "json",
        description="How the file is written: "
        + "; ".join(f"`{name}` {each.help}" for name, each in FORMATS.items())
        + ".",
    ),
)
_MODELS: Any = (
    list[str],
    Field(
        [], max_length=MAX_VALUES, description="IDs: only these models, whatever else is chosen."
    ),
)
#: Content types of what is not a list of documents; YAML may be anything.
_CONTENT: dict[str, dict[str, Any]] = {
    each.content_type.partition(";")[0]: {"schema": {"type": "string"}}
    for name, each in FORMATS.items()
    if name != "json"
}
_CONTENT["application/vnd.cyclonedx+json"] = {"schema": {"type": "object"}}
_CONTENT["application/yaml"] = {"schema": {}}
if TYPE_CHECKING:
    ExportQuery = Any
else:
    ExportQuery = create_model(
        "ExportQuery",
        __base__=Schema,
        __doc__="As the list of models takes them.",
        file=_FILE,
        model_id=_MODELS,
        **PARAMETERS,
    )


@router.get(
    "/export",
    auth=READ,
    response={200: list[dict[str, Any]]},
    operation_id="export_models",
    summary="Export models",
    openapi_extra={"responses": {200: {"content": _CONTENT}}},
)
def export(request: HttpRequest, query: Query[ExportQuery]) -> StreamingHttpResponse:
    """Every model of a filter in one file. Imports take JSON and CSV back.

    It comes piece by piece, however many there are.
    """
    user, form = caller_of(request).user, FORMATS[query.file]
    rows = (
        export_formats.named(user, query.model_id)
        if query.model_id
        else model_search.found(user, filters_of(query, user, "query"))
    )
    return StreamingHttpResponse(
        form.write(rows, Sight(user)), headers=form.headers(query.model_id)
    )


@router.get(
    "/imports",
    auth=LOOK,
    response=schemas.Imports,
    operation_id="list_imports",
    summary="Imports",
)
def listed(request: HttpRequest, query: Query[paging.Paged]) -> dict[str, Any]:
    """Files that were sent, the newest first."""
    rows = MetadataImport.objects.select_related("requested_by").defer("content", "report")
    return paging.numbered(request, rows, query, _row)


@router.post(
    "/imports",
    auth=IMPORT,
    response={201: schemas.ImportDetails},
    operation_id="check_import",
    summary="Check a file",
)
def check(
    request: HttpRequest, payload: schemas.NewImport, response: HttpResponse
) -> Status[dict[str, Any]]:
    """Says what each row would change. Nothing is written before it is applied."""
    try:
        content = payload.content.encode()
    except UnicodeEncodeError:
        fault = (("body", "content"), "has halves of characters")
        raise ApiError(422, "The file cannot be read.", errors=[fault]) from None
    try:
        run = import_jobs.submit(payload.name, content, caller_of(request).person)
    except UnreadableFile as error:
        raise ApiError(
            422, "The file cannot be read.", errors=[(("body", "content"), str(error))]
        ) from None
    response["Location"] = request.build_absolute_uri(reverse("api:get_import", args=[run.pk]))
    return Status(201, _details(run))


@router.get(
    "/imports/{import_id}",
    auth=LOOK,
    response=schemas.ImportDetails,
    operation_id="get_import",
    summary="One import",
)
# Ninja passes it.
def one(request: HttpRequest, import_id: Path[Key]) -> dict[str, Any]:  # noqa: ARG001
    """What each row does, or has done; while a worker is at it, how far it is."""
    return _details(_fetch(import_id))


@router.post(
    "/imports/{import_id}/apply",
    auth=IMPORT,
    response={200: schemas.ImportDetails, 202: schemas.ImportDetails},
    operation_id="apply_import",
    summary="Import a checked file",
)
def apply(
    request: HttpRequest,
    import_id: Path[Key],
    payload: schemas.ApplyImport,
    response: HttpResponse,
) -> Status[dict[str, Any]]:
    """200 once it is imported, 202 while a worker is at it. Its `batch` undoes all of it."""
    run = _fetch(import_id)
    if not import_jobs.apply(run, caller_of(request).person, skip_errors=payload.skip_errors):
        raise ApiError(409, "This file is being imported already, or was.")
    run = _fetch(import_id)
    response["Location"] = request.build_absolute_uri(reverse("api:get_import", args=[run.pk]))
    return Status(202 if run.is_active else 200, _details(run))


@router.delete(
    "/imports/{import_id}",
    auth=IMPORT,
    response={204: None},
    operation_id="discard_import",
    summary="Discard a file",
)
# Ninja passes it.
def discard(request: HttpRequest, import_id: Path[Key]) -> Status[None]:  # noqa: ARG001
    """What was imported from it stays. 409 while it is being read."""
    if not import_jobs.discard(_fetch(import_id)):
        raise ApiError(409, "It is being read at this moment: wait until that is over.")
    return Status(204, None)


def _fetch(key: int) -> MetadataImport:
    rows = MetadataImport.objects.select_related("requested_by").defer("content")
    run = rows.filter(pk=key).first()
    if run is None:
        raise Http404(f"There is no import {key}.")
    return run


def _row(run: MetadataImport) -> dict[str, Any]:
    return {
        "import_id": run.pk,
        "name": run.name,
        "stage": run.stage,
        "state": run.state,
        "done": run.done,
        "requested_by": run.requested_by.get_username() if run.requested_by else None,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
        "message": run.message or None,
        "batch": str(run.batch),
    }


def _details(run: MetadataImport) -> dict[str, Any]:
    return {**_row(run), "report": run.report or None}

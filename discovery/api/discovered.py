"""``GET /models/discovered``: the models that the caller may see and asks for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from django.http import HttpRequest, QueryDict
from ninja import Query, Router, Schema
from pydantic import Field, model_validator

from discovery.api import paging
from discovery.api.access import PUBLIC, caller_of
from discovery.api.errors import ApiError
from discovery.api.model_schemas import (
    Fits,
    Modality,
    Primary,
    Secondary,
    Specialization,
    Summary,
    VisibilityName,
)
from discovery.engine.describe import CAPABILITIES
from discovery.engine.text import MAX_INTEGER
from discovery.engine.types import ModelType, Status
from discovery.models import RegisteredModel, Root
from discovery.services import facets, search
from discovery.services.records import values
from discovery.services.search import MAX_TEXT, MAX_VALUES

router = Router(tags=["Models"])

#: ``ordering`` → as the Models page says it.
ORDERINGS = {
    "name": "name", "size_bytes": "size", "parameter_count": "params", "context_length": "context", "modified_at": "modified", "added_at": "added",
}  # fmt: skip
Ordering = Literal[
    "name", "-name", "size_bytes", "-size_bytes", "parameter_count", "-parameter_count", "context_length", "-context_length", "modified_at",
    "-modified_at", "added_at", "-added_at",
]  # fmt: skip

_COLUMNS = (
    "model_id", "name", "display_name", "path", "root", "type", "format", "status", "architecture", "model_family", "parameter_count",
    "context_length", "dtype", "quantization", "bits_per_weight", "primary", "secondary", "specialization", "license", "author", "version",
    "size_bytes", "file_count", "memory_bytes", "modified_at", "added_at", "visibility", "extracted", "curated",
)  # fmt: skip

FACETS = (
    "type", "format", "primary", "secondary", "specialization", "modality", "capability", "tag", "license", "status", "visibility", "root", "fits",
)  # fmt: skip

#: Chooses models without a value.
Unknown = Literal["none"]
_Capability = Literal[CAPABILITIES]  # type: ignore[valid-type]
_MANY: Any = Field([], max_length=MAX_VALUES)
Bound = Annotated[int, Field(ge=0, le=MAX_INTEGER)] | None


class Wanted(paging.Paged):
    """A filter that is repeated means "or", different ones "and". `none` stands for models without a value."""

    search: str = Field(
        "",
        max_length=MAX_TEXT,
        description='Words in names, paths, tags, descriptions, architectures, licenses, authors; terms like `params:>7b -tag:old "exact words"`.',
    )
    type: list[ModelType] = _MANY
    format: list[str] = _MANY
    primary: list[Primary | Unknown] = _MANY
    secondary: list[Secondary | Unknown] = _MANY
    specialization: list[Specialization | Unknown] = _MANY
    modality: list[Modality | Unknown] = _MANY
    capability: list[_Capability | Unknown] = _MANY
    tag: list[str] = _MANY
    license: list[str] = _MANY
    status: list[Status] = _MANY
    visibility: list[VisibilityName] = _MANY
    root: list[str] = Field([], max_length=MAX_VALUES, description="Absolute path of a root.")
    fits: list[Fits | Unknown] = Field(
        [],
        max_length=MAX_VALUES,
        description="What this machine's memory makes of the first variant.",
    )
    min_params: Bound = None
    max_params: Bound = None
    min_size: Bound = Field(None, description="In bytes.")
    max_size: Bound = Field(None, description="In bytes.")
    ordering: Ordering = Field("name", description="Unknown values come last, whichever way.")
    facets: bool = Field(
        False, description="Count the values of each field, each under all other filters."
    )
    cursor: str | None = Field(
        None,
        max_length=200,
        description="Empty for the first page, then as `next` has it: each model comes once, in the order of registration, whatever changes.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Wanted:
        if self.cursor is not None and (self.page != 1 or self.ordering != "name"):
            raise ValueError("a cursor has an order of its own: leave out page and ordering")
        return self


class FacetValue(Schema):
    value: str
    count: int


class Discovered(Schema):
    count: int
    next: str | None
    previous: str | None
    results: list[Summary]
    facets: dict[str, list[FacetValue]] | None = None


@router.get(
    "/models/discovered",
    auth=PUBLIC,
    response=Discovered,
    operation_id="list_models",
    summary="List models",
    exclude_unset=True,
)
def discovered(request: HttpRequest, asked: Query[Wanted]) -> dict[str, Any]:
    """Summaries of the models that you may see."""
    user, filters, shown = caller_of(request).user, _filters(asked), _Shown()
    more, results = {}, search.Results(user, filters, columns=_COLUMNS)
    if asked.facets:
        counted = facets.count(user, filters, FACETS)
        more["facets"] = {
            name: [{"value": value, "count": models} for value, models in counted.counts[name]]
            for name in FACETS
        }
        results = search.Results(
            user, filters, columns=_COLUMNS, total=counted.total, most=counted.most
        )
    if asked.cursor is None:
        return paging.numbered(request, results, asked, shown, **more)
    keys = search.listed(user, filters)
    return paging.by_cursor(
        request,
        keys,
        asked.cursor,
        asked.page_size,
        lambda found: [shown(row) for row in results.models(found)],
        **more,
    )


def _filters(asked: Wanted) -> search.Filters:
    """As an address of the Models page says it. A search that is not understood is refused: a term left out would find too much."""
    query = QueryDict(mutable=True)
    query["q"] = asked.search
    query["sort"] = ("-" if asked.ordering.startswith("-") else "") + ORDERINGS[
        asked.ordering.removeprefix("-")
    ]
    for name in search.COLUMNS:
        if chosen := getattr(asked, name, None):
            query.setlist(name, chosen)
    for name in search.BOUNDS:
        if (bound := getattr(asked, name, None)) is not None:
            query[name] = str(bound)
    filters = search.Filters.read(query)
    if filters.faults:
        raise ApiError(
            422,
            "The search is not understood.",
            errors=[
                (("query", "search"), f"{fault.term}: {fault.reason}") for fault in filters.faults
            ],
        )
    return filters


class _Shown:
    """Rows as summaries; the paths of their roots are looked up once."""

    def __init__(self) -> None:
        self.roots: dict[int, str] = dict(Root.objects.values_list("pk", "path"))

    def __call__(self, record: RegisteredModel) -> dict[str, Any]:
        return summary(record, self.roots[record.root_id])


def summary(record: RegisteredModel, root: str) -> dict[str, Any]:
    known = values(record)
    return {
        "model_id": record.model_id,
        "name": record.name,
        "display_name": record.title,
        "path": record.path,
        "root": root,
        "type": record.type,
        "format": record.format,
        "status": record.status,
        "architecture": record.architecture,
        "model_family": record.model_family,
        "parameter_count": record.parameter_count,
        "context_length": record.context_length,
        "dtype": record.dtype,
        "quantization": record.quantization,
        "bits_per_weight": record.bits_per_weight,
        "modalities": known.get("modalities") or [],
        "capabilities": known.get("capabilities") or [],
        "category": {
            "primary": record.primary,
            "secondary": record.secondary,
            "specialization": record.specialization,
        },
        "tags": known.get("tags") or [],
        "license": record.license,
        "author": record.author,
        "version": record.version,
        "size_bytes": record.size_bytes,
        "file_count": record.file_count,
        "memory_bytes": record.memory_bytes,
        "modified_at": record.modified_at,
        "added_at": record.added_at,
        "visibility": record.visibility,
    }

"""``GET /models/discovered``: the models that the caller may see and asks for."""

from __future__ import annotations

from typing import Any, Literal

from django.db.models import F, OrderBy
from django.http import HttpRequest, QueryDict
from ninja import Query, Router, Schema
from pydantic import Field, model_validator

from discovery.api import paging
from discovery.api.access import PUBLIC, caller_of
from discovery.api.model_schemas import Primary, Secondary, Specialization, Summary, VisibilityName
from discovery.engine.types import ModelType, Status
from discovery.models import RegisteredModel
from discovery.services import search
from discovery.services.records import values
from discovery.services.search import MAX_TEXT, MAX_VALUES

router = Router(tags=["Models"])

#: What the list can be ordered by, and the column or expression that does it.
ORDERINGS = {
    "name": search.SORTS["name"],
    "size_bytes": F("size_bytes"),
    "parameter_count": F("parameter_count"),
    "context_length": F("context_length"),
    "modified_at": F("modified_at"),
    "added_at": F("added_at"),
}
Ordering = Literal[
    "name", "-name", "size_bytes", "-size_bytes", "parameter_count", "-parameter_count", "context_length", "-context_length", "modified_at",
    "-modified_at", "added_at", "-added_at",
]  # fmt: skip

_COLUMNS = (
    "model_id", "name", "display_name", "path", "root__path", "type", "format", "status", "architecture", "model_family", "parameter_count",
    "context_length", "dtype", "quantization", "bits_per_weight", "primary", "secondary", "specialization", "license", "author", "version",
    "size_bytes", "file_count", "memory_bytes", "modified_at", "added_at", "visibility", "extracted", "curated",
)  # fmt: skip


class Wanted(paging.Paged):
    """A filter that is repeated means "or", different ones "and"."""

    search: str = Field("", max_length=MAX_TEXT, description="Words that name, display name or path must all contain.")
    type: list[ModelType] = Field([], max_length=MAX_VALUES)
    format: list[str] = Field([], max_length=MAX_VALUES)
    primary: list[Primary] = Field([], max_length=MAX_VALUES)
    secondary: list[Secondary] = Field([], max_length=MAX_VALUES)
    specialization: list[Specialization] = Field([], max_length=MAX_VALUES)
    tag: list[str] = Field([], max_length=MAX_VALUES)
    license: list[str] = Field([], max_length=MAX_VALUES)
    status: list[Status] = Field([], max_length=MAX_VALUES)
    visibility: list[VisibilityName] = Field([], max_length=MAX_VALUES)
    root: list[str] = Field([], max_length=MAX_VALUES, description="Absolute path of a root.")
    ordering: Ordering = Field("name", description="Unknown values come last, whichever way.")
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


class Discovered(Schema):
    count: int
    next: str | None
    previous: str | None
    results: list[Summary]


@router.get("/models/discovered", auth=PUBLIC, response=Discovered, operation_id="list_models", summary="List models")
def discovered(request: HttpRequest, asked: Query[Wanted]) -> dict[str, Any]:
    """Summaries of the models that you may see."""
    rows = search.found(caller_of(request).user, _filters(asked)).select_related("root").only(*_COLUMNS)
    if asked.cursor is not None:
        return paging.by_cursor(request, rows, asked.cursor, asked.page_size, summary)
    key = ORDERINGS[asked.ordering.removeprefix("-")]
    rows = rows.order_by(OrderBy(key, descending=asked.ordering.startswith("-"), nulls_last=True), "pk")
    return paging.numbered(request, rows, asked, summary)


def _filters(asked: Wanted) -> search.Filters:
    """As an address of the Models page says it."""
    query = QueryDict(mutable=True)
    query["q"] = asked.search
    for name in search.COLUMNS:
        if chosen := getattr(asked, name, None):
            query.setlist(name, chosen)
    return search.Filters.read(query)


def summary(record: RegisteredModel) -> dict[str, Any]:
    known = values(record)
    return {
        "model_id": record.model_id,
        "name": record.name,
        "display_name": record.title,
        "path": record.path,
        "root": record.root.path,
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
        "category": {"primary": record.primary, "secondary": record.secondary, "specialization": record.specialization},
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

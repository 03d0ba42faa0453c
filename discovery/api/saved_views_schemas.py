"""Saved views, and the models that somebody marked."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

from ninja import Schema
from pydantic import ConfigDict, Field, StringConstraints

from discovery.api.edits import Edit
from discovery.api.inputs import STORABLE
from discovery.api.model_schemas import Summary
from discovery.api.paging import Listed
from discovery.services.curation.saved_views import MAX_NAME, MAX_QUERY

ViewName = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME), STORABLE]
QueryText = Annotated[str, StringConstraints(max_length=MAX_QUERY), STORABLE]

_NAME = "What it is called."
_QUERY = "Filters, columns and order, as the address of the Models page has them."
_SHARED = "Whether everybody who is signed in gets it; sharing takes a permission."


class ViewRow(Schema):
    view_id: int = Field(description="Its id.", examples=[5])
    name: str = Field(description=_NAME, examples=["Small chat models"])
    query: str = Field(description=_QUERY, examples=["format=gguf&sort=-size"])
    shared: bool = Field(description=_SHARED)
    owner: str = Field(description="Who saved it.", examples=["admin"])
    created_at: datetime = Field(
        description="When it was saved.", examples=["2026-11-29T08:30:00Z"]
    )


class Views(Listed):
    results: list[ViewRow] = Field(description="Your own first, then those that others share.")


class NewView(Schema):
    model_config = ConfigDict(extra="forbid")

    name: ViewName = Field(description=_NAME, examples=["Small chat models"])
    query: QueryText = Field("", description=_QUERY, examples=["format=gguf&sort=-size"])
    shared: bool = Field(False, strict=True, description=_SHARED)


class ViewEdit(Edit):
    nullable: ClassVar[frozenset[str]] = frozenset()

    name: ViewName | None = Field(None, description=_NAME, examples=["Large chat models"])
    query: QueryText | None = Field(None, description=_QUERY, examples=["format=gguf"])
    shared: bool | None = Field(None, strict=True, description=_SHARED, examples=[True])


class Favorites(Listed):
    results: list[Summary] = Field(  # type: ignore[valid-type]
        description="Summaries of the models, by name."
    )

"""Collections, and who is put into them."""

from __future__ import annotations

from typing import Annotated, ClassVar

from ninja import Schema
from pydantic import ConfigDict, Field, StringConstraints

from discovery.api.changes_schemas import BulkEditDocument
from discovery.api.edits import Edit
from discovery.api.inputs import STORABLE, Name, SearchText
from discovery.api.paging import Listed, Paged
from discovery.services.curation.collections import MAX_DESCRIPTION, MAX_NAME, MAX_QUERY

MAX_MODELS = 1_000

CollectionName = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME), STORABLE]
Description = Annotated[str, StringConstraints(max_length=MAX_DESCRIPTION), STORABLE]
QueryText = Annotated[str, StringConstraints(max_length=MAX_QUERY), STORABLE]

_NAME = "What it is called."
_DESCRIPTION = "What it is for."
_QUERY = (
    "The filter that it follows, as the address of the Models page has it; empty: its models are"
    " chosen by hand."
)
_GROUPS = "Names of the groups whose members may see all of its models."


class CollectionsQuery(Paged):
    search: SearchText = Field("", description="Words that the name contains.", examples=["lab"])


class CollectionRow(Schema):
    """A collection; ``query`` is its saved filter, empty where models are selected by hand."""

    collection_id: int = Field(description="Its id.", examples=[3])
    name: str = Field(description=_NAME, examples=["Shortlist"])
    description: str = Field(description=_DESCRIPTION, examples=["Models to try next."])
    query: str | None = Field(description=_QUERY, examples=["format=gguf&max_size=8000000000"])
    groups: list[str] = Field(
        description="Names of its groups: yours, or all if you may share models.",
        examples=[["lab"]],
    )
    models: int = Field(description="Its models that you see.", examples=[12])


class Collections(Listed):
    results: list[CollectionRow] = Field(description="The collections, by name.")


class NewCollection(Schema):
    model_config = ConfigDict(extra="forbid")

    name: CollectionName = Field(description=_NAME, examples=["Shortlist"])
    description: Description = Field("", description=_DESCRIPTION, examples=["Models to try next."])
    query: QueryText | None = Field(None, description=_QUERY, examples=["format=gguf"])
    groups: list[Name] = Field([], max_length=500, description=_GROUPS, examples=[["lab"]])


class CollectionEdit(Edit):
    nullable: ClassVar[frozenset[str]] = frozenset({"query"})

    name: CollectionName | None = Field(None, description=_NAME, examples=["Shortlist"])
    description: Description | None = Field(
        None, description=_DESCRIPTION, examples=["Tried already."]
    )
    query: QueryText | None = Field(None, description=_QUERY, examples=["format=gguf"])
    groups: list[Name] | None = Field(None, max_length=500, description=_GROUPS, examples=[["lab"]])


class Members(Schema):
    """Models to put into a collection that is chosen by hand, and to take out of it."""

    model_config = ConfigDict(extra="forbid")

    add: list[Name] = Field(
        [], max_length=MAX_MODELS, description="Ids of models to add.",
        examples=[["llama-2-7b-chat"]],
    )  # fmt: skip
    remove: list[Name] = Field(
        [], max_length=MAX_MODELS, description="Ids of models to remove.", examples=[["bert-base"]]
    )


class MembersChange(Schema):
    collection: CollectionRow = Field(description="The collection as it is now.")
    edits: list[BulkEditDocument] = Field(
        description="The changes of its models, each to undo by its `batch`."
    )

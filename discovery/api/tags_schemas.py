"""Tags, and what changing one did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from discovery.api.changes_schemas import BulkEditDocument
from discovery.api.edits import Edit
from discovery.api.inputs import Name, SearchText
from discovery.api.paging import Listed, Paged
from discovery.engine.core.service_words import TagColor
from discovery.engine.core.text import MAX_ITEMS

if TYPE_CHECKING:
    AnyColor = str
    Color = str
else:
    AnyColor = Literal[tuple(TagColor.values)]
    Color = Literal[tuple(value for value in TagColor.values if value)]


class TagsQuery(Paged):
    search: SearchText = Field("", description="Words that the name contains.", examples=["chat"])
    ordering: Literal["name", "-models"] = Field(
        "name", description="By name, or with most models first.", examples=["-models"]
    )


class TagRow(Schema):
    tag_id: int = Field(description="Its id.", examples=[7])
    name: str = Field(description="Its name.", examples=["reviewed"])
    color: str = Field(description="Its color; empty: none.", examples=["blue"])
    colour: str = Field(description="The same as `color`.", deprecated=True, examples=["blue"])
    models: int = Field(description="Models with it that you see.", examples=[12])


class Tags(Listed):
    results: list[TagRow] = Field(description="The tags.")


class NewTag(Schema):
    """A tag that no model has yet."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="Its name.", examples=["reviewed"])
    color: Color = Field(
        description="Its color, which keeps it from being removed as unused.", examples=["blue"]
    )


class TagEdit(Edit):
    name: Name | None = Field(
        None, description="The new name, on all models that have it.", examples=["reviewed"]
    )
    color: AnyColor | None = Field(
        None, description="The new color; empty: none.", examples=["green"]
    )


class Merge(Schema):
    model_config = ConfigDict(extra="forbid")

    into: Name = Field(description="The name of the tag that stays.", examples=["reviewed"])


class TagChange(Schema):
    """A tag as it is since, and the change of the models that had it."""

    tag: TagRow | None = Field(description="The tag as it is now; null once it is deleted.")
    edit: BulkEditDocument | None = Field(
        description="The change of its models, to undo by its `batch`; null: no model had it."
    )


class Entries(Schema):
    """Entries of a list to add and to remove; the others stay as they are."""

    model_config = ConfigDict(extra="forbid")

    add: list[Name] = Field(
        [], max_length=MAX_ITEMS, description="Entries to add.", examples=[["reviewed"]]
    )
    remove: list[Name] = Field(
        [], max_length=MAX_ITEMS, description="Entries to remove.", examples=[["old"]]
    )

"""Changes of metadata, those made together, and what an undo did."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from ninja import Schema
from pydantic import Field

from discovery.api.inputs import Moment, Name
from discovery.api.paging import Listed, Walked
from discovery.engine.core.service_words import Channel, JobState
from discovery.services.activity.sources import SOURCES
from discovery.services.metadata.metadata import SETTABLE

BATCH = "6f1c2a0e-4b7d-4f0e-9a55-0d3c5f6b7a81"
WHEN = "2026-11-29T08:30:00Z"

if TYPE_CHECKING:
    ChangedField = str
    EventKind = str
else:
    EventKind = Literal[(*SOURCES,)]
    #: What a change may be of: fields that people set, and what else is decided about a model.
    ChangedField = Literal[(*sorted(SETTABLE), "finding", "moved", "quarantine")]


class ChangesQuery(Walked):
    """Filters that are given together mean "and"; those of edits alone leave out all else."""

    kind: list[EventKind] = Field(
        [], description="Only events of these kinds.", examples=[["edit", "scan"]]
    )
    model_id: Name | None = Field(
        None,
        description="Changes of this model, by its id or one that it had before.",
        examples=["llama-2-7b-chat"],
    )
    by: Name | None = Field(None, description="User name of who made them.", examples=["admin"])
    field: ChangedField | None = Field(
        None, description="The field that was changed, as documents name it.", examples=["license"]
    )
    through: Channel | None = Field(
        None, description="Where they were made: on a page, by the API …", examples=["api"]
    )
    batch: UUID | None = Field(
        None, description="Changes that were made together.", examples=[BATCH]
    )
    since: Moment | None = Field(
        None, description="Made then or later; without a time zone it is UTC.", examples=[WHEN]
    )
    until: Moment | None = Field(
        None, description="Made before; without a time zone it is UTC.", examples=[WHEN]
    )


class ChangeRow(Schema):
    """One change of one field of one model."""

    change_id: int = Field(description="Its id, to undo it by.", examples=[4711])
    model_id: str = Field(description="The model that was changed.", examples=["llama-2-7b-chat"])
    field: str = Field(description="The field that was changed.", examples=["license"])
    before: Any = Field(description="Its value before; null: automatic.", examples=["mit"])
    after: Any = Field(description="Its value since; null: automatic.", examples=["apache-2.0"])
    by: str | None = Field(
        description="Who made it; null for a scan, and where you may not know it.",
        examples=["admin"],
    )
    at: datetime = Field(description="When it was made.", examples=[WHEN])
    through: str = Field(description="Where it was made.", examples=["api"])
    batch: str = Field(description="What changes made together share.", examples=[BATCH])
    undoes: str | None = Field(description="The batch that this change undid.", examples=[None])
    undone: bool = Field(
        description="Whether it is undone, and not made again since.", examples=[False]
    )
    undoable: bool = Field(
        description=(
            "Whether this kind of change can be undone here, and has not been. What was changed"
            " again since is kept all the same."
        ),
        examples=[True],
    )


class EventRow(Schema):
    """Something that changed: an edit of one field of one model, or another event.

    What only edits have is null for the others.
    """

    kind: str = Field(
        description=f"{', '.join(f'`{kind}`' for kind in SOURCES)}.", examples=["edit"]
    )
    at: datetime = Field(description="When it happened.", examples=[WHEN])
    by: str | None = Field(
        description="Who did it; null for a scan, and where you may not know it.",
        examples=["admin"],
    )
    text: str = Field(
        description="What was done, in words.", examples=["Changed license of Llama 2 7B Chat"]
    )
    address: str = Field(
        description="The page that shows it.", examples=[f"/history/?batch={BATCH}"]
    )
    change_id: int | None = Field(None, description="Its id, to undo it by.", examples=[4711])
    model_id: str | None = Field(
        None, description="The model that was changed.", examples=["llama-2-7b-chat"]
    )
    field: str | None = Field(None, description="The field that was changed.", examples=["license"])
    before: Any = Field(None, description="Its value before; null: automatic.", examples=["mit"])
    after: Any = Field(
        None, description="Its value since; null: automatic.", examples=["apache-2.0"]
    )
    through: str | None = Field(None, description="Where it was made.", examples=["api"])
    batch: str | None = Field(
        None, description="What changes made together share.", examples=[BATCH]
    )
    undoes: str | None = Field(
        None, description="The batch that this change undid.", examples=[None]
    )
    undone: bool | None = Field(
        None, description="Whether it is undone, and not made again since.", examples=[False]
    )
    undoable: bool | None = Field(
        None, description="Whether it can be undone here.", examples=[True]
    )


class Changes(Listed):
    results: list[EventRow] = Field(description="The newest first.")
    notes: list[str] = Field(
        description="What a filter asked for that is not there, a sentence each.", examples=[[]]
    )


class FieldCount(Schema):
    field: str = Field(description="A field.", examples=["license"])
    changes: int = Field(description="Models whose field was changed.", examples=[12])


class BatchDocument(Schema):
    """Changes that were made together, as far as you see their models."""

    batch: str = Field(description="What they share.", examples=[BATCH])
    by: str | None = Field(description="Who made them.", examples=["admin"])
    at: datetime = Field(description="When the last of them was made.", examples=[WHEN])
    through: str = Field(description="Where they were made.", examples=["page"])
    undoes: str | None = Field(description="The batch that they undid.", examples=[None])
    changes: int = Field(description="How many there are.", examples=[12])
    models: int = Field(description="Models that they changed.", examples=[12])
    fields: list[FieldCount] = Field(description="The fields, and how many changes each has.")
    undone: int = Field(description="Changes that are undone by now.", examples=[0])


class Kept(Schema):
    """A model that was left as it is."""

    model_id: str = Field(description="Its id.", examples=["llama-2-7b-chat"])
    name: str = Field(description="Its name.", examples=["Llama 2 7B Chat"])
    reason: str = Field(
        description="Why it was left as it is.",
        examples=["license: was changed again since, or is already undone"],
    )


class BulkEditDocument(Schema):
    """A change of many models: how far it is, and what came of it."""

    edit_id: int = Field(description="Its id.", examples=[12])
    kind: str = Field(description="What it changes: `undo` takes a batch back.", examples=["tags"])
    state: JobState = Field(description="How it stands.", examples=["done"])
    batch: str = Field(description="What its changes share, to undo them by.", examples=[BATCH])
    undoes: str | None = Field(description="The batch that it undoes.", examples=[None])
    set: dict[str, Any] = Field(
        description="Fields with the values that they get; null: automatic.",
        examples=[{"license": "mit"}],
    )
    add: dict[str, list[str]] = Field(
        description="Lists with the entries that they get.", examples=[{"tags": ["reviewed"]}]
    )
    remove: dict[str, list[str]] = Field(
        description="Lists with the entries that they lose.", examples=[{"tags": ["old"]}]
    )
    atomic: bool = Field(
        description="Whether nothing is changed where one model cannot be.", examples=[True]
    )
    by: str | None = Field(description="Who asked for it.", examples=["admin"])
    created_at: datetime = Field(description="When it was asked for.", examples=[WHEN])
    finished_at: datetime | None = Field(description="When it ended.", examples=[WHEN])
    total: int = Field(description="Models that were chosen.", examples=[12])
    done: int = Field(description="Models that were gone through.", examples=[12])
    changed: int = Field(description="Models that were changed.", examples=[11])
    skipped: int = Field(description="Models that were left as they are.", examples=[1])
    kept: list[Kept] = Field(description="The first 100 of these, each with the reason.")
    summary: str = Field(
        description="The result in words.", examples=["11 models changed, 1 left as they are"]
    )
    message: str = Field(description="Why it ended early, if it did.", examples=[""])

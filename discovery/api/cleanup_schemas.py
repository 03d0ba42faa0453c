"""What could be removed, and the plan of it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from discovery.api.inputs import Name, Storable
from discovery.api.paging import Listed
from discovery.engine.disk import leftovers
from discovery.services.cleanup.removal_plan import COPIES, FORMATS, MAX_CHOSEN

if TYPE_CHECKING:
    CleanUpKind = str
else:
    CleanUpKind = Literal[
        COPIES,
        FORMATS,
        leftovers.REVISIONS,
        leftovers.BLOBS,
        leftovers.SHARDS,
        leftovers.PARTIAL,
        leftovers.EMPTY,
    ]
MAX_CONFIRMED = 5_000


class CleanUpItem(Schema):
    """Something that could be removed."""

    key: str = Field(description="Names it in a plan.", examples=["17"])
    title: str = Field(description="What it is.", examples=["llama-2-7b-chat"])
    path: str = Field(description="Where it is.", examples=["/srv/models/copy"])
    model_id: str | None = Field(description="The model that it is.", examples=["llama-2-7b-chat"])
    keeps: str | None = Field(
        description="What would stay in its place.", examples=["/srv/models/llama-2-7b-chat"]
    )
    note: str = Field(
        description="Why it is of no use, or how sure that is.", examples=["same checksums"]
    )
    frees_bytes: int = Field(
        description="Bytes that the disk has free afterwards.", examples=[13_476_925_163]
    )
    group: str | None = Field(
        description="What copies of one content share.", examples=["0f3c5f6b7a816f1c"]
    )


class CleanUpItems(Listed):
    """Items of one kind; for copies, ``count`` is of groups."""

    results: list[CleanUpItem] = Field(description="What was found.")
    waiting: list[str] = Field(
        description="Roots that are still looked through: ask again.", examples=[[]]
    )
    silent: list[str] = Field(description="What does not answer.", examples=[[]])


class PlanQuery(Schema):
    form: Literal["json", "sh"] = Field("json", description="The plan as data, or as a script.")


class PlanBody(Schema):
    """What is to be removed."""

    model_config = ConfigDict(extra="forbid")

    kind: CleanUpKind = Field(description="Of which kind all of it is.")
    remove: list[Name] = Field(
        min_length=1, max_length=MAX_CHOSEN, description="Keys of items.", examples=[["17"]]
    )
    confirmed: list[Storable] = Field(
        [],
        max_length=MAX_CONFIRMED,
        description="Keys of differences that you have seen and accept to lose.",
        examples=[[]],
    )


class PlanEntry(Schema):
    path: str = Field(description="What is removed.", examples=["/srv/models/copy/config.json"])
    type: str = Field(description="A file, a folder or a link.", examples=["file"])
    size: int = Field(description="Its bytes.", examples=[614])
    same_as: str | None = Field(
        description="The file that must hold the same.",
        examples=["/srv/models/llama-2-7b-chat/config.json"],
    )


class PlanStep(Schema):
    """Entries that go together or not at all."""

    title: str = Field(description="What it is.", examples=["llama-2-7b-chat"])
    why: str = Field(description="Why it is superfluous.", examples=["It is a copy."])
    model_id: str | None = Field(description="The model.", examples=["llama-2-7b-chat"])
    keeps: str | None = Field(description="What stays.", examples=["/srv/models/llama-2-7b-chat"])
    differences: list[dict[str, Any]] = Field(
        description="Differences that were confirmed.",
        examples=[[{"name": "README.md", "how": "differs", "size": 5, "kept_size": 6}]],
    )
    frees_bytes: int = Field(description="Bytes that it frees.", examples=[13_476_925_163])
    remove: list[PlanEntry] = Field(description="What it removes.")


class CleanUpPlan(Schema):
    """A plan for people to review and to run themselves. Nothing was removed."""

    kind: str = Field(description="What it is about.", examples=["copies"])
    made_at: datetime = Field(description="When it was made.")
    by: str = Field(description="For whom.", examples=["anna"])
    roots: list[str] = Field(
        description="Nothing outside these is touched.", examples=[["/srv/models"]]
    )
    frees_bytes: int = Field(description="Bytes that it frees.", examples=[13_476_925_163])
    stamp: str = Field(description="The same while it is the same plan.", examples=["0f3c5f6b"])
    steps: list[PlanStep] = Field(description="What is removed, step by step.")


class CompareCopies(Schema):
    """Which group of copies is read in full."""

    model_config = ConfigDict(extra="forbid")

    group: Name = Field(description="The group.", examples=["0f3c5f6b7a816f1c"])


class ComparingCopies(Schema):
    validations: list[int] = Field(
        description="Ids of the deep validations that were queued.", examples=[[8, 9]]
    )

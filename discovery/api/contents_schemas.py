"""What belongs to one model: files, tensors, changes, and who may see it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Schema
from pydantic import Field

from discovery.api.model_schemas import Problem
from discovery.api.paging import Paged
from discovery.engine.core.vocabulary import Visibility
from discovery.services.search.model_filters import MAX_TEXT


class WantedFiles(Paged):
    search: str = Field(
        "", max_length=MAX_TEXT, description="Words that the name must all contain."
    )


class WantedTensors(WantedFiles):
    file: str = Field(
        "",
        max_length=4096,
        description=(
            "One weight file, by its path below the root; by default those of the first variant."
        ),
    )


class File(Schema):
    path: str = Field(description="Relative to the root.")
    size_bytes: int


class Files(Schema):
    count: int
    next: str | None
    previous: str | None
    results: list[File]


class TensorRow(Schema):
    name: str
    dtype: str
    shape: list[int]
    elements: int
    size_bytes: int
    file: str


class Tensors(Schema):
    """``files_read`` of ``files`` weight files were opened; ``problems`` says what was wrong with
    them.
    """

    count: int
    next: str | None
    previous: str | None
    results: list[TensorRow]
    files: int
    files_read: int
    problems: list[Problem]


class Change(Schema):
    field: str
    before: Any
    after: Any
    by: str | None
    at: datetime
    through: str
    batch: str
    undoes: str | None = Field(description="The batch that this change took back.")


class History(Schema):
    count: int
    next: str | None
    previous: str | None
    results: list[Change]


class SharingCollection(Schema):
    name: str
    groups: list[str]


class AccessRules(Schema):
    """Who may see a model: everybody if it is public, administrators always, and while it is
    restricted the groups named here.
    """

    model_id: str
    visibility: Visibility
    quarantined_at: datetime | None
    groups: list[str]
    collections: list[SharingCollection]
    users: list[str] = Field(
        description="Active people, no administrators, whom a group of theirs lets see it."
    )

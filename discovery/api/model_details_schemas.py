"""What belongs to one model: files, tensors, changes, and who may see it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Schema
from pydantic import Field

from discovery.api.changes_schemas import ChangeRow
from discovery.api.model_schemas import Problem
from discovery.api.paging import Listed, Paged
from discovery.engine.core.service_words import VisibilitySource
from discovery.engine.core.vocabulary import Visibility
from discovery.services.search.model_filters import MAX_TEXT


class FilesQuery(Paged):
    search: str = Field(
        "", max_length=MAX_TEXT, description="Words that the name must all contain."
    )


class TensorsQuery(FilesQuery):
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
    """The tensors of a model.

    ``files_read`` of ``files`` weight files were opened; ``problems`` describes what was wrong with
    them.
    """

    count: int
    next: str | None
    previous: str | None
    results: list[TensorRow]
    files: int
    files_read: int
    problems: list[Problem]


class HeaderQuery(Schema):
    file: str = Field(
        "",
        max_length=4096,
        description=(
            "One weight file, by its path below the root; by default those of the first variant."
        ),
    )


class HeaderMetadata(Schema):
    path: str = Field(
        description="The weight file, relative to the root.", examples=["llama/model.gguf"]
    )
    metadata: dict[str, Any] = Field(
        description="The key-value pairs of its header; long lists and texts are cut.",
        examples=[{"general.architecture": "llama", "llama.context_length": 4096}],
    )


class RawMetadata(Schema):
    """What the headers of the weight files say, as it stands there."""

    files: int = Field(description="Weight files of the variant.", examples=[1])
    files_read: int = Field(description="Files whose header was opened.", examples=[1])
    results: list[HeaderMetadata] = Field(description="The files whose header has such pairs.")
    problems: list[Problem] = Field(description="What was wrong with them.")


class History(Listed):
    results: list[ChangeRow] = Field(description="The newest first.")


class SharingCollection(Schema):
    name: str
    groups: list[str]


class AccessQuery(Schema):
    user: str = Field(
        "", max_length=150, description="User name of somebody to explain it for; administrators."
    )


class SharingRule(Schema):
    """An access rule that means the model; ``visibility`` is what it says of that, if anything."""

    rule: str
    visibility: Visibility | None
    groups: list[str]


class AccessStep(Schema):
    text: str
    allows: bool | None = Field(
        description="true: it lets the person see the model; false: it forbids; null: neither."
    )


class PersonAccess(Schema):
    """Whether one person sees the model, and all steps of the decision in order."""

    user: str
    allowed: bool
    why: str
    steps: list[AccessStep]


class AccessRules(Schema):
    """Who may see a model.

    Everybody may see a public model and administrators any model; a restricted one is visible to
    the groups named here.
    """

    model_id: str
    visibility: Visibility
    visibility_source: VisibilitySource = Field(
        description="Who decided it: the model itself, a rule, the access file or the default."
    )
    quarantined_at: datetime | None
    groups: list[str]
    collections: list[SharingCollection]
    rules: list[SharingRule]
    person: PersonAccess | None = Field(None, description="The answer for `user`, if asked for.")
    users: list[str] = Field(
        description="Active people, no administrators, whom a group of theirs lets see it."
    )

"""Problems of models, and what people decide about them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from discovery.api.paging import Walked
from discovery.engine.core.service_words import FindingSource
from discovery.engine.core.vocabulary import Severity, Visibility
from discovery.services.findings.triage import MAX_REASON
from discovery.services.search.model_filters import MAX_TEXT, MAX_VALUES

State = Literal["open", "snoozed", "accepted", "resolved"]
ProblemSeverity = Literal[Severity.ERROR, Severity.WARNING]
ProblemId = Annotated[int, Field(ge=1, lt=1 << 63)]

#: What one call may decide about.
MAX_CHOSEN = 1_000


class ProblemsOfModel(Walked):
    state: State = Field("open", description="The state that listed problems are in.")
    severity: list[ProblemSeverity] = Field([], max_length=MAX_VALUES)
    code: list[str] = Field(
        [], max_length=MAX_VALUES, description="Kind of problem, such as `truncated`."
    )


class ProblemsQuery(ProblemsOfModel):
    model_id: list[str] = Field(
        [], max_length=MAX_VALUES, description="Only problems of these models."
    )
    search: str = Field(
        "",
        max_length=MAX_TEXT,
        description="Words in the sentence, the path, or the name or id of the model.",
    )


class Acceptance(Schema):
    """It holds until the files of the model change."""

    reason: str = Field(description="Why somebody accepted the problem.")
    by: str | None = Field(description="Who accepted it.")
    at: datetime = Field(description="When it was accepted.")


class ProblemRow(Schema):
    """A problem of a model, from when it was first seen until no check finds it any more."""

    problem_id: int
    model_id: str
    code: str
    severity: Severity
    source: FindingSource = Field(description="What found it.")
    message: str = Field(description="What is wrong, and where.")
    advice: str | None = Field(description="What to do about it.")
    path: str | None = Field(description="The file, relative to the root.")
    offset: int | None = Field(description="The byte in the file at which it shows.")
    state: State = Field(description="What people have decided, or that it is gone.")
    first_seen_at: datetime
    last_seen_at: datetime
    resolved_at: datetime | None
    snoozed_until: datetime | None
    accepted: Acceptance | None = Field(description="The acceptance, while it holds.")
    decision: str = Field(description="Changes whenever somebody decides about the problem.")


class Problems(Schema):
    count: int
    next: str | None
    previous: str | None
    results: list[ProblemRow]
    unknown: dict[str, list[str]] | None = None


class Chosen(Schema):
    """The problems that are decided about."""

    model_config = ConfigDict(extra="forbid")

    problems: list[ProblemId] = Field(
        min_length=1, max_length=MAX_CHOSEN, description="Numbers of problems (`problem_id`)."
    )
    seen: dict[str, str] = Field(
        {},
        max_length=MAX_CHOSEN,
        description=(
            "`problem_id` → its `decision` as it was read. Where somebody decided since, nothing"
            " is written and the answer is 409."
        ),
    )


class AcceptProblems(Chosen):
    reason: str = Field(
        min_length=1, max_length=MAX_REASON, description="Reason for accepting them."
    )


class SnoozeProblems(Chosen):
    days: int = Field(7, ge=1, le=365, description="They are open again after so many days.")


class ReopenProblems(Chosen):
    """Takes acceptances back and ends snoozing."""


class Decided(Schema):
    updated: int = Field(description="How many problems were decided about.")
    results: list[ProblemRow]


class Quarantine(Schema):
    """Whether a model is in quarantine: then only administrators see it."""

    model_id: str
    quarantined_at: datetime | None
    visibility: Visibility
    changed: bool = Field(description="False where it was so already.")

"""Checks of a model, and test loads."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from ninja import Schema
from pydantic import Field

from discovery.api.waiting import MAX_WAIT
from discovery.engine.core.service_words import JobState
from discovery.engine.core.vocabulary import Outcome
from discovery.engine.integrity.checks import CHECKS

RunId = Annotated[int, Field(ge=1, lt=1 << 63)]


class Check(Schema):
    name: str = Field(description=f"One of {', '.join(CHECKS)}.")
    status: Outcome
    message: str
    path: str | None


class Completeness(Schema):
    score: int = Field(description="0 to 100.")
    missing: list[str]


class Report(Schema):
    """``valid`` is false exactly when a check failed."""

    model_id: str
    valid: bool
    status: str
    checks: list[Check]
    completeness: Completeness


class Validation(Schema):
    """Reading all bytes of a model, and comparing them with what they should be."""

    model_id: str
    validation_id: int
    status: JobState
    done_bytes: int
    total_bytes: int
    current_path: str | None = Field(description="The file that is read now.")
    started_at: datetime | None
    finished_at: datetime | None
    message: str | None = Field(description="How it ended, or why it waits.")
    location: str = Field(description="Where its progress and its result are.")


class DeepRun(Validation):
    """A deep validation that is queued or running."""

    created: bool = Field(description="False while one of this model was under way already.")


class DeepResult(Validation):
    """A deep validation that is over. The check ``checksum`` of its report is the outcome."""

    report: Report


class Validations(Schema):
    count: int
    next: str | None
    previous: str | None
    results: list[Validation]


class StoppedRun(Schema):
    model_id: str
    status: JobState
    cancelled: bool = Field(description="False when it had already finished.")


class ReportQuery(Schema):
    deep: bool = Field(
        False, description="Queue reading all bytes, and answer 202. Needs the scope `write`."
    )
    wait: int = Field(
        0, ge=0, le=MAX_WAIT, description="With `deep`, seconds to wait for the result."
    )


class LoadTestBody(Schema):
    variant: str = Field("", max_length=200, description="By default the first one.")
    wait: int = Field(0, ge=0, le=MAX_WAIT, description="Seconds to wait for the result.")


class TestResult(Schema):
    model_id: str
    test_id: int
    variant: str | None
    status: Literal["passed", "failed", "unsupported", "refused", "cancelled", "interrupted"]
    loader: str | None
    seconds: float | None
    peak_memory_bytes: int | None
    message: str
    finished_at: datetime | None


class TestUnderWay(Schema):
    model_id: str
    test_id: int
    variant: str | None
    status: Literal["queued", "running"]
    created: bool
    location: str = Field(description="Where the result will be.")

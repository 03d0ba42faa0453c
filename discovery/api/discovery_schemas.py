"""Scans and what they wrote into the log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import BeforeValidator, ConfigDict, Field

from discovery.api.paging import Paged
from discovery.api.waiting import MAX_WAIT
from discovery.engine.core.service_words import JobState, ScanEvent, Trigger
from discovery.engine.core.vocabulary import Severity
from discovery.models import LogTopic
from discovery.services.search.model_filters import MAX_TEXT, MAX_VALUES


def _is_iso(value: Any) -> Any:
    """Numbers would be taken for seconds since 1970."""
    if isinstance(value, str) and value.strip().lstrip("+-").replace(".", "", 1).isdigit():
        raise ValueError("write the time as ISO 8601, like 2026-11-25T18:00:00Z")
    return value


Moment = Annotated[datetime, BeforeValidator(_is_iso)]
DifferenceKind = Literal["added", "gone", "changed"]
ScanId = Annotated[int, Field(ge=1, lt=1 << 63)]


class Counts(Schema):
    found: int
    new: int
    changed: int
    unchanged: int
    moved: int
    missing: int
    errors: int


class Progress(Counts):
    scan_id: int
    status: Literal["queued", "running"]
    path: str | None = Field(description="The only folder that is scanned; null: every root.")
    started_at: datetime | None
    done: int
    expected: int = Field(description="Models known before the scan.")
    current_path: str | None


class ScanResult(Counts):
    scan_id: int
    status: JobState
    path: str | None
    full: bool
    trigger: Trigger
    requested_by: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float | None
    message: str | None


class ScanDetails(ScanResult):
    """One scan: queued, running or over."""

    expected: int = Field(description="Models known before the scan.")
    current_path: str | None
    events: dict[ScanEvent, int] = Field(description="How many models and places had each event.")
    previous_scan_id: int | None = Field(description="The scan of the same folders before it.")


class EventsQuery(Paged):
    event: list[ScanEvent] = Field([], max_length=MAX_VALUES, description="What happened.")
    search: str = Field(
        "", max_length=MAX_TEXT, description="Words in the sentence, the path or the model's id."
    )


class ScanEventRow(Schema):
    """What a scan did to one model, or found at one place."""

    event: ScanEvent
    model_id: str | None
    path: str | None
    message: str


class ScanEvents(Schema):
    count: int
    next: str | None
    previous: str | None
    results: list[ScanEventRow]


class ComparisonQuery(Paged):
    first: ScanId | None = Field(
        None, description="Number of the earlier scan; by default the last but one."
    )
    second: ScanId | None = Field(
        None, description="Number of the later scan; by default the last one."
    )
    kind: list[DifferenceKind] = Field(
        [], max_length=MAX_VALUES, description="Kinds of differences."
    )


class ScanDifference(Schema):
    """A model that is not the same after the second scan as after the first."""

    model_id: str
    path: str
    kind: DifferenceKind
    events: list[ScanEvent] = Field(description="What happened in between, the oldest first.")


class ScanComparison(Schema):
    count: int
    next: str | None
    previous: str | None
    results: list[ScanDifference]
    first: int
    second: int
    scans: int = Field(description="Scans after the first one, with the second.")
    untold: int = Field(description="Those of them whose log is not kept any more.")


class SkippedQuery(Paged):
    search: str = Field(
        "", max_length=MAX_TEXT, description="Words in the place, the reason or the root."
    )


class SkippedPlace(Schema):
    """A place that looks like a model and is not one."""

    path: str = Field(description="Relative to the root.")
    root: str
    reason: str = Field(description="Why it is not a model.")


class SkippedPlaces(Schema):
    count: int
    next: str | None
    previous: str | None
    results: list[SkippedPlace]


class ExplainQuery(Schema):
    path: str = Field(
        min_length=1, max_length=4096, description="Absolute, or below a root: a file or a folder."
    )


class PathExplanation(Schema):
    """Why a path is or is not a model."""

    path: str = Field(description="The path that was looked at.")
    title: str = Field(description="The answer in a sentence.")
    tone: Literal["ok", "warn", "bad"] = Field(description="How bad it is.")
    detail: str
    advice: str | None = Field(description="What to do about it.")
    root: str | None
    models: list[str] = Field(description="Ids of the models there.")
    problems: list[str] = Field(description="What is wrong there, a sentence each.")
    scan_helps: bool = Field(description="A scan would find it.")
    register_helps: bool = Field(description="A person may register it by hand all the same.")


class RootStatus(Schema):
    path: str
    reachable: bool
    models: int
    last_scan_at: datetime | None
    fault: str | None
    frozen_reason: str | None


class DiscoveryStatus(Schema):
    """The state of discovery.

    Only administrators see scans and roots, because their counts include all models.
    """

    state: Literal["idle", "queued", "running"]
    scan: Progress | None
    last_scan: ScanResult | None
    next_scan_at: datetime | None
    models: dict[str, int]
    roots: list[RootStatus]


class Refresh(Schema):
    """By default every root, and only what has changed."""

    model_config = ConfigDict(extra="forbid")

    path: str | None = Field(None, max_length=4096, description="A root, or a folder below one.")
    full: bool = Field(False, strict=True, description="Read every model again, changed or not.")
    accept_missing: bool = Field(
        False,
        strict=True,
        description="With the `path` of a root: what is gone there is gone, however much it is.",
    )


class RefreshQuery(Schema):
    wait: int = Field(
        0, ge=0, le=MAX_WAIT, description="Seconds to wait for the end of the scan: 200 with it."
    )


class Asked(Schema):
    scan_id: int
    status: JobState
    created: bool = Field(
        description=(
            "False while a scan of the same folders was queued or running already: then it is that"
            " one."
        )
    )
    location: str = Field(description="Where its progress and its result are.")


class Cancelled(Schema):
    scan_id: int
    status: JobState
    cancelled: bool = Field(description="False when it had already finished.")


class Scans(Schema):
    count: int
    next: str | None
    previous: str | None
    results: list[ScanResult]


class UnrecognizedFile(Schema):
    path: str = Field(description="Below the root.")
    root: str
    size_bytes: int
    first_bytes: str = Field(description="At most 16, in hexadecimal; empty: it cannot be read.")
    guess: str | None = Field(description="What its first bytes are like.")


class Total(Schema):
    files: int
    bytes: int


class LeftOut(Total):
    """Models that ``supported_formats`` hides."""

    formats: list[str] = Field(
        description="The formats that it does not name.", examples=[["safetensors"]]
    )


class SupportFormats(Schema):
    """Formats that scans have met and the configuration leaves out."""

    model_config = ConfigDict(extra="forbid")

    formats: list[str] = Field(
        min_length=1,
        max_length=MAX_VALUES,
        description="As `left_out` has them.",
        examples=[["safetensors"]],
    )


class SupportedFormats(Schema):
    supported_formats: list[str] = Field(
        description="All formats that scans read now.", examples=[["gguf", "safetensors"]]
    )


class UnrecognizedFiles(Schema):
    """Files under the roots by kind.

    ``totals`` counts all files at the last full scans: `model`, `companion`, `excluded`, `junk`,
    `unrecognized`.
    """

    left_out: list[LeftOut] = Field(description="What `supported_formats` hides.", examples=[[]])

    count: int
    next: str | None
    previous: str | None
    results: list[UnrecognizedFile]
    totals: dict[str, Total]


class LogQuery(Paged):
    level: list[Severity] = Field([], max_length=MAX_VALUES)
    channel: list[LogTopic] = Field([], max_length=MAX_VALUES)
    scan_id: int | None = Field(None, ge=1, lt=1 << 63)
    model_id: str | None = Field(None, max_length=200, pattern=r"^[^\x00]*$")
    since: Moment | None = Field(None, description="ISO 8601; without an offset it is UTC.")


class Event(Schema):
    at: datetime
    level: Severity
    channel: LogTopic
    scan_id: int | None
    model_id: str | None
    path: str | None
    message: str


class Log(Schema):
    count: int
    next: str | None
    previous: str | None
    results: list[Event]
    unknown: dict[str, list[str]] | None = Field(
        None, description="Scans and models that are asked for and do not exist for you."
    )

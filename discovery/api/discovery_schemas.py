"""Scans and what they wrote into the log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import BeforeValidator, ConfigDict, Field

from discovery.api.paging import Paged
from discovery.engine.core.vocabulary import Severity
from discovery.models import LogTopic
from discovery.services.search.model_filters import MAX_VALUES


def _is_iso(value: Any) -> Any:
    """Numbers would be taken for seconds since 1970."""
    if isinstance(value, str) and value.strip().lstrip("+-").replace(".", "", 1).isdigit():
        raise ValueError("write the time as ISO 8601, like 2026-11-25T18:00:00Z")
    return value


Moment = Annotated[datetime, BeforeValidator(_is_iso)]
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
    status: str
    path: str | None
    full: bool
    trigger: str
    requested_by: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float | None
    message: str | None


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


class Asked(Schema):
    scan_id: int
    status: str
    created: bool = Field(
        description=(
            "False while a scan of the same folders was queued or running already: then it is that"
            " one."
        )
    )


class Cancelled(Schema):
    scan_id: int
    status: str
    cancelled: bool = Field(description="False when it was over already.")


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


class UnrecognizedFiles(Schema):
    """Files under the roots by kind.

    ``totals`` counts all files at the last full scans: `model`, `companion`, `excluded`, `junk`,
    `unrecognized`.
    """

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

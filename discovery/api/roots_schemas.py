"""Roots, schedules, the queue and settings."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from discovery.api.inputs import Moment, Storable
from discovery.api.paging import Listed

MAX_MINUTES, MAX_DEPTH, MAX_PATH = 525_600, 64, 1_000


class RootRow(Schema):
    """A folder that is scanned."""

    root_id: int = Field(description="The id of the root.", examples=[1])
    path: str
    name: str = Field(description="What people call it.", examples=["models"])
    enabled: bool
    read_only: bool
    interval_minutes: int | None
    max_depth: int | None
    reachable: bool = Field(description="The folder can be read now.")
    fault: str | None = Field(description="Why it cannot be read.", examples=[None])
    frozen_reason: str | None = Field(
        description="Why nothing is marked missing until a person confirms.", examples=[None]
    )
    models: int = Field(description="How many models are registered in it.", examples=[41])
    size_bytes: int = Field(description="Their bytes.", examples=[53_687_091_200])
    last_scan_at: datetime | None = Field(description="End of the last scan that saw all of it.")
    in_file: bool = Field(description="Whether `model_discovery.json` names it.")


class Roots(Schema):
    count: int = Field(description="How many there are.", examples=[1])
    results: list[RootRow] = Field(description="All roots, by path.")


class NewRoot(Schema):
    """A folder to scan."""

    model_config = ConfigDict(extra="forbid")

    path: Storable = Field(min_length=1, max_length=MAX_PATH)
    name: Storable = Field(
        "", max_length=200, description="What people call it.", examples=["models"]
    )


class RootChange(Schema):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool | None = Field(None, strict=True)
    read_only: bool | None = Field(None, strict=True)
    interval_minutes: int | None = Field(None, strict=True, ge=1, le=MAX_MINUTES)
    max_depth: int | None = Field(None, strict=True, ge=1, le=MAX_DEPTH)


class RootMove(Schema):
    """Where the folder of a root is now."""

    model_config = ConfigDict(extra="forbid")

    path: Storable = Field(min_length=1, max_length=MAX_PATH)


class MovedRoot(Schema):
    root: RootRow = Field(description="The root, in its new place.")
    models: int = Field(description="How many models went with it.", examples=[41])
    scan_id: int = Field(description="The scan of it that was queued.", examples=[25])


class RemoveQuery(Schema):
    models: Literal["keep", "forget"] = Field(
        "keep",
        description="Its models stay registered, or are forgotten with all decisions about them.",
    )


class RemovedRoot(Schema):
    path: str
    forgotten: int = Field(description="How many models were forgotten.", examples=[0])


class StoreRow(Schema):
    """A folder in which another program keeps models."""

    program: str = Field(description="The program.", examples=["Ollama"])
    path: str = Field(description="Absolute path.", examples=["/home/anna/.ollama/models"])
    models: int = Field(description="How many models are in it.", examples=[3])
    size_bytes: int = Field(description="Their bytes.", examples=[13_476_925_163])
    is_whole: bool = Field(description="False: there was no time to look through all of it.")
    root: str | None = Field(description="The root that scans it already.", examples=[None])


class Stores(Schema):
    count: int = Field(description="How many there are.", examples=[1])
    results: list[StoreRow] = Field(description="What was found.")


class ScheduleRow(Schema):
    """Work that comes round by the clock."""

    name: str = Field(description="Its name in addresses.", examples=["scan-the-roots"])
    label: str = Field(description="What people call it.", examples=["Scan the roots"])
    every: str = Field(description="How often it comes round.", examples=["every hour"])
    set_by: str = Field(
        description="What decides that.",
        examples=["scan_interval_minutes in model_discovery.json"],
    )
    next_run_at: datetime | None = Field(description="When it comes round next.")
    is_late: bool = Field(description="It should have come round before.")
    is_paused: bool = Field(description="It waits until somebody resumes it.")


class StraySchedule(Schema):
    """A schedule that is not on the list: workers refuse its tasks."""

    schedule_id: int = Field(description="The id of the schedule.", examples=[9])
    name: str = Field(description="Its name.", examples=["nightly"])
    function: str = Field(description="What it would call.", examples=["os.system"])


class Schedules(Schema):
    count: int = Field(description="How many there are.", examples=[2])
    results: list[ScheduleRow] = Field(description="All schedules.")
    strays: list[StraySchedule] = Field(description="Those that are not on the list.")


class ScheduleChange(Schema):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    paused: bool | None = Field(
        None, strict=True, description="Whether it waits.", examples=[False]
    )
    next_run_at: Moment | None = Field(None, description="When it comes round next.")


class Ran(Schema):
    name: str = Field(description="Name of the schedule.", examples=["scan-the-roots"])
    queued: bool = Field(description="A worker takes it as soon as one is free.")


class QueueJob(Schema):
    """Work that is queued or running."""

    kind: str = Field(description="What it is.", examples=["deep validation"])
    job_id: int = Field(description="Its id among those of its kind.", examples=[8])
    state: Literal["queued", "running"] = Field(description="How it stands.")
    requested_by: str | None = Field(description="Who asked for it.", examples=["anna"])
    created_at: datetime = Field(description="When it was asked for.")
    started_at: datetime | None = Field(description="When it began.")
    host: str | None = Field(description="The machine that does it.", examples=["atlas"])
    pid: int | None = Field(description="The process that does it.", examples=[4711])


class QueueWorker(Schema):
    """A process that does the work."""

    host: str = Field(description="Name of its machine.", examples=["atlas"])
    pid: int = Field(description="Number of the process.", examples=[4711])
    state: str = Field(description="starting, idle, working or stopping.", examples=["idle"])
    since: datetime | None = Field(description="When its cluster started.")


class Queue(Schema):
    """What workers do and what waits for them."""

    waiting: int | None = Field(description="Tasks that wait for a worker.", examples=[0])
    fault: str | None = Field(description="Why the queue cannot be read.", examples=[None])
    failed_last_day: int = Field(description="Tasks that failed in 24 hours.", examples=[0])
    workers: list[QueueWorker] = Field(description="Workers by machine.")
    jobs: list[QueueJob] = Field(description="Jobs, those that run first.")


class SettingRow(Schema):
    """One value of ``model_discovery.json``."""

    key: str = Field(
        description="Its path in the file.", examples=["discovery.scan_interval_minutes"]
    )
    label: str = Field(description="What people call it.", examples=["Scan every"])
    help: str = Field(description="What it does.", examples=["0 turns scheduled scans off."])
    value: Any = Field(description="What is in force.", examples=[60])
    source: Literal["environment", "file", "page", "default"] = Field(
        description="Where that comes from."
    )
    stamp: str = Field(description="Changes with the value.", examples=["1f0c2a0e4b7d4f0e"])


class SettingRows(Schema):
    count: int = Field(description="How many there are.", examples=[12])
    results: list[SettingRow] = Field(description="All settings.")


class SettingsChange(Schema):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    values: dict[str, Any] = Field(
        min_length=1,
        max_length=100,
        description="Key → value.",
        examples=[{"discovery.scan_interval_minutes": 60}],
    )
    seen: dict[str, str] = Field(
        {},
        max_length=100,
        description=(
            "Key → its `stamp` as it was read. Where somebody has changed one since, nothing is"
            " written and the answer is 409."
        ),
        examples=[{"discovery.scan_interval_minutes": "1f0c2a0e4b7d4f0e"}],
    )


class SavedSettings(Schema):
    changed: list[str] = Field(
        description="Keys whose values changed.", examples=[["discovery.scan_interval_minutes"]]
    )
    results: list[SettingRow] = Field(description="All settings now.")


class SettingChangeRow(Schema):
    """A change of a setting, on a page or in the file."""

    change_id: int = Field(description="The id of the change.", examples=[5])
    key: str = Field(description="Path in the file.", examples=["discovery.scan_interval_minutes"])
    before: Any = Field(description="The value before; null: the default.", examples=[30])
    after: Any = Field(description="The value after; null: the default.", examples=[60])
    by: str | None = Field(description="Who changed it.", examples=["anna"])
    at: datetime = Field(description="When.")
    through: Literal["page", "file"] = Field(description="Here, or in the file itself.")
    undone_at: datetime | None = Field(description="When it was undone.")


class SettingChanges(Listed):
    results: list[SettingChangeRow] = Field(description="Changes, the newest first.")

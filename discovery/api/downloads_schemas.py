"""What ``/downloads`` takes and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from ninja import Schema
from pydantic import ConfigDict, Field, StringConstraints

from discovery.api.inputs import STORABLE, Storable
from discovery.api.paging import Listed, Paged
from discovery.engine.core.service_words import DownloadFault, DownloadState

FilePath = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]


class DownloadsQuery(Paged):
    state: list[DownloadState] = Field(
        [], description="Only those in one of these states.", examples=[["queued", "running"]]
    )


class NewDownload(Schema):
    """What is left out is chosen as on the page: `preview` tells how."""

    model_config = ConfigDict(extra="forbid")

    registry: Annotated[str, StringConstraints(min_length=1, max_length=40), STORABLE] = Field(
        description="Name of an external registry that is enabled.", examples=["huggingface"]
    )
    remote_id: Annotated[str, StringConstraints(min_length=1, max_length=300), STORABLE] = Field(
        description="What the registry calls the model.", examples=["org/model-7b"]
    )
    revision: Storable = Field(
        "", max_length=100, description="A commit; empty for the latest.", examples=[""]
    )
    files: list[FilePath] | None = Field(
        None,
        max_length=20_000,
        description="Paths of files as the registry lists them; `null` for those by default.",
        examples=[None],
    )
    root: Storable = Field(
        "",
        max_length=1_000,
        description="Path or name of a root; empty for the first that can be used.",
        examples=["/models"],
    )
    folder: Storable = Field(
        "",
        max_length=1_000,
        description="Below the root; empty for the recommended one.",
        examples=["language/chat/model-7b"],
    )
    pickles: bool = Field(
        False,
        strict=True,
        description="Also pickles, which can run code, where there are safetensors.",
        examples=[False],
    )


class ResumeDownload(Schema):
    model_config = ConfigDict(extra="forbid")

    accept_unsafe: bool = Field(
        False,
        strict=True,
        description="Place it although loading it would run code.",
        examples=[False],
    )


class RemoteFileRow(Schema):
    path: str = Field(description="As the registry writes it.", examples=["model.safetensors"])
    size_bytes: int | None = Field(description="Its size, where it is said.", examples=[1024])
    sha256: str | None = Field(
        description="Of its content, where the registry says it.", examples=["9f86d081884c7d65"]
    )


class OfferedFile(RemoteFileRow):
    chosen: bool = Field(description="Whether it would be downloaded.", examples=[True])
    pickle: bool = Field(description="Whether loading it may run code.", examples=[False])
    fault: str | None = Field(
        description="Why it cannot be downloaded.", examples=["it leads out of its folder"]
    )


class DownloadPreview(Schema):
    """What would be downloaded, and where to; `faults` says why not."""

    registry: str = Field(description="The registry.", examples=["huggingface"])
    remote_id: str = Field(description="The model there.", examples=["org/model-7b"])
    revision: str | None = Field(description="The commit.", examples=["a1b2c3"])
    license: str | None = Field(description="Its license.", examples=["apache-2.0"])
    gated: bool = Field(
        description="Whether its owner gives it only to some people.", examples=[False]
    )
    root: str | None = Field(description="Path of the root.", examples=["/models"])
    folder: str = Field(description="Below the root.", examples=["language/chat/model-7b"])
    total_bytes: int = Field(description="Of the chosen files.", examples=[1024])
    free_bytes: int | None = Field(description="On the disk that it goes to.", examples=[10**9])
    download_id: int | None = Field(
        description="The download that this would be, where there is one already.", examples=[None]
    )
    faults: dict[str, str] = Field(
        description="Why it cannot be downloaded so, by field.", examples=[{}]
    )
    notes: list[str] = Field(
        description="What a person should know.", examples=[["Pickles are left out."]]
    )
    files: list[OfferedFile] = Field(description="All files of the model.")


class DownloadRow(Schema):
    download_id: int = Field(description="The id of the download.", examples=[3])
    state: DownloadState = Field(description="How far it is.", examples=["running"])
    registry: str = Field(description="The registry.", examples=["huggingface"])
    remote_id: str = Field(description="The model there.", examples=["org/model-7b"])
    revision: str | None = Field(description="The commit that is fetched.", examples=["a1b2c3"])
    license: str | None = Field(description="Its license.", examples=["apache-2.0"])
    root: str = Field(description="Path of the root.", examples=["/models"])
    folder: str = Field(description="Below the root.", examples=["language/chat/model-7b"])
    model_id: str | None = Field(
        description="The model, once it is placed and scanned.", examples=["model-7b"]
    )
    total_bytes: int = Field(description="Of all its files.", examples=[1024])
    done_bytes: int = Field(description="Of them are there.", examples=[512])
    total_files: int = Field(description="How many files there are.", examples=[7])
    done_files: int = Field(description="Of them are there and checked.", examples=[3])
    bytes_per_second: int = Field(description="While it runs.", examples=[1_000_000])
    seconds_left: float | None = Field(description="At this speed.", examples=[12.5])
    current_path: str | None = Field(
        description="The file that is fetched.", examples=["model.safetensors"]
    )
    fault: DownloadFault | None = Field(description="Why it failed.", examples=["checksum"])
    message: str | None = Field(
        description="Why it failed or waits, or what came of it.", examples=["7 files, 1.2 GB."]
    )
    attempts: int = Field(description="Tries in a row that brought nothing.", examples=[0])
    retry_at: datetime | None = Field(
        description="When it is tried again.", examples=["2026-11-29T18:00:00Z"]
    )
    automatic: bool = Field(description="Whether `auto_download` asked for it.", examples=[False])
    requested_by: str | None = Field(description="Who asked for it.", examples=["anna"])
    created_at: datetime = Field(
        description="When it was asked for.", examples=["2026-11-29T18:00:00Z"]
    )
    started_at: datetime | None = Field(
        description="When it last began.", examples=["2026-11-29T18:00:01Z"]
    )
    finished_at: datetime | None = Field(
        description="When it ended or was paused.", examples=["2026-11-29T18:10:00Z"]
    )


class DownloadDetails(DownloadRow):
    files: list[RemoteFileRow] = Field(description="The chosen files.")


class QueuedDownload(DownloadDetails):
    created: bool = Field(
        description="False where it was one already: then this is that.", examples=[True]
    )


class DownloadList(Listed):
    results: list[DownloadRow] = Field(description="The newest first.")

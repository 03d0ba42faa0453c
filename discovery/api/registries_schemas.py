"""What ``/registries`` answers, and what it takes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from discovery.api.paging import Listed, Paged
from discovery.engine.core.service_words import JobState, MatchState, RegistryFault


class RegistryRow(Schema):
    name: str = Field(description="Its key in external_registries.json.", examples=["huggingface"])
    label: str = Field(description="What people call it.", examples=["Hugging Face Hub"])
    kind: str = Field(description="How it is asked.", examples=["huggingface"])
    enabled: bool = Field(description="Nothing is asked of one that is off.", examples=[True])
    endpoint: str | None = Field(
        description="Its address, in force now.", examples=["https://huggingface.co"]
    )
    has_key: bool = Field(description="Whether a key is sent. It is never told.", examples=[True])
    key_note: str | None = Field(
        description="What to know about its key.",
        examples=["“your_api_key” stands in place of a key and counts as none."],
    )
    sync_interval_hours: int = Field(
        description="Hours between syncs; 0: only when asked.", examples=[24]
    )
    auto_download: bool = Field(
        description="Whether newer revisions are downloaded by themselves.", examples=[False]
    )
    include: list[str] = Field(
        description="Patterns of remote ids that count; empty: all.", examples=[["mistralai/*"]]
    )
    exclude: list[str] = Field(description="Patterns that do not.", examples=[["*-GGUF"]])
    state: str = Field(description="In a word, as the page says it.", examples=["On"])
    fault: RegistryFault | None = Field(description="Why the last sync failed.", examples=["busy"])
    message: str | None = Field(
        description="The same in a sentence.", examples=["It did not answer within 20 seconds."]
    )
    synced_at: datetime | None = Field(
        description="When a sync last went through.", examples=["2026-11-29T18:00:00Z"]
    )
    retry_at: datetime | None = Field(
        description="After a failure: it is left alone until then.", examples=[None]
    )
    next_sync_at: datetime | None = Field(
        description="When it is synced by itself next.", examples=["2026-11-30T18:00:00Z"]
    )
    sync_id: int | None = Field(description="Of the sync that is under way.", examples=[None])
    linked: int = Field(description="Local models that are linked to one of its.", examples=[12])
    to_review: int = Field(description="Matches that wait for a person.", examples=[2])
    updates: int = Field(description="Linked models with a newer revision there.", examples=[1])


class Registries(Schema):
    count: int = Field(description="How many there are.", examples=[3])
    results: list[RegistryRow] = Field(description="The registries, enabled ones first.")
    faults: list[str] = Field(
        description="Why external_registries.json is not in force, if it is not.", examples=[[]]
    )


class SyncRow(Schema):
    sync_id: int = Field(description="The id of the sync.", examples=[5])
    registry: str = Field(description="The registry that is read.", examples=["huggingface"])
    state: JobState = Field(description="How far it is.", examples=["running"])
    created: bool = Field(
        description="Whether this call began it; else one was under way.", examples=[True]
    )
    message: str | None = Field(
        description="What came of it, or why it failed.",
        examples=["500 remote models read, 3 newly linked, 1 to review, 2 updates."],
    )
    fault: RegistryFault | None = Field(description="Why it failed.", examples=[None])
    total: int = Field(description="Remote models to read.", examples=[500])
    done: int = Field(description="Of these, read.", examples=[120])
    linked: int = Field(description="Models that it linked.", examples=[3])
    proposed: int = Field(description="Matches that it found for people to review.", examples=[1])
    updates: int = Field(description="Linked models with a newer revision.", examples=[2])
    changed: int = Field(description="Local models whose values changed.", examples=[3])
    errors: int = Field(description="Remote models that could not be read.", examples=[0])
    requests: int = Field(description="Requests that it took.", examples=[7])
    started_at: datetime | None = Field(
        description="When a worker began.", examples=["2026-11-29T18:00:00Z"]
    )
    finished_at: datetime | None = Field(description="When it was over.", examples=[None])


class RemoteModelRow(Schema):
    remote_id: str = Field(
        description="What the registry calls it.", examples=["mistralai/Mistral-7B-v0.1"]
    )
    name: str = Field(description="Without its owner.", examples=["Mistral-7B-v0.1"])
    author: str | None = Field(description="Its owner.", examples=["mistralai"])
    description: str | None = Field(description="In a sentence.", examples=[None])
    license: str | None = Field(description="As the registry says it.", examples=["apache-2.0"])
    tags: list[str] = Field(description="Its tags.", examples=[["text-generation"]])
    task: str | None = Field(description="What it is for.", examples=["text-generation"])
    downloads: int | None = Field(description="As the registry counts.", examples=[1200])
    likes: int | None = Field(description="As the registry counts.", examples=[37])
    revision: str | None = Field(
        description="The latest.", examples=["26bca36bde8333b5d7f72e9ed20ccda6a618af24"]
    )
    updated_at: datetime | None = Field(
        description="When it last changed.", examples=["2025-06-01T12:00:00Z"]
    )
    gated: str | None = Field(
        description="Who may download it: empty for everybody, auto or manual.",
        examples=["manual"],
    )
    url: str | None = Field(
        description="Its page.", examples=["https://huggingface.co/mistralai/Mistral-7B-v0.1"]
    )


class RemoteModels(Schema):
    count: int = Field(description="How many were found.", examples=[1])
    results: list[RemoteModelRow] = Field(description="The most downloaded first.")


class RemoteQuery(Schema):
    search: str = Field("", max_length=200, description="Words of the name.", examples=["mistral"])
    limit: int = Field(20, ge=1, le=100, description="The most that is wanted.", examples=[20])


class EvidenceRow(Schema):
    kind: str = Field(description="What kind of evidence.", examples=["checksums"])
    text: str = Field(
        description="In a sentence.", examples=["3 files of it have the same SHA-256."]
    )
    weight: int = Field(description="What it is worth alone, in percent.", examples=[99])


class RemoteFacts(Schema):
    revision: str | None = Field(description="The latest.", examples=["26bca36bde83"])
    license: str | None = Field(description="As the registry says it.", examples=["apache-2.0"])
    author: str | None = Field(description="Its owner.", examples=["mistralai"])
    tags: list[str] = Field(description="Its tags.", examples=[["text-generation"]])
    downloads: int | None = Field(description="As the registry counts.", examples=[1200])
    likes: int | None = Field(description="As the registry counts.", examples=[37])
    updated_at: datetime | None = Field(
        description="When it last changed.", examples=["2025-06-01T12:00:00Z"]
    )
    gated: str | None = Field(description="auto or manual where it is gated.", examples=[None])
    fault: RegistryFault | None = Field(
        description="Why it could not be read the last time.", examples=[None]
    )
    message: str | None = Field(description="The same in a sentence.", examples=[None])


class MatchRow(Schema):
    match_id: int = Field(description="The id of the match.", examples=[9])
    model_id: str = Field(description="The local model.", examples=["mistral-7b-v0-1"])
    registry: str = Field(description="The registry.", examples=["huggingface"])
    remote_id: str = Field(description="The remote model.", examples=["mistralai/Mistral-7B-v0.1"])
    url: str | None = Field(
        description="Its page.", examples=["https://huggingface.co/mistralai/Mistral-7B-v0.1"]
    )
    state: MatchState = Field(
        description="`proposed` waits for a person, `accepted` is a link.", examples=["proposed"]
    )
    confidence: int = Field(description="In percent.", examples=[85])
    evidence: list[EvidenceRow] = Field(description="The strongest first.")
    local_revision: str | None = Field(
        description="The revision that is here, where it is known.", examples=["26bca36bde83"]
    )
    update: dict[str, Any] | None = Field(
        description=(
            "What a newer revision would change: `from`, `to`, `files` (`added`, `removed` and"
            " `changed`: path and sizes), `license` (both) and `card`."
        ),
        examples=[None],
    )
    remote: RemoteFacts = Field(description="What the registry said last.")
    found_at: datetime = Field(description="When it was found.", examples=["2026-11-29T18:00:00Z"])
    decided_at: datetime | None = Field(description="When it was decided.", examples=[None])
    decided_by: str | None = Field(
        description="Who decided; empty: the evidence alone.", examples=["anna"]
    )


class Matches(Listed):
    results: list[MatchRow] = Field(description="The surest first.")


class MatchesQuery(Paged):
    view: Literal["review", "updates", "linked", "rejected"] = Field(
        "review",
        description="Those to review, linked ones with an update, all links, or rejected ones.",
        examples=["review"],
    )
    registry: str = Field(
        "", max_length=40, description="Of this registry alone.", examples=["huggingface"]
    )
    model_id: str = Field(
        "", max_length=200, description="Of this model alone.", examples=["mistral-7b-v0-1"]
    )


class NewLink(Schema):
    model_config = ConfigDict(extra="forbid")

    model_id: str = Field(
        max_length=200, description="The local model.", examples=["mistral-7b-v0-1"]
    )
    registry: str = Field(max_length=40, description="The registry.", examples=["huggingface"])
    remote_id: str = Field(
        min_length=1,
        max_length=300,
        description="What the registry calls the model.",
        examples=["mistralai/Mistral-7B-v0.1"],
    )


class RegistrySettings(Schema):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool | None = Field(None, description="Whether it is asked.", examples=[True])
    endpoint: str | None = Field(
        None, max_length=1000, description="Its address.", examples=["https://127.0.0.1:8443/hub"]
    )
    path: str | None = Field(
        None, max_length=1000, description="Of a folder of JSON files.", examples=["/srv/catalog"]
    )
    sync_interval_hours: int | None = Field(
        None, ge=0, le=8760, description="0: only when asked.", examples=[24]
    )
    auto_download: bool | None = Field(
        None, description="Whether newer revisions are downloaded.", examples=[False]
    )
    include: list[str] | None = Field(
        None, max_length=200, description="Patterns that count.", examples=[["mistralai/*"]]
    )
    exclude: list[str] | None = Field(
        None, max_length=200, description="Patterns that do not.", examples=[["*-GGUF"]]
    )
    api_key: str | None = Field(
        None,
        max_length=1000,
        description="A new key, which no answer tells; empty: there is none.",
        examples=[None],
    )

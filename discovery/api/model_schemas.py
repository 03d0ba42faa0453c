"""The model document and its summary (contract, section 5), as the API promises them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from ninja import Schema
from pydantic import Field

from discovery.engine.types import Severity, Status

Modality = Literal["TEXT", "IMAGE", "VIDEO", "AUDIO"]
Primary = Literal["LANGUAGE", "VISION", "AUDIO", "MULTIMODAL"]
Secondary = Literal["CHAT", "CODE", "REASONING", "CREATIVE", "ANALYSIS"]
Specialization = Literal["MEDICAL", "LEGAL", "TECHNICAL", "SCIENTIFIC", "GENERAL"]
VisibilityName = Literal["PUBLIC", "RESTRICTED", "ADMIN_ONLY"]
Fits = Literal["memory", "offload", "no"]


class Category(Schema):
    primary: str | None
    secondary: str | None
    specialization: str | None


class Memory(Schema):
    """What loading takes, in bytes. ``at_least`` names the terms that are not known and missing from the sum."""

    weights_bytes: int | None
    kv_cache_bytes: int | None
    overhead_bytes: int | None
    projector_bytes: int | None
    total_bytes: int | None
    at_least: list[str]
    context_length: int | None
    kv_type: str
    fits: Fits | None = Field(description="On this machine; null where that is not known.")


class Variant(Schema):
    """What a program loads."""

    name: str
    path: str | None
    format: str | None
    quantization: str | None
    bits_per_weight: float | None
    dtype: str | None
    size_bytes: int | None
    memory: Memory
    status: str | None


class Source(Schema):
    source: str
    curated: bool


class EvidenceItem(Schema):
    """Why a verdict was reached: the rule, what it matched, where, and how much it counts."""

    rule: str
    matched: str
    where: str
    weight: float


class Problem(Schema):
    code: str
    message: str
    path: str
    severity: Severity
    offset: int | None = None


class Summary(Schema):
    """A row of the list. Unknown is ``null`` or an empty list."""

    model_id: str
    name: str
    display_name: str
    path: str
    root: str
    type: str
    format: str | None
    status: Status
    architecture: str | None
    model_family: str | None
    parameter_count: int | None
    context_length: int | None
    dtype: str | None
    quantization: str | None
    bits_per_weight: float | None
    modalities: list[str]
    capabilities: list[str]
    category: Category
    tags: list[str]
    license: str | None
    author: str | None
    version: str | None
    size_bytes: int
    file_count: int
    memory_bytes: int | None = Field(
        description="What loading the first variant takes at its own context length."
    )
    modified_at: datetime | None
    added_at: datetime
    visibility: VisibilityName


class ModelDocument(Schema):
    """Everything that is known about a model, and where each value comes from."""

    model_id: str
    name: str
    display_name: str
    description: str | None
    path: str
    root: str
    endpoint: str | None
    type: str
    format: str | None
    status: Status
    architecture: str | None
    model_family: str | None
    parameter_count: int | None
    active_parameter_count: int | None
    context_length: int | None
    embedding_length: int | None
    layer_count: int | None
    vocab_size: int | None
    dtype: str | None
    quantization: str | None
    bits_per_weight: float | None
    base_model: str | None
    base_model_relation: str | None
    modalities: list[str]
    input_modalities: list[str]
    output_modalities: list[str]
    capabilities: list[str]
    category: Category
    tags: list[str]
    language_support: list[str]
    license: str | None
    author: str | None
    version: str | None
    use_cases: list[str]
    specialized_domains: list[str]
    performance_metrics: dict[str, Any]
    resource_requirements: dict[str, Any]
    optimization_settings: dict[str, Any]
    custom: dict[str, Any]
    memory: Memory
    variants: list[Variant]
    size_bytes: int
    file_count: int
    modified_at: datetime | None
    added_at: datetime
    last_seen_at: datetime | None
    visibility: VisibilityName
    groups: list[str]
    sources: dict[str, Source]
    evidence: dict[str, list[EvidenceItem]]
    problems: list[Problem]

"""A change of many models: what to write, and which models to leave out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from discovery.models import RegisteredModel
from discovery.services.metadata import metadata
from discovery.services.registry.records import READ_BY_RESOLVE

#: Columns that a plan reads; the heavy ones (files, variants, signals) stay in the database.
COLUMNS = (
    "pk", "model_id", "display_name", "quarantined_at", "visibility", "visibility_source",
    *READ_BY_RESOLVE,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FieldError:
    """One model that cannot be changed, and why."""

    model_id: str
    title: str
    reason: str

    def as_json(self) -> dict[str, str]:
        return {"model_id": self.model_id, "title": self.title, "reason": self.reason}


@dataclass(slots=True)
class Plan:
    """What is to be written: {record: {field: cleaned value}}, and the models that are left out.

    ``before`` holds what counts now for each of those values. ``origins`` and ``undoes`` are those
    of ``metadata.edit_many``.
    """

    changes: dict[RegisteredModel, dict[str, Any]] = field(default_factory=dict)
    faults: list[FieldError] = field(default_factory=list)
    linked: metadata.Linked = field(default_factory=dict)
    origins: dict[tuple[int, str], tuple[str, str]] = field(default_factory=dict)
    undoes: UUID | None = None


def fault(record: RegisteredModel, errors: Mapping[str, str]) -> FieldError:
    return FieldError(
        record.model_id,
        record.title,
        "; ".join(f"{name}: {reason}" for name, reason in errors.items()),
    )

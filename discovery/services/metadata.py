"""What people decide about a model: written to ``curated``, kept for ever, each change on record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from django.db import transaction
from django.utils import timezone

from discovery.engine.document import CATEGORIES, LISTS, OBJECTS
from discovery.engine.sidecars import metadata_json
from discovery.engine.types import ModelType, Severity
from discovery.models import Channel, MetadataChange, RegisteredModel
from discovery.services import journal
from discovery.services.records import RESOLVED, resolve

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Fields that a person may set.
EDITABLE = frozenset({*metadata_json.TEXTS, *metadata_json.NUMBERS, *LISTS, *OBJECTS, *CATEGORIES, "type"})

#: Fields whose value is one of a few words of the contract.
CHOICES: dict[str, tuple[str, ...]] = {
    "type": tuple(ModelType),
    "primary": ("LANGUAGE", "VISION", "AUDIO", "MULTIMODAL"),
    "secondary": ("CHAT", "CODE", "REASONING", "CREATIVE", "ANALYSIS"),
    "specialization": ("MEDICAL", "LEGAL", "TECHNICAL", "SCIENTIFIC", "GENERAL"),
}


class InvalidMetadata(Exception):
    """``errors`` maps a field to what is wrong with its value."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in errors.items()))
        self.errors = dict(errors)


def edit(model: RegisteredModel, changes: Mapping[str, Any], *, by: User, through: str) -> list[MetadataChange]:
    """Sets curated fields; ``None`` gives a field back to automatic. All or nothing: raises ``InvalidMetadata`` before writing."""
    cleaned = clean(changes)
    batch, now = uuid4(), timezone.now()
    with transaction.atomic():
        record = RegisteredModel.objects.select_for_update().get(pk=model.pk)
        made = []
        for field, value in cleaned.items():
            before = record.curated.get(field)
            if (before or {}).get("value") == value:
                continue
            if value is None:
                record.curated.pop(field, None)
            else:
                record.curated[field] = {"value": value, "by": by.get_username(), "at": now.isoformat()}
            old = before["value"] if before else None
            made.append(MetadataChange(model=record, field=field, before=old, after=value, by=by, at=now, through=through, batch=batch))
        if made:
            resolve(record)
            record.changed_at = now
            record.save(update_fields=["curated", "changed_at", *RESOLVED])
            MetadataChange.objects.bulk_create(made)
            fields = ", ".join(change.field for change in made)
            journal.record(Channel.METADATA, Severity.INFO, f"{by.get_username()} set {fields} ({through})", model_id=record.model_id)
    model.refresh_from_db()
    return made


def clean(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they would be stored; ``None`` for those given back to automatic. Raises ``InvalidMetadata``."""
    errors = {name: "this field cannot be set" for name in changes if name not in EDITABLE}
    cleaned: dict[str, Any] = {}
    for name, value in changes.items():
        if name in errors:
            continue
        if value is None or value == "" or value == [] or value == {}:
            cleaned[name] = None
            continue
        if name in CHOICES:
            if value in CHOICES[name]:
                cleaned[name] = value
            else:
                errors[name] = f"must be one of {', '.join(CHOICES[name])}"
            continue
        fields, complaints = metadata_json.fields({name: value})
        if complaints:
            errors[name] = complaints[0].removeprefix(f"{name} ")
        else:
            cleaned[name] = fields.get(name, value)
    if errors:
        raise InvalidMetadata(errors)
    return cleaned

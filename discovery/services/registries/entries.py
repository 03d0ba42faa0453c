"""Keeping what a registry says: its entries, and the values that go into the records of models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from discovery.engine.classify.describe import license_name
from discovery.engine.core.service_words import MatchState
from discovery.engine.core.text import clean, storable
from discovery.models import RegisteredModel, RemoteEntry, RemoteMatch
from discovery.services.access import audiences
from discovery.services.registries.configured import Configured, configured
from discovery.services.registries.matching import Remote
from discovery.services.registries.protocol import RegistryError, RemoteFile, RemoteModel
from discovery.services.registry import tags
from discovery.services.registry.records import RESOLVED, resolve, save_many, with_registries

CHUNK = 100
MAX_DESCRIPTION = 4_000
MAX_TAGS = 100
#: Texts that are copied, with the lengths of their columns.
_TEXTS = {
    "author": 200, "license": 200, "base_model": 300, "task": 100, "library": 100, "gated": 20,
    "url": 1_000, "revision": 100,
}  # fmt: skip


def take(entry: RemoteEntry, remote: RemoteModel) -> None:
    """Copy what a registry said into its entry. Does not save."""
    for name, limit in _TEXTS.items():
        setattr(entry, name, clean(str(getattr(remote, name)), limit))
    entry.description = clean(remote.description, MAX_DESCRIPTION)
    entry.tags = storable(list(remote.tags[:MAX_TAGS]))
    entry.languages = storable(list(remote.languages[:MAX_TAGS]))
    entry.downloads, entry.likes = remote.downloads, remote.likes
    entry.updated_at, entry.is_private = remote.updated_at, remote.is_private
    entry.fault, entry.message = "", ""
    if remote.files is not None:
        entry.files = [as_json(file) for file in remote.files]
        entry.read_at = timezone.now()


def fail(entry: RemoteEntry, error: RegistryError) -> None:
    """Note why a remote model could not be read. Does not save."""
    entry.fault, entry.message = error.fault, clean(str(error), 1000)


def state(row: Model) -> dict[str, Any]:
    """The columns of a row, to tell whether it has to be saved."""
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def as_json(file: RemoteFile) -> dict[str, Any]:
    return {
        "path": clean(file.path, 1_000),
        "size": file.size,
        "sha256": file.sha256,
        "git_sha1": file.git_sha1,
    }


def files_of(rows: Iterable[dict[str, Any]]) -> tuple[RemoteFile, ...]:
    return tuple(
        RemoteFile(row["path"], row["size"], row["sha256"], row["git_sha1"]) for row in rows
    )


def compared(entry: RemoteEntry) -> Remote:
    return Remote(entry.remote_id, entry.revision, entry.base_model, files_of(entry.files))


def values(entry: RemoteEntry, source: str) -> dict[str, dict[str, Any]]:
    """{field: {value, source}} of what the registry knows."""
    told = {
        "license": license_name(entry.license) if entry.license else None,
        "tags": entry.tags,
        "language_support": entry.languages,
        "author": entry.author,
        "base_model": entry.base_model,
        "description": entry.description,
    }
    return {name: {"value": value, "source": source} for name, value in told.items() if value}


def bring(keys: Sequence[int]) -> int:
    """Put what the linked registries say into these records; returns how many changed.

    Of several registries, the first of the config file counts.
    """
    known = configured()
    order = {name: position for position, name in enumerate(known)}
    changed = 0
    for start in range(0, len(keys), CHUNK):
        part = keys[start : start + CHUNK]
        changed += _bring(part, known, order)
    return changed


@transaction.atomic
def _bring(keys: Sequence[int], known: dict[str, Configured], order: dict[str, int]) -> int:
    records = {
        record.pk: record
        for record in RegisteredModel.objects.select_for_update().filter(pk__in=keys)
    }
    told: dict[int, dict[str, Any]] = {pk: {} for pk in records}
    matches = RemoteMatch.objects.filter(model__in=records, state=MatchState.ACCEPTED)
    for match in sorted(
        matches.select_related("entry"), key=lambda each: order.get(each.registry, len(order))
    ):
        label = known[match.registry].label if match.registry in known else match.registry
        found = values(match.entry, f"{label}: {match.entry.remote_id}")
        told[match.model_id] = {**found, **told[match.model_id]}
    changed = []
    for pk, record in records.items():
        if record.remote_values == told[pk]:
            continue
        record.remote_values = told[pk]
        record.extracted = with_registries(record)
        record.changed_at = timezone.now()
        resolve(record)
        changed.append(record)
    if changed:
        save_many(changed, ["remote_values", "extracted", "changed_at", *RESOLVED])
        tags.sync(changed)
        audiences.refresh(record.pk for record in changed)
    return len(changed)

"""Forgetting a model: its record goes, its files stay.

Its decisions are kept, and restored when a scan finds it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group, User
from django.db import transaction
from django.utils import timezone

from discovery.engine.core.service_words import VisibilitySource
from discovery.engine.core.vocabulary import Severity
from discovery.models import (
    Collection,
    Forgotten,
    LogTopic,
    MetadataChange,
    RegisteredModel,
    RemoteEntry,
    RemoteMatch,
    Root,
)
from discovery.services.access import audiences
from discovery.services.core import event_log
from discovery.services.registry import aliases, tags
from discovery.services.registry.records import RESOLVED, save_many

#: Columns that people or the registry decide, and no scan reads.
_COLUMNS = (
    "curated", "visibility", "visibility_source", "registered_manually", "remote_values",
)  # fmt: skip
#: What is kept of a match with a remote model.
_OF_MATCHES = (
    "entry_id", "registry", "state", "confidence", "evidence", "local_revision", "decided_by_id",
)  # fmt: skip


def forget(model: RegisteredModel, *, by: User, channel: str) -> None:
    """Remove the model from the registry. No file is touched."""
    with transaction.atomic():
        record = RegisteredModel.objects.select_for_update().get(pk=model.pk)
        memory, _ = Forgotten.objects.update_or_create(
            root_id=record.root_id,
            path=record.path,
            defaults={
                "model_id": record.model_id,
                "fingerprint": record.fingerprint,
                "kept": _kept(record),
                "by": by,
                "at": timezone.now(),
            },
        )
        aliases.forget(record, memory)
        event_log.record(
            LogTopic.DISCOVERY,
            Severity.WARNING,
            f"forgotten by {by.get_username()} ({channel})",
            model_id=record.model_id,
            path=record.path,
        )
        record.delete()


def _kept(record: RegisteredModel) -> dict[str, Any]:
    changes = MetadataChange.objects.filter(model=record).order_by("pk")
    return {
        **{name: getattr(record, name) for name in _COLUMNS},
        "added_at": record.added_at.isoformat(),
        "quarantined_at": record.quarantined_at.isoformat() if record.quarantined_at else None,
        "groups": list(record.groups.values_list("pk", flat=True)),
        "collections": list(record.collections.values_list("pk", flat=True)),
        "favoured_by": list(record.favoured_by.values_list("pk", flat=True)),
        "changes": [_change(change) for change in changes],
        "remote": list(RemoteMatch.objects.filter(model=record).values(*_OF_MATCHES)),
    }


def _change(change: MetadataChange) -> dict[str, Any]:
    return {
        "field": change.field,
        "before": change.before,
        "after": change.after,
        "by": change.by_id,
        "at": change.at.isoformat(),
        "channel": change.channel,
        "batch": str(change.batch),
        "undoes": str(change.undoes) if change.undoes else None,
    }


def find(root: Root, paths: Iterable[str]) -> dict[str, Forgotten]:
    """Return {path: what is kept of the removed model}."""
    kept = Forgotten.objects.filter(root=root, path__in=list(paths))
    return {memory.path: memory for memory in kept}


def restore(record: RegisteredModel, memory: Forgotten) -> None:
    """Restore the columns of a removed record on a new one.

    Does not save.
    """
    record.model_id = memory.model_id
    kept = {
        "visibility_source": VisibilitySource.PERSON,
        "remote_values": {},
        **memory.kept,
    }
    for name in _COLUMNS:
        setattr(record, name, kept[name])
    record.added_at = datetime.fromisoformat(memory.kept["added_at"])
    quarantined = memory.kept["quarantined_at"]
    record.quarantined_at = datetime.fromisoformat(quarantined) if quarantined else None


def relink(found: Sequence[tuple[RegisteredModel, Forgotten]]) -> None:
    """Restore the links of removed records once the new records are saved.

    These are groups, collections and people that still exist, the history, and the aliases.
    """
    if not found:
        return
    aliases.restore({memory: record for record, memory in found})
    for name, target in (("groups", Group), ("collections", Collection), ("favoured_by", User)):
        _link(name, target, {record.pk: memory.kept[name] for record, memory in found})
    people = _known(
        User,
        (change["by"] for _, memory in found for change in memory.kept["changes"] if change["by"]),
    )
    changes = [
        _row(record, change, people)
        for record, memory in found
        for change in memory.kept["changes"]
    ]
    MetadataChange.objects.bulk_create(changes, batch_size=500)
    _match_again(found)
    Forgotten.objects.filter(pk__in=[memory.pk for _, memory in found]).delete()


def _match_again(found: Sequence[tuple[RegisteredModel, Forgotten]]) -> None:
    """Restore links to remote models, and what was rejected, where the registry is still known."""
    told = [(record, row) for record, memory in found for row in memory.kept.get("remote", ())]
    entries = _known(RemoteEntry, (row["entry_id"] for _, row in told))
    people = _known(User, (row["decided_by_id"] for _, row in told if row["decided_by_id"]))
    RemoteMatch.objects.bulk_create(
        (
            RemoteMatch(
                model=record,
                **(row if row["decided_by_id"] in people else {**row, "decided_by_id": None}),
            )
            for record, row in told
            if row["entry_id"] in entries
        ),
        ignore_conflicts=True,
    )


def save_again(found: Sequence[tuple[RegisteredModel, Forgotten]]) -> None:
    """Save the restored records, and restore their links."""
    records = [record for record, _ in found]
    save_many(records, ["model_id", "added_at", "quarantined_at", *_COLUMNS, *RESOLVED])
    relink(found)
    tags.sync(records)
    audiences.refresh(record.pk for record in records)


def _row(record: RegisteredModel, change: Mapping[str, Any], people: set[int]) -> MetadataChange:
    return MetadataChange(
        model=record,
        field=change["field"],
        before=change["before"],
        after=change["after"],
        by_id=change["by"] if change["by"] in people else None,
        at=datetime.fromisoformat(change["at"]),
        channel=change["channel"],
        batch=UUID(change["batch"]),
        undoes=UUID(change["undoes"]) if change["undoes"] else None,
    )


def _link(name: str, target: Any, wanted: Mapping[int, Sequence[int]]) -> None:
    known = _known(target, (key for keys in wanted.values() for key in keys))
    relation: Any = RegisteredModel._meta.get_field(name)
    join, column = relation.remote_field.through, relation.m2m_reverse_field_name()
    rows = [
        join(registeredmodel_id=model, **{f"{column}_id": key})
        for model, keys in wanted.items()
        for key in keys
        if key in known
    ]
    join.objects.bulk_create(rows, ignore_conflicts=True)


def _known(target: Any, keys: Iterable[int]) -> set[int]:
    asked = set(keys)
    return set(target.objects.filter(pk__in=asked).values_list("pk", flat=True)) if asked else set()

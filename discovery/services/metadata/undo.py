"""Taking changes back.

An undo is a change itself, and never overwrites what somebody decided after the change that it
undoes.

A value comes back as it stood: with the name of who had decided it, and when.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.db import transaction

from discovery.models import MetadataChange, RegisteredModel
from discovery.services.metadata import memberships, metadata
from discovery.services.metadata.plans import COLUMNS, FieldError, Plan, fault

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class NotUndoable(Exception):
    """The change cannot be undone; the message says why. Nothing was written."""


def is_undoable(field: str) -> bool:
    """Return whether a change can be undone.

    Decisions about findings and quarantines are undone where they are made.
    """
    return field in metadata.SETTABLE


def undo_change(change: MetadataChange, *, by: User, channel: str) -> list[MetadataChange]:
    """Undo one change of one model. Raises ``NotUndoable``."""
    with transaction.atomic():
        records = list(
            RegisteredModel.objects.select_for_update().only(*COLUMNS).filter(pk=change.model_id)
        )
        planned = plan(change.batch, records, fields={change.field})
        if planned.faults:
            raise NotUndoable(planned.faults[0].reason)
        if not planned.changes:
            raise NotUndoable("There is nothing to undo: the value is what it was before.")
        return metadata.edit_many(
            planned.changes,
            by=by,
            channel=channel,
            batch=uuid4(),
            undoes=change.batch,
            origins=planned.origins,
        )


def models_of(batch: UUID) -> list[int]:
    """Return primary keys of the models that a batch changed in a way that can be undone."""
    rows = MetadataChange.objects.filter(batch=batch, field__in=metadata.SETTABLE)
    return list(rows.order_by("model_id").values_list("model_id", flat=True).distinct())


def plan(
    batch: UUID, records: Sequence[RegisteredModel], fields: Collection[str] = metadata.SETTABLE
) -> Plan:
    """Return the changes that undo ``batch`` on these records, in a fixed number of queries."""
    taken = {
        (change.model_id, change.field): change
        for change in _rows(records, fields).filter(batch=batch)
    }
    past = _histories(records, {field for _, field in taken})
    result = Plan(
        linked=metadata.standing_links(
            {record: {field for _, field in taken} for record in records}
        ),
        undoes=batch,
    )
    gone = _gone(list(taken.values()))
    for record in records:
        changes: dict[str, Any] = {}
        for field in sorted({field for key, field in taken if key == record.pk}):
            change, history = taken[record.pk, field], past[record.pk, field]
            reason = _reason_to_keep(record, change, history, result.linked, gone)
            if reason:
                result.faults.append(
                    FieldError(record.model_id, record.title, f"{field}: {reason}")
                )
                continue
            changes[field] = change.before
            origin = history.before[change.pk]
            if origin is not None and origin.by is not None:
                result.origins[record.pk, field] = (origin.by.get_username(), origin.at.isoformat())
        if refused := metadata.refusals(record, changes):
            result.faults.append(fault(record, refused))
            changes = {name: value for name, value in changes.items() if name not in refused}
        if changes:
            result.changes[record] = changes
    return result


class _History:
    """The changes of one field of one model, and which one is or was in effect at each point."""

    def __init__(self) -> None:
        self.now: MetadataChange | None = None
        self.before: dict[int, MetadataChange | None] = {}
        self.after: dict[int, MetadataChange | None] = {}
        self._by_batch: dict[UUID, MetadataChange] = {}

    def add(self, change: MetadataChange) -> None:
        undone = self._by_batch.get(change.undoes) if change.undoes else None
        self.before[change.pk] = self.now
        # An undo brings back what was in force before the change that it undoes; the undo of an
        # undo does so too.
        self.now = self.before[undone.pk] if undone else change
        self.after[change.pk] = self.now
        self._by_batch[change.batch] = change


def _rows(records: Sequence[RegisteredModel], fields: Collection[str]) -> Any:
    return MetadataChange.objects.filter(
        model__in=[record.pk for record in records], field__in=list(fields)
    ).order_by("pk")


def _histories(
    records: Sequence[RegisteredModel], fields: Collection[str]
) -> dict[tuple[int, str], _History]:
    past: dict[tuple[int, str], _History] = defaultdict(_History)
    for change in _rows(records, fields).select_related("by").defer("before", "after"):
        past[change.model_id, change.field].add(change)
    return past


def _gone(changes: Sequence[MetadataChange]) -> dict[str, set[str]]:
    """{field: names of collections or groups that are to come back, and exist no more}."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for change in changes:
        if change.field in metadata.LINKS:
            wanted[change.field].update(change.before or ())
    return {field: set(memberships.unknown(field, names)) for field, names in wanted.items()}


def _reason_to_keep(
    record: RegisteredModel,
    change: MetadataChange,
    history: _History,
    linked: metadata.Linked,
    gone: dict[str, set[str]],
) -> str | None:
    if (
        history.after[change.pk] is not history.now
        or metadata.decided(record, change.field, linked) != change.after
    ):
        return "was changed again since, or is already undone; what stands now is kept"
    if lost := gone.get(change.field, set()) & set(change.before or ()):
        return f"{', '.join(sorted(lost)[:5])} exists no more"
    return None

"""Which changes are undone, and have not been redone since."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from uuid import UUID

from django.db.models import Count, QuerySet

from discovery.models import MetadataChange


def counts(batches: Collection[UUID], rows: QuerySet[MetadataChange]) -> Mapping[UUID, int]:
    """Return how many changes of each batch are undone and have not been redone."""
    undos = _undos(batches, rows)
    again = _undos([each for _, each, _ in undos], rows)
    brought: dict[UUID, int] = defaultdict(int)
    for undone, _, count in again:
        brought[undone] += count
    result: dict[UUID, int] = defaultdict(int)
    for undone, each, count in undos:
        result[undone] += count - brought[each]
    return result


def changes(shown: Collection[MetadataChange]) -> set[tuple[UUID, int, str]]:
    """Return (batch, model, field) of those changes that are undone and have not been redone."""
    rows = (
        MetadataChange.objects.order_by()
        .filter(model__in={change.model_id for change in shown})
        .values_list("undoes", "model_id", "field", "batch")
    )
    undos = list(rows.filter(undoes__in={change.batch for change in shown}))
    again = {
        (undone, model, name)
        for undone, model, name, _ in rows.filter(undoes__in={batch for *_, batch in undos})
    }
    return {
        (undone, model, name)
        for undone, model, name, batch in undos
        if undone and (batch, model, name) not in again
    }


def _undos(
    batches: Collection[UUID], rows: QuerySet[MetadataChange]
) -> list[tuple[UUID, UUID, int]]:
    counted = (
        rows.filter(undoes__in=batches)
        .order_by("undoes", "batch")
        .values_list("undoes", "batch")
        .annotate(count=Count("pk"))
    )
    return [(undone, batch, count) for undone, batch, count in counted if undone]

"""Models in batches, for exports of any number of them."""

from __future__ import annotations

from collections.abc import Iterator

from discovery.models import RegisteredModel, RegisteredModelQuerySet

#: Models a batch: what is held in memory at once.
BATCH = 250


def batches(rows: RegisteredModelQuerySet) -> Iterator[list[RegisteredModel]]:
    """Yield the rows in batches, after reading all keys first.

    No cursor stays open during somebody's download.
    """
    keys = list(rows.values_list("pk", flat=True))
    for start in range(0, len(keys), BATCH):
        found = {record.pk: record for record in rows.filter(pk__in=keys[start : start + BATCH])}
        if batch := [found[key] for key in keys[start : start + BATCH] if key in found]:
            yield batch

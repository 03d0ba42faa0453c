"""The registry as a stream: model documents as JSON, or a table for spreadsheets.

Memory holds a few hundred models, however many there are.

People's decisions can be told from values that were read (``sources``, ``curated``), and ``stamps``
identify each value as it was exported: importing an unchanged export changes nothing, even after
another scan.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any

from discovery.models import RegisteredModel, RegisteredModelQuerySet
from discovery.services.access.redaction import Sight
from discovery.services.registry import records
from discovery.services.transfer import cells
from discovery.services.transfer.batches import batches
from discovery.services.transfer.cells import FIELDS

#: Columns that only tell: facts of the files and the registry.
FACTS = ("status", "format", "path", "root", "size_bytes", "file_count", "modified_at", "added_at")
COLUMNS = ("model_id", "name", *FIELDS, "curated", *FACTS, "stamps")

_HEAVY = ("files", "signals", "checks")


def as_json(rows: RegisteredModelQuerySet, sight: Sight | None = None) -> Iterator[str]:
    """Yield a JSON list of model documents (contract, section 5), one on each line.

    They are in the order of ``rows``.
    """
    sight = sight or Sight(None)
    lead = "[\n"
    for batch in batches(rows.select_related("root").prefetch_related("groups").defer(*_HEAVY)):
        yield lead + ",\n".join(
            json.dumps(_document(record, sight), ensure_ascii=False) for record in batch
        )
        lead = ",\n"
    yield "\n]\n" if lead != "[\n" else "[]\n"


def as_csv(rows: RegisteredModelQuerySet, sight: Sight | None = None) -> Iterator[str]:
    """A header and a line for each model, in the order of ``rows``.

    UTF-8, commas, quotes where they are needed.
    """
    sight = sight or Sight(None)
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for batch in batches(
        rows.select_related("root").defer(
            *_HEAVY, "variants", "memory_shape", "evidence", "problems"
        )
    ):
        yield "".join(writer.writerow(_line(record, sight)) for record in batch)


def values(record: RegisteredModel) -> dict[str, Any]:
    """{field: value} of what can be exported and imported."""
    return {
        name: record.visibility if name == "visibility" else record.value(name) for name in FIELDS
    }


def _document(record: RegisteredModel, sight: Sight) -> dict[str, Any]:
    document = records.document(record, sight)
    exported = values(record)
    exported["display_name"] = document["display_name"]
    return {**document, "stamps": cells.stamps(exported)}


def _line(record: RegisteredModel, sight: Sight) -> Iterable[str]:
    exported, root = values(record), sight.root(record.root)
    facts = (
        record.status,
        record.format,
        record.path,
        root,
        record.size_bytes,
        record.file_count,
        record.modified_at,
        record.added_at,
    )
    return (
        cells.escaped(record.model_id),
        cells.escaped(record.name),
        *(cells.cell(name, value) for name, value in exported.items()),
        "; ".join(name for name in FIELDS if name in record.curated),
        *(_fact(value) for value in facts),
        cells.stamps_cell(cells.stamps(exported)),
    )


def _fact(value: Any) -> str:
    return (
        ""
        if value is None
        else cells.escaped(value.isoformat() if hasattr(value, "isoformat") else str(value))
    )


class _Echo:
    """What ``csv`` writes to: gives each line back."""

    def write(self, line: str) -> str:
        return line

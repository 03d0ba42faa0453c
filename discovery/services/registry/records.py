"""Resolve the two halves of a registered model into its typed columns.

In each field a curated value beats an extracted one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from discovery.engine.classify.categorize import as_json
from discovery.engine.core.completeness import WANTED, completeness, mask, model_name, naming
from discovery.engine.core.fields import FIELDS
from discovery.engine.core.paths import to_text
from discovery.engine.core.text import clean
from discovery.engine.core.types import Found
from discovery.engine.core.version import READERS
from discovery.engine.core.vocabulary import ModelType, Status
from discovery.engine.identify.document import (
    assemble,
    needed,
    problems_of,
    variants_of,
)
from discovery.engine.integrity import validate
from discovery.models import RegisteredModel
from discovery.services.access.redaction import Sight
from discovery.services.machine.hardware import this_machine

#: Columns that hold resolved values.
_VALUES = tuple(field.name for field in FIELDS.values() if field.column)

#: What lists and reports search and sort by.
_DERIVED = (
    "sort_name",
    "search_text",
    "modality_words",
    "capability_words",
    "completeness",
    "missing_mask",
)

#: Those, and the columns that lists search and sort by, which follow from them.
RESOLVED = (*_VALUES, *_DERIVED)

#: What ``resolve`` reads: a queryset of records to resolve that uses ``only`` names these, or each
#: record costs queries of its own.
READ_BY_RESOLVE = ("name", "path", "curated", "extracted")

#: Characters of a model that searches look at.
MAX_SEARCHED = 8_000

#: Columns that a scan writes.
SCANNED = (
    "root", "path", "place", "signature", "fingerprint", "name", "status", "extracted", "variants",
    "files", "problems", "size_bytes", "file_count",
    "evidence", "signals", "memory_shape", "memory_bytes", "modified_at", "changed_at",
    "missing_since", "checks", "content",
    "scanned_status", "validated_at", "read_by", *RESOLVED,
)  # fmt: skip

_LENGTHS = {
    name: getattr(RegisteredModel._meta.get_field(name), "max_length", None)
    for name in _VALUES
    if name != "description"
}
_NEVER_NULL = {"display_name": "", "description": "", "type": ModelType.UNKNOWN.value}


def resolve(record: RegisteredModel) -> None:
    """Set every resolved column from ``curated`` and ``extracted``. Does not save."""
    for name in _VALUES:
        value = record.value(name)
        limit = _LENGTHS.get(name)
        if limit and isinstance(value, str):
            value = value[:limit]
        setattr(record, name, _NEVER_NULL.get(name) if value is None else value)
    record.sort_name = record.title.casefold()[:500]
    tags = record.value("tags")
    searched = (
        record.name, record.display_name, record.path, record.architecture, record.license,
        record.author, record.model_family,
        *(tags if isinstance(tags, list) else ()), record.description,
    )  # fmt: skip
    record.search_text = "\n".join(str(text) for text in searched if text).casefold()[:MAX_SEARCHED]
    record.modality_words, record.capability_words = (
        _words(record.value("modalities")),
        _words(record.value("capabilities")),
    )
    told = completeness({name: record.value(name) for name in (*WANTED, "modalities")})
    own = model_name(record.path)
    odd = own is not None and naming(own, record.parameter_count) is not None
    record.completeness, record.missing_mask = (
        told.score,
        mask([*told.missing, "naming"] if odd else told.missing),
    )


def _words(values: Any) -> str:
    """Join words with commas, as in ``,IMAGE,TEXT,``, so that a query can find one of them.

    The result is empty when there is no word.
    """
    words = (
        sorted({value for value in values if isinstance(value, str) and value.isascii()})
        if isinstance(values, list)
        else []
    )
    return f",{','.join(words)}"[:254] + "," if words else ""


def follow(fields: Collection[str]) -> list[str]:
    """The resolved columns that change when these fields do."""
    return [*(name for name in _VALUES if name in fields), *_DERIVED]


def save_many(records: Sequence[RegisteredModel], names: Sequence[str]) -> None:
    """Write these columns of existing records, with one prepared statement for all of them.

    ``bulk_update`` would build a CASE for each value, an upsert would carry every column of the
    row.
    """
    fields = [field for field in RegisteredModel._meta.concrete_fields if field.name in names]
    quote = connection.ops.quote_name
    columns = ", ".join(f"{quote(str(field.column))} = %s" for field in fields)
    table, key = quote(RegisteredModel._meta.db_table), quote("id")
    statement = f"UPDATE {table} SET {columns} WHERE {key} = %s"  # noqa: S608 - names of columns
    rows = [
        [
            *(
                field.get_db_prep_save(getattr(record, field.attname), connection)
                for field in fields
            ),
            record.pk,
        ]
        for record in records
    ]
    with connection.cursor() as cursor:
        cursor.executemany(statement, rows)


#: What only a name says; a registry knows better, and any file better than a registry.
_OF_NAMES = frozenset({"folder name", "file name"})


def with_registries(record: RegisteredModel) -> dict[str, Any]:
    """``extracted`` with what external registries say where no file does.

    ``instead_of`` is what stood in the place of such a value, so that it comes back without it.
    """
    read = {
        name: entry.get("instead_of") if "instead_of" in entry else entry
        for name, entry in record.extracted.items()
    }
    found = {name: entry for name, entry in read.items() if entry is not None}
    for name, told in record.remote_values.items():
        own = found.get(name)
        if own is None or own["source"] in _OF_NAMES:
            found[name] = {**told, "instead_of": own}
    return found


def take(record: RegisteredModel, found: Found, now: datetime) -> None:
    """Copy what a scan read into ``record``: everything but people's decisions. Does not save."""
    record.path, record.place = to_text(found.path), to_text(found.place)
    record.signature, record.fingerprint = found.signature, found.fingerprint
    record.name = clean(to_text(found.name), 500) or record.path[:500]
    record.status = record.scanned_status = found.status
    record.content, record.checks = (
        validate.content(found),
        validate.as_json(validate.checks(found)),
    )
    record.validated_at, record.read_by = now, READERS
    record.extracted = {
        name: {"value": value.value, "source": value.source}
        for name, value in found.values.items()
        if name != "name"
    }
    record.extracted = with_registries(record)
    record.variants = variants_of(found)
    record.files = [[to_text(entry.path), entry.size] for entry in found.files]
    record.problems = problems_of(found)
    record.evidence, record.signals = as_json(found.evidence), dict(found.signals)
    record.memory_shape = dict(found.memory_shape)
    first = record.variants[0] if record.variants else {}
    record.memory_bytes = needed(first, record.memory_shape).total_bytes
    record.size_bytes, record.file_count = found.size_bytes, len(found.files)
    record.modified_at = _time(found.modified_ns)
    record.changed_at = now
    record.missing_since = None
    resolve(record)


def _time(nanoseconds: int) -> datetime | None:
    """Times outside the calendar (a clock that was never set) are unknown."""
    try:
        return datetime.fromtimestamp(nanoseconds / 1e9, UTC) if nanoseconds else None
    except (OverflowError, OSError, ValueError):
        return None


def values(record: RegisteredModel) -> dict[str, Any]:
    """{field: resolved value} of all that is known."""
    return {
        name: entry["value"]
        for half in (record.extracted, record.curated)
        for name, entry in half.items()
    }


def document(record: RegisteredModel, sight: Sight | None = None) -> dict[str, Any]:
    """Return the document of a model as one person may see it; no key is ever left out.

    Without ``sight`` as commands tell it.
    """
    sight = sight or Sight(None)
    seen = (
        record.missing_since
        if record.status == Status.MISSING
        else record.root.last_scan_at or record.changed_at
    )
    return {
        "model_id": record.model_id,
        "name": record.name,
        **assemble(
            {**values(record), "name": record.name},
            record.variants,
            record.memory_shape,
            this_machine().machine,
        ),
        "path": record.path,
        "root": sight.root(record.root),
        "status": record.status,
        "size_bytes": record.size_bytes,
        "file_count": record.file_count,
        "modified_at": record.modified_at.isoformat() if record.modified_at else None,
        "added_at": record.added_at.isoformat(),
        "last_seen_at": seen.isoformat() if seen else None,
        "visibility": record.visibility,
        "groups": sorted(
            group.name
            for group in record.groups.all()
            if sight.everything or group.name in sight.groups
        ),
        "sources": sources(record, sight),
        "evidence": record.evidence,
        "problems": sight.told(record.problems),
    }


def sources(record: RegisteredModel, sight: Sight | None = None) -> dict[str, dict[str, Any]]:
    """{field: {source, curated}}: ``edited by anna`` for what a person decided."""
    sight = sight or Sight(None)
    extracted = {
        name: {"source": entry["source"], "curated": False}
        for name, entry in record.extracted.items()
    }
    curated = {
        name: {"source": sight.edited(entry["by"]), "curated": True}
        for name, entry in record.curated.items()
    }
    return {**extracted, **curated}

"""Import curated metadata from a file.

First each row is checked and its effect shown, then all rows are applied like any other change.

It is all or nothing unless invalid rows may be skipped; either way it is one batch, which can be
undone as a whole. A value equal to the current one changes nothing, nor does one that is still as
it was exported (``stamps``). An empty value returns a field to automatic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import IO, TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.db import transaction

from discovery.engine.core.text import clean
from discovery.models import RegisteredModel
from discovery.services.core.form_stamps import stamp
from discovery.services.metadata import metadata, plans
from discovery.services.metadata.metadata import COLUMNS
from discovery.services.registry import aliases
from discovery.services.transfer import cells, import_parsing
from discovery.services.transfer.import_parsing import ImportRow, UnreadableFile

if TYPE_CHECKING:
    from django.contrib.auth.models import User

__all__ = ["Change", "Effect", "ImportReport", "Overtaken", "UnreadableFile", "apply", "check"]

BATCH = 250
#: Rows that a report lists one by one, unless more are asked for; its counts are always whole.
LISTED = 200


@dataclass(frozen=True, slots=True)
class Change:
    """One field: what counts now, and what will.

    ``automatic`` says that the field goes back to what the files say.
    """

    field: str
    before: Any
    after: Any
    automatic: bool = False


@dataclass(slots=True)
class Effect:
    """The effect of one row, or why it cannot be applied.

    ``errors`` are (field, what is wrong with it).
    """

    number: int
    model_id: str
    title: str = ""
    changes: list[Change] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        changes = [
            {
                "field": each.field,
                "before": each.before,
                "after": each.after,
                "automatic": each.automatic,
            }
            for each in self.changes
        ]
        errors = [{"field": name, "message": text} for name, text in self.errors]
        return {
            "row": self.number,
            "model_id": self.model_id,
            "title": self.title,
            "changes": changes,
            "errors": errors,
        }


@dataclass(slots=True)
class ImportReport:
    """``changed`` models in ``fields`` fields, and ``wrong`` rows.

    ``batch`` is that of the changes, once they are made.
    """

    rows: int = 0
    changed: int = 0
    fields: int = 0
    unchanged: int = 0
    wrong: int = 0
    effects: list[Effect] = field(default_factory=list)
    faults: list[Effect] = field(default_factory=list)
    batch: UUID | None = None
    replaced: Any = field(default_factory=lambda: blake2b(digest_size=8))

    @property
    def stamp(self) -> str:
        """The stamp of the values that the file replaces.

        It tells whether they are still those that were shown.
        """
        return str(self.replaced.hexdigest())

    def add(self, effect: Effect, listed: int) -> None:
        self.rows += 1
        for change in effect.changes:
            self.replaced.update(
                f"{effect.model_id} {change.field} {stamp(change.before)}\n".encode(
                    "utf-8", "surrogatepass"
                )
            )
        if effect.errors:
            self.wrong += 1
            if len(self.faults) < listed:
                self.faults.append(effect)
        elif effect.changes:
            self.changed += 1
            self.fields += len(effect.changes)
            if len(self.effects) < listed:
                self.effects.append(effect)
        else:
            self.unchanged += 1

    def as_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "changed": self.changed,
            "fields": self.fields,
            "unchanged": self.unchanged,
            "wrong": self.wrong,
            "batch": str(self.batch) if self.batch else None,
            "stamp": self.stamp,
            "effects": [effect.as_json() for effect in self.effects],
            "faults": [effect.as_json() for effect in self.faults],
        }


class Overtaken(Exception):
    """The values to replace are no longer those that were shown; nothing was written.

    ``report`` tells what stands now.
    """

    def __init__(self, report: ImportReport) -> None:
        super().__init__("values have changed since the file was checked")
        self.report = report


class _Wrong(Exception):
    """A row turned out wrong while everything or nothing was being written."""


def check(
    file: IO[bytes], *, listed: int = LISTED, tick: Callable[[int], None] = lambda _done: None
) -> ImportReport:
    """What importing the file would do; writes nothing. Raises ``UnreadableFile``."""
    report = ImportReport()
    seen: dict[str, int] = {}
    for rows in _batches(file):
        records = aliases.find_many(RegisteredModel.objects.only(*plans.COLUMNS), _ids(rows))
        for row in rows:
            report.add(_effect(row, records.get(row.model_id), seen)[0], listed)
        tick(report.rows)
    return report


def apply(
    file: IO[bytes],
    *,
    by: User | None,
    skip_errors: bool = False,
    batch: UUID | None = None,
    listed: int = LISTED,
    tick: Callable[[int], None] = lambda _done: None,
    seen: str | None = None,
) -> ImportReport:
    """Import the file.

    With ``skip_errors`` the rows that are right, a batch at a time; else all of them in one
    transaction, or none.

    ``report.batch`` is set when something was written. Raises ``UnreadableFile`` (of rows read
    before it, none or those kept are written: the file is checked to its end first), and
    ``Overtaken`` when ``seen``, the stamp of an earlier check, is not that of what stands now.
    """
    report = check(file, listed=listed)
    if not report.changed or (report.wrong and not skip_errors):
        return report
    if seen is not None and seen != report.stamp:
        raise Overtaken(report)
    batch = batch or uuid4()
    if skip_errors:
        return _write(file, by, batch, listed, tick, strict=False)
    try:
        with transaction.atomic():
            return _write(file, by, batch, listed, tick, strict=True)
    except _Wrong:
        return check(file, listed=listed)


def _write(
    file: IO[bytes],
    by: User | None,
    batch: UUID,
    listed: int,
    tick: Callable[[int], None],
    *,
    strict: bool,
) -> ImportReport:
    report = ImportReport()
    seen: dict[str, int] = {}
    for rows in _batches(file):
        with transaction.atomic():
            locked = RegisteredModel.objects.select_for_update().only(*plans.COLUMNS)
            records = aliases.find_many(locked.order_by("pk"), _ids(rows))
            changes: dict[RegisteredModel, Mapping[str, Any]] = {}
            for row in rows:
                record = records.get(row.model_id)
                effect, cleaned = _effect(row, record, seen)
                report.add(effect, listed)
                if record and cleaned:
                    changes[record] = cleaned
            if report.wrong and strict:
                raise _Wrong
            metadata.edit_many(changes, by=by, channel="import", batch=batch)
        tick(report.rows)
    report.batch = batch if report.changed else None
    return report


def _batches(file: IO[bytes]) -> Iterator[list[ImportRow]]:
    reading = import_parsing.rows(file)
    while rows := list(islice(reading, BATCH)):
        yield rows


def _ids(rows: list[ImportRow]) -> list[str]:
    return [row.model_id for row in rows]


def _effect(
    row: ImportRow, record: RegisteredModel | None, seen: dict[str, int]
) -> tuple[Effect, dict[str, Any]]:
    """(what the row does, the values to write).

    ``seen`` maps the models of the rows before to their numbers.
    """
    model_id = record.model_id if record else clean(row.model_id, 200)
    effect = Effect(
        row.number,
        model_id,
        record.title if record else "",
        errors=list(row.errors),
    )
    if not row.model_id:
        effect.errors.append(("model_id", "is missing"))
    elif record is None:
        effect.errors.append(
            ("model_id", "there is no such model: an import changes models, it adds none")
        )
    elif model_id in seen:
        is_alias = (
            f"{row.model_id} is an alias of {model_id}, which " if row.model_id != model_id else ""
        )
        effect.errors.append(("model_id", f"{is_alias}stands in row {seen[model_id]} already"))
    else:
        seen[model_id] = row.number
    if record is None or effect.errors:
        return effect, {}
    touched = {
        name: value for name, value in row.values.items() if _is_touched(row, record, name, value)
    }
    try:
        cleaned = metadata.clean(touched)
    except metadata.InvalidMetadata as error:
        effect.errors += error.errors.items()
        return effect, {}
    cleaned = {name: value for name, value in cleaned.items() if _is_change(record, name, value)}
    effect.errors += metadata.refusals(record, cleaned).items()
    if effect.errors:
        return effect, {}
    effect.changes = [_change(record, name, value) for name, value in cleaned.items()]
    return effect, cleaned


def _is_touched(row: ImportRow, record: RegisteredModel, name: str, value: Any) -> bool:
    """Return whether somebody edited the value since it was exported.

    A value that equals the current one does not count.
    """
    empty = value in (None, "", [], {})
    if name in COLUMNS and empty:
        return False
    if row.stamps is not None and (
        row.stamps.get(name) is None if empty else row.stamps.get(name) == cells.stamp(value)
    ):
        return False
    now = getattr(record, name) if name in COLUMNS else record.value(name)
    shown = now or record.name if name == "display_name" else now  # as documents show it
    return bool(value not in (now, shown))


def _is_change(record: RegisteredModel, name: str, value: Any) -> bool:
    if name in COLUMNS:
        return bool(value != getattr(record, name))
    return name in record.curated if value is None else bool(value != record.value(name))


def _change(record: RegisteredModel, name: str, value: Any) -> Change:
    if name in COLUMNS:
        return Change(name, getattr(record, name), value)
    if value is None:
        read = record.extracted.get(name)
        return Change(name, record.value(name), read["value"] if read else None, automatic=True)
    return Change(name, record.value(name), value)

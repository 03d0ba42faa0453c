"""Write a batch of read models to the registry.

It takes a fixed number of statements and one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from discovery.engine.core.fields import FIELDS
from discovery.engine.core.paths import to_text
from discovery.engine.core.service_words import ScanEvent
from discovery.engine.core.text import plural
from discovery.engine.core.types import Candidate, Found
from discovery.engine.core.version import READERS
from discovery.engine.core.vocabulary import Severity, Status
from discovery.engine.identify.model_ids import new_id, options
from discovery.models import (
    Forgotten,
    LogEntry,
    LogTopic,
    ProposedJoin,
    RegisteredModel,
    Root,
    ScanRun,
    SkippedPath,
)
from discovery.services.access import audiences
from discovery.services.core.event_log import Journal
from discovery.services.findings import findings
from discovery.services.registry import aliases, deregistration, tags
from discovery.services.registry.model_files import weight_files
from discovery.services.registry.records import SCANNED, take

#: Columns whose change means something to a person, in the order they are told.
_TELLING = (
    "path",
    "scanned_status",
    "problems",
    "size_bytes",
    "files",
    "variants",
    *(field.name for field in FIELDS.values() if field.column),
)

#: Models a transaction. Small enough that a killed scan loses little and other writers wait little.
BATCH = 100


@dataclass(slots=True)
class Reading:
    """The result of reading one candidate: models, or the reason why there are none.

    ``left_out`` are its formats when the reason is that the configuration does not name them;
    ``errors`` are then the errors of the place itself.
    """

    candidate: Candidate
    found: Sequence[Found] = ()
    reason: str = ""
    left_out: Sequence[str] = ()
    errors: int = 0


@dataclass(slots=True)
class Outcome:
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    errors: int = 0
    #: Records whose place was seen without them: one GGUF file of several was deleted.
    gone: list[int] = field(default_factory=list)


def reconcile(
    root: Root, run: ScanRun | None, readings: Sequence[Reading], journal: Journal
) -> Outcome:
    """Create and update records; curated values, visibility and groups are never touched."""
    with transaction.atomic():
        # A person who registers a model here at this moment comes before or after.
        Root.objects.select_for_update().filter(pk=root.pk).first()
        batch = _Batch(root, run, readings, journal)
        for reading in readings:
            for found in reading.found:
                batch.meet(found, reading.found)
        batch.write()
        _remember_skipped(root, readings, journal)
        journal.write()
    return batch.outcome


class _Batch:
    """Models just read, on their way into the registry."""

    def __init__(
        self, root: Root, run: ScanRun | None, readings: Sequence[Reading], journal: Journal
    ) -> None:
        self.root, self.run, self.journal = root, run, journal
        self.outcome = Outcome()
        self.now = timezone.now()
        self.existing = _existing(root, readings)
        self.ids = _ids_like(readings)
        self.memories = deregistration.find(
            root, [to_text(found.path) for reading in readings for found in reading.found]
        )
        self.records: list[RegisteredModel] = []
        self.matched: set[int] = set()
        #: Of the records that an older reader judged: those that are as they were.
        self.judged_again: list[int] = []
        self.absent: dict[int, datetime] = {}
        self.contents: dict[int, tuple[str, str]] = {}
        self.found_again: list[tuple[RegisteredModel, Forgotten]] = []

    def meet(self, found: Found, beside: Sequence[Found]) -> None:
        """Handle one model; ``beside`` are all models of its place."""
        self.outcome.errors += any(problem.severity is Severity.ERROR for problem in found.problems)
        record, event = self._record_of(found, beside)
        before = {} if record.pk is None else _state(record)
        older = record.read_by < READERS
        self._take(record, found, event)
        different = [name for name in before if getattr(record, name) != before[name]]
        if record.pk is not None and not different:
            self.outcome.unchanged += 1
            self.judged_again += [record.pk] if older else []
            return
        self.outcome.changed += record.pk is not None
        _note(self.journal, record, found, event, different)
        self.records.append(record)

    def _record_of(
        self, found: Found, beside: Sequence[Found]
    ) -> tuple[RegisteredModel, ScanEvent]:
        record = _match(self.existing, found, self.matched, beside)
        if record is not None:
            self.matched.add(record.pk)
            is_back = record.status == Status.MISSING
            return record, LogEntry.Event.BACK if is_back else LogEntry.Event.CHANGED
        record = _new(self.root, self.run, found, self.ids, self.now)
        if memory := self.memories.pop(to_text(found.path), None):
            deregistration.restore(record, memory)
            self.found_again.append((record, memory))
        self.outcome.new += 1
        return record, LogEntry.Event.NEW

    def _take(self, record: RegisteredModel, found: Found, event: ScanEvent) -> None:
        if event is LogEntry.Event.BACK:
            self.absent[record.pk] = record.missing_since or self.now
            record.arrived_at, record.seen_at = self.now, None
        record.root = self.root
        is_untouched = record.signature == found.signature
        content, weights = record.content, record.fingerprint
        take(record, found, self.now)
        if weights != record.fingerprint:  # other weights came to this place
            record.arrived_at = self.now
        if is_untouched and content != record.content and record.pk is not None:
            self.contents[record.pk] = content, record.content

    def write(self) -> None:
        _upsert(self.records)
        if self.judged_again:
            again = RegisteredModel.objects.filter(pk__in=self.judged_again)
            again.update(read_by=READERS)
        deregistration.relink(self.found_again)
        findings.keep_up(self.contents)
        findings.back(self.absent)
        if self.absent:
            ProposedJoin.objects.filter(old__in=list(self.absent)).delete()
        findings.after_scan(self.records)
        tags.sync(self.records)
        audiences.refresh(record.pk for record in self.records)
        self.outcome.gone = [
            record.pk
            for record in self.existing.values()
            if record.pk not in self.matched and record.status != Status.MISSING
        ]


def _existing(root: Root, readings: Sequence[Reading]) -> dict[str, RegisteredModel]:
    """Records of these places or paths, by path."""
    places = {to_text(reading.candidate.place) for reading in readings}
    paths = {to_text(found.path) for reading in readings for found in reading.found}
    rows = RegisteredModel.objects.filter(Q(place__in=places) | Q(path__in=paths), root=root)
    return {record.path: record for record in rows}


def _match(
    existing: dict[str, RegisteredModel],
    found: Found,
    matched: set[int],
    beside: Sequence[Found],
) -> RegisteredModel | None:
    """Return the record for a model that was found.

    It has the same path, or else it is in the same place and its path is now one of the model's
    files, or the folder around them.

    Of a record that has become several models (``beside``), the one with its main weight file keeps
    it.
    """
    record = existing.get(to_text(found.path))
    if record is not None and (len(beside) == 1 or not _is_of_another(record, found, beside)):
        return record
    place, files = to_text(found.place), {to_text(entry.path) for entry in found.files}
    for other in existing.values():
        if (
            other.place == place
            and other.pk not in matched
            and (
                other.path in files
                or other.fingerprint == found.fingerprint
                or _main_file(other) in files
            )
            and not _is_of_another(other, found, beside)
        ):
            return other
    return None


def _main_file(record: RegisteredModel) -> str:
    return next(iter(weight_files(record)), record.path)


def _is_of_another(record: RegisteredModel, found: Found, beside: Sequence[Found]) -> bool:
    """Return whether another model of the place has the record's main weight file.

    ``found`` itself must not have it.
    """
    main = _main_file(record)
    holders = [each for each in beside if any(to_text(entry.path) == main for entry in each.files)]
    return bool(holders) and all(each is not found for each in holders)


def _ids_like(readings: Iterable[Reading]) -> tuple[set[str], set[str]]:
    """(ids the batch may ask for, those of them that are taken), looked up at once."""
    asked = {
        option
        for reading in readings
        for found in reading.found
        for option in options(to_text(found.name), to_text(found.path))
    }
    return asked, aliases.taken(asked)


def _new(
    root: Root, run: ScanRun | None, found: Found, ids: tuple[set[str], set[str]], now: datetime
) -> RegisteredModel:
    asked, taken = ids

    def is_taken(model_id: str) -> bool:
        return model_id in taken or (model_id not in asked and bool(aliases.taken([model_id])))

    model_id = new_id(to_text(found.name), to_text(found.path), is_taken)
    taken.add(model_id)
    return RegisteredModel(model_id=model_id, root=root, added_at=now, arrived_at=now, added_in=run)


def _upsert(batch: list[RegisteredModel]) -> None:
    new = [record for record in batch if record.pk is None]
    changed = [record for record in batch if record.pk is not None]
    # A record may leave the path that a new one takes.
    if changed:
        RegisteredModel.objects.bulk_create(
            changed,
            update_conflicts=True,
            unique_fields=["model_id"],
            update_fields=[*SCANNED, "arrived_at", "seen_at"],
        )
    if new:
        RegisteredModel.objects.bulk_create(new)


def _remember_skipped(root: Root, readings: Sequence[Reading], journal: Journal) -> None:
    SkippedPath.objects.filter(
        root=root, place__in=[to_text(reading.candidate.place) for reading in readings]
    ).delete()
    rejected = [reading for reading in readings if not reading.found]
    SkippedPath.objects.bulk_create(
        SkippedPath(
            root=root,
            place=to_text(r.candidate.place),
            signature=r.candidate.signature,
            reason=to_text(r.reason)[:1000],
            left_out=" ".join(r.left_out)[:200],
            errors=r.errors,
            read_by=READERS,
        )
        for r in rejected
    )
    for reading in rejected:
        text = f"not a model: {reading.reason}"
        journal.add(
            LogTopic.DISCOVERY,
            Severity.INFO,
            text,
            path=reading.candidate.place,
            event=LogEntry.Event.SKIPPED,
        )


def _state(record: RegisteredModel) -> dict[str, object]:
    """What a scan may have changed, to tell reading again from changing."""
    return {
        name: getattr(record, name)
        for name in SCANNED
        if name not in ("root", "changed_at", "validated_at", "status", "read_by")
    }


def _note(
    journal: Journal,
    record: RegisteredModel,
    found: Found,
    event: ScanEvent,
    different: Sequence[str],
) -> None:
    text = f"{found.status.lower()}, {plural(len(found.files), 'file')}"
    if event is LogEntry.Event.CHANGED and (
        named := [
            name.removeprefix("scanned_").removesuffix("_bytes").replace("_", " ")
            for name in _TELLING
            if name in different
        ]
    ):
        text += f"; different now: {', '.join(named)}"
    journal.add(
        LogTopic.DISCOVERY,
        Severity.INFO,
        text,
        model_id=record.model_id,
        path=found.path,
        event=event,
    )
    for problem in found.problems:
        journal.add(
            LogTopic.METADATA,
            problem.severity,
            problem.message,
            model_id=record.model_id,
            path=problem.path,
        )

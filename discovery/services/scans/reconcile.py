"""A batch of models just read → the registry, in a fixed number of statements and one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from discovery.engine.document import CATEGORIES, TEXTS_AND_NUMBERS
from discovery.engine.model_ids import new_id, options
from discovery.engine.paths import to_text
from discovery.engine.text import plural
from discovery.engine.types import Candidate, Found, Severity, Status
from discovery.models import Channel, Forgotten, LogEntry, RegisteredModel, Root, ScanRun, Skipped
from discovery.services import findings, forgetting, tags
from discovery.services.journal import Journal
from discovery.services.records import SCANNED, take

#: Columns whose change means something to a person, in the order they are told.
_TELLING = (
    "path",
    "scanned_status",
    "problems",
    "size_bytes",
    "files",
    "variants",
    *TEXTS_AND_NUMBERS,
    *CATEGORIES,
)

#: Models a transaction. Small enough that a killed scan loses little and other writers wait little.
BATCH = 100


@dataclass(slots=True)
class Reading:
    """What reading one candidate gave: models, or the reason why there are none."""

    candidate: Candidate
    found: Sequence[Found] = ()
    reason: str = ""


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
    """Creates and updates records; curated values, visibility and groups are never touched."""
    outcome = Outcome()
    with transaction.atomic():
        Root.objects.select_for_update().filter(
            pk=root.pk
        ).first()  # a person who registers a model here at this moment comes before or after
        existing = _existing(root, readings)
        asked, taken = _ids_like(readings)
        memories, reserved = forgetting.memories(
            root, [to_text(found.path) for reading in readings for found in reading.found], asked
        )
        ids = asked, taken | reserved
        batch: list[RegisteredModel] = []
        found_again: list[tuple[RegisteredModel, Forgotten]] = []
        matched: set[int] = set()
        now = timezone.now()
        for reading in readings:
            for found in reading.found:
                outcome.errors += any(
                    problem.severity is Severity.ERROR for problem in found.problems
                )
                record = _match(existing, found, matched)
                if record is None:
                    record = _new(root, run, found, ids, now)
                    if memory := memories.pop(to_text(found.path), None):
                        forgetting.give_back(record, memory)
                        found_again.append((record, memory))
                    outcome.new += 1
                    event = LogEntry.Event.NEW
                else:
                    matched.add(record.pk)
                    event = (
                        LogEntry.Event.BACK
                        if record.status == Status.MISSING
                        else LogEntry.Event.CHANGED
                    )
                before = {} if record.pk is None else _state(record)
                record.root = root
                take(record, found, now)
                different = [name for name in before if getattr(record, name) != before[name]]
                if record.pk is not None and not different:
                    outcome.unchanged += 1
                    continue
                outcome.changed += record.pk is not None
                _note(journal, record, found, event, different)
                batch.append(record)
        _upsert(batch)
        forgetting.link_again(found_again)
        findings.after_scan(batch)
        tags.sync(batch)
        _remember_skipped(root, readings, journal)
        outcome.gone = [
            record.pk
            for record in existing.values()
            if record.pk not in matched and record.status != Status.MISSING
        ]
        journal.write()
    return outcome


def _existing(root: Root, readings: Sequence[Reading]) -> dict[str, RegisteredModel]:
    """Records of these places or paths, by path."""
    places = {to_text(reading.candidate.place) for reading in readings}
    paths = {to_text(found.path) for reading in readings for found in reading.found}
    rows = RegisteredModel.objects.filter(Q(place__in=places) | Q(path__in=paths), root=root)
    return {record.path: record for record in rows}


def _match(
    existing: dict[str, RegisteredModel], found: Found, matched: set[int]
) -> RegisteredModel | None:
    """The record at the same path; else one of the same place whose path is now one of the model's files, or the folder around them."""
    record = existing.get(to_text(found.path))
    if record is not None:
        return record
    place, files = to_text(found.place), {to_text(entry.path) for entry in found.files}
    for other in existing.values():
        if (
            other.place == place
            and other.pk not in matched
            and (other.path in files or other.fingerprint == found.fingerprint)
        ):
            return other
    return None


def _ids_like(readings: Iterable[Reading]) -> tuple[set[str], set[str]]:
    """(ids the batch may ask for, those of them that are taken), looked up at once."""
    asked = {
        option
        for reading in readings
        for found in reading.found
        for option in options(to_text(found.name), to_text(found.path))
    }
    taken = (
        set(RegisteredModel.objects.filter(model_id__in=asked).values_list("model_id", flat=True))
        if asked
        else set()
    )
    return asked, taken


def _new(
    root: Root, run: ScanRun | None, found: Found, ids: tuple[set[str], set[str]], now: datetime
) -> RegisteredModel:
    asked, taken = ids

    def is_taken(model_id: str) -> bool:
        return model_id in taken or (
            model_id not in asked and RegisteredModel.objects.filter(model_id=model_id).exists()
        )

    model_id = new_id(to_text(found.name), to_text(found.path), is_taken)
    taken.add(model_id)
    return RegisteredModel(model_id=model_id, root=root, added_at=now, added_in=run)


def _upsert(batch: list[RegisteredModel]) -> None:
    new = [record for record in batch if record.pk is None]
    changed = [record for record in batch if record.pk is not None]
    if new:
        RegisteredModel.objects.bulk_create(new)
    if changed:
        RegisteredModel.objects.bulk_create(
            changed, update_conflicts=True, unique_fields=["model_id"], update_fields=list(SCANNED)
        )


def _remember_skipped(root: Root, readings: Sequence[Reading], journal: Journal) -> None:
    Skipped.objects.filter(
        root=root, place__in=[to_text(reading.candidate.place) for reading in readings]
    ).delete()
    rejected = [reading for reading in readings if not reading.found]
    Skipped.objects.bulk_create(
        Skipped(
            root=root,
            place=to_text(r.candidate.place),
            signature=r.candidate.signature,
            reason=to_text(r.reason)[:1000],
        )
        for r in rejected
    )
    for reading in rejected:
        text = f"not a model: {reading.reason}"
        journal.add(
            Channel.DISCOVERY,
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
        if name not in ("root", "changed_at", "validated_at", "status")
    }


def _note(
    journal: Journal,
    record: RegisteredModel,
    found: Found,
    event: LogEntry.Event,
    different: Sequence[str],
) -> None:
    text = f"{event.value}: {found.status.lower()}, {plural(len(found.files), 'file')}"
    if event is LogEntry.Event.CHANGED and (
        named := [
            name.removeprefix("scanned_").removesuffix("_bytes").replace("_", " ")
            for name in _TELLING
            if name in different
        ]
    ):
        text += f"; different now: {', '.join(named)}"
    journal.add(
        Channel.DISCOVERY,
        Severity.INFO,
        text,
        model_id=record.model_id,
        path=found.path,
        event=event,
    )
    for problem in found.problems:
        journal.add(
            Channel.METADATA,
            problem.severity,
            problem.message,
            model_id=record.model_id,
            path=problem.path,
        )

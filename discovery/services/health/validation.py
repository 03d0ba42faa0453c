"""Validate one model on demand.

Its headers and names are read again, and the checks of the contract report the result.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import psutil
from django.utils import timezone

from discovery.engine.classify.categorize import Categorizer
from discovery.engine.classify.describe import categorized
from discovery.engine.core.completeness import Completeness, completeness
from discovery.engine.core.config import Discovery
from discovery.engine.core.errors import NotAModel
from discovery.engine.core.paths import to_native, to_text
from discovery.engine.core.types import Candidate, Found
from discovery.engine.core.vocabulary import Outcome, Severity, Status
from discovery.engine.disk.walk import walk
from discovery.engine.identify.identify import identify
from discovery.engine.integrity import validate as checks
from discovery.engine.integrity.check import Result
from discovery.engine.integrity.checks import CHECKS
from discovery.models import LogTopic, RegisteredModel
from discovery.services.access.redaction import SOMEBODY, Sight
from discovery.services.core import config_files, event_log
from discovery.services.health import checksums
from discovery.services.machine import reach
from discovery.services.machine.root_probes import RootSilent
from discovery.services.scans.manual_models import ManualModels
from discovery.services.scans.reconcile import Reading, reconcile
from discovery.services.scans.roots import others, settings_of

#: Seconds that the disk has to give the headers of one model; one that does not answer at all is
#: given up sooner.
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What ``GET /models/{model_id}/validate`` answers (contract, section 4)."""

    model_id: str
    valid: bool
    status: str
    checks: list[dict[str, Any]]
    completeness: Completeness

    def as_json(self) -> dict[str, Any]:
        return {
            "model_id": self.model_id,
            "valid": self.valid,
            "status": self.status,
            "checks": self.checks,
            "completeness": {
                "score": self.completeness.score,
                "missing": self.completeness.missing,
            },
        }


class Validation:
    """One run over one model or many.

    Models in one place (the GGUF files of a folder) share one reading of it while they follow each
    other, as they do in the order of ``IN_ORDER``.
    """

    IN_ORDER = ("root_id", "place", "pk")

    def __init__(self) -> None:
        self._place: tuple[int, str] | None = None
        self._found: list[Found] = []

    def validate(self, record: RegisteredModel) -> ValidationReport:
        """Read the model's headers again, changed or not, write the result, and report.

        A model whose files are gone keeps its record; the report says so. A remote model, which
        another server runs, has no files to read. Raises ``RootSilent``; nothing is written then.
        """
        if record.status == Status.REMOTE:
            return report(record)
        return _judged(record, self._again(record))

    def _again(self, record: RegisteredModel) -> tuple[Found, int | None] | None:
        """Return the model and the size of its tokenizer, or ``None`` when the model is gone.

        Its place is updated from the disk.
        """
        place = (record.root_id, record.place)
        if place != self._place:
            self._place = None
            self._found = _read_again(record)
            self._place = place if not record.registered_manually else None
        found = next((found for found in self._found if to_text(found.path) == record.path), None)
        return None if found is None else (found, _tokenizer_size(record, found))


def validate(record: RegisteredModel) -> ValidationReport:
    """One model by itself: see :meth:`Validation.validate`."""
    return Validation().validate(record)


def _judged(record: RegisteredModel, again: tuple[Found, int | None] | None) -> ValidationReport:
    record.refresh_from_db()
    if again is not None:
        record.checks, record.validated_at = checks.as_json(checks.checks(*again)), timezone.now()
    else:
        record.checks, record.validated_at = _absent(record), timezone.now()
    record.save(update_fields=["checks", "validated_at"])
    told = report(record)
    failed = [check for check in told.checks if check["status"] == Outcome.FAILED]
    level = Severity.ERROR if failed else Severity.INFO
    text = f"validated: {'; '.join(check['message'] for check in failed) or 'no check failed'}"
    event_log.record(LogTopic.VALIDATION, level, text, model_id=record.model_id, path=record.path)
    return told


def validate_many(keys: Sequence[int]) -> int:
    """Validate the models with these primary keys that still exist.

    Returns how many have a failed check, or could not be read.
    """
    failed, run = 0, Validation()
    for key in (
        RegisteredModel.objects.filter(pk__in=keys)
        .order_by(*Validation.IN_ORDER)
        .values_list("pk", flat=True)
    ):
        record = RegisteredModel.objects.select_related("root").filter(pk=key).first()
        if record is None:
            continue
        try:
            failed += not run.validate(record).valid
        except RootSilent as error:
            failed += 1
            event_log.record(
                LogTopic.VALIDATION,
                Severity.WARNING,
                f"not validated: {error}",
                model_id=record.model_id,
                path=record.path,
            )
    return failed


def report(record: RegisteredModel, sight: Sight | None = None) -> ValidationReport:
    """From what was last read: opens no file."""
    sight = sight or Sight(None)
    status, message = checksums.checksum_check(record)
    told = [
        {**check, "status": status, "message": message} if check["name"] == "checksum" else check
        for check in record.checks
    ]
    if "license" in record.curated:
        by = sight.person(record.curated["license"]["by"]) or SOMEBODY
        said = {
            "status": Outcome.PASSED.value,
            "message": f"the license is {record.license}, says {by}",
            "path": "",
        }
        told = [
            {**check, **said} if check["name"] == "license_present" else check for check in told
        ]
    values = {
        name: entry["value"]
        for half in (record.extracted, record.curated)
        for name, entry in half.items()
    }
    return ValidationReport(
        record.model_id,
        checks.is_valid(told),
        record.status,
        sight.told(told),
        completeness(values),
    )


@dataclass(slots=True)
class _Read:
    """What is on disk at a record's place; ``reason`` explains why it no longer is a model."""

    candidate: Candidate
    models: list[Found]
    reason: str = ""


def _read_again(record: RegisteredModel) -> list[Found]:
    """Update the record's place from the disk; return the models that are there."""
    root, manual = record.root, None
    if record.registered_manually:
        manual = ManualModels(root, ".", settings_of(root), psutil.virtual_memory().total)
    read = reach.within(
        root,
        ("validate", record.pk),
        partial(_read, record, manual, others(root)),
        longest=PATIENCE,
    )
    if read is None:
        return []
    if read.reason:
        event_log.record(
            LogTopic.VALIDATION,
            Severity.WARNING,
            f"not a model any more: {read.reason}",
            model_id=record.model_id,
            path=record.path,
        )
        return []
    log = event_log.Journal()
    reconcile(root, None, [Reading(read.candidate, read.models)], log)
    log.write()
    return read.models


def _tokenizer_size(record: RegisteredModel, found: Found) -> int | None:
    native = to_native("/", record.root.path)
    return reach.within(
        record.root,
        ("tokenizer", record.pk),
        partial(checks.tokenizer_size, native, found),
        longest=PATIENCE,
    )


def _read(
    record: RegisteredModel, manual: ManualModels | None, skip: Sequence[str]
) -> _Read | None:
    """Read the place; it uses the disk and not the database."""
    native, settings, categorizer = (
        to_native("/", record.root.path),
        settings_of(record.root),
        Categorizer(config_files.rules()),
    )
    if manual is not None and manual.candidate(record.path, skip):
        pointed = manual.read(record.path, skip)
        return _Read(pointed[0], [categorized(pointed[1], categorizer)]) if pointed else None
    candidate = next(
        (
            item
            for item in _candidates(native, record.place, settings, skip)
            if to_text(item.place) == record.place
        ),
        None,
    )
    if candidate is None:
        return None
    try:
        models = identify(native, candidate, settings, psutil.virtual_memory().total)
    except NotAModel as error:
        return _Read(candidate, [], reason=error.reason)
    return _Read(candidate, [categorized(found, categorizer) for found in models])


def _candidates(
    native: str, place: str, settings: Discovery, skip: Sequence[str]
) -> Iterator[Candidate]:
    """Yield what the walk finds at ``place``.

    It is a folder, a file in one, or a name in a store whose manifests and blobs lie above it.
    """
    store, in_store, _ = f"/{place}".partition("/manifests/")
    start = (store.lstrip("/") or ".") if in_store else place
    absolute = to_native(native, start)
    if not os.path.isdir(absolute):
        start = start.rpartition("/")[0] or "."
        absolute = to_native(native, start)
    if not os.path.isdir(absolute):
        return
    below = os.path.relpath(absolute, native).replace(os.sep, "/")
    for item in walk(native, settings, start=below, skip=skip):
        if isinstance(item, Candidate):
            yield item


def _absent(record: RegisteredModel) -> list[dict[str, Any]]:
    text = (
        "its files are not where they used to be: put them back, or scan so that the registry"
        " follows"
    )
    told = [Result("path_readable", Outcome.FAILED, text, record.path)]
    told += [
        Result(name, Outcome.SKIPPED, "the files are not there")
        for name in CHECKS
        if name != "path_readable"
    ]
    return checks.as_json(told)

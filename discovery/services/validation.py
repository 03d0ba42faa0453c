"""Validating one model on demand: its headers and names are read anew, the checks of the contract say what came of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
from django.utils import timezone

from discovery.engine import validate as checks
from discovery.engine.categorize import Categorizer
from discovery.engine.completeness import Completeness, completeness
from discovery.engine.describe import categorized
from discovery.engine.errors import NotAModel
from discovery.engine.identify import identify
from discovery.engine.paths import to_native, to_text
from discovery.engine.types import Candidate, Found, Severity, Status
from discovery.engine.walk import walk
from discovery.models import Channel, RegisteredModel, Root
from discovery.services import checksums, configs, journal
from discovery.services.scans.by_hand import ByHand
from discovery.services.scans.reconcile import Reading, reconcile
from discovery.services.scans.roots import others


@dataclass(frozen=True, slots=True)
class Report:
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


def validate(record: RegisteredModel) -> Report:
    """Reads the model's headers again, whether its files changed or not, writes what was found, and reports.

    A model whose files are gone keeps its record; the report says so. One that another server runs has no files to read.
    """
    if record.status == Status.REMOTE:
        return report(record)
    found = _read_again(record)
    record.refresh_from_db()
    if found is not None:
        size = checks.tokenizer_size(to_native("/", record.root.path), found)
        record.checks, record.validated_at = (
            checks.as_json(checks.checks(found, size)),
            timezone.now(),
        )
    else:
        record.checks, record.validated_at = _absent(record), timezone.now()
    record.save(update_fields=["checks", "validated_at"])
    told = report(record)
    failed = [check for check in told.checks if check["status"] == checks.Outcome.FAILED]
    level = Severity.ERROR if failed else Severity.INFO
    text = f"validated: {'; '.join(check['message'] for check in failed) or 'no check failed'}"
    journal.record(Channel.VALIDATION, level, text, model_id=record.model_id, path=record.path)
    return told


def validate_many(keys: Sequence[int]) -> int:
    """Validates the models with these primary keys that are still there; returns how many have a failed check."""
    failed = 0
    for key in keys:
        record = RegisteredModel.objects.select_related("root").filter(pk=key).first()
        failed += record is not None and not validate(record).valid
    return failed


def report(record: RegisteredModel) -> Report:
    """From what was last read: opens no file."""
    status, message = checksums.checksum_check(record)
    told = [
        {**check, "status": status, "message": message} if check["name"] == "checksum" else check
        for check in record.checks
    ]
    if "license" in record.curated:
        said = {
            "status": checks.Outcome.PASSED.value,
            "message": f"the license is {record.license}, says {record.curated['license']['by']}",
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
    return Report(record.model_id, checks.is_valid(told), record.status, told, completeness(values))


def _read_again(record: RegisteredModel) -> Found | None:
    """Reconciles the record's place with the disk; ``None`` when the model is not there."""
    root = record.root
    native = to_native("/", root.path)
    settings, categorizer = configs.discovery(), Categorizer(configs.rules())
    if record.by_hand and (
        pointed := ByHand(root, ".", settings, psutil.virtual_memory().total)
    ).candidate(record.path):
        read = pointed.read(record.path)
        return _reconciled(record, read[0], [categorized(read[1], categorizer)]) if read else None
    candidate = next(
        (
            item
            for item in _candidates(root, native, record.place)
            if to_text(item.place) == record.place
        ),
        None,
    )
    if candidate is None:
        return None
    try:
        models = [
            categorized(found, categorizer)
            for found in identify(native, candidate, settings, psutil.virtual_memory().total)
        ]
    except NotAModel as error:
        journal.record(
            Channel.VALIDATION,
            Severity.WARNING,
            f"not a model any more: {error.reason}",
            model_id=record.model_id,
            path=record.path,
        )
        return None
    return _reconciled(record, candidate, models)


def _reconciled(
    record: RegisteredModel, candidate: Candidate, models: Sequence[Found]
) -> Found | None:
    log = journal.Journal()
    reconcile(record.root, None, [Reading(candidate, models)], log)
    log.write()
    return next((found for found in models if to_text(found.path) == record.path), None)


def _candidates(root: Root, native: str, place: str) -> Iterator[Candidate]:
    """What the walk finds where ``place`` is: a folder, a file in one, or a name in a store whose manifests and blobs lie above it."""
    store, in_store, _ = f"/{place}".partition("/manifests/")
    start = (store.lstrip("/") or ".") if in_store else place
    absolute = to_native(native, start)
    if not os.path.isdir(absolute):
        start = start.rpartition("/")[0] or "."
        absolute = to_native(native, start)
    if not os.path.isdir(absolute):
        return
    below = os.path.relpath(absolute, native).replace(os.sep, "/")
    for item in walk(native, configs.discovery(), start=below, skip=others(root)):
        if isinstance(item, Candidate):
            yield item


def _absent(record: RegisteredModel) -> list[dict[str, Any]]:
    text = "its files are not where they used to be: put them back, or scan so that the registry follows"
    told = [checks.Check("path_readable", checks.Outcome.FAILED, text, record.path)]
    told += [
        checks.Check(name, checks.Outcome.SKIPPED, "the files are not there")
        for name in checks.CHECKS
        if name != "path_readable"
    ]
    return checks.as_json(told)

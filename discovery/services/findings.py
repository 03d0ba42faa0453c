"""What is wrong with models, kept from the first sight to the last: written by scans and tests, judged by people.

A finding is known by its code, the name of its file and its message, so that it stays itself when the model moves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, OuterRef, Subquery
from django.utils import timezone

from discovery.engine.formats import UNSAFE_CODES
from discovery.engine.paths import to_text
from discovery.engine.text import clean
from discovery.engine.types import Problem, Severity, Status
from discovery.models import Finding, RegisteredModel
from discovery.services import collections

Key = tuple[int, str, str, str]

#: A model may have at most so many at a time; the rest is the same trouble over again.
MAX_PER_MODEL = 50


def after_scan(records: Sequence[RegisteredModel]) -> None:
    """Brings the findings of scanned records up to date with their ``problems``; what was found in files that changed since is resolved.

    A fixed number of statements, however many records. The records' ``status`` follows.
    """
    now = timezone.now()
    with transaction.atomic():
        _write({record: record.problems for record in records}, Finding.Source.SCAN, now)
        others = Finding.objects.filter(model__in=records, resolved_at=None).exclude(
            source=Finding.Source.SCAN
        )
        others.exclude(content=F("model__content")).update(resolved_at=now)
        settle(records)


def replace(model: RegisteredModel, source: str, problems: Iterable[Problem]) -> None:
    """What a deep validation or a test load found, in place of what the one before it found. The model's status follows."""
    told = [
        {
            "code": p.code,
            "message": to_text(p.message),
            "path": to_text(p.path),
            "severity": p.severity.value,
            "offset": p.offset,
        }
        for p in problems
    ]
    with transaction.atomic():
        record = RegisteredModel.objects.select_for_update().get(pk=model.pk)
        _write({record: told}, source, timezone.now())
        settle([record])
    model.status = record.status


def gone(keys: Sequence[int]) -> None:
    """Records whose files are not there any more: what was wrong with the files is resolved, that they are missing is found."""
    with transaction.atomic():
        records = list(
            RegisteredModel.objects.filter(pk__in=keys, status=Status.MISSING).only(
                "pk", "path", "content"
            )
        )
        told = {record: [_missing(record)] for record in records}
        _write(told, Finding.Source.SCAN, timezone.now())
        Finding.objects.filter(model__in=records, resolved_at=None).exclude(
            source=Finding.Source.SCAN
        ).update(resolved_at=timezone.now())


def _missing(record: RegisteredModel) -> dict[str, Any]:
    text = "its files are not where they used to be"
    return {
        "code": "model_missing",
        "message": text,
        "path": record.path,
        "severity": Severity.WARNING,
        "offset": None,
    }


def _write(
    told: Mapping[RegisteredModel, Sequence[Mapping[str, Any]]], source: str, now: datetime
) -> None:
    known: dict[Key, Finding] = {}
    for row in Finding.objects.filter(model__in=list(told), source=source):
        known[row.model_id, row.code, _name(row.path), row.message] = row
    new: list[Finding] = []
    seen: list[int] = []
    moved: list[Finding] = []
    for record, problems in told.items():
        for problem in _worth_telling(problems):
            path, message = problem["path"][:4096], clean(problem["message"], 2000)
            key = (record.pk, problem["code"][:60], _name(path), message)
            if key not in known:
                new.append(_finding(record, source, key, path, problem, now))
                continue
            row = known.pop(key)
            seen.append(row.pk)
            if row.path != path:
                row.path = path
                moved.append(row)
    Finding.objects.bulk_create(new, batch_size=100)
    if seen:
        content = RegisteredModel.objects.filter(pk=OuterRef("model_id")).values("content")[:1]
        Finding.objects.filter(pk__in=seen).update(
            last_seen_at=now, resolved_at=None, content=Subquery(content)
        )
    if moved:
        Finding.objects.bulk_update(moved, ["path"], batch_size=100)
    gone = [row.pk for row in known.values() if row.resolved_at is None]
    if gone:
        Finding.objects.filter(pk__in=gone).update(resolved_at=now)


def _worth_telling(problems: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Each problem once; remarks (``info``) are no findings."""
    distinct = {
        (p["code"], _name(p["path"]), p["message"]): p
        for p in problems
        if p["severity"] != Severity.INFO
    }
    return list(distinct.values())[:MAX_PER_MODEL]


def _finding(
    record: RegisteredModel,
    source: str,
    key: Key,
    path: str,
    problem: Mapping[str, Any],
    now: datetime,
) -> Finding:
    _, code, _, message = key
    return Finding(
        model=record, source=source, code=code, path=path, offset=problem["offset"], severity=problem["severity"], message=message,
        content=record.content, first_seen_at=now, last_seen_at=now,
    )  # fmt: skip


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def settle(records: Sequence[RegisteredModel]) -> None:
    """Sets ``status`` from what the files say, what deep validation found, and what administrators have accepted."""
    errors: dict[int, list[Finding]] = defaultdict(list)
    for row in Finding.objects.filter(model__in=records, resolved_at=None, severity=Severity.ERROR):
        errors[row.model_id].append(row)
    by_status: dict[Status, list[RegisteredModel]] = defaultdict(list)
    for record in records:
        if record.status in (Status.MISSING, Status.REMOTE):
            continue
        verdict = _status(record, errors[record.pk])
        if verdict != record.status:
            record.status = verdict
            by_status[verdict].append(record)
    for status, changed in by_status.items():
        RegisteredModel.objects.filter(pk__in=[record.pk for record in changed]).update(
            status=status
        )
    if by_status:
        collections.refresh([record.pk for changed in by_status.values() for record in changed])


def _status(record: RegisteredModel, errors: Sequence[Finding]) -> Status:
    standing = [
        row
        for row in errors
        if not (row.accepted_content and row.accepted_content == record.content)
    ]
    status = Status(record.scanned_status)
    if status is Status.UNSAFE and not any(
        row.code in UNSAFE_CODES for row in standing if row.source == Finding.Source.SCAN
    ):
        status = (
            Status.CORRUPT
            if any(row.source == Finding.Source.SCAN for row in standing)
            else Status.READY
        )
    if status in (Status.READY, Status.INCOMPLETE) and any(
        row.source == Finding.Source.DEEP for row in standing
    ):
        return Status.CORRUPT
    return status

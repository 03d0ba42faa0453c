"""Store what is wrong with models, from when it is first seen until it is gone.

Scans and tests write findings, and people decide about them.

A finding is identified by its source, its code, its file below the model's own path and the key
that tells it from others there: it stays the same when the model moves and when its message is
reworded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, OuterRef, Subquery
from django.utils import timezone

from discovery.engine.core.problem_codes import UNSAFE_CODES
from discovery.engine.core.text import clean
from discovery.engine.core.types import Problem, problem_json
from discovery.engine.core.vocabulary import Severity, Status
from discovery.models import Finding, RegisteredModel
from discovery.services.curation import collections

#: (model, code, file, key)
Identity = tuple[int, str, str, str]
Told = Mapping[str, Any]

#: Columns that hold what somebody decided about a finding.
DECISION = ("accepted_content", "accepted_reason", "accepted_by", "accepted_at", "snoozed_until")

#: A model may have at most so many at a time; the rest is the same trouble over again.
MAX_PER_MODEL = 50


def after_scan(records: Sequence[RegisteredModel]) -> None:
    """Update the findings of scanned records from their ``problems``.

    Findings of other sources about files that have changed since are resolved.

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
    """What a deep validation or a test load found, in place of what the one before it found.

    The model's status follows.
    """
    told = [problem_json(problem) for problem in problems]
    with transaction.atomic():
        record = RegisteredModel.objects.select_for_update().get(pk=model.pk)
        _write({record: told}, source, timezone.now())
        settle([record])
    model.status = record.status


def gone(keys: Sequence[int]) -> None:
    """Resolve the findings of records whose files are gone, and report the files as missing."""
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


def back(absent: Mapping[int, datetime]) -> None:
    """Reopen the findings of tests for records whose files are back with the same content.

    ``absent`` is {primary key: missing since}.
    """
    if not absent:
        return
    rows = Finding.objects.filter(
        model__in=list(absent), resolved_at__isnull=False, content=F("model__content")
    )
    rows = rows.exclude(source=Finding.Source.SCAN).exclude(content="")
    again = [
        pk
        for pk, model, at in rows.values_list("pk", "model_id", "resolved_at")
        if at and at >= absent[model]
    ]
    if again:
        Finding.objects.filter(pk__in=again).update(resolved_at=None)


def keep_up(contents: Mapping[int, tuple[str, str]]) -> None:
    """Keep findings of files that nobody changed, when only the way to compute ``content`` has.

    ``contents`` is {primary key: (content before, content now)}.
    """
    if not contents:
        return
    rows = [
        row
        for row in Finding.objects.filter(model__in=list(contents))
        if contents[row.model_id][0] in (row.content, row.accepted_content)
    ]
    for row in rows:
        was, now = contents[row.model_id]
        row.content = now if row.content == was else row.content
        row.accepted_content = now if row.accepted_content == was else row.accepted_content
    Finding.objects.bulk_update(rows, ["content", "accepted_content"], batch_size=100)


def _missing(record: RegisteredModel) -> Told:
    return problem_json(
        Problem(
            "model_missing",
            "its files are not where they used to be",
            record.path,
            Severity.WARNING,
        )
    )


def _write(told: Mapping[RegisteredModel, Sequence[Told]], source: str, now: datetime) -> None:
    known = _Known(Finding.objects.filter(model__in=list(told), source=source))
    worth = {
        identity: (record, problem)
        for record, problems in told.items()
        for identity, problem in _worth_telling(record, problems)
    }
    rows = known.match(worth)
    new = [
        _new(record, source, identity, problem, now)
        for identity, (record, problem) in worth.items()
        if identity not in rows
    ]
    changed = [
        row
        for identity, row in rows.items()
        if _bring_up_to_date(row, identity, worth[identity][1])
    ]
    Finding.objects.bulk_create(new, batch_size=100)
    if rows:
        content = RegisteredModel.objects.filter(pk=OuterRef("model_id")).values("content")[:1]
        seen = [row.pk for row in rows.values()]
        Finding.objects.filter(pk__in=seen).update(
            last_seen_at=now, resolved_at=None, content=Subquery(content)
        )
    if changed:
        Finding.objects.bulk_update(changed, [*_TOLD, *_DECIDED], batch_size=100)
    if gone := [row.pk for row in known.left if row.resolved_at is None]:
        Finding.objects.filter(pk__in=gone).update(resolved_at=now)


#: What a check says of a finding, and what people decided about it.
_TOLD = ("file", "key", "path", "message", "severity", "offset")
_DECIDED = ("accepted_content", "snoozed_until")


class _Known:
    """The findings of some models by what they are known by.

    Those from before findings had keys are known by their sentence, once.
    """

    def __init__(self, rows: Iterable[Finding]) -> None:
        self.rows: dict[Identity, Finding] = {}
        self.old: dict[tuple[int, str, str], list[Finding]] = defaultdict(list)
        for row in rows:
            if row.key is None:
                self.old[row.model_id, row.code, row.file].append(row)
            else:
                self.rows[row.model_id, row.code, row.file, row.key] = row

    @property
    def left(self) -> list[Finding]:
        return [*self.rows.values(), *(row for rows in self.old.values() for row in rows)]

    def match(
        self, worth: Mapping[Identity, tuple[RegisteredModel, Told]]
    ) -> dict[Identity, Finding]:
        """What is still the case. Rows that match are taken out."""
        found = {identity: self.rows.pop(identity) for identity in worth if identity in self.rows}
        if self.old:
            found |= self._match_old(
                {
                    identity: problem
                    for identity, (_, problem) in worth.items()
                    if identity not in found
                }
            )
        return found

    def _match_old(self, worth: Mapping[Identity, Told]) -> dict[Identity, Finding]:
        """By the sentence, else where both sides have just one left."""
        found: dict[Identity, Finding] = {}
        for identity, problem in worth.items():
            rows = self.old.get(identity[:3], [])
            row = next(
                (row for row in rows if row.message == clean(problem["message"], 2000)), None
            )
            if row is not None:
                rows.remove(row)
                found[identity] = row
        alone: dict[tuple[int, str, str], list[Identity]] = defaultdict(list)
        for identity in worth:
            if identity not in found:
                alone[identity[:3]].append(identity)
        for place, identities in alone.items():
            if len(identities) == 1 and len(self.old.get(place, [])) == 1:
                found[identities[0]] = self.old.pop(place)[0]
        return found


def _bring_up_to_date(row: Finding, identity: Identity, problem: Told) -> bool:
    """Whether anything changed.

    A warning that was accepted or snoozed is open again once it is known to be an error.
    """
    before = [getattr(row, name) for name in _TOLD]
    if row.severity != Severity.ERROR and problem["severity"] == Severity.ERROR:
        row.accepted_content, row.snoozed_until = "", None
    row.file, row.key = identity[2], identity[3]
    row.path, row.message = problem["path"][:4096], clean(problem["message"], 2000)
    row.severity, row.offset = problem["severity"], problem["offset"]
    return before != [getattr(row, name) for name in _TOLD]


def _worth_telling(
    record: RegisteredModel, problems: Sequence[Told]
) -> list[tuple[Identity, Told]]:
    """Return each problem once; remarks (``info``) are not findings.

    Those that nothing else tells apart are numbered in their order.
    """
    distinct: dict[Identity, Told] = {}
    for problem in problems:
        if problem["severity"] == Severity.INFO:
            continue
        code, key = problem["code"][:60], problem.get("key", "")
        identity, count = (record.pk, code, file_of(record.path, problem["path"]), key), 1
        while identity in distinct and distinct[identity]["message"] != problem["message"]:
            count += 1
            identity = (*identity[:3], f"{key}~{count}")
        distinct.setdefault(identity, problem)
    return list(distinct.items())[:MAX_PER_MODEL]


def file_of(home: str, path: str) -> str:
    """Return ``path`` relative to the model's own path ``home``, so that it survives a move.

    Both arguments are relative to the root.
    """
    if path == home:
        return ""
    inside = path.removeprefix(f"{home}/") if home != "." else path
    return (inside if inside != path or home == "." else path.rpartition("/")[2])[:1000]


def _new(
    record: RegisteredModel, source: str, identity: Identity, problem: Told, now: datetime
) -> Finding:
    row = Finding(
        model=record,
        source=source,
        code=identity[1],
        content=record.content,
        first_seen_at=now,
        last_seen_at=now,
    )
    _bring_up_to_date(row, identity, problem)
    return row


def settle(records: Sequence[RegisteredModel]) -> None:
    """Set ``status`` from scans, deep validation and what administrators have accepted."""
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

"""Merge two records of one model.

The older one keeps its id and people's decisions, and the newer one supplies what is on the disk.

Everything that belongs to the newer record is moved: checksums, deep validations, test loads,
findings; and, where both carry decisions, those too (see :mod:`merging`). Its id becomes an alias.
It takes a fixed number of statements for a chunk of pairs.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Case, CharField, F, Value, When

from discovery.engine.core.service_words import MatchState
from discovery.models import (
    DeepValidation,
    FileChecksum,
    Finding,
    LoadTest,
    LogEntry,
    ProposedJoin,
    RegisteredModel,
    RemoteMatch,
    ScanRun,
)
from discovery.models.job import Job
from discovery.services.access import audiences
from discovery.services.findings import findings
from discovery.services.registry import aliases, tags
from discovery.services.registry.model_files import below, home
from discovery.services.registry.records import SCANNED, resolve, with_registries

#: Pairs a transaction: a record with its files may be some 40 kB.
CHUNK = 200

#: Columns that the older record takes from the newer one besides what every scan writes.
_TAKEN = (*SCANNED, "arrived_at", "deep_validated_at", "seen_at", "remote_values")


def absorb(
    pairs: Mapping[RegisteredModel, RegisteredModel],
    extra: Sequence[str] = (),
    run: ScanRun | None = None,
) -> None:
    """{old: new} of locked records → one record each, in the caller's transaction.

    ``extra`` are further columns of the old ones to save. Ids that ``run`` itself gave the new ones
    do not become aliases.
    """
    if not pairs:
        return
    heirs = {new.pk: old.pk for old, new in pairs.items()}
    absent = {old.pk: old.missing_since for old in pairs if old.missing_since}
    _checksums(heirs)
    for kind in (DeepValidation, LoadTest):
        _works(kind, heirs)
    _findings(heirs)
    _remote_matches(heirs)
    _follow(pairs)
    _log({new.model_id: old.model_id for old, new in pairs.items()})
    _proposals(heirs)
    aliases.hand_over(pairs, run)
    for old, new in pairs.items():
        deep = [at for at in (old.deep_validated_at, new.deep_validated_at) if at]
        for name in SCANNED:
            setattr(old, name, getattr(new, name))
        old.arrived_at, old.seen_at = new.arrived_at or new.added_at, None
        old.deep_validated_at = max(deep, default=None)
        old.remote_values = old.remote_values or new.remote_values
        old.extracted = with_registries(old)
        resolve(old)
    RegisteredModel.objects.filter(pk__in=list(heirs)).delete()
    records = list(pairs)
    columns = list(dict.fromkeys([*_TAKEN, *extra]))
    RegisteredModel.objects.bulk_create(
        records, update_conflicts=True, unique_fields=["model_id"], update_fields=columns
    )
    findings.back(absent)
    findings.after_scan(records)
    tags.sync(records)
    audiences.refresh(record.pk for record in records)


def absorb_part(
    whole: RegisteredModel,
    part: RegisteredModel,
    extra: Sequence[str] = (),
    run: ScanRun | None = None,
) -> None:
    """Merge ``part``, whose files ``whole`` now has, into ``whole``, which stays as it was read."""
    count_from(whole, part)
    for name in SCANNED:  # absorbing writes what the second record was read as
        setattr(part, name, getattr(whole, name))
    part.arrived_at = whole.arrived_at or whole.added_at
    absorb({whole: part}, extra, run)


def count_from(whole: RegisteredModel, part: RegisteredModel) -> None:
    """Make the paths in the rows of ``part`` relative to the folder of ``whole``.

    The files are where they were, but belong to a larger model.

    Accepted findings stay accepted, unless a file may have changed since.
    """
    was, now = home(part), home(whole)
    sums = list(FileChecksum.objects.filter(model=part).only("pk", "path"))
    for row in sums:
        row.path = below(posixpath.normpath(posixpath.join(was, row.path)), now)[:4096]
    FileChecksum.objects.bulk_update(sums, ["path"], batch_size=200)
    rows = list(Finding.objects.filter(model=part).only("pk", "path", "file"))
    for finding in rows:
        if finding.path == part.path != "." and finding.path not in dict(part.files):
            finding.path = whole.path  # it is about the model as a whole
        finding.file = findings.file_of(whole.path, finding.path)
    Finding.objects.bulk_update(rows, ["path", "file"], batch_size=100)
    if _is_untouched(part, whole):
        findings.keep_up({part.pk: (part.content, whole.content)})


def _is_untouched(part: RegisteredModel, whole: RegisteredModel) -> bool:
    """Return whether ``whole`` has all files of ``part``.

    None of them may have been written since a scan last saw the part.
    """
    seen = part.seen_at or part.root.seen_at
    since = whole.modified_at is not None and (seen is None or whole.modified_at > seen)
    return not since and {tuple(entry) for entry in part.files} <= {
        tuple(entry) for entry in whole.files
    }


def _proposals(heirs: Mapping[int, int]) -> None:
    """Update the proposals of a merge.

    Those of a record that stays are settled; those of one that goes now name the one that stays.
    """
    ProposedJoin.objects.filter(old__in=list(heirs.values())).delete()
    rows = list(ProposedJoin.objects.filter(new__in=list(heirs)))
    for row in rows:
        row.new_id = heirs[row.new_id]
    ProposedJoin.objects.bulk_update(rows, ["new"], batch_size=200)


def _checksums(heirs: Mapping[int, int]) -> None:
    """Of two readings of one file the later one counts."""
    columns = ("pk", "model_id", "path", "checked_at")
    rows = list(
        FileChecksum.objects.filter(model__in=[*heirs, *heirs.values()])
        .order_by("checked_at", "pk")
        .only(*columns)
    )
    best = {(heirs.get(row.model_id, row.model_id), row.path): row for row in rows}
    kept = {row.pk for row in best.values()}
    _delete(FileChecksum, [row.pk for row in rows if row.pk not in kept])
    _hand_over([row for row in best.values() if row.model_id in heirs], heirs)


def _remote_matches(heirs: Mapping[int, int]) -> None:
    """Links to registries go along where the other record has none there."""
    rows = list(RemoteMatch.objects.filter(model__in=[*heirs, *heirs.values()]).defer("base_files"))
    pairs = {(row.model_id, row.entry_id) for row in rows}
    linked = {(row.model_id, row.registry) for row in rows if row.state == MatchState.ACCEPTED}
    moved = []
    for row in rows:
        heir = heirs.get(row.model_id)
        is_link = row.state == MatchState.ACCEPTED
        if heir is None or (heir, row.entry_id) in pairs:
            continue
        if is_link and (heir, row.registry) in linked:
            continue
        pairs.add((heir, row.entry_id))
        linked |= {(heir, row.registry)} if is_link else set()
        moved.append(row)
    _hand_over(moved, heirs)


def _works(kind: type[DeepValidation] | type[LoadTest], heirs: Mapping[int, int]) -> None:
    """Move finished and waiting jobs to the record that stays.

    A waiting job is dropped where the other record has the same one, and a running job ends with
    the record that goes.
    """
    rows: list[Any] = list(
        kind._default_manager.filter(model__in=[*heirs, *heirs.values()]).exclude(
            state=Job.State.RUNNING, model__in=list(heirs)
        )
    )
    active = {_slot(row, heirs) for row in rows if row.is_active and row.model_id not in heirs}
    mine = [
        row
        for row in rows
        if row.model_id in heirs and not (row.is_active and _slot(row, heirs) in active)
    ]
    _hand_over(mine, heirs)


def _slot(row: Any, heirs: Mapping[int, int]) -> tuple[int, str]:
    return heirs.get(row.model_id, row.model_id), getattr(row, "variant", "")


def _findings(heirs: Mapping[int, int]) -> None:
    """One finding that both have stays one: what somebody decided about it last holds."""
    rows = list(Finding.objects.filter(model__in=[*heirs, *heirs.values()]).order_by("pk"))
    standing = {_key(row): row for row in rows if row.model_id not in heirs}
    handed: list[Finding] = []
    decided: list[Finding] = []
    seen_again: list[Finding] = []
    for row in rows:
        if row.model_id not in heirs:
            continue
        same = standing.get((heirs[row.model_id], *_key(row)[1:]))
        if same is None:
            handed.append(row)
            continue
        if row.accepted_at or row.snoozed_until:
            for name in findings.DECISION:
                setattr(same, name, getattr(row, name))
            decided.append(same)
        if same.source != Finding.Source.SCAN:
            same.resolved_at, same.content, same.last_seen_at = (
                row.resolved_at,
                row.content,
                row.last_seen_at,
            )
            seen_again.append(same)
    _hand_over(handed, heirs)
    if decided:
        Finding.objects.bulk_update(decided, findings.DECISION, batch_size=100)
    if seen_again:
        Finding.objects.bulk_update(
            seen_again, ["resolved_at", "content", "last_seen_at"], batch_size=100
        )


def _follow(pairs: Mapping[RegisteredModel, RegisteredModel]) -> None:
    """Move the files named in findings of tests from the old place to the new one.

    Scans report them again by themselves.
    """
    homes = {old.pk: (home(old), home(new)) for old, new in pairs.items()}
    rows = (
        Finding.objects.filter(model__in=list(homes))
        .exclude(source=Finding.Source.SCAN)
        .exclude(path="")
        .only("pk", "model_id", "path")
    )
    moved = []
    for row in rows:
        was, now = homes[row.model_id]
        if was != now and (below(row.path, was) or ".").split("/")[0] != "..":
            row.path = posixpath.normpath(posixpath.join(now, below(row.path, was)))[:4096]
            moved.append(row)
    if moved:
        Finding.objects.bulk_update(moved, ["path"], batch_size=100)


def _key(row: Finding) -> tuple[int, str, str, str, str]:
    """What it is known by; one from before findings had keys is known by its sentence."""
    return (
        row.model_id,
        str(row.source),
        row.code,
        row.file,
        row.message if row.key is None else f"key {row.key}",
    )


def _hand_over(rows: Sequence[Any], heirs: Mapping[int, int]) -> None:
    by_kind: dict[Any, list[Any]] = defaultdict(list)
    for row in rows:
        row.model_id = heirs[row.model_id]
        by_kind[type(row)].append(row)
    for kind, some in by_kind.items():
        kind._default_manager.bulk_update(some, ["model"], batch_size=200)


def _delete(kind: Any, keys: Sequence[int]) -> None:
    for start in range(0, len(keys), 500):
        kind._default_manager.filter(pk__in=keys[start : start + 500]).delete()


def _log(ids: Mapping[str, str]) -> None:
    """What was logged about the newer record is about the older one from now on."""
    renamed = Case(
        *(When(model_id=was, then=Value(now)) for was, now in ids.items()),
        default=F("model_id"),
        output_field=CharField(),
    )
    LogEntry.objects.filter(model_id__in=list(ids)).exclude(model_id="").update(model_id=renamed)

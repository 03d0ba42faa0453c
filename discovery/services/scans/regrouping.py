"""Merge records whose files have become part of another model.

This happens when scans have learned which files belong together.

Two records become one: it keeps an id that is known, and all decisions about either; the other id
becomes an alias. Where people decided differently about each, the one that is no longer a model is
kept as missing and offered on the Moves page: nothing is lost, and a person decides. A record that
no longer is a model, and that nobody decided anything about, is deleted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from discovery.engine.core.service_words import Channel
from discovery.engine.core.vocabulary import Severity, Status
from discovery.models import (
    LogEntry,
    LogTopic,
    MetadataChange,
    ProposedJoin,
    RegisteredModel,
    RejectedMove,
    Root,
    ScanRun,
)
from discovery.services.core.event_log import Journal
from discovery.services.curation import collections
from discovery.services.insight.decisions import carried
from discovery.services.integrations import webhooks
from discovery.services.registry.model_files import weight_files
from discovery.services.scans.joining import CHUNK, absorb, absorb_part, count_from
from discovery.services.scans.merging import MERGED, disputed, merge
from discovery.services.scans.relinking import ELSEWHERE, Joined, chunks


def regroup(
    root: Root,
    gone: Sequence[int],
    unlisted: Collection[int],
    run: ScanRun,
    journal: Journal,
    tick: Callable[[], None],
) -> Joined:
    """Join records of ``gone``, which the run did not meet, with those that have their files now.

    Of ``unlisted``, whose files are there still, those without decisions are forgotten.
    """
    result = Joined()
    for keys in chunks(gone, CHUNK):
        with transaction.atomic():
            _join(root, keys, run, journal, result)
            left = [pk for pk in keys if pk in unlisted and pk not in result.keys]
            _forget(left, journal, result)
            journal.write()
        tick()
    return result


def stranded(root: Root) -> list[int]:
    """Models of ``root`` that are missing since earlier runs, and not proposed to anybody yet.

    Their files may be there again as a part of another model.
    """
    rows = RegisteredModel.objects.filter(
        root=root, status=Status.MISSING, proposed_join=None, rejected_arrivals=None
    )
    return list(rows.order_by("-missing_since", "pk").values_list("pk", flat=True)[:CHUNK])


def _join(root: Root, gone: Sequence[int], run: ScanRun, journal: Journal, result: Joined) -> None:
    locked = RegisteredModel.objects.select_for_update(of=("self",)).select_related("root")
    parts = list(locked.filter(root=root, pk__in=gone).order_by("added_at", "pk"))
    owners = _owners(root, parts, set(gone))
    if not owners:
        return
    keys = [record.pk for record in (*parts, *owners.values())]
    decided = set(
        RegisteredModel.objects.filter(carried(), pk__in=keys).values_list("pk", flat=True)
    )
    by_owner: dict[int, list[RegisteredModel]] = defaultdict(list)
    for part in parts:
        if part.pk in owners:
            by_owner[owners[part.pk].pk].append(part)
    for some in by_owner.values():
        owner = owners[some[0].pk]
        heir = _heir(owner, some, decided, run)
        if heir is not owner:
            _note(journal, heir, owner)
            result.new += owner.added_in_id == run.pk
            LogEntry.objects.filter(scan=run, model_id=owner.model_id).update(event="")
            count_from(owner, heir)
            absorb({heir: owner}, run=run)
            result.keys.add(heir.pk)
        for part in some:
            if part is heir:
                continue
            if part.pk not in decided or _is_clear(part, heir):
                _note(journal, part, heir)
                _unite(heir, part, run, has_decisions=part.pk in decided)
                result.keys.add(part.pk)
            else:
                _propose(part, heir, journal)


def _is_clear(part: RegisteredModel, heir: RegisteredModel) -> bool:
    """Whether what people decided about each can be put together without asking them."""
    is_rejected = RejectedMove.objects.filter(old=part, new=heir).exists()
    return not is_rejected and not disputed(part, heir)


def _unite(
    heir: RegisteredModel, part: RegisteredModel, run: ScanRun, *, has_decisions: bool
) -> None:
    if not has_decisions:
        absorb_part(heir, part, run=run)
        return
    made = merge(part, heir, heir, by=None, channel=Channel.SCAN)
    absorb_part(heir, part, MERGED, run)
    collections.refresh([heir.pk])
    MetadataChange.objects.bulk_create(made)
    webhooks.after_edit(made, "", Channel.SCAN)


def _propose(part: RegisteredModel, heir: RegisteredModel, journal: Journal) -> None:
    """People decided differently about each: a person says what the one model has."""
    ProposedJoin.objects.update_or_create(old=part, defaults={"new": heir, "at": timezone.now()})
    text = (
        f"is part of {heir.model_id} now, and people decided differently about each. Nothing was"
        " joined. Choose on the Moves page."
    )
    journal.add(LogTopic.DISCOVERY, Severity.WARNING, text, model_id=part.model_id, path=part.path)


def _owners(
    root: Root, parts: Sequence[RegisteredModel], gone: Collection[int]
) -> dict[int, RegisteredModel]:
    """{key of a part: the record that holds its main weight file}."""
    wanted: dict[str, int] = {}
    folders: set[str] = set()
    for part in parts:
        path = next(iter(weight_files(part)), part.path)
        wanted[path] = part.pk
        names = path.split("/")
        folders |= {"/".join(names[:depth]) or "." for depth in range(len(names) + 1)}
    found: dict[int, RegisteredModel] = {}
    rows: Any = RegisteredModel.objects.filter(root=root).exclude(status__in=ELSEWHERE)
    for some in chunks(sorted(folders)):
        for record in rows.filter(place__in=some).exclude(pk__in=list(gone)).select_related("root"):
            for path, _ in record.files:
                if path in wanted:
                    found.setdefault(wanted[path], record)
    return found


def _heir(
    owner: RegisteredModel,
    parts: Sequence[RegisteredModel],
    decided: Collection[int],
    run: ScanRun,
) -> RegisteredModel:
    """Return the record that stays.

    Decisions count most, then which record was known before, then which has the model's main
    weights.
    """
    main = next(iter(weight_files(owner)), "")
    is_known = owner.added_in_id != run.pk or owner.pk in decided
    return min(
        [owner, *parts] if is_known else parts,
        key=lambda record: (
            record.pk not in decided,
            record is not owner,
            main not in weight_files(record),
        ),
    )


def _forget(keys: Sequence[int], journal: Journal, result: Joined) -> None:
    if not keys:
        return
    rows = RegisteredModel.objects.filter(~carried(), pk__in=keys).exclude(status=Status.MISSING)
    for pk, model_id, path in rows.values_list("pk", "model_id", "path"):
        text = (
            f"{model_id} is not a model by what is known now, and nobody decided anything about it"
        )
        journal.add(LogTopic.DISCOVERY, Severity.INFO, text, path=path)
        result.keys.add(pk)
    RegisteredModel.objects.filter(pk__in=[pk for pk in keys if pk in result.keys]).delete()


def _note(journal: Journal, part: RegisteredModel, whole: RegisteredModel) -> None:
    text = f"{part.model_id} is part of {whole.path} now, and one record with it"
    journal.add(LogTopic.DISCOVERY, Severity.INFO, text, model_id=part.model_id, path=whole.path)

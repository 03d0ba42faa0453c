"""Detect moves: missing models that reappeared take over their new place and keep all decisions.

All missing models are compared with all present ones without decisions, across all roots and in any
order: see :mod:`matching` for the evidence. Ambiguous cases are offered on the Moves page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from django.db import transaction
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, QuerySet

from discovery.engine.core.vocabulary import Severity, Status
from discovery.models import (
    Forgotten,
    LogEntry,
    LogTopic,
    RegisteredModel,
    RejectedMove,
    Root,
    ScanRun,
)
from discovery.services.core.event_log import Journal
from discovery.services.insight.decisions import carried
from discovery.services.registry import aliases, deregistration
from discovery.services.registry.records import resolve
from discovery.services.scans.joining import CHUNK, absorb
from discovery.services.scans.matching import Matching, Side, match

#: Models of either kind have no place on a disk where they are now.
ELSEWHERE = (Status.MISSING, Status.REMOTE)

#: Models of one side that a line of the log names.
MAX_NAMED = 5

#: Keys of a statement.
KEYS = 400

T = TypeVar("T")


@dataclass(slots=True)
class Departures:
    """What a run did not see; ``gone`` are keys of records in places that it could read.

    ``vacated`` are roots whose folders are gone; for those in ``doubtful`` it is unknown whether
    their disk is mounted. The contents of ``unbelieved`` roots are not known to exist: nothing
    arrives in them.
    """

    gone: list[int] = field(default_factory=list)
    vacated: list[Root] = field(default_factory=list)
    doubtful: set[int] = field(default_factory=set)
    unbelieved: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Joined:
    """The records that were joined.

    ``keys`` are those of records that moved; ``new`` of the models they moved onto were new in this
    run.
    """

    keys: set[int] = field(default_factory=set)
    new: int = 0


def chunks(items: Sequence[T], size: int = KEYS) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def relink(run: ScanRun, what: Departures, journal: Journal, tick: Callable[[], None]) -> Joined:
    """Join the pairs that the evidence shows, and report what is ambiguous.

    ``tick`` is called between chunks.
    """
    departures = _departures(what)
    result = Joined()
    if departures:
        arrivals = _arrivals(
            {side.fingerprint for side in departures},
            {side.key for side in departures} | set(what.gone),
            what,
        )
        matching = match(departures, arrivals, _rejected(departures))
        _doubt(matching, what)
        leaving = {*what.gone, *_left_behind(what)}
        for part in chunks(list(matching.pairs.items()), CHUNK):
            _take_over(dict(part), leaving, run, journal, result)
            tick()
        _ask(run, matching, set(what.gone), journal)
    return result


def _left_behind(what: Departures) -> set[int]:
    if not what.vacated:
        return set()
    return set(RegisteredModel.objects.filter(root__in=what.vacated).values_list("pk", flat=True))


# -- both sides


def _departures(what: Departures) -> list[Side]:
    """Missing, gone and left behind, as far as something with the same fingerprint is there."""
    alike = (
        RegisteredModel.objects.filter(fingerprint=OuterRef("fingerprint"))
        .exclude(status__in=ELSEWHERE)
        .exclude(pk=OuterRef("pk"))
    )
    rows = (
        RegisteredModel.objects.filter(Exists(alike.order_by()))
        .exclude(status=Status.REMOTE)
        .exclude(fingerprint="")
    )
    found = {side.key: side for side in _sides(rows.filter(status=Status.MISSING), of_missing=True)}
    if what.vacated:
        found |= {
            side.key: side
            for side in _sides(rows.filter(root__in=what.vacated).exclude(status=Status.MISSING))
        }
    for part in chunks(what.gone):
        found |= {side.key: side for side in _sides(rows.filter(pk__in=part))}
    return list(found.values())


def _arrivals(
    fingerprints: Collection[str], leaving: Collection[int], what: Departures
) -> list[Side]:
    """Return the present models without decisions.

    That it is new does not matter: an earlier scan may have found it.
    """
    absent = {*what.unbelieved, *(root.pk for root in what.vacated)}
    rows = RegisteredModel.objects.exclude(status__in=ELSEWHERE).exclude(root__in=absent)
    found: list[Side] = []
    for part in chunks(sorted(fingerprints)):
        found += [
            side
            for side in _sides(rows.filter(fingerprint__in=part))
            if not side.decided and side.key not in leaving
        ]
    return found


def _sides(rows: QuerySet[RegisteredModel], *, of_missing: bool = False) -> Iterator[Side]:
    told = rows.annotate(
        has_decisions=ExpressionWrapper(carried(), output_field=BooleanField())
    ).order_by()
    columns = (
        "pk", "fingerprint", "content", "root__path", "path", "added_at", "arrived_at",
        "seen_at" if of_missing else "root__seen_at", "added_in_id",
        "has_decisions",
    )  # fmt: skip
    for (
        pk,
        fingerprint,
        content,
        root,
        path,
        added,
        arrived,
        seen,
        run,
        decided,
    ) in told.values_list(*columns).iterator(chunk_size=2000):
        came = arrived or added
        ever_since = run if came == added else None
        yield Side(
            pk,
            fingerprint,
            content,
            location(root, path),
            came,
            max(came, seen or came),
            ever_since,
            bool(decided),
        )


def location(root: str, path: str) -> str:
    return root if path == "." else f"{root.rstrip('/')}/{path}"


def _rejected(departures: Sequence[Side]) -> set[tuple[int, int]]:
    if not RejectedMove.objects.exists():
        return set()
    found: set[tuple[int, int]] = set()
    for part in chunks([side.key for side in departures]):
        found.update(RejectedMove.objects.filter(old__in=part).values_list("old_id", "new_id"))
    return found


def _doubt(matching: Matching, what: Departures) -> None:
    """Decide whether a root that is gone has moved, while its disk may be unmounted.

    It moved when most of its models reappeared elsewhere. Otherwise they may be copies on another
    disk, and a person decides.
    """
    if not what.doubtful:
        return
    present = RegisteredModel.objects.filter(root__in=what.doubtful).exclude(status__in=ELSEWHERE)
    total = Counter(present.values_list("root_id", flat=True))
    homes = dict(present.values_list("pk", "root_id"))
    moved = Counter(homes[old] for old in matching.pairs if old in homes)
    kept = {
        old: new
        for old, new in matching.pairs.items()
        if old not in homes or moved[homes[old]] * 2 > total[homes[old]]
    }
    matching.pairs = kept


# -- joining


def _take_over(
    pairs: dict[int, int], leaving: Collection[int], run: ScanRun, journal: Journal, result: Joined
) -> None:
    """Join each pair: the old record keeps its id and decisions, and the new record is deleted.

    Everything that was scanned comes from the new one.
    """
    with transaction.atomic():
        locked = RegisteredModel.objects.select_for_update(of=("self",)).select_related("root")
        records = {
            record.pk: record
            for record in locked.filter(pk__in=[*pairs, *pairs.values()]).order_by("pk")
        }
        free = set(
            RegisteredModel.objects.filter(~carried(), pk__in=list(pairs.values())).values_list(
                "pk", flat=True
            )
        )
        sure = {
            records[old]: records[new]
            for old, new in pairs.items()
            if old in records
            and new in free
            and (old in leaving or records[old].status == Status.MISSING)
        }
        if not sure:
            return
        arrived = [new.model_id for new in sure.values()]
        events = LogEntry.objects.filter(
            scan=run, model_id__in=arrived, event__in=(LogEntry.Event.NEW, LogEntry.Event.BACK)
        )
        events.update(event="")  # they were not new after all
        for old, new in sure.items():
            note_move(journal, old, new)
        result.new += sum(new.added_in_id == run.pk for new in sure.values())
        result.keys |= {old.pk for old in sure}
        absorb(sure, run=run)
        journal.write()


def note_move(journal: Journal, old: RegisteredModel, new: RegisteredModel, by: str = "") -> None:
    was = old.path if old.root_id == new.root_id else location(old.root.path, old.path)
    text = f"moved from {was}" + (f", joined by {by} with {new.model_id}" if by else "")
    journal.add(
        LogTopic.DISCOVERY,
        Severity.INFO,
        text,
        model_id=old.model_id,
        path=new.path,
        event=LogEntry.Event.MOVED,
    )


def _ask(run: ScanRun, matching: Matching, gone: Collection[int], journal: Journal) -> None:
    """Report ambiguous cases once, in the run that finds them."""
    fresh = [
        (olds, news)
        for olds, news in matching.unclear
        if any(old.key in gone for old in olds)
        or any(run.started_at and new.came >= run.started_at for new in news)
    ]
    shown = {side.key for olds, news in fresh for side in (*olds[:MAX_NAMED], *news[:MAX_NAMED])}
    names: dict[int, str] = {}
    for part in chunks(sorted(shown)):
        names |= dict(RegisteredModel.objects.filter(pk__in=part).values_list("pk", "model_id"))
    for olds, news in fresh:
        text = (
            f"{_listed(olds, names)} may have moved to {_listed(news, names, ' or ')}: the weights"
            " are the same. Nothing was joined."
        )
        journal.add(
            LogTopic.DISCOVERY,
            Severity.WARNING,
            f"{text} Choose on the Moves page.",
            model_id=names.get(olds[0].key, ""),
        )
    journal.write()


def _listed(sides: Sequence[Side], names: Mapping[int, str], between: str = ", ") -> str:
    shown = [names.get(side.key, "?") for side in sides[:MAX_NAMED]]
    more = len(sides) - len(shown)
    return between.join(shown) + (f" and {more:,} more" if more > 0 else "")


# -- forgotten models


def relink_forgotten(
    roots: Mapping[int, Callable[[str], bool]], what: Departures, run: ScanRun, journal: Journal
) -> int:
    """Restore what is kept of removed models to the same weights at another place.

    Returns to how many.

    ``roots``: those that this run has seen wholly, and whether a path below one could not be looked
    at. What is kept for a path that such a scan did not give it back to is kept for files that are
    not there any more.
    """
    memories = [
        memory
        for memory in (
            Forgotten.objects.filter(root__in=list(roots))
            .exclude(fingerprint="")
            .select_related("root")
            .defer("kept")
        )
        if not roots[memory.root_id](memory.path)
    ]
    if not memories:
        return 0
    sides = [
        Side(
            memory.pk,
            memory.fingerprint,
            "",
            location(memory.root.path, memory.path),
            memory.at,
            memory.at,
            decided=True,
        )
        for memory in memories
    ]
    pairs = match(sides, _arrivals({side.fingerprint for side in sides}, (), what)).pairs
    for part in chunks(list(pairs.items()), CHUNK):
        _give_back(dict(part), run, journal)
    return len(pairs)


def _give_back(pairs: Mapping[int, int], run: ScanRun, journal: Journal) -> None:
    with transaction.atomic():
        locked = RegisteredModel.objects.select_for_update().filter(
            ~carried(), pk__in=list(pairs.values())
        )
        records = {record.pk: record for record in locked}
        memories = Forgotten.objects.in_bulk(list(pairs))
        found: list[tuple[RegisteredModel, Forgotten]] = []
        former: dict[str, RegisteredModel] = {}
        for key, memory in memories.items():
            if (record := records.get(pairs[key])) is None:
                continue
            was = record.model_id
            if record.added_in_id != run.pk:
                former[was] = record
            deregistration.restore(record, memory)
            resolve(record)
            found.append((record, memory))
            text = f"known again from {memory.path}, where it was forgotten; was {was} until now"
            journal.add(
                LogTopic.DISCOVERY, Severity.INFO, text, model_id=record.model_id, path=record.path
            )
        deregistration.save_again(found)
        aliases.add(former)
        journal.write()

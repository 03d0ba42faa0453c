"""The end of a run, after all its roots have been walked.

It settles which models moved, which are missing, and which roots cannot be trusted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, cast

from django.db.models import Exists, OuterRef
from django.utils import timezone

from discovery.engine.core.text import plural
from discovery.engine.core.version import READERS
from discovery.engine.core.vocabulary import Severity, Status
from discovery.models import LogTopic, RegisteredModel, Root, ScanRun, SkippedPath
from discovery.services.core.event_log import Journal
from discovery.services.core.timeouts import ask
from discovery.services.jobs.progress import Progress
from discovery.services.scans import moves
from discovery.services.scans.regrouping import regroup, stranded
from discovery.services.scans.relinking import Departures, chunks, relink, relink_forgotten
from discovery.services.scans.watch import MAX_NAMED, Watch, is_vacated

#: Asks the disk something, for as long as it takes or until the root is given up.
Look = Callable[[Callable[[], Any]], Any]

#: Seconds that a root has to say whether it is there.
PATIENCE = 5.0


@dataclass(slots=True)
class Walked:
    """One root, or one folder of it, after the walk.

    ``total`` models were known there before, ``found`` were met, and ``has_arrivals`` says that
    something was new or changed.

    ``gone`` are keys of records that were not met, ``places`` are the expected places that were not
    met; ``hidden`` counts the records that are kept because a folder could not be read. ``fault``
    explains why nothing could be read. Of ``gone``, ``unlisted`` are still in place, and an older
    reader took them for models.
    """

    root: Root
    whole: bool
    began: datetime
    watch: Watch
    total: int = 0
    found: int = 0
    has_arrivals: bool = False
    gone: list[int] = field(default_factory=list)
    unlisted: set[int] = field(default_factory=set)
    places: set[str] = field(default_factory=set)
    hidden: Counter[str] = field(default_factory=Counter)
    mounts: dict[str, int] = field(default_factory=dict)
    device: int | None = None
    ended: datetime | None = None
    fault: str = ""

    @property
    def is_other_disk(self) -> bool:
        """Whether the root's path has another file system than at the last full scan."""
        return not self.fault and self.root.device is not None and self.device != self.root.device

    @property
    def away(self) -> dict[str, int]:
        return {path: count for path, count in self.hidden.items() if path in self.watch.away}


def conclude(
    walked: Walked,
    seen: Collection[str],
    lost: Iterable[str],
    gone: Sequence[int],
    look: Look,
    *,
    accept: bool,
) -> None:
    """Handle what the walk did not meet, while its root is still accessible.

    With ``accept`` a person has confirmed that what is away is gone.

    ``look`` asks the disk, which may hang: it raises ``RootSilent``.
    """
    watch = walked.watch
    look(watch.end)
    gone = [*gone, *_moved_meanwhile(walked, look)] if walked.has_arrivals else gone
    walked.ended = timezone.now()
    if accept:
        for path in watch.away:
            watch.unread.pop(path, None)
    walked.device = look(watch.device)
    walked.places = set(lost)
    for pk, place, path in _present(walked.root, walked.places, gone):
        hidden = watch.hides(place) or watch.hides(path)
        if hidden is None:
            walked.gone.append(pk)
        else:
            walked.hidden[hidden] += 1
            walked.places.discard(place)
    walked.places = {place for place in walked.places if watch.hides(place) is None}
    if outdated := _outdated(walked.gone):
        walked.unlisted = set(look(lambda: [pk for pk, path in outdated if watch.is_there(path)]))
    if walked.whole:
        walked.mounts = look(partial(watch.found_mounts, seen, walked.hidden))


def _outdated(keys: Sequence[int]) -> list[tuple[int, str]]:
    """Return (key, path) of the models that an older reader has read."""
    return [
        row
        for part in chunks(keys)
        for row in RegisteredModel.objects.filter(pk__in=part, read_by__lt=READERS).values_list(
            "pk", "path"
        )
    ]


def _moved_meanwhile(walked: Walked, look: Look) -> list[int]:
    """Return the records that moved while the walk ran.

    The walk met them, later met their weights elsewhere, and they are no longer where it met them.
    """
    beside = RegisteredModel.objects.filter(
        fingerprint=OuterRef("fingerprint"), arrived_at__gte=walked.began
    ).exclude(pk=OuterRef("pk"))
    rows = RegisteredModel.objects.filter(Exists(beside.order_by()), root=walked.root).exclude(
        status=Status.MISSING
    )
    places = list(rows.values_list("pk", "place"))
    return cast(
        "list[int]", look(lambda: [pk for pk, place in places if not walked.watch.is_there(place)])
    )


def _present(
    root: Root, places: Collection[str], keys: Sequence[int]
) -> list[tuple[int, str, str]]:
    if not places and not keys:
        return []
    rows = (
        RegisteredModel.objects.filter(root=root)
        .exclude(status=Status.MISSING)
        .values_list("pk", "place", "path")
    )
    wanted = set(keys)
    return [row for row in rows.iterator(chunk_size=5000) if row[1] in places or row[0] in wanted]


def settle(
    scans: Sequence[Walked], run: ScanRun, progress: Progress, journal: Journal
) -> list[str]:
    """Detect moves across all roots first, then missing models. Returns notes for the run."""
    tick = partial(progress.tick, now=True)
    for walked in scans:
        if walked.fault or walked.is_other_disk:
            continue
        earlier = stranded(walked.root) if walked.has_arrivals else []
        if gone := [*walked.gone, *earlier]:
            part = regroup(walked.root, gone, walked.unlisted, run, journal, tick)
            walked.gone = [pk for pk in walked.gone if pk not in part.keys]
            progress.new = max(progress.new - part.new, 0)
    what = _departures(scans)
    joined = relink(run, what, journal, tick)
    progress.moved += len(joined.keys)
    progress.new = max(progress.new - joined.new, 0)
    notes = [
        note
        for walked in scans
        if (note := _settle_root(walked, joined.keys, run, progress, journal))
    ]
    seen_wholly = {
        walked.root.pk: _hides(walked.watch)
        for walked in scans
        if walked.whole and not walked.fault and not walked.is_other_disk
    }
    known = relink_forgotten(seen_wholly, what, run, journal)
    progress.moved += known
    progress.new = max(progress.new - known, 0)
    journal.write()
    return notes


def _hides(watch: Watch) -> Callable[[str], bool]:
    return lambda path: watch.hides(path) is not None


def _departures(scans: Sequence[Walked]) -> Departures:
    """What may have moved.

    Places that could not be read are left out: their models may be where they were.
    """
    what = Departures()
    walked_roots = {walked.root.pk for walked in scans}
    for walked in scans:
        if walked.fault:
            what.unbelieved.add(walked.root.pk)
        elif not walked.is_other_disk:
            what.gone += walked.gone
    frozen = (
        Root.objects.exclude(frozen_reason="")
        .exclude(pk__in=walked_roots)
        .exclude(path=Root.REMOTE)
    )
    what.unbelieved.update(frozen.values_list("pk", flat=True))
    asked = [*(walked.root for walked in scans if walked.fault and walked.whole), *frozen]
    for root, vacated in _vacated(asked).items():
        if vacated is not False:
            what.vacated.append(root)
        if vacated is None:
            what.doubtful.add(root.pk)
    return what


def _vacated(roots: Sequence[Root]) -> Mapping[Root, bool | None]:
    """Roots that answer in time, and whether each is there no more."""
    if not roots:
        return {}
    by_key = {("vacated", root.path): root for root in roots}
    answers = ask(
        {key: partial(is_vacated, root.path, root.device) for key, root in by_key.items()}, PATIENCE
    )
    return {by_key[key]: answer for key, answer in answers.items()}


def _settle_root(
    walked: Walked, moved: Collection[int], run: ScanRun, progress: Progress, journal: Journal
) -> str:
    root = walked.root
    if walked.fault:
        return _settle_unreadable(walked, run, progress, journal)
    gone = [pk for pk in walked.gone if pk not in moved]
    notes = _tell_hidden(walked, progress, journal)
    believed = run.accept_missing or not walked.whole
    reason = (
        ""
        if believed
        else _other_disk(walked, len(gone)) or moves.distrust(walked.total, walked.found, len(gone))
    )
    if reason:
        moves.freeze(root, reason, len(gone), journal)
        progress.errors += 1
        notes.append(
            f"{root.path}: {reason} Nothing was marked missing; confirm on the Scans page if they"
            " are really gone."
        )
        return " ".join(notes)
    progress.missing += moves.mark_missing(root, gone, journal)
    for part in chunks(sorted(walked.places)):
        SkippedPath.objects.filter(root=root, place__in=part).delete()
    if walked.whole:
        if away := _away(walked):
            moves.freeze(root, away, sum(walked.away.values()), journal)
        else:
            moves.thaw(root)
        seen = {
            "last_scan_at": timezone.now(),
            "seen_at": walked.ended,
            "device": walked.device,
            "mounts": walked.mounts,
        }
        Root.objects.filter(pk=root.pk).update(**seen)
    return " ".join(notes)


def _settle_unreadable(walked: Walked, run: ScanRun, progress: Progress, journal: Journal) -> str:
    root = walked.root
    if not walked.whole:  # one folder of the root says nothing about the rest of it
        progress.errors += 1
        journal.add(LogTopic.DISCOVERY, Severity.ERROR, walked.fault, path=root.path)
        return f"{root.path}: {walked.fault} Its models stay as they are."
    present = list(
        RegisteredModel.objects.filter(root=root)
        .exclude(status=Status.MISSING)
        .values_list("pk", flat=True)
    )
    if run.accept_missing:
        progress.missing += moves.mark_missing(root, present, journal)
        moves.thaw(root)
        return ""
    progress.errors += 1
    if not present:
        moves.thaw(root)
        journal.add(LogTopic.DISCOVERY, Severity.ERROR, walked.fault, path=root.path)
        return f"{root.path}: {walked.fault} No model is registered there."
    moves.freeze(root, walked.fault, len(present), journal)
    return f"{root.path}: {walked.fault} Its models stay as they are."


def _other_disk(walked: Walked, gone: int) -> str:
    if not gone or not walked.is_other_disk:
        return ""
    lost = plural(gone, "model is", "models are")
    return (
        f"The folder is on another file system than at the last scan, and {lost} not in it. Is the"
        " right disk mounted?"
    )


def _away(walked: Walked) -> str:
    """Return the reason for freezing a root below which a file system is not mounted.

    Only a person can say that it is gone for good.
    """
    if not walked.away:
        return ""
    count = sum(walked.away.values())
    named = ", ".join(sorted(walked.away)[:MAX_NAMED])
    kept = (
        "the model below it stays as it is"
        if count == 1
        else f"the {count:,} models below it stay as they are"
    )
    return f"{named} was a file system of its own and is not mounted now: {kept}."


def _tell_hidden(walked: Walked, progress: Progress, journal: Journal) -> list[str]:
    """Log which models were kept because a folder could not be read, and why."""
    notes = []
    for number, (path, count) in enumerate(sorted(walked.hidden.items())):
        where = walked.root.path if path == "." else f"{walked.root.path.rstrip('/')}/{path}"
        text = (
            f"{plural(count, 'model')} could not be looked at ({walked.watch.unread[path]}) and"
            f" stay{'s' if count == 1 else ''} as before."
        )
        journal.add(LogTopic.DISCOVERY, Severity.ERROR, text, path=where)
        if number < MAX_NAMED:
            notes.append(f"{where}: {text}")
    if len(walked.hidden) > MAX_NAMED:
        notes.append(
            f"{len(walked.hidden) - MAX_NAMED:,} more folders could not be looked at; the log names"
            " them."
        )
    if walked.hidden:
        progress.errors += 1
    return notes

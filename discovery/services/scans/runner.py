"""One scan, from claim to verdict: walk, read what changed, reconcile in batches, then ask what was not seen."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import psutil
from django.utils import timezone

from discovery.engine.categorize import Categorizer
from discovery.engine.config import Discovery
from discovery.engine.describe import categorized
from discovery.engine.errors import NotAModel
from discovery.engine.identify import identify
from discovery.engine.paths import to_native, to_text
from discovery.engine.text import plural
from discovery.engine.types import Candidate, Problem, Severity, Status
from discovery.engine.walk import walk
from discovery.models import Channel, LogEntry, RegisteredModel, Root, ScanRun, Skipped
from discovery.services import collections, configs, journal, webhooks
from discovery.services.journal import Journal
from discovery.services.scans import claims, moves
from discovery.services.scans.by_hand import ByHand
from discovery.services.scans.progress import Progress, Stopped
from discovery.services.scans.reconcile import BATCH, Reading, reconcile
from discovery.services.scans.roots import NoSuchFolder, locate, others, sync_roots

logger = logging.getLogger(__name__)

#: Longer paths fit no index of the databases we support.
MAX_PATH = 2_000


@dataclass(slots=True)
class Known:
    """What the registry holds of a place: enough to see that nothing changed."""

    signature: str
    records: int = 0
    settled: bool = True


@dataclass
class RootScan:
    """The state of scanning one root (or one folder of it)."""

    root: Root
    start: str
    progress: Progress
    journal: Journal
    full: bool
    run: ScanRun | None
    settings: Discovery
    memory_bytes: int
    known: dict[str, Known] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    gone: list[int] = field(default_factory=list)

    @cached_property
    def categorizer(self) -> Categorizer:
        """Rules are read once something has to be decided: an unchanged root never asks."""
        return Categorizer(configs.rules())

    @cached_property
    def by_hand(self) -> ByHand:
        return ByHand(self.root, self.start, self.settings, self.memory_bytes)


def execute(run: ScanRun, listener: Callable[[Progress], None] | None = None) -> ScanRun:
    """Runs a queued scan in this process, to its end. Returns the run, finished."""
    claims.reap()
    if not claims.begin(run):
        return run
    progress = Progress(run, listener)
    log = Journal(run)
    gc.freeze()  # what Django has loaded is no garbage: each collection during the scan would walk all of it
    state, message = ScanRun.State.DONE, ""
    try:
        message = _scan(run, progress, log)
    except (Stopped, KeyboardInterrupt):
        state, message = (
            ScanRun.State.CANCELLED,
            "Stopped before the end; what was read until then is registered.",
        )
    except NoSuchFolder as error:
        state, message = ScanRun.State.FAILED, str(error)
    except Exception as error:
        logger.exception("scan %s failed", run.pk)
        state, message = ScanRun.State.FAILED, f"{type(error).__name__}: {error}"
        raise
    finally:
        gc.unfreeze()
        _finish(run, progress, log, state, message)
    return run


def preview(
    paths: list[str], *, full: bool, listener: Callable[[Progress], None] | None = None
) -> Progress:
    """What a scan would find, without writing anything. Raises ``NoSuchFolder``."""
    progress = Progress(None, listener)
    targets = [locate(path, add=False) for path in paths] or _every_root()
    for root, start in targets:
        scan = _root_scan(root, start, None, progress, Journal(), full)
        try:
            for batch in _batches(scan):
                for reading in batch:
                    _count_preview(scan, reading)
        except OSError as error:
            raise NoSuchFolder(f"{root.path} cannot be read: {error.strerror}.") from error
        lost = [
            known for place, known in scan.known.items() if place not in scan.seen and known.settled
        ]
        progress.missing += sum(known.records for known in lost)
    return progress


def _count_preview(scan: RootScan, reading: Reading) -> None:
    known = scan.known.get(to_text(reading.candidate.place))
    progress = scan.progress
    progress.found += len(reading.found)
    progress.errors += sum(
        any(p.severity is Severity.ERROR for p in found.problems) for found in reading.found
    )
    if known and known.records:
        progress.changed += len(reading.found)
    else:
        progress.new += len(reading.found)


def _scan(run: ScanRun, progress: Progress, log: Journal) -> str:
    whole = Root.objects.filter(path=run.path).first()
    # A root that is there no more is still a root: whether its models are gone is for `_scan_root` to judge.
    targets = (
        [(whole, ".")] if whole else [locate(run.path, add=True)] if run.path else _every_root()
    )
    notes = []
    for root, start in targets:
        if not claims.claim(root, run):
            notes.append(f"{root.path} is being scanned by another run.")
            continue
        try:
            notes.append(_scan_root(_root_scan(root, start, run, progress, log, run.full)))
        finally:
            claims.release(root, run)
    return " ".join(note for note in notes if note)


def _every_root() -> list[tuple[Root, str]]:
    sync_roots()
    return [(root, ".") for root in Root.objects.filter(enabled=True)]


def _root_scan(
    root: Root, start: str, run: ScanRun | None, progress: Progress, log: Journal, full: bool
) -> RootScan:
    scan = RootScan(
        root, start, progress, log, full, run, configs.discovery(), psutil.virtual_memory().total
    )
    if root.pk is not None:
        scan.known = _known(root, start)
        progress.expected += sum(known.records for known in scan.known.values() if known.settled)
    return scan


def _known(root: Root, start: str) -> dict[str, Known]:
    """Places below ``start`` with their signatures: one row of three values a model, whatever it holds."""
    known: dict[str, Known] = {}
    records = RegisteredModel.objects.filter(root=root)
    skipped = Skipped.objects.filter(root=root)
    for place, signature, status in records.values_list("place", "signature", "status").iterator(
        chunk_size=5000
    ):
        entry = known.setdefault(place, Known(signature))
        entry.records += 1
        if status == Status.MISSING or entry.signature != signature:
            entry.settled = False
    for place, signature in skipped.values_list("place", "signature").iterator(chunk_size=5000):
        known.setdefault(place, Known(signature))
    if start == ".":
        return known
    return {
        place: entry
        for place, entry in known.items()
        if place == start or place.startswith(start + "/")
    }


def _scan_root(scan: RootScan) -> str:
    """Returns a note for the run; empty when all went as expected."""
    root = scan.root
    try:
        for batch in _batches(scan):
            outcome = reconcile(root, scan.run, batch, scan.journal)
            scan.progress.found += sum(len(reading.found) for reading in batch)
            scan.progress.new += outcome.new
            scan.progress.changed += outcome.changed
            scan.progress.unchanged += outcome.unchanged
            scan.progress.errors += outcome.errors
            scan.gone += outcome.gone
            scan.progress.tick()
    except OSError as error:
        present = (
            RegisteredModel.objects.filter(root=root)
            .exclude(status=Status.MISSING)
            .values_list("pk", flat=True)
        )
        if scan.run and scan.run.accept_missing:
            scan.progress.missing += moves.mark_missing(root, list(present), scan.journal)
            moves.thaw(root)
            return ""
        reason = f"The folder cannot be read: {error.strerror}."
        moves.freeze(root, reason, present.count(), scan.journal)
        scan.progress.errors += 1
        return f"{root.path}: {reason} Its models stay as they are."
    scan.journal.write()
    return _settle(scan)


def _settle(scan: RootScan) -> str:
    """Moved, missing, or not to be believed."""
    root, run, whole = scan.root, scan.run, scan.start == "."
    assert run is not None
    lost_places = {place for place, known in scan.known.items() if place not in scan.seen}
    total = sum(known.records for known in scan.known.values() if known.settled)
    gone = scan.gone + _present_at(root, lost_places)
    moved = moves.relink(root, run, gone, scan.journal)
    scan.progress.moved += len(moved)
    scan.progress.new = max(scan.progress.new - len(moved), 0)
    gone = [pk for pk in gone if pk not in moved]
    reason = (
        ""
        if run.accept_missing or not whole
        else moves.distrust(total, scan.progress.found, len(gone))
    )
    if reason:
        moves.freeze(root, reason, len(gone), scan.journal)
        scan.progress.errors += 1
        return f"{root.path}: {reason} Nothing was marked missing; confirm on the Scans page if they are really gone."
    scan.progress.missing += moves.mark_missing(root, gone, scan.journal)
    for part in moves.chunks(list(lost_places)):
        Skipped.objects.filter(root=root, place__in=part).delete()
    if whole:
        moves.thaw(root)
        Root.objects.filter(pk=root.pk).update(last_scan_at=timezone.now())
    return ""


def _present_at(root: Root, places: set[str]) -> list[int]:
    if not places:
        return []
    rows = (
        RegisteredModel.objects.filter(root=root)
        .exclude(status=Status.MISSING)
        .values_list("pk", "place")
    )
    return [pk for pk, place in rows.iterator(chunk_size=5000) if place in places]


def _batches(scan: RootScan) -> Iterator[list[Reading]]:
    """Reads what is new or changed, ``BATCH`` candidates at a time; what is unchanged is only counted."""
    native_root = to_native("/", scan.root.path)
    skip = others(scan.root) if scan.root.pk is not None else []
    start = (
        os.path.relpath(to_native(native_root, scan.start), native_root)
        if scan.start != "."
        else "."
    )
    batch: list[Reading] = []
    for item in walk(native_root, scan.settings, start=start.replace(os.sep, "/"), skip=skip):
        if isinstance(item, Problem):
            _log_problem(scan, item)
            continue
        place = to_text(item.place)
        scan.seen.add(place)
        known = scan.known.get(place)
        if known and known.settled and known.signature == item.signature and not scan.full:
            scan.progress.unchanged += known.records
            scan.progress.found += known.records
        elif len(place) > MAX_PATH:
            _log_problem(
                scan,
                Problem(
                    "path_too_long",
                    f"the path has more than {MAX_PATH:,} characters; the model cannot be registered",
                    item.place,
                ),
            )
        elif (reading := _read(scan, native_root, item)) is not None:
            batch.append(reading)
        scan.progress.tick(item.place)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    for place, path in scan.by_hand.beyond(scan.seen):
        reading = _read_pointed(scan, path, scan.known.get(place))
        batch += [reading] if reading else []
    if batch:
        yield batch


def _read_pointed(scan: RootScan, path: str, known: Known | None) -> Reading | None:
    """A model that a person has registered where scans do not come by: as a scan would treat it; ``None`` when it is unchanged or gone."""
    candidate = scan.by_hand.candidate(path)
    if candidate is None:
        return None
    scan.seen.add(to_text(candidate.place))
    if known and known.settled and known.signature == candidate.signature and not scan.full:
        scan.progress.unchanged += 1
        scan.progress.found += 1
        return None
    read = scan.by_hand.read(path)
    return Reading(candidate, [categorized(read[1], scan.categorizer)]) if read else None


def _read(scan: RootScan, root: str, candidate: Candidate) -> Reading | None:
    """``None`` when reading failed in a way we did not foresee: told in full in the log, tried again by the next scan."""
    try:
        models = identify(root, candidate, scan.settings, scan.memory_bytes)
        return Reading(candidate, [categorized(found, scan.categorizer) for found in models])
    except NotAModel as error:
        pointed = scan.by_hand.at(to_text(candidate.place))
        if pointed and (read := scan.by_hand.read(pointed)):
            return Reading(candidate, [categorized(read[1], scan.categorizer)])
        for problem in candidate.problems:
            _log_problem(scan, problem)
        return Reading(candidate, reason=error.reason)
    except Exception as error:
        logger.exception("reading %r failed", candidate.place)
        _log_problem(
            scan,
            Problem(
                "internal_error",
                f"reading it failed unexpectedly ({type(error).__name__}: {error}); please report this",
                candidate.place,
            ),
        )
        return None


def _log_problem(scan: RootScan, problem: Problem) -> None:
    scan.progress.errors += problem.severity is Severity.ERROR
    scan.journal.add(
        Channel.DISCOVERY,
        problem.severity,
        problem.message,
        path=problem.path,
        event=LogEntry.Event.SKIPPED,
    )


def _finish(
    run: ScanRun, progress: Progress, log: Journal, state: ScanRun.State, message: str
) -> None:
    level = Severity.INFO if state == ScanRun.State.DONE and not message else Severity.WARNING
    counts = progress.counts()
    text = ", ".join(
        f"{counts[name]:,} {name}"
        for name in ("found", "new", "changed", "unchanged", "moved", "missing")
    )
    log.add(
        Channel.DISCOVERY,
        level,
        f"scan {state.label.lower()}: {text}, {plural(counts['errors'], 'error')}. {message}".strip(),
    )
    log.write()
    fields = {
        "state": state,
        "finished_at": timezone.now(),
        "message": message[:1000],
        "current_path": "",
        **counts,
    }
    ScanRun.objects.filter(pk=run.pk, state=ScanRun.State.RUNNING).update(**fields)
    run.refresh_from_db()
    collections.refresh()
    journal.prune()
    webhooks.after_scan(run)

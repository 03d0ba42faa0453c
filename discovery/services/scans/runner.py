"""One scan, from claim to verdict: walk, read what changed, reconcile in batches, then ask what was
not seen.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial

import psutil
from django.utils import timezone

from discovery.engine.classify.categorize import Categorizer
from discovery.engine.classify.describe import categorized
from discovery.engine.core.config import Discovery
from discovery.engine.core.errors import FormatsLeftOut, NotAModel
from discovery.engine.core.paths import to_native, to_text
from discovery.engine.core.types import Candidate, Problem
from discovery.engine.core.version import READERS
from discovery.engine.core.vocabulary import Severity, Status
from discovery.engine.disk.walk import walk
from discovery.engine.identify.identify import identify
from discovery.models import Channel, LogEntry, RegisteredModel, Root, ScanRun, Skipped
from discovery.services.core import config_files
from discovery.services.core.event_log import Journal
from discovery.services.jobs.progress import Progress
from discovery.services.machine import reach
from discovery.services.machine.reach import RootSilent
from discovery.services.scans import claims, ledgers, settling
from discovery.services.scans.attended import attended, patiently
from discovery.services.scans.manual_models import ByHand
from discovery.services.scans.reconcile import BATCH, Reading, reconcile
from discovery.services.scans.roots import NoSuchFolder, locate, others, sync_roots
from discovery.services.scans.settling import Walked
from discovery.services.scans.watch import Watch

logger = logging.getLogger(__name__)

#: Longer paths fit no index of the databases we support.
MAX_PATH = 2_000


@dataclass(slots=True)
class Known:
    """What the registry holds of a place: enough to see that nothing changed.

    ``settled``: all its records are there, and of one reading; ``outdated``: by older readers.
    """

    signature: str
    records: int = 0
    settled: bool = True
    outdated: bool = False
    left_out: str = ""

    def is_unchanged(self, signature: str) -> bool:
        return self.settled and not self.outdated and self.signature == signature


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
    watch: Watch
    ledger: ledgers.RootLedger
    known: dict[str, Known] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    gone: list[int] = field(default_factory=list)
    found: int = 0
    began: datetime = field(default_factory=timezone.now)
    skip: list[str] = field(default_factory=list)

    @cached_property
    def categorizer(self) -> Categorizer:
        """Rules are read once something has to be decided: an unchanged root never asks."""
        return Categorizer(config_files.rules())

    @cached_property
    def by_hand(self) -> ByHand:
        return ByHand(self.root, self.start, self.settings, self.memory_bytes)


def scan(run: ScanRun, progress: Progress, log: Journal) -> str:
    """Scans what the run is for.

    Returns notes; empty when all went as expected. Raises ``NoSuchFolder``, ``RootSilent``,
    ``Stopped``.
    """
    # What Django has loaded is no garbage: each collection during the scan would walk all of it.
    gc.freeze()
    try:
        return _scan(run, progress, log)
    finally:
        gc.unfreeze()


def preview(
    paths: list[str], *, full: bool, listener: Callable[[Progress], None] | None = None
) -> Progress:
    """What a scan would find, without writing anything. Raises ``NoSuchFolder`` or
    ``RootSilent``.
    """
    progress = Progress(None, listener)
    if not paths:
        sync_roots()
    targets = [locate(path, add=False) for path in paths] or _every_root()
    for root, start in targets:
        scan = _root_scan(root, start, None, progress, Journal(), full)
        try:
            for batch in attended(_batches(scan), root, progress.tick):
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
    # A root that is there no more is still a root: whether its models are gone is for `_scan_root`
    # to judge. Only a command makes a folder a new root; what was asked for otherwise and has come
    # to lead out of the roots since, is outside.
    known = run.trigger != ScanRun.Trigger.COMMAND
    notes = [] if run.path else sync_roots()
    for note in notes:
        log.add(Channel.DISCOVERY, Severity.WARNING, note)
    targets = (
        [(whole, ".")] if whole else [_located(run.path, known)] if run.path else _every_root()
    )
    looks, silent = reach.looks(root for root, _ in targets), 0
    claimed: list[Root] = []
    walked: list[Walked] = []
    try:
        # What answers is not kept waiting by what does not.
        for root, start in sorted(targets, key=lambda target: looks[target[0]] is reach.SILENT):
            if looks[root] is reach.SILENT and not reach.wakes(root):
                silent += 1
                if silent == len(targets):
                    raise RootSilent(root.path)
                notes.append(_left_out(root, progress, log))
                continue
            if not claims.claim(root, run):
                notes.append(f"{root.path} is being scanned by another run.")
                continue
            claimed.append(root)
            try:
                walked.append(_scan_root(_root_scan(root, start, run, progress, log, run.full)))
            except RootSilent:
                reach.looks([root])  # which remembers it
                notes.append(_left_out(root, progress, log))
        # A model may have moved from one root to another: what is missing shows once all of them
        # have been seen.
        notes += settling.settle(walked, run, progress, log)
    finally:
        for root in claimed:
            claims.release(root, run)
    return " ".join(note for note in notes if note)


def _located(path: str, known: bool) -> tuple[Root, str]:
    root, start = locate(path, add=not known)
    if root.pk is None:
        raise NoSuchFolder(f"{path[:500]} is in no root any more.")
    return root, start


def _left_out(root: Root, progress: Progress, log: Journal) -> str:
    """A root that does not answer is left alone: nothing of it is read, and nothing is marked
    missing.
    """
    progress.errors += 1
    log.add(
        Channel.DISCOVERY,
        Severity.WARNING,
        "the root does not answer and was left out; its models stay as they are",
        path=root.path,
    )
    return f"{root.path} does not answer and was left out; its models stay as they are."


def _every_root() -> list[tuple[Root, str]]:
    return [(root, ".") for root in Root.objects.filter(enabled=True)]


def _root_scan(
    root: Root, start: str, run: ScanRun | None, progress: Progress, log: Journal, full: bool
) -> RootScan:
    scan = RootScan(
        root,
        start,
        progress,
        log,
        full,
        run,
        config_files.discovery(),
        psutil.virtual_memory().total,
        Watch(root.path, root.mounts),
        ledgers.RootLedger(root, start),
    )
    if root.pk is not None:
        scan.known = _known(root, start, scan.settings)
        scan.skip = others(root)
        scan.ledger.load(scan.skip)
        scan.by_hand.load()
        progress.expected += sum(known.records for known in scan.known.values() if known.settled)
    return scan


def _known(root: Root, start: str, settings: Discovery) -> dict[str, Known]:
    """Places below ``start`` with their signatures: one row of three values a model, whatever it
    holds.
    """
    known: dict[str, Known] = {}
    records = RegisteredModel.objects.filter(root=root)
    skipped = Skipped.objects.filter(root=root)
    for place, signature, status, read_by in records.values_list(
        "place", "signature", "status", "read_by"
    ).iterator(chunk_size=5000):
        entry = known.setdefault(place, Known(signature))
        entry.records += 1
        if status == Status.MISSING or entry.signature != signature:
            entry.settled = False
        entry.outdated |= read_by < READERS
    for place, signature, read_by, left_out in skipped.values_list(
        "place", "signature", "read_by", "left_out"
    ).iterator(chunk_size=5000):
        is_still = not left_out or settings.supports.isdisjoint(left_out.split())
        known.setdefault(
            place,
            Known(signature, settled=is_still, outdated=read_by < READERS, left_out=left_out),
        )
    if start == ".":
        return known
    return {
        place: entry
        for place, entry in known.items()
        if place == start or place.startswith(start + "/")
    }


def _scan_root(scan: RootScan) -> Walked:
    """Walks the root and registers what it finds; what is not there any more is for
    :mod:`settling`. Raises ``RootSilent``.
    """
    root, run = scan.root, scan.run
    assert run is not None
    whole, total = (
        scan.start == ".",
        sum(known.records for known in scan.known.values() if known.settled),
    )
    walked = Walked(root, whole, scan.began, scan.watch, total)
    look = partial(patiently, root, tick=scan.progress.tick)
    look(partial(scan.watch.begin, scan.known))
    try:
        for batch in attended(_batches(scan), root, scan.progress.tick):
            outcome = reconcile(root, run, batch, scan.journal)
            count = sum(len(reading.found) for reading in batch)
            scan.found += count
            scan.progress.found += count
            scan.progress.new += outcome.new
            scan.progress.changed += outcome.changed
            scan.progress.unchanged += outcome.unchanged
            scan.progress.errors += outcome.errors
            scan.gone += outcome.gone
            walked.has_arrivals |= bool(outcome.new or outcome.changed)
            scan.progress.tick()
    except OSError as error:
        walked.fault = f"The folder cannot be read: {error.strerror}."
        return walked
    scan.journal.write()
    walked.found = scan.found
    scan.ledger.save()
    lost = (place for place in scan.known if place not in scan.seen)
    settling.conclude(walked, scan.seen, lost, scan.gone, look, accept=run.accept_missing)
    return walked


def _batches(scan: RootScan) -> Iterator[list[Reading]]:
    """Reads what is new or changed, ``BATCH`` candidates at a time; what is unchanged is only
    counted.

    Asks the disk and no database: it runs in threads that are watched.
    """
    native_root = to_native("/", scan.root.path)
    start = (
        os.path.relpath(to_native(native_root, scan.start), native_root)
        if scan.start != "."
        else "."
    )
    batch: list[Reading] = []
    items = walk(
        native_root,
        scan.settings,
        start=start.replace(os.sep, "/"),
        skip=scan.skip,
        ledger=scan.ledger.book,
    )
    for item in items:
        if isinstance(item, Problem):
            scan.watch.note(item)
            _log_problem(scan, item)
            continue
        scan.watch.note_candidate(item)
        place = to_text(item.place)
        scan.seen.add(place)
        known = scan.known.get(place)
        if known and known.is_unchanged(item.signature) and not scan.full:
            scan.progress.unchanged += known.records
            scan.progress.found += known.records
            scan.found += known.records
            scan.ledger.unchanged(item, known.records, known.left_out)
        elif len(place) > MAX_PATH:
            _log_problem(
                scan,
                Problem(
                    "path_too_long",
                    f"the path has more than {MAX_PATH:,} characters; the model cannot be"
                    " registered",
                    item.place,
                ),
            )
        elif (reading := _read(scan, native_root, item)) is not None:
            scan.ledger.read(item, reading.found, reading.left_out)
            batch.append(reading)
        scan.progress.current_path = item.place
        if len(batch) >= BATCH:
            yield batch
            batch = []
    for place, path in scan.by_hand.beyond(scan.seen):
        reading = _read_pointed(scan, path, scan.known.get(place))
        batch += [reading] if reading else []
    scan.ledger.look()
    if batch:
        yield batch


def _read_pointed(scan: RootScan, path: str, known: Known | None) -> Reading | None:
    """A model that a person has registered where scans do not come by: as a scan would treat it;
    ``None`` when it is unchanged or gone.
    """
    candidate = scan.by_hand.candidate(path, scan.skip)
    if candidate is None:
        return None
    scan.seen.add(to_text(candidate.place))
    if known and known.is_unchanged(candidate.signature) and not scan.full:
        scan.progress.unchanged += 1
        scan.progress.found += 1
        scan.found += 1
        return None
    read = scan.by_hand.read(path, scan.skip)
    return Reading(candidate, [categorized(read[1], scan.categorizer)]) if read else None


def _read(scan: RootScan, root: str, candidate: Candidate) -> Reading | None:
    """``None`` when reading failed in a way we did not foresee: told in full in the log, tried
    again by the next scan.
    """
    try:
        models = identify(root, candidate, scan.settings, scan.memory_bytes)
        return Reading(candidate, [categorized(found, scan.categorizer) for found in models])
    except NotAModel as error:
        pointed = scan.by_hand.at(to_text(candidate.place))
        if pointed and (read := scan.by_hand.read(pointed, scan.skip)):
            return Reading(candidate, [categorized(read[1], scan.categorizer)])
        for problem in candidate.problems:
            _log_problem(scan, problem)
        left_out = error.formats if isinstance(error, FormatsLeftOut) else ()
        return Reading(candidate, reason=error.reason, left_out=left_out)
    except Exception as error:
        logger.exception("reading %r failed", candidate.place)
        _log_problem(
            scan,
            Problem(
                "internal_error",
                f"reading it failed unexpectedly ({type(error).__name__}: {error}); please report"
                " this",
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

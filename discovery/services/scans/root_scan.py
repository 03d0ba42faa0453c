"""One root during a scan: its known places, and what is read again."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import psutil
from django.db.models import Count
from django.utils import timezone

from discovery.engine.classify.categorize import Categorizer
from discovery.engine.classify.describe import categorized
from discovery.engine.core import format_registry
from discovery.engine.core.config import Discovery
from discovery.engine.core.errors import FormatsLeftOut, NotAModel
from discovery.engine.core.paths import to_native, to_text
from discovery.engine.core.types import Candidate, Problem
from discovery.engine.core.version import READERS
from discovery.engine.core.vocabulary import Severity, Status
from discovery.engine.disk.walk import walk
from discovery.engine.identify.identify import identify
from discovery.models import (
    Finding,
    LogEntry,
    LogTopic,
    RegisteredModel,
    Root,
    ScanRun,
    SkippedPath,
)
from discovery.services.core import config_files
from discovery.services.core.event_log import Journal
from discovery.services.jobs.progress import Progress
from discovery.services.scans import ledgers, plugin_models
from discovery.services.scans.manual_models import ManualModels
from discovery.services.scans.plugin_models import PluginModels
from discovery.services.scans.reconcile import BATCH, Reading
from discovery.services.scans.roots import others, settings_of
from discovery.services.scans.watch import Watch

logger = logging.getLogger(__name__)

#: Longer paths fit no index of the databases we support.
MAX_PATH = 2_000


@dataclass(slots=True)
class Known:
    """What the registry knows about a place: enough to see that nothing changed.

    ``settled``: all its records are there, and of one reading; ``outdated``: by older readers.
    ``errors`` is what reading it again would count: a scan that finds it unchanged counts them too.
    """

    signature: str
    records: int = 0
    errors: int = 0
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
    plugins: PluginModels = field(init=False)

    def note(self, problem: Problem) -> None:
        """A problem that concerns no model."""
        _log_problem(self, problem)

    @cached_property
    def categorizer(self) -> Categorizer:
        """Rules are read once something has to be decided: an unchanged root never asks."""
        return Categorizer(config_files.rules())

    @cached_property
    def manual_models(self) -> ManualModels:
        return ManualModels(self.root, self.start, self.settings, self.memory_bytes)


def root_scan(
    root: Root, start: str, run: ScanRun | None, progress: Progress, log: Journal, full: bool
) -> RootScan:
    scan = RootScan(
        root,
        start,
        progress,
        log,
        full,
        run,
        settings_of(root),
        psutil.virtual_memory().total,
        Watch(root.path, root.mounts),
        ledgers.RootLedger(root, start),
    )
    scan.plugins = plugin_models.load(root, start, scan.settings, full=full)
    if scan.plugins.desk is not None:
        scan.ledger.book.on_loose = scan.plugins.desk.loose
        scan.plugins.desk.own = scan.ledger.book.claim
    if root.pk is not None:
        scan.known = _known(root, start, scan.settings, ask_again=scan.plugins.is_changed)
        scan.plugins.heed(scan.known)
        scan.skip = others(root)
        scan.ledger.load(scan.skip)
        scan.manual_models.load()
        progress.expected += sum(known.records for known in scan.known.values() if known.settled)
    return scan


def _known(
    root: Root, start: str, settings: Discovery, *, ask_again: bool = False
) -> dict[str, Known]:
    """Return the known places below ``start`` with their signatures.

    It reads one row of a few values for each model, whatever the model holds. Models in formats
    that ``supported_formats`` no longer names are read again. ``ask_again``: so are models without
    weights, because a plugin may know what is in their folders.
    """
    known: dict[str, Known] = {}
    dropped = set(format_registry.names()) - settings.supports
    broken = _broken(root)
    records = RegisteredModel.objects.filter(root=root)
    skipped = SkippedPath.objects.filter(root=root)
    for place, signature, status, read_by, kind in records.values_list(
        "place", "signature", "status", "read_by", "format"
    ).iterator(chunk_size=5000):
        is_left_out = kind in dropped
        if is_left_out and status == Status.MISSING:
            continue  # it is in the table of what is skipped
        entry = known.setdefault(place, Known(signature, errors=broken.get(place, 0)))
        entry.records += 1
        is_asked = ask_again and status == Status.INCOMPLETE and not kind
        if status == Status.MISSING or entry.signature != signature or is_asked:
            entry.settled = False
        entry.outdated |= read_by < READERS or is_left_out
    for place, signature, read_by, left_out, errors in skipped.values_list(
        "place", "signature", "read_by", "left_out", "errors"
    ).iterator(chunk_size=5000):
        is_still = not left_out or settings.supports.isdisjoint(left_out.split())
        is_outdated = read_by < READERS
        known.setdefault(place, Known(signature, 0, errors, is_still, is_outdated, left_out))
    if start == ".":
        return known
    return {
        place: entry
        for place, entry in known.items()
        if place == start or place.startswith(start + "/")
    }


def _broken(root: Root) -> dict[str, int]:
    """Return {place: models in it that have an error}, from what the last reading of each found."""
    errors = Finding.objects.filter(
        model__root=root,
        source=Finding.Source.SCAN,
        severity=Severity.ERROR,
        resolved_at=None,
    )
    counts = errors.order_by().values_list("model__place").annotate(Count("model", distinct=True))
    return dict(counts)


def batches(scan: RootScan) -> Iterator[list[Reading]]:
    """Read new and changed candidates in batches of ``BATCH``; only count unchanged ones.

    It reads the disk and not the database, because it runs in watched threads.
    """
    batch: list[Reading] = []
    for reading in _readings(scan):
        batch.append(reading)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _readings(scan: RootScan) -> Iterator[Reading]:
    native_root = to_native("/", scan.root.path)
    start = (
        os.path.relpath(to_native(native_root, scan.start), native_root)
        if scan.start != "."
        else "."
    )
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
        if (reading := _met(scan, native_root, item)) is not None:
            yield reading
        scan.progress.current_path = item.place
        if scan.plugins.is_full:
            yield from scan.plugins.readings(scan)
    yield from scan.plugins.readings(scan)
    for place, path in scan.manual_models.beyond(scan.seen):
        if (reading := _read_pointed(scan, path, scan.known.get(place))) is not None:
            yield reading
    scan.ledger.look()


def _met(scan: RootScan, native_root: str, item: Candidate) -> Reading | None:
    """A candidate of the walk; ``None`` where nothing new comes of it, at least not yet."""
    place = to_text(item.place)
    scan.seen.add(place)
    known = scan.known.get(place)
    if known and known.is_unchanged(item.signature) and not scan.full:
        scan.progress.unchanged += known.records
        scan.progress.found += known.records
        scan.progress.errors += known.errors
        scan.found += known.records
        scan.ledger.unchanged(item, known.records, known.left_out)
        return None
    if len(place) > MAX_PATH:
        text = f"the path has more than {MAX_PATH:,} characters; the model cannot be registered"
        _log_problem(scan, Problem("path_too_long", text, item.place))
        return None
    reading = _read(scan, native_root, item)
    if reading is None or scan.plugins.offer(reading):
        return None
    scan.ledger.read(item, reading.found, reading.left_out)
    return reading


def _read_pointed(scan: RootScan, path: str, known: Known | None) -> Reading | None:
    """Read a manually registered model that the walk does not reach, like a scan would.

    Returns ``None`` when it is unchanged or gone.
    """
    candidate = scan.manual_models.candidate(path, scan.skip)
    if candidate is None:
        return None
    scan.seen.add(to_text(candidate.place))
    if known and known.is_unchanged(candidate.signature) and not scan.full:
        scan.progress.unchanged += 1
        scan.progress.found += 1
        scan.progress.errors += known.errors
        scan.found += 1
        return None
    read = scan.manual_models.read(path, scan.skip)
    return Reading(candidate, [categorized(read[1], scan.categorizer)]) if read else None


def _read(scan: RootScan, root: str, candidate: Candidate) -> Reading | None:
    """Read a candidate; return ``None`` when reading failed unexpectedly.

    The log has the full error, and the next scan tries again.
    """
    try:
        models = identify(root, candidate, scan.settings, scan.memory_bytes)
        return Reading(candidate, [categorized(found, scan.categorizer) for found in models])
    except NotAModel as error:
        pointed = scan.manual_models.at(to_text(candidate.place))
        if pointed and (read := scan.manual_models.read(pointed, scan.skip)):
            return Reading(candidate, [categorized(read[1], scan.categorizer)])
        for problem in candidate.problems:
            _log_problem(scan, problem)
        left_out = error.formats if isinstance(error, FormatsLeftOut) else ()
        errors = sum(problem.severity is Severity.ERROR for problem in candidate.problems)
        return Reading(candidate, reason=error.reason, left_out=left_out, errors=errors)
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
        LogTopic.DISCOVERY,
        problem.severity,
        problem.message,
        path=problem.path,
        event=LogEntry.Event.SKIPPED,
    )

"""Run one scan from start to end.

It walks, reads what has changed, reconciles in batches, and then checks what was not seen.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial

from django.utils import timezone

from discovery.engine.core.paths import to_text
from discovery.engine.core.vocabulary import Severity
from discovery.models import LogTopic, Root, ScanRun
from discovery.services.core.event_log import Journal
from discovery.services.jobs.progress import Progress
from discovery.services.machine import root_probes
from discovery.services.machine.root_probes import RootSilent
from discovery.services.scans import claims, settling
from discovery.services.scans.attended import attended, patiently
from discovery.services.scans.reconcile import Reading, reconcile
from discovery.services.scans.root_scan import RootScan, batches, root_scan
from discovery.services.scans.roots import NoSuchFolder, is_due, locate, sync_roots
from discovery.services.scans.settling import Walked


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
    """Return what a scan would find, without writing anything.

    Raises ``NoSuchFolder`` or ``RootSilent``.
    """
    progress = Progress(None, listener)
    if not paths:
        sync_roots()
    targets = [locate(path, add=False) for path in paths] or _every_root()
    for root, start in targets:
        scan = root_scan(root, start, None, progress, Journal(), full)
        try:
            for batch in attended(batches(scan), root, progress.tick):
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
        log.add(LogTopic.DISCOVERY, Severity.WARNING, note)
    targets = (
        [(whole, ".")]
        if whole
        else [_located(run.path, known)]
        if run.path
        else _every_root(run.trigger)
    )
    looks, silent = root_probes.probe_roots(root for root, _ in targets), 0
    claimed: list[Root] = []
    walked: list[Walked] = []
    try:
        # What answers is not kept waiting by what does not.
        for root, start in sorted(
            targets, key=lambda target: looks[target[0]] is root_probes.SILENT
        ):
            if looks[root] is root_probes.SILENT and not root_probes.wakes(root):
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
                walked.append(_scan_root(root_scan(root, start, run, progress, log, run.full)))
            except RootSilent:
                root_probes.probe_roots([root])  # which remembers it
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
    """Skip a root that does not answer.

    Nothing in it is read, and nothing is marked missing.
    """
    progress.errors += 1
    log.add(
        LogTopic.DISCOVERY,
        Severity.WARNING,
        "the root does not answer and was left out; its models stay as they are",
        path=root.path,
    )
    return f"{root.path} does not answer and was left out; its models stay as they are."


def _every_root(trigger: str = "") -> list[tuple[Root, str]]:
    """Return the enabled roots; a scheduled scan skips those that are not due yet."""
    roots = list(Root.objects.filter(enabled=True))
    if trigger == ScanRun.Trigger.SCHEDULE:
        roots = [root for root in roots if is_due(root, timezone.now())]
    return [(root, ".") for root in roots]


def _scan_root(scan: RootScan) -> Walked:
    """Walk the root and register what it finds.

    Missing models are handled in :mod:`settling`. Raises ``RootSilent``.
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
        for batch in attended(batches(scan), root, scan.progress.tick):
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
    scan.plugins.save(scan)
    scan.journal.write()
    walked.found = scan.found
    scan.ledger.save()
    lost = (place for place in scan.known if place not in scan.seen)
    settling.conclude(walked, scan.seen, lost, scan.gone, look, accept=run.accept_missing)
    return walked

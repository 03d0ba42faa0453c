"""One running deep validation: read, compare and store the files of a model one by one.

Each inode is read only once.
"""

from __future__ import annotations

import errno
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from django.utils import timezone

from discovery.engine.core import heartbeat
from discovery.engine.core.text import human_bytes, plural
from discovery.engine.core.types import FileEntry, Problem
from discovery.engine.integrity import checksums as bytes_of
from discovery.engine.integrity.expected_checksums import PublishedChecksums, vouchers
from discovery.engine.sidecars import lfs
from discovery.models import DeepValidation, FileChecksum, Finding, RegisteredModel
from discovery.services.findings import findings
from discovery.services.health import checksums
from discovery.services.jobs import Lost, Stopped, beat
from discovery.services.jobs.progress import INTERVAL
from discovery.services.registries import published
from discovery.services.registry import model_files
from discovery.services.scans.attended import Errands, patiently

#: Rows deleted in one statement.
CHUNK = 400
#: A file that is written while it is read gets so many tries in all.
TRIES = 2


class NotRead(Exception):
    """The model could not be read to its end; the message says why and what to do."""


class TimeBudgetExceeded(Exception):
    """The schedule's time is used up; there are files left."""


class ReadingProgress:
    """The progress of a run, written to its row a few times a second.

    Everything read until then is stored with it.

    Raises ``Stopped`` when somebody pressed Stop, or when the run was considered dead and is no
    longer ours.
    """

    def __init__(self, run: DeepValidation) -> None:
        self.run = run
        self.done = 0
        self.in_file = 0
        self.path = ""
        self.rows: list[FileChecksum] = []
        self._next = time.monotonic() + INTERVAL

    def begin(self, path: str) -> None:
        self.path, self.in_file = path, 0

    def tick(self, count: int = 0) -> None:
        """Count ``count`` more bytes.

        It is called with every chunk, and while a throttled reading sleeps or the disk does not
        answer.
        """
        self.in_file += count
        if self.is_due():
            self.write()

    def is_due(self) -> bool:
        return time.monotonic() >= self._next

    def end(self, size: int, rows: Sequence[FileChecksum]) -> None:
        """The file is read, or known, or given up."""
        self.done, self.in_file = self.done + size, 0
        self.rows += rows
        self.tick()

    @property
    def reached(self) -> int:
        """The bytes read so far, including those of the current file."""
        return self.done + self.in_file

    def write(self) -> None:
        self._next = time.monotonic() + INTERVAL
        try:
            beat(self.run, done_bytes=self.reached, current_path=self.path[:4096])
        except Lost:
            raise
        except Stopped:
            self.store()
            raise
        self.store()

    def store(self) -> None:
        rows, self.rows = self.rows, []
        if rows:
            columns = list(checksums.COLUMNS)
            FileChecksum.objects.bulk_create(
                rows,
                batch_size=100,
                update_conflicts=True,
                unique_fields=["model", "path"],
                update_fields=columns,
            )


@dataclass
class ReadPlan:
    """The files of one model during a deep validation.

    It has what is on disk, the expected checksums, and the results of reading.
    """

    record: RegisteredModel
    root: str
    folder: str
    since: datetime
    groups: list[list[FileEntry]] = field(default_factory=list)
    published: PublishedChecksums = field(default_factory=PublishedChecksums)
    earlier: dict[str, FileChecksum] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    read_bytes: int = 0


def read_model(
    run: DeepValidation,
    progress: ReadingProgress,
    since: datetime,
    *,
    bytes_per_second: int = 0,
    until: float | None = None,
) -> str:
    """Read what has not been read since ``since``, write checksums and findings, return a summary.

    ``until`` is a time of ``time.monotonic()`` after which no other file is started. Raises
    ``NotRead``, ``Stopped``, ``TimeBudgetExceeded``.
    """
    work = _plan(run.model, progress, since)
    total = sum(group[0].size for group in work.groups)
    DeepValidation.objects.filter(pk=run.pk).update(total_bytes=total)
    progress.write()
    for group in work.groups:
        if until is not None and time.monotonic() >= until:
            progress.store()
            raise TimeBudgetExceeded
        _read_group(work, group, progress, bytes_per_second)
    progress.begin("")
    progress.write()
    return _conclude(work)


def _plan(record: RegisteredModel, progress: ReadingProgress, since: datetime) -> ReadPlan:
    """Look at each file on disk.

    Raises ``NotRead`` when the disk itself seems to be away: that must not look like damage.
    """
    work = patiently(record.root, partial(_looked, record, since), progress.tick)
    work.earlier = {row.path: row for row in FileChecksum.objects.filter(model=record)}
    for path, expected in published.checksums(record).items():
        work.published.by_path[path].append(expected)
    return work


def _looked(record: RegisteredModel, since: datetime) -> ReadPlan:
    """Return the part of the work that reads the disk."""
    work = ReadPlan(record, model_files.home_of(record), model_files.home(record), since)
    if not os.path.isdir(work.root):
        raise NotRead(f"The folder {record.root.path} is not there. Is the disk mounted?")
    same: dict[tuple[int, int, int], list[FileEntry]] = defaultdict(list)
    for path, _ in record.files:
        heartbeat.beat()
        try:
            entry = model_files.entry_of(work.root, path)
        except model_files.Gone as error:
            if isinstance(error.__cause__, FileNotFoundError):
                work.gone.append(path)
            else:
                work.problems.append(_unreadable(work, path, f": {error}"))
            continue
        same[entry.inode, entry.size, entry.mtime_ns].append(entry)
    if work.gone and not same:
        raise NotRead(
            "Its files are not there any more: scan, so that the registry follows the disk."
        )
    work.groups = list(same.values())
    work.published = vouchers(
        work.root, work.folder, [entry for group in work.groups for entry in group]
    )
    return work


def _read_group(
    work: ReadPlan, group: Sequence[FileEntry], progress: ReadingProgress, bytes_per_second: int
) -> None:
    """Names of one and the same file: read once, remembered under each."""
    first = group[0]
    names = {entry.path: model_files.below(entry.path, work.folder) for entry in group}
    progress.begin(first.path)
    rows: list[FileChecksum] = []
    if not all(
        checksums.is_current(work.earlier.get(names[entry.path]), entry, work.since)
        for entry in group
    ):
        try:
            rows = _rows(work, group, names, progress, bytes_per_second)
        except bytes_of.Changed:
            work.changed.append(first.path)
        except FileNotFoundError:
            work.gone.append(first.path)
        except OSError as error:
            failing = "; the disk may be failing" if error.errno == errno.EIO else ""
            why = f" cannot be read: {error.strerror or error}{failing}"
            work.problems.append(_unreadable(work, first.path, why, progress.in_file or None))
    work.earlier.update({row.path: row for row in rows})
    progress.end(first.size, rows)


def _rows(
    work: ReadPlan,
    group: Sequence[FileEntry],
    names: dict[str, str],
    progress: ReadingProgress,
    bytes_per_second: int,
) -> list[FileChecksum]:
    first, now, errands = group[0], timezone.now(), Errands()

    def tick(count: int) -> None:
        """In the thread that reads, which must not touch the database."""
        if progress.is_due():
            errands.run(partial(progress.tick, count))
        else:
            heartbeat.beat()
            progress.in_file += count

    def read() -> lfs.Pointer | bytes_of.Reading:
        return bytes_of.pointer(work.root, first) or _read(
            work.root, first, progress, tick, bytes_per_second
        )

    reading = patiently(work.record.root, read, progress.tick, errands)
    if isinstance(reading, lfs.Pointer):
        return [
            checksums.row_of_pointer(work.record, names[entry.path], reading, entry, now)
            for entry in group
        ]
    work.read_bytes += reading.size
    told = work.published.by_path
    return [
        checksums.row_of(
            work.record,
            names[entry.path],
            reading,
            told.get(entry.path, ()),
            work.earlier.get(names[entry.path]),
            now,
        )
        for entry in group
    ]


def _read(
    root: str,
    entry: FileEntry,
    progress: ReadingProgress,
    tick: bytes_of.Tick,
    bytes_per_second: int,
) -> bytes_of.Reading:
    for _ in range(TRIES - 1):
        try:
            return bytes_of.read(root, entry, tick, bytes_per_second=bytes_per_second)
        except bytes_of.Changed:
            progress.in_file = 0
    return bytes_of.read(root, entry, tick, bytes_per_second=bytes_per_second)


def _unreadable(work: ReadPlan, path: str, why: str, offset: int | None = None) -> Problem:
    return Problem(
        "file_unreadable", model_files.below(path, work.folder) + why, path, offset=offset
    )


def _conclude(work: ReadPlan) -> str:
    """Store problems as findings after all files have been read.

    Raises ``NotRead`` for files that nobody could have read.
    """
    if (work.problems or work.gone) and not patiently(
        work.record.root, partial(os.path.isdir, work.root), lambda: None
    ):
        raise NotRead(
            f"The folder {work.record.root.path} went away while it was read. Is the disk mounted?"
        )
    rows = work.earlier
    known = {model_files.below(path, work.folder) for path, _ in work.record.files}
    stale = [row.pk for name, row in rows.items() if name not in known and row.pk is not None]
    for start in range(0, len(stale), CHUNK):
        FileChecksum.objects.filter(pk__in=stale[start : start + CHUNK]).delete()
    kept = [row for name, row in rows.items() if name in known]
    found = [*checksums.problems(kept, work.folder), *work.problems, *work.published.problems]
    findings.replace(work.record, Finding.Source.DEEP, found)
    if work.changed:
        raise NotRead(
            f"{_named(work, work.changed)} changed while being read. Once nobody writes to it any"
            " more, validate again: the rest is read."
        )
    RegisteredModel.objects.filter(pk=work.record.pk).update(deep_validated_at=timezone.now())
    absent = sum(not row.sha256 for row in kept)
    published = sum(bool(row.sha256 and row.expected_sha256) for row in kept)
    notes = [
        f"{plural(len(kept) - absent, 'file')} read ({human_bytes(work.read_bytes)} now)",
        f"{published:,} compared with a known checksum"
        if published
        else "no checksum to compare with",
    ]
    notes += [f"{plural(absent, 'git-lfs pointer')} without its file"] if absent else []
    notes += [f"{_named(work, work.gone)} not there any more"] if work.gone else []
    return (
        f"{', '.join(notes)}; {plural(len(found), 'problem')} found."
        if found
        else f"{', '.join(notes)}; nothing wrong."
    )


def _named(work: ReadPlan, paths: Sequence[str]) -> str:
    others = f" and {plural(len(paths) - 1, 'other file')}" if len(paths) > 1 else ""
    return f"{model_files.below(paths[0], work.folder)}{others}"

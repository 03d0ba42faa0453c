"""What deep validations have read of a model's files.

There is one row for each file with its result, and the contract's check ``checksum``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.utils.timesince import timesince

from discovery.engine.core.service_words import ExpectedBy
from discovery.engine.core.text import human_bytes, plural
from discovery.engine.core.types import FileEntry, Problem
from discovery.engine.core.vocabulary import Severity, Status
from discovery.engine.integrity.checksums import Reading
from discovery.engine.integrity.expected_checksums import Expected
from discovery.engine.sidecars.lfs import Pointer
from discovery.models import FileChecksum, RegisteredModel
from discovery.services.registry.model_files import below, home, weight_files

#: Who a row whose file is a git-lfs pointer has its word from. Its ``size`` is the real file's and
#: its own checksums are empty.
POINTER = "its git-lfs pointer"


#: The registry keeps times to the microsecond.
CLOCK_SECONDS = 0.001

#: Columns that a new reading replaces.
COLUMNS = (
    "size",
    "mtime_ns",
    "sha256",
    "blake3",
    "expected_sha256",
    "expected_from",
    "expected_by",
    "sampled_values",
    "nonfinite_share",
    "checked_at",
)


def row_of(
    record: RegisteredModel,
    path: str,
    reading: Reading,
    published: Sequence[Expected],
    earlier: FileChecksum | None,
    now: datetime,
) -> FileChecksum:
    """The row for what was just read at ``path`` (as :func:`below` gives it). Does not save."""
    expected, source, by = _expected(reading, published, earlier)
    return FileChecksum(
        model=record, path=path, size=reading.size, mtime_ns=reading.mtime_ns,
        sha256=reading.sha256, blake3=reading.blake3,
        expected_sha256=expected, expected_from=source[:200], expected_by=by,
        sampled_values=reading.sampled or None,
        nonfinite_share=reading.nonfinite / reading.sampled if reading.sampled else None,
        checked_at=now,
    )  # fmt: skip


def row_of_pointer(
    record: RegisteredModel, path: str, pointer: Pointer, entry: FileEntry, now: datetime
) -> FileChecksum:
    """Return an unsaved row for a Git LFS pointer, whose file was never downloaded.

    There is nothing to read, but the expected checksum is known.
    """
    return FileChecksum(
        model=record,
        path=path,
        size=pointer.size,
        mtime_ns=entry.mtime_ns,
        expected_sha256=pointer.sha256,
        expected_from=POINTER,
        expected_by=ExpectedBy.POINTER,
        checked_at=now,
    )


def is_current(row: FileChecksum | None, entry: FileEntry, since: datetime) -> bool:
    """Return whether the row matches the current file and was read at ``since`` or later.

    Pointers are always checked again, because that costs nothing.
    """
    return (
        row is not None
        and row.sha256 != ""
        and row.checked_at >= since
        and _unchanged(row, entry.size, entry.mtime_ns)
    )


def _unchanged(row: FileChecksum, size: int, mtime_ns: int) -> bool:
    return (row.size, row.mtime_ns) == (size, mtime_ns)


def _expected(
    reading: Reading, published: Sequence[Expected], earlier: FileChecksum | None
) -> tuple[str, str, str]:
    """Return (SHA-256, its source in words, its value of ``expected_by``); empty without a source.

    A contradicted source takes precedence, and a file that differs from its last reading although
    it was not written contradicts that reading. This is remembered until the file is written, or
    until a source confirms its current content (it was restored with its old time).
    """
    told = list(published)
    unchanged = earlier is not None and _unchanged(earlier, reading.size, reading.mtime_ns)
    if (
        earlier is not None
        and earlier.expected_by == ExpectedBy.POINTER
        and (unchanged or (not earlier.sha256 and earlier.size == reading.size))
    ):
        told.append(Expected(earlier.expected_sha256, POINTER))
    wrong = next((each for each in told if each.sha256 != reading.sha256), None)
    if told and wrong is None:
        return told[0].sha256, told[0].source, _by(told[0])
    if earlier is not None and earlier.sha256 and unchanged:
        departed = earlier.expected_by == ExpectedBy.EARLIER
        known = earlier.expected_sha256 if departed else earlier.sha256
        if known != reading.sha256:
            said = (
                earlier.expected_from
                if departed
                else f"the reading of {earlier.checked_at:%Y-%m-%d}"
            )
            return known, said, ExpectedBy.EARLIER
    return (wrong.sha256, wrong.source, _by(wrong)) if wrong else ("", "", "")


def _by(expected: Expected) -> str:
    return ExpectedBy.POINTER if expected.source == POINTER else ExpectedBy.PUBLISHED


def problems(rows: Iterable[FileChecksum], folder: str) -> list[Problem]:
    """What is wrong with the files of ``rows``, whose paths count from ``folder``.

    A file with several names is reported once.
    """
    found: dict[tuple[str, str, str], Problem] = {}
    for row in sorted(
        rows, key=lambda row: (posixpath.dirname(row.path).rpartition("/")[2] == "blobs", row.path)
    ):
        for problem in _problems(row, folder):
            found.setdefault((row.sha256, row.expected_sha256, problem.code), problem)
    return list(found.values())


def _problems(row: FileChecksum, folder: str) -> Iterable[Problem]:
    path, name = posixpath.normpath(posixpath.join(folder, row.path)), _shown(row)
    if _is_wrong(row) and row.expected_by == ExpectedBy.EARLIER:
        text = (
            f"{name} has changed on disk without having been written: its size and time are those"
            f" of {row.expected_from}, its bytes are not"
        )
        yield Problem(
            "bit_rot",
            f"{text} (SHA-256 {row.expected_sha256[:12]}… then, {row.sha256[:12]}… now)",
            path,
        )
    elif _is_wrong(row):
        text = (
            f"{name} is not what {row.expected_from} says: its SHA-256 is {row.sha256[:12]}…, not"
            f" {row.expected_sha256[:12]}…"
        )
        yield Problem(
            "checksum_mismatch", f"{text}; it was damaged, or changed after it was published", path
        )
    if row.nonfinite_share:
        every = row.nonfinite_share >= 1
        share = (
            "all"
            if every
            else f"{row.nonfinite_share:.2%}"
            if row.nonfinite_share >= 0.0001
            else "a few"
        )
        text = (
            f"{share} of {row.sampled_values or 0:,} sampled weights in {name} are NaN or infinite"
        )
        yield Problem(
            "nonfinite_weights", text, path, Severity.ERROR if every else Severity.WARNING
        )


def _is_wrong(row: FileChecksum) -> bool:
    return bool(row.sha256 and row.expected_sha256) and row.sha256 != row.expected_sha256


def _shown(row: FileChecksum) -> str:
    return posixpath.basename(row.path) if row.path.startswith("../") else row.path


def checksum_check(record: RegisteredModel) -> tuple[str, str]:
    """Return the result of the check from the last readings, without opening a file.

    It is (``passed``, ``warning``, ``failed`` or ``skipped``; a sentence). Passed means that a
    source confirms every weight file, and that all confirmed files are as expected.
    """
    if record.status == Status.REMOTE or not record.files:
        return "skipped", "there are no files to read"
    if record.status == Status.MISSING:
        return "skipped", "its files are not there"
    rows = {row.path: row for row in record.checksums.all()}
    if not rows:
        return (
            "warning",
            "Checksums have not been verified. Run a deep validation.",
        )
    if _departed(record, rows.values()):
        return "warning", "its files changed since their bytes were read: validate it deeply again"
    wrong = sorted(_shown(row) for row in rows.values() if _is_wrong(row))
    if wrong:
        others = f" and {plural(len(wrong) - 1, 'other file')}" if len(wrong) > 1 else ""
        return (
            "failed",
            (
                f"{wrong[0]}{others} did not hold what {'they' if others else 'it'} should: the"
                " findings say what to do"
            ),
        )
    return _unharmed(record, rows)


def _departed(record: RegisteredModel, rows: Iterable[FileChecksum]) -> bool:
    """Return whether a scan has seen other times than the rows hold.

    The newest row is compared with the newest file. Clocks may be wrong, so the times are compared
    for equality.
    """
    newest = max(row.mtime_ns for row in rows) / 1e9
    return (
        record.modified_at is not None
        and abs(record.modified_at.timestamp() - newest) > CLOCK_SECONDS
    )


def _unharmed(record: RegisteredModel, rows: dict[str, FileChecksum]) -> tuple[str, str]:
    """Nothing contradicts: how much was read, when, and who says so."""
    folder, count = home(record), len(record.files)
    absent = [row for row in rows.values() if not row.sha256]
    if absent:
        size = human_bytes(sum(row.size for row in absent))
        return (
            "warning",
            (
                f"{plural(len(absent), 'file')} of {size} were never downloaded: “git lfs pull”"
                " gets what its pointers stand for"
            ),
        )
    known = {
        path: rows[name]
        for path, size in record.files
        if (name := below(path, folder)) in rows and rows[name].size == size
    }
    if len(known) < count:
        return (
            "warning",
            (
                f"{count - len(known):,} of {plural(count, 'file')} could not be read, or came"
                " since: validate it deeply again"
            ),
        )
    age = _age(min(row.checked_at for row in known.values()))
    published = [row for row in known.values() if row.expected_sha256]
    if not published:
        return (
            "warning",
            (
                f"nobody says what its {plural(count, 'file')} should hold: read {age}, only later"
                " changes will show"
            ),
        )
    who = " and ".join(sorted({row.expected_from for row in published})[:2])
    some = (
        f"all {plural(count, 'file')}"
        if len(published) == count
        else f"{len(published):,} of {plural(count, 'file')}"
    )
    told = f"{some} {'matches' if count == 1 else 'match'} what {who} says, read {age}"
    alone = [
        path for path in weight_files(record) if path in known and not known[path].expected_sha256
    ]
    if alone:
        return "warning", f"{told}; nobody vouches for {plural(len(alone), 'weight file')}"
    return "passed", told


def _age(at: datetime) -> str:
    age = timesince(at, depth=1).replace("\xa0", " ")
    return "just now" if age.startswith("0 ") else f"{age} ago"

"""The ledger of a root, across scans.

It records what each byte under the root is, and the large files that no reader knows, each opened
once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from discovery.engine.core.paths import to_native, to_text
from discovery.engine.core.types import Candidate, FileEntry, Found
from discovery.engine.disk.ledger import Ledger, Stray, Use
from discovery.engine.identify import unrecognized
from discovery.engine.identify.unrecognized import Glimpse
from discovery.models import Root, SkippedPath, Unrecognized
from discovery.services.search.model_filters import MAX_WORDS

#: Rows a statement.
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Count:
    """``bytes`` in ``files`` files."""

    files: int
    bytes: int


class RootLedger:
    """The ledger of one scan of ``root``, or of the folder ``start`` in it."""

    def __init__(self, root: Root, start: str) -> None:
        self.root = root
        self.start = start
        self.book = Ledger(to_native("/", root.path))
        self._known: dict[str, Unrecognized] = {}
        self._glimpses: dict[str, Glimpse] = {}

    def load(self, skip: Collection[str]) -> None:
        """What earlier scans left. ``skip`` are the paths of other roots in this one."""
        self.book.skip = frozenset(to_native("/", path) for path in skip)
        for row in Unrecognized.objects.filter(root=self.root).iterator(chunk_size=5000):
            if self.start == "." or _is_below(row.path, self.start):
                self._known[row.path] = row
                self.book.kept.setdefault(row.place, set()).add(row.path)

    # -- from the thread that reads the disk; none of it asks the database

    def unchanged(self, candidate: Candidate, records: int, left_out: str) -> None:
        """Record an unchanged candidate with ``records`` models.

        There are none where its formats ``left_out`` (separated by spaces) are not supported.
        """
        if left_out:
            self.book.formats_left_out(candidate, left_out.split())
        else:
            self.book.unchanged(candidate, is_model=records > 0)

    def read(
        self, candidate: Candidate, found: Collection[Found], left_out: Collection[str]
    ) -> None:
        if left_out:
            self.book.formats_left_out(candidate, left_out)
        else:
            self.book.read(candidate, found)

    def look(self) -> None:
        """Open the large files that are new or changed; called after the last candidate."""
        self.book.close()
        for stray in self.book.strays:
            path = to_text(stray.path)
            known = self._known.get(path)
            if known is None or (known.size_bytes, known.mtime_ns) != (stray.size, stray.mtime_ns):
                entry = FileEntry(stray.path, stray.size, stray.mtime_ns, 0)
                self._glimpses[path] = unrecognized.look(self.book.root, entry)

    # -- with the database

    def save(self) -> None:
        """Replace the stored ledger of the root, or of the folder in it."""
        rows = [self._row(stray) for stray in self.book.strays]
        fresh = [row for row in rows if not self._is_kept(row)]
        staying = {row.path for row in rows} - {row.path for row in fresh}
        gone = [row.pk for path, row in self._known.items() if path not in staying]
        with transaction.atomic():
            for first in range(0, len(gone), _CHUNK):
                Unrecognized.objects.filter(pk__in=gone[first : first + _CHUNK]).delete()
            Unrecognized.objects.bulk_create(fresh, batch_size=_CHUNK)
            if self.start == ".":
                self._save_sums()

    def _is_kept(self, row: Unrecognized) -> bool:
        known = self._known.get(row.path)
        return known is not None and known.place == row.place and row.path not in self._glimpses

    def _row(self, stray: Stray) -> Unrecognized:
        path = to_text(stray.path)
        if (glimpse := self._glimpses.get(path)) is None:
            known = self._known[path]
            glimpse = Glimpse(bytes.fromhex(known.first_bytes), known.guess)
        return Unrecognized(
            root=self.root,
            path=path,
            place=to_text(stray.place),
            size_bytes=stray.size,
            mtime_ns=stray.mtime_ns,
            first_bytes=glimpse.first_bytes.hex(),
            guess=to_text(glimpse.guess)[:200],
        )

    def _save_sums(self) -> None:
        sums: dict[str, Any] = {
            use.value: {"files": tally.files, "bytes": tally.bytes}
            for use, tally in self.book.tallies.items()
        }
        sums["formats"] = {
            told: {"files": tally.files, "bytes": tally.bytes}
            for told, tally in sorted(self.book.left_out_formats.items())
        }
        sums["unmeasured"] = [to_text(path) for path in self.book.unmeasured[:20]]
        if sums != self.root.ledger:
            self.root.ledger = sums
            Root.objects.filter(pk=self.root.pk).update(ledger=sums)


def sums(roots: Iterable[Root]) -> dict[Use, Count]:
    """Return the sizes of files under ``roots`` by use, at the last full scan of each."""
    found = dict.fromkeys(Use, Count(0, 0))
    for root in roots:
        for use in Use:
            told = root.ledger.get(use.value) or {}
            found[use] = Count(
                found[use].files + told.get("files", 0), found[use].bytes + told.get("bytes", 0)
            )
    return found


def formats_left_out(roots: Iterable[Root]) -> dict[str, Count]:
    """What ``supported_formats`` hides under ``roots``, by the formats of a place."""
    found: dict[str, Count] = {}
    for root in roots:
        for told, each in (root.ledger.get("formats") or {}).items():
            before = found.get(told, Count(0, 0))
            found[told] = Count(before.files + each["files"], before.bytes + each["bytes"])
    return found


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def skipped(text: str = "") -> QuerySet[SkippedPath]:
    """Places that look like models and are not, by root and place.

    ``text`` limits them to those that contain each of its words.
    """
    rows = SkippedPath.objects.select_related("root").order_by("root__path", "place")
    for word in text.split()[:MAX_WORDS]:
        rows = rows.filter(
            Q(place__icontains=word) | Q(reason__icontains=word) | Q(root__path__icontains=word)
        )
    return rows

"""What plugins find in a scan of a root, on the same road as everything else.

Their models come as ``Reading``s; which folders they were asked about is remembered a root.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, cast

from discovery.engine.classify.describe import categorized
from discovery.engine.core import format_registry
from discovery.engine.core.config import Discovery
from discovery.engine.core.paths import to_native, to_text
from discovery.engine.identify.path_desk import KEY_BYTES, Answer, Claim, PathDesk, stamp_of
from discovery.models import Plugin, PluginAnswers, RegisteredModel, Root, SkippedPath
from discovery.services.plugins import catalogue, switching
from discovery.services.plugins.asking import PluginSession
from discovery.services.scans.reconcile import Reading

if TYPE_CHECKING:
    from discovery.services.scans.root_scan import Known, RootScan

#: How the reason of a place begins that a plugin failed to read.
FAILED = "the plugin "


@dataclass
class PluginModels:
    """The plugins' part in one scan of ``root``; ``desk`` is ``None`` where they have none."""

    root: Root
    start: str
    desk: PathDesk | None = None
    #: Models of built-in formats without weights, whose files a plugin may know.
    waiting: list[Reading] | None = None
    #: Whether other plugins are there than at the last scan.
    is_changed: bool = False

    @property
    def is_full(self) -> bool:
        return self.desk is not None and self.desk.is_full

    def heed(self, known: Mapping[str, Known]) -> None:
        """What is missing, or was read by older readers, is asked about whatever is remembered."""
        if self.desk is not None:
            self.desk.stale = {
                place
                for place in self.desk.held
                if (entry := known.get(place)) and (entry.outdated or not entry.settled)
            }

    def offer(self, reading: Reading) -> bool:
        """Whether a reading waits until plugins were asked about its files."""
        if self.desk is None or not self.desk.kinds or not _is_weightless(reading):
            return False
        self.desk.loose(reading.candidate.files)
        self.waiting = [*(self.waiting or []), reading]
        return True

    def readings(self, scan: RootScan) -> Iterator[Reading]:
        """Asks about what has gathered. It reads the disk and not the database."""
        if self.desk is None:
            return
        try:
            known = {reading.candidate.place for reading in self.waiting or ()}
            claims = [each for each in self.desk.claims() if each.candidate.place not in known]
            # All of them at once: a child ends with the thread that started it, and the next
            # batch is fetched by another one.
            found = [*self._unclaimed(scan, claims), *self._read(scan, claims)]
        finally:
            self.desk.rest()
        kept, self.desk.kept = self.desk.kept, set()
        for place in kept:
            self._keep(scan, place)
        yield from found

    def _unclaimed(self, scan: RootScan, claims: Collection[Claim]) -> Iterator[Reading]:
        """Those that wait: models without weights, unless a plugin has claimed one of theirs."""
        claimed = {claim.candidate.place: claim.kind.label for claim in claims}
        waiting, self.waiting = self.waiting or [], []
        for reading in waiting:
            paths = (entry.path for entry in reading.candidate.files)
            label = next((claimed[path] for path in paths if path in claimed), None)
            told = reading
            if label is not None:
                reason = f"its weights are read by the plugin {label}"
                told = Reading(reading.candidate, reason=reason)
            scan.ledger.read(told.candidate, told.found, told.left_out)
            yield told

    def _read(self, scan: RootScan, claims: Collection[Claim]) -> Iterator[Reading]:
        assert self.desk is not None
        changed: list[Claim] = []
        for claim in claims:
            place = to_text(claim.candidate.place)
            known = scan.known.get(place)
            if known and known.is_unchanged(claim.candidate.signature) and not scan.full:
                self._keep(scan, place)
            else:
                changed.append(claim)
        for answer in self.desk.answers(changed):
            if (reading := self._taken(scan, answer)) is not None:
                yield reading

    def _taken(self, scan: RootScan, answer: Answer) -> Reading | None:
        """A model that there was before stays as it was while its plugin fails to read it."""
        assert self.desk is not None
        candidate = answer.claim.candidate
        place = to_text(candidate.place)
        if answer.found is not None:
            scan.seen.add(place)
            return Reading(candidate, [categorized(answer.found, scan.categorizer)])
        known = scan.known.get(place)
        if (known and known.records) or not answer.reason:
            self.desk.keys.discard(answer.claim.key)
            self._keep(scan, place)
            return None
        scan.seen.add(place)
        return Reading(candidate, reason=answer.reason, errors=1)

    @staticmethod
    def _keep(scan: RootScan, place: str) -> None:
        if (known := scan.known.get(place)) is None or place in scan.seen:
            return
        scan.seen.add(place)
        scan.progress.unchanged += known.records
        scan.progress.found += known.records
        scan.progress.errors += known.errors
        scan.found += known.records

    def save(self, scan: RootScan) -> None:
        """Remember what was asked, and what failed. With the database."""
        if self.desk is None:
            return
        sessions = cast("list[PluginSession]", list(self.desk.sessions.values()))
        for problem in switching.conclude(sessions, self.root.path, scan.journal):
            scan.note(problem)
        keys, stamp = self.desk.keys, _stamp()
        if self.start != ".":
            keys = keys | set(self.desk.answered)
        folders = b"".join(sorted(keys))
        row = PluginAnswers.objects.filter(root=self.root).first()
        if row is None or (row.stamp, bytes(row.folders)) != (stamp, folders):
            PluginAnswers.objects.update_or_create(
                root=self.root, defaults={"stamp": stamp, "folders": folders}
            )


def _stamp() -> str:
    return sha256(stamp_of(format_registry.of_paths()).encode()).hexdigest()


def _is_weightless(reading: Reading) -> bool:
    return len(reading.found) == 1 and any(
        problem.code == "weights_missing" for problem in reading.found[0].problems
    )


def load(root: Root, start: str, settings: Discovery, *, full: bool) -> PluginModels:
    """The plugins' part in a scan of ``root``, from what earlier ones remembered."""
    own = PluginModels(root, start)
    catalogue.refresh()
    formats = set(Plugin.objects.exclude(format="").values_list("format", flat=True))
    held = _held(root, formats) if formats and root.pk is not None else {}
    if not format_registry.of_paths() and not held:
        return own
    row = PluginAnswers.objects.filter(root=root).first() if root.pk is not None else None
    folders, stamp = (bytes(row.folders), row.stamp) if row else (b"", "")
    own.is_changed = stamp != _stamp()
    answered = (
        frozenset()
        if full or own.is_changed
        else frozenset(
            folders[first : first + KEY_BYTES] for first in range(0, len(folders), KEY_BYTES)
        )
    )
    own.desk = PathDesk(to_native("/", root.path), settings, answered, held)
    return own


def _held(root: Root, formats: Collection[str]) -> Mapping[str, str]:
    rows = RegisteredModel.objects.filter(root=root, format__in=formats)
    failed = SkippedPath.objects.filter(root=root, reason__startswith=FAILED)
    return {
        **dict(failed.values_list("place", "left_out")),
        **{place: kind or "" for place, kind in rows.values_list("place", "format")},
    }

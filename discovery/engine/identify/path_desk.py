"""What no format knows, gathered during a walk and put to the formats of paths (plugins).

Answers are remembered a folder: one whose loose files have the same names, sizes, times and inodes
as when all readers that there are now were asked is not asked about again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from discovery.engine.core import format_registry, names
from discovery.engine.core.config import Discovery
from discovery.engine.core.format_registry import Format
from discovery.engine.core.path_reader import PathFailed, PathSession
from discovery.engine.core.paths import to_text
from discovery.engine.core.types import Candidate, FileEntry, Found, Layout
from discovery.engine.disk.listing import signature
from discovery.engine.disk.walk import all_files
from discovery.engine.identify import plugged

logger = logging.getLogger(__name__)

#: Paths that are gathered before they are asked about.
ROUND = 5_000
#: Bytes of what is remembered of a folder.
KEY_BYTES = 8


class Claim(NamedTuple):
    """A path that a format says is a model of it; ``home``: the folder around it is its own.

    ``key`` is that of the folder that was asked about.
    """

    candidate: Candidate
    kind: Format
    home: bool
    key: bytes


class Answer(NamedTuple):
    """What came of a claim: a model, or the reason why it could not be read.

    Without either the format was not asked: the next walk does.
    """

    claim: Claim
    found: Found | None
    reason: str = ""


@dataclass
class PathDesk:
    """One walk of ``root`` (absolute). ``answered`` are the keys that earlier walks remembered.

    ``held`` is {place: format} of the models that formats of paths have read, as text, and {place:
    ""} of the places they failed to read; ``stale`` are places to read again. ``own`` collects the
    files of models.
    """

    root: str
    settings: Discovery
    answered: Collection[bytes] = frozenset()
    held: Mapping[str, str] = field(default_factory=dict)
    stale: Collection[str] = frozenset()
    own: Callable[[Iterable[FileEntry]], None] = lambda _: None
    #: Keys of folders about which all is known now.
    keys: set[bytes] = field(default_factory=set)
    #: Places of models that stay as they are.
    kept: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.kinds = format_registry.of_paths()
        self.sessions: dict[str, PathSession] = {
            kind.name: kind.paths.session(self.root) for kind in self.kinds if kind.paths
        }
        self._stamp = stamp_of(self.kinds)
        self._folders: dict[str, list[FileEntry]] = {}
        self._waiting = 0
        self._whole: set[str] = set()

    @property
    def is_full(self) -> bool:
        return self._waiting >= ROUND

    # -- told by the walk

    def loose(self, entries: Iterable[FileEntry]) -> None:
        """Files that belong to no model."""
        by_folder: dict[str, list[FileEntry]] = {}
        for entry in entries:
            if entry.link is None and not names.is_litter(entry.name):
                by_folder.setdefault(entry.path.rpartition("/")[0] or ".", []).append(entry)
        for path, files in by_folder.items():
            key = self._key(path, files)
            if key in self.keys:  # folders may be told of twice
                continue
            if key in self.answered and not self._is_stale(path, files):
                self.keys.add(key)
                self._keep(path, files)
            elif self.kinds:
                self._folders.setdefault(path, []).extend(files)
                self._waiting += len(files) + 1
            else:
                self._keep(path, files)

    def _key(self, folder: str, files: list[FileEntry]) -> bytes:
        text = f"{self._stamp}|{folder}|{signature(files)}"
        return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=KEY_BYTES).digest()

    def _is_stale(self, folder: str, files: list[FileEntry]) -> bool:
        return bool(self.stale) and any(
            to_text(path) in self.stale for path in (folder, *(entry.path for entry in files))
        )

    def _keep(self, folder: str, files: Sequence[FileEntry]) -> None:
        if not self.held:
            return
        if to_text(folder) in self.held or self._is_inside(folder):
            self.kept.add(to_text(folder))
            self.own(files)
            return
        for entry in files:
            if (place := to_text(entry.path)) in self.held:
                self.kept.add(place)
                self.own([entry] if self.held[place] else [])

    # -- asking

    def claims(self) -> list[Claim]:
        """Asks about what is waiting. What has to be read is returned, the rest noted."""
        folders, self._folders, self._waiting = self._folders, {}, 0
        claimed, unsure = self._claimed(folders)
        found: list[Claim] = []
        for path, files in folders.items():
            key = self._key(path, files)
            mine = [(entry, claimed[entry.path]) for entry in files if entry.path in claimed]
            if unsure.isdisjoint((path, *(entry.path for entry in files))):
                self.keys.add(key)
            if self._is_inside(path):
                self.own(files)
                if mine:
                    self.keys.discard(key)
            elif kind := claimed.get(path):
                self._whole.add(to_text(path))
                self.own(files)
                found += self._of_folder(path, kind, key)
            else:
                self.own(entry for entry, _ in mine)
                found += [
                    _of_file(entry, kind, files, key, alone=len(mine) == 1) for entry, kind in mine
                ]
                self._stay(path, files, claimed, unsure)
        return found

    def _claimed(
        self, folders: Mapping[str, list[FileEntry]]
    ) -> tuple[dict[str, Format], set[str]]:
        """({path: the first format that says yes}, paths that a format did not answer for)."""
        paths = [
            path
            for folder, files in folders.items()
            for path in (*([] if folder == "." else [folder]), *(entry.path for entry in files))
        ]
        claimed: dict[str, Format] = {}
        unsure: set[str] = set()
        for kind in self.kinds:
            left = [path for path in paths if path not in claimed]
            answers = self.sessions[kind.name].claims([self._absolute(path) for path in left])
            claimed |= {path: kind for path, yes in zip(left, answers, strict=True) if yes}
            unsure |= {path for path, yes in zip(left, answers, strict=True) if yes is None}
        return claimed, unsure - claimed.keys()

    def _stay(
        self,
        folder: str,
        files: Sequence[FileEntry],
        claimed: Mapping[str, Format],
        unsure: Collection[str],
    ) -> None:
        """Models stay as they are while nobody can say that they are none.

        That is while their format is switched off or not there, or has not answered.
        """
        for path in (folder, *(entry.path for entry in files)):
            kind = self.held.get(to_text(path)) if self.held else None
            if kind and path not in claimed and (kind not in self.sessions or path in unsure):
                self.kept.add(to_text(path))
                self.own(entry for entry in files if path in (folder, entry.path))

    def _is_inside(self, path: str) -> bool:
        """Whether the path is below a folder that is one model as a whole."""
        if not self._whole and not self.kept:
            return False
        while "/" in path:
            path = path.rpartition("/")[0]
            if (place := to_text(path)) in self._whole or place in self.kept:
                return True
        return False

    def _of_folder(self, path: str, kind: Format, key: bytes) -> Iterator[Claim]:
        try:
            whole = all_files(self.root, self.settings, path)
        except OSError:
            return  # it went while it was asked about
        if whole.files:
            yield Claim(_salted(whole, kind), kind, True, key)

    def _absolute(self, path: str) -> str:
        return self.root if path == "." else f"{self.root}/{path}"

    # -- reading

    def answers(self, claims: Iterable[Claim]) -> Iterator[Answer]:
        """What the formats say about the claims that have to be read."""
        by_kind: dict[str, list[Claim]] = {}
        for claim in claims:
            by_kind.setdefault(claim.kind.name, []).append(claim)
        for name, own in by_kind.items():
            session = self.sessions[name]
            paths = [self._absolute(claim.candidate.place) for claim in own]
            for claim, answer in zip(own, session.read(paths), strict=True):
                yield self._answer(claim, answer, session)

    def _answer(self, claim: Claim, answer: object, session: PathSession) -> Answer:
        place = claim.candidate.place
        if isinstance(answer, PathFailed) and not answer.asked:
            return Answer(claim, None)
        if isinstance(answer, PathFailed):
            return Answer(claim, None, f"the plugin {claim.kind.label} failed: {answer}")
        told = plugged.checked(answer)
        for complaint in told.complaints:
            session.object_to(self._absolute(place), f"{complaint}.")
        if not told.complaints:
            session.approve()
        try:
            found = plugged.found(self.root, claim.candidate, claim.kind, told, home=claim.home)
        except Exception as error:  # as for every other candidate: it must not end the scan
            logger.exception("reading %r failed", place)
            return Answer(claim, None, f"reading it failed unexpectedly ({error})")
        return Answer(claim, found)

    def rest(self) -> None:
        for session in self.sessions.values():
            session.rest()


def stamp_of(kinds: Iterable[Format]) -> str:
    """Another text when another reader is asked, or one of them may answer differently."""
    return "|".join(f"{kind.name} {kind.paths.digest}" for kind in kinds if kind.paths)


def _of_file(
    entry: FileEntry, kind: Format, files: list[FileEntry], key: bytes, *, alone: bool
) -> Claim:
    """``alone``: no other file of its folder is a model, so that card and config are its own."""
    folder = entry.path.rpartition("/")[0]
    others = [each for each in files if each is not entry] if alone and folder else []
    own = [each for each in others if each.name in names.SIDECARS]
    rest = tuple(each for each in others if each.name not in names.SIDECARS)
    candidate = Candidate(
        entry.path,
        Layout.FILES,
        (entry, *own),
        signature((entry, *own, *rest)),
        beside=rest,
    )
    return Claim(_salted(candidate, kind), kind, bool(own), key)


def _salted(candidate: Candidate, kind: Format) -> Candidate:
    """The candidate with a signature that changes with its reader."""
    assert kind.paths is not None
    salt = f"{kind.name} {kind.paths.digest} {candidate.signature}"
    return candidate._replace(signature=signature((), salt))

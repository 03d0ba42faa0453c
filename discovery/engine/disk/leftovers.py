"""Finds files below a root that no model needs any more: interrupted downloads, unreferenced blobs,
old revisions, orphaned shards, empty folders.

One walk of names; only possible leftovers are asked for their size, and only indexes and manifests
are opened. Files that were written within ``YOUNG`` seconds are ignored: a download may still be
running.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from discovery.engine.core import names
from discovery.engine.core.heartbeat import beat
from discovery.engine.core.paths import is_under, to_native, to_text
from discovery.engine.disk.disk_use import FILE, FOLDER, DiskEntry, freed, piece_of
from discovery.engine.disk.leftover_shards import lone_shards, named_below
from discovery.engine.disk.leftover_stores import Repository, Store

PARTIAL, BLOBS, REVISIONS, SHARDS, EMPTY = "partial", "blobs", "revisions", "shards", "empty"

#: Endings of files that a broken-off download leaves behind.
UNFINISHED = (".incomplete", ".part", ".partial", ".crdownload", ".aria2", ".download")
YOUNG = 3_600.0
#: More of one kind would help nobody.
MAX_EACH = 2_000


@dataclass(frozen=True, slots=True)
class Leftover:
    """Entries that can go together.

    ``path`` names them, ``note`` says why they are of no use and what to think of first.

    ``decides`` are folders whose contents have decided that: what changes there may need the
    entries again.
    """

    kind: str
    path: str
    note: str
    pieces: tuple[DiskEntry, ...]
    decides: tuple[str, ...] = ()

    @property
    def freed(self) -> int:
        return freed(self.pieces)


@dataclass(slots=True)
class Look:
    """The result of one walk.

    ``whole`` is false if time ran out; ``unread`` are places that could not be read, with the
    reason.

    ``links`` are the real targets of links below the root: files that one of them needs are not
    leftovers, see :func:`is_linked`.
    """

    found: list[Leftover] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)
    links: set[str] = field(default_factory=set)
    folders: int = 0
    whole: bool = True


@dataclass(slots=True)
class _Folder:
    path: str
    parent: int
    occupied: bool = False


def look(
    root: str, skip: Collection[str] = (), seconds: float = 60.0, now: float | None = None
) -> Look:
    """Walks ``root``, a real absolute path, following no link; ``skip`` are real paths of other
    roots below it.
    """
    walker = _Walker(root, frozenset(skip), now or time.time(), time.monotonic() + seconds)
    walker.run()
    return walker.result


def is_linked(leftover: Leftover, home: str, links: Collection[str]) -> bool:
    """Whether one of ``links`` leads to an entry of ``leftover``, or to a folder within its own
    that holds one. ``home`` is its root.
    """
    own = to_native(home, leftover.path)
    for each in leftover.pieces:
        place = to_native(home, each.path)
        while place != home and is_under(place, home):
            if place in links:
                return True
            if place == own:
                break
            place = os.path.dirname(place)
    return False


class _Walker:
    def __init__(self, root: str, skip: frozenset[str], now: float, deadline: float) -> None:
        self.root, self.skip, self.now, self.deadline = root, skip, now, deadline
        self.result = Look()
        self.folders = [_Folder(".", -1)]
        self.named: set[str] = set()

    def run(self) -> None:
        todo = [0]
        while todo:
            if time.monotonic() > self.deadline:
                self.result.whole = False
                break
            index = todo.pop()
            for name in self.visit(self.folders[index]):
                child = name if index == 0 else f"{self.folders[index].path}/{name}"
                self.folders.append(_Folder(child, index))
                todo.append(len(self.folders) - 1)
        for index in todo:
            self.folders[index].occupied = True  # not looked into: nobody knows
        self.result.folders = len(self.folders)
        self.add(self.empty())
        self.result.found = [
            each for each in self.result.found
            if not is_linked(each, self.root, self.result.links)
            and not (
                each.kind == SHARDS
                and any(to_native(self.root, piece.path) in self.named for piece in each.pieces)
            )
        ]  # fmt: skip

    def visit(self, folder: _Folder) -> list[str]:
        """Examine one folder and return its sub-folders that remain to be walked."""
        absolute = self.root if folder.path == "." else f"{self.root}/{folder.path}"
        if folder.path != "." and absolute in self.skip:
            folder.occupied = True
            return []
        beat()
        try:
            with os.scandir(absolute) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            folder.occupied = True
            self.result.unread.append((to_text(folder.path), error.strerror or str(error)))
            return []
        below = [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]
        others = [entry.name for entry in found if not entry.is_dir(follow_symlinks=False)]
        folder.occupied = bool(others)
        self.result.links.update(
            os.path.realpath(entry.path) for entry in found if entry.is_symlink()
        )
        name = folder.path.rpartition("/")[2]
        if name.startswith(("models--", "datasets--", "spaces--")):
            folder.occupied = True
            if name.startswith("models--"):
                self.repository(folder, absolute)
            return []
        if "manifests" in below and "blobs" in below:
            folder.occupied = True
            self.store(folder, absolute)
            below = [each for each in below if each not in ("manifests", "blobs")]
        self.add(self.partials(folder, absolute, others))
        self.named.update(
            f"{absolute}/{each}"
            for name in others
            if name.endswith(".index.json")
            for each in named_below(absolute, name)
        )
        self.add(
            Leftover(
                SHARDS,
                to_text(self.child(folder, pieces[0][0])),
                note,
                made,
                (to_text(folder.path),),
            )
            for pieces, note in lone_shards(absolute, others)
            if (made := self.old([(self.child(folder, name), path) for name, path in pieces]))
            and not self.is_filling(absolute, f"{absolute}/.cache/huggingface/download")
        )
        if any(names.never_a_model(each) for each in below):
            folder.occupied = True
        return [each for each in below if not names.never_a_model(each)]

    @staticmethod
    def child(folder: _Folder, name: str) -> str:
        return name if folder.path == "." else f"{folder.path}/{name}"

    def old(self, entries: Iterable[tuple[str, str]]) -> tuple[DiskEntry, ...]:
        """The entries (path, absolute path) that can be seen and are not young; none when one of
        them is young.
        """
        pieces = [made for path, absolute in entries if (made := piece_of(to_text(path), absolute))]
        return (
            () if any(self.now - each.mtime_ns / 1e9 < YOUNG for each in pieces) else tuple(pieces)
        )

    def is_filling(self, *folders: str) -> bool:
        """Whether something in one of them was written a short while ago: a download that is at
        work needs what it has finished, too.
        """
        for folder in folders:
            try:
                with os.scandir(folder) as entries:
                    if any(
                        self.now - entry.stat(follow_symlinks=False).st_mtime < YOUNG
                        for entry in entries
                    ):
                        return True
            except FileNotFoundError:
                continue
            except OSError:
                return True  # nobody knows
        return False

    def add(self, leftovers: Iterable[Leftover]) -> None:
        for leftover in leftovers:
            if sum(each.kind == leftover.kind for each in self.result.found) >= MAX_EACH:
                self.result.whole = False
                return
            self.result.found.append(leftover)

    def partials(self, folder: _Folder, absolute: str, others: list[str]) -> Iterator[Leftover]:
        for name in others:
            if not name.lower().endswith(UNFINISHED):
                continue
            parts = [name]
            if name.lower().endswith(".aria2") and name[:-6] in others:
                parts.append(name[:-6])  # the file itself, of full length and full of holes
            pieces = self.old((self.child(folder, part), f"{absolute}/{part}") for part in parts)
            if pieces and all(each.kind == FILE for each in pieces):
                yield Leftover(
                    PARTIAL,
                    pieces[0].path,
                    "a download that broke off; a program that resumes it would begin anew",
                    pieces,
                )

    def repository(self, folder: _Folder, absolute: str) -> None:
        repository = Repository.read(absolute)
        self.result.links |= repository.outside
        if repository.fault:
            self.result.unread.append((to_text(folder.path), repository.fault))
            return
        if self.is_filling(f"{absolute}/blobs"):
            return
        title = to_text(folder.path)
        decides = (f"{title}/snapshots", f"{title}/refs")
        self._stored(
            BLOBS,
            title,
            repository.unnamed(),
            folder,
            absolute,
            "no revision of the repository links to {count}",
            decides,
        )
        self._stored(
            PARTIAL,
            f"{title}/blobs",
            repository.unfinished(),
            folder,
            absolute,
            "a download that broke off",
        )
        commits = repository.old_revisions()
        pieces = self.old(
            (self.child(folder, each), f"{absolute}/{each}")
            for each in repository.of_revisions(commits)
        )
        if pieces:
            many = "this revision" if len(commits) == 1 else f"these {len(commits):,} revisions"
            told = ", ".join(to_text(commit)[:12] for commit in commits[:8]) + (
                " …" if len(commits) > 8 else ""
            )
            note = (
                f"no branch or tag names {many} ({told}); a program that asks for one by its commit"
                " would download it again"
            )
            self.add([Leftover(REVISIONS, f"{title}/snapshots", note, pieces, decides)])

    def store(self, folder: _Folder, absolute: str) -> None:
        store = Store.read(absolute)
        if store.fault:
            self.result.unread.append((to_text(folder.path), store.fault))
            return
        # The manifest is written last: until then nothing names the layers that are there.
        if self.is_filling(f"{absolute}/blobs"):
            return
        title = to_text(self.child(folder, "blobs"))
        decides = (to_text(self.child(folder, "manifests")),)
        self._stored(
            BLOBS,
            title,
            store.unnamed(),
            folder,
            absolute,
            "no manifest of the Ollama store names {count}",
            decides,
        )
        self._stored(
            PARTIAL, title, store.unfinished(), folder, absolute, "a download that broke off"
        )

    def _stored(
        self,
        kind: str,
        title: str,
        entries: list[str],
        folder: _Folder,
        absolute: str,
        note: str,
        decides: tuple[str, ...] = (),
    ) -> None:
        aged = [
            made
            for each in entries
            for made in self.old([(self.child(folder, each), f"{absolute}/{each}")])
        ]
        if aged:
            count = "this blob" if len(aged) == 1 else f"these {len(aged):,} blobs"
            self.add([Leftover(kind, title, note.format(count=count), tuple(aged), decides)])

    def empty(self) -> Iterator[Leftover]:
        """The topmost folders that hold nothing but folders, each with all below it."""
        for each in reversed(self.folders):
            if each.occupied and each.parent >= 0:
                self.folders[each.parent].occupied = True
        below: dict[int, list[int]] = {}
        tops: dict[int, int] = {}
        for index, each in enumerate(self.folders):
            if each.occupied or each.parent < 0:
                continue
            tops[index] = tops.get(each.parent, index)
            below.setdefault(tops[index], []).append(index)
        for members in below.values():
            pieces = self.old(
                (self.folders[index].path, f"{self.root}/{self.folders[index].path}")
                for index in reversed(members)
            )
            if pieces and all(each.kind == FOLDER for each in pieces):
                yield Leftover(EMPTY, pieces[-1].path, "there is no file in it", pieces)

"""Roots → candidates: which files belong together as one model.

The walk uses names and ``stat``. It opens only files that describe the folders below: the list of
modules of sentence-transformers, and the index of shards in folders of other names.

A folder belongs to a model if it contains a marker (``config.json``, ``model_index.json`` …) or
weights with a library's standard name; loose weight files are models of their own. The GGUF files
of one folder are one candidate, and their headers decide later.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from discovery.engine.core import format_registry, names
from discovery.engine.core.config import Discovery
from discovery.engine.core.types import Candidate, FileEntry, Layout, Problem
from discovery.engine.core.vocabulary import Severity
from discovery.engine.disk import docker_store, layouts
from discovery.engine.disk.folder_reader import FolderReader
from discovery.engine.disk.ledger import Ledger, Use
from discovery.engine.disk.listing import FolderListing, signature
from discovery.engine.sidecars import weight_index

#: "Too deep" is said once a folder, at most this often a walk.
MAX_DEPTH_NOTES = 100

#: Codes of problems that hide what lies at, or below, their path: it is not known to be gone.
UNREAD = frozenset({"folder_unreadable", "file_unreadable", "link_unreachable"})


def walk(
    root: str,
    settings: Discovery,
    *,
    start: str = ".",
    skip: Sequence[str] = (),
    ledger: Ledger | None = None,
) -> Iterator[Candidate | Problem]:
    """Candidates under ``root`` (an absolute path), in a stable order, streaming.

    ``start`` is the only folder below the root to walk; ``skip`` are absolute real paths that are
    never entered (other roots); ``ledger`` records what is in no candidate. Raises ``OSError`` when
    ``start`` itself cannot be listed; every other unreadable folder is a ``Problem``.
    """
    walker = Walker(root, settings, frozenset(skip), ledger)
    yield from walker.run(start)


def all_files(root: str, settings: Discovery, path: str) -> Candidate:
    """All files at or below ``path`` as one candidate, whatever they are.

    Raises ``OSError`` when ``path`` cannot be listed.
    """
    walker = Walker(root, settings, frozenset())
    absolute = walker.absolute(path)
    if not os.path.isdir(absolute):
        status = os.stat(absolute)
        entry = FileEntry(path, status.st_size, status.st_mtime_ns, status.st_ino)
        return Candidate(path, Layout.FILES, (entry,), signature((entry,)))
    os.scandir(absolute).close()
    folder = walker.listing(path)
    assert isinstance(folder, FolderListing)
    return walker.candidate(folder, Layout.FOLDER, walker.below(folder, folder.folders))


class Walker(FolderReader):
    """One walk under way.

    Each folder is listed once; ``candidates`` decides what of it is a model and what is walked
    further.
    """

    def __init__(
        self,
        root: str,
        settings: Discovery,
        skip: frozenset[str],
        ledger: Ledger | None = None,
    ) -> None:
        super().__init__(root, settings, skip, ledger)
        self.max_depth = settings.max_scan_depth if settings.scan_subdirectories else 1
        self.deferred: list[tuple[str, int]] = []
        self.depth_notes = 0
        #: How many model folders the walk is inside of, and the files there that belong to no
        #: model.
        self.inside = 0
        self.unclaimed: list[FileEntry] = []

    def run(self, start: str) -> Iterator[Candidate | Problem]:
        # An unreadable start is the caller's news, not a problem inside.
        os.scandir(self.absolute(start)).close()
        depth = 0 if start == "." else start.count("/") + 1
        yield from self.visit(start, depth)
        # Real folders come first, so a link is walked only where nothing else leads to its target.
        while self.deferred:
            path, depth = self.deferred.pop()
            target = os.path.relpath(os.path.realpath(self.absolute(path)), self.real_root).replace(
                os.sep, "/"
            )
            if target not in self.seen:
                self.seen.add(target)
                yield from self.visit(path, depth)

    # -- walking

    def visit(self, start: str, start_depth: int) -> Iterator[Candidate | Problem]:
        stack = [(start, start_depth)]
        while stack:
            path, depth = stack.pop()
            looked_into = len(self.looked_into)
            folder = self.listing(path)
            if isinstance(folder, Problem):
                yield folder
                continue
            if folder is None:
                continue
            candidates, rest = self.candidates(folder)
            main = next((each for each in candidates if each.layout is Layout.FOLDER), None)
            if main is not None:
                below = len(self.unclaimed)
                inner = self.below_model(folder, rest, depth)
                yield self.with_beside(
                    main, [*self.unclaimed[below:], *self.passed_over(looked_into)]
                )
                del self.unclaimed[below:]
                yield from (each for each in candidates if each is not main)
                yield from folder.problems
                yield from inner
                if depth < self.max_depth:
                    self.deferred.extend((folder.child(name), depth + 1) for name in folder.links)
                continue
            if self.inside or self.ledger:
                claimed = {
                    entry.path for each in candidates for entry in (*each.files, *each.beside)
                }
                unclaimed = [entry for entry in folder.files if entry.path not in claimed]
                if self.inside:
                    self.unclaimed += unclaimed
                elif self.ledger:
                    self.ledger.loose(unclaimed)
            if not self.inside:
                self.leave_out(self.looked_into[looked_into:], Use.JUNK)
                del self.looked_into[looked_into:]
            yield from candidates
            yield from folder.problems
            if not rest and not folder.links:
                continue
            if depth >= self.max_depth:
                self.leave_out([folder.child(name) for name in rest], Use.EXCLUDED)
                yield from self.too_deep(folder, rest or folder.links)
                continue
            stack.extend((folder.child(name), depth + 1) for name in reversed(rest))
            self.deferred.extend((folder.child(name), depth + 1) for name in folder.links)

    def below_model(
        self, folder: FolderListing, rest: Sequence[str], depth: int
    ) -> list[Candidate | Problem]:
        """What the walk finds below a model's folder.

        Files there that belong to no model are added to ``unclaimed``.
        """
        if depth >= self.max_depth:
            found = (
                list(self.too_deep(folder, rest or folder.links)) if rest or folder.links else []
            )
            inner = FolderListing(folder.path)
            self.unclaimed += self.below(inner, rest) if rest else []
            return [*found, *inner.problems]
        self.inside += 1
        try:
            return [item for name in rest for item in self.visit(folder.child(name), depth + 1)]
        finally:
            self.inside -= 1

    def passed_over(self, since: int) -> list[FileEntry]:
        """The files of the folders noted since then, which never contain a model."""
        files: list[FileEntry] = []
        while len(self.looked_into) > since:
            folder = FolderListing(self.looked_into.pop())
            files += self.below(folder, [], own=True)
        return files

    @staticmethod
    def with_beside(candidate: Candidate, beside: list[FileEntry]) -> Candidate:
        """The candidate with the files next to its own: its signature changes when they do."""
        if not beside:
            return candidate
        return candidate._replace(
            beside=tuple(beside), signature=signature(beside, candidate.signature)
        )

    def too_deep(self, folder: FolderListing, rest: Sequence[str]) -> Iterator[Problem]:
        if self.depth_notes < MAX_DEPTH_NOTES:
            self.depth_notes += 1
            what = (
                f"{len(rest)} folders in it are"
                if len(rest) > 1
                else f"the folder {rest[0]} in it is"
            )
            yield Problem(
                "too_deep",
                f"{what} deeper than max_scan_depth ({self.max_depth}) and not looked into",
                folder.path,
                Severity.INFO,
            )

    # -- deciding

    def candidates(self, folder: FolderListing) -> tuple[list[Candidate], list[str]]:
        """(candidates of this folder, names of its sub-folders that remain to be walked)."""
        name = folder.path.rpartition("/")[2]
        if name.startswith(("datasets--", "spaces--")):
            self.leave_out([folder.child(each) for each in folder.folders], Use.EXCLUDED)
            return [], []
        if name.startswith("models--") and "snapshots" in folder.folders:
            return [
                self.candidate(folder, Layout.HUB_CACHE, self.below(folder, folder.folders))
            ], []
        if store := self.store(folder):
            return store
        folder.problems.extend(layouts.pieces(folder))
        if "model_index.json" in folder.names or format_registry.of_folder(
            name, folder.names, folder.folders, whole=True
        ):
            return [self.candidate(folder, Layout.FOLDER, self.below(folder, folder.folders))], []
        parts = self.parts(folder) if folder.folders else []
        if self.is_model_folder(folder):
            files = self.below(folder, parts)
            return [self.candidate(folder, Layout.FOLDER, files)], [
                name for name in folder.folders if name not in parts
            ]
        if parts and folder.path != "." and not names.SIDECARS.isdisjoint(folder.names):
            files = self.below(folder, parts)
            if any(
                names.weight_format(entry.name)
                and names.is_standard(entry.name)
                and not format_registry.is_in_a_file(entry.path.rpartition("/")[0])
                for entry in files
            ):
                return [self.candidate(folder, Layout.FOLDER, files)], [
                    name for name in folder.folders if name not in parts
                ]
            for part in parts:
                self.forget(folder.child(part))
        if quantized := layouts.quantized(self, folder):
            return [quantized], [name for name in folder.folders if not names.is_quantization(name)]
        candidates = layouts.with_packages(self, folder, layouts.loose(self, folder))
        if candidates and any(map(names.is_companion, folder.folders)):
            return layouts.with_companions(self, folder, candidates)
        if not candidates and folder.checkpoints and not self.inside:
            layouts.promote_checkpoint(self, folder)
        return candidates, folder.folders

    def store(self, folder: FolderListing) -> tuple[list[Candidate], list[str]] | None:
        """The candidates of a Docker or Ollama store, and the other files in it."""
        if docker_store.is_store(folder.names, folder.folders):
            own = (*docker_store.FOLDERS, docker_store.UNPACKED)
            return [layouts.docker(self, folder)], [
                name for name in folder.folders if name not in own
            ]
        if "manifests" in folder.folders and "blobs" in folder.folders:
            return layouts.ollama(self, folder), [
                name for name in folder.folders if name not in ("manifests", "blobs")
            ]
        return None

    def parts(self, folder: FolderListing) -> list[str]:
        """Sub-folders that belong to ``folder`` where it is a model."""
        named = layouts.module_folders(self.root, folder)
        if not all(name in named or names.is_part_folder(name) for name in folder.folders):
            named |= layouts.indexed_folders(self.root, folder)
        return [name for name in folder.folders if name in named or names.is_part_folder(name)]

    @staticmethod
    def is_model_folder(folder: FolderListing) -> bool:
        if not names.MARKERS.isdisjoint(folder.names):
            return True
        for name in folder.names:
            if names.is_litter(name):
                continue
            if name.endswith(weight_index.SUFFIXES):
                return True
            if names.is_standard(name) and names.format_of_suffix(name) not in (None, "gguf"):
                return True
        place = folder.path.rpartition("/")[2]
        return (
            format_registry.of_folder(place, folder.names, folder.folders, whole=False) is not None
        )

    def candidate(
        self,
        folder: FolderListing,
        layout: Layout,
        files: list[FileEntry],
        place: str | None = None,
    ) -> Candidate:
        problems = tuple(folder.problems) if layout is not Layout.FILES else ()
        if layout is not Layout.FILES:
            folder.problems = []
        unfinished: tuple[str, ...] = ()
        if folder.unfinished:
            unfinished = tuple(e.path for e in files if e.path in folder.unfinished)
        return Candidate(
            place or folder.path,
            layout,
            tuple(files),
            signature(files, "\n".join(unfinished)),
            problems=problems,
            unfinished=unfinished,
        )

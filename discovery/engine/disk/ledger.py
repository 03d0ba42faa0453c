"""The ledger of a root: it accounts for every byte below it, so that nothing is skipped silently.

A walk records what it leaves out (``leave_out``) and what belongs to no candidate (``loose``); the
readers of candidates record the result (``read``, ``unchanged``). Each regular file counts once,
under its own name, with its apparent size: links have no bytes of their own.
"""

from __future__ import annotations

import heapq
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from discovery.engine.core import format_registry, names
from discovery.engine.core.paths import to_text
from discovery.engine.core.types import Candidate, FileEntry, Found, Layout

#: What is not recognized and smaller than this is only counted.
LARGE = 1_000_000
#: Of one root, the largest are kept.
MAX_KEPT = 10_000

_DATA_SUFFIXES = (".onnx_data", ".onnx.data")
_BLOB_LAYOUTS = (Layout.HUB_CACHE, Layout.OLLAMA, Layout.DOCKER)


class Use(StrEnum):
    """What a file is to the registry."""

    MODEL = "model"
    COMPANION = "companion"
    EXCLUDED = "excluded"
    JUNK = "junk"
    UNRECOGNIZED = "unrecognized"


@dataclass(slots=True)
class Tally:
    """``bytes`` in ``files`` regular files."""

    files: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        self.files += 1
        self.bytes += size

    def take(self, size: int) -> None:
        self.files -= 1
        self.bytes -= size


class Stray(NamedTuple):
    """A large file that no reader recognizes.

    ``place`` is the candidate that contains it; empty if none does.
    """

    size: int
    path: str
    mtime_ns: int
    place: str = ""


@dataclass
class Ledger:
    """Accounts for all files of the root at ``root``, an absolute path.

    ``skip`` are absolute paths in it that belong to other roots; ``kept`` are the strays that the
    last scan found, by their place, with paths as the registry writes them.
    """

    root: str
    skip: frozenset[str] = frozenset()
    kept: dict[str, set[str]] = field(default_factory=dict)
    tallies: dict[Use, Tally] = field(default_factory=lambda: {use: Tally() for use in Use})
    #: What ``supported_formats`` leaves out, by the formats of a candidate; counted as excluded.
    left_out_formats: dict[str, Tally] = field(default_factory=dict)
    #: Folders left out that are file systems of their own, and not looked into.
    unmeasured: list[str] = field(default_factory=list)
    #: Told of the files of no model, as they are met.
    on_loose: Callable[[Iterable[FileEntry]], None] | None = None
    _strays: list[Stray] = field(default_factory=list)
    #: Blobs that several candidates share, and whether one of these is a model.
    _stores: dict[str, tuple[tuple[FileEntry, ...], bool]] = field(default_factory=dict)
    #: Data of models that lie among the files of no model.
    _claimed: dict[str, FileEntry] = field(default_factory=dict)
    _left_out: set[str] = field(default_factory=set)
    _mounts: frozenset[str] | None = None

    @cached_property
    def _kept_paths(self) -> frozenset[str]:
        return frozenset().union(*self.kept.values())

    @property
    def strays(self) -> list[Stray]:
        """The largest first."""
        return sorted(self._strays, key=lambda stray: (-stray.size, stray.path))

    # -- told by the walk

    def leave_out(self, path: str, use: Use, size: int | None = None) -> None:
        """A file of ``size`` bytes, or the folder at ``path`` with all that is in it."""
        if path in self._left_out:  # folders may be listed twice
            return
        self._left_out.add(path)
        if size is not None:
            self.tallies[use].add(size)
            return
        for found in self._sizes(path):
            self.tallies[use].add(found)

    def loose(self, entries: Iterable[FileEntry], place: str = "") -> None:
        """Files of no model; ``place`` is that of the candidate which turned out to be none."""
        if self.on_loose is not None:
            entries = list(entries)
            self.on_loose(entries)
        for entry in entries:
            if entry.link is None:
                self._count(_use_alone(entry), entry, place)

    # -- told by the reader

    def read(self, candidate: Candidate, found: Collection[Found]) -> None:
        """Record a candidate and the models in it; without models, the candidate is not a model."""
        self._note_store(candidate, bool(found))
        if not found:
            self.loose(self._entries(candidate), candidate.place)
            return
        own = {path for model in found for each in model.variants for path in each.files}
        if candidate.layout is Layout.FILES:
            # Data that an ONNX file names, whatever it is called.
            listed = {entry.path for entry in candidate.files}
            data = [entry for model in found for entry in model.files if entry.path not in listed]
            own |= {entry.path for entry in data}
            self._claim(candidate, data)
        is_whole = _is_whole(found)
        for entry in self._entries(candidate):
            blob = _is_blob(candidate, entry)
            use = Use.MODEL if blob else _use_in_model(entry, own, is_whole=is_whole)
            self._count(use, entry, candidate.place)

    def unchanged(self, candidate: Candidate, *, is_model: bool) -> None:
        """A candidate that was not read again: what it was at the last scan."""
        self._note_store(candidate, is_model)
        if not is_model:
            self.loose(self._entries(candidate), candidate.place)
            return
        if candidate.layout is Layout.FILES:
            self._claim(
                candidate,
                (
                    entry
                    for entry in candidate.shared
                    if entry.size >= LARGE and to_text(entry.path) not in self._kept_paths
                ),
            )
        strays = self.kept.get(to_text(candidate.place), set())
        model, companion = self.tallies[Use.MODEL], self.tallies[Use.COMPANION]
        has_blobs = candidate.layout in _BLOB_LAYOUTS
        for entry in self._entries(candidate):
            if strays and to_text(entry.path) in strays:
                self._count(Use.UNRECOGNIZED, entry, candidate.place)
            elif (has_blobs and _is_blob(candidate, entry)) or not _is_companion(entry.name):
                model.add(entry.size)
            else:
                companion.add(entry.size)

    def claim(self, entries: Iterable[FileEntry]) -> None:
        """Record loose files as a model's."""
        self._claimed |= {entry.path: entry for entry in entries if entry.link is None}

    def formats_left_out(self, candidate: Candidate, formats: Iterable[str]) -> None:
        """A candidate whose weights are in formats that the configuration does not name."""
        told = " ".join(sorted(formats))
        for entry in self._entries(candidate):
            self.tallies[Use.EXCLUDED].add(entry.size)
            self.left_out_formats.setdefault(told, Tally()).add(entry.size)

    def close(self) -> None:
        """After the last candidate: what the stores hold."""
        for shared, is_model in self._stores.values():
            for entry in shared:
                if entry.link is None:
                    self._count(Use.MODEL if is_model else Use.UNRECOGNIZED, entry, "")
        self._stores.clear()
        for entry in self._claimed.values():
            use = _use_alone(entry)
            self.tallies[use].take(entry.size)
            self.tallies[Use.MODEL].add(entry.size)
        self._strays = [each for each in self._strays if each.path not in self._claimed]
        heapq.heapify(self._strays)

    # -- how

    def _claim(self, candidate: Candidate, data: Iterable[FileEntry]) -> None:
        """Record files of a model that are counted elsewhere."""
        beside = {entry.path for entry in (*candidate.files, *candidate.beside)}
        self._claimed |= {
            entry.path: entry for entry in data if entry.link is None and entry.path not in beside
        }

    def _note_store(self, candidate: Candidate, is_model: bool) -> None:
        if candidate.shared and candidate.layout is not Layout.FILES:
            key = candidate.shared[0].path
            self._stores[key] = candidate.shared, is_model or self._stores.get(key, ((), False))[1]

    def _entries(self, candidate: Candidate) -> Iterator[FileEntry]:
        """Each of the candidate's own files once."""
        entries = {entry.path: entry for entry in (*candidate.beside, *candidate.files)}
        return (entry for entry in entries.values() if entry.link is None)

    def _count(self, use: Use, entry: FileEntry, place: str) -> None:
        self.tallies[use].add(entry.size)
        if use is Use.UNRECOGNIZED and entry.size >= LARGE:
            stray = Stray(entry.size, entry.path, entry.mtime_ns, place)
            if len(self._strays) < MAX_KEPT:
                heapq.heappush(self._strays, stray)
            else:
                heapq.heappushpop(self._strays, stray)

    def _sizes(self, path: str) -> Iterator[int]:
        """Sizes of the regular files at or below ``path``; another file system is not entered: it
        may be left out because it does not answer.
        """
        stack = [os.path.join(self.root, path)]
        while stack:
            folder = stack.pop()
            if folder in self.skip:
                continue
            if folder in self._mount_points():
                self._leave_unmeasured(path)
                continue
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.is_file(follow_symlinks=False):
                            yield entry.stat(follow_symlinks=False).st_size
                        elif entry.is_dir(follow_symlinks=False):
                            stack.append(entry.path)
            except OSError:
                self._leave_unmeasured(path)

    def _leave_unmeasured(self, path: str) -> None:
        if path not in self.unmeasured[-1:]:
            self.unmeasured.append(path)

    def _mount_points(self) -> frozenset[str]:
        if self._mounts is None:
            self._mounts = frozenset(_mount_points())
        return self._mounts


def _mount_points() -> Iterator[str]:
    """Absolute paths of the mounted file systems, found without accessing them.

    Empty if the system does not list them. Source: proc(5), /proc/pid/mountinfo.
    """
    if sys.platform != "linux":
        return
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        fields = line.split(b" ")
        if len(fields) > 4:
            yield os.fsdecode(fields[4].decode("unicode_escape").encode("latin-1"))


def _use_alone(entry: FileEntry) -> Use:
    if names.is_litter(entry.name):
        return Use.JUNK
    is_small = entry.size < LARGE
    return Use.COMPANION if is_small and _is_companion(entry.name) else Use.UNRECOGNIZED


def _is_whole(found: Collection[Found]) -> bool:
    """Whether programs load a folder with all that is in it, and only one file of it is read."""
    return any(
        (known := format_registry.get(each.format)) is not None and known.is_whole
        for model in found
        for each in model.variants
    )


def _use_in_model(entry: FileEntry, own: Collection[str], *, is_whole: bool) -> Use:
    """Of a file in a model's folder: ``own`` are the paths of the files that were read as the
    model's.
    """
    name = entry.name
    if names.is_litter(name):
        return Use.JUNK
    if _is_companion(name):
        return Use.COMPANION
    if is_whole or entry.path in own or names.weight_format(name) or name.endswith(_DATA_SUFFIXES):
        return Use.MODEL
    return Use.COMPANION if entry.size < LARGE else Use.UNRECOGNIZED


@lru_cache(names.MAX_KNOWN)  # of every file, at each scan
def _is_companion(name: str) -> bool:
    dot = name.rfind(".")
    return dot <= 0 or names.is_document(name)


def _is_blob(candidate: Candidate, entry: FileEntry) -> bool:
    """Whether it is a file of a store that names its contents by their digests."""
    return candidate.layout in _BLOB_LAYOUTS and "/blobs/" in f"/{entry.path}"

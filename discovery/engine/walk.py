"""Roots → candidates: which files belong together as one model. Names and ``stat`` only; no file is opened.

A folder is a model's when a marker (``config.json``, ``model_index.json`` …) or weights with a library's standard name lie in it;
loose weight files are models of their own, GGUF files of one folder one candidate whose headers decide later.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from operator import attrgetter

from discovery.engine import names
from discovery.engine.config import Discovery
from discovery.engine.patterns import Patterns
from discovery.engine.types import Candidate, FileEntry, Layout, Problem, Severity

#: How deep a pipeline's or a repository's own sub-folders are followed.
MAX_PART_DEPTH = 8
#: "Too deep" is said once a folder, at most this often a walk.
MAX_DEPTH_NOTES = 100

_name = attrgetter("name")


@dataclass(slots=True)
class Folder:
    """One directory's listing. ``path`` is relative to the root; ``names`` are its regular files, and links to some inside the root."""

    path: str
    folders: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    names: dict[str, FileEntry] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def files(self) -> list[FileEntry]:
        return list(self.names.values())

    def child(self, name: str) -> str:
        return name if self.path == "." else f"{self.path}/{name}"


def walk(
    root: str, settings: Discovery, *, start: str = ".", skip: Sequence[str] = ()
) -> Iterator[Candidate | Problem]:
    """Candidates under ``root`` (an absolute path), in a stable order, streaming.

    ``start`` is a folder below the root to look in alone; ``skip`` are absolute real paths never entered (other roots).
    Raises ``OSError`` when ``start`` itself cannot be listed; every other unreadable folder is a ``Problem``.
    """
    walker = Walker(root, settings, frozenset(skip))
    yield from walker.run(start)


def everything(root: str, settings: Discovery, path: str) -> Candidate:
    """All files at or below ``path`` as one candidate, whatever they are. Raises ``OSError`` when ``path`` cannot be listed."""
    walker = Walker(root, settings, frozenset())
    absolute = walker.absolute(path)
    if not os.path.isdir(absolute):
        status = os.stat(absolute)
        entry = FileEntry(path, status.st_size, status.st_mtime_ns, status.st_ino)
        return Candidate(path, Layout.FILES, (entry,), _signature((entry,)))
    os.scandir(absolute).close()
    folder = walker.listing(path)
    assert isinstance(folder, Folder)
    return walker.candidate(folder, Layout.FOLDER, walker.below(folder, folder.folders))


class Walker:
    """One walk under way. Each folder is listed once; ``candidates`` decides what of it is a model and what is walked further."""

    def __init__(self, root: str, settings: Discovery, skip: frozenset[str]) -> None:
        self.root = root
        self.real_root = os.path.realpath(root)
        self.skip = skip
        self.max_depth = settings.max_scan_depth if settings.scan_subdirectories else 1
        self.excluded = Patterns(settings.exclude_patterns)
        self.seen: set[str] = set()  # folders listed so far, by their real path below the root
        self.deferred: list[tuple[str, int]] = []
        self.depth_notes = 0

    def run(self, start: str) -> Iterator[Candidate | Problem]:
        os.scandir(
            self.absolute(start)
        ).close()  # an unreadable start is the caller's news, not a problem inside
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

    def absolute(self, path: str) -> str:
        return (
            self.root if path == "." else f"{self.root}/{path}"
        )  # a walk asks for every folder: os.path.join takes its time

    # -- listing

    def visit(self, start: str, start_depth: int) -> Iterator[Candidate | Problem]:
        stack = [(start, start_depth)]
        while stack:
            path, depth = stack.pop()
            folder = self.listing(path)
            if isinstance(folder, Problem):
                yield folder
                continue
            if folder is None:
                continue
            candidates, rest = self.candidates(folder)
            yield from candidates
            yield from folder.problems
            if not rest and not folder.links:
                continue
            if depth >= self.max_depth:
                yield from self.too_deep(folder, rest or folder.links)
                continue
            stack.extend((folder.child(name), depth + 1) for name in reversed(rest))
            self.deferred.extend((folder.child(name), depth + 1) for name in folder.links)

    def listing(self, path: str) -> Folder | Problem | None:
        """The folder's listing; ``None`` when it was visited already or is not ours to visit."""
        absolute = self.absolute(path)
        if path in self.seen or (self.skip and os.path.realpath(absolute) in self.skip):
            return None
        self.seen.add(path)
        try:
            with os.scandir(absolute) as entries:
                found = sorted(entries, key=_name)
        except OSError as error:
            return Problem(
                "folder_unreadable", f"the folder cannot be read: {error.strerror}", path
            )
        folder = Folder(path)
        prefix, files = ("" if path == "." else path + "/"), folder.names
        excluded, excluded_path = self.excluded.name, self.excluded.path
        for entry in found:
            name = entry.name
            if excluded(name) or (excluded_path and excluded_path(prefix + name)):
                continue
            try:
                if entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    files[name] = FileEntry(
                        prefix + name, status.st_size, status.st_mtime_ns, status.st_ino
                    )
                elif entry.is_symlink():
                    self.add_link(folder, entry, prefix + name)
                elif entry.is_dir(follow_symlinks=False):
                    if not names.never_a_model(name):
                        folder.folders.append(name)
                elif _matters(name):
                    text = f"{name} is a pipe, socket or device; it is never opened"
                    folder.problems.append(
                        Problem("not_a_file", text, prefix + name, Severity.WARNING)
                    )
            except OSError as error:
                folder.problems.append(
                    Problem(
                        "file_unreadable", f"{name} cannot be read: {error.strerror}", prefix + name
                    )
                )
        return folder

    def add_link(self, folder: Folder, entry: os.DirEntry[str], path: str) -> None:
        target = os.path.realpath(entry.path)
        if not target.startswith(self.real_root + os.sep):
            if _matters(entry.name) or os.path.isdir(target):
                text = f"{entry.name} links to a place outside the root; it is not followed"
                folder.problems.append(Problem("link_leaves_root", text, path, Severity.WARNING))
            return
        try:
            status = os.stat(target)
        except OSError:
            if _matters(entry.name):
                folder.problems.append(
                    Problem(
                        "link_dangling",
                        f"{entry.name} links to a file that is not there",
                        path,
                        Severity.WARNING,
                    )
                )
            return
        if stat.S_ISDIR(status.st_mode):
            if not names.never_a_model(entry.name):
                folder.links.append(entry.name)
        elif stat.S_ISREG(status.st_mode):
            inside = os.path.relpath(target, self.real_root).replace(os.sep, "/")
            folder.names[entry.name] = FileEntry(
                path, status.st_size, status.st_mtime_ns, status.st_ino, inside
            )

    def too_deep(self, folder: Folder, rest: Sequence[str]) -> Iterator[Problem]:
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

    def candidates(self, folder: Folder) -> tuple[list[Candidate], list[str]]:
        """(candidates of this folder, names of its sub-folders that remain to be walked)."""
        name = folder.path.rpartition("/")[2]
        if name.startswith(("datasets--", "spaces--")):
            return [], []
        if name.startswith("models--") and "snapshots" in folder.folders:
            return [
                self.candidate(folder, Layout.HUB_CACHE, self.below(folder, folder.folders))
            ], []
        if "manifests" in folder.folders and "blobs" in folder.folders:
            return self.ollama(folder), [
                name for name in folder.folders if name not in ("manifests", "blobs")
            ]
        if "model_index.json" in folder.names or name.endswith(".mlpackage"):
            return [self.candidate(folder, Layout.FOLDER, self.below(folder, folder.folders))], []
        parts = (
            [name for name in folder.folders if names.is_part_folder(name)]
            if folder.folders
            else []
        )
        if self.is_model_folder(folder):
            files = self.below(folder, parts)
            return [self.candidate(folder, Layout.FOLDER, files)], [
                name for name in folder.folders if name not in parts
            ]
        if parts and folder.path != "." and not names.SIDECARS.isdisjoint(folder.names):
            files = self.below(folder, parts)
            if any(
                names.weight_format(entry.name) and names.is_standard(entry.name) for entry in files
            ):
                return [self.candidate(folder, Layout.FOLDER, files)], [
                    name for name in folder.folders if name not in parts
                ]
            for part in parts:
                self.forget(folder.child(part))
        return self.loose(folder), folder.folders

    @staticmethod
    def is_model_folder(folder: Folder) -> bool:
        if not names.MARKERS.isdisjoint(folder.names):
            return True
        for name in folder.names:
            if name.endswith((".safetensors.index.json", ".bin.index.json")):
                return True
            if names.is_standard(name) and names.weight_format(name) not in (None, "gguf"):
                return True
        return False

    def loose(self, folder: Folder) -> list[Candidate]:
        """Weight files without a model folder around them: grouped by stem, GGUF files all together."""
        groups: dict[str, list[FileEntry]] = {}
        for name, entry in folder.names.items():
            promised = names.weight_format(name)
            if promised == "gguf":
                groups.setdefault("*.gguf", []).append(entry)
            elif promised or (name.endswith(".xml") and f"{name[:-4]}.bin" in folder.names):
                groups.setdefault(names.base_stem(name), []).append(entry)
            elif name.endswith((".onnx_data", ".onnx.data")):
                groups.setdefault(names.base_stem(name.partition(".onnx")[0]), []).append(entry)
        own = (
            [entry for entry in folder.files if entry.name in names.SIDECARS]
            if len(groups) == 1 and folder.path != "."
            else []
        )
        return [
            self.candidate(
                folder,
                Layout.FILES,
                [*files, *own],
                place=folder.path if key == "*.gguf" else files[0].path,
            )
            for key, files in groups.items()
        ]

    def ollama(self, folder: Folder) -> list[Candidate]:
        """One candidate a name: ``manifests/<registry>/<namespace>/<name>`` holds a file for each tag."""
        blobs = tuple(self.below(Folder(folder.child("blobs")), [], own=True))
        stamp = _signature(blobs)
        found: list[Candidate] = []
        stack = [folder.child("manifests")]
        while stack:
            listing = self.listing(stack.pop())
            if not isinstance(listing, Folder):
                folder.problems.extend([listing] if isinstance(listing, Problem) else [])
                continue
            stack.extend(
                listing.child(name)
                for name in reversed(listing.folders)
                if listing.path.count("/") < MAX_PART_DEPTH + 8
            )
            if listing.files:
                signature = _signature(listing.files, stamp)
                found.append(
                    Candidate(
                        listing.path, Layout.OLLAMA, tuple(listing.files), signature, shared=blobs
                    )
                )
        return found

    def below(self, folder: Folder, parts: Sequence[str], own: bool = False) -> list[FileEntry]:
        """The folder's files and those of the named sub-folders, all the way down; their problems join the folder's."""
        files = folder.files
        if not parts and not own:
            return files
        stack = [(folder.path, 0)] if own else [(folder.child(name), 1) for name in reversed(parts)]
        while stack:
            path, depth = stack.pop()
            listing = self.listing(path)
            if isinstance(listing, Folder):
                files.extend(listing.files)
                folder.problems.extend(listing.problems)
                if depth < MAX_PART_DEPTH:
                    stack.extend(
                        (listing.child(name), depth + 1) for name in reversed(listing.folders)
                    )
            elif listing is not None:
                folder.problems.append(listing)
        return files

    def forget(self, path: str) -> None:
        """Lets a folder that was looked into as a possible part be visited again as one of its own."""
        self.seen = {seen for seen in self.seen if seen != path and not seen.startswith(path + "/")}

    def candidate(
        self, folder: Folder, layout: Layout, files: list[FileEntry], place: str | None = None
    ) -> Candidate:
        problems = tuple(folder.problems) if layout is not Layout.FILES else ()
        if layout is not Layout.FILES:
            folder.problems = []
        return Candidate(
            place or folder.path, layout, tuple(files), _signature(files), problems=problems
        )


def _matters(name: str) -> bool:
    return name in names.SIDECARS or names.weight_format(name) is not None


def _signature(files: Sequence[FileEntry], salt: str = "") -> str:
    """Changes with any name, size, time or inode; 32 hexadecimal digits."""
    lines = [f"{path}|{size}|{mtime}|{inode}" for path, size, mtime, inode, _ in files]
    return blake2b(
        "\n".join([salt, *lines]).encode("utf-8", "surrogateescape"), digest_size=16
    ).hexdigest()

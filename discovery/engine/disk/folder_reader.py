"""Reads the folders of a root: names, sizes and links, and which entries are skipped."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from operator import attrgetter

from discovery.engine.core import names
from discovery.engine.core.config import Discovery
from discovery.engine.core.heartbeat import beat
from discovery.engine.core.patterns import Patterns
from discovery.engine.core.types import FileEntry, Problem
from discovery.engine.core.vocabulary import Severity
from discovery.engine.disk.layouts import MAX_PART_DEPTH
from discovery.engine.disk.ledger import Ledger, Use
from discovery.engine.disk.listing import FolderListing

_name = attrgetter("name")


class FolderReader:
    """Lists the folders of one root, each once."""

    def __init__(
        self,
        root: str,
        settings: Discovery,
        skip: frozenset[str],
        ledger: Ledger | None = None,
    ) -> None:
        self.root = root
        self.ledger = ledger
        self.real_root = os.path.realpath(root)
        self.skip = skip
        self.excluded = Patterns(settings.exclude_patterns)
        self.seen: set[str] = set()  # folders listed so far, by their real path below the root
        #: Folders that never hold a model but may hold files of the one around them.
        self.looked_into: list[str] = []

    def absolute(self, path: str) -> str:
        # A walk asks for every folder: os.path.join takes its time.
        return self.root if path == "." else f"{self.root}/{path}"

    def listing(self, path: str) -> FolderListing | Problem | None:
        """The folder's listing; ``None`` when it was visited already or is not ours to visit."""
        beat()
        absolute = self.absolute(path)
        # By its name first: a folder that is skipped because it hangs must not be asked where it
        # really lies.
        if path in self.seen or (
            self.skip and (absolute in self.skip or os.path.realpath(absolute) in self.skip)
        ):
            return None
        self.seen.add(path)
        try:
            with os.scandir(absolute) as entries:
                found = sorted(entries, key=_name)
        except OSError as error:
            return Problem(
                "folder_unreadable", f"the folder cannot be read: {error.strerror}", path
            )
        folder = FolderListing(path)
        prefix, files = ("" if path == "." else path + "/"), folder.names
        excluded, excluded_path = self.excluded.name, self.excluded.path
        unfinished: list[str] = []
        for entry in found:
            name = entry.name
            if target := names.unfinished(name):
                unfinished.append(target)
            if excluded(name) or (excluded_path and excluded_path(prefix + name)):
                self.pass_by(entry, prefix + name, Use.EXCLUDED)
                continue
            try:
                if entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    files[name] = FileEntry(
                        prefix + name, status.st_size, status.st_mtime_ns, status.st_ino
                    )
                else:
                    self.add_other(folder, entry, prefix + name)
            except OSError as error:
                folder.problems.append(
                    Problem(
                        "file_unreadable", f"{name} cannot be read: {error.strerror}", prefix + name
                    )
                )
        if unfinished:
            present = {entry.name for entry in found}
            folder.unfinished.update(prefix + each for each in unfinished if each in present)
        return folder

    def add_other(self, folder: FolderListing, entry: os.DirEntry[str], path: str) -> None:
        """What is not a regular file."""
        name = entry.name
        if entry.is_symlink():
            self.add_link(folder, entry, path)
        elif entry.is_dir(follow_symlinks=False):
            if not names.never_a_model(name) and not names.is_of_the_hub(path):
                folder.folders.append(name)
            elif names.is_looked_into(name):
                self.looked_into.append(path)
            else:
                self.leave_out([path], Use.JUNK)
            if names.checkpoint(name) is not None:
                folder.checkpoints.append(name)
        elif _matters(name):
            text = f"{name} is a pipe, socket or device; it is never opened"
            folder.problems.append(Problem("not_a_file", text, path, Severity.WARNING))

    def pass_by(self, entry: os.DirEntry[str], path: str, use: Use) -> None:
        """Record in the ledger an entry that is not walked, whatever it is."""
        if self.ledger is None:
            return
        with suppress(OSError):
            if entry.is_file(follow_symlinks=False):
                self.ledger.leave_out(path, use, entry.stat(follow_symlinks=False).st_size)
            elif entry.is_dir(follow_symlinks=False):
                self.ledger.leave_out(path, use)

    def leave_out(self, folders: Sequence[str], use: Use) -> None:
        """Record in the ledger folders that are not walked."""
        if self.ledger is not None:
            for path in folders:
                self.ledger.leave_out(path, use)

    def add_link(self, folder: FolderListing, entry: os.DirEntry[str], path: str) -> None:
        target = os.path.realpath(entry.path)
        if not target.startswith(self.real_root + os.sep):
            if _matters(entry.name) or os.path.isdir(target):
                text = f"{entry.name} links to a place outside the root; it is not followed"
                folder.problems.append(Problem("link_leaves_root", text, path, Severity.WARNING))
            return
        try:
            status = os.stat(target)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                text = f"{entry.name} links to a place that cannot be reached: {error.strerror}"
                folder.problems.append(Problem("link_unreachable", text, path))
            elif _matters(entry.name):
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

    def below(
        self, folder: FolderListing, parts: Sequence[str], own: bool = False
    ) -> list[FileEntry]:
        """The files of the folder and of the named subfolders, all the way down.

        Their problems are added to the folder's.
        """
        files = folder.files
        if not parts and not own:
            return files
        stack = [(folder.path, 0)] if own else [(folder.child(name), 1) for name in reversed(parts)]
        while stack:
            path, depth = stack.pop()
            listing = self.listing(path)
            if isinstance(listing, FolderListing):
                files.extend(listing.files)
                folder.problems.extend(listing.problems)
                folder.unfinished |= listing.unfinished
                inner = [listing.child(name) for name in reversed(listing.folders)]
                if depth < MAX_PART_DEPTH:
                    stack.extend((path, depth + 1) for path in inner)
                else:
                    self.leave_out(inner, Use.EXCLUDED)
            elif listing is not None:
                folder.problems.append(listing)
        return files

    def forget(self, path: str) -> None:
        """Lets the walk visit a folder again that was read as a possible part of a model."""
        self.seen = {seen for seen in self.seen if seen != path and not seen.startswith(path + "/")}


def _matters(name: str) -> bool:
    return name in names.SIDECARS or names.weight_format(name) is not None

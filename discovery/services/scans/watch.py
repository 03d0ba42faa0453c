"""The places that a scan of a root could not read.

Models there are neither gone nor moved, even if the walk did not meet them.

Places are protected below folders that could not be read or that vanished during the walk, below
folders whose device or inode changed during the walk (a disk was mounted or unmounted), and below
former mount points.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from discovery.engine.core.paths import to_native, to_text
from discovery.engine.core.types import Candidate, Problem
from discovery.engine.disk.walk import UNREAD

#: Folders that a message names.
MAX_NAMED = 3

Identity = tuple[int, int]


class Watch:
    """One scan of ``root`` (an absolute path as the database has it).

    ``mounts`` is {folder: device} as the last full scan found it.
    """

    def __init__(self, root: str, mounts: dict[str, int]) -> None:
        self.root = to_native("/", root)
        self.mounts = mounts
        self.unread: dict[str, str] = {}  # {folder below the root: why}, as text
        self.away: set[str] = set()
        self._before: dict[str, Identity] = {}

    # -- before, while, after

    def begin(self, places: Iterable[str]) -> None:
        """Remember the root and the folders of known ``places`` as they are before the walk."""
        landmarks = {
            ".",
            *(place.partition("/")[0] for place in places if "/" in place),
            *self.mounts,
        }
        for path in sorted(landmarks):
            if (identity := self._identity(path)) is not None:
                self._before[path] = identity
        for path in self.mounts:
            if not self._is_mount(path):
                self.away.add(path)
                self.unread[path] = "it was a file system of its own, and is not mounted now"

    def note(self, problem: Problem) -> None:
        if problem.code in UNREAD:
            self.unread.setdefault(to_text(problem.path), problem.message)

    def note_candidate(self, candidate: Candidate) -> None:
        """Protect a candidate that could not be read completely: its model is present."""
        for problem in candidate.problems:
            if problem.code in UNREAD:
                self.unread.setdefault(to_text(candidate.place), problem.message)

    def end(self) -> None:
        for path, identity in self._before.items():
            if self._identity(path) != identity:
                self.unread[path] = (
                    "it became another folder while it was being scanned: a disk may have been"
                    " unmounted or mounted"
                )

    # -- what follows

    def hides(self, place: str) -> str | None:
        """Return the unreadable folder that hides ``place`` (below the root), or ``None``."""
        if not self.unread:
            return None
        path = place
        while True:
            if path in self.unread:
                return path
            if path == ".":
                return None
            path = path.rpartition("/")[0] or "."

    def is_there(self, path: str) -> bool:
        return os.path.lexists(to_native(self.root, path))

    def device(self) -> int | None:
        identity = self._identity(".")
        return identity[0] if identity else None

    def found_mounts(self, places: Iterable[str], keep: Iterable[str]) -> dict[str, int]:
        """Return {folder: device} of the mount points among the folders around ``places``.

        A mount point that is away now and holds models (``keep``) stays as it was.
        """
        folders = {folder for place in places for folder in _around(place)}
        found = {path: device for path in folders if (device := self._mounted(path)) is not None}
        return found | {path: self.mounts[path] for path in keep if path in self.mounts}

    def _mounted(self, path: str) -> int | None:
        own, above = self._identity(path), self._identity(path.rpartition("/")[0] or ".")
        return own[0] if own and above and own[0] != above[0] else None

    def _is_mount(self, path: str) -> bool:
        return self._mounted(path) is not None

    def _identity(self, path: str) -> Identity | None:
        try:
            status = os.stat(self.root if path == "." else to_native(self.root, path))
        except OSError:
            return None
        return _signed(status.st_dev), status.st_ino


def _around(place: str) -> Iterator[str]:
    """Yield the folders below the root that contain ``place``.

    A place outside all of them yields itself.
    """
    if "/" not in place and place != ".":
        yield place
    while "/" in place:
        place = place.rpartition("/")[0]
        yield place


def _signed(number: int) -> int:
    """As the databases keep it: devices of some file systems use all 64 bits."""
    return number & 0x7FFF_FFFF_FFFF_FFFF


def device_of(native: str) -> int:
    """The file system that a folder is on. Raises ``OSError``."""
    return _signed(os.stat(native).st_dev)


def is_vacated(root: str, device: int | None) -> bool | None:
    """Return whether the folder is gone or empty although its disk is mounted.

    Asks the disk.

    ``None`` means that it is gone and that its disk is unknown. An unmounted disk is never vacated:
    its models cannot be checked.
    """
    native = to_native("/", root)
    try:
        with os.scandir(native) as entries:
            if any(True for _ in entries):
                return False
        here = native
    except (FileNotFoundError, NotADirectoryError):
        here = native
        while not os.path.isdir(here):
            here = os.path.dirname(here)
    except OSError:
        return False
    try:
        return None if device is None else device_of(here) == device
    except OSError:
        return False

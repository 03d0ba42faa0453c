"""What a scan of a root could not look at: what lies there is neither gone nor moved, whatever the
walk did not meet.

Places are protected below folders that could not be read or that vanished under the walk, below
folders whose device or inode is another one at the end than at the beginning (a disk went or came),
and below what was a mount point and is none now.
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

    ``mounts``: {folder: device} that the last whole scan found in it.
    """

    def __init__(self, root: str, mounts: dict[str, int]) -> None:
        self.root = to_native("/", root)
        self.mounts = mounts
        self.unread: dict[str, str] = {}  # {folder below the root: why}, as text
        self.away: set[str] = set()
        self._before: dict[str, Identity] = {}

    # -- before, while, after

    def begin(self, places: Iterable[str]) -> None:
        """Remembers the root and the folders in it that known ``places`` lie in, as they are before
        the walk.
        """
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
        """A model of which a part could not be looked at is there, whatever the rest of it looks
        like.
        """
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
        """The folder for which ``place`` (below the root) could not be looked at; ``None`` when it
        could.
        """
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
        """{folder: device} of what is another file system than the folder around it, among the
        folders around ``places``.

        What is away now and holds models (``keep``) stays as it was.
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
    """The folders that ``place`` lies in, below the root; and the place itself where it lies in
    none.
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
    """Whether the folder is not there any more, or empty, although the disk that it was on is.

    Asks the disk.

    ``None`` when it is not there and nobody knows which disk it was on. An unmounted disk is never
    vacated: whether its models are where they were cannot be looked at.
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

"""Checks the type of every file of a model that no weight reader has read, and what it would run.

A file's first bytes (and its last, for archives) are read once, whatever its name; only possible
pickles are read further. All files of a model share one allowance: when it is used up, a problem
says that the other files were not checked.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO, cast

from discovery.engine.archives import decompression
from discovery.engine.archives.archives import Inspector

# Formats comes before archives, which needs it.
from discovery.engine.core import executables, files, format_registry, names
from discovery.engine.core.text import plural
from discovery.engine.core.types import FileEntry, Problem
from discovery.engine.core.vocabulary import Severity
from discovery.engine.disk.folder import TAIL_BYTES, ModelFolder
from discovery.engine.pickles.pickles import Allowance

#: Of one model: files whose first bytes are read, instructions of pickles that are followed, bytes
#: that are read and unpacked further on.
MAX_FILES = 5_000
MAX_OPCODES = 6_000_000
MAX_BYTES = 512 << 20
#: What is read of a file at first.
FIRST_BYTES = 4_096
#: Where the end of an archive is searched: there may be a comment behind it.
LAST_BYTES = (64 << 10) + TAIL_BYTES


def look(folder: ModelFolder, entries: Iterable[FileEntry], read: Collection[str] = ()) -> None:
    """Check each of ``entries`` once, except those already ``read`` (by path).

    Findings go into ``folder.problems``.
    """
    looker = _Looker(folder)
    seen: set[tuple[int, int]] = set()
    waiting: list[FileEntry] = []
    for entry in entries:
        key = (entry.inode, entry.size)
        if entry.path in read or not entry.size or (entry.inode and key in seen):
            continue
        seen.add(key)
        waiting.append(entry)
    if len(waiting) > MAX_FILES:
        waiting.sort(key=lambda entry: not _is_loaded(entry.name))
    for number, entry in enumerate(waiting):
        if number >= MAX_FILES or looker.is_spent:
            looker.tell_rest(number, len(waiting))
            return
        looker.look(entry)


def _is_loaded(name: str) -> bool:
    """Whether a loader may take the file for a pickle or an archive by its name."""
    promised = format_registry.get(names.weight_format(name))
    return decompression.is_pickled(name) or (promised is not None and promised.is_archive)


class _Looker:
    def __init__(self, folder: ModelFolder) -> None:
        self.folder = folder
        self.opcodes = MAX_OPCODES
        self.bytes = MAX_BYTES

    @property
    def is_spent(self) -> bool:
        return self.opcodes <= 0 or self.bytes <= 0

    def tell_rest(self, done: int, count: int) -> None:
        text = (
            f"{done:,} of {plural(count, 'file')} beside the weights were looked at, as many as one"
            " model is allowed: nobody vouches for the rest"
        )
        self.folder.problems.append(
            Problem("files_unchecked", text, self.folder.place, Severity.WARNING)
        )

    def look(self, entry: FileEntry) -> None:
        try:
            known = self.folder.glimpses.get(entry.path)
            head, tail = known or files.glimpse(self.folder.root, entry, FIRST_BYTES, TAIL_BYTES)
            self._executable(entry, head)
            if not known and _may_be_archive(entry, head, tail):
                _, tail = files.glimpse(self.folder.root, entry, 1, LAST_BYTES)
            if decompression.kinds(head, entry.name, tail):
                self._inspect(entry, head, tail)
        except OSError as error:
            if not any(problem.path == entry.path for problem in self.folder.problems):
                text = (
                    f"{entry.name} cannot be read, so nobody knows what is in it:"
                    f" {error.strerror or error}"
                )
                self.folder.problems.append(
                    Problem("file_unreadable", text, entry.path, Severity.WARNING)
                )

    def _executable(self, entry: FileEntry, head: bytes) -> None:
        if found := executables.what(head, entry.name):
            what, severity = found
            text = (
                f"{entry.name} is {what}: nothing that loads weights runs it, so find out why it"
                " lies here"
            )
            self.folder.problems.append(Problem("executable_file", text, entry.path, severity))

    def _inspect(self, entry: FileEntry, head: bytes, tail: bytes) -> None:
        allowance = Allowance()
        before = allowance.opcodes
        inspector = Inspector(allowance, lenient=names.is_training_state(entry.name))
        with _File(self.folder.root, entry, head) as stream:
            inspector.look(cast("BinaryIO", stream), entry.size, entry.name, head=head, tail=tail)
            self.bytes -= stream.count + inspector.unpacked
        self.opcodes -= before - allowance.opcodes
        self.folder.pickled = self.folder.pickled or inspector.pickled
        self.folder.problems += _told(entry, inspector.problems)


def _may_be_archive(entry: FileEntry, head: bytes, tail: bytes) -> bool:
    """Whether to search more of the file's end for a zip archive.

    Text has none, and weights of other formats are not loaded from there.
    """
    if decompression.END_RECORD in tail or head[:2] == b"PK" or entry.size <= TAIL_BYTES:
        return False
    return _is_loaded(entry.name) or (b"\0" in head and names.weight_format(entry.name) is None)


def _told(entry: FileEntry, problems: Iterable[Problem]) -> Iterator[Problem]:
    for problem in problems:
        yield replace(problem, path=entry.path, message=f"{entry.name}: {problem.message}")


class _File:
    """A file whose first bytes are known, opened when others are asked for.

    ``count`` are the bytes that were read of it then.
    """

    def __init__(self, root: str, entry: FileEntry, head: bytes) -> None:
        self.root = root
        self.entry = entry
        self.head = head
        self.count = 0
        self._position = 0
        self._opened: BinaryIO | None = None

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._opened is not None:
            self._opened.close()

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        self._position = position + (self.entry.size if whence == os.SEEK_END else 0)
        return self._position

    def read(self, count: int) -> bytes:
        end = min(self._position + count, self.entry.size)
        if end <= len(self.head):
            data = self.head[self._position : end]
        else:
            if self._opened is None:
                self._opened = files.opened(self.root, self.entry)
            self._opened.seek(self._position)
            data = self._opened.read(end - self._position)
            self.count += len(data)
        self._position += len(data)
        return data

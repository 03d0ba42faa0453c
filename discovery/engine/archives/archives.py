"""Finds pickles in zip and tar archives, compressed files, object arrays and nested archives.

Tensor data are never read: the inspector skips the members that hold a checkpoint's tensors and
arrays of numbers, and it limits how much it unpacks. Reaching a limit is a finding of its own: a
file that could not be checked completely is never called clean.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import BinaryIO

from discovery.engine.archives import decompression, tar
from discovery.engine.archives.decompression import HEAD_BYTES
from discovery.engine.archives.pickle_inspector import MAX_MEMBERS, MAX_UNPACKED, PickleInspector
from discovery.engine.archives.torch_tensors import Found, collect
from discovery.engine.archives.torch_zip import LEADS_OUT, MAX_RATIO, SMALL, Archive, Member
from discovery.engine.core import executables
from discovery.engine.core.errors import InvalidHeader
from discovery.engine.core.text import clean
from discovery.engine.core.types import Problem
from discovery.engine.core.vocabulary import Severity
from discovery.engine.pickles.pickles import breaks_at_once

MAX_NESTING = 4

#: Files of many archives one behind the other, each read by its place in a list.
_SEVERAL = ".distcp"
_AS_PICKLE = frozenset({"pickle", "perhaps"})


def _only_perhaps(head: bytes, name: str) -> bool:
    """Whether a first byte is the only sign of a pickle."""
    return decompression.kinds(head, name) == ("perhaps",) and not decompression.is_pickled(name)


class Inspector(PickleInspector):
    """Collects what loading the parts of one file would run: ``imports`` and ``problems``.

    ``imports`` maps each reference to where it first appears.

    ``found`` says whether anything could hold a pickle, ``pickled`` whether there was one;
    ``broken`` is the reason why unpacking failed. ``lenient``: see :meth:`Scanner.problems`.
    """

    def look(
        self,
        stream: BinaryIO,
        size: int,
        name: str,
        where: str = "",
        nesting: int = 0,
        *,
        head: bytes | None = None,
        tail: bytes = b"",
        done: frozenset[str] = frozenset(),
    ) -> None:
        """Inspect a file, or a member, in every format except those in ``done``.

        ``where`` is its place, from the outermost archive on. ``head`` and ``tail`` are its start
        and its end, where they have been read. Raises nothing but ``OSError``.
        """
        if head is None:
            stream.seek(0)
            head = stream.read(HEAD_BYTES)
        kinds = decompression.kinds(head, name, tail)
        is_else = bool(done.difference(_AS_PICKLE)) or not _AS_PICKLE.issuperset(kinds)
        for kind in kinds:
            if kind not in done and (kind not in _AS_PICKLE or done.isdisjoint(_AS_PICKLE)):
                self._look(kind, head, stream, size, name, where, nesting, is_else=is_else)

    def _look(
        self,
        kind: str,
        head: bytes,
        stream: BinaryIO,
        size: int,
        name: str,
        where: str,
        nesting: int,
        *,
        is_else: bool,
    ) -> None:
        self.found = self.found or kind in ("zip", "tar", "npy", "opaque")
        if kind in ("zip", "tar", "packed") and nesting >= MAX_NESTING:
            return self._unchecked(
                where, f"archives lie in each other more than {MAX_NESTING} deep", certain=True
            )
        named = decompression.is_pickled(name)
        try:
            if kind == "zip":
                behind = head[:2] != b"PK" or name.endswith(_SEVERAL)
                self._zip(stream, size, where, nesting, is_behind=behind)
            elif kind == "tar":
                self._tar(stream, size, where, nesting)
            elif kind == "packed":
                self._packed(stream, size, name, where, nesting)
            elif kind == "opaque":
                self._unchecked(
                    where,
                    f"it is packed by {decompression.opaque(head)}, which is not unpacked here",
                    certain=False,
                )
            elif kind == "npy":
                self._array(stream, size, where)
            else:
                self._pickles(stream, size, where, head, named=named, is_else=is_else)
        except InvalidHeader as error:
            if kind == "zip" and head[:2] != b"PK":
                return None  # the end only looks like an archive's
            self._unchecked(where, str(error), certain=named and nesting > 0)
            self.broken = None if nesting else error
        return None

    def members(
        self, archive: Archive, members: Iterable[Member], where: str = "", nesting: int = 0
    ) -> None:
        """Inspect members of a zip archive and collect their problems."""
        for member in members:
            self._members_left -= 1
            if self._members_left < 0:
                self._unchecked(where, f"it has more than {MAX_MEMBERS:,} members", certain=False)
                break
            try:
                self._member(
                    archive, member, f"{where}/{member.name}" if where else member.name, nesting + 1
                )
            except InvalidHeader as error:
                self._unchecked(where, str(error), certain=True)
        for problem in archive.problems:
            self._add(problem, where)
        archive.problems.clear()

    # -- containers

    def _zip(
        self, stream: BinaryIO, size: int, where: str, nesting: int, *, is_behind: bool
    ) -> None:
        archive = Archive(stream, size, is_behind=is_behind)
        if executable := executables.in_archive(member.name for member in archive.members):
            self._add(
                Problem(
                    "executable_file",
                    f"it is {executable}: nothing that loads weights runs it",
                    "",
                    Severity.WARNING,
                ),
                where,
            )
        passed_over: set[str] = set()
        try:
            for main in [
                member for member in archive.members if member.name.rpartition("/")[2] == "data.pkl"
            ]:
                passed_over |= self._checkpoint(
                    archive, main, f"{where}/{main.name}" if where else main.name
                )
        finally:
            self.members(
                archive,
                (
                    member
                    for member in archive.members
                    if member.size and member.name not in passed_over
                ),
                where,
                nesting,
            )

    def _checkpoint(self, archive: Archive, main: Member, where: str) -> set[str]:
        """Inspect the pickle of a PyTorch checkpoint.

        Returns its name, and the names of the members that hold its tensors.
        """
        data = archive.read(main)
        if data is None:
            return {main.name}
        value = self._pickles(BytesIO(data), len(data), where, data[:HEAD_BYTES], named=True)
        root = main.name.removesuffix("data.pkl")
        return {
            main.name,
            *(
                f"{root}data/{found.storage.key}"
                for found in collect(value)
                if isinstance(found, Found) and found.storage
            ),
        }

    def _member(self, archive: Archive, member: Member, where: str, nesting: int) -> None:
        if member.flags & 1:
            self._unchecked(
                where,
                "it is encrypted, and cannot be looked into without its password",
                certain=archive.is_checkpoint,
            )
        head = archive.head(member, HEAD_BYTES)
        if self._is_idle(head, member.size, member.name, lambda count: archive.head(member, count)):
            return
        start = archive.start(member)
        if start is not None:
            self.look(
                decompression.window(archive.stream, start, member.size),
                member.size,
                member.name,
                where,
                nesting,
            )
        elif max(member.packed, member.size) > self._bytes_left and _only_perhaps(
            head, member.name
        ):
            self._unchecked(
                where, "it may be a pickle, and is longer than what is unpacked here", certain=False
            )
        elif (data := archive.read(member, max(self._bytes_left, 0))) is not None:
            self._bytes_left -= len(data)
            self.look(BytesIO(data), len(data), member.name, where, nesting)

    def _tar(self, stream: BinaryIO, size: int, where: str, nesting: int) -> None:
        for member in tar.members(stream, size):
            self._members_left -= 1
            if self._members_left < 0:
                return self._unchecked(
                    where, f"it has more than {MAX_MEMBERS:,} members", certain=False
                )
            inner = f"{where}/{member.name}" if where else member.name
            leading_out = next(
                (
                    path
                    for path in (member.name, member.link if member.kind in tar.LINKS else "")
                    if LEADS_OUT.search(path)
                ),
                None,
            )
            if leading_out is not None:
                text = (
                    f"a member leads to {clean(leading_out, 80)!r}: unpacked, it would reach"
                    " outside the folder"
                )
                self._add(
                    Problem("archive_tampered", text, "", Severity.ERROR, member.start), where
                )
            if member.is_file and member.start + member.size > size:
                return self._unchecked(
                    inner,
                    "the archive ends inside it, as after an interrupted download",
                    certain=False,
                )
            if member.is_file:
                self.look(
                    decompression.window(stream, member.start, member.size),
                    member.size,
                    member.name,
                    inner,
                    nesting + 1,
                )
        return None

    def _packed(self, stream: BinaryIO, size: int, name: str, where: str, nesting: int) -> None:
        """Unpacks what starts like something that can be unpickled, as far as the limits allow."""
        stream.seek(0)
        codec, named = (
            decompression.codec(stream.read(HEAD_BYTES)) or "",
            decompression.is_pickled(name),
        )
        content, stopped = BytesIO(), ""
        growth = max(size * MAX_RATIO, SMALL)
        looked = False
        try:
            for block in decompression.unpacked(stream, codec):
                self._bytes_left -= content.write(block)
                if not looked and content.tell() >= HEAD_BYTES:
                    looked = True
                    start = content.getvalue()
                    if self._is_idle(
                        start[:HEAD_BYTES],
                        sys.maxsize,
                        decompression.inner_name(name),
                        lambda count: content.getvalue()[:count],
                    ):
                        return
                if content.tell() > growth:
                    stopped = f"it grows more than {MAX_RATIO} times"
                elif self._bytes_left < 0:
                    stopped = f"it unpacks to more than {MAX_UNPACKED:,} bytes"
                if stopped:
                    break
        except InvalidHeader as error:
            if not content.tell():
                if not named:
                    return  # two bytes alone make no archive
                raise
            self.broken, stopped = error if not nesting else None, str(error)
        self.found = True
        before = len(self.problems)
        self.look(
            content,
            content.tell(),
            decompression.inner_name(name),
            where or decompression.inner_name(name),
            nesting + 1,
        )
        if stopped:
            # It breaks off here because unpacking stopped, not because it is damaged.
            self.problems[before:] = [
                problem for problem in self.problems[before:] if problem.code != "archive_unchecked"
            ]
            self._unchecked(where, stopped, certain=named or "times" in stopped)

    @staticmethod
    def _is_idle(head: bytes, size: int, name: str, start: Callable[[int], bytes]) -> bool:
        """Whether what starts like this is nothing that could be unpickled."""
        kinds = decompression.kinds(head, name)
        if kinds == ("npy",):
            return decompression.is_plain_array(start(decompression.array_header(head)))
        return not kinds or (_only_perhaps(head, name) and breaks_at_once(head, size))

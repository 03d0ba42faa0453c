"""Pickles wherever they hide: members of zip and tar archives, compressed files, numpy's arrays of objects, archives in archives.

Tensor data are never read: members that a checkpoint's tensors lie in and arrays of numbers are passed over, and what has to be unpacked
has a limit. Reaching a limit is a finding of its own: what could not be checked to its end is never called clean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from io import BytesIO
from typing import Any, BinaryIO

from discovery.engine import pickle_imports, tar, unpacking
from discovery.engine.errors import InvalidHeader
from discovery.engine.formats.torch_tensors import LEGACY_MAGIC, LEGACY_PICKLES, Found, collect
from discovery.engine.formats.torch_zip import LEADS_OUT, MAX_RATIO, SMALL, Archive, Member
from discovery.engine.pickles import Allowance, Scanner
from discovery.engine.text import clean
from discovery.engine.types import Problem, Severity
from discovery.engine.unpacking import HEAD_BYTES

#: Of one file: bytes unpacked, members looked at, archives in each other, pickles one after the other.
MAX_UNPACKED = 32 << 20
MAX_MEMBERS = 10_000
MAX_NESTING = 4
MAX_STREAMS = 1_000
MAX_PROBLEMS = 30

_PLAIN_REFERENCE = re.compile(r"[A-Za-z_][\w.]*", re.ASCII)
#: Members that somebody would load, though their name does not say that they are pickled.
_LOADED = (
    ".bin",
    ".h5",
    ".keras",
    ".nemo",
    ".zip",
    ".tar",
    ".tgz",
    ".gz",
    ".bz2",
    ".xz",
    ".7z",
    ".py",
    ".mar",
)


class Inspector:
    """What loading the parts of one file would run: ``imports`` (reference to where it first appears) and ``problems``.

    ``found`` says whether anything was met that could hold a pickle; ``broken`` is why unpacking failed where it did.
    """

    def __init__(self, allowance: Allowance | None = None) -> None:
        self.problems: list[Problem] = []
        self.imports: dict[str, int] = {}
        self.found = False
        self.broken: InvalidHeader | None = None
        self._allowance = allowance or Allowance()
        self._bytes_left = MAX_UNPACKED
        self._members_left = MAX_MEMBERS

    @property
    def is_unsafe(self) -> bool:
        return any(problem.severity is Severity.ERROR for problem in self.problems)

    def look(
        self, stream: BinaryIO, size: int, name: str, where: str = "", nesting: int = 0
    ) -> None:
        """Looks into a file, or a member (``where`` it is, from the outermost archive on). Never raises but for ``OSError``."""
        stream.seek(0)
        head = stream.read(HEAD_BYTES)
        kind = unpacking.kind(head, name)
        if kind is None:
            return None
        self.found = self.found or kind in ("zip", "tar", "npy", "opaque")
        if kind in ("zip", "tar", "packed") and nesting >= MAX_NESTING:
            return self._unchecked(
                where, f"archives lie in each other more than {MAX_NESTING} deep", certain=True
            )
        try:
            if kind == "zip":
                self._zip(stream, size, name, where, nesting)
            elif kind == "tar":
                self._tar(stream, size, where, nesting)
            elif kind == "packed":
                self._packed(stream, size, name, where, nesting)
            elif kind == "opaque":
                text = f"it is packed by {unpacking.opaque(head)}, which is not unpacked here"
                self._unchecked(where, text, certain=unpacking.is_pickled(name))
            elif kind == "npy":
                self._array(stream, size, where)
            else:
                self._pickles(stream, size, where, named=unpacking.is_pickled(name))
        except InvalidHeader as error:
            self._unchecked(where, str(error), certain=unpacking.is_pickled(name) and nesting > 0)
            self.broken = None if nesting else error
        return None

    def members(
        self, archive: Archive, members: Iterable[Member], where: str = "", nesting: int = 0
    ) -> None:
        """Looks into members of a zip archive, and takes over what is wrong with them."""
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

    def _zip(self, stream: BinaryIO, size: int, name: str, where: str, nesting: int) -> None:
        archive = Archive(stream, size)
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
        """Looks into the pickle of a checkpoint of torch's. Its name, and those of the members that its tensors lie in."""
        data = archive.read(main)
        if data is None:
            return {main.name}
        value = self._pickles(BytesIO(data), len(data), where)
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
            certain = unpacking.is_pickled(member.name) or member.name.lower().endswith(_LOADED)
            self._unchecked(where, "it is encrypted", certain=certain)
        head = archive.head(member, HEAD_BYTES)
        kind = unpacking.kind(head, member.name)
        if kind is None or (
            kind == "npy"
            and unpacking.is_plain_array(archive.head(member, unpacking.array_header(head)))
        ):
            return
        start = archive.start(member)
        if start is not None:
            self.look(
                unpacking.window(archive.stream, start, member.size),
                member.size,
                member.name,
                where,
                nesting,
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
                text = f"a member leads to {clean(leading_out, 80)!r}: unpacked, it would reach outside the folder"
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
                    unpacking.window(stream, member.start, member.size),
                    member.size,
                    member.name,
                    inner,
                    nesting + 1,
                )
        return None

    def _packed(self, stream: BinaryIO, size: int, name: str, where: str, nesting: int) -> None:
        """Unpacks what starts like something that can be unpickled, as far as the limits allow."""
        stream.seek(0)
        codec, named = unpacking.codec(stream.read(HEAD_BYTES)) or "", unpacking.is_pickled(name)
        content, stopped = BytesIO(), ""
        growth = max(size * MAX_RATIO, SMALL)
        looked = False
        try:
            for block in unpacking.unpacked(stream, codec):
                self._bytes_left -= content.write(block)
                if not looked and content.tell() >= HEAD_BYTES:
                    looked = True
                    if self._is_idle(content.getvalue(), unpacking.inner_name(name)):
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
            unpacking.inner_name(name),
            where or unpacking.inner_name(name),
            nesting + 1,
        )
        if stopped:
            # That it breaks off where unpacking stopped is no news.
            self.problems[before:] = [
                problem for problem in self.problems[before:] if problem.code != "archive_unchecked"
            ]
            self._unchecked(where, stopped, certain=named or "times" in stopped)

    @staticmethod
    def _is_idle(start: bytes, name: str) -> bool:
        """Whether what starts like this is nothing that could be unpickled."""
        kind = unpacking.kind(start[:HEAD_BYTES], name)
        return kind is None or (
            kind == "npy" and unpacking.is_plain_array(start[: unpacking.array_header(start)])
        )

    # -- pickles

    def _array(self, stream: BinaryIO, size: int, where: str) -> None:
        stream.seek(0)
        start = unpacking.array_header(stream.read(HEAD_BYTES))
        stream.seek(0)
        if not unpacking.is_plain_array(stream.read(start)):
            self._pickles(
                unpacking.window(stream, start, size - start), size - start, where, named=True
            )

    def _pickles(self, stream: BinaryIO, size: int, where: str, *, named: bool = False) -> Any:
        """Looks into the pickles that follow each other, and gives the value of the first."""
        position, first = 0, None
        for number in range(MAX_STREAMS):
            scanner = Scanner(
                unpacking.window(stream, position, size - position),
                size - position,
                self._allowance,
            )
            stream.seek(position)
            certain = unpacking.looks_like_pickle(stream.read(2))
            try:
                value = scanner.load()
            except InvalidHeader:
                return first
            self._take(
                scanner,
                where,
                certain=certain
                or not (scanner.stopped or scanner.broken)
                or (named and scanner.stopped is not None),
            )
            if not number:
                first = value
            elif first == LEGACY_MAGIC and number == LEGACY_PICKLES - 1:
                return first  # what follows are the tensors
            position += scanner.position
            if scanner.stopped or scanner.broken or position >= size:
                return first
        self._unchecked(where, f"more than {MAX_STREAMS:,} pickles follow each other", certain=True)
        return first

    def _take(self, scanner: Scanner, where: str, *, certain: bool) -> None:
        """Takes over what a pickle does. What is not ``certain`` to be one may be anything: there only imports count that no accident spells."""
        imports, problems = scanner.imports, scanner.problems()
        if not certain:
            imports = {
                reference: at
                for reference, at in imports.items()
                if _PLAIN_REFERENCE.fullmatch(reference)
            }
            problems = [
                problem
                for problem in pickle_imports.problems(imports)
                if problem.severity is Severity.ERROR
            ]
        self.found = self.found or certain or bool(problems)
        for problem in problems:
            self._add(problem, where)
        self.imports.update({name: at for name, at in imports.items() if name not in self.imports})

    # -- findings

    def _add(self, problem: Problem, where: str) -> None:
        if sum(known.severity is problem.severity for known in self.problems) < MAX_PROBLEMS:
            self.problems.append(
                replace(
                    problem,
                    message=f"{clean(where, 160)}: {problem.message}" if where else problem.message,
                )
            )

    def _unchecked(self, where: str, reason: str, *, certain: bool) -> None:
        """``certain``: what is there would be unpickled, or is made to exhaust its reader. Else it may be harmless, and nobody can tell."""
        text = f"it cannot be checked to its end ({reason}): do not load or unpack it unless you trust where it comes from"
        self._add(
            Problem("archive_unchecked", text, "", Severity.ERROR if certain else Severity.WARNING),
            where,
        )

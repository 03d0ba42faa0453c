"""Pickles in archives: what they import and call."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, BinaryIO

from discovery.engine.archives import decompression
from discovery.engine.archives.decompression import HEAD_BYTES
from discovery.engine.archives.torch_tensors import LEGACY_MAGIC, LEGACY_PICKLES
from discovery.engine.core.errors import InvalidHeader
from discovery.engine.core.text import clean
from discovery.engine.core.types import Problem
from discovery.engine.core.vocabulary import Severity
from discovery.engine.pickles.pickles import Allowance, Global, Object, Scanner

#: Of one file: bytes unpacked, members looked at, archives in each other, pickles one after the
#: other.
MAX_UNPACKED = 32 << 20


MAX_MEMBERS = 10_000


MAX_STREAMS = 1_000


MAX_PROBLEMS = 30


_PLAIN_REFERENCE = re.compile(r"[A-Za-z_][\w.]*", re.ASCII)


class PickleInspector:
    """What loading the pickles of one file would run, and what is wrong with them."""

    def __init__(self, allowance: Allowance | None = None, *, lenient: bool = False) -> None:
        self.problems: list[Problem] = []
        self.imports: dict[str, int] = {}
        self.references: set[Global] = set()
        self.found = self.pickled = False
        self._lenient = lenient
        self.broken: InvalidHeader | None = None
        self._allowance = allowance or Allowance()
        self._bytes_left = MAX_UNPACKED
        self._members_left = MAX_MEMBERS

    @property
    def unpacked(self) -> int:
        """Bytes that had to be unpacked."""
        return MAX_UNPACKED - self._bytes_left

    @property
    def is_unsafe(self) -> bool:
        return any(problem.severity is Severity.ERROR for problem in self.problems)

    def _array(self, stream: BinaryIO, size: int, where: str) -> None:
        stream.seek(0)
        start = decompression.array_header(stream.read(HEAD_BYTES))
        stream.seek(0)
        if not decompression.is_plain_array(stream.read(start)):
            body = decompression.window(stream, start, size - start)
            self._pickles(body, size - start, where, body.read(HEAD_BYTES), named=True)

    def _pickles(
        self,
        stream: BinaryIO,
        size: int,
        where: str,
        head: bytes,
        *,
        named: bool = False,
        is_else: bool = False,
    ) -> Any:
        """Inspect a sequence of pickles and return the value of the first.

        ``is_else``: the file is known to have another format, so a broken pickle does not count as
        one.
        """
        position, first = 0, None
        for number in range(MAX_STREAMS):
            start = head if not number else self._at(stream, position)
            scanner = Scanner(
                decompression.window(stream, position, size - position),
                size - position,
                self._allowance,
                start,
            )
            says_so = decompression.looks_like_pickle(start)
            try:
                value = scanner.load()
            except InvalidHeader as error:
                self._broken_pickle(
                    scanner, error, where, certain=named and not (number or is_else)
                )
                return first
            self._take(scanner, value, where, says_so=says_so, named=named)
            if not number:
                first = value
            elif first == LEGACY_MAGIC and number == LEGACY_PICKLES - 1:
                return first  # what follows are the tensors
            position += scanner.position
            if scanner.stopped or scanner.broken or position >= size:
                return first
        self._unchecked(where, f"more than {MAX_STREAMS:,} pickles follow each other", certain=True)
        return first

    @staticmethod
    def _at(stream: BinaryIO, position: int) -> bytes:
        stream.seek(position)
        return stream.read(HEAD_BYTES)

    def _broken_pickle(
        self, scanner: Scanner, error: InvalidHeader, where: str, *, certain: bool
    ) -> None:
        """Report a pickle that breaks before it does harm.

        The problem names what the pickle would have done, and says that it has no effect.
        """
        if certain:
            self._unchecked(where, f"it is a broken pickle: {error}", certain=False)
        if scanner.acts:
            self._take(scanner, None, where, says_so=False, named=False)

    def _take(
        self, scanner: Scanner, value: Any, where: str, *, says_so: bool, named: bool
    ) -> None:
        """Takes over what a pickle does.

        Any file may begin with an instruction or two. What neither says nor is called a pickle
        counts as one when it walks to its end and holds something, or when something that it
        imports is used: no accident spells that. (An import alone is two words in lines.)
        """
        walks = not (scanner.stopped or scanner.broken)
        imports, problems = scanner.imports, scanner.problems(lenient=self._lenient)
        if (
            says_so
            or (walks and (named or type(value) in (Object, list, tuple)))
            or (named and scanner.stopped)
        ):
            self.found = self.pickled = True
        elif scanner.acts:
            self.found = self.pickled = True
            imports = {
                reference: at
                for reference, at in imports.items()
                if _PLAIN_REFERENCE.fullmatch(reference)
            }
        elif scanner.stopped:
            return self._unchecked(
                where, f"it begins like a pickle, and {scanner.stopped.reason}", certain=False
            )
        else:
            return None
        for problem in problems:
            self._add(problem, where)
        self.imports.update({name: at for name, at in imports.items() if name not in self.imports})
        self.references.update(scanner.references)
        return None

    def _add(self, problem: Problem, where: str) -> None:
        if sum(known.severity is problem.severity for known in self.problems) < MAX_PROBLEMS:
            text = f"{clean(where, 160)}: {problem.message}" if where else problem.message
            self.problems.append(
                replace(
                    problem, message=text, key=f"{where}:{problem.key}" if where else problem.key
                )
            )

    def _unchecked(self, where: str, reason: str, *, certain: bool) -> None:
        """Report content that could not be checked.

        ``certain``: a loader would unpickle it, or it was built to exhaust its reader. Otherwise it
        may be harmless.
        """
        text = (
            f"it cannot be checked to its end ({reason}): do not load or unpack it unless you trust"
            " where it comes from"
        )
        self._add(
            Problem("archive_unchecked", text, "", Severity.ERROR if certain else Severity.WARNING),
            where,
        )

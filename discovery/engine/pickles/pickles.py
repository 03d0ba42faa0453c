"""Pickles, listed: what they import and what they hold, opcode by opcode.

Nothing is ever imported, called or unpickled.

Shared parts stay shared (a "billion laughs" is a few hundred bytes), long strings are passed over,
and every count has a limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any, BinaryIO

from discovery.engine.core.errors import InvalidHeader, UncheckedPickleError
from discovery.engine.core.types import Problem
from discovery.engine.core.vocabulary import Severity
from discovery.engine.pickles import pickle_imports
from discovery.engine.pickles.opcode_stream import Tape
from discovery.engine.pickles.pickle_machine import Machine
from discovery.engine.pickles.pickle_state import Allowance
from discovery.engine.pickles.pickle_values import (
    Blob,
    Global,
    Import,
    Object,
    Persistent,
    children,
)

__all__ = [
    "Allowance",
    "Blob",
    "Global",
    "Object",
    "Persistent",
    "Scanner",
    "breaks_at_once",
    "children",
]

#: Python's own pickler gives up at its recursion limit, 1,000.
MAX_DEPTH = 1_000
#: Elements of the whole with every shared part written out.
MAX_EXPANDED = 1_000_000_000


class Scanner:
    """The pickles of ``stream``, up to ``size`` bytes, one ``load()`` each.

    ``imports`` and ``problems()`` cover all of them.

    ``allowance`` is shared by scanners whose pickles are in one file; ``start`` are the first
    bytes, if they are known.
    """

    def __init__(
        self, stream: BinaryIO, size: int, allowance: Allowance | None = None, start: bytes = b""
    ) -> None:
        self._tape = Tape(stream, size, start)
        self._machine = Machine(self._tape, allowance)
        #: Set when the rest cannot be followed: nothing more can be loaded, and the file counts as
        #: unsafe.
        self.stopped: UncheckedPickleError | None = None
        #: Why the last ``load()`` failed although the file is worth reporting: it does harm before
        #: it breaks.
        self.broken: InvalidHeader | None = None

    @property
    def references(self) -> Mapping[Global, Import]:
        return self._machine.imports

    @property
    def imports(self) -> dict[str, int]:
        """``module.name`` to the position after its first appearance."""
        return {
            str(reference): found.position for reference, found in self._machine.imports.items()
        }

    @property
    def position(self) -> int:
        return self._tape.position

    @property
    def ran_out(self) -> bool:
        """Whether the stream ended before it should."""
        return self._tape.ran_out

    @property
    def at_end(self) -> bool:
        return (
            self._tape.position >= self._tape.size
            or self.stopped is not None
            or self.broken is not None
        )

    @property
    def acts(self) -> bool:
        """Whether something that it imports is called or made, as no file does by accident."""
        return self._machine.acts

    def load(self) -> Any:
        """The next pickle's value, in symbols; ``None`` when it was stopped or breaks after doing
        harm.

        Raises ``InvalidHeader`` when it is broken and no harm was seen before that.
        """
        try:
            value = self._machine.run()
            _check_expansion(value, self._tape.position)
        except UncheckedPickleError as error:
            self.stopped = error
            return None
        except InvalidHeader as error:
            if not self.is_unsafe:
                raise
            self.broken = error
            return None
        return value

    @property
    def is_unsafe(self) -> bool:
        return any(problem.severity is Severity.ERROR for problem in self.problems())

    def problems(self, *, lenient: bool = False) -> list[Problem]:
        """The problems of all pickles.

        ``lenient``: private files of trainers, which look up their own enumerations by value.
        """
        found = pickle_imports.problems(self._machine.imports, lenient=lenient)
        found += [
            Problem("unsafe_pickle", f"{text}: never load it", "", Severity.ERROR, offset)
            for text, offset in self._machine.notes
        ]
        if self._tape.crossed:
            text = (
                "a frame of it ends inside an instruction, so that programs disagree about what"
                " follows: do not load it"
            )
            found.append(Problem("unsafe_pickle", text, "", Severity.ERROR, self._tape.position))
        if self.stopped:
            text = f"it cannot be checked to its end ({self.stopped.reason}): do not load it"
            found.append(Problem("unsafe_pickle", text, "", Severity.ERROR, self.stopped.offset))
        if self.broken:
            found.append(
                Problem(
                    "invalid_pickle",
                    f"it is broken as well: {self.broken.reason}",
                    "",
                    Severity.ERROR,
                    self.broken.offset,
                )
            )
        return found


def breaks_at_once(head: bytes, size: int) -> bool:
    """Whether these bytes stop making sense as a pickle before they use anything."""
    scanner = Scanner(BytesIO(head), size, Allowance(opcodes=len(head)), head)
    try:
        scanner.load()
    except InvalidHeader:
        return not (scanner.ran_out or scanner.acts)
    return False


_CONTAINERS = (tuple, list, Object, Persistent)


def _check_expansion(root: Any, offset: int) -> None:
    """Refuse values that are deeper than any pickler writes, or endless once shared parts are
    expanded.

    Each part is visited once.
    """
    measured: dict[int, tuple[int, int]] = {}
    waiting: list[tuple[Any, bool]] = [(root, False)]
    while waiting:
        value, ready = waiting.pop()
        if not ready:
            if id(value) not in measured:
                measured[id(value)] = (0, 0)  # what a part that contains itself finds of itself
                waiting.append((value, True))
                waiting += [
                    (part, False)
                    for part in children(value)
                    if type(part) in _CONTAINERS and id(part) not in measured
                ]
            continue
        depth, size = 0, 1
        for part in children(value):
            below, inside = measured.get(id(part), (0, 1))
            depth, size = max(depth, below), size + inside
        measured[id(value)] = (depth + 1, min(size, MAX_EXPANDED))
    depth, size = measured[id(root)]
    if depth > MAX_DEPTH:
        raise UncheckedPickleError(f"it is nested {depth:,} deep", offset)
    if size >= MAX_EXPANDED:
        raise UncheckedPickleError(
            f"written out it has more than {MAX_EXPANDED:,} elements", offset
        )

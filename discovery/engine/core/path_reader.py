"""Formats that are asked about whole paths instead of bytes: what a plugin is to the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol


class PathFailed(Exception):
    """The reader did not say anything about a path; the text is a sentence that says why.

    ``asked`` is false where it was not even asked: the next scan does.
    """

    def __init__(self, reason: str, *, asked: bool = True) -> None:
        super().__init__(reason)
        self.asked = asked


class PathSession(Protocol):
    """The questions of one scan to one reader. It records its failures itself."""

    def claims(self, paths: Sequence[str]) -> list[bool | None]:
        """Whether there is a model of the format at each of the absolute paths.

        ``None``: it failed, or was not asked any more.
        """
        ...

    def read(self, paths: Sequence[str]) -> Iterator[Any | PathFailed]:
        """What the reader says about each of the absolute paths, unchecked, or why nothing."""
        ...

    def object_to(self, path: str, reason: str) -> None:
        """Records that an answer of ``read`` was wrong in part, though a model came of it."""
        ...

    def approve(self) -> None:
        """Records that an answer of ``read`` was good."""
        ...

    def rest(self) -> None:
        """After a round of questions: nothing runs until the next one."""
        ...


class PathReader(Protocol):
    """``digest`` is another one when what it says about a path may be something else."""

    @property
    def digest(self) -> str: ...

    def session(self, root: str) -> PathSession:
        """Begin a walk; ``root`` is the absolute path of the folder that contains all paths."""
        ...

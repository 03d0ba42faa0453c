"""How the walk comes to one path, and where its way there ends: the same decisions as a scan,
folder by folder.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from discovery.engine.core import names
from discovery.engine.core.config import Discovery
from discovery.engine.core.patterns import Patterns
from discovery.engine.core.types import Candidate, Layout, Problem
from discovery.engine.disk.listing import FolderListing
from discovery.engine.disk.walk import Walker

#: Links to folders that are followed on the way to one path.
MAX_LINKS = 8

#: Names among which one like a misspelt name is looked for.
_MAX_ALIKE = 2_000


class TraceOutcome(StrEnum):
    """What the walk makes of a path."""

    MODEL = "model"  # it belongs to the candidates named
    FOLDER = "folder"  # it is walked, and no model itself
    NO_WEIGHTS = "no weights"  # a file that says nothing by itself
    EXCLUDED = "excluded"
    NEVER = "never"
    TOO_DEEP = "too deep"
    NOT_THERE = "not there"
    IN_A_FILE = "in a file"  # the path goes on below what is a file
    LEFT_OUT = "left out"  # a link, a pipe, something unreadable: ``why`` says it
    NOT_MODELS = "not models"  # data sets and spaces of a Hub cache


@dataclass(frozen=True, slots=True)
class Trace:
    """``at`` is the path below the root where it was decided; ``why`` depends on the end: a
    pattern, names alike, or a sentence.

    ``through`` are the links to folders that the path leads through.
    """

    end: TraceOutcome
    at: str
    why: str = ""
    candidates: tuple[Candidate, ...] = ()
    through: tuple[str, ...] = ()


def trace(root: str, settings: Discovery, path: str) -> Trace:
    """What a walk of ``root`` does with ``path``.

    ``root`` is absolute; ``path`` is below it, normalized, ``.`` for the root itself.
    """
    return _Tracer(root, settings).to(path)


class _Tracer:
    def __init__(self, root: str, settings: Discovery) -> None:
        self.root = root
        self.settings = settings
        self.links = MAX_LINKS  # in all: links that lead to links would be followed again and again

    def to(self, path: str) -> Trace:
        parts = [] if path == "." else path.split("/")
        here = "."
        for depth, name in enumerate(parts):
            # A fresh one: each lists a folder only once.
            walker = Walker(self.root, self.settings, frozenset())
            folder = walker.listing(here)
            if not isinstance(folder, FolderListing):
                return _unreadable(folder, here)
            target = folder.child(name)
            # First, for the last checkpoint of a training may be a model.
            candidates, rest = walker.candidates(folder)
            outside = self.left_out(folder, name, target)
            if outside:
                return outside
            if owners := _owners(candidates, path):
                return Trace(TraceOutcome.MODEL, owners[0].place, candidates=owners)
            if name in folder.names:
                return (
                    Trace(TraceOutcome.NO_WEIGHTS, target)
                    if depth == len(parts) - 1
                    else Trace(TraceOutcome.IN_A_FILE, target)
                )
            if name in folder.folders and name not in rest:
                return self.inside(
                    target,
                    parts[depth + 1 :],
                    [each for each in candidates if each.layout is not Layout.FILES],
                )
            if depth >= walker.max_depth:
                return Trace(TraceOutcome.TOO_DEEP, here, str(walker.max_depth))
            if name in folder.links and (
                followed := self.follow(walker, target, parts[depth + 1 :])
            ):
                return followed
            here = target
        return self.folder(here)

    def folder(self, here: str) -> Trace:
        walker = Walker(self.root, self.settings, frozenset())
        folder = walker.listing(here)
        if not isinstance(folder, FolderListing):
            return _unreadable(folder, here)
        candidates, _ = walker.candidates(folder)
        return (
            Trace(TraceOutcome.MODEL, here, candidates=tuple(candidates))
            if candidates
            else Trace(TraceOutcome.FOLDER, here)
        )

    def follow(self, walker: Walker, link: str, rest: Sequence[str]) -> Trace | None:
        """Whether the walk follows a link to a folder: ``None`` if it does.

        It does only if nothing else leads to the target.
        """
        target = os.path.relpath(os.path.realpath(walker.absolute(link)), walker.real_root).replace(
            os.sep, "/"
        )
        if not self.links:
            return Trace(TraceOutcome.LEFT_OUT, link, "links lead to links, round and round")
        self.links -= 1
        found = self.to("/".join([target, *rest]) if target != "." else "/".join(rest) or ".")
        return (
            replace(found, through=(link, *found.through))
            if found.end in (TraceOutcome.MODEL, TraceOutcome.FOLDER, TraceOutcome.NO_WEIGHTS)
            else None
        )

    def inside(self, here: str, rest: Sequence[str], owners: Sequence[Candidate]) -> Trace:
        """The way on inside a folder that belongs to a model, or that a store keeps for itself."""
        if not owners:
            return Trace(TraceOutcome.NOT_MODELS, here)
        for name in rest:
            folder = Walker(self.root, self.settings, frozenset()).listing(here)
            if not isinstance(folder, FolderListing):
                return _unreadable(folder, here)
            here = folder.child(name)
            if outside := self.left_out(folder, name, here):
                return outside
        return Trace(TraceOutcome.MODEL, owners[0].place, candidates=tuple(owners))

    def left_out(self, folder: FolderListing, name: str, target: str) -> Trace | None:
        """Why a listing does not show ``name``; ``None`` when it does."""
        if name in folder.names or name in folder.folders or name in folder.links:
            return None
        for pattern in self.settings.exclude_patterns:
            excluded = Patterns([pattern])
            if excluded.name(name) or (excluded.path and excluded.path(target)):
                return Trace(TraceOutcome.EXCLUDED, target, pattern)
        for problem in folder.problems:
            if problem.path == target:
                return Trace(TraceOutcome.LEFT_OUT, target, problem.message)
        absolute = os.path.join(self.root, target)
        if not os.path.lexists(absolute):
            return Trace(
                TraceOutcome.NOT_THERE,
                target,
                _alike(name, [*folder.folders, *folder.links, *folder.names]),
            )
        if names.never_a_model(name):
            return Trace(TraceOutcome.NEVER, target)
        what = (
            "links to a place outside the root, or to nothing"
            if os.path.islink(absolute)
            else "is neither a file nor a folder"
        )
        return Trace(TraceOutcome.LEFT_OUT, target, f"{name} {what}")


def _owners(candidates: Sequence[Candidate], path: str) -> tuple[Candidate, ...]:
    """The candidates that ``path`` is, is a file of, or is a folder in."""
    owners = [
        each
        for each in candidates
        if each.place == path or any(_holds(path, entry.path) for entry in each.files)
    ]
    return tuple(
        owners or [each for each in candidates if any(entry.path == path for entry in each.shared)]
    )


def _holds(path: str, file: str) -> bool:
    return file == path or file.startswith(path + "/")


def _unreadable(problem: Problem | None, here: str) -> Trace:
    return Trace(
        TraceOutcome.LEFT_OUT, here, problem.message if problem else "it belongs to another root"
    )


def _alike(name: str, others: Sequence[str]) -> str:
    same = [other for other in others if other.casefold() == name.casefold()]
    return (
        same[0]
        if same
        else "".join(difflib.get_close_matches(name, others[:_MAX_ALIKE], n=1, cutoff=0.75))
    )

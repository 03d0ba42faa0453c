"""Reads all weight files of a candidate: known, unknown and unfinished ones."""

from __future__ import annotations

from collections.abc import Iterable

from discovery.engine.core import names
from discovery.engine.core.types import Candidate, FileEntry
from discovery.engine.core.vocabulary import Status
from discovery.engine.identify import weight_files, weights
from discovery.engine.identify.weight_files import WeightFile


def read_all(
    root: str, entries: Iterable[FileEntry], candidate: Candidate
) -> tuple[list[WeightFile], list[WeightFile]]:
    """(weight files of a candidate, files of unknown format).

    Files that another file keeps its weights in are in neither list.
    """
    siblings = (*candidate.files, *candidate.shared)
    read_files = [weights.read(root, entry, siblings) for entry in entries]
    claimed = {entry.path for file in read_files for entry in file.data}
    known: list[WeightFile] = []
    unknown: list[WeightFile] = []
    for file in read_files:
        if file.entry.path in claimed:
            continue
        if file.entry.path in candidate.unfinished:
            _unfinished(file)
        if not file.is_unknown:
            known.append(file)
        elif names.format_of_suffix(file.entry.name):  # else its name alone was asked about
            unknown.append(file)
    return known, unknown


def _unfinished(file: WeightFile) -> None:
    """A program still downloads the file: whatever its header says, not all of it is there."""
    if file.status is Status.UNSAFE:
        return
    text = f"{file.entry.name} is not finished: a file beside it belongs to its download"
    file.problems = [
        problem for problem in file.problems if problem.code not in ("truncated", "format_unknown")
    ]
    weight_files.broken(file, Status.INCOMPLETE, "truncated", text)

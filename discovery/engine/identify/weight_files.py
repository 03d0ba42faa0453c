"""Weight files and sets of them, as the readers fill them in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from discovery.engine.core.types import FileEntry, Header, Problem
from discovery.engine.core.vocabulary import Status
from discovery.engine.sidecars import lfs
from discovery.engine.sidecars.weight_index import WeightIndex

_DECODER = re.compile(r"^(decoder_model_merged|decoder_with_past_model|decoder_model)(?=[._-])")


@dataclass(slots=True)
class WeightFile:
    """One file: its header, or the reason why it has none.

    ``stamp`` is a hash of the size and the first bytes; ``pickled``: it contains a pickle. ``data``
    are the files that contain its weights, according to its header.
    """

    entry: FileEntry
    format: str
    stamp: str
    header: Header | None = None
    pickled: bool = False
    pointer: lfs.Pointer | None = None
    status: Status = Status.READY
    problems: list[Problem] = field(default_factory=list)
    data: list[FileEntry] = field(default_factory=list)

    @property
    def is_unknown(self) -> bool:
        """Whether no reader knows its format: nothing else is wrong with it as far as is known."""
        return [problem.code for problem in self.problems] == ["format_unknown"]

    @property
    def size(self) -> int:
        """Bytes of the real file, also if a pointer replaces it."""
        return self.pointer.size if self.pointer else self.entry.size


@dataclass(slots=True)
class WeightSet:
    """Files that are loaded together: shards, or the parts of one export.

    ``missing`` are names that should be there; ``data`` are files that are loaded by way of
    ``files``, and not read by themselves.
    """

    format: str
    files: list[WeightFile]
    label: str | None = None
    index: WeightIndex | None = None
    missing: list[str] = field(default_factory=list)
    data: list[FileEntry] = field(default_factory=list)

    @property
    def headers(self) -> list[Header]:
        return [file.header for file in self.loaded if file.header]

    @property
    def loaded(self) -> list[WeightFile]:
        """The files without those that repeat the weights of another one.

        Optimum exports a decoder without a cache, with one, and both merged.
        """
        if self.format != "onnx" or len(self.files) < 2:
            return self.files
        parts = {file.entry.name: _DECODER.match(file.entry.name) for file in self.files}
        kinds = {part[1] for part in parts.values() if part}
        repeated = {"decoder_model_merged": ("decoder_model", "decoder_with_past_model")}.get(
            next((kind for kind in kinds if kind.endswith("merged")), ""),
            ("decoder_with_past_model",) if "decoder_model" in kinds else (),
        )
        return [
            file
            for file in self.files
            if not (part := parts[file.entry.name]) or part[1] not in repeated
        ]

    @property
    def status(self) -> Status:
        states = {file.status for file in self.files}
        if self.missing or not self.files:
            states.add(Status.INCOMPLETE)
        return next(
            (s for s in (Status.UNSAFE, Status.CORRUPT, Status.INCOMPLETE) if s in states),
            Status.READY,
        )

    @property
    def size(self) -> int:
        """Bytes on disk, each inode once."""
        entries = [*(file.entry for file in self.files), *self.data]
        return sum({entry.inode: entry.size for entry in entries}.values())


def broken(
    file: WeightFile, status: Status, code: str, message: str, offset: int | None = None
) -> WeightFile:
    file.status = status
    file.problems.append(Problem(code, message, file.entry.path, offset=offset))
    return file

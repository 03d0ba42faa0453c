"""The frozen values that travel the engine's one road.

roots → ``Candidate`` → ``Found``. Sizes are bytes, times nanoseconds since the epoch unless a field
says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from discovery.engine.core.paths import to_text
from discovery.engine.core.vocabulary import ModelType, Severity, Status


class Value(NamedTuple):
    """One fact and the place it was read in: a file name, ``tensors`` or ``folder name``."""

    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a verdict was reached: the rule, what it matched, where, and how much it counts."""

    rule: str
    matched: str
    where: str
    weight: float


#: Characters of a key that are kept.
MAX_KEY = 200


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem: ``message`` describes it, ``path`` and ``offset`` locate it.

    ``path`` is relative to the root.

    ``key`` distinguishes problems of one code in one file (the import, the tensor, the variant). It
    is part of a finding's identity; the message is not, so messages may be reworded.
    """

    code: str
    message: str
    path: str
    severity: Severity = Severity.ERROR
    offset: int | None = None
    key: str = ""


def problem_json(problem: Problem) -> dict[str, Any]:
    """A problem as the registry stores it and documents show it."""
    return {
        "code": problem.code,
        "message": to_text(problem.message),
        "path": to_text(problem.path),
        "severity": problem.severity.value,
        "offset": problem.offset,
        "key": to_text(problem.key)[:MAX_KEY],
    }


class FileEntry(NamedTuple):
    """One regular file as the walk saw it. ``path`` is relative to the root, with ``/``.

    ``link`` is the path (relative to the root) a symbolic link resolved to; ``None`` for an
    ordinary file.
    """

    path: str
    size: int
    mtime_ns: int
    inode: int
    link: str | None = None

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class Layout(StrEnum):
    """How the files of a candidate are arranged on disk."""

    FOLDER = "folder"
    FILES = "files"
    HUB_CACHE = "hub cache"
    OLLAMA = "ollama"
    DOCKER = "docker"


class Candidate(NamedTuple):
    """Files in one place that may be a model (or a few: a folder of loose GGUF files is one place).

    ``place`` is the folder or file where they were found, relative to the root; ``.`` is the root
    itself. ``files`` are the model's own; ``shared`` belong to a store that several candidates
    share (Ollama's blobs, data that several ONNX files may reference); ``beside`` are other files
    in or below the folder that belong to no model: they are inspected but not counted.
    ``unfinished`` are paths of files that a program is still downloading, according to a file next
    to them. ``signature`` changes whenever a name, size, time or inode among them does.
    """

    place: str
    layout: Layout
    files: tuple[FileEntry, ...]
    signature: str
    shared: tuple[FileEntry, ...] = ()
    problems: tuple[Problem, ...] = ()
    beside: tuple[FileEntry, ...] = ()
    unfinished: tuple[str, ...] = ()


class Tensor(NamedTuple):
    """One named array in a weight file.

    ``shape`` is in the order of the framework that loads it; ``offset`` is the first byte of the
    data from the start of the file (of the member's data, in an archive; -1 if the data are in
    another file); ``size`` is in bytes.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int


#: Stand for the name of the file itself, with and without its suffix, where an external location is
#: made of it.
OWN_NAME, OWN_STEM = "<file>", "<stem>"


class External(NamedTuple):
    """Tensor data in another file.

    ``location`` is as written in the header, ``end`` is the offset after the last byte it needs.
    """

    location: str
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a format reader returns: everything about the weights except the weights.

    ``expected_size`` is how long the file must be to contain all its tensors, ``None`` if the
    format does not say. ``dtype`` and ``quantization`` name the type of most weights; one of them
    is set. ``parameter_count`` is unpacked and unique; ``None`` if the format stores no shapes.
    ``imports`` are the ``module.name`` references of a pickle, in order of appearance. ``type`` is
    the model type of this file if it differs from that of its format; ``fields`` are fields of the
    model document that the header contains; ``task`` is the Hub's task tag of such a file (see
    ``classify.task_tags``), if its structure leaves no doubt.
    """

    format: str
    tensors: Sequence[Tensor] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    parameter_count: int | None = None
    dtype: str | None = None
    quantization: str | None = None
    bits_per_weight: float | None = None
    expected_size: int | None = None
    externals: Sequence[External] = ()
    imports: Sequence[str] = ()
    problems: Sequence[Problem] = ()
    type: ModelType | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    task: str | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """What a program loads: one quantization, precision, format or revision of a model.

    ``size_bytes`` is on disk, ``weights_bytes`` what its tensors take in memory as they are stored.
    """

    name: str
    path: str
    format: str
    status: Status
    size_bytes: int
    quantization: str | None = None
    bits_per_weight: float | None = None
    dtype: str | None = None
    parameter_count: int | None = None
    weights_bytes: int | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A model that was read.

    ``values`` are the fields of the model document that have a value, each with its source.

    ``path`` is the public path (folder or file, relative to the root); ``place`` is that of the
    candidate it came from. ``signals`` is the input of the rules, as JSON (see
    ``engine.classify.signals``), stored so that rules can change without reading again.
    ``memory_shape`` is the shape of its layers and the bytes of its projector, as JSON: the memory
    at any context follows from it. ``pickled``: one of its files is or contains a pickle, whatever
    its name. ``fingerprint`` (sizes and a hash of the header bytes) recognizes the model when it
    moves.
    """

    place: str
    path: str
    name: str
    status: Status
    values: Mapping[str, Value]
    variants: tuple[Variant, ...]
    files: tuple[FileEntry, ...]
    size_bytes: int
    modified_ns: int
    fingerprint: str
    signature: str
    problems: tuple[Problem, ...] = ()
    evidence: Mapping[str, Sequence[Evidence]] = field(default_factory=dict)
    signals: Mapping[str, Any] = field(default_factory=dict)
    memory_shape: Mapping[str, Any] = field(default_factory=dict)
    pickled: bool = False

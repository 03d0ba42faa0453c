"""Weight files, read: each file by the reader its first bytes call for, shards and parts put together as sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from discovery.engine import formats, names
from discovery.engine.errors import InDisguise, InvalidHeader, NotThisFormat
from discovery.engine.files import open_file
from discovery.engine.formats.onnx import safe_location
from discovery.engine.sidecars import lfs
from discovery.engine.sidecars.weight_index import WeightIndex
from discovery.engine.text import human_bytes, plural
from discovery.engine.types import FileEntry, Header, Problem, Severity, Status

#: What is read of every weight file before anything else: enough to know its kind and to recognise it after a move.
HEAD_BYTES = 4_096

#: Problems of a readable header that mean something else than CORRUPT.
_VERDICTS = {**dict.fromkeys(formats.UNSAFE_CODES, Status.UNSAFE), "truncated": Status.INCOMPLETE}


@dataclass(slots=True)
class WeightFile:
    """One file: its header, or why there is none. ``stamp`` is a hash of the size and the first bytes."""

    entry: FileEntry
    format: str
    stamp: str
    header: Header | None = None
    pointer: lfs.Pointer | None = None
    status: Status = Status.READY
    problems: list[Problem] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of the real file: a pointer speaks for the one it stands for."""
        return self.pointer.size if self.pointer else self.entry.size


@dataclass(slots=True)
class WeightSet:
    """Files that are loaded together: shards, or the parts of one export. ``missing`` are names that should be there."""

    format: str
    files: list[WeightFile]
    label: str | None = None
    index: WeightIndex | None = None
    missing: list[str] = field(default_factory=list)

    @property
    def headers(self) -> list[Header]:
        return [file.header for file in self.files if file.header]

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
        return sum({file.entry.inode: file.entry.size for file in self.files}.values())


def read(root: str, entry: FileEntry, siblings: Iterable[FileEntry] = ()) -> WeightFile:
    """Reads one weight file's header. Never raises: what is wrong becomes status and problems of the result."""
    promised = names.weight_format(entry.name) or "pytorch"
    file = WeightFile(entry, promised, "")
    try:
        with open_file(root, entry) as stream:
            head = stream.read(HEAD_BYTES)
            file.stamp = blake2b(
                head + entry.size.to_bytes(16, "little"), digest_size=16
            ).hexdigest()
            if not head:
                return _broken(
                    file,
                    Status.INCOMPLETE,
                    "file_empty",
                    f"{entry.name} is empty: the download never finished",
                )
            if entry.size <= lfs.MAX_POINTER_BYTES and (pointer := lfs.read(head)):
                file.pointer = pointer
                text = f"{entry.name} is a git-lfs pointer: the real file of {human_bytes(pointer.size)} was never downloaded (git lfs pull)"
                return _broken(file, Status.INCOMPLETE, "lfs_pointer", text)
            file.header = formats.read(stream, entry.size, entry.name, head)
    except InDisguise as error:
        return _broken(
            file,
            Status.UNSAFE,
            "pickle_in_disguise",
            f"{entry.name} is no {promised} file: {error}",
        )
    except NotThisFormat as error:
        return _broken(
            file, Status.CORRUPT, "not_this_format", f"{entry.name} is no {promised} file: {error}"
        )
    except InvalidHeader as error:
        return _broken(
            file,
            Status.CORRUPT,
            "invalid_header",
            f"{entry.name} cannot be loaded: {error}",
            error.offset,
        )
    except OSError as error:
        return _broken(
            file,
            Status.CORRUPT,
            "file_unreadable",
            f"{entry.name} cannot be read: {error.strerror or error}",
        )
    file.format = file.header.format
    _judge(file, {sibling.path: sibling for sibling in siblings})
    return file


def _broken(
    file: WeightFile, status: Status, code: str, message: str, offset: int | None = None
) -> WeightFile:
    file.status = status
    file.problems.append(Problem(code, message, file.entry.path, offset=offset))
    return file


def _judge(file: WeightFile, siblings: dict[str, FileEntry]) -> None:
    """Compares the header with the file's length and its external data, and takes over the reader's problems."""
    header, entry = file.header, file.entry
    assert header is not None
    for problem in header.problems:
        file.problems.append(
            replace(problem, path=entry.path, message=f"{entry.name}: {problem.message}")
        )
        if problem.severity is Severity.ERROR and file.status is not Status.UNSAFE:
            file.status = _VERDICTS.get(problem.code, Status.CORRUPT)
    if header.expected_size is not None and header.expected_size > entry.size:
        text = f"{entry.name} is cut short: {human_bytes(entry.size)} of {human_bytes(header.expected_size)} are on disk"
        _broken(
            file,
            Status.UNSAFE if file.status is Status.UNSAFE else Status.INCOMPLETE,
            "truncated",
            text,
            entry.size,
        )
    for location, end in header.externals:
        if not safe_location(location):
            continue  # the reader has said so already
        folder = entry.path.rpartition("/")[0]
        name = location.removeprefix("./")
        target = siblings.get(f"{folder}/{name}" if folder else name)
        if target is None:
            _broken(
                file,
                Status.INCOMPLETE,
                "external_data_missing",
                f"{entry.name} keeps its weights in {location}, which is not there",
            )
        elif target.size <= lfs.MAX_POINTER_BYTES < end:
            _broken(
                file,
                Status.INCOMPLETE,
                "external_data_missing",
                f"{location} is too small to hold the weights of {entry.name}",
            )
        elif target.size < end:
            text = f"{location} is cut short: {human_bytes(target.size)} of {human_bytes(end)} are on disk"
            _broken(file, Status.INCOMPLETE, "truncated", text, target.size)


def complete(group: WeightSet, folder_names: Sequence[str] = ()) -> WeightSet:
    """Fills in what is missing from the set: by its index where there is one, else by the shard numbers."""
    present = {file.entry.name for file in group.files}
    if group.index:
        known = present | set(folder_names)
        group.missing = [name for name in group.index.shards if name not in known]
        return group
    parts = [part for name in present if (part := names.shard(name))]
    total = max((part.total or 0 for part in parts), default=0)
    if parts and 0 < total <= 10_000:
        have = {part.number for part in parts}
        first = parts[0]
        group.missing = [
            f"{first.stem}-{number:05d}-of-{total:05d}{first.suffix}"
            for number in range(1, total + 1)
            if number not in have
        ]
    return group


def missing_problem(group: WeightSet, place: str) -> Problem | None:
    if not group.missing:
        return None
    shown = ", ".join(group.missing[:3]) + (
        f" and {len(group.missing) - 3:,} more" if len(group.missing) > 3 else ""
    )
    verb = "is" if len(group.missing) == 1 else "are"
    total = len(group.missing) + len(group.files)
    return Problem(
        "shards_missing",
        f"{plural(len(group.missing), 'weight file')} of {total:,} {verb} missing: {shown}",
        place,
    )

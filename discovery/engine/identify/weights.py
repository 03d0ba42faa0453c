"""Reads weight files with the reader that their first bytes call for, and completes sets."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable
from dataclasses import replace
from hashlib import blake2b
from typing import BinaryIO

from discovery.engine import formats
from discovery.engine.archives import decompression
from discovery.engine.archives.archives import Inspector
from discovery.engine.core import format_registry, names
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.files import open_file, read_file
from discovery.engine.core.problem_codes import UNSAFE_CODES
from discovery.engine.core.text import human_bytes, plural
from discovery.engine.core.types import OWN_NAME, OWN_STEM, FileEntry, Problem, Tensor
from discovery.engine.core.vocabulary import Severity, Status
from discovery.engine.formats.onnx import safe_location
from discovery.engine.identify import npy
from discovery.engine.identify.weight_files import WeightFile, WeightSet, broken
from discovery.engine.sidecars import lfs

#: What is read of every weight file before anything else: enough to know its kind and to recognize
#: it after a move.
HEAD_BYTES = 4_096

#: Where the end of an archive is searched in files that are loaded from there, and in others.
MAX_END = (64 << 10) + 22
TAIL_BYTES = 22

_ARCHIVE = b"PK\3\4"
#: What a server says instead of a file is no longer than this.
MAX_ANSWER = 1 << 20

_PICKLED = frozenset({"pickle", "perhaps"})
#: Shards of this stem are always counted from zero.
_FROM_ZERO = "consolidated"
#: By the container that a reader met: the readings of the file that it has looked into itself.
_DONE = {
    **dict.fromkeys(("zip", "torchscript", "keras"), frozenset({"zip"})),
    **dict.fromkeys(("pickle", "legacy"), _PICKLED),
    **{kind: frozenset({kind}) for kind in ("packed", "tar", "npy")},
    "nemo": frozenset({"packed", "tar"}),
}

#: What is said of any file that is no weight file.
_NO_NEWS = frozenset({"not_this_format", "file_empty", "lfs_pointer"})
#: Formats of files that Python's pickle machine builds.
_PICKLES = frozenset({"pytorch", "torchscript", "joblib"})

#: Problems of a readable header that mean something else than CORRUPT.
_VERDICTS = {
    **dict.fromkeys(UNSAFE_CODES, Status.UNSAFE),
    **dict.fromkeys(("truncated", "tensors_missing"), Status.INCOMPLETE),
}


def read(root: str, entry: FileEntry, siblings: Iterable[FileEntry] = ()) -> WeightFile:
    """Reads one weight file's header.

    Never raises: what is wrong becomes status and problems of the result.
    """
    promised = names.weight_format(entry.name) or "pytorch"
    file = WeightFile(entry, promised, "")
    try:
        with open_file(root, entry) as stream:
            head = stream.read(HEAD_BYTES)
            file.stamp = blake2b(
                head + entry.size.to_bytes(16, "little"), digest_size=16
            ).hexdigest()
            if not head:
                return broken(
                    file,
                    Status.INCOMPLETE,
                    "file_empty",
                    f"{entry.name} is empty: the download never finished",
                )
            if entry.size <= lfs.MAX_POINTER_BYTES and (pointer := lfs.read(head)):
                file.pointer = pointer
                text = (
                    f"{entry.name} is a git-lfs pointer: the real file of"
                    f" {human_bytes(pointer.size)} was never downloaded (git lfs pull)"
                )
                return broken(file, Status.INCOMPLETE, "lfs_pointer", text)
            _read_header(file, promised, stream, head)
            if file.header is not None:
                _compare_with_file(file)
                _follow(file, root, {sibling.path: sibling for sibling in siblings})
            _look_otherwise(file, promised, stream, head)
    except OSError as error:
        return broken(
            file,
            Status.CORRUPT,
            "file_unreadable",
            f"{entry.name} cannot be read: {error.strerror or error}",
        )
    return file


def recognized(
    files: Iterable[WeightFile], allowed: Collection[str]
) -> tuple[list[WeightFile], set[str]]:
    """(the files, formats left out).

    Drops files that only their name suggested and no reader knows, and files of formats that
    ``allowed`` does not name.
    """
    kept: list[WeightFile] = []
    left_out: set[str] = set()
    for file in files:
        promised = names.format_of_suffix(file.entry.name)
        if file.header is None:
            known = promised or not {problem.code for problem in file.problems} <= _NO_NEWS
            kept += [file] if known or not format_registry.by_name(file.entry.name) else []
        elif file.format in allowed or promised in allowed or file.status is Status.UNSAFE:
            kept.append(file)
        else:
            left_out.add(file.format)
    return kept, left_out


def _read_header(file: WeightFile, promised: str, stream: BinaryIO, head: bytes) -> None:
    entry = file.entry
    try:
        file.header = formats.read(stream, entry.size, entry.name, head)
        file.format = file.header.format
    except NotThisFormat as error:
        if names.is_promise(entry.name):
            text = f"{entry.name} is not a {promised} file: {error}"
            broken(file, Status.CORRUPT, "not_this_format", text)
        elif head.startswith(_ARCHIVE) and not _has_end(stream, entry.size):
            text = f"{entry.name} is an archive whose end is missing: the download never finished"
            broken(file, Status.INCOMPLETE, "truncated", text, entry.size)
        elif entry.size <= MAX_ANSWER and not names.may_be_text(entry.name) and is_text(head):
            text = f"{entry.name} holds text and no weights: the download was refused or redirected"
            broken(file, Status.INCOMPLETE, "not_this_format", text)
        else:
            text = f"the format of {entry.name} is not recognized: no reader knows its bytes"
            file.problems.append(Problem("format_unknown", text, entry.path, Severity.WARNING))
    except InvalidHeader as error:
        broken(
            file,
            Status.CORRUPT,
            "invalid_header",
            f"{entry.name} cannot be loaded: {error}",
            error.offset,
        )


def _look_otherwise(file: WeightFile, promised: str, stream: BinaryIO, head: bytes) -> None:
    """Checks the file under every other format that a loader could take it for.

    A valid model of one format can also be a pickle.
    """
    entry = file.entry
    is_archive = file.header is not None and _is_archive(file.header.format)
    done = (
        _DONE.get(str(file.header.metadata.get("container")), frozenset())
        if file.header and is_archive
        else frozenset[str]()
    )
    file.pickled = file.header is not None and (
        file.header.format in _PICKLES or file.header.metadata.get("container") == "pickle"
    )
    stream.seek(max(entry.size - (MAX_END if _is_archive(promised) else TAIL_BYTES), 0))
    tail = stream.read(MAX_END)
    if not set(decompression.kinds(head, entry.name, tail)) - done:
        return
    inspector = Inspector()
    inspector.look(stream, entry.size, entry.name, head=head, tail=tail, done=done)
    file.pickled = file.pickled or inspector.pickled
    known = {problem.message for problem in file.problems}
    for problem in inspector.problems:
        message = f"{entry.name}: {problem.message}"
        unsafe = problem.code in UNSAFE_CODES and problem.severity is Severity.ERROR
        if message in known or (file.problems and not unsafe):
            continue
        file.problems.append(replace(problem, path=entry.path, message=message))
        if problem.severity is Severity.ERROR and file.status is not Status.UNSAFE:
            file.status = _VERDICTS.get(problem.code, Status.CORRUPT)
    if inspector.pickled and file.header is None and promised == "safetensors":
        text = (
            f"{entry.name} is not a safetensors file but a Python pickle, which can run code, under"
            " a name that promises otherwise"
        )
        others = [
            problem
            for problem in file.problems
            if problem.code not in ("not_this_format", "invalid_header")
        ]
        file.problems = [Problem("pickle_in_disguise", text, entry.path), *others]
        file.status = Status.UNSAFE


def _has_end(stream: BinaryIO, size: int) -> bool:
    """Whether the list of contents that ends a zip archive is there."""
    stream.seek(max(size - MAX_END, 0))
    return decompression.END_RECORD in stream.read(MAX_END)


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file are text that a person or a server wrote."""
    if not head.strip() or b"\0" in head:
        return False
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # else a letter that the end of ``head`` cuts
            return False
        text = head[: error.start].decode("utf-8")
    return all(letter.isprintable() or letter in "\r\n\t" for letter in text)


def _compare_with_file(file: WeightFile) -> None:
    """Compare the header with the file's length, and add the reader's problems."""
    header, entry = file.header, file.entry
    assert header is not None
    for problem in header.problems:
        file.problems.append(
            replace(problem, path=entry.path, message=f"{entry.name}: {problem.message}")
        )
        if problem.severity is Severity.ERROR and file.status is not Status.UNSAFE:
            file.status = _VERDICTS.get(problem.code, Status.CORRUPT)
    if header.expected_size is not None and header.expected_size > entry.size:
        text = (
            f"{entry.name} is cut short: {human_bytes(entry.size)} of"
            f" {human_bytes(header.expected_size)} are on disk"
        )
        broken(
            file,
            Status.UNSAFE if file.status is Status.UNSAFE else Status.INCOMPLETE,
            "truncated",
            text,
            entry.size,
        )


def _follow(file: WeightFile, root: str, siblings: dict[str, FileEntry]) -> None:
    """Check that the external files of the header exist and are complete."""
    entry, header = file.entry, file.header
    assert header is not None
    arrays: list[Tensor] = []
    for location, end in header.externals:
        location = location.replace(OWN_NAME, entry.name)
        location = location.replace(OWN_STEM, entry.name.rpartition(".")[0])
        if not safe_location(location):
            continue  # the reader has said so already
        folder = entry.path.rpartition("/")[0]
        name = location.removeprefix("./")
        path = f"{folder}/{name}" if folder else name
        target = siblings.get(path) or _beside(root, path)
        if target is not None:
            file.data.append(target)
            arrays += [array] if (array := npy.tensor(root, target)) else []
        if target is None:
            broken(
                file,
                Status.INCOMPLETE,
                "external_data_missing",
                f"{entry.name} keeps its weights in {location}, which is not there",
            )
        elif target.size <= lfs.MAX_POINTER_BYTES and (
            target.size < end or lfs.read(read_file(root, target, lfs.MAX_POINTER_BYTES))
        ):
            broken(
                file,
                Status.INCOMPLETE,
                "external_data_missing",
                f"{location} is too small to hold the weights of {entry.name}",
            )
        elif target.size < end:
            text = (
                f"{location} is cut short: {human_bytes(target.size)} of {human_bytes(end)} are on"
                " disk"
            )
            broken(file, Status.INCOMPLETE, "truncated", text, target.size)
    if arrays:
        file.header = replace(header, tensors=[*header.tensors, *arrays])


def _beside(root: str, path: str) -> FileEntry | None:
    """The file at ``path``, which is in no candidate of its own; never through a link."""
    absolute = os.path.join(root, path)
    try:
        status = os.lstat(absolute)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode) or os.path.realpath(absolute) != os.path.join(
        os.path.realpath(root), path
    ):
        return None
    return FileEntry(path, status.st_size, status.st_mtime_ns, status.st_ino)


def complete(group: WeightSet, ranks: int | None = None) -> WeightSet:
    """Fills in what the set is missing, by its index or by the shard numbers."""
    present = dict.fromkeys(file.entry.name for file in group.files)
    if group.index:
        paths = [f"/{file.entry.path}" for file in group.files]
        group.missing = [
            name
            for name in group.index.shards
            if name not in present and not any(path.endswith(f"/{name}") for path in paths)
        ]
        return group
    parts = [part for name in present if (part := names.shard(name))]
    have = {part.number for part in parts}
    ranked = any(part.is_ranked for part in parts)
    start = 0 if 0 in have or ranked or any(part.stem == _FROM_ZERO for part in parts) else 1
    declared = max((part.total or 0 for part in parts), default=0)
    # Without a total, what lies between the first and the last is known to be missing.
    told = ranks if ranked else None
    total = declared or max(told or 0, max(have, default=0) + 1 - start)
    if parts and 0 < total <= 10_000:
        first = parts[0]
        group.missing = [
            _part_name(first, number, declared)
            for number in range(start, total + start)
            if number not in have
        ]
    return group


def _part_name(like: names.Shard, number: int, total: int) -> str:
    ending = f"-of-{total:0{like.digits}d}" if total else ""
    dash = "" if like.is_ranked else "." if like.stem == _FROM_ZERO else "-"
    return f"{like.stem}{dash}{number:0{like.digits}d}{ending}{like.suffix}"


def note_emptiness(group: WeightSet) -> None:
    """A header may be sound and describe no tensor: there is nothing to load then."""
    if group.format != "safetensors" or group.missing or not group.files:
        return
    headers = [file.header for file in group.files]
    if all(header is not None and not header.tensors for header in headers):
        file = group.files[0]
        text = f"{file.entry.name} describes no tensors: there is nothing to load"
        broken(file, Status.INCOMPLETE, "weights_missing", text)


def missing_problem(group: WeightSet, place: str) -> Problem | None:
    if not group.missing:
        return None
    shown = ", ".join(group.missing[:3]) + (
        f" and {len(group.missing) - 3:,} more" if len(group.missing) > 3 else ""
    )
    verb = "is" if len(group.missing) == 1 else "are"
    total = len(group.missing) + len(group.files)
    text = f"{plural(len(group.missing), 'weight file')} of {total:,} {verb} missing: {shown}"
    return Problem("shards_missing", text, place, key=f"{group.format} {group.label or ''}".strip())


def _is_archive(name: str | None) -> bool:
    known = format_registry.get(name)
    return known is not None and known.is_archive

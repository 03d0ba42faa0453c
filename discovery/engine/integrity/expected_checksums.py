"""The expected content of a file: the SHA-256 from a download, a store or a list next to the model.

Sources, in the order they are used:

* the Hub's cache: blobs kept by git-lfs are named by their SHA-256
  (https://huggingface.co/docs/huggingface_hub/guides/manage-cache);
* Ollama's store: blobs are named ``sha256-<digest>``;
* the record that ``hf download --local-dir`` keeps of each file,
  ``.cache/huggingface/download/<path>.metadata``: commit, ETag, time, a line each; the ETag of a
  git-lfs file is its SHA-256 (``huggingface_hub/_local_folder.py``);
* ``SHA256SUMS``, ``sha256sums.txt``, ``*.sha256`` next to the files, as ``sha256sum`` writes and
  checks them.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from discovery.engine.core import names
from discovery.engine.core.files import read_file
from discovery.engine.core.paths import is_under, to_native, to_text
from discovery.engine.core.text import clean
from discovery.engine.core.types import FileEntry, Problem
from discovery.engine.core.vocabulary import Severity
from discovery.engine.integrity.checksum_lists import MAX_LIST_BYTES, is_list, parse

#: A download record has three lines.
MAX_RECORD_BYTES = 4_096
#: Lists read in one folder that are not named after one of the model's files.
MAX_LISTS = 16

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_RECORDS = names.HUB_RECORDS


@dataclass(frozen=True, slots=True)
class Expected:
    """An expected checksum.

    ``source`` is its origin, worded for a sentence: ``SHA256SUMS``, ``the Hub's record of the
    download``.
    """

    sha256: str
    source: str


@dataclass(slots=True)
class PublishedChecksums:
    """Path of a file → what is expected of it, the best source first.

    ``problems`` are lists and records that could not be read or believed.
    """

    by_path: dict[str, list[Expected]] = field(default_factory=lambda: defaultdict(list))
    problems: list[Problem] = field(default_factory=list)


def vouchers(root: str, place: str, files: Sequence[FileEntry]) -> PublishedChecksums:
    """The expected checksums of ``files`` of the model at ``place``.

    ``root`` is a real path; nothing outside it is opened.

    Records of downloads are searched in every folder from the file's up to the root, lists up to
    ``place``.
    """
    found = PublishedChecksums()
    unnamed: list[FileEntry] = []
    for entry in files:
        if named := _by_name(entry.link or entry.path):
            found.by_path[entry.path].append(named)
        else:
            unnamed.append(entry)
    _add_records(found, root, unnamed)
    _add_lists(found, root, place, unnamed)
    return found


def _by_name(path: str) -> Expected | None:
    """What the name of a blob in a store says: ``path`` is where the bytes really are."""
    folder, name = posixpath.split(path.replace(os.sep, "/"))
    store = folder.rpartition("/")[2]
    if store == "blobs" and name.startswith("sha256-") and _SHA256.fullmatch(name[7:]):
        return Expected(name[7:], "its name in Ollama's store")
    if store == "blobs" and _SHA256.fullmatch(name):
        return Expected(name, "its name in the Hub's cache")
    return None


def _add_records(found: PublishedChecksums, root: str, files: Sequence[FileEntry]) -> None:
    known: dict[str, bool] = {}
    for entry in files:
        for folder in _ancestors(entry.path):
            if folder not in known:
                known[folder] = os.path.isdir(to_native(root, _join(folder, _RECORDS)))
            if not known[folder]:
                continue
            inside = entry.path if folder == "." else entry.path[len(folder) + 1 :]
            record = _read(
                found, root, _join(folder, f"{_RECORDS}/{inside}.metadata"), MAX_RECORD_BYTES
            ).splitlines()
            etag = record[1].strip().decode("ascii", "replace").lower() if len(record) > 1 else ""
            if _SHA256.fullmatch(etag):
                found.by_path[entry.path].append(Expected(etag, "the Hub's record of the download"))
                break


def download_commits(root: str, files: Sequence[FileEntry]) -> set[str]:
    """The commits that ``hf download --local-dir`` noted for these files; ``root`` is real."""
    commits, unheard = set(), PublishedChecksums()
    known: dict[str, bool] = {}
    for entry in files:
        for folder in _ancestors(entry.path):
            if folder not in known:
                known[folder] = os.path.isdir(to_native(root, _join(folder, _RECORDS)))
            if known[folder]:
                inside = entry.path if folder == "." else entry.path[len(folder) + 1 :]
                path = _join(folder, f"{_RECORDS}/{inside}.metadata")
                first = _read(unheard, root, path, MAX_RECORD_BYTES).partition(b"\n")[0]
                commit = first.strip().decode("ascii", "replace").lower()
                commits |= {commit} if _COMMIT.fullmatch(commit) else set()
                break
    return commits


def _add_lists(
    found: PublishedChecksums, root: str, place: str, files: Sequence[FileEntry]
) -> None:
    ours = {entry.path for entry in files}
    folders = {
        folder
        for path in ours
        for folder in _ancestors(path)
        if place == "." or f"{folder}/".startswith(f"{place}/")
    }
    for folder in sorted(folders):
        for name in _lists(root, folder, ours):
            path = _join(folder, name)
            told = parse(_read(found, root, path, MAX_LIST_BYTES + 1), name)
            for inside, digest in told.sums.items():
                target = posixpath.normpath(_join(folder, inside))
                if target in ours:
                    found.by_path[target].append(Expected(digest, clean(name, 100)))
            if told.refused:
                _doubt(found, path, told.fault)


def _lists(root: str, folder: str, ours: set[str]) -> list[str]:
    """Names of the lists in ``folder``: those named after a file of the model, and the first few
    others.
    """
    try:
        with os.scandir(to_native(root, folder)) as entries:
            names = sorted(to_text(entry.name) for entry in entries if is_list(entry.name))
    except OSError:
        return []  # the files in it cannot be read either: that is said about each of them
    own = [name for name in names if _join(folder, name.rpartition(".")[0]) in ours]
    return own + [name for name in names if name not in own][:MAX_LISTS]


def _read(found: PublishedChecksums, root: str, path: str, limit: int) -> bytes:
    """The first ``limit`` bytes.

    Empty if the file does not exist, or (with a problem) cannot be read or is outside the root.
    """
    real = os.path.realpath(to_native(root, path))
    if not is_under(real, root):
        _doubt(found, path, "it links to a place outside the root and is not followed")
        return b""
    try:
        return read_file(root, FileEntry(path, 0, 0, 0, os.path.relpath(real, root)), limit)
    except FileNotFoundError:
        return b""
    except OSError as error:
        _doubt(found, path, f"it cannot be read: {error.strerror or error}")
        return b""


def _doubt(found: PublishedChecksums, path: str, why: str) -> None:
    text = (
        f"{clean(posixpath.basename(path), 100)} vouches for nothing, or not for all it lists:"
        f" {why}"
    )
    found.problems.append(Problem("checksum_list_invalid", text, path, Severity.WARNING))


def _ancestors(path: str) -> list[str]:
    """The folders around a file, the nearest first, the root (``.``) last."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)] + ["."]


def _join(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"

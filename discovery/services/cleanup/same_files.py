"""Compare the files of two models one by one.

They agree by links, by checksums, by all bytes where they are few, else by size and first bytes.

All files count, including those that no reader opens: a graph, a configuration or a tokenizer turns
the same weights into another model. Names are relative to the model's own folder; in a repository
of the Hub's cache to its revision.
"""

from __future__ import annotations

import os
import re
import stat
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import lru_cache
from hashlib import blake2b

from discovery.engine.core import names
from discovery.engine.core.paths import is_under, to_native, to_text
from discovery.models import FileChecksum, RegisteredModel
from discovery.services.registry import model_files

#: First bytes that are compared where nothing says more: of files that hold tensors alone, and of
#: all others, most of which that reads whole.
WEIGHT_HEAD, OTHER_HEAD = 4_096, 1 << 20
_TENSORS_ALONE = frozenset(("safetensors", "gguf", "ggml", "pytorch"))
#: Files of one model that are looked at; a folder that holds more cannot be compared.
MAX_FILES = 5_000

_BLOB = re.compile(r"(?:^|/)blobs/(?:sha256-)?([0-9a-f]{64})$")
_SNAPSHOT = re.compile(r"^snapshots/([^/]+)/(.+)$")
#: Left behind by programs, not parts of a model. Counted all the same where the registry has them.
_HOUSEKEEPING = frozenset((".ds_store", "thumbs.db", "desktop.ini", ".gitattributes", ".gitignore"))
_DOCUMENTS = (".md", ".png", ".jpg", ".jpeg", ".webp", ".gif", ".html", ".pdf")


class Sure(IntEnum):
    """How two files are known to agree, the surest last."""

    DIFFERENT = 0
    HEAD = 1
    BYTES = 2
    LINKED = 3


class How(StrEnum):
    DIFFERS = "differs"
    ONLY_HERE = "only here"
    ONLY_THERE = "only there"


@dataclass(frozen=True, slots=True)
class Content:
    """A file as it is on disk, links followed: ``path`` is its real place.

    ``sha256`` is empty where nobody has read all of it.
    """

    path: str
    size: int
    identity: tuple[int, int]
    mtime_ns: int
    sha256: str = ""
    is_weight: bool = False
    ctime_ns: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """One file in which two models differ.

    ``key`` is its name in :class:`Files`, ``name`` the one on the disk. Sizes are ``None`` where a
    model lacks the file.
    """

    key: str
    name: str
    how: How
    size: int | None
    other_size: int | None

    @property
    def text(self) -> str:
        return f"{self.name} ({self.how})"


@dataclass(slots=True)
class Files:
    """The files of one model by the names that they have in it.

    ``whole`` is false where not all of them could be read.

    ``stem`` is what ``*`` stands for in them, where the model is a file.
    """

    by_name: dict[str, list[Content]] = field(default_factory=lambda: defaultdict(list))
    whole: bool = True
    stem: str = ""

    def of(self, identity: tuple[int, int]) -> Iterator[str]:
        return (
            name
            for name, contents in self.by_name.items()
            if any(each.identity == identity for each in contents)
        )


@lru_cache(20_000)
def _head(content: Content, limit: int) -> bytes:
    """Digest of the first ``limit`` bytes, remembered for the file in this state.

    Raises ``OSError``.
    """
    with open(content.path, "rb") as stream:
        return blake2b(stream.read(limit), digest_size=16).digest()


def same(one: Content, other: Content) -> Sure:
    if one.identity == other.identity:
        return Sure.LINKED
    if one.size != other.size:
        return Sure.DIFFERENT
    limit = WEIGHT_HEAD if one.is_weight or other.is_weight else OTHER_HEAD
    try:
        if one.size and _head(one, limit) != _head(other, limit):
            return Sure.DIFFERENT
    except OSError:
        return Sure.DIFFERENT
    if one.size <= limit:
        return Sure.BYTES
    if one.sha256 and other.sha256:
        return Sure.BYTES if one.sha256 == other.sha256 else Sure.DIFFERENT
    return Sure.HEAD


def counterpart(content: Content, candidates: Sequence[Content]) -> tuple[Sure, Content | None]:
    """The surest of ``candidates`` that holds the same."""
    best, found = Sure.DIFFERENT, None
    for each in candidates:
        sure = same(content, each)
        if sure > best:
            best, found = sure, each
    return best, found


def agreement(one: Files, other: Files) -> Sure:
    """Return how sure it is that all files agree; ``DIFFERENT`` when one of them does not."""
    if not (one.whole and other.whole) or one.by_name.keys() != other.by_name.keys():
        return Sure.DIFFERENT
    least = Sure.LINKED
    for left, right in ((one, other), (other, one)):
        for name, contents in left.by_name.items():
            for content in contents:
                least = min(least, counterpart(content, right.by_name[name])[0])
                if least is Sure.DIFFERENT:
                    return least
    return least


def differences(one: Files, other: Files) -> list[Difference]:
    """Every file in which ``one`` departs from ``other``, by name."""
    found = []
    for name in sorted(one.by_name.keys() | other.by_name.keys()):
        mine, theirs = one.by_name.get(name, []), other.by_name.get(name, [])
        size, other_size = (each[0].size if each else None for each in (mine, theirs))
        told = name.replace("*", (one if mine else other).stem, 1) if name.startswith("*") else name
        if not mine or not theirs:
            found.append(
                Difference(name, told, How.ONLY_HERE if mine else How.ONLY_THERE, size, other_size)
            )
        elif not all(counterpart(each, theirs)[0] for each in mine) or not all(
            counterpart(each, mine)[0] for each in theirs
        ):
            found.append(Difference(name, told, How.DIFFERS, size, other_size))
    return found


def read(
    record: RegisteredModel, home: str, known: Mapping[str, FileChecksum]
) -> tuple[Files, dict[str, Content]]:
    """Read all files of the model, its weights and the others, by their names in it and by path.

    ``known`` are checksums by path below :func:`model_files.home`.
    """
    made, folder = Files(), model_files.home(record)
    weights = frozenset(model_files.weight_files(record))
    contents: dict[str, Content] = {}
    paths = dict.fromkeys(path for path, _ in record.files)
    beside = list(_beside(record, home, made))
    for path in [*paths, *(path for path in beside if path not in paths)][:MAX_FILES]:
        plain = path in weights and (
            names.weight_format(path.rpartition("/")[2]) in _TENSORS_ALONE
            or "/blobs/" in f"/{path}"
        )
        content = _content(home, path, known.get(model_files.below(path, folder)), plain)
        if content is not None:
            contents[path] = content
        else:
            made.whole = False
    made.whole = made.whole and len(paths) + len(beside) <= MAX_FILES
    linked = {content.identity for path, content in contents.items() if "/blobs/" not in f"/{path}"}
    named = _Namer(record)
    made.stem = named.stem
    for path, content in contents.items():
        blob = "/blobs/" in f"/{path}"
        if (blob and content.identity in linked) or is_reference(record, path):
            continue  # the store's own name for what a name of the model leads to
        made.by_name[named(path)].append(content)
    return made, contents


def is_reference(record: RegisteredModel, path: str) -> bool:
    """Return whether the file is a branch or tag of a repository in the Hub's cache.

    Such a file names a commit and holds nothing of the model.
    """
    return path.startswith(f"{record.path}/refs/") and any(
        "/snapshots/" in each for each, _ in record.files
    )


class _Namer:
    """The names of files as programs see them.

    They are relative to the folder or the revision, with ``*`` for the stem of a model that is a
    single file.
    """

    def __init__(self, record: RegisteredModel) -> None:
        self.folder = model_files.home(record)
        self.stem = "" if self.folder == record.path else names.stem(record.path.rpartition("/")[2])
        main = model_files.weight_files(record)[:1]
        below = _SNAPSHOT.match(model_files.below(main[0], self.folder)) if main else None
        self.commit = below[1] if below else ""

    def __call__(self, path: str) -> str:
        name = model_files.below(path, self.folder)
        revision = _SNAPSHOT.match(name) if self.commit else None
        if revision:
            return revision[2] if revision[1] == self.commit else name
        if name.startswith("../") and "/blobs/" in name:
            return f"blobs/{name.rpartition('/blobs/')[2]}"
        return f"*{name[len(self.stem) :]}" if self.stem and name.startswith(self.stem) else name


def _beside(record: RegisteredModel, home: str, made: Files) -> Iterator[str]:
    """Yield the files on the disk that the registry does not count among the model's.

    For a folder they are the files in it at any depth; for a single file those that share its stem,
    and those that no other weights in the folder can claim. They are paths in text form.
    """
    folder = model_files.home(record)
    if any(
        f"/{part}/" in f"/{path}" for path, _ in record.files for part in ("snapshots", "manifests")
    ):
        return  # a store keeps nothing beside what it names
    if folder == record.path:
        yield from _below(home, folder, made)
        return
    own = names.base_stem(record.path.rpartition("/")[2])
    found = [entry for entry in _listed(home, folder, made) if entry.is_file()]
    stems = {
        names.base_stem(to_text(entry.name)) for entry in found if names.weight_format(entry.name)
    } - {own}
    for entry in found:
        name, folded = to_text(entry.name), to_text(entry.name).lower()
        if folded.endswith(_DOCUMENTS) or folded in _HOUSEKEEPING:
            continue
        if folded.startswith(own) or not any(folded.startswith(stem) for stem in stems):
            yield name if folder == "." else f"{folder}/{name}"


def _below(home: str, folder: str, made: Files) -> Iterator[str]:
    stack, count = [folder], 0
    while stack:
        place = stack.pop()
        for entry in _listed(home, place, made):
            name = to_text(entry.name)
            path = name if place == "." else f"{place}/{name}"
            if entry.is_dir(follow_symlinks=False):
                if not names.never_a_model(entry.name) and entry.name != ".cache":
                    stack.append(path)
            elif name.lower() not in _HOUSEKEEPING:
                count += 1
                if count > MAX_FILES:
                    made.whole = False
                    return
                yield path


def _listed(home: str, folder: str, made: Files) -> list[os.DirEntry[str]]:
    native = to_native(home, folder)
    try:
        if not is_under(os.path.realpath(native), home):
            made.whole = False
            return []
        with os.scandir(native) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        made.whole = False
        return []


def _content(home: str, path: str, row: FileChecksum | None, is_weight: bool) -> Content | None:
    real = os.path.realpath(to_native(home, path))
    if not is_under(real, home):
        return None
    try:
        status = os.stat(real)
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    sha256 = (
        row.sha256
        if row and (row.size, row.mtime_ns) == (status.st_size, status.st_mtime_ns)
        else ""
    )
    named = _BLOB.search(real)
    identity = (status.st_dev, status.st_ino)
    return Content(
        real,
        status.st_size,
        identity,
        status.st_mtime_ns,
        sha256 or (named[1] if named else ""),
        is_weight,
        status.st_ctime_ns,
    )

"""What pages read from the disk itself, at the moment they are shown: cards, headers of weight files, whether a root answers.

Nothing here writes, and nothing opens a file that lies outside the model's root.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

from django.db.models import Count

from discovery.engine import weights
from discovery.engine.files import read_file
from discovery.engine.found import tidy
from discovery.engine.paths import is_under, to_native
from discovery.engine.sidecars import card as card_file
from discovery.engine.types import FileEntry, Problem, Tensor
from discovery.models import RegisteredModel, Root
from discovery.services.patience import ask

#: Weight files opened, and tensors taken, for one page.
MAX_FILES = 100
MAX_TENSORS = 100_000

#: Bytes of a card that are shown, and read to get past its front matter.
MAX_CARD = 200_000
_READ_CARD = MAX_CARD + card_file.MAX_FRONT_MATTER

#: Seconds that all roots together have to answer.
PATIENCE = 1.5

#: Why a root cannot be scanned, and the file system that it lies on.
Look = tuple[str, "FileSystem | None"]
SILENT: Look = ("it does not answer", None)

_NUMBER = re.compile(r"(\d+)")


class Gone(Exception):
    """A file cannot be read now; the message says why, without its name."""


@dataclass(frozen=True, slots=True)
class CardText:
    """A card as written, without its front matter. ``cut`` says that only its beginning is here, ``fault`` why nothing is."""

    path: str
    text: str = ""
    cut: bool = False
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A tensor and the file it was read from. ``elements`` is the product of the shape."""

    tensor: Tensor
    file: str

    @property
    def elements(self) -> int:
        return prod(self.tensor.shape)


@dataclass(slots=True)
class Tensors:
    """Tensors of ``read`` out of ``total`` weight files, and what was wrong with them."""

    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    read: int = 0
    total: int = 0

    @property
    def elements(self) -> int:
        return sum(row.elements for row in self.rows)

    @property
    def size(self) -> int:
        return sum(row.tensor.size for row in self.rows)


@dataclass(frozen=True, slots=True)
class FileSystem:
    """``device`` tells one from another. Free bytes are those that a user may fill."""

    device: int
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class RootState:
    """``fault`` says why the root cannot be scanned; ``disk`` is where it lies, known unless there is a fault."""

    root: Root
    models: int
    fault: str
    disk: FileSystem | None


def entry_of(root: str, path: str) -> FileEntry:
    """The file at ``path`` below ``root`` (see :func:`home_of`), as it is on disk now. Raises ``Gone``."""
    real = os.path.realpath(to_native(root, path))
    if not is_under(real, root):
        raise Gone("it leads to a place outside the root")
    try:
        status = os.stat(real, follow_symlinks=False)
    except FileNotFoundError as error:
        raise Gone("it is not there any more") from error
    except OSError as error:
        raise Gone(f"it cannot be read: {error.strerror}") from error
    return FileEntry(
        path, status.st_size, status.st_mtime_ns, status.st_ino, os.path.relpath(real, root)
    )


def home_of(record: RegisteredModel) -> str:
    """The real folder of the record's root: the registry may know it by a link."""
    return os.path.realpath(to_native("/", record.root.path))


def card(record: RegisteredModel) -> CardText | None:
    """The model's README.md, the one nearest to what a program loads; ``None`` when it has none."""
    paths = [path for path, _ in record.files if path.rpartition("/")[2].lower() == "readme.md"]
    if not paths:
        return None
    main = record.variants[0]["path"] if record.variants else record.path
    path = min(paths, key=lambda each: (not _beside(each, main), each.count("/"), each))
    home = home_of(record)
    try:
        entry = entry_of(home, path)
        raw = read_file(home, entry, _READ_CARD)
    except Gone as error:
        return CardText(path, fault=str(error))
    except OSError as error:
        return CardText(path, fault=f"it cannot be read: {error.strerror or error}")
    body = card_file.body(raw.decode("utf-8-sig", "replace"))
    return CardText(path, body[:MAX_CARD], cut=len(body) > MAX_CARD or entry.size > _READ_CARD)


def _beside(path: str, main: str) -> bool:
    folder = path.rpartition("/")[0]
    return not folder or main == folder or main.startswith(folder + "/")


def weight_files(record: RegisteredModel) -> list[str]:
    """Weight files of all variants, the main one's first."""
    return list(
        dict.fromkeys(path for variant in record.variants for path in variant.get("files", ()))
    )


def tensors(record: RegisteredModel, file: str = "") -> Tensors:
    """Tensors of the main variant, or of the one weight file named, read from the headers now and sorted by name.

    A file that is gone or broken becomes a problem of the result; at most ``MAX_FILES`` are opened.
    """
    main = record.variants[0].get("files", ()) if record.variants else ()
    paths: Sequence[str] = [file] if file in weight_files(record) else list(main)
    result, home = Tensors(total=len(paths)), home_of(record)
    siblings = [FileEntry(path, size, 0, 0) for path, size in _near(record.files, paths)]
    for path in paths[:MAX_FILES]:
        if len(result.rows) >= MAX_TENSORS:
            break
        result.read += 1
        _add(result, home, path, siblings)
    result.rows.sort(key=lambda row: _natural(row.tensor.name))
    result.problems = list(tidy(result.problems))
    return result


def _add(result: Tensors, home: str, path: str, siblings: Iterable[FileEntry]) -> None:
    try:
        entry = entry_of(home, path)
    except Gone as error:
        result.problems.append(
            Problem("file_missing", f"{path.rpartition('/')[2]} cannot be shown: {error}", path)
        )
        return
    file = weights.read(home, entry, siblings)
    result.problems += file.problems
    if file.header:
        room = MAX_TENSORS - len(result.rows)
        result.rows += [Row(tensor, path) for tensor in file.header.tensors[:room]]


def _near(files: Iterable[Any], paths: Sequence[str]) -> list[tuple[str, int]]:
    folders = {path.rpartition("/")[0] for path in paths}
    return [(path, size) for path, size in files if path.rpartition("/")[0] in folders]


def _natural(name: str) -> list[tuple[int, int | str]]:
    """``layers.2`` before ``layers.10``."""
    return [
        (0, int(part)) if part.isdecimal() and len(part) < 19 else (1, part)
        for part in _NUMBER.split(name)
    ]


def roots() -> list[RootState]:
    """All roots with their models, and why one cannot be scanned. A network drive that hangs holds nobody up."""
    rows = list(
        Root.objects.exclude(path=Root.REMOTE)
        .annotate(model_total=Count("models"))
        .order_by("path")
    )
    return reach(rows, {root.pk: root.model_total for root in rows})


def reach(rows: Sequence[Root], models: Mapping[int, int]) -> list[RootState]:
    """The same of these roots, where the number of ``models`` of each is known already."""
    looks = ask({("root", root.path): partial(_look, root.path) for root in rows}, PATIENCE)
    silent: Look = ("it does not answer", None)
    return [
        RootState(root, models.get(root.pk, 0), *looks.get(("root", root.path), silent))
        for root in rows
    ]


def fault(root: Root) -> str:
    """Why the root cannot be scanned now; empty when it can. Waits no longer than ``PATIENCE``."""
    answers = ask({("root", root.path): partial(_look, root.path)}, PATIENCE)
    return answers.get(("root", root.path), SILENT)[0]


def _look(path: str) -> Look:
    folder = Path(to_native("/", path))
    try:
        os.scandir(folder).close()
        usage = shutil.disk_usage(folder)
        return "", FileSystem(folder.stat().st_dev, usage.total, usage.free)
    except FileNotFoundError:
        return "the folder is not there", None
    except NotADirectoryError:
        return "it is not a folder", None
    except OSError as error:
        return f"it cannot be read: {error.strerror}", None

"""What pages read from the disk when they are shown.

These are model cards, headers of weight files, and whether a root answers.

Nothing here writes, and nothing opens a file that lies outside the model's root.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any

from discovery.engine.core.files import read_file
from discovery.engine.core.text import storable
from discovery.engine.core.types import FileEntry, Problem, Tensor
from discovery.engine.identify import weights
from discovery.engine.identify.found import collapse_repeats
from discovery.engine.sidecars import card as card_file
from discovery.models import RegisteredModel, Root
from discovery.services.machine import reach
from discovery.services.machine.root_probes import RootSilent
from discovery.services.registry.model_files import Gone, entry_of, home_of, weight_files

#: Weight files opened, and tensors taken, for one page.
MAX_FILES = 100
MAX_TENSORS = 100_000

#: Bytes of a card that are shown, and read to get past its front matter.
MAX_CARD = 200_000
_READ_CARD = MAX_CARD + card_file.MAX_FRONT_MATTER

_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class CardText:
    """A card as written, without its front matter.

    ``cut`` says that only its beginning is here, ``fault`` and ``silent`` why nothing is.
    """

    path: str
    text: str = ""
    cut: bool = False
    fault: str = ""
    silent: RootSilent | None = None


@dataclass(frozen=True, slots=True)
class TensorInFile:
    """A tensor and the file it was read from. ``elements`` is the product of the shape."""

    tensor: Tensor
    file: str

    @property
    def elements(self) -> int:
        return prod(self.tensor.shape)


@dataclass(slots=True)
class Tensors:
    """Tensors of ``read`` out of ``total`` weight files, and what was wrong with them.

    ``metadata`` are the key-value pairs of each file's header, as JSON; long values are cut.
    """

    rows: list[TensorInFile] = field(default_factory=list)
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    read: int = 0
    total: int = 0

    @property
    def elements(self) -> int:
        return sum(row.elements for row in self.rows)

    @property
    def size(self) -> int:
        return sum(row.tensor.size for row in self.rows)


def card(record: RegisteredModel) -> CardText | None:
    """The model's README.md, the one nearest to what a program loads; ``None`` when it has none."""
    paths = [path for path, _ in record.files if card_file.is_card(path.rpartition("/")[2])]
    if not paths:
        return None
    main = record.variants[0]["path"] if record.variants else record.path
    path = min(paths, key=lambda each: (not _beside(each, main), each.count("/"), each))
    try:
        return reach.within(
            record.root, ("card", record.pk, record.content), partial(_card, record, path)
        )
    except RootSilent as error:
        return CardText(path, silent=error)


def _card(record: RegisteredModel, path: str) -> CardText:
    home = home_of(record)
    try:
        entry = entry_of(home, path)
        raw = read_file(home, entry, _READ_CARD)
    except Gone as error:
        return CardText(path, fault=str(error))
    except OSError as error:
        return CardText(path, fault=f"it cannot be read: {error.strerror or error}")
    body = card_file.body(card_file.decoded(raw))
    return CardText(path, body[:MAX_CARD], cut=len(body) > MAX_CARD or entry.size > _READ_CARD)


def _beside(path: str, main: str) -> bool:
    folder = path.rpartition("/")[0]
    return not folder or main == folder or main.startswith(folder + "/")


def tensors(record: RegisteredModel, file: str = "") -> Tensors:
    """Read the tensors of the main variant, or of one weight file, sorted by name.

    The headers are read at the time of the call.

    A missing or broken file becomes a problem of the result; at most ``MAX_FILES`` are opened.
    Raises ``RootSilent``.
    """
    return reach.within(
        record.root, ("tensors", record.pk, record.content, file), partial(_tensors, record, file)
    )


def tensors_of(records: Sequence[RegisteredModel]) -> list[Tensors]:
    """The same of several models, in their order.

    All roots are asked at once; one that is silent is a problem of its models.
    """
    by_root: dict[Root, list[RegisteredModel]] = {}
    for record in records:
        by_root.setdefault(record.root, []).append(record)
    questions = {
        root: (("tensors", *(each.pk for each in mine)), partial(_several, mine))
        for root, mine in by_root.items()
    }
    read: dict[int, Tensors] = {}
    for root, answer in reach.within_each(questions).items():
        if isinstance(answer, RootSilent):
            read |= {
                each.pk: Tensors(problems=[Problem("file_unreadable", answer.plain, each.path)])
                for each in by_root[root]
            }
        elif isinstance(answer, BaseException):
            raise answer
        else:
            read |= answer
    return [read[record.pk] for record in records]


def _several(records: Sequence[RegisteredModel]) -> dict[int, Tensors]:
    return {record.pk: _tensors(record, "") for record in records}


def _tensors(record: RegisteredModel, file: str) -> Tensors:
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
    result.problems = list(collapse_repeats(result.problems))
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
        result.rows += [TensorInFile(tensor, path) for tensor in file.header.tensors[:room]]
        if file.header.metadata:
            result.metadata[path] = storable(file.header.metadata)


def _near(files: Iterable[Any], paths: Sequence[str]) -> list[tuple[str, int]]:
    folders = {path.rpartition("/")[0] for path in paths}
    return [(path, size) for path, size in files if path.rpartition("/")[0] in folders]


def _natural(name: str) -> list[tuple[int, int | str]]:
    """``layers.2`` before ``layers.10``."""
    return [
        (0, int(part)) if part.isdecimal() and len(part) < 19 else (1, part)
        for part in _NUMBER.split(name)
    ]

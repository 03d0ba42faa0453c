"""What each of two or more models has on the disk, weighed for comparison."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from discovery.engine.core.paths import is_under, to_native
from discovery.engine.disk.disk_use import FILE, DiskEntry, freed, piece
from discovery.engine.disk.leftover_stores import Store
from discovery.models import FileChecksum, RegisteredModel, Root
from discovery.services.cleanup.same_files import Content, Files, read
from discovery.services.machine import reach
from discovery.services.machine.root_probes import RootSilent
from discovery.services.registry import model_files

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    User = AbstractBaseUser | AnonymousUser


#: Seconds that the disks have to tell what the copies of a page weigh.
TIMEOUT = 4.0


_SILENT = "The disks did not answer within {:g} seconds. Try again in a moment."


COLUMNS = (
    "model_id",
    "name",
    "display_name",
    "path",
    "status",
    "files",
    "variants",
    "fingerprint",
    "size_bytes",
    "root",
    "missing_since",
)


class DiskTimeout(Exception):
    """The disk did not answer in time."""


@dataclass(slots=True)
class Copy:
    """One model of a group. ``pieces`` are what would go with it, ``files`` all that it is made of.

    ``contents`` are the same files by path, ``weights`` those of them that hold its weights.
    """

    record: RegisteredModel
    home: str
    pieces: tuple[DiskEntry, ...] = ()
    files: Files = field(default_factory=Files)
    weights: dict[str, Content] = field(default_factory=dict)
    contents: dict[str, Content] = field(default_factory=dict)

    @property
    def freed(self) -> int:
        return freed(self.pieces)

    @property
    def links(self) -> int:
        """The number of weight files that are links to files outside the model."""
        own = {piece.identity for piece in self.pieces if piece.kind == FILE}
        return sum(weight.identity not in own for weight in self.weights.values())

    @property
    def location(self) -> str:
        return f"{self.record.root.path.rstrip('/')}/{self.record.path}".removesuffix("/.")

    @property
    def identities(self) -> frozenset[tuple[int, int]]:
        return frozenset(each.identity for each in self.weights.values())

    @property
    def is_read(self) -> bool:
        """Whether the checksums of all weight files are known."""
        return all(each.sha256 for each in self.weights.values())


def weigh(records: Sequence[RegisteredModel]) -> dict[int, Copy]:
    """Return what is on disk of each model, by primary key; models without weights are left out.

    Raises ``DiskTimeout``.
    """
    copies, silent = weigh_each(records)
    if silent:
        raise DiskTimeout(str(silent[0]))
    return copies


def weigh_each(records: Sequence[RegisteredModel]) -> tuple[dict[int, Copy], list[RootSilent]]:
    """Return what is on disk of each model on the roots that answer, and the roots that do not."""
    known: dict[int, dict[str, FileChecksum]] = defaultdict(dict)
    for row in FileChecksum.objects.filter(model__in=records).exclude(sha256=""):
        known[row.model_id][row.path] = row
    by_root: dict[Root, list[RegisteredModel]] = defaultdict(list)
    for record in records:
        by_root[record.root].append(record)
    questions = {
        root: (("duplicates", *(each.pk for each in mine)), partial(_weigh, mine, known))
        for root, mine in by_root.items()
    }
    copies: dict[int, Copy] = {}
    silent: list[RootSilent] = []
    for answer in reach.within_each(questions, longest=TIMEOUT).values():
        if isinstance(answer, RootSilent):
            silent.append(answer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            copies |= answer
    return copies, silent


def _weigh(
    records: Sequence[RegisteredModel], known: Mapping[int, Mapping[str, FileChecksum]]
) -> dict[int, Copy]:
    stores: dict[str, Store] = {}
    made: dict[int, Copy] = {}
    for record in records:
        copy = Copy(record, model_files.home_of(record))
        copy.pieces = tuple(
            each
            for path in own_files(record, copy.home, stores)
            if (each := inside(copy.home, path))
        )
        copy.files, copy.contents = read(record, copy.home, known.get(record.pk, {}))
        weights = model_files.weight_files(record)
        copy.weights = {path: copy.contents[path] for path in weights if path in copy.contents}
        if weights and len(copy.weights) == len(weights):
            made[record.pk] = copy
    return made


def own_files(record: RegisteredModel, home: str, stores: dict[str, Store]) -> list[str]:
    """Its files; of an Ollama store without the blobs that other models name as well."""
    paths = [path for path, _ in record.files]
    store, manifests, rest = f"/{record.path}".rpartition("/manifests/")
    if not manifests or not any("/blobs/" in f"/{path}" for path in paths):
        return paths
    top = store[1:]
    prefix = f"{top}/" if top else ""
    read = stores.get(top) or stores.setdefault(top, Store.read(to_native(home, top)))
    own = {
        path.removeprefix(prefix) for path in paths if path.startswith(f"{prefix}manifests/{rest}")
    }
    blobs = set() if read.fault else {f"{prefix}{path}" for path in read.only_of(own)}
    return [path for path in paths if path.removeprefix(prefix) in own or path in blobs]


def inside(home: str, path: str) -> DiskEntry | None:
    """The entry, at the real path of its folder in the root."""
    native = to_native(home, path)
    return piece(home, path) if is_under(os.path.realpath(os.path.dirname(native)), home) else None

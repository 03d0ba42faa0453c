"""Models that hold the same: alike by fingerprint, the same by checksum, one file by links.

The registry says which models look alike (size and first bytes of their weights); checksums and the disk, asked at this moment, say
how sure that is and what removing a copy would give back. Nothing here removes anything: see ``services.clean_up``.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from django.db.models import Count, F, Max, Sum

from discovery.engine.disk_use import FILE, Piece, freed, piece
from discovery.engine.leftover_stores import Store
from discovery.engine.paths import is_under, to_native
from discovery.models import FileChecksum, RegisteredModel
from discovery.services import browse, checksums
from discovery.services.overview import ABSENT, NO_COPY
from discovery.services.patience import ask

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    User = AbstractBaseUser | AnonymousUser

#: Seconds that the disks have to tell what the copies of a page weigh.
PATIENCE = 4.0
#: Copies of one group that are looked at.
MAX_COPIES = 50

_BLOB = re.compile(r"(?:^|/)blobs/(?:sha256-)?([0-9a-f]{64})$")
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


class Certainty(StrEnum):
    """Why two models are taken for the same, the surest first."""

    LINKED = "linked"
    CHECKSUM = "checksum"
    ALIKE = "alike"


class NoAnswer(Exception):
    """The disk did not say in time what is there."""


@dataclass(slots=True)
class Copy:
    """One model of a group. ``pieces`` are what would go with it, ``weights`` the identity and the checksum of each weight file."""

    record: RegisteredModel
    home: str
    pieces: tuple[Piece, ...] = ()
    weights: dict[str, Weight] = field(default_factory=dict)

    @property
    def freed(self) -> int:
        return freed(self.pieces)

    @property
    def links(self) -> int:
        """How many of its weight files are links to files that are not its own."""
        own = {piece.identity for piece in self.pieces if piece.kind == FILE}
        return sum(weight.identity not in own for weight in self.weights.values())

    @property
    def location(self) -> str:
        return f"{self.record.root.path.rstrip('/')}/{self.record.path}".removesuffix("/.")

    @property
    def sums(self) -> tuple[tuple[int, str], ...] | None:
        """Sizes and checksums of all its weights; ``None`` unless each is known."""
        return (
            tuple(sorted((each.size, each.sha256) for each in self.weights.values()))
            if all(w.sha256 for w in self.weights.values())
            else None
        )

    @property
    def identities(self) -> frozenset[tuple[int, int]]:
        return frozenset(each.identity for each in self.weights.values())


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight file as it is on disk, links followed. ``sha256`` is empty where nobody has read all of it, or it changed since."""

    size: int
    identity: tuple[int, int]
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Copies of one content. ``freed`` are the bytes that come back when all but the first are removed; ``left`` models were not looked at."""

    fingerprint: str
    certainty: Certainty
    copies: tuple[Copy, ...]
    left: int = 0

    @property
    def freed(self) -> int:
        return freed(piece for copy in self.copies[1:] for piece in copy.pieces)


def fingerprints() -> list[tuple[str, int, int]]:
    """(fingerprint, models, bytes beyond the largest) of all models that look alike, what could be had back most first."""
    there = RegisteredModel.objects.exclude(status__in=NO_COPY).exclude(size_bytes=0).order_by()
    groups = (
        there.values("fingerprint")
        .annotate(models=Count("pk"), spare=Sum("size_bytes") - Max("size_bytes"))
        .filter(models__gt=1)
    )
    rows = groups.order_by(F("spare").desc(), "fingerprint").values_list(
        "fingerprint", "models", "spare"
    )
    return list(rows)


def groups(chosen: Sequence[str]) -> list[Group]:
    """The groups of these fingerprints as they are now, without models known to differ. Raises ``NoAnswer``."""
    there = (
        RegisteredModel.objects.filter(fingerprint__in=chosen)
        .exclude(status__in=NO_COPY)
        .select_related("root")
        .only(*COLUMNS, "root__path")
    )
    by_fingerprint: dict[str, list[RegisteredModel]] = defaultdict(list)
    for record in there.order_by("root__path", "path", "pk"):
        by_fingerprint[record.fingerprint].append(record)
    records = [record for each in by_fingerprint.values() for record in each[:MAX_COPIES]]
    copies = weigh(records)
    made: list[Group] = []
    for fingerprint in chosen:
        mine = [
            copies[record.pk]
            for record in by_fingerprint[fingerprint][:MAX_COPIES]
            if record.pk in copies
        ]
        mine.sort(key=lambda copy: copy.links)  # what links lead to is what should stay
        left = max(len(by_fingerprint[fingerprint]) - MAX_COPIES, 0)
        made += [replace(group, left=left) for group in _sorted_out(fingerprint, mine)]
    return made


def weigh(records: Sequence[RegisteredModel]) -> dict[int, Copy]:
    """What is on disk of each, by primary key; models without weights there are left out. Raises ``NoAnswer``."""
    if not records:
        return {}
    known: dict[int, dict[str, FileChecksum]] = defaultdict(dict)
    for row in FileChecksum.objects.filter(model__in=records).exclude(sha256=""):
        known[row.model_id][row.path] = row
    key = ("duplicates", tuple(record.pk for record in records))
    answer = ask({key: partial(_weigh, records, known)}, PATIENCE)
    if key not in answer:
        raise NoAnswer(
            f"The disks did not answer within {PATIENCE:g} seconds. Try again in a moment."
        )
    return answer[key]


def _weigh(
    records: Sequence[RegisteredModel], known: Mapping[int, Mapping[str, FileChecksum]]
) -> dict[int, Copy]:
    stores: dict[str, Store] = {}
    made: dict[int, Copy] = {}
    for record in records:
        copy = Copy(record, browse.home_of(record))
        copy.pieces = tuple(
            each
            for path in own_files(record, copy.home, stores)
            if (each := inside(copy.home, path))
        )
        folder = checksums.home(record)
        for path in browse.weight_files(record):
            weight = _weight(
                copy.home, path, known.get(record.pk, {}).get(checksums.below(path, folder))
            )
            if weight is None:
                break
            copy.weights[path] = weight
        else:
            if copy.weights:
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


def inside(home: str, path: str) -> Piece | None:
    """The entry, where its folder really lies in the root."""
    native = to_native(home, path)
    return piece(home, path) if is_under(os.path.realpath(os.path.dirname(native)), home) else None


def _weight(home: str, path: str, row: FileChecksum | None) -> Weight | None:
    real = os.path.realpath(to_native(home, path))
    if not is_under(real, home):
        return None
    try:
        status = os.stat(real)
    except OSError:
        return None
    sha256 = (
        row.sha256
        if row and (row.size, row.mtime_ns) == (status.st_size, status.st_mtime_ns)
        else ""
    )
    named = _BLOB.search(real)
    return Weight(
        status.st_size, (status.st_dev, status.st_ino), sha256 or (named[1] if named else "")
    )


def _sorted_out(fingerprint: str, copies: Sequence[Copy]) -> list[Group]:
    """Copies with the same checksums together; those nobody has checksums for join the most numerous of them."""
    known: dict[tuple[tuple[int, str], ...], list[Copy]] = defaultdict(list)
    unknown: list[Copy] = []
    for copy in copies:
        if copy.sums is None:
            unknown.append(copy)
        else:
            known[copy.sums].append(copy)
    classes = sorted(known.values(), key=len, reverse=True)
    if unknown:
        classes = [[*(classes[0] if classes else []), *unknown], *classes[1:]]
    return [
        Group(fingerprint, _certainty(members), tuple(members))
        for members in classes
        if len(members) > 1
    ]


def _certainty(copies: Sequence[Copy]) -> Certainty:
    if len({copy.identities for copy in copies}) == 1:
        return Certainty.LINKED
    if all(copy.sums is not None for copy in copies):
        return Certainty.CHECKSUM
    return Certainty.ALIKE


def alike(record: RegisteredModel, user: User, limit: int = 5) -> list[RegisteredModel]:
    """Models that ``user`` may see whose weights have the same sizes and first bytes."""
    if record.status in NO_COPY:
        return []
    there = (
        RegisteredModel.objects.visible_to(user)
        .filter(fingerprint=record.fingerprint)
        .exclude(pk=record.pk)
        .exclude(status__in=NO_COPY)
    )
    return list(
        there.exclude(size_bytes=0)
        .only("model_id", "name", "display_name")
        .order_by("sort_name", "pk")[:limit]
    )


def elsewhere(
    record: RegisteredModel, paths: Sequence[str], user: User
) -> dict[str, list[RegisteredModel]]:
    """Other models that hold the same file, by checksum, for those of ``paths`` that a deep validation has read."""
    folder = checksums.home(record)
    below = {checksums.below(path, folder): path for path in paths}
    own = (
        FileChecksum.objects.filter(model=record, path__in=list(below))
        .exclude(sha256="")
        .values_list("path", "sha256")
    )
    by_content: dict[str, list[str]] = defaultdict(list)
    for path, sha256 in own:
        by_content[sha256].append(below[path])
    if not by_content:
        return {}
    visible = RegisteredModel.objects.visible_to(user).exclude(status__in=ABSENT).values("pk")
    same = FileChecksum.objects.filter(sha256__in=list(by_content), model__in=visible).exclude(
        model=record
    )
    found: dict[str, list[RegisteredModel]] = defaultdict(list)
    for row in (
        same.select_related("model")
        .only("sha256", "model__model_id", "model__name", "model__display_name")
        .order_by("model__sort_name", "pk")
    ):
        for path in by_content[row.sha256]:
            if row.model not in found[path]:
                found[path].append(row.model)
    return dict(found)

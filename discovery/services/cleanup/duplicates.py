"""Models that hold the same: alike by fingerprint, the same by checksum, one file by links.

The registry says which models look alike (size and first bytes of their weights); checksums and the
current disk say how sure that is and how much removing a copy would free. Nothing here removes
anything: see ``services.cleanup.removal_plan``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from django.db.models import Count, F, Max, Sum

from discovery.engine.disk.disk_use import freed
from discovery.models import FileChecksum, RegisteredModel
from discovery.services.cleanup.copies import COLUMNS, TIMEOUT, Copy, DiskTimeout, weigh_each
from discovery.services.cleanup.same_files import (
    Difference,
    Sure,
    agreement,
    counterpart,
    differences,
)
from discovery.services.insight.overview import ABSENT, NO_COPY
from discovery.services.machine import reach
from discovery.services.machine.root_probes import RootSilent
from discovery.services.registry import model_files

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    User = AbstractBaseUser | AnonymousUser

#: Copies of one group that are looked at.
MAX_COPIES = 50


class Certainty(StrEnum):
    """Why two models are taken for the same, the surest first."""

    LINKED = "linked"
    CHECKSUM = "checksum"
    ALIKE = "alike"


@dataclass(frozen=True, slots=True)
class Group:
    """Copies of one content.

    ``freed`` are the bytes that removing all but the first would free; ``left`` models were not
    checked.
    """

    fingerprint: str
    certainty: Certainty
    copies: tuple[Copy, ...]
    left: int = 0

    @property
    def freed(self) -> int:
        return freed(piece for copy in self.copies[1:] for piece in copy.pieces)


@dataclass(frozen=True, slots=True)
class Likeness:
    """All models whose weights look the same.

    Models of one group are copies of each other; files other than the weights differ between
    groups.
    """

    fingerprint: str
    groups: tuple[Group, ...]

    @property
    def others(self) -> list[tuple[Copy, list[Difference]]]:
        """The first copy of each other group, and in which files it differs.

        It is compared with the first copy of the first group.
        """
        first = self.groups[0].copies[0]
        return [
            (group.copies[0], differences(group.copies[0].files, first.files))
            for group in self.groups[1:]
        ]


def fingerprints() -> list[tuple[str, int, int]]:
    """Return (fingerprint, models, bytes beyond the largest) of all models that look alike.

    Those that could free the most come first.
    """
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


@dataclass(frozen=True, slots=True)
class Looked:
    """The models as they are now; those of roots that are ``silent`` are left out."""

    likenesses: list[Likeness]
    silent: list[RootSilent]


def groups(chosen: Sequence[str]) -> list[Group]:
    """Return the copies among the models of these fingerprints whose files all agree now.

    Raises ``DiskTimeout``.
    """
    return [group for each in likenesses(chosen) for group in each.groups if len(group.copies) > 1]


def likenesses(chosen: Sequence[str]) -> list[Likeness]:
    """Return the current models of these fingerprints that are not known to differ.

    Raises ``DiskTimeout``.
    """
    looked = look(chosen)
    if looked.silent:
        raise DiskTimeout(str(looked.silent[0]))
    return looked.likenesses


def look(chosen: Sequence[str]) -> Looked:
    """The same of the roots that answer.

    Raises ``DiskTimeout`` when they stop while files are compared.
    """
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
    copies, silent = weigh_each(records)
    try:
        key = ("comparison", tuple(chosen), tuple(copies))
        compared = reach.elsewhere(
            key,
            partial(_compared, chosen, by_fingerprint, copies),
            "that holds these models",
            longest=TIMEOUT,
        )
    except RootSilent as error:
        raise DiskTimeout(
            "The disks did not answer while the models were compared. Try again in a moment."
        ) from error
    return Looked(compared, silent)


def _compared(
    chosen: Sequence[str],
    records: Mapping[str, Sequence[RegisteredModel]],
    copies: Mapping[int, Copy],
) -> list[Likeness]:
    made: list[Likeness] = []
    for fingerprint in chosen:
        mine = [
            copies[record.pk] for record in records[fingerprint][:MAX_COPIES] if record.pk in copies
        ]
        mine.sort(key=lambda copy: copy.links)  # what links lead to is what should stay
        left = max(len(records[fingerprint]) - MAX_COPIES, 0)
        made += [
            Likeness(
                fingerprint,
                tuple(
                    Group(fingerprint, _certainty(members), tuple(members), left)
                    for members in _classes(alike, _agree)
                ),
            )
            for alike in _classes(mine, _same_weights)
            if len(alike) > 1
        ]
    return made


def _classes(copies: Sequence[Copy], agree: Callable[[Copy, Copy], bool]) -> list[list[Copy]]:
    """Group copies that all agree with each other, the largest group first.

    Copies without checksums join the group where they fit.
    """
    classes: list[list[Copy]] = []
    for copy in sorted(copies, key=lambda copy: not copy.is_read):
        ranked = sorted(classes, key=len, reverse=True)
        fitting = next(
            (members for members in ranked if all(agree(copy, member) for member in members)), None
        )
        if fitting is None:
            classes.append([copy])
        else:
            fitting.append(copy)
    order = {id(copy): place for place, copy in enumerate(copies)}
    for members in classes:
        members.sort(key=lambda copy: order[id(copy)])
    return sorted(classes, key=lambda members: (-len(members), order[id(members[0])]))


def _agree(one: Copy, other: Copy) -> bool:
    return bool(agreement(one.files, other.files))


def _same_weights(one: Copy, other: Copy) -> bool:
    """Return whether each weight file has an equal one in the other model, whatever its name."""
    mine, theirs = list(one.weights.values()), list(other.weights.values())
    return all(counterpart(each, theirs)[0] for each in mine) and all(
        counterpart(each, mine)[0] for each in theirs
    )


def _certainty(copies: Sequence[Copy]) -> Certainty:
    if len({copy.identities for copy in copies}) == 1:
        return Certainty.LINKED
    first = copies[0]
    least = min((agreement(first.files, other.files) for other in copies[1:]), default=Sure.LINKED)
    return Certainty.CHECKSUM if least >= Sure.BYTES else Certainty.ALIKE


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
    """Return the other models that hold the same file, by checksum.

    Only those of ``paths`` that a deep validation has read are compared.
    """
    folder = model_files.home(record)
    below = {model_files.below(path, folder): path for path in paths}
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

"""How well models are described, the worst first, and which fields are missing how often.

It also gives the guide's advice for one model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db.models import Count

from discovery.engine.core.completeness import (
    REPORTED,
    WANTED,
    NamingAdvice,
    completeness,
    masks_with,
    model_name,
    naming,
    suggested_folder,
    suggested_path,
)
from discovery.models import RegisteredModel, Root

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
    from django.db.models import QuerySet


@dataclass(slots=True)
class Summary:
    """``average`` is of all scores; ``lacking`` counts models by what they lack."""

    models: int = 0
    average: int = 0
    complete: int = 0
    lacking: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REPORTED, 0))


@dataclass(frozen=True, slots=True)
class Advice:
    """Advice for one model.

    It has the score, the missing fields, a better name, and the path (relative to the root) in the
    guide's layout.
    """

    score: int
    missing: list[str]
    name: NamingAdvice | None
    place: str | None

    @property
    def is_needed(self) -> bool:
        return bool(self.missing or self.name or self.place)


def summary(user: AbstractBaseUser | AnonymousUser) -> Summary:
    """One walk along an index, however many models there are."""
    told, total = Summary(), 0
    groups = (
        RegisteredModel.objects.visible_to(user)
        .exclude(missing_mask=None)
        .order_by()
        .values_list("missing_mask", "completeness")
        .annotate(Count("pk"))
    )
    for mask, score, count in groups:
        told.models += count
        total += count * score
        told.complete += count if score == 100 else 0
        for name, bit in REPORTED.items():
            told.lacking[name] += count if mask & bit else 0
    told.average = round(total / told.models) if told.models else 0
    return told


def worst_first(
    user: AbstractBaseUser | AnonymousUser, lacking: str = ""
) -> QuerySet[RegisteredModel]:
    """Visible models by their score, the lowest first.

    ``lacking``, one of ``REPORTED``, limits them to those without it.
    """
    rows = RegisteredModel.objects.visible_to(user).order_by("completeness", "sort_name", "pk")
    return rows.filter(missing_mask__in=masks_with(lacking)) if lacking else rows


def advice(record: RegisteredModel) -> Advice:
    """Needs the record's root."""
    told = completeness({name: record.value(name) for name in (*WANTED, "modalities")})
    own = model_name(record.path)
    wanted = (
        suggested_folder(record.primary, record.secondary, record.specialization)
        if record.root.path != Root.REMOTE
        else None
    )
    name = naming(own, record.parameter_count) if own else None
    place = suggested_path(record.root.path, record.path, wanted)
    if place and name and name.better and own == record.path.rpartition("/")[2]:
        place = f"{wanted}/{name.better}"
    return Advice(told.score, told.missing, name, place)

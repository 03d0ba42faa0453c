"""Lists of problems: which somebody sees, in which state they are, and what narrows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from discovery.models import Finding, RegisteredModel
from discovery.models.registry import sees_all
from discovery.services.registry import aliases
from discovery.services.search import model_filters

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    from discovery.models.trust import FindingQuerySet

#: State of a problem → its words.
STATES = {"open": "Open", "snoozed": "Snoozed", "accepted": "Accepted", "resolved": "Resolved"}

#: Columns of a model that a list of its problems does not need.
HEAVY = tuple(
    f"model__{name}"
    for name in (
        "files",
        "variants",
        "extracted",
        "curated",
        "problems",
        "signals",
        "evidence",
        "memory_shape",
        "checks",
    )
)

_ACCEPTED = Q(accepted_content=F("model__content")) & ~Q(accepted_content="")


def seen_by(user: AbstractBaseUser | AnonymousUser) -> FindingQuerySet:
    """Problems of the models that this person may see."""
    rows = Finding.objects.all()
    if sees_all(user):
        return rows
    return rows.filter(model__in=RegisteredModel.objects.visible_to(user).values("pk"))


def in_state(seen: FindingQuerySet, state: str) -> QuerySet[Finding]:
    """Those of ``seen`` that are in one of ``STATES``."""
    if state == "resolved":
        return seen.exclude(resolved_at=None)
    rows = seen.filter(resolved_at=None)
    if state == "accepted":
        return rows.filter(_ACCEPTED)
    if state == "snoozed":
        return rows.exclude(_ACCEPTED).filter(snoozed_until__gt=timezone.now())
    return seen.open()


def state_of(row: Finding) -> str:
    """Return which of ``STATES`` a problem is in; its model is read with it."""
    if row.resolved_at:
        return "resolved"
    if row.is_accepted:
        return "accepted"
    return "snoozed" if row.is_snoozed else "open"


def containing(rows: QuerySet[Finding], text: str) -> QuerySet[Finding]:
    """Those with each word of ``text`` in their sentence, path, or the name or id of the model."""
    for word in text.split()[: model_filters.MAX_WORDS]:
        rows = rows.filter(
            Q(message__icontains=word)
            | Q(path__icontains=word)
            | Q(model__name__icontains=word)
            | Q(model__model_id__icontains=word)
            | Q(model__in=aliases.like(word))
        )
    return rows

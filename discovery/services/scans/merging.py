"""Merge the decisions of two records that become one.

In each field the present model wins, and the missing one fills in what the other has no value for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from django.utils import timezone

from discovery.engine.core.service_words import VisibilitySource
from discovery.models import MetadataChange, RegisteredModel, Visibility
from discovery.services.metadata import memberships, metadata

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Columns that merging decides.
MERGED = ("curated", "visibility", "visibility_source", "quarantined_at", "registered_manually")


@dataclass(frozen=True, slots=True)
class Choice:
    """One field of two records that are joined, and its result.

    ``wins`` is ``old``, ``new``, ``both`` or empty where they agree; ``is_disputed`` says that
    people decided differently about each.
    """

    name: str
    old: Any
    new: Any
    result: Any
    wins: str
    is_disputed: bool


def choices(old: RegisteredModel, new: RegisteredModel) -> list[Choice]:
    """Every decision of the missing record ``old`` and of ``new``, which is there.

    Groups, collections and stars are put together; a quarantine of either stays.
    """
    both = {record.pk: record for record in (old, new)}
    linked = {name: memberships.standing(name, both) for name in memberships.FIELDS}
    result = []
    for name in sorted({*old.curated, *new.curated}):
        before, after = (
            record.curated[name]["value"] if name in record.curated else None
            for record in (old, new)
        )
        result.append(_choice(name, before, after))
    result.append(_visibility(old, new))
    for name in memberships.FIELDS:
        left, right = linked[name][old.pk], linked[name][new.pk]
        union = sorted({*left, *right})
        wins = "" if left == right else "both" if left and right else "old" if left else "new"
        result.append(Choice(name, left, right, union, wins, wins == "both"))
    return result


def disputed(old: RegisteredModel, new: RegisteredModel) -> bool:
    """Return whether people decided differently about the two.

    Then only a person can decide which values to keep.
    """
    return any(choice.is_disputed for choice in choices(old, new))


def _choice(name: str, old: Any, new: Any) -> Choice:
    wins = "" if old == new else "old" if new is None else "new"
    return Choice(
        name, old, new, old if new is None else new, wins, wins == "new" and old is not None
    )


def _visibility(old: RegisteredModel, new: RegisteredModel) -> Choice:
    """Of the present one only where somebody chose it: rules give every model its own."""
    was_chosen = _is_chosen(new)
    if old.quarantined_at or new.quarantined_at:
        result: str = Visibility.ADMIN_ONLY
    else:
        result = new.visibility if was_chosen else old.visibility
    wins = "" if old.visibility == new.visibility else "new" if result == new.visibility else "old"
    is_disputed = bool(wins) and was_chosen and _is_chosen(old)
    return Choice("visibility", old.visibility, new.visibility, result, wins, is_disputed)


def _is_chosen(record: RegisteredModel) -> bool:
    return (
        record.visibility_source == VisibilitySource.PERSON
        or record.changes.filter(field="quarantine").exists()
    )


def merge(
    old: RegisteredModel,
    new: RegisteredModel,
    stays: RegisteredModel,
    *,
    by: User | None,
    channel: str,
) -> list[MetadataChange]:
    """Merge the decisions of both records into ``stays``, one of them.

    Does not save its columns (``MERGED``); returns what is to be written to its history.
    """
    goes = old if stays is new else new
    made = choices(old, new)
    curated = {**old.curated, **new.curated}
    decided = {choice.name: choice.old for choice in made}
    set_by_person = VisibilitySource.PERSON in (old.visibility_source, new.visibility_source)
    decided["visibility"] = metadata.decided(old, "visibility", {})
    MetadataChange.objects.filter(model=goes).update(model=stays)
    last = dict(
        MetadataChange.objects.filter(model=stays, field__in=metadata.SETTABLE)
        .order_by("pk")
        .values_list("field", "after")
    )
    results = {**dict.fromkeys(last), **{choice.name: choice.result for choice in made}}
    if not set_by_person:
        results["visibility"] = None
    common = {"model": stays, "by": by, "at": timezone.now(), "channel": channel, "batch": uuid4()}
    place = MetadataChange(
        field="moved",
        before={"path": stays.path, "joined with": None},
        after={"path": new.path, "joined with": goes.model_id},
        **common,
    )
    rows = [place]
    for name, result in results.items():
        # The last row of a field has to say what stands now, or it could not be undone.
        if last.get(name, decided.get(name)) != result:
            rows.append(
                MetadataChange(field=name, before=decided.get(name), after=result, **common)
            )
    for name in memberships.FIELDS:
        memberships.write(
            name, {stays.pk: next(choice.result for choice in made if choice.name == name)}
        )
    stays.favoured_by.add(*goes.favoured_by.all())
    stays.curated = curated
    stays.visibility = next(choice.result for choice in made if choice.name == "visibility")
    if set_by_person:
        stays.visibility_source = VisibilitySource.PERSON
    stays.quarantined_at = stays.quarantined_at or goes.quarantined_at
    stays.registered_manually = stays.registered_manually or goes.registered_manually
    return rows

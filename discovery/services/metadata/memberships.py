"""Collections and groups of models, changed and undone like fields.

The value of one is the sorted list of names.

Collections that follow a filter are left alone: nobody puts a model into those by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.contrib.auth.models import Group
from django.db.models import QuerySet

from discovery.models import Collection, RegisteredModel

#: Field → what its names are names of, and the column of the join table that points there.
_TARGETS: dict[str, tuple[type[Collection | Group], str]] = {
    "collections": (Collection, "collection"),
    "groups": (Group, "group"),
}

FIELDS = tuple(_TARGETS)


def standing(field: str, keys: Iterable[int]) -> dict[int, list[str]]:
    """{primary key of a model: names} for all of ``keys``, in one query."""
    names: dict[int, list[str]] = {key: [] for key in keys}
    _, column = _TARGETS[field]
    for model, name in (
        _joins(field)
        .filter(registeredmodel__in=list(names))
        .values_list("registeredmodel_id", f"{column}__name")
    ):
        names[model].append(name)
    return {model: sorted(own) for model, own in names.items()}


def unknown(field: str, names: Iterable[str]) -> list[str]:
    """Return those of ``names`` that are not a group or a collection with selected models."""
    wanted = set(names)
    return sorted(
        wanted - set(_targets(field).filter(name__in=wanted).values_list("name", flat=True))
    )


def write(field: str, wanted: Mapping[int, Sequence[str]]) -> None:
    """Set the names of these models to ``wanted``, in a fixed number of statements.

    Names that nothing has are left out.
    """
    _, column = _TARGETS[field]
    names = {name for own in wanted.values() for name in own}
    known = dict(_targets(field).filter(name__in=names).values_list("name", "pk"))
    want = {(model, known[name]) for model, own in wanted.items() for name in own if name in known}
    rows = (
        _joins(field)
        .filter(registeredmodel__in=list(wanted))
        .values_list("pk", "registeredmodel_id", f"{column}_id")
    )
    have = {(model, target): pk for pk, model, target in rows}
    join = _through(field)
    join.objects.filter(pk__in=[pk for pair, pk in have.items() if pair not in want]).delete()
    new = [
        join(**{"registeredmodel_id": model, f"{column}_id": target})
        for model, target in sorted(want - have.keys())
    ]
    join.objects.bulk_create(new, ignore_conflicts=True)


def _through(field: str) -> Any:
    return getattr(RegisteredModel, field).through


def _joins(field: str) -> QuerySet[Any]:
    rows: QuerySet[Any] = _through(field).objects.all()
    return rows.filter(collection__query="") if field == "collections" else rows


def _targets(field: str) -> QuerySet[Any]:
    rows: QuerySet[Any] = _TARGETS[field][0].objects.all()
    return rows.filter(query="") if field == "collections" else rows

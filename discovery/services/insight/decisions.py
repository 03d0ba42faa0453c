"""Which models carry decisions of people: defined here, and nowhere else.

A decision is what a scan into an empty database would not bring back: edited values, visibility,
groups and collections chosen by hand, stars, decisions about findings, a quarantine, a registration
by hand, and the history of changes. Results of deep validations and test loads are not decisions:
they can be made again.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from discovery.engine.core.service_words import VisibilitySource
from discovery.engine.core.text import plural
from discovery.models import Finding, MetadataChange, RegisteredModel, Visibility

_Groups: Any = RegisteredModel.groups.through
_Collections: Any = RegisteredModel.collections.through
_Stars: Any = RegisteredModel.favoured_by.through

#: A finding that somebody has decided about.
DECIDED = Q(accepted_at__isnull=False) | ~Q(accepted_content="") | Q(snoozed_until__isnull=False)


def carried() -> Q:
    """The condition on models that carry a decision."""
    own = (
        Q(registered_manually=True)
        | ~Q(curated={})
        | Q(visibility_source=VisibilitySource.PERSON)
        | Q(quarantined_at__isnull=False)
    )
    linked = (_changes(), _groups(), _collections(), _stars(), _findings())
    return reduce(or_, (Q(Exists(rows)) for rows in linked), own)


def _changes() -> QuerySet[MetadataChange]:
    return MetadataChange.objects.filter(model_id=OuterRef("pk")).order_by()


def _findings() -> QuerySet[Finding]:
    return Finding.objects.filter(DECIDED, model_id=OuterRef("pk")).order_by()


def _groups() -> QuerySet[Any]:
    rows: QuerySet[Any] = _Groups.objects.filter(registeredmodel_id=OuterRef("pk"))
    return rows


def _collections() -> QuerySet[Any]:
    """Those that follow a filter are not chosen by anybody for this model."""
    rows: QuerySet[Any] = _Collections.objects.filter(
        registeredmodel_id=OuterRef("pk"), collection__query=""
    )
    return rows


def _stars() -> QuerySet[Any]:
    rows: QuerySet[Any] = _Stars.objects.filter(registeredmodel_id=OuterRef("pk"))
    return rows


def summaries(records: Iterable[RegisteredModel]) -> dict[int, list[str]]:
    """{primary key: what people have decided about the model, a phrase each}.

    A fixed number of queries.
    """
    rows = {record.pk: record for record in records}
    keys = list(rows)
    groups = _names(_Groups.objects.filter(registeredmodel_id__in=keys), "group__name")
    collections = _names(
        _Collections.objects.filter(registeredmodel_id__in=keys, collection__query=""),
        "collection__name",
    )
    stars = _counts(_Stars.objects.filter(registeredmodel_id__in=keys), "registeredmodel_id")
    findings = _counts(Finding.objects.filter(DECIDED, model__in=keys), "model_id")
    changes = _counts(MetadataChange.objects.filter(model__in=keys), "model_id")
    return {
        key: [
            *([f"{plural(len(record.curated), 'edited value')}"] if record.curated else []),
            *(
                [str(Visibility(record.visibility).label).lower()]
                if record.visibility_source == VisibilitySource.PERSON
                else []
            ),
            *(["in quarantine"] if record.quarantined_at else []),
            *(["registered by hand"] if record.registered_manually else []),
            *([f"shared with {', '.join(groups[key])}"] if key in groups else []),
            *([f"in {', '.join(collections[key])}"] if key in collections else []),
            *([plural(stars[key], "star")] if key in stars else []),
            *(
                [plural(findings[key], "decision about a finding", "decisions about findings")]
                if key in findings
                else []
            ),
            *([plural(changes[key], "change") + " in its history"] if key in changes else []),
        ]
        for key, record in rows.items()
    }  # fmt: skip


def _names(rows: QuerySet[Any], name: str) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for key, text in rows.order_by(name).values_list("registeredmodel_id", name):
        found.setdefault(key, []).append(text)
    return found


def _counts(rows: QuerySet[Any], column: str) -> dict[int, int]:
    return dict(rows.order_by(column).values_list(column).annotate(count=Count("pk")))

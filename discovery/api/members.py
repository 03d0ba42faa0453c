"""How many models that the caller sees tags and collections have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest

from discovery.api.authentication import caller_of
from discovery.models import Listing
from discovery.models.registry import sees_all


def counted(
    request: HttpRequest, rows: QuerySet[Any], join: Any, column: str
) -> tuple[QuerySet[Any], Callable[[Any], int]]:
    """(the rows that the caller may know of, how many models that they see each of them has).

    Who sees every model knows of all: theirs are counted for the rows of the page alone. For others
    one walk over what they see tells.
    """
    links, caller = join.objects.order_by(), caller_of(request)
    if sees_all(caller.user):
        own = (
            links.filter(**{column: OuterRef("pk")})
            .values(column)
            .annotate(models=Count("pk"))
            .values("models")
        )
        return rows.annotate(seen=Coalesce(Subquery(own), 0)), lambda row: int(row.seen)
    seen = links.filter(
        registeredmodel__in=Listing.objects.visible_to(caller.user).order_by().values("pk")
    )
    counts = dict(seen.values_list(column).annotate(Count("pk")))
    return rows.filter(pk__in=list(counts)), lambda row: counts.get(row.pk, 0)

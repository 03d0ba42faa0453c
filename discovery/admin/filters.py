"""What the list of models is narrowed by: the filters of the Models page, in Django's sidebar.

Their parameters and their values are the same, so that an address can be carried from one list to
the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from discovery.models import Listing
from discovery.services.search import facets
from discovery.services.search.conditions import choice_condition, is_exactly
from discovery.services.search.filters import FILTERS
from discovery.services.search.model_filters import ModelFilters

#: Values that a filter offers; the search box finds the others (``license:apache-2.0``).
MAX_VALUES = 15
#: In the order of the sidebar: what people look for first.
NAMES = (
    "status",
    "primary",
    "secondary",
    "specialization",
    "tag",
    "license",
    "capability",
    "type",
    "format",
    "visibility",
    "root",
)
#: Filters that the Models page does not have: beside them nothing is counted.
UNCOUNTED = ("edited", "quarantined", "missing")


def _counts(request: HttpRequest) -> facets.Counts:
    """How many models have each value, of those that all other filters leave; asked once a page."""
    counted: facets.Counts | None = getattr(request, "model_counts", None)
    if counted is None:
        counted = facets.counts(request.user, ModelFilters.read(request.GET), NAMES)
        request.model_counts = counted  # type: ignore[attr-defined]
    return counted


class CatalogueFilter(admin.SimpleListFilter):
    """A filter of the Models page: only values that find something are offered."""

    def __init__(self, request: HttpRequest, *arguments: Any) -> None:
        self.declared = FILTERS[str(self.parameter_name)]
        self.title = self.declared.label[0].lower() + self.declared.label[1:]
        super().__init__(request, *arguments)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        offered = _counts(request)[self.declared.name][:MAX_VALUES]
        chosen = request.GET.get(self.declared.name)
        if chosen and chosen not in dict(offered):
            offered = [*offered, (chosen, 0)]
        if any(request.GET.get(name) for name in UNCOUNTED):
            return [(value, self.declared.say(value)) for value, _ in offered]
        return [(value, f"{self.declared.say(value)} ({count:,})") for value, count in offered]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if not chosen:
            return queryset
        condition = choice_condition(self.declared.name, chosen, is_exactly, request.user)
        return queryset.filter(pk__in=Listing.objects.filter(condition).order_by().values("pk"))


def catalogue_filters() -> list[type[CatalogueFilter]]:
    return [
        type(f"By{name.capitalize()}", (CatalogueFilter,), {"parameter_name": name, "title": name})
        for name in NAMES
    ]


class YesOrNo(admin.SimpleListFilter):
    """A question with two answers."""

    yes, no = "Yes", "No"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", self.yes), ("0", self.no)]


class Edited(YesOrNo):
    title, parameter_name = "edits", "edited"
    yes, no = "Edited by people", "All automatic"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "1":
            return queryset.exclude(curated={})
        return queryset.filter(curated={}) if self.value() == "0" else queryset


class Quarantined(YesOrNo):
    title, parameter_name = "quarantine", "quarantined"
    yes, no = "In quarantine", "Not in quarantine"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("0", "1"):
            return queryset
        return queryset.filter(quarantined_at__isnull=self.value() == "0")


class Missing(YesOrNo):
    title, parameter_name = "files", "missing"
    yes, no = "Missing", "Present"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("0", "1"):
            return queryset
        return queryset.filter(missing_since__isnull=self.value() == "0")


def words_filter(
    column: str, label: str, say: Callable[[str], str]
) -> type[admin.SimpleListFilter]:
    """A filter by a column of raw words, shown as people call them."""

    class ByWord(admin.SimpleListFilter):
        title, parameter_name = label, column

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            rows = model_admin.get_queryset(request).order_by(column)
            values = rows.values_list(column, flat=True).distinct()[: 10 * MAX_VALUES]
            return sorted(((value, say(value)) for value in values), key=lambda pair: pair[1])

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return queryset.filter(**{column: self.value()}) if self.value() else queryset

    return ByWord

"""Filters of models in bodies: as an object, and as the address query of the Models page."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import QueryDict

from discovery.api.closed_lists import not_known
from discovery.api.errors import ApiError, Loc
from discovery.engine.core import format_registry
from discovery.models import RegisteredModel
from discovery.services.access.redaction import Sight
from discovery.services.search.filters import BOUNDS, FILTERS, NONE
from discovery.services.search.model_filters import SORTS, ModelFilters

#: What addresses of the Models page have beside filters.
_BESIDE = ("q", "sort", "favourites", "columns", "density", "open", "page", "cursor")


def unknown_values(name: str, values: list[str], sight: Sight) -> Iterator[str]:
    """What is wrong with each value of a filter that its closed list does not have."""
    if not values:
        return
    if name == "root":
        known = [*sight.roots.values(), *sight.labels.values()]
    elif name == "format":
        known = [*format_registry.names(), NONE]
        if not set(values) <= set(known):
            rows = RegisteredModel.objects.visible_to(sight.user) if sight.user else None
            found = rows.order_by().values_list("format", flat=True).distinct() if rows else ()
            known += [each for each in found if each]
    else:
        known = [*FILTERS[name].values, NONE] if FILTERS[name].values else list(values)
    for value in values:
        if value not in known:
            yield not_known(value, dict.fromkeys(known))


def require_query(query: str, sight: Sight, *loc: str | int) -> str:
    """Return an address query of the Models page without what stands before its question mark.

    Raises ``ApiError`` for parameters and values that the page does not have: what is ignored would
    find too much.
    """
    text = query.strip().rpartition("?")[2]
    given, faults = QueryDict(text), []
    names = (*FILTERS, *BOUNDS, *_BESIDE)
    for name, values in given.lists():
        if name not in names:
            faults.append(not_known(name, names))
        elif name == "sort" and any(value.removeprefix("-") not in SORTS for value in values):
            faults.append(not_known(values[0], SORTS))
        elif name in FILTERS:
            faults += unknown_values(name, [each for each in values if each], sight)
    faults += [f"{fault.term}: {fault.reason}" for fault in ModelFilters.read(text).faults]
    if faults:
        errors: list[tuple[Loc, str]] = [(loc, fault) for fault in faults]
        raise ApiError(422, "The filter is not understood.", errors=errors)
    return text

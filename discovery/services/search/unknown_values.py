"""Values of filters that nothing has.

Of a closed list they are mistakes; of an open one they may be right some day, and are told.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from discovery.engine.core import format_registry
from discovery.models import Listing
from discovery.models.listing import ListingQuerySet
from discovery.services.access.redaction import Sight
from discovery.services.search.conditions import choice_condition, is_exactly, roots_meant
from discovery.services.search.filters import FILTERS, NONE, Kind
from discovery.services.search.model_filters import ModelFilters

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    User = AbstractBaseUser | AnonymousUser


#: (filter, value that it does not have, those that it has)
Unknown = tuple[str, str, list[str]]


def of_closed_lists(user: User, filters: ModelFilters) -> list[Unknown]:
    """Return values of closed lists that do not exist.

    ``format`` and ``root`` are closed although what is on the disk decides their words.
    """
    return [*_formats(user, filters.values("format")), *_roots(user, filters.values("root"))]


def _formats(user: User, values: Iterable[str]) -> list[Unknown]:
    known = {*format_registry.names(), NONE}
    wrong = [value for value in values if value not in known and not _has(user, "format", value)]
    return [("format", value, sorted(known)) for value in wrong]


def _roots(user: User, values: Iterable[str]) -> list[Unknown]:
    sight = Sight(user)
    wrong = [
        value
        for value in values
        if not (keys := list(roots_meant([value], sight)))
        or not (sight.everything or _seen(user).filter(root_id__in=keys).exists())
    ]
    if not wrong:
        return []
    shown = sight.roots
    if not sight.everything:
        held = set(_seen(user).order_by().values_list("root_id", flat=True).distinct())
        shown = {key: name for key, name in shown.items() if key in held}
    return [("root", value, sorted(shown.values())) for value in wrong]


def without_models(user: User, filters: ModelFilters) -> dict[str, list[str]]:
    """Return {filter: values that no model has which this person sees}, of open lists."""
    found = {
        name: [value for value in values if value != NONE and not _has(user, name, value)]
        for name, values in filters.chosen
        if name in FILTERS and not FILTERS[name].values and FILTERS[name].kind is not Kind.ROOT
    }
    return {name: values for name, values in found.items() if values}


def _has(user: User, name: str, value: str) -> bool:
    return _seen(user).filter(choice_condition(name, value, is_exactly, user)).exists()


def _seen(user: User) -> ListingQuerySet:
    return Listing.objects.visible_to(user)

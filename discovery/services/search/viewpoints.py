"""What a count of models depends on besides its filters: who counts, and when.

Functions that count take a ``Viewpoint`` and are cached by it (``lru_cache``): as long as nobody
writes, a count that was made once is made for everybody who sees the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from discovery.models.listing_version import ListingVersion
from discovery.models.registry import groups_of, sees_all
from discovery.services.search.filters import FILTERS, Kind
from discovery.services.search.model_filters import DEFAULT_SORT, ModelFilters

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    User = AbstractBaseUser | AnonymousUser

#: What these find changes without a new version of the lists: roots are renamed, and this machine
#: may have other memory tomorrow.
_PASSING = {Kind.ROOT, Kind.MEMORY}


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """``user`` stands for everybody with the same ``groups``; ``None``: those who see all."""

    version: int
    groups: frozenset[int] | None
    user: User = field(compare=False, repr=False)


def viewpoint(user: User) -> Viewpoint:
    """Return the viewpoint of now. It takes two queries; one for those who see all models."""
    # Before anything is counted: what is written meanwhile is counted under the old version, which
    # nobody is given any more.
    version = ListingVersion.current()
    if not getattr(user, "is_active", False):
        return Viewpoint(version, frozenset(), user)
    groups = None if sees_all(user) else frozenset(groups_of(user).values_list("pk", flat=True))
    return Viewpoint(version, groups, user)


def lasting(filters: ModelFilters) -> ModelFilters | None:
    """Return what of the filters a count depends on.

    ``None``: the count depends on more than the viewpoint, or is hardly ever asked for again.
    """
    if filters.text or filters.bounds or filters.favourites or filters.faults or filters.keys:
        return None
    if any(FILTERS[name].kind in _PASSING for name, _ in filters.chosen):
        return None
    return replace(filters, sort=DEFAULT_SORT)

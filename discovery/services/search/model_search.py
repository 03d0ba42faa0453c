"""Find models by what a person typed and selected, in the requested order.

Lists are read from ``Listing``, the narrow copy of the registry; only the rows of one page come
from the registry itself.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, overload

from django.db.models import BigIntegerField, Expression, F, Func, OrderBy, Value
from django.db.models.functions import Concat

from discovery.models import Listing, RegisteredModel, RegisteredModelQuerySet
from discovery.models.listing import ListingQuerySet
from discovery.services.search import viewpoints
from discovery.services.search.conditions import (
    any_of,
    choice_condition,
    is_exactly,
    term_condition,
)
from discovery.services.search.model_filters import SORTS, ModelFilters, bound
from discovery.services.search.search_language import parse
from discovery.services.search.viewpoints import Viewpoint

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    User = AbstractBaseUser | AnonymousUser


#: So many keys are handed from one statement to the next: to find out that there are more costs
#: little.
FEW = 1_000
#: So many keys that are known are handed on, which costs up to 20 ms; a page of more is found
#: sooner by a walk along the names.
KEYS = 8_000
#: From so many on, a walk along the names meets a page of them soon.
MANY = 5_000


def found(user: User, filters: ModelFilters) -> RegisteredModelQuerySet:
    """The models that ``user`` may see and ``filters`` ask for, in their order, each once.

    For one page of them, see ``Results``.
    """
    rows = RegisteredModel.objects.visible_to(user)
    if filters.is_filtered or filters.faults:
        rows = rows.filter(pk__in=listed(user, filters).values("pk"))
    return rows.order_by(*_order(filters.sort))


def listed(
    user: User, filters: ModelFilters, ignoring: Collection[str] = (), few: bool = False
) -> ListingQuerySet:
    """Their narrow rows, in no order. Choices of the parameters in ``ignoring`` do not count.

    ``few``: only some of them will be looked at.
    """
    # Words and numbers leave few rows to ask about.
    rows = Listing.objects.visible_to(user, few or bool(filters.text or filters.bounds)).order_by()
    if filters.faults:
        return rows.none()
    if filters.keys is not None:
        rows = rows.filter(pk__in=_Keys(Value(json.dumps(filters.keys))))
    else:
        for term in parse(filters.text)[0]:
            rows = rows.filter(term_condition(term, user))
        for name, value in filters.bounds:
            rows = rows.filter(term_condition(bound(name, value), user))
    for name, values in filters.chosen:
        if name not in ignoring:
            rows = rows.filter(
                any_of(choice_condition(name, value, is_exactly, user) for value in values)
            )
    if filters.favourites:
        rows = rows.filter(
            pk__in=RegisteredModel.favoured_by.through.objects.filter(user=user.pk).values(
                "registeredmodel_id"
            )
        )
    return rows


def count(user: User, filters: ModelFilters) -> int:
    """How many there are, as ``found`` would find them."""
    lasting = viewpoints.lasting(filters)
    if lasting is None:
        return listed(user, filters).count()
    return _count(viewpoints.viewpoint(user), lasting)


@lru_cache(maxsize=1_000)
def _count(view: Viewpoint, filters: ModelFilters) -> int:
    return listed(view.user, filters).count()


def with_cached_keys(user: User, filters: ModelFilters) -> ModelFilters:
    """Return the same filters with cached keys, for a page that queries several times.

    Where words and numbers match few models, the search for these runs only once.
    """
    if filters.faults or not (filters.text or filters.bounds):
        return filters
    asked = replace(filters, chosen=(), favourites=False)
    keys = tuple(listed(user, asked).values_list("pk", flat=True)[: FEW + 1])
    return filters if len(keys) > FEW else replace(filters, keys=keys)


class _Keys(Func):
    """All keys as one parameter, a JSON list.

    A placeholder for each key would cost more than looking it up.
    """

    template = "(SELECT value FROM json_each(%(expressions)s))"
    output_field = BigIntegerField()

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        return self.as_sql(
            compiler,
            connection,
            template="(SELECT value::bigint FROM json_array_elements_text(%(expressions)s::json))",
        )


def _order(sort: str) -> tuple[Expression | str, ...]:
    """Return the sort order; unknown values come last in both directions.

    Names are never unknown, so that their index is used.
    """
    key = SORTS[sort.removeprefix("-")]
    return (
        OrderBy(
            key,
            descending=sort.startswith("-"),
            nulls_last=True if sort.removeprefix("-") != "name" else None,
        ),
        "pk",
    )


class Results(Sequence[RegisteredModel]):
    """The models that ``filters`` find, a page at a time.

    ``results[50:100]`` reads a slice of keys from the narrow rows, then those models.

    ``total`` saves counting when it is known; ``most`` says that they are most of all that ``user``
    may see (see ``facets.count``). ``columns`` are all columns that are read of a model; the others
    cost a query each.
    """

    def __init__(
        self,
        user: User,
        filters: ModelFilters,
        *,
        columns: Sequence[str] = (),
        total: int | None = None,
        most: bool = False,
    ) -> None:
        self._user, self._filters, self._columns, self._total = user, filters, columns, total
        self._most = most or not filters.is_filtered

    def __len__(self) -> int:
        if self._total is None:
            self._total = count(self._user, self._filters)
        return self._total

    @overload
    def __getitem__(self, index: int) -> RegisteredModel: ...
    @overload
    def __getitem__(self, index: slice) -> list[RegisteredModel]: ...
    def __getitem__(self, index: int | slice) -> RegisteredModel | list[RegisteredModel]:
        if isinstance(index, int):
            return self[index : index + 1][0]
        start, stop, _ = index.indices(len(self))
        return self.models(self.keys(start, stop))

    def models(self, keys: Sequence[int]) -> list[RegisteredModel]:
        """Return those of these models that still exist, in this order."""
        rows = RegisteredModel.objects.visible_to(self._user, few=True).filter(pk__in=keys)
        models = {row.pk: row for row in (rows.only(*self._columns) if self._columns else rows)}
        return [models[key] for key in keys if key in models]

    def keys(self, start: int, stop: int) -> list[int]:
        order, by_name = _order(self._filters.sort), self._filters.sort.removeprefix("-") == "name"
        along = by_name and self._filters.keys is None and (self._most or len(self) >= MANY)
        rows = listed(
            self._user, self._filters, few=along and stop <= FEW and (self._total or 0) >= MANY
        )
        if by_name and not along:
            # Few among many: SQLite would walk its index of names and look up nearly every row to
            # find them; looking at each row once is quicker.
            name = Concat(F("sort_name"), Value(""))
            order = OrderBy(name, descending=self._filters.sort.startswith("-")), "pk"
        return list(rows.order_by(*order).values_list("pk", flat=True)[start:stop])

    def count(self, value: Any = None) -> int:
        """As a queryset says it, for Django's paginator."""
        return len(self)

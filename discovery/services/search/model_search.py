"""Which models a person finds: what they typed and chose, in the order they asked for.

Lists are read from ``Listing``, the narrow copy of the registry; only the rows of one page come
from the registry itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, overload

from django.db.models import (
    BigIntegerField,
    Exists,
    Expression,
    F,
    Func,
    OrderBy,
    OuterRef,
    Q,
    Value,
)
from django.db.models.functions import Concat
from django.http import QueryDict

from discovery.engine.core.text import clean
from discovery.engine.core.vocabulary import Fits
from discovery.models import Listing, RegisteredModel, RegisteredModelQuerySet, Root
from discovery.models.listing import ListingQuerySet
from discovery.services.access.redaction import Sight, is_like
from discovery.services.machine import memory_fit
from discovery.services.search.filters import BOUNDS, FILTERS, NONE, NUMBERS, Kind
from discovery.services.search.search_language import (
    Fault,
    Named,
    Phrase,
    Range,
    Term,
    numbers,
    parse,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    User = AbstractBaseUser | AnonymousUser

MAX_TEXT = 500
MAX_WORDS = 20
MAX_VALUES = 50

#: So many keys are handed from one statement to the next: to find out that there are more costs
#: little.
FEW = 1_000
#: So many keys that are known are handed on, which costs up to 20 ms; a page of more is found
#: sooner by a walk along the names.
KEYS = 8_000
#: From so many on, a walk along the names meets a page of them soon.
MANY = 5_000

#: What lists can be sorted by; ``-`` in front turns the order round. The same columns in the
#: registry and in its narrow copy.
SORTS: dict[str, F] = {
    "name": F("sort_name"),
    **{number.name: F(number.column) for number in NUMBERS.values()},
    "added": F("added_at"),
    "modified": F("modified_at"),
}
DEFAULT_SORT = "name"

#: Filter by links → the rows that link models with what it names.
LINKS = {
    each.name: getattr(RegisteredModel, each.column).through
    for each in FILTERS.values()
    if each.kind is Kind.LINK
}


@dataclass(frozen=True, slots=True)
class Filters:
    """What an address of the Models page asks for.

    ``chosen`` maps a parameter of ``FILTERS`` to the values wanted.

    ``faults`` say what was not understood; as long as there are any, nothing is found: a term that
    is left out would find too much.
    """

    text: str = ""
    sort: str = DEFAULT_SORT
    chosen: tuple[tuple[str, tuple[str, ...]], ...] = ()
    favourites: bool = False
    bounds: tuple[tuple[str, str], ...] = ()
    faults: tuple[Fault, ...] = ()
    #: Keys of all models that ``text`` and ``bounds`` ask for, where they are known; perhaps
    #: without some that the rest leaves out anyway.
    keys: tuple[int, ...] | None = None

    @classmethod
    def read(cls, query: QueryDict | str) -> Filters:
        """From ``request.GET``, or from an address query as saved views and collections keep it."""
        given = QueryDict(query) if isinstance(query, str) else query
        chosen, bounds, faults = [], [], []
        for name in FILTERS:
            values = tuple(
                dict.fromkeys(clean(value, MAX_TEXT) for value in given.getlist(name) if value)
            )
            if len(values) > MAX_VALUES:
                faults.append(
                    Fault(name, f"{len(values)} values are too many: at most {MAX_VALUES}")
                )
            if values:
                chosen.append((name, values[:MAX_VALUES]))
        for name, (number, _) in BOUNDS.items():
            if value := clean(given.get(name, ""), 40):
                bounds.append((name, value))
                try:
                    _bound(name, value)
                except ValueError as error:
                    reason = str(error).removesuffix(f": {number.example}")
                    faults.append(Fault(f"{name}={value}", reason))
        typed = given.get("q", "")
        text = normal_text(typed)
        if len(typed) > MAX_TEXT:
            faults.append(
                Fault(
                    f"{text[:40]}…",
                    f"the search is longer than {MAX_TEXT} characters: say it in fewer",
                )
            )
        faults += parse(text)[1]
        favourites = given.get("favourites") == "1"
        return cls(
            text,
            normal_sort(given.get("sort", "")),
            tuple(chosen),
            favourites,
            tuple(bounds),
            tuple(faults),
        )

    @property
    def narrows(self) -> bool:
        return bool(self.text or self.chosen or self.favourites or self.bounds)

    def values(self, name: str) -> tuple[str, ...]:
        """What is chosen of one parameter."""
        return dict(self.chosen).get(name, ())

    def without(self, name: str) -> Filters:
        """The same, with nothing chosen of this parameter."""
        chosen = tuple(each for each in self.chosen if each[0] != name)
        return replace(
            self, chosen=chosen, bounds=tuple(each for each in self.bounds if each[0] != name)
        )

    def as_query(self) -> str:
        """The address query that ``read`` understands; the same filters give the same text."""
        query = QueryDict(mutable=True)
        if self.text:
            query["q"] = self.text
        for name, values in self.chosen:
            query.setlist(name, list(values))
        for name, value in self.bounds:
            query[name] = value
        if self.favourites:
            query["favourites"] = "1"
        if self.sort != DEFAULT_SORT:
            query["sort"] = self.sort
        return query.urlencode()


def normal_text(text: str) -> str:
    """What was typed, without what no database stores, at most ``MAX_TEXT`` characters."""
    return " ".join(clean(text, MAX_TEXT).split())


def normal_sort(sort: str) -> str:
    return sort if sort.removeprefix("-") in SORTS else DEFAULT_SORT


def found(user: User, filters: Filters) -> RegisteredModelQuerySet:
    """The models that ``user`` may see and ``filters`` ask for, in their order, each once.

    For one page of them, see ``Results``.
    """
    rows = RegisteredModel.objects.visible_to(user)
    if filters.narrows or filters.faults:
        rows = rows.filter(pk__in=listed(user, filters).values("pk"))
    return rows.order_by(*_order(filters.sort))


def listed(user: User, filters: Filters, leave: Collection[str] = ()) -> ListingQuerySet:
    """Their narrow rows, in no order. Choices of the parameters in ``leave`` do not count."""
    rows = Listing.objects.visible_to(user).order_by()
    if filters.faults:
        return rows.none()
    if filters.keys is not None:
        rows = rows.filter(pk__in=_Keys(Value(json.dumps(filters.keys))))
    else:
        for term in parse(filters.text)[0]:
            rows = rows.filter(_condition(term, user))
        for name, value in filters.bounds:
            rows = rows.filter(_condition(_bound(name, value), user))
    for name, values in filters.chosen:
        if name not in leave:
            rows = rows.filter(_any(_one_of(name, value, _is, user) for value in values))
    if filters.favourites:
        rows = rows.filter(
            pk__in=RegisteredModel.favoured_by.through.objects.filter(user=user.pk).values(
                "registeredmodel_id"
            )
        )
    return rows


def hurried(user: User, filters: Filters) -> Filters:
    """The same filters for a page that asks several times: where words and numbers find few models,
    these are looked for only once.
    """
    if filters.faults or not (filters.text or filters.bounds):
        return filters
    asked = replace(filters, chosen=(), favourites=False)
    keys = tuple(listed(user, asked).values_list("pk", flat=True)[: FEW + 1])
    return filters if len(keys) > FEW else replace(filters, keys=keys)


class _Keys(Func):
    """All keys of a list of JSON, which is one parameter: to write a placeholder for each costs
    more than to look it up.
    """

    template = "(SELECT value FROM json_each(%(expressions)s))"
    output_field = BigIntegerField()

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        return self.as_sql(
            compiler,
            connection,
            template="(SELECT value::bigint FROM json_array_elements_text(%(expressions)s::json))",
        )


def _condition(term: Term, user: User) -> Q:
    if isinstance(term, Named) and term.negated and term.field in LINKS and term.value != NONE:
        # Asked of each row that the other terms leave, which is quicker than to gather all that
        # have the tag.
        target: Any = LINKS[term.field]._meta.get_field(term.field).related_model
        named = target.objects.filter(_like("name", term.value)).order_by()
        links = LINKS[term.field]._default_manager.filter(
            registeredmodel=OuterRef("pk"), **{f"{term.field}__in": named.values("pk")}
        )
        return ~Q(Exists(links))
    if isinstance(term, Phrase):
        condition = Q(search_text__contains=term.text)
    elif isinstance(term, Named):
        condition = _one_of(term.field, term.value, _like, user)
    else:
        column = NUMBERS[term.field].column
        condition = Q() if term.at_least is None else Q(**{f"{column}__gte": term.at_least})
        condition &= Q() if term.at_most is None else Q(**{f"{column}__lte": term.at_most})
    return ~condition if term.negated else condition


def _one_of(name: str, value: str, compare: Callable[[str, str], Q], user: User) -> Q:
    column, kind = FILTERS[name].column, FILTERS[name].kind
    if kind is Kind.MEMORY:
        return _fits(value)
    if kind is Kind.LINK:
        links = LINKS[name]._default_manager.all()
        named = links if value == NONE else links.filter(compare(f"{name}__name", value))
        keys = Q(pk__in=named.values("registeredmodel_id"))
        return ~keys if value == NONE else keys
    if kind is Kind.ROOT:
        return Q(root_id__in=roots_meant([value], Sight(user), compare))
    if kind is Kind.WORDS:
        return Q(**{column: ""}) if value == NONE else Q(**{f"{column}__contains": f",{value},"})
    return Q(**{column: None}) if value == NONE else compare(column, value)


def _is(column: str, value: str) -> Q:
    return Q(**{column: value})


def roots_meant(
    values: Collection[str], sight: Sight, compare: Callable[[str, str], Q] = _is
) -> Iterable[int]:
    """Keys of roots, by path or their own name for who is told paths; for others by what they are
    told they are called.
    """
    if sight.everything:
        return Root.objects.filter(
            _any(compare("path", value) | compare("name", value) for value in values)
        ).values_list("pk", flat=True)
    return [
        key
        for key, name in sight.labels.items()
        if any(is_like(value, name) if compare is _like else name == value for value in values)
    ]


def _like(column: str, value: str) -> Q:
    """As people type it: in any case, ``*`` at either end for anything."""
    lookup = {
        (False, False): "iexact",
        (True, False): "iendswith",
        (False, True): "istartswith",
        (True, True): "icontains",
    }
    core = value.strip("*")
    return (
        Q(**{f"{column}__{lookup[value.startswith('*'), value.endswith('*')]}": core})
        if core
        else ~Q(**{column: None})
    )


def _fits(value: str) -> Q:
    inside, together = memory_fit.capacity()
    return {
        Fits.MEMORY: Q(memory_bytes__lte=inside),
        Fits.OFFLOAD: Q(memory_bytes__gt=inside, memory_bytes__lte=together),
        Fits.NO: Q(memory_bytes__gt=together),
        NONE: Q(memory_bytes=None),
    }.get(value, Q(pk__in=()))


def _bound(name: str, value: str) -> Range:
    """Raises ``ValueError``."""
    number, above = BOUNDS[name]
    if value.isascii() and value.isdecimal() and len(value) < 19:
        if above:
            return Range(number.name, None, int(value))
        return Range(number.name, int(value))
    return numbers(number.name, ("<=" if above else ">=") + value)


def _any(conditions: Iterable[Q]) -> Q:
    result = Q()
    for condition in conditions:
        result |= condition
    return result


def _order(sort: str) -> tuple[Expression | str, ...]:
    """Unknown values come last, whichever way. Names are never unknown, so that their index
    serves.
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
    """What ``filters`` find, a page at a time: ``results[50:100]`` reads a slice of keys from the
    narrow rows, then those models.

    ``total`` saves counting when it is known, ``most`` says that they are most of all that ``user``
    may see (see ``facets.count``). ``columns`` are all that is read of a model; the others cost a
    query each.
    """

    def __init__(
        self,
        user: User,
        filters: Filters,
        *,
        columns: Sequence[str] = (),
        total: int | None = None,
        most: bool = False,
    ) -> None:
        self._user, self._filters, self._columns, self._total = user, filters, columns, total
        self._most = most or not filters.narrows

    def __len__(self) -> int:
        if self._total is None:
            self._total = listed(self._user, self._filters).count()
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
        """Those of these that are still there, in this order."""
        rows = RegisteredModel.objects.visible_to(self._user).filter(pk__in=keys)
        models = {row.pk: row for row in (rows.only(*self._columns) if self._columns else rows)}
        return [models[key] for key in keys if key in models]

    def keys(self, start: int, stop: int) -> list[int]:
        rows = listed(self._user, self._filters)
        order = _order(self._filters.sort)
        if self._filters.sort.removeprefix("-") == "name" and (
            self._filters.keys is not None or (not self._most and len(self) < MANY)
        ):
            # Few among many: SQLite would walk its index of names and look up nearly every row to
            # find them; looking at each row once is quicker.
            name = Concat(F("sort_name"), Value(""))
            order = OrderBy(name, descending=self._filters.sort.startswith("-")), "pk"
        return list(rows.order_by(*order).values_list("pk", flat=True)[start:stop])

    def count(self, value: Any = None) -> int:
        """As a queryset says it, for Django's paginator."""
        return len(self)

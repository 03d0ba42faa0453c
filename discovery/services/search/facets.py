"""Count how many of the found models have each value of each field.

Facets use it, so that narrowing a list never leads to an empty one.

A facet is counted under all other filters, not under its own selection. Fields with few values are
counted from one grouped scan of the index of profiles (see ``models.listing``): each combination of
their values comes once with the number of models that have it, and Python adds them up. Tags and
collections, of which a model has many, are counted by one statement each, and only on request.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import Aggregate, Case, Count, F, IntegerField, Q, Sum, TextField, Value, When
from django.db.models.functions import Concat

from discovery.engine.core.vocabulary import Fits
from discovery.models.listing import INDEXED, PROFILE, SEPARATOR
from discovery.services.access.redaction import Sight
from discovery.services.machine import memory_fit
from discovery.services.search import viewpoints
from discovery.services.search.conditions import LINKS, roots_meant
from discovery.services.search.filters import FACETS, FILTERS, NONE, Kind
from discovery.services.search.model_filters import ModelFilters
from discovery.services.search.model_search import KEYS, listed
from discovery.services.search.viewpoints import Viewpoint

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    User = AbstractBaseUser | AnonymousUser

#: Values counted of a facet that may have any number of them.
MAX_VALUES = 200

#: Facet → where its values stand in a profile.
_PLACES = {
    each.name: PROFILE.index(each.column) for each in FACETS.values() if each.column in PROFILE
}
#: Facets that a statement of their own counts.
LINKED = tuple(each.name for each in FACETS.values() if each.kind is Kind.LINK)
_FITS = tuple(each.name for each in FACETS.values() if each.kind is Kind.MEMORY)
#: Facet → column, of fields with many values: they are kept apart from profiles, and multiply the
#: combinations only where they are asked for.
_HIGH_CARDINALITY = {
    each.name: each.column
    for each in FACETS.values()
    if each.name not in (*_PLACES, *LINKED, *_FITS)
}

#: Facets that cost a walk of their own.
COSTLY = (*_HIGH_CARDINALITY, *LINKED)

_COUNTED = (*_PLACES, *_HIGH_CARDINALITY, *_FITS)

FIELDS = tuple(FACETS)

Counts = dict[str, list[tuple[str, int]]]


class _Row(NamedTuple):
    """A group of models with the same values in all fields with few values.

    It also counts the models that fit this machine's memory: ``inside`` it, and ``together`` with
    offload.
    """

    profile: str
    high_cardinality: dict[str, str | None]
    models: int
    inside: int
    together: int
    known: int
    #: Theirs, with commas, where they are gathered.
    keys: str = ""


@dataclass(slots=True)
class Facets:
    """``total`` models are found; ``counts`` has the values of each field, the most frequent first.

    ``seen`` models are all that the person may see, where counting met them all. ``keys`` are those
    for ``ModelFilters.keys``, where counting met only these and they are few enough to pass on:
    a page of them need not search again.
    """

    total: int = 0
    seen: int | None = None
    keys: tuple[int, ...] | None = field(default=None, compare=False, repr=False)
    counts: Counts = field(default_factory=dict)

    @property
    def most(self) -> bool:
        """Whether those found are surely most of all that the person may see."""
        return self.seen is not None and self.total * 2 > self.seen


def counts(user: User, filters: ModelFilters, fields: Collection[str] = FIELDS) -> Counts:
    """Return ``{field: [(value, models)]}``; ``none`` stands for models without a value."""
    return count(user, filters, fields).counts


def count(user: User, filters: ModelFilters, fields: Collection[str] = FIELDS) -> Facets:
    """Return the facets with the number of models found, which comes from the same scan."""
    high_cardinality = [
        name for name in _HIGH_CARDINALITY if name in fields or filters.values(name)
    ]
    index_only = _is_covered(filters) and INDEXED.issuperset(
        _HIGH_CARDINALITY[name] for name in high_cardinality
    )
    collect_ids = not index_only and filters.keys is None
    rows = _rows(user, filters, high_cardinality, index_only, collect_ids)
    sight = Sight(user)
    total, tallies = _tally(rows, _Choice.of(filters, sight))
    met = sum(row.models for row in rows)
    result = Facets(
        total,
        met if index_only else None,
        _keys(rows) if collect_ids and met <= KEYS else filters.keys,
    )
    for name in fields:
        if name in LINKED:
            result.counts[name] = list(_linked(user, filters, name))
        elif FACETS[name].kind is Kind.ROOT:
            result.counts[name] = _ordered(_named(tallies[name], sight))
        else:
            result.counts[name] = _ordered(tallies[name])
    return result


def _is_covered(filters: ModelFilters) -> bool:
    """Return whether the index of profiles has everything that is filtered by."""
    return not (
        filters.text
        or filters.bounds
        or filters.favourites
        or any(name not in _COUNTED for name, _ in filters.chosen)
    )


def _rows(
    user: User,
    filters: ModelFilters,
    high_cardinality: Collection[str],
    index_only: bool,
    collect_ids: bool,
) -> Sequence[_Row]:
    """Return every combination of values under the filters that are not counted here.

    Filters by tags and collections apply too.
    """
    if index_only and not filters.faults:
        view = viewpoints.viewpoint(user)
        return _all_rows(view, tuple(high_cardinality), memory_fit.capacity())
    return _grouped(user, filters, high_cardinality, memory_fit.capacity(), collect_ids=collect_ids)


@lru_cache(maxsize=32)
def _all_rows(
    view: Viewpoint, high_cardinality: tuple[str, ...], capacity: tuple[int, int]
) -> Sequence[_Row]:
    return _grouped(view.user, ModelFilters(), high_cardinality, capacity, index_only=True)


def _grouped(
    user: User,
    filters: ModelFilters,
    high_cardinality: Collection[str],
    capacity: tuple[int, int],
    index_only: bool = False,
    collect_ids: bool = False,
) -> Sequence[_Row]:
    inside, together = capacity
    # To group along the index where it does not hold what is filtered by would look up every row:
    # sorting what was found is quicker.
    profile = F("profile") if index_only else Concat(F("profile"), Value("", TextField()))
    rows = (
        listed(user, filters, ignoring=_COUNTED)
        .values_list(profile, *(_HIGH_CARDINALITY[name] for name in high_cardinality))
        .annotate(
            models=Count("pk"),
            inside=_sum(Q(memory_bytes__lte=inside)),
            together=_sum(Q(memory_bytes__lte=together)),
            known=Count("memory_bytes"),
            **({"keys": _Keys("pk")} if collect_ids else {}),
        )
        .order_by()
    )
    return [
        _Row(
            profile,
            dict(zip(high_cardinality, found, strict=False)) if high_cardinality else {},
            *found[len(high_cardinality) :],
        )
        for profile, *found in rows
    ]


def _sum(condition: Q) -> Sum:
    return Sum(Case(When(condition, then=Value(1)), default=Value(0), output_field=IntegerField()))


class _Keys(Aggregate):
    """``"7,12"``: the keys of a group, in no order."""

    function = "GROUP_CONCAT"
    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(
            compiler,
            connection,
            function="STRING_AGG",
            template="%(function)s(%(expressions)s::text, ',')",
            **extra,
        )


def _keys(rows: Iterable[_Row]) -> tuple[int, ...]:
    return tuple(int(key) for row in rows for key in row.keys.split(","))


@dataclass(frozen=True, slots=True)
class _Choice:
    """What is chosen of the fields that are counted in Python."""

    #: (facet, where its values stand in a profile, those chosen).
    profile: tuple[tuple[str, int, frozenset[str]], ...]
    high_cardinality: dict[str, frozenset[str]]
    fits: list[frozenset[str]]

    @classmethod
    def of(cls, filters: ModelFilters, sight: Sight) -> _Choice:
        chosen = {name: frozenset(values) for name, values in filters.chosen}
        for name in chosen:
            if FILTERS[name].kind is Kind.ROOT:
                chosen[name] = frozenset(str(key) for key in roots_meant(chosen[name], sight))
        return cls(
            tuple((name, place, chosen[name]) for name, place in _PLACES.items() if name in chosen),
            {name: chosen[name] for name in _HIGH_CARDINALITY if name in chosen},
            [chosen[name] for name in _FITS if name in chosen],
        )

    def models(self, row: _Row) -> int:
        """How many of the row fit as was asked."""
        return sum(
            models
            for value, models in _fitting(row.models, row.inside, row.together, row.known)
            if all(value in wanted for wanted in self.fits)
        )


def _fitting(models: int, inside: int, together: int, known: int) -> list[tuple[str, int]]:
    return list(
        zip(
            (*Fits, NONE),
            (inside, together - inside, known - together, models - known),
            strict=True,
        )
    )


# One pass over the rows of every page: what it counts is told apart as it goes.
def _tally(  # noqa: C901
    rows: Iterable[_Row], choice: _Choice
) -> tuple[int, dict[str, Counter[str]]]:
    """(models found, {parameter: {value: models}}).

    A row counts for a facet when all *other* choices hold for it.
    """
    tallies: dict[str, Counter[str]] = defaultdict(Counter)
    alike: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        alike[row.profile].append(row)
    total = 0
    memory_of = [0, 0, 0, 0]
    for profile, same in alike.items():
        values = _split(profile)
        missed = [
            name for name, place, wanted in choice.profile if wanted.isdisjoint(values[place])
        ]
        if len(missed) > 1:
            continue
        whole = 0
        for row in same:
            models = choice.models(row) if choice.fits else row.models
            wrong = [
                name
                for name, wanted in choice.high_cardinality.items()
                if (row.high_cardinality[name] or NONE) not in wanted
            ]
            if not wrong:
                whole += models
            if missed or len(wrong) > 1:
                continue
            for name in wrong or row.high_cardinality:
                tallies[name][row.high_cardinality[name] or NONE] += models
            if not wrong:
                for place, number in enumerate(row[2:6]):
                    memory_of[place] += number
        total += 0 if missed else whole
        for name in missed or _PLACES:
            tally = tallies[name]
            for value in values[_PLACES[name]]:
                tally[value] += whole
    for name in _FITS:
        tallies[name].update(dict(_fitting(*memory_of)))
    return total, tallies


@lru_cache(maxsize=20_000)
def _split(profile: str) -> tuple[tuple[str, ...], ...]:
    """The values of each column of a profile; where a model may have several, all of them."""
    return tuple(
        tuple(text.strip(",").split(",")) if text else (NONE,) for text in profile.split(SEPARATOR)
    )


def _named(tally: Counter[str], sight: Sight) -> Counter[str]:
    names = {str(key): name for key, name in sight.roots.items()}
    return Counter({names[key]: models for key, models in tally.items() if key in names})


def _ordered(tally: Counter[str]) -> list[tuple[str, int]]:
    """The most frequent first; models without a value last."""
    return sorted(
        ((value, models) for value, models in tally.items() if models),
        key=lambda each: (each[0] == NONE, -each[1], each[0]),
    )


def _linked(user: User, filters: ModelFilters, name: str) -> Sequence[tuple[str, int]]:
    lasting = viewpoints.lasting(filters.without(name))
    if lasting is None:
        return _linked_now(user, filters, name)
    return _linked_lastingly(viewpoints.viewpoint(user), lasting, name)


@lru_cache(maxsize=200)
def _linked_lastingly(
    view: Viewpoint, filters: ModelFilters, name: str
) -> Sequence[tuple[str, int]]:
    return _linked_now(view.user, filters, name)


def _linked_now(user: User, filters: ModelFilters, name: str) -> Sequence[tuple[str, int]]:
    links = LINKS[name]._default_manager.all()
    rows = listed(user, filters, ignoring=(name,))
    if filters.faults or filters.without(name).is_filtered or rows.query.where:
        links = links.filter(registeredmodel__in=rows.values("pk"))
    label = f"{name}__name"
    found = (
        links.values_list(f"{name}_id", label)
        .annotate(models=Count("pk"))
        .order_by("-models", label)[:MAX_VALUES]
    )
    return [(value, models) for _, value, models in found]

"""The controls around the list of models: facets, chips of the active filters, and columns.

Their state is in the URL alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from django.http import HttpRequest, QueryDict
from django.urls import reverse

from discovery.engine.core.text import listed
from discovery.models.registry import sees_all
from discovery.services.search import facets, filters, model_filters
from discovery.services.search.filters import BOUNDS, FACETS, FILTERS, NONE
from discovery.services.search.model_filters import ModelFilters

#: Options shown before "more", and options from which on a facet can be searched.
SHOWN, MANY = 8, 15

#: Column → its label in the list of columns. The name always shows, first.
COLUMNS = {
    "category": "Category", "type": "Runs with", "format": "Format", "family": "Family",
    "params": "Params", "context": "Context", "size": "Size",
    "memory": "Memory", "license": "License", "author": "Author", "tags": "Tags",
    "visibility": "Visibility", "added": "Added",
    "modified": "Modified", "status": "Status",
}  # fmt: skip
DEFAULT_COLUMNS = ("category", "type", "params", "context", "size", "status")


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    label: str
    models: int
    chosen: bool
    #: The end of the box's id: the same value has the same box after a swap, wherever it stands
    #: then.
    key: str


@dataclass(frozen=True, slots=True)
class Facet:
    name: str
    heading: str
    #: From ``cut`` on they are shown on demand; ``None``: all show.
    options: Sequence[Option]
    cut: int | None
    is_open: bool
    counted: bool
    #: Of its options alone, and of the page with the facet open.
    address: str
    page: str

    @property
    def searchable(self) -> bool:
        return len(self.options) >= MANY

    @property
    def more(self) -> int:
        return 0 if self.cut is None else len(self.options) - self.cut


@dataclass(frozen=True, slots=True)
class Chip:
    """One thing that narrows the list, and the address without it."""

    label: str
    address: str


def columns(query: QueryDict) -> tuple[str, ...]:
    """Return the columns to show, from ``columns=category,size`` or repeated parameters.

    Unknown names are ignored, and without any the default columns are shown.
    """
    asked = {name for given in query.getlist("columns") for name in given.split(",")}
    return tuple(name for name in COLUMNS if name in asked) or DEFAULT_COLUMNS


def is_offered(request: HttpRequest, name: str) -> bool:
    """Whether a facet is for this person: some tell of more than the models that they see."""
    return not FACETS[name].staff_only or sees_all(request.user)


def wanted(request: HttpRequest, asked: ModelFilters) -> tuple[str, ...]:
    """Return the facets to count for this page.

    They are those that cost little, and those that somebody opened or filtered by.
    """
    opened = request.GET.getlist("open")
    names = [name for name in FACETS if is_offered(request, name)]
    return tuple(
        name for name in names if name not in facets.COSTLY or name in opened or asked.values(name)
    )


def facet_list(request: HttpRequest, asked: ModelFilters, counts: facets.Counts) -> list[Facet]:
    """All facets that have something to choose among."""
    shown = [facet(request, asked, name, counts) for name in FACETS if is_offered(request, name)]
    return [
        each
        for each in shown
        if not each.counted or any(option.value != NONE or option.chosen for option in each.options)
    ]


def facet(request: HttpRequest, asked: ModelFilters, name: str, counts: facets.Counts) -> Facet:
    chosen, found = asked.values(name), dict(counts.get(name, ()))
    # In an order of their own, which does not change with the numbers.
    if FACETS[name].in_order and (order := FACETS[name].values):
        found = {value: found[value] for value in (*order, NONE) if value in found}
    values = [*found, *(value for value in chosen if value not in found)]
    options = [
        _option(name, value, found.get(value, 0), chosen=value in chosen) for value in values
    ]
    first = [each for place, each in enumerate(options) if place < SHOWN or each.chosen]
    rest = [each for place, each in enumerate(options) if place >= SHOWN and not each.chosen]
    cut = len(first) if len(rest) > 1 else None
    opened = FACETS[name].is_open or bool(chosen) or name in request.GET.getlist("open")
    query = request.GET.copy()
    query.pop("page", None)
    address = f"{reverse('facet', args=[name])}?{query.urlencode()}"
    query.appendlist("open", name)
    return Facet(
        name,
        FACETS[name].label,
        options if cut is None else [*first, *rest],
        cut,
        opened,
        name in counts,
        address,
        f"{reverse('models')}?{query.urlencode()}",
    )


def _option(name: str, value: str, models: int, *, chosen: bool) -> Option:
    return Option(
        value,
        filters.say(name, value),
        models,
        chosen,
        blake2b(value.encode(), digest_size=4).hexdigest(),
    )


def chips(request: HttpRequest, asked: ModelFilters) -> list[Chip]:
    result = [Chip(_said(name, values), address(request, name)) for name, values in asked.chosen]
    result += [
        Chip(f"{filters.label(name)} {value}", address(request, name))
        for name, value in asked.bounds
    ]
    if asked.favourites:
        result.append(Chip("My favourites", address(request, "favourites")))
    return result


def _said(name: str, values: Sequence[str]) -> str:
    said = listed([filters.say(name, value) for value in values], last="or", limit=4)
    plain = FILTERS[name].is_open and NONE not in values
    return said if plain else f"{filters.label(name)}: {said}"


def address(request: HttpRequest, *without: str) -> str:
    """The page's address without some of its parameters, and from its first page."""
    query = request.GET.copy()
    for name in (*without, "page"):
        query.pop(name, None)
    return f"{reverse('models')}?{query.urlencode()}" if query else reverse("models")


def clear_url(request: HttpRequest) -> str:
    """The same list with nothing left out."""
    return address(request, "q", "favourites", "open", *FILTERS, *BOUNDS)


def hidden_inputs(request: HttpRequest, asked: ModelFilters) -> list[tuple[str, str]]:
    """What the search form has to carry along because no control of the page says it."""
    kept = [
        (name, value)
        for name, values in asked.chosen
        if name not in FACETS or not is_offered(request, name)
        for value in values
    ]
    kept += asked.bounds
    kept += [("favourites", "1")] if asked.favourites else []
    kept += [("sort", asked.sort)] if asked.sort != model_filters.DEFAULT_SORT else []
    shown = columns(request.GET)
    kept += [("columns", ",".join(shown))] if shown != DEFAULT_COLUMNS else []
    return kept + ([("density", "compact")] if is_compact(request) else [])


def query_params(request: HttpRequest, *without: str) -> list[tuple[str, str]]:
    """Return the state of the page except ``without``, for forms that change only that."""
    return [
        (name, value)
        for name, values in request.GET.lists()
        if name not in (*without, "page")
        for value in values
        if value
    ]


def is_compact(request: HttpRequest) -> bool:
    return request.GET.get("density") == "compact"

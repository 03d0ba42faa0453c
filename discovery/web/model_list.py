"""What surrounds the list of models: facets to choose from, chips of what is chosen, columns to show. State lives in the address alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from django.http import HttpRequest, QueryDict
from django.urls import reverse

from discovery.models import Visibility
from discovery.services import facets, search
from discovery.services.search import Filters
from discovery.services.search_language import NONE, WORDS
from discovery.templatetags.karen import word
from discovery.words import BOUNDS, FORMATS, STATUSES, TYPES, family_name, listed

#: Options shown before "more", and options from which on a facet can be searched.
SHOWN, MANY = 8, 15

#: Parameter → heading. Those of ``OPEN`` are open until somebody closes them.
HEADINGS = {
    "primary": "Category", "secondary": "Use", "type": "Runs with", "status": "Status", "fits": "Fits this machine", "specialization": "Domain",
    "format": "Format", "modality": "Modality", "capability": "Can do", "license": "License", "tag": "Tags", "collection": "Collections",
    "family": "Family", "visibility": "Who sees it", "root": "Folder",
}  # fmt: skip
OPEN = ("primary", "secondary", "type", "status", "fits")
#: Counted only once they are opened: each costs a walk of its own.
COSTLY = ("license", "family", *facets.LINKED)
STAFF = ("visibility",)

#: Chosen by an address or a link, without a facet.
_OTHERS = {
    "author": "Author",
    "architecture": "Architecture",
    "quantization": "Quantization",
    "dtype": "Precision",
}
_FITS = {"memory": "In memory", "offload": "With offload", "no": "Too large", NONE: "Not known"}

#: Column → its label in the list of columns. The name always shows, first.
COLUMNS = {
    "category": "Category", "type": "Runs with", "format": "Format", "family": "Family", "params": "Params", "context": "Context", "size": "Size",
    "memory": "Memory", "license": "License", "author": "Author", "tags": "Tags", "visibility": "Who sees it", "added": "Added",
    "modified": "Modified", "status": "Status",
}  # fmt: skip
DEFAULT_COLUMNS = ("category", "type", "params", "context", "size", "status")


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    label: str
    models: int
    chosen: bool
    #: The end of the box's id: the same value has the same box after a swap, wherever it stands then.
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
    """``columns=category,size`` or repeated; unknown ones are no columns, and none at all means the usual ones."""
    asked = {name for given in query.getlist("columns") for name in given.split(",")}
    return tuple(name for name in COLUMNS if name in asked) or DEFAULT_COLUMNS


def wanted(request: HttpRequest, filters: Filters) -> tuple[str, ...]:
    """Facets that are counted for this page: those that cost little, and those that somebody opened or chose from."""
    opened = request.GET.getlist("open")
    names = HEADINGS if request.user.is_staff else [name for name in HEADINGS if name not in STAFF]
    return tuple(
        name for name in names if name not in COSTLY or name in opened or filters.values(name)
    )


def facet_list(request: HttpRequest, filters: Filters, counts: facets.Counts) -> list[Facet]:
    """All facets that have something to choose among."""
    shown = [
        facet(request, filters, name, counts)
        for name in HEADINGS
        if name not in STAFF or request.user.is_staff
    ]
    return [
        each
        for each in shown
        if not each.counted or any(option.value != NONE or option.chosen for option in each.options)
    ]


def facet(request: HttpRequest, filters: Filters, name: str, counts: facets.Counts) -> Facet:
    chosen, found = filters.values(name), dict(counts.get(name, ()))
    if name in WORDS and name not in (
        "type",
        "capability",
    ):  # in an order of their own, which does not change with the numbers
        found = {value: found[value] for value in (*WORDS[name], NONE) if value in found}
    values = [*found, *(value for value in chosen if value not in found)]
    options = [
        _option(name, value, found.get(value, 0), chosen=value in chosen) for value in values
    ]
    first = [each for place, each in enumerate(options) if place < SHOWN or each.chosen]
    rest = [each for place, each in enumerate(options) if place >= SHOWN and not each.chosen]
    cut = len(first) if len(rest) > 1 else None
    opened = name in OPEN or bool(chosen) or name in request.GET.getlist("open")
    query = request.GET.copy()
    query.pop("page", None)
    address = f"{reverse('facet', args=[name])}?{query.urlencode()}"
    query.appendlist("open", name)
    return Facet(
        name,
        HEADINGS[name],
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
        label(name, value),
        models,
        chosen,
        blake2b(value.encode(), digest_size=4).hexdigest(),
    )


def label(name: str, value: str) -> str:
    """A value as people say it."""
    if name == "fits":
        return _FITS.get(value, value)
    if value == NONE:
        return {"license": "No license", "format": "No weights"}.get(name, "Not known")
    say: dict[str, Callable[[str], str]] = {
        "type": lambda text: TYPES.get(text, text), "format": lambda text: FORMATS.get(text, text),
        "status": lambda text: STATUSES.get(text, (text, ""))[0], "family": family_name, "primary": word, "secondary": word,
        "specialization": word, "modality": word, "capability": word,
        "visibility": lambda text: str(Visibility(text).label) if text in Visibility.values else text,
    }  # fmt: skip
    return say.get(name, str)(value)


def chips(request: HttpRequest, filters: Filters) -> list[Chip]:
    result = [Chip(_said(name, values), address(request, name)) for name, values in filters.chosen]
    result += [
        Chip(f"{BOUNDS[name]} {value}", address(request, name)) for name, value in filters.bounds
    ]
    if filters.favourites:
        result.append(Chip("My favourites", address(request, "favourites")))
    return result


def _said(name: str, values: Sequence[str]) -> str:
    said = listed([label(name, value) for value in values], last="or", limit=4)
    plain = name in OPEN and NONE not in values
    return said if plain else f"{HEADINGS.get(name) or _OTHERS.get(name, name)}: {said}"


def address(request: HttpRequest, *without: str) -> str:
    """The page's address without some of its parameters, and from its first page."""
    query = request.GET.copy()
    for name in (*without, "page"):
        query.pop(name, None)
    return f"{reverse('models')}?{query.urlencode()}" if query else reverse("models")


def cleared(request: HttpRequest) -> str:
    """The same list with nothing left out."""
    return address(request, "q", "favourites", "open", *search.COLUMNS, *search.BOUNDS)


def hidden(request: HttpRequest, filters: Filters) -> list[tuple[str, str]]:
    """What the search form has to carry along because no control of the page says it."""
    kept = [
        (name, value)
        for name, values in filters.chosen
        if name not in HEADINGS or (name in STAFF and not request.user.is_staff)
        for value in values
    ]
    kept += filters.bounds
    kept += [("favourites", "1")] if filters.favourites else []
    kept += [("sort", filters.sort)] if filters.sort != search.DEFAULT_SORT else []
    shown = columns(request.GET)
    kept += [("columns", ",".join(shown))] if shown != DEFAULT_COLUMNS else []
    return kept + ([("density", "compact")] if is_compact(request) else [])


def everything(request: HttpRequest, *without: str) -> list[tuple[str, str]]:
    """The whole state of the page but ``without``, for forms that change only that."""
    return [
        (name, value)
        for name, values in request.GET.lists()
        if name not in (*without, "page")
        for value in values
        if value
    ]


def is_compact(request: HttpRequest) -> bool:
    return request.GET.get("density") == "compact"

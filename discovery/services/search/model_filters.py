"""What an address of the Models page asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.db.models import F
from django.http import QueryDict

from discovery.engine.core.text import clean
from discovery.services.search.filters import BOUNDS, FILTERS, NUMBERS
from discovery.services.search.search_language import Range, SearchError, numbers, parse

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    User = AbstractBaseUser | AnonymousUser


MAX_TEXT = 500


MAX_WORDS = 20


MAX_VALUES = 50


#: What lists can be sorted by; ``-`` in front turns the order round. The same columns in the
#: registry and in its narrow copy.
SORTS: dict[str, F] = {
    "name": F("sort_name"),
    **{number.name: F(number.column) for number in NUMBERS.values()},
    "added": F("added_at"),
    "modified": F("modified_at"),
}


DEFAULT_SORT = "name"


@dataclass(frozen=True, slots=True)
class ModelFilters:
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
    faults: tuple[SearchError, ...] = ()
    #: Keys of all models that ``text`` and ``bounds`` ask for, where they are known; perhaps
    #: without some that the rest leaves out anyway.
    keys: tuple[int, ...] | None = None

    @classmethod
    def read(cls, query: QueryDict | str) -> ModelFilters:
        """From ``request.GET``, or from an address query as saved views and collections keep it."""
        given = QueryDict(query) if isinstance(query, str) else query
        chosen, bounds, faults = [], [], []
        for name in FILTERS:
            values = tuple(
                dict.fromkeys(clean(value, MAX_TEXT) for value in given.getlist(name) if value)
            )
            if len(values) > MAX_VALUES:
                faults.append(
                    SearchError(name, f"{len(values)} values are too many: at most {MAX_VALUES}")
                )
            if values:
                chosen.append((name, values[:MAX_VALUES]))
        for name, (number, _) in BOUNDS.items():
            if value := clean(given.get(name, ""), 40):
                bounds.append((name, value))
                try:
                    bound(name, value)
                except ValueError as error:
                    reason = str(error).removesuffix(f": {number.example}")
                    faults.append(SearchError(f"{name}={value}", reason))
        typed = given.get("q", "")
        text = normal_text(typed)
        if len(typed) > MAX_TEXT:
            faults.append(
                SearchError(
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
    def is_filtered(self) -> bool:
        return bool(self.text or self.chosen or self.favourites or self.bounds)

    def values(self, name: str) -> tuple[str, ...]:
        """What is chosen of one parameter."""
        return dict(self.chosen).get(name, ())

    def without(self, name: str) -> ModelFilters:
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


def bound(name: str, value: str) -> Range:
    """Parse a limit; raises ``ValueError``."""
    number, above = BOUNDS[name]
    if value.isascii() and value.isdecimal() and len(value) < 19:
        if above:
            return Range(number.name, None, int(value))
        return Range(number.name, int(value))
    return numbers(number.name, ("<=" if above else ">=") + value)

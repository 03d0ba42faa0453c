"""Which models a person finds: whole words of what they typed, in the order they asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Expression, F, OrderBy, Q, Value
from django.db.models.functions import Coalesce, Lower, NullIf
from django.http import QueryDict

from discovery.engine.text import clean
from discovery.models import RegisteredModel, RegisteredModelQuerySet

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

MAX_TEXT = 200
MAX_WORDS = 20

_SEARCHED = ("name", "display_name", "path")

#: What lists can be sorted by; ``-`` in front turns the order round.
SORTS: dict[str, Expression | F] = {
    "name": Lower(Coalesce(NullIf("display_name", Value("")), "name")),
    "params": F("parameter_count"),
    "context": F("context_length"),
    "size": F("size_bytes"),
    "added": F("added_at"),
}
DEFAULT_SORT = "name"


#: Address parameter → column whose value it names. Repeated it means "or"; an unknown value finds nothing, and is never dropped.
COLUMNS = {
    "type": "type", "format": "format", "status": "status", "primary": "primary", "secondary": "secondary", "specialization": "specialization",
    "visibility": "visibility", "license": "license", "family": "model_family", "tag": "tagged__name", "collection": "collections__name",
    "root": "root__path",
}  # fmt: skip
MAX_VALUES = 50


@dataclass(frozen=True, slots=True)
class Filters:
    """What an address of the Models page asks for. ``chosen`` maps a parameter of ``COLUMNS`` to the values wanted."""

    text: str = ""
    sort: str = DEFAULT_SORT
    chosen: tuple[tuple[str, tuple[str, ...]], ...] = ()
    favourites: bool = False

    @classmethod
    def read(cls, query: QueryDict | str) -> Filters:
        """From ``request.GET``, or from an address query as saved views and collections keep it."""
        given = QueryDict(query) if isinstance(query, str) else query
        chosen = []
        for name in COLUMNS:
            values = tuple(dict.fromkeys(clean(value, MAX_TEXT) for value in given.getlist(name)[:MAX_VALUES] if value))
            if values:
                chosen.append((name, values))
        return cls(normal_text(given.get("q", "")), normal_sort(given.get("sort", "")), tuple(chosen), given.get("favourites") == "1")

    @property
    def narrows(self) -> bool:
        return bool(self.text or self.chosen or self.favourites)

    def as_query(self) -> str:
        """The address query that ``read`` understands; the same filters give the same text."""
        query = QueryDict(mutable=True)
        if self.text:
            query["q"] = self.text
        for name, values in self.chosen:
            query.setlist(name, list(values))
        if self.favourites:
            query["favourites"] = "1"
        if self.sort != DEFAULT_SORT:
            query["sort"] = self.sort
        return query.urlencode()


def found(user: AbstractBaseUser | AnonymousUser, filters: Filters) -> RegisteredModelQuerySet:
    """The models that ``user`` may see and ``filters`` ask for, in their order, each once."""
    rows = models(user, filters.text, filters.sort)
    for name, values in filters.chosen:
        column = COLUMNS[name]
        if "__" in column:  # a subquery, so that a model with two of the tags comes once
            rows = rows.filter(pk__in=RegisteredModel.objects.filter(**{f"{column}__in": values}).values("pk"))
        else:
            rows = rows.filter(**{f"{column}__in": values})
    if filters.favourites:
        rows = rows.filter(favoured_by=user.pk)
    return rows


def normal_text(text: str) -> str:
    """What was typed, without what no database stores, at most ``MAX_TEXT`` characters."""
    return " ".join(clean(text, MAX_TEXT).split())


def normal_sort(sort: str) -> str:
    return sort if sort.removeprefix("-") in SORTS else DEFAULT_SORT


def models(user: AbstractBaseUser | AnonymousUser, text: str = "", sort: str = DEFAULT_SORT) -> RegisteredModelQuerySet:
    """Models that ``user`` may see whose name, display name or path contains every word of ``text``.

    Unknown values come last, whichever way the list is sorted; a sort that does not exist is the default one.
    """
    found = RegisteredModel.objects.visible_to(user).filter(matching(text))
    sort = normal_sort(sort)
    key = SORTS[sort.removeprefix("-")]
    order = OrderBy(key, descending=sort.startswith("-"), nulls_last=True)
    return found.order_by(order, "pk")


def matching(text: str) -> Q:
    condition = Q()
    for word in normal_text(text).split()[:MAX_WORDS]:
        anywhere = Q()
        for spelling in _spellings(word):
            for field in _SEARCHED:
                anywhere |= Q(**{f"{field}__icontains": spelling})
        condition &= anywhere
    return condition


def _spellings(word: str) -> set[str]:
    """SQLite ignores case for ASCII only: other words are asked for in each case."""
    return {word} if word.isascii() else {word, word.lower(), word.upper(), word.capitalize()}

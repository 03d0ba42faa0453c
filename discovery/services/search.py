"""Which models a person finds: whole words of what they typed, in the order they asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Expression, F, OrderBy, Q, Value
from django.db.models.functions import Coalesce, Lower, NullIf

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

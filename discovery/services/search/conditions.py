"""Terms and choices of a search as conditions on the rows of models."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef, Q

from discovery.engine.core.vocabulary import Fits
from discovery.models import RegisteredModel, Root
from discovery.services.access.redaction import Sight, is_like
from discovery.services.machine import memory_fit
from discovery.services.search.filters import FILTERS, NONE, NUMBERS, Kind
from discovery.services.search.search_language import Named, Phrase, Term

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    User = AbstractBaseUser | AnonymousUser


#: Filter by links → the rows that link models with what it names.
LINKS = {
    each.name: getattr(RegisteredModel, each.column).through
    for each in FILTERS.values()
    if each.kind is Kind.LINK
}


def term_condition(term: Term, user: User) -> Q:
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
        condition = choice_condition(term.field, term.value, _like, user)
    else:
        column = NUMBERS[term.field].column
        condition = Q() if term.at_least is None else Q(**{f"{column}__gte": term.at_least})
        condition &= Q() if term.at_most is None else Q(**{f"{column}__lte": term.at_most})
    return ~condition if term.negated else condition


def choice_condition(name: str, value: str, compare: Callable[[str, str], Q], user: User) -> Q:
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


def is_exactly(column: str, value: str) -> Q:
    return Q(**{column: value})


def roots_meant(
    values: Collection[str], sight: Sight, compare: Callable[[str, str], Q] = is_exactly
) -> Iterable[int]:
    """Return the keys of the roots that these values name.

    People who may see paths use paths or names; others use the names that are shown to them.
    """
    if sight.everything:
        return Root.objects.filter(
            any_of(compare("path", value) | compare("name", value) for value in values)
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


def any_of(conditions: Iterable[Q]) -> Q:
    result = Q()
    for condition in conditions:
        result |= condition
    return result

"""Saved lists of models, private or shared, each a query string of the Models page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.db.models import Case, Q, QuerySet, Value, When
from django.http import QueryDict

from discovery.engine.core.text import clean
from discovery.models import Right, SavedView
from discovery.services.access import permissions
from discovery.services.access.redaction import Sight
from discovery.services.core.form_stamps import agree, touched

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_NAME, MAX_QUERY = 80, 2_000
#: Views that one person may keep.
MAX_VIEWS = 200

#: Where one is in a list is no part of it.
_LEFT_OUT = frozenset({"page", "cursor", "csrfmiddlewaretoken"})


class SavedViewError(Exception):
    """The view cannot be kept like this; the text says why and what to do."""


class NameTaken(SavedViewError):
    """This person has a view of that name; it can be replaced."""


def visible_to(user: User) -> QuerySet[SavedView]:
    """Return the person's own views first, then those that others share."""
    whose = Case(When(owner=user.pk, then=Value(0)), default=Value(1))
    return (
        SavedView.objects.filter(Q(owner=user.pk) | Q(shared=True))
        .select_related("owner")
        .order_by(whose, "name", "pk")
    )


def shown_to(user: User) -> list[SavedView]:
    """Return the visible views with the roots in their filters named as this user knows them."""
    rows, sight = list(visible_to(user)), Sight(user)
    for view in rows:
        view.query = sight.query(view.query)
    return rows


def editable_by(user: User) -> QuerySet[SavedView]:
    """Return the person's own views; administrators may edit shared ones too."""
    return SavedView.objects.filter(
        Q(owner=user.pk) | Q(shared=True)
        if permissions.may(user, Right.SHARE_VIEWS)
        else Q(owner=user.pk)
    )


def normal_query(query: str) -> str:
    """Return a query string without its page and empty parameters, in a fixed order.

    The same list always gives the same text.

    Raises ``SavedViewError`` when it is too long to keep.
    """
    given, kept = QueryDict(query.removeprefix("?")), QueryDict(mutable=True)
    for name, values in sorted(given.lists()):
        if name not in _LEFT_OUT and (said := [clean(value, 500) for value in values if value]):
            kept.setlist(clean(name, 60), said)
    text = kept.urlencode()
    if len(text) > MAX_QUERY:
        raise SavedViewError(
            f"The filter is too long to keep: {len(text):,} characters of at most {MAX_QUERY:,}."
            " Choose fewer values."
        )
    return text


def save(
    user: User, name: str, query: str, *, shared: bool = False, replace: bool = False
) -> SavedView:
    """Save a view under a name; ``replace`` overwrites the person's own view of the same name.

    Raises ``SavedViewError``, ``NameTaken``.
    """
    name, query = _name(name), normal_query(query)
    _may_share(user, shared)
    if replace:
        view, _ = SavedView.objects.update_or_create(
            owner=user, name=name, defaults={"query": query, "shared": shared}
        )
        return view
    if SavedView.objects.filter(owner=user).count() >= MAX_VIEWS:
        raise SavedViewError(f"You keep {MAX_VIEWS} views already: delete one first.")
    try:
        with transaction.atomic():
            return SavedView.objects.create(owner=user, name=name, query=query, shared=shared)
    except IntegrityError:
        raise NameTaken(
            f"You have a view called {name} already. Choose another name, or replace it."
        ) from None


def change(
    view: SavedView,
    user: User,
    *,
    name: str | None = None,
    query: str | None = None,
    shared: bool | None = None,
    seen: Mapping[str, str] | None = None,
) -> None:
    """Rename or share a view, or let it list something else.

    ``seen`` maps fields to the stamps of what was shown. Raises ``SavedViewError``, ``NameTaken``,
    ``Conflict``.
    """
    given = {} if name is None else {"name": _name(name)}
    given |= {} if query is None else {"query": normal_query(query)}
    changes: dict[str, Any] = touched(given, seen or {})
    if shared is not None:
        _may_share(user, shared)
        changes["shared"] = shared
    try:
        with transaction.atomic():
            SavedView.objects.select_for_update().get(pk=view.pk)
            view.refresh_from_db(fields=["name", "query", "shared"])
            agree(changes, fields_of(view), seen or {})
            for field, value in changes.items():
                setattr(view, field, value)
            view.save(update_fields=list(changes))
    except IntegrityError:
        raise NameTaken(
            f"There is a view called {view.name} already. Choose another name."
        ) from None


def fields_of(view: SavedView) -> dict[str, Any]:
    """What people change of a view."""
    return {"name": view.name, "query": view.query, "shared": view.shared}


def _may_share(user: User, shared: bool) -> None:
    if shared and (reason := permissions.lacking(user, [Right.SHARE_VIEWS])):
        raise SavedViewError(f"{reason} Keep the view for yourself.")


def _name(name: str) -> str:
    tidy = " ".join(clean(name, MAX_NAME + 1).split())
    if not tidy:
        raise SavedViewError("Give the view a name.")
    if len(tidy) > MAX_NAME:
        raise SavedViewError(f"The name is too long: at most {MAX_NAME} characters.")
    return tidy

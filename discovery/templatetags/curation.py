"""Stars, colored tags and saved views, wherever models are shown.

A fixed number of queries a page.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from django import template
from django.http import HttpRequest
from django.template.context import RequestContext

from discovery.models import Collection, RegisteredModel, Right
from discovery.services.access import permissions
from discovery.services.curation import favourites, saved_views
from discovery.services.registry import tags
from discovery.services.search import filters

register = template.Library()

#: Parameter of the Models page that is no filter → what people call it.
_PARAMETERS = {"q": "Search", "sort": "Order", "favourites": "Favorites"}


@register.inclusion_tag("components/favorite_button.html", takes_context=True)
def star(context: RequestContext, record: RegisteredModel) -> dict[str, Any]:
    """The button that marks a model as a favourite, or takes the mark away."""
    request = context["request"]
    marked = _once(request, "favourite_keys", lambda: favourites.keys(request.user))
    return {"model": record, "marked": record.pk in marked, "csrf_token": context.get("csrf_token")}


@register.inclusion_tag("components/tag_chips.html", takes_context=True)
def tag_chips(
    context: RequestContext, whose: RegisteredModel | Iterable[str] | None, limit: int = 0
) -> dict[str, Any]:
    """Show tags as colored links to their models; past ``limit`` the rest is only counted.

    The tags are those of a model or a list of names.
    """
    names = whose.value("tags") if isinstance(whose, RegisteredModel) else whose
    colours = _once(context["request"], "tag_colours", tags.colours)
    shown = [str(name) for name in names] if isinstance(names, list | tuple) else []
    cut = shown[:limit] if limit else shown
    return {"tags": [(name, colours.get(name, "")) for name in cut], "more": len(shown) - len(cut)}


@register.inclusion_tag("components/model_collections.html", takes_context=True)
def model_collections(context: RequestContext, record: RegisteredModel) -> dict[str, Any]:
    """Show the collections of a model.

    People who may change collections also get the form that adds it to others.
    """
    own = list(record.collections.order_by("name"))
    user = context["request"].user
    changes = permissions.may(user, Right.CHANGE_COLLECTION)
    others = (
        Collection.objects.filter(query="")
        .exclude(pk__in=[each.pk for each in own])
        .order_by("name")
    )
    if not changes:
        others = others.none()
    elif not permissions.may(user, Right.GRANT):
        others = others.filter(groups=None)
    fixed = set()
    if not permissions.may(user, Right.GRANT):
        fixed = set(
            Collection.objects.filter(pk__in=[each.pk for each in own])
            .exclude(groups=None)
            .values_list("pk", flat=True)
        )
    return {
        "model": record,
        "own": own,
        "fixed": fixed,
        "others": others,
        "changes": changes,
        **_passed(context),
    }


@register.inclusion_tag("components/save_view.html", takes_context=True)
def save_view(context: RequestContext) -> dict[str, Any]:
    """Show the saved views of this person as links, and the form that saves the current list."""
    request = context["request"]
    query = _query(request)
    rows = saved_views.shown_to(request.user)
    marked = _once(request, "favourite_keys", lambda: favourites.keys(request.user))
    current = next((view for view in rows if query and view.query == query), None)
    shown = {"views": rows, "current": current, "query": query, "favourites": len(marked)}
    return {**shown, **_passed(context)}


def _passed(context: RequestContext) -> dict[str, Any]:
    """What a form in an included template asks for."""
    return {name: context.get(name) for name in ("user", "perms", "csrf_token")}


@register.filter
def plain_value(value: Any) -> str:
    """Format a value of a document for a table cell.

    Lists get commas, objects become JSON, and an unknown value is a dash.
    """
    if value is None or value == [] or value == {}:
        return "–"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@register.filter
def query_words(query: str) -> list[tuple[str, str]]:
    """Turn a query string into pairs of a filter's label and its value.

    ``primary=VISION&sort=-size`` gives (Category, Vision), (Order, size ↓).
    """
    return [
        (_PARAMETERS.get(name) or filters.label(name), _value_words(name, value))
        for name, value in parse_qsl(query)
    ]


def _value_words(name: str, value: str) -> str:
    if name == "sort":
        return f"{value.removeprefix('-')} {'↓' if value.startswith('-') else '↑'}"
    if name == "favourites":
        return "only"
    return filters.say(name, value)


def _query(request: HttpRequest) -> str:
    try:
        return saved_views.normal_query(request.GET.urlencode())
    except saved_views.SavedViewError:
        return ""


def _once(request: HttpRequest, name: str, ask: Any) -> Any:
    """What ``ask`` says, asked once a request."""
    asked = request.__dict__.setdefault("_curation", {})
    if name not in asked:
        asked[name] = ask()
    return asked[name]

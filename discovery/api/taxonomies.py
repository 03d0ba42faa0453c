"""Tags, collections and categories, each with its number of models that the caller may see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from ninja import Query, Router, Schema

from discovery.api import paging
from discovery.api.authentication import PUBLIC, READ, caller_of
from discovery.engine.identify.document import CATEGORIES
from discovery.models import Collection, Listing, RegisteredModel, Tag
from discovery.models.registry import sees_all
from discovery.services.access.redaction import Sight
from discovery.services.metadata.metadata import CHOICES
from discovery.services.search import facets
from discovery.services.search.model_filters import ModelFilters

router = Router(tags=["Catalogue"])


class TagRow(Schema):
    name: str
    colour: str
    models: int


class Tags(Schema):
    count: int
    next: str | None
    previous: str | None
    results: list[TagRow]


class CollectionRow(Schema):
    """A collection; ``query`` is its saved filter, empty where models are selected by hand."""

    name: str
    description: str
    query: str | None
    models: int


class Collections(Schema):
    count: int
    next: str | None
    previous: str | None
    results: list[CollectionRow]


class CategoryRow(Schema):
    value: str
    models: int


class Categories(Schema):
    primary: list[CategoryRow]
    secondary: list[CategoryRow]
    specialization: list[CategoryRow]


def _counted(
    request: HttpRequest, rows: QuerySet[Any], join: Any, column: str
) -> tuple[QuerySet[Any], Callable[[Any], int]]:
    """(the rows that the caller may know of, how many models that they see each of them has).

    Who sees every model knows of all: theirs are counted for the rows of the page alone. For others
    one walk over what they see tells.
    """
    links, caller = join.objects.order_by(), caller_of(request)
    if sees_all(caller.user):
        own = (
            links.filter(**{column: OuterRef("pk")})
            .values(column)
            .annotate(models=Count("pk"))
            .values("models")
        )
        return rows.annotate(seen=Coalesce(Subquery(own), 0)), lambda row: int(row.seen)
    seen = links.filter(
        registeredmodel__in=Listing.objects.visible_to(caller.user).order_by().values("pk")
    )
    counts = dict(seen.values_list(column).annotate(Count("pk")))
    return rows.filter(pk__in=list(counts)), lambda row: counts[row.pk]


@router.get("/tags", auth=PUBLIC, response=Tags, operation_id="list_tags", summary="Tags")
def tags(request: HttpRequest, asked: Query[paging.Paged]) -> dict[str, Any]:
    """Tags of the models that you may see. Administrators also get tags that no model has."""
    rows, models = _counted(
        request, Tag.objects.order_by("name"), RegisteredModel.tagged.through, "tag"
    )
    return paging.numbered(
        request,
        rows,
        asked,
        lambda tag: {"name": tag.name, "colour": tag.colour, "models": models(tag)},
    )


@router.get(
    "/collections",
    auth=READ,
    response=Collections,
    operation_id="list_collections",
    summary="Collections",
)
def collections(request: HttpRequest, asked: Query[paging.Paged]) -> dict[str, Any]:
    """Collections with models that you may see. Administrators get all."""
    rows, models = _counted(
        request,
        Collection.objects.order_by("name"),
        RegisteredModel.collections.through,
        "collection",
    )
    sight = Sight(caller_of(request).user)
    return paging.numbered(request, rows, asked, lambda row: _collection(row, models(row), sight))


def _collection(row: Collection, models: int, sight: Sight) -> dict[str, Any]:
    return {
        "name": row.name,
        "description": row.description,
        "query": sight.query(row.query) or None,
        "models": models,
    }


@router.get(
    "/categories",
    auth=PUBLIC,
    response=Categories,
    operation_id="list_categories",
    summary="Categories",
)
def categories(request: HttpRequest) -> dict[str, Any]:
    """Every value of the three axes, with how many models that you may see have it."""
    counted = facets.counts(caller_of(request).user, ModelFilters(), CATEGORIES)
    found = {axis: dict(counted[axis]) for axis in CATEGORIES}
    return {
        axis: [{"value": value, "models": found[axis].get(value, 0)} for value in CHOICES[axis]]
        for axis in CATEGORIES
    }

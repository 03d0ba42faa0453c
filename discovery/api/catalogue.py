"""Tags, collections and categories: what models are sorted by, with how many of the caller's models each has."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from ninja import Query, Router, Schema

from discovery.api import paging
from discovery.api.access import PUBLIC, READ, caller_of
from discovery.engine.document import CATEGORIES
from discovery.models import Collection, Listing, RegisteredModel, Tag
from discovery.services import facets
from discovery.services.metadata import CHOICES
from discovery.services.search import Filters

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
    """``query`` is the saved filter of a collection that nobody picks by hand."""

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


def _counted(request: HttpRequest, join: Any, column: str) -> Coalesce:
    """How many models that the caller sees each row has. It is looked up for the rows of the page alone."""
    links = join.objects.filter(**{column: OuterRef("pk")})
    caller = caller_of(request)
    if not caller.is_staff:
        links = links.filter(registeredmodel__in=Listing.objects.visible_to(caller.user).order_by().values("pk"))
    return Coalesce(Subquery(links.order_by().values(column).annotate(models=Count("pk")).values("models")), 0)


@router.get("/tags", auth=PUBLIC, response=Tags, operation_id="list_tags", summary="Tags")
def tags(request: HttpRequest, asked: Query[paging.Paged]) -> dict[str, Any]:
    """Tags of the models that you may see. Administrators get those that no model has, too."""
    rows = Tag.objects.order_by("name").annotate(seen=_counted(request, RegisteredModel.tagged.through, "tag"))
    if not caller_of(request).is_staff:
        rows = rows.filter(seen__gt=0)
    return paging.numbered(request, rows, asked, lambda tag: {"name": tag.name, "colour": tag.colour, "models": tag.seen})


@router.get("/collections", auth=READ, response=Collections, operation_id="list_collections", summary="Collections")
def collections(request: HttpRequest, asked: Query[paging.Paged]) -> dict[str, Any]:
    """Collections with models that you may see. Administrators get all."""
    rows = Collection.objects.order_by("name").annotate(seen=_counted(request, RegisteredModel.collections.through, "collection"))
    if not caller_of(request).is_staff:
        rows = rows.filter(seen__gt=0)
    return paging.numbered(request, rows, asked, _collection)


def _collection(row: Any) -> dict[str, Any]:
    return {"name": row.name, "description": row.description, "query": row.query or None, "models": row.seen}


@router.get("/categories", auth=PUBLIC, response=Categories, operation_id="list_categories", summary="Categories")
def categories(request: HttpRequest) -> dict[str, Any]:
    """Every value of the three axes, with how many models that you may see have it."""
    counted = facets.counts(caller_of(request).user, Filters(), CATEGORIES)
    found = {axis: dict(counted[axis]) for axis in CATEGORIES}
    return {axis: [{"value": value, "models": found[axis].get(value, 0)} for value in CHOICES[axis]] for axis in CATEGORIES}

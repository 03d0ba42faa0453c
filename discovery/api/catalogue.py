"""Tags, collections and categories: what models are sorted by, with how many of the caller's models each has."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, QuerySet
from django.http import HttpRequest
from ninja import Query, Router, Schema

from discovery.api import paging
from discovery.api.access import PUBLIC, READ, caller_of
from discovery.engine.document import CATEGORIES
from discovery.models import Collection, RegisteredModel, Tag
from discovery.services.metadata import CHOICES

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


def _visible(request: HttpRequest) -> QuerySet[RegisteredModel]:
    return RegisteredModel.objects.visible_to(caller_of(request).user).order_by()


@router.get("/tags", auth=PUBLIC, response=Tags, operation_id="list_tags", summary="Tags")
def tags(request: HttpRequest, asked: Query[paging.Paged]) -> dict[str, Any]:
    """Tags of the models that you may see. Administrators get those that no model has, too."""
    counts = dict(_visible(request).exclude(tagged=None).values_list("tagged").annotate(Count("pk", distinct=True)))
    rows = Tag.objects.order_by("name")
    if not caller_of(request).is_staff:
        rows = rows.filter(pk__in=_visible(request).values("tagged"))
    return paging.numbered(request, rows, asked, lambda tag: {"name": tag.name, "colour": tag.colour, "models": counts.get(tag.pk, 0)})


@router.get("/collections", auth=READ, response=Collections, operation_id="list_collections", summary="Collections")
def collections(request: HttpRequest, asked: Query[paging.Paged]) -> dict[str, Any]:
    """Collections with models that you may see. Administrators get all."""
    counts = dict(_visible(request).exclude(collections=None).values_list("collections").annotate(Count("pk", distinct=True)))
    rows = Collection.objects.order_by("name")
    if not caller_of(request).is_staff:
        rows = rows.filter(pk__in=_visible(request).values("collections"))
    return paging.numbered(request, rows, asked, lambda row: _collection(row, counts.get(row.pk, 0)))


def _collection(row: Collection, models: int) -> dict[str, Any]:
    return {"name": row.name, "description": row.description, "query": row.query or None, "models": models}


@router.get("/categories", auth=PUBLIC, response=Categories, operation_id="list_categories", summary="Categories")
def categories(request: HttpRequest) -> dict[str, Any]:
    """Every value of the three axes, with how many models that you may see have it."""
    return {axis: _axis(request, axis) for axis in CATEGORIES}


def _axis(request: HttpRequest, axis: str) -> list[dict[str, Any]]:
    counts = dict(_visible(request).values_list(axis).annotate(Count("pk")))
    return [{"value": value, "models": counts.get(value, 0)} for value in CHOICES[axis]]

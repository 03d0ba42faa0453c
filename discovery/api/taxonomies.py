"""Categories, each with its number of models that the caller may see."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema

from discovery.api.authentication import PUBLIC, caller_of
from discovery.engine.identify.document import CATEGORIES
from discovery.services.metadata.metadata import CHOICES
from discovery.services.search import facets
from discovery.services.search.model_filters import ModelFilters

router = Router(tags=["Catalogue"])


class CategoryRow(Schema):
    value: str
    models: int


class Categories(Schema):
    primary: list[CategoryRow]
    secondary: list[CategoryRow]
    specialization: list[CategoryRow]


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

"""Filters of the Models page: read from an address, written back the same, and never dropped
unsaid.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from discovery.models import Collection, RegisteredModel
from discovery.services.metadata import metadata
from discovery.services.search import model_search
from discovery.services.search.model_filters import ModelFilters

Make = Callable[..., RegisteredModel]


def names(user: User, query: str) -> list[str]:
    return [model.name for model in model_search.found(user, ModelFilters.read(query))]


@pytest.fixture
def shelf(make_model: Make, admin_user: User) -> None:
    make_model("a", license="mit", primary="LANGUAGE")
    make_model("b", license="apache-2.0", primary="VISION", visibility="PUBLIC")
    make_model("c", primary="LANGUAGE", status="CORRUPT")
    for name, tags in (("a", ["x", "y"]), ("b", ["y"])):
        metadata.edit(
            RegisteredModel.objects.get(name=name), {"tags": tags}, by=admin_user, channel="page"
        )
    Collection.objects.create(name="shelf one").models.add(RegisteredModel.objects.get(name="c"))
    RegisteredModel.objects.get(name="b").favoured_by.add(admin_user)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["a", "b", "c"]),
        ("primary=LANGUAGE", ["a", "c"]),
        ("primary=LANGUAGE&primary=VISION&sort=-name", ["c", "b", "a"]),
        ("primary=LANGUAGE&status=CORRUPT", ["c"]),
        ("license=mit&license=apache-2.0", ["a", "b"]),
        ("tag=y", ["a", "b"]),
        ("tag=x&tag=y", ["a", "b"]),
        ("collection=shelf+one", ["c"]),
        ("favourites=1", ["b"]),
        ("q=b&tag=y", ["b"]),
        ("primary=NONSENSE", []),
        ("tag=%00", []),
        ("tag=nobody", []),
        ("unknown=1&page=7", ["a", "b", "c"]),
    ],
)
def test_filters_narrow_together_and_values_of_one_are_alternatives(
    query: str, expected: list[str], shelf: None, admin_user: User
) -> None:
    assert names(admin_user, query) == expected


def test_nobody_finds_what_they_may_not_see(shelf: None, user: User) -> None:
    assert names(user, "tag=y") == ["b"]


@pytest.mark.parametrize(
    "query", ["", "q=two+words&tag=%C3%A4&sort=-size", "favourites=1&status=READY&status=CORRUPT"]
)
def test_filters_are_written_as_they_are_read(query: str) -> None:
    filters = ModelFilters.read(query)
    assert ModelFilters.read(filters.as_query()) == filters

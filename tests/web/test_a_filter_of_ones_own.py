"""A filter that is declared once works everywhere: page, search box, saved views, API, help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support import made_up

pytestmark = pytest.mark.slow

pytestmark = pytest.mark.slow

PUBLISHER = """
        Filter(
            name="publisher",
            label="Publishing house",
            column="author",
            description="Who answers for it.",
            value_label=str.upper,
            shorthands=("pub",),
            unknown="Nobody",
            facet=75,
        ),
        Filter(
            name="ready",
            label="Readiness",
            column="status",
            description="Its status under another name.",
            values=tuple(Status),
            facet=76,
            staff_only=True,
        ),
"""
PIECES = """
        Number(
            name="pieces",
            label="Pieces",
            column="size_bytes",
            units=_DECIMAL,
            example="pieces:>2k",
            description="How many there are.",
        ),
"""
SCRIPT = """
from django.utils import timezone
from django.contrib.auth.models import User
from discovery.models import RegisteredModel, Root
from discovery.services.search import filters
from pathlib import Path

root = Root.objects.create(path="/models")
for name, author, size in (("one", "acme", 1000), ("two", "acme", 5000), ("three", None, 9000)):
    RegisteredModel.objects.create(
        model_id=name, root=root, path=name, place=name, name=name, sort_name=name,
        author=author, status="READY", size_bytes=size,
        added_at=timezone.now(), changed_at=timezone.now(),
    )

def api(query):
    answer = client.get(f"/api/models/discovered?{query}")
    return [row["name"] for row in answer.json().get("results", [])] or answer.status_code

result["page"] = client.get("/models/?publisher=acme").text
result["facet"] = client.get(
    "/facets/publisher/?publisher=acme", headers={"HX-Request": "true"}
).text
result["none"] = client.get("/models/?publisher=none&q=pieces:>2k").text
result["typed"] = client.get("/models/?q=pub:ACME").text
result["bounded"] = client.get("/models/?min_pieces=2k").text
result["sorted"] = client.get("/models/?sort=-pieces").text
result["api"] = [
    api(query) for query in (
        "publisher=acme", "publisher=none", "publisher=other", "search=pub:acm*", "min_pieces=5000",
        "ordering=-size_bytes", "ready=READY", "ready=ODD", "search=ready:odd",
    )
]
result["facets"] = client.get("/api/models/discovered?facets=true").json()["facets"]
document = client.get("/api/openapi.json").json()
result["openapi"] = {
    each["name"]: each
    for each in document["paths"]["/api/models/discovered"]["get"]["parameters"]
}
result["help"] = client.get("/help/searching/").text
result["dropped"] = client.get("/models/").text
client.post("/views/", {"name": "Acme", "query": "publisher=acme&min_pieces=2k"})
result["views"] = client.get("/views/").text
other = User.objects.create_user("other")
client.force_login(other)
result["others"] = client.get("/models/").text
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("filter")
    lines = {
        "discovery.services.search.filters": [
            ("    )\n}\n\n#: Facets in the order of the page.", PUBLISHER),
            ("    )\n}\n\n#: Parameter → (the number", PIECES),
        ]
    }
    return made_up.run(SCRIPT, folder, migrated, lines)


def names(page: str) -> list[str]:
    return [name for name in ("one", "two", "three") if f'href="/models/{name}/"' in page]


def test_the_page_narrows_by_it_and_shows_a_chip_and_a_facet(seen: dict[str, Any]) -> None:
    assert names(seen["page"]) == ["one", "two"]
    assert "Remove the filter: Publishing house: ACME" in seen["page"]
    assert 'name="publisher"' in seen["facet"]
    assert "ACME" in seen["facet"]
    assert "Nobody" in seen["facet"]
    assert names(seen["none"]) == ["three"]
    assert "Publishing house: Nobody" in seen["none"]


def test_the_search_box_knows_it_by_its_names(seen: dict[str, Any]) -> None:
    assert names(seen["typed"]) == ["one", "two"]


def test_a_number_is_bounded_compared_and_sorted_by(seen: dict[str, Any]) -> None:
    assert names(seen["bounded"]) == ["two", "three"]
    assert "Pieces from 2k" in seen["bounded"]
    places = [seen["sorted"].index(f'href="/models/{name}/"') for name in ("three", "two", "one")]
    assert places == sorted(places)


def test_the_api_takes_it_refuses_what_cannot_be_and_tells_of_it(seen: dict[str, Any]) -> None:
    assert seen["api"] == [
        ["one", "two"], ["three"], 200, ["one", "two"], ["three", "two"],
        ["three", "two", "one"], ["one", "three", "two"], 422, 422,
    ]  # fmt: skip
    assert seen["openapi"]["publisher"]["description"] == "Who answers for it."
    assert "ODD" not in seen["openapi"]["ready"]["schema"]["items"]["enum"]
    assert {"min_pieces", "max_pieces"} < set(seen["openapi"])


def test_its_values_are_counted(seen: dict[str, Any]) -> None:
    assert seen["facets"]["publisher"] == [
        {"value": "acme", "count": 2},
        {"value": "none", "count": 1},
    ]
    assert seen["facets"]["ready"] == seen["facets"]["status"] == [{"value": "READY", "count": 3}]


def test_help_saved_views_and_the_notes_beside_the_box_tell_of_it(seen: dict[str, Any]) -> None:
    for page in (seen["help"], seen["dropped"]):
        assert "<code>pub:</code>" in page
        assert "pieces:&gt;2k" in page
    assert "Who answers for it." in seen["help"]
    assert "Publishing house" in seen["views"]
    assert "Pieces from" in seen["views"]


def test_what_is_for_those_who_see_all_models_is_for_nobody_else(seen: dict[str, Any]) -> None:
    assert "Readiness" in seen["dropped"]
    assert "Readiness" not in seen["others"]

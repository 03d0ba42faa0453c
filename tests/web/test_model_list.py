"""Around the list of models: facets, chips, columns, density, selection, and what it says of a
search it cannot read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from discovery.models import Collection, RegisteredModel, Visibility
from discovery.services.metadata import metadata
from tests.benchmarks.registry import fill
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]
HTMX = {"HX-Request": "true"}


def get(client: Client, query: str = "", status: int = 200, **headers: str) -> str:
    response = client.get(f"/models/?{query}", headers=headers or None)
    assert response.status_code == status
    return page_text(response)


def names(html: str) -> list[str]:
    return re.findall(r'<a class="name" href="[^"]+"><bdi>([^<]+)</bdi>', html)


def options(html: str, facet: str) -> list[tuple[str, str, bool]]:
    """(label, models, chosen) of each box."""
    box = rf'<input type="checkbox" name="{facet}" [^>]*?form="search"( checked)?>'
    found = re.findall(
        box + r'<span class="what"[^>]*><bdi>([^<]*)</bdi></span><span class="n">([^<]*)<', html
    )
    return [(label, models, bool(checked)) for checked, label, models in found]


@pytest.fixture
def shelf(make_model: Make, admin_user: User) -> None:
    make_model(
        "alpha", primary="LANGUAGE", secondary="CHAT", license="mit", parameter_count=8 * 10**9
    )
    make_model(
        "beta",
        primary="LANGUAGE",
        secondary="CODE",
        license="apache-2.0",
        type="LLAMA_CPP",
        format="gguf",
    )
    make_model("gamma", primary="VISION", status="CORRUPT", visibility=Visibility.PUBLIC)
    metadata.edit(
        RegisteredModel.objects.get(name="beta"),
        {"tags": ["<prod>"]},
        by=admin_user,
        channel="page",
    )


def test_facets_count_under_the_other_filters(shelf: None, admin_client: Client) -> None:
    html = get(admin_client, "primary=LANGUAGE")
    assert options(html, "primary") == [("Language", "2", True), ("Vision", "1", False)]
    assert options(html, "type") == [("llama.cpp", "1", False), ("Transformers", "1", False)]
    assert options(html, "status") == [("Ready", "2", False)]
    assert names(html) == ["alpha", "beta"]


def test_a_value_without_models_stays_while_it_is_chosen(shelf: None, admin_client: Client) -> None:
    html = get(admin_client, "status=UNSAFE&status=READY")
    assert ("Unsafe", "0", True) in options(html, "status")
    assert names(html) == ["alpha", "beta"]


def test_chips_say_what_narrows_and_take_it_away(shelf: None, admin_client: Client) -> None:
    html = get(
        admin_client,
        "secondary=CODE&secondary=CHAT&min_params=1b&favourites=1&license=none&sort=-size&page=3",
    )
    chips = re.findall(
        r'<a class="chip" href="([^"]+)"[^>]*aria-label="Remove the filter: ([^"]+)"', html
    )
    assert [label for _, label in chips] == [
        "Code or Chat",
        "License: No license",
        "Parameters from 1b",
        "My favourites",
    ]
    assert chips[0][0] == "/models/?min_params=1b&amp;favourites=1&amp;license=none&amp;sort=-size"
    assert 'href="/models/?sort=-size">Clear' in html


def test_what_no_control_says_travels_in_hidden_fields(shelf: None, admin_client: Client) -> None:
    html = get(
        admin_client,
        "author=anna&min_params=1b&sort=-size&columns=size&density=compact&license=mit",
    )
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]+)" form="search">', html)
    assert hidden == [
        ("author", "anna"),
        ("min_params", "1b"),
        ("sort", "-size"),
        ("columns", "size"),
        ("density", "compact"),
    ]


def test_costly_facets_are_counted_once_they_are_opened(shelf: None, admin_client: Client) -> None:
    html = get(admin_client, "primary=LANGUAGE")
    assert options(html, "tag") == options(html, "license") == []
    assert 'hx-get="/facets/tag/?primary=LANGUAGE"' in html
    part = page_text(admin_client.get("/facets/tag/?primary=LANGUAGE", headers=HTMX))
    assert options(part, "tag") == [("&lt;prod&gt;", "1", False)]
    assert "<html" not in part
    assert options(get(admin_client, "open=license"), "license") == [
        ("apache-2.0", "1", False),
        ("mit", "1", False),
        ("No license", "1", False),
    ]
    assert ("mit", "1", True) in options(get(admin_client, "license=mit"), "license")


def test_without_scripts_a_costly_facet_is_opened_by_a_link(
    shelf: None, admin_client: Client
) -> None:
    assert (
        admin_client.get("/facets/tag/?primary=LANGUAGE").headers["Location"]
        == "/models/?primary=LANGUAGE&open=tag"
    )


@pytest.mark.parametrize("name", ["nonsense", "visibility"])
def test_facets_that_are_not_there_for_somebody_are_not_found(
    name: str, reader_client: Client
) -> None:
    assert reader_client.get(f"/facets/{name}/", headers=HTMX).status_code == 404


def test_readers_count_and_see_only_what_is_shared(
    shelf: None, reader_client: Client, user: User
) -> None:
    html = get(reader_client)
    assert options(html, "primary") == [("Vision", "1", False)]
    assert options(html, "visibility") == []
    assert "LLAMA_CPP" not in html
    assert options(page_text(reader_client.get("/facets/license/", headers=HTMX)), "license") == [
        ("No license", "1", False)
    ]
    assert "Edit metadata" not in html
    assert 'formaction="/compare/"' in html
    group = Group.objects.create(name="g")
    user.groups.add(group)
    collection = Collection.objects.create(name="shelf")
    collection.groups.add(group)
    collection.models.add(RegisteredModel.objects.get(name="beta"))
    assert options(get(reader_client), "type") == [
        ("llama.cpp", "1", False),
        ("Transformers", "1", False),
    ]


def test_a_long_facet_shows_its_first_values_and_the_rest_on_demand(
    make_model: Make, admin_client: Client
) -> None:
    for number in range(20):
        make_model(f"m{number}", license=f"license-{number:02}")
    html = get(admin_client, "open=license&license=license-15")
    assert len(options(html, "license")) == 20
    assert "11 more</summary>" in html
    shown = html[html.index('id="facet-license"') : html.index("11 more</summary>")]
    assert ("license-15", "1", True) in options(shown, "license")
    assert "data-narrow" in shown


def test_columns_are_chosen_in_the_address(shelf: None, admin_client: Client) -> None:
    html = get(admin_client)
    heads = re.findall(r"<th [^>]*>(?:<a [^>]*>)?([^<]+)", html)
    assert [head.strip() for head in heads if head.strip()] == [
        "Name",
        "Category",
        "Runs with",
        "Params",
        "Context",
        "Size",
        "Status",
    ]
    for query in (
        "columns=license,tags,memory",
        "columns=memory&columns=tags&columns=license&columns=nonsense",
    ):
        html = get(admin_client, query)
        heads = re.findall(r"<th [^>]*>(?:<a [^>]*>)?([^<]+)", html)
        assert [head.strip() for head in heads if head.strip()] == [
            "Name",
            "Memory",
            "License",
            "Tags",
        ]
        assert "apache-2.0" in html
        assert "<bdi>&lt;prod&gt;</bdi></a>" in html
    assert "Category</th>" in get(admin_client, "columns=nonsense")


@pytest.mark.slow
def test_every_column_can_be_shown(admin_client: Client) -> None:
    fill(60)
    from discovery.web.model_list import COLUMNS

    html = get(admin_client, f"columns={','.join(COLUMNS)}&density=compact")
    assert len(names(html)) == 50
    assert "None" not in re.sub(r"<[^>]+>", "", html)
    assert '<table class="models compact" data-editable>' in html
    for name in COLUMNS:
        assert len(names(get(admin_client, f"columns={name}"))) == 50


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("q=params:>big", "is not a number with one of the units"),
        ("q=colour:red+alpha", "there is no field"),
        ("min_params=lots", "is not a number with one of the units k, m, b, t"),
        ("q=" + "a" * 600, "longer than 500 characters"),
        ("&".join(f"license={number}" for number in range(51)), "51 values are too many"),
    ],
)
def test_what_is_not_understood_is_said_and_nothing_is_listed(
    query: str, told: str, shelf: None, admin_client: Client
) -> None:
    html = get(admin_client, query, status=422)
    assert told in html.replace("“", "").replace("”", "")
    assert "That search couldn't be understood." in html
    assert names(html) == []
    assert options(html, "status") or "license=" in query
    assert 'id="bulk"' not in html
    part = get(admin_client, query, status=422, **HTMX)
    assert '<div id="results">' in part
    assert "<html" not in part


def test_the_box_keeps_what_was_typed(shelf: None, admin_client: Client) -> None:
    html = get(admin_client, "q=license:mit+%22al%22")
    assert 'value="license:mit &quot;al&quot;"' in html
    assert names(html) == ["alpha"]
    assert "How to search" in html


def test_the_selection_goes_to_bulk_edits_by_ids_or_by_the_filter(
    shelf: None, admin_client: Client
) -> None:
    html = get(admin_client, "primary=LANGUAGE&q=a")
    assert '<input type="checkbox" name="id" value="alpha"' in html
    assert 'name="query" value="q=a&amp;primary=LANGUAGE"' in html
    assert "All 2 that match" in html
    for kind in ("metadata", "tags", "category", "collection", "visibility", "validate"):
        assert f'name="kind" value="{kind}"' in html
    response = admin_client.post("/bulk/", {"query": "q=a&primary=LANGUAGE", "kind": "tags"})
    assert response.status_code == 200
    assert b"2 models" in response.content


def test_the_export_is_of_what_is_shown(shelf: None, admin_client: Client) -> None:
    assert 'href="/export/?primary=VISION&amp;format=csv"' in get(
        admin_client, "primary=VISION&columns=size&page=1"
    )


def test_names_of_any_kind_leave_facets_and_chips_whole(
    make_model: Make, admin_client: Client
) -> None:
    for number, license_ in enumerate(("<b>bold</b>", "رخصة", "许可" * 100, '"><script>')):
        make_model(f"m{number}", license=license_)
    html = get(admin_client, "open=license&license=%22%3E%3Cscript%3E&open=%00&columns=license")
    assert "<script>" not in html.replace('<script src="/static', "")
    assert "<b>bold" not in html
    assert len(options(html, "license")) == 4
    assert names(html) == ["m3"]


@pytest.mark.parametrize(
    "query",
    [
        "page=1000000000",
        "page=-1",
        "status=%FF%FE",
        "density=loose",
        "open=tag&open=tag&open=nothing",
        "type=&type=",
        "q=%00",
    ],
)
def test_addresses_that_make_no_sense_leave_the_page_whole(
    query: str, shelf: None, admin_client: Client
) -> None:
    assert get(admin_client, query).rstrip().endswith("</html>")


def test_the_number_of_queries_is_fixed_whatever_is_asked(
    admin_client: Client, reader_client: Client, django_assert_num_queries: Any
) -> None:
    fill(20)
    get(admin_client)
    asked = {
        "": 8, "q=llama": 8, "status=READY&type=LLAMA_CPP": 8, "sort=-size&q=params:>1b": 8,
        "columns=tags,memory": 9, "tag=prod": 9,
        "open=tag&open=license&open=collection": 10, "root=/srv/models": 9,
    }  # fmt: skip
    for turn in (1, 2):
        for query, number in asked.items():
            get(admin_client, query, **HTMX)  # what is counted once after a change
            with django_assert_num_queries(number):
                get(admin_client, query, **HTMX)
        if turn == 1:
            fill(200)
    with django_assert_num_queries(10):
        get(reader_client, "q=llama", **HTMX)

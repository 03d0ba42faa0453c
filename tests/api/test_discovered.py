"""The list of models: filters, order, pages, and the cursor that meets each model once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from discovery.engine.identify.document import CATEGORIES, LISTS, OBJECTS, TEXTS_AND_NUMBERS
from discovery.models import Collection, RegisteredModel
from discovery.services.registry import records, tags
from discovery.services.search import filters

Make = Callable[..., RegisteredModel]

LIST = "/api/models/discovered"


def names(client: Client, query: str = "") -> list[str]:
    response = client.get(f"{LIST}?{query}")
    assert response.status_code == 200, response.content
    return [row["name"] for row in response.json()["results"]]


@pytest.fixture
def shelf(make_model: Make) -> None:
    chat = make_model(
        "chat",
        size_bytes=3,
        parameter_count=7_000,
        license="mit",
        primary="LANGUAGE",
        secondary="CHAT",
        tags=["good", "new"],
        memory_bytes=5,
        extracted={"modalities": ["TEXT"], "capabilities": ["CHAT"]},
    )
    seeing = make_model(
        "seeing",
        size_bytes=1,
        parameter_count=1_000,
        license="apache-2.0",
        primary="VISION",
        type="ONNX",
        tags=["new"],
        memory_bytes=10**15,
        extracted={"modalities": ["TEXT", "IMAGE"]},
    )
    make_model("plain", size_bytes=2, status="CORRUPT")
    tags.sync([chat, seeing])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("search=HAT", ["chat"]),
        ("type=ONNX&type=TRANSFORMERS&primary=VISION", ["seeing"]),
        ("primary=VISION&primary=LANGUAGE", ["chat", "seeing"]),
        ("secondary=CHAT", ["chat"]),
        ("license=mit&license=apache-2.0&ordering=-name", ["seeing", "chat"]),
        ("license=none", ["plain"]),
        ("license=nobody", []),
        ("tag=new&tag=good", ["chat", "seeing"]),
        ("tag=new&license=mit", ["chat"]),
        ("status=CORRUPT", ["plain"]),
        ("visibility=RESTRICTED&search=plain", ["plain"]),
        ("root=/srv/models&search=chat", ["chat"]),
        ("ordering=size_bytes", ["seeing", "plain", "chat"]),
        ("ordering=-parameter_count", ["chat", "seeing", "plain"]),
        ("ordering=parameter_count", ["seeing", "chat", "plain"]),
    ],
)
def test_filters_narrow_and_order_is_stable(
    query: str, found: list[str], shelf: None, administrator: Client
) -> None:
    assert names(administrator, query) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("collection=Best", ["big"]),
        ("collection=none", ["bare", "small"]),
        ("collection=best", []),
        ("author=anna", ["small"]),
        ("author=anna&author=bert", ["big", "small"]),
        ("author=none", ["bare"]),
        ("family=llama", ["big"]),
        ("architecture=BertModel", ["small"]),
        ("quantization=Q4_K_M", ["big"]),
        ("quantization=none&author=none", ["bare"]),
        ("dtype=BF16", ["small"]),
        ("min_context=4096", ["big"]),
        ("max_context=4096", ["big", "small"]),
        ("max_context=4095", ["small"]),
        ("min_memory=10", ["big"]),
        ("max_memory=10", ["big", "small"]),
        ("min_memory=6&max_memory=9", []),
    ],
)
def test_what_the_models_page_narrows_by_does_the_api_too(
    query: str, found: list[str], make_model: Make, administrator: Client
) -> None:
    make_model("bare")
    make_model(
        "small", author="anna", architecture="BertModel", dtype="BF16",
        extracted={"model_family": "bert"}, context_length=512, memory_bytes=5,
    )  # fmt: skip
    big = make_model(
        "big", author="bert", architecture="LlamaForCausalLM", quantization="Q4_K_M",
        extracted={"model_family": "llama"}, context_length=4096, memory_bytes=10,
    )  # fmt: skip
    big.collections.add(Collection.objects.create(name="Best"))
    assert names(administrator, query) == found


def test_every_filter_of_the_models_page_is_one_of_the_api(administrator: Client) -> None:
    document = administrator.get("/api/openapi.json").json()
    told = {each["name"] for each in document["paths"][LIST]["get"]["parameters"]}
    assert {*filters.FILTERS, *filters.BOUNDS} - told == set()


@pytest.mark.parametrize(
    "query", ["min_memory=lots", "max_context=-1", f"author={'x&author=' * 60}"]
)
def test_a_filter_that_cannot_be_is_refused(query: str, administrator: Client) -> None:
    assert administrator.get(f"{LIST}?{query}").status_code == 422


def test_facets_count_what_the_caller_sees_each_under_all_other_filters(
    shelf: None, administrator: Client, anybody: Client
) -> None:
    told = administrator.get(f"{LIST}?facets=true&primary=VISION").json()
    fixed = (
        "type format primary secondary specialization modality capability tag license status"
        " visibility root fits"
    )
    assert set(told["facets"]) == set(filters.FACETS) >= set(fixed.split())
    assert [row["name"] for row in told["results"]] == ["seeing"]
    assert {row["value"]: row["count"] for row in told["facets"]["primary"]} == {
        "LANGUAGE": 1,
        "VISION": 1,
        "none": 1,
    }
    assert told["facets"]["type"] == [{"value": "ONNX", "count": 1}]
    assert told["facets"]["tag"] == [{"value": "new", "count": 1}]
    hidden = anybody.get(f"{LIST}?facets=true").json()
    assert "collection" not in hidden["facets"]
    assert (hidden["count"], [row for rows in hidden["facets"].values() for row in rows]) == (0, [])
    assert "facets" not in administrator.get(LIST).json()


def test_a_search_that_is_not_understood_is_refused_with_the_reason(
    shelf: None, administrator: Client
) -> None:
    response = administrator.get(f"{LIST}?search=params:many")
    assert response.status_code == 422
    assert response.json()["errors"][0]["loc"] == ["query", "search"]
    assert "params" in response.json()["errors"][0]["msg"]


def test_pages_link_to_their_neighbours_and_end(make_model: Make, administrator: Client) -> None:
    for number in range(5):
        make_model(f"m{number}")
    pages = [
        administrator.get(f"{LIST}?page_size=2&page={number}").json()
        for number in (1, 2, 3, 4, 1_000_000_000)
    ]
    assert [len(page["results"]) for page in pages] == [2, 2, 1, 0, 0]
    assert {page["count"] for page in pages} == {5}
    assert [bool(page["next"]) for page in pages] == [True, True, False, False, False]
    assert administrator.get(pages[0]["next"]).json()["results"] == pages[1]["results"]
    assert administrator.get(pages[2]["previous"]).json()["results"] == pages[1]["results"]
    assert administrator.get(pages[4]["previous"]).json()["results"] == pages[2]["results"]


def follow(
    client: Client, address: str, between: Callable[[], Any] = lambda: None
) -> Iterator[str]:
    while address:
        page = client.get(address).json()
        yield from (row["model_id"] for row in page["results"])
        between()
        address = page["next"]


def test_the_cursor_meets_each_model_once_while_models_come_go_and_change(
    make_model: Make, administrator: Client
) -> None:
    for number in range(20):
        make_model(f"m{number:02}", parameter_count=number)
    came = iter(range(100))

    def scan_goes_on() -> None:
        make_model(f"a-new-one-{next(came)}")
        RegisteredModel.objects.filter(model_id="m03").update(name="zz", parameter_count=10**9)

    met = list(follow(administrator, f"{LIST}?cursor=&page_size=3", scan_goes_on))
    assert len(met) == len(set(met))
    assert {f"m{number:02}" for number in range(20)} <= set(met)


@pytest.mark.parametrize(
    "query",
    ["cursor=zzz", "cursor=YWZ0ZXIgLTE", "cursor=%00", "cursor=&page=2", "cursor=&ordering=-name"],
)
def test_a_cursor_of_somebody_elses_making_is_refused(query: str, administrator: Client) -> None:
    assert administrator.get(f"{LIST}?{query}").status_code == 422


def test_the_list_takes_the_same_few_queries_however_long(
    make_model: Make, administrator: Client, django_assert_num_queries: Any
) -> None:
    queries: DjangoAssertNumQueries = django_assert_num_queries
    administrator.get(LIST)
    for number in range(30):
        make_model(f"m{number}", tags=["a", "b"])
        if number in (0, 29):
            # Whether tokens are locked, the token, the roots, the version, the count, the keys,
            # the rows.
            with queries(7):
                administrator.get(LIST)


def test_the_document_has_every_field_of_the_contract(
    make_model: Make, administrator: Client
) -> None:
    model = make_model(
        "m",
        license="mit",
        tags=["a"],
        variants=[
            {"name": "Q4", "path": "m", "status": "READY", "size_bytes": 5, "weights_bytes": 5}
        ],
    )
    document = administrator.get(f"/api/models/{model.model_id}").json()
    promised = {
        *TEXTS_AND_NUMBERS,
        *LISTS,
        *OBJECTS,
        "model_id",
        "name",
        "path",
        "root",
        "status",
        "category",
        "memory",
        "variants",
        "size_bytes",
    }
    promised |= {
        "file_count",
        "modified_at",
        "added_at",
        "last_seen_at",
        "visibility",
        "groups",
        "sources",
        "evidence",
    }
    assert promised <= set(document)
    assert set(document) == set(records.document(model)), "the schema hides a field of the document"
    assert set(document["category"]) == set(CATEGORIES)
    assert document["sources"]["license"] == {"source": "config.json", "curated": False}
    assert document["variants"][0]["memory"]["weights_bytes"] == 5
    assert document["description"] in (None, "")
    assert document["added_at"].endswith("Z")


@pytest.mark.parametrize(
    "model_id", ["nope", "%00", "..%2F..", "a%0Ab", "x" * 5000, "%F0%9F%A6%99"]
)
def test_an_id_that_is_none_is_404(model_id: str, administrator: Client) -> None:
    assert administrator.get(f"/api/models/{model_id}").status_code == 404

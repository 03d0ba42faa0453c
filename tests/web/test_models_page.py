"""The Models page: who sees what, searching, sorting, paging, and what it says when there is
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from discovery.models import Collection, RegisteredModel, Root, Visibility
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]

HTMX = {"HX-Request": "true"}


def names(html: str) -> list[str]:
    return re.findall(r'<a class="name" href="[^"]+"><bdi>([^<]+)</bdi>', html)


def get(client: Client, **query: Any) -> str:
    response = client.get("/models/", query)
    assert response.status_code == 200
    return page_text(response)


def test_a_row_shows_what_one_asks_of_a_model_first(admin_client: Client, make_model: Make) -> None:
    make_model(
        "mixtral",
        path="language/mixtral",
        type="LLAMA_CPP",
        quantization="Q4_K_M",
        parameter_count=46_702_792_704,
        context_length=32768,
        size_bytes=26_441_533_376,
    )
    html = get(admin_client)
    for text in (
        "mixtral",
        "language/mixtral",
        "llama.cpp",
        "Q4_K_M",
        "46.7 B",
        "32,768",
        "26.4 GB",
        "Ready",
        "1 model<",
    ):
        assert text in html


def test_unknown_values_are_dashes_not_none(admin_client: Client, make_model: Make) -> None:
    make_model()
    html = get(admin_client)
    assert "None" not in html
    assert '<td class="num wide-only">–</td>' in html


@pytest.mark.parametrize(
    ("status", "word", "tone"),
    [
        ("CORRUPT", "Corrupt", "bad"),
        ("INCOMPLETE", "Incomplete", "warn"),
        ("UNSAFE", "Unsafe", "bad"),
    ],
)
def test_a_status_is_a_word_with_the_first_problem(
    status: str, word: str, tone: str, admin_client: Client, make_model: Make
) -> None:
    problems = [
        {
            "code": "card_invalid",
            "message": "front matter",
            "path": "",
            "severity": "warning",
            "offset": None,
        },
        {
            "code": "shards_missing",
            "message": "2 weight files of 3 are missing",
            "path": "x",
            "severity": "error",
            "offset": None,
        },
    ]
    make_model(status=status, problems=problems)
    html = get(admin_client)
    assert (
        f'<span class="status {tone}" title="2 weight files of 3 are missing">{word}</span>' in html
    )
    assert "shards missing" in html


def test_missing_models_say_since_when(admin_client: Client, make_model: Make) -> None:
    make_model(status="MISSING", missing_since=datetime(2026, 3, 4, tzinfo=UTC))
    assert "since 4 Mar 2026" in get(admin_client)


def test_a_category_is_a_chip_with_the_use_below(admin_client: Client, make_model: Make) -> None:
    make_model("plain")
    assert "chip cat" not in get(admin_client)
    make_model("sorted", primary="LANGUAGE", secondary="CHAT")
    assert (
        '<span class="chip cat cat-language">Language</span><div class="under">Chat</div>'
        in get(admin_client)
    )


def test_visitors_are_sent_to_sign_in_and_come_back(client: Client, db: None) -> None:
    assert client.get("/models/?q=bert").headers["Location"] == "/login/?next=/models/%3Fq%3Dbert"


def test_an_expired_session_redirects_the_whole_page(client: Client, db: None) -> None:
    response = client.get(
        "/models/?q=bert", headers={**HTMX, "HX-Current-URL": "http://testserver/models/?q=be"}
    )
    assert response.headers["HX-Redirect"] == "/login/?next=/models/%3Fq%3Dbe"
    assert b"<form" not in response.content


def test_readers_see_and_count_only_what_is_shared_with_them(
    reader_client: Client, user: User, make_model: Make
) -> None:
    group, other = Group.objects.create(name="researchers"), Group.objects.create(name="others")
    user.groups.add(group)
    make_model("public-model", visibility=Visibility.PUBLIC)
    make_model("granted-model").groups.add(group)
    collection = Collection.objects.create(name="shelf")
    collection.groups.add(group)
    make_model("collected-model").collections.add(collection)
    make_model("foreign-model").groups.add(other)
    make_model("secret-model", visibility=Visibility.ADMIN_ONLY).groups.add(group)
    html = get(reader_client)
    assert names(html) == ["collected-model", "granted-model", "public-model"]
    assert "3 models" in html
    assert '<span class="count" id="nav-models">3</span>' in html
    assert names(get(reader_client, q="model")) == [
        "collected-model",
        "granted-model",
        "public-model",
    ]
    for narrowed in (
        {"q": "public"},
        {"q": "nothing:at:all"},
        {"visibility": "PUBLIC"},
        {"status": "CORRUPT"},
        {"tag": "x"},
    ):
        assert '<span class="count" id="nav-models">3</span>' in page_text(
            reader_client.get("/models/", narrowed)
        ), narrowed


def test_htmx_gets_the_rows_alone_and_caches_keep_them_apart(
    admin_client: Client, make_model: Make
) -> None:
    make_model()
    page, part = admin_client.get("/models/"), admin_client.get("/models/", headers=HTMX)
    assert "HX-Request" in page.headers["Vary"]
    assert "HX-Request" in part.headers["Vary"]
    assert b'<nav class="side"' in page.content
    assert b"<html" not in part.content
    assert b'<div id="results"' in part.content
    assert (
        b'<div id="live" hx-swap-oob="innerHTML"><span class="visually-hidden">1 model</span>'
        in part.content
    )


@pytest.mark.parametrize("header", [{"HX-Boosted": "true"}, {"HX-History-Restore-Request": "true"}])
def test_boosted_and_restored_pages_are_whole(
    header: dict[str, str], admin_client: Client, make_model: Make
) -> None:
    make_model()
    html = page_text(admin_client.get("/models/", headers={**HTMX, **header}))
    assert "<html" in html
    assert '<span class="count" id="nav-models">1</span>' in html


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("llama", ["Llama-3", "tiny"]),
        ("LLAMA chat", ["tiny"]),
        ("chat llama", ["tiny"]),
        ("ben", ["tiny"]),
        ("llama  3", ["Llama-3"]),
        ("%", []),
        ("_", []),
        ("llama nothing", []),
        ("über", ["Übersetzer"]),
        ("模型", ["中文模型"]),
        ("", ["Llama-3", "tiny", "Übersetzer", "中文模型"]),
        ("  \x00 ", ["Llama-3", "tiny", "Übersetzer", "中文模型"]),
    ],
)
def test_search_wants_every_word_somewhere_in_name_or_path(
    query: str, found: list[str], admin_client: Client, make_model: Make
) -> None:
    make_model("Llama-3")
    make_model("tiny", path="chat/llama/big-Benny")
    make_model("Übersetzer", model_id="u")
    make_model("中文模型", model_id="z")
    assert sorted(names(get(admin_client, q=query))) == sorted(found)


def test_the_display_name_is_searched_shown_and_sorted_by(
    admin_client: Client, make_model: Make
) -> None:
    make_model("zz-folder", display_name="Alpha Model")
    make_model("beta")
    assert names(get(admin_client)) == ["Alpha Model", "beta"]
    assert names(get(admin_client, q="alpha")) == ["Alpha Model"]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("name", ["a", "B", "c"]),
        ("-name", ["c", "B", "a"]),
        ("size", ["c", "a", "B"]),
        ("-size", ["B", "a", "c"]),
        ("params", ["B", "a", "c"]),
        ("-params", ["a", "B", "c"]),
        ("context", ["c", "B", "a"]),
        ("-added", ["c", "B", "a"]),
        ("nonsense", ["a", "B", "c"]),
        ("--size", ["a", "B", "c"]),
        ("", ["a", "B", "c"]),
    ],
)
def test_sorting_ignores_case_and_puts_the_unknown_last(
    sort: str, order: list[str], admin_client: Client, make_model: Make
) -> None:
    make_model(
        "a",
        size_bytes=20,
        parameter_count=9,
        context_length=300,
        added_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    make_model(
        "B",
        size_bytes=30,
        parameter_count=8,
        context_length=200,
        added_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    make_model("c", size_bytes=10, context_length=100, added_at=datetime(2026, 1, 3, tzinfo=UTC))
    assert names(get(admin_client, sort=sort)) == order


def test_the_sorted_column_says_so_and_its_link_turns_the_order_round(
    admin_client: Client, make_model: Make
) -> None:
    make_model()
    html = get(admin_client, sort="-size", q="tiny")
    assert html.count("aria-sort") == 1
    assert (
        '<th scope="col" class="num wide-only" aria-sort="descending"><a id="sort-size"'
        ' href="?sort=size&amp;q=tiny"' in html
    )
    assert 'id="sort-params" href="?sort=-params&amp;q=tiny"' in html


def test_fifty_models_a_page_and_a_way_to_the_others(
    admin_client: Client, make_model: Make
) -> None:
    for number in range(103):
        make_model(f"model-{number:03}")
    html = get(admin_client, page=2, sort="name")
    assert names(html)[0] == "model-050"
    assert "51–100 of 103" in html
    assert 'href="?page=3&amp;sort=name"' in html
    assert "103 models" in html


@pytest.mark.parametrize(
    ("page", "first"),
    [
        ("abc", "model-00"),
        ("", "model-00"),
        ("1000000000", "model-50"),
        ("9" * 6000, "model-50"),
        ("1.5", "model-00"),
        ("٢", "model-50"),
    ],
)
def test_a_page_number_that_makes_no_sense_still_shows_models(
    page: str, first: str, admin_client: Client, make_model: Make
) -> None:
    for number in range(52):
        make_model(f"model-{number:02}")
    assert names(get(admin_client, page=page))[0] == first


def test_the_number_of_queries_does_not_grow_with_the_rows(
    admin_client: Client, make_model: Make, django_assert_num_queries: Any
) -> None:
    for number in range(3):
        make_model(
            f"model-{number}",
            problems=[
                {
                    "code": "truncated",
                    "message": "cut",
                    "path": "",
                    "severity": "error",
                    "offset": 1,
                }
            ],
        )
    # One of them asks whether the counts of the last page still hold.
    with django_assert_num_queries(13):
        get(admin_client)
    for number in range(3, 60):
        make_model(
            f"model-{number}",
            problems=[
                {
                    "code": "truncated",
                    "message": "cut",
                    "path": "",
                    "severity": "error",
                    "offset": 1,
                }
            ],
        )
    # One of them asks whether the counts of the last page still hold.
    with django_assert_num_queries(13):
        get(admin_client)
    with django_assert_num_queries(8):
        admin_client.get("/models/", headers=HTMX)


def test_nothing_found_offers_to_clear_the_search(admin_client: Client, make_model: Make) -> None:
    make_model()
    html = get(admin_client, q="<b>nowhere</b>", sort="-size")
    assert "No models match" in html
    assert "&lt;b&gt;nowhere&lt;/b&gt;" in html
    assert 'href="/models/?sort=-size"' in html
    assert "0 models" in html


def test_an_empty_registry_tells_administrators_where_to_put_models(
    admin_client: Client, settings: Any
) -> None:
    settings.MODELS_DIR = "/srv/my-models"
    html = get(admin_client)
    assert "No models yet" in html
    assert "<code>/srv/my-models</code>" in html
    assert 'href="/welcome/"' in html
    Root.objects.create(path="/mnt/nas")
    assert "<code>/mnt/nas</code>" in get(admin_client)


def test_an_empty_registry_tells_readers_nothing_of_folders(reader_client: Client) -> None:
    Root.objects.create(path="/mnt/nas")
    html = get(reader_client)
    assert "No models are shared with you" in html
    assert "/mnt/nas" not in html
    assert "/scans/" not in html


def test_names_of_any_kind_leave_the_page_whole(admin_client: Client, make_model: Make) -> None:
    for number, name in enumerate(
        [
            "<script>alert(1)</script>",
            "x" * 500,
            "مرحبا بالعالم",
            '"><img src=x>',
            "模型" * 200,
            "{{ 7|add:7 }}",
        ]
    ):
        make_model(name, model_id=f"model-{number}")
    html = get(admin_client)
    assert len(names(html)) == 6
    assert "<script>alert" not in html
    assert "<img" not in html
    assert html.rstrip().endswith("</html>")

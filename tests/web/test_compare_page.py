"""Compare: models side by side, what differs, their tensors; and what it says when there is too
little or too much to compare.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from discovery.models import RegisteredModel, Root, ScanRun, Visibility
from discovery.services import scans
from discovery.services.insight import comparison
from tests.support import builders
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]
HTMX = {"HX-Request": "true"}


def get(client: Client, query: str, **headers: str) -> str:
    response = client.get(f"/compare/?{query}", headers=headers or None)
    assert response.status_code == 200
    return page_text(response)


def rows(html: str) -> dict[str, tuple[list[str], bool]]:
    """{label: (values, differs)}"""
    found = re.findall(
        r'<tr( class="differs")?><th'
        r' scope="row"><bdi>([^<]+)</bdi>(?:<span[^>]*>[^<]*</span>)?</th>(.*?)</tr>',
        html,
        re.DOTALL,
    )
    return {
        label: (re.findall(r"<td><bdi>([^<]*)</bdi></td>", cells), bool(differs))
        for differs, label, cells in found
    }


@pytest.fixture
def pair(make_model: Make) -> None:
    make_model(
        "one",
        parameter_count=8 * 10**9,
        license="mit",
        primary="LANGUAGE",
        size_bytes=5,
        extracted={"custom": {"epochs": 3}},
    )
    make_model("two", parameter_count=7 * 10**9, license="mit", primary="LANGUAGE", size_bytes=6)


def test_values_stand_side_by_side_and_differences_are_marked(
    pair: None, admin_client: Client
) -> None:
    told = rows(get(admin_client, "id=two&id=one"))
    assert told["Parameters"] == (["7.0 B", "8.0 B"], True)
    assert told["License"] == (["mit", "mit"], False)
    assert told["epochs"] == (["–", "3"], True)
    assert told["Size on disk"] == (["6 B", "5 B"], True)
    assert "Architecture" not in told


def test_only_the_differences_can_be_shown(pair: None, admin_client: Client) -> None:
    html = get(admin_client, "id=one&id=two&only=differences")
    told = rows(html)
    assert "License" not in told
    assert all(differs for _, differs in told.values())
    assert 'href="/compare/?id=one&amp;id=two"' in html
    assert 'href="/compare/?id=two&amp;only=differences" aria-label="Remove one"' in html
    assert "<html" not in get(admin_client, "id=one&id=two&only=differences", **HTMX)


def test_models_that_are_alike_say_so(make_model: Make, admin_client: Client) -> None:
    for name in ("a", "b"):
        make_model(name, path=f"x/{name}", license="mit")
    told = rows(get(admin_client, "id=a&id=b&only=differences"))
    assert list(told) == ["Folder"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "Which models?"),
        ("id=one", "One more model is needed"),
        ("id=one&id=one", "One more model is needed"),
        ("id=one&id=nobody", "There is no model nobody, or you may not see it."),
        ("id=%00&id=" + "x" * 500, "There is no model xxx"),
        ("id=nobody&id=noone", "Which models?"),
    ],
)
def test_too_few_models_are_asked_for_in_words(
    query: str, told: str, pair: None, admin_client: Client
) -> None:
    html = get(admin_client, query)
    assert told in html
    assert 'name="add"' in html
    assert html.rstrip().endswith("</html>")


def test_a_seventh_model_is_left_out_by_name(make_model: Make, admin_client: Client) -> None:
    for number in range(1, 8):
        make_model(f"m{number}")
    html = get(admin_client, "&".join(f"id=m{number}" for number in range(1, 8)))
    assert "At most 6 models stand side by side. Left out: m7." in html
    assert len(rows(html)["Status"][0]) == 6
    assert 'name="add"' not in html


def test_a_model_is_added_by_what_it_is_called(
    pair: None, make_model: Make, admin_client: Client
) -> None:
    make_model("<three>", model_id="three")
    html = get(admin_client, "id=one&add=thr")
    assert 'href="/compare/?id=one&amp;id=three" aria-label="Add &lt;three&gt;"' in html
    assert "No other model holds <strong" in get(admin_client, "id=one&add=nothing-like-it")
    assert "is not a number" in get(admin_client, "id=one&add=params:>x")


def test_a_selection_becomes_an_address(pair: None, admin_client: Client) -> None:
    response = admin_client.post("/compare/", {"id": ["two", "one"], "kind": "tags"})
    assert response.headers["Location"] == "/compare/?id=two&id=one"
    assert admin_client.post("/compare/", {"query": ""}).headers["Location"] == "/compare/"


def test_readers_compare_only_what_they_may_see(
    pair: None, make_model: Make, reader_client: Client
) -> None:
    make_model("open", visibility=Visibility.PUBLIC)
    html = get(reader_client, "id=open&id=one&add=tw")
    assert "There is no model one, or you may not see it." in html
    assert "Add two" not in html


def test_the_number_of_queries_is_the_same_for_two_and_for_six(
    make_model: Make, admin_client: Client, django_assert_num_queries: Any
) -> None:
    for number in range(6):
        make_model(f"m{number}")
    for query in ("id=m0&id=m1", "&".join(f"id=m{number}" for number in range(6))):
        with django_assert_num_queries(3):
            get(admin_client, query, **HTMX)


@pytest.fixture
def llamas(db: None, models_root: Path) -> list[str]:
    builders.transformers(models_root / "llama-small", family="llama", layers=2, vocab=200)
    builders.transformers(models_root / "llama-large", family="llama", layers=3, vocab=200)
    builders.transformers(models_root / "llama-twin", family="llama", layers=2, vocab=200)
    builders.transformers(models_root / "bert", family="bert", layers=2, vocab=200)
    Root.objects.create(path=str(models_root))
    run, _ = scans.start_now(ScanRun.Trigger.COMMAND)
    scans.execute(run)
    return ["llama-small", "llama-large", "llama-twin"]


def test_tensors_that_one_model_lacks_are_listed(llamas: list[str], admin_client: Client) -> None:
    page = get(admin_client, "id=llama-small&id=llama-large")
    assert "tensors=1" in page
    part = get(admin_client, "id=llama-small&id=llama-large&tensors=1", **HTMX)
    assert part.lstrip().startswith("<section")
    assert "model.layers.2." in part
    assert "not there" in part
    assert "model.layers.0." not in part
    assert "layers.2." in get(admin_client, "id=llama-small&id=llama-large&tensors=1")


def test_the_tensors_of_twins_are_the_same(llamas: list[str], admin_client: Client) -> None:
    part = get(admin_client, "id=llama-small&id=llama-twin&tensors=1", **HTMX)
    assert re.search(r"All \d+ tensors have the same names, shapes and number types.", part)


def test_tensors_of_other_architectures_and_of_missing_files_are_not_compared(
    llamas: list[str], admin_client: Client, models_root: Path
) -> None:
    assert "between models of one architecture" in get(
        admin_client, "id=llama-small&id=bert&tensors=1"
    )
    weights = next((models_root / "llama-large").glob("*.safetensors"))
    weights.write_bytes(b"broken")
    part = get(admin_client, "id=llama-small&id=llama-large&tensors=1", **HTMX)
    assert "llama-large: " in part


def test_tensor_differences_are_capped_and_counted(
    llamas: list[str], monkeypatch: pytest.MonkeyPatch, admin_client: Client
) -> None:
    monkeypatch.setattr(comparison, "MAX_TENSORS", 2)
    part = get(admin_client, "id=llama-small&id=llama-large&tensors=1", **HTMX)
    assert re.search(r"The first 2 of \d+ are listed.", part)
    assert part.count("not there") == 2

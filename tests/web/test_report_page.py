"""The Completeness page: the worst first, filters, advice, and filling in what is missing in its
line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from discovery.models import RegisteredModel
from discovery.services.insight import completeness_report
from discovery.services.metadata import metadata
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]
HTMX = {"HX-Request": "true"}
FULL = {
    "description": "d", "license": "mit", "capabilities": ["CHAT"],
    "resource_requirements": {"ram": 1}, "performance_metrics": {"speed": 1},
    "language_support": ["en"], "modalities": ["TEXT"],
}  # fmt: skip


@pytest.fixture
def models(make_model: Make) -> dict[str, RegisteredModel]:
    half = {name: FULL[name] for name in ("description", "license", "capabilities", "modalities")}
    return {
        "whole": make_model(
            "whole-model",
            extracted=FULL,
            path="language/chat/whole-model",
            primary="LANGUAGE",
            secondary="CHAT",
        ),
        "half": make_model("half-model", extracted=half),
        "bare": make_model(
            "Bare Model", model_id="bare", parameter_count=7_000_000_000, primary="VISION"
        ),
    }


def titles(client: Client, **query: str) -> list[str]:
    html = page_text(client.get("/report/", query))
    return re.findall(r'<li class="report-line".*?<bdi>(.*?)</bdi>', html, re.S)


def test_administrators_alone_see_it(reader_client: Client) -> None:
    assert reader_client.get("/report/").status_code == 403
    assert reader_client.get("/report/half-model/license/").status_code == 403


def test_the_worst_described_come_first(
    admin_client: Client, models: dict[str, RegisteredModel]
) -> None:
    assert titles(admin_client) == ["Bare Model", "half-model", "whole-model"]
    assert [models[name].completeness for name in ("bare", "half", "whole")] == [0, 50, 100]
    html = page_text(admin_client.get("/report/"))
    assert '<span class="figure">50 %</span>' in html
    assert "1 described in full" in html


def test_each_filter_counts_and_shows_what_lacks_that(
    admin_client: Client, models: dict[str, RegisteredModel]
) -> None:
    assert titles(admin_client, lacking="license") == ["Bare Model"]
    assert titles(admin_client, lacking="performance_metrics") == ["Bare Model", "half-model"]
    assert titles(admin_client, lacking="naming") == ["Bare Model"]
    assert titles(admin_client, lacking="nonsense") == titles(admin_client)
    told = completeness_report.summary(User(is_superuser=True))
    assert told.lacking == {
        "description": 1, "license": 1, "capabilities": 1, "resource_requirements": 2,
        "performance_metrics": 2, "language_support": 1, "naming": 1,
    }  # fmt: skip


def test_a_line_says_what_is_missing_and_what_the_guide_advises(
    admin_client: Client, models: dict[str, RegisteredModel]
) -> None:
    html = page_text(admin_client.get("/report/"))
    for text in ("bare-model-7b", "vision/bare-model-7b", "Add license to Bare Model"):
        assert text in html
    advice = completeness_report.advice(models["whole"])
    assert not advice.is_needed


def test_a_missing_field_is_filled_in_where_it_is_listed(
    admin_client: Client, models: dict[str, RegisteredModel]
) -> None:
    url = "/report/bare/license/"
    form = page_text(admin_client.get(url, headers=HTMX))
    assert 'name="license"' in form
    assert "<html" not in form
    seen = {"seen-license": metadata.stamp(models["bare"], "license")}
    wrong = admin_client.post(url, {**seen, "license": "x" * 201, "action": "save"}, headers=HTMX)
    assert wrong.status_code == 422
    assert "at most 200 characters" in page_text(wrong)
    saved = admin_client.post(url, {**seen, "license": "mit", "action": "save"}, headers=HTMX)
    html = page_text(saved)
    assert saved.status_code == 200
    assert "License saved." in html
    assert "20 %" in html
    assert "Add license" not in html
    models["bare"].refresh_from_db()
    assert (models["bare"].license, models["bare"].completeness) == ("mit", 20)
    stale = admin_client.post(url, {**seen, "license": "gpl-3.0", "action": "save"}, headers=HTMX)
    assert stale.status_code == 409
    assert "Keep theirs" in page_text(stale)
    shown = page_text(admin_client.get(url, {"show": "1"}, headers=HTMX))
    assert "<form" not in shown


def test_two_open_lines_have_labels_of_their_own(
    admin_client: Client, models: dict[str, RegisteredModel]
) -> None:
    pages = [
        page_text(admin_client.get(f"/report/{name}/description/", headers=HTMX))
        for name in ("bare", "half-model")
    ]
    ids = [set(re.findall(r' id="([^"]+)"', page)) for page in pages]
    assert ids[0].isdisjoint(ids[1])
    for page, own in zip(pages, ids, strict=True):
        assert set(re.findall(r'aria-(?:labelledby|describedby)="([^"]+)"', page)) <= own


def test_without_javascript_the_metadata_tab_serves(
    admin_client: Client, models: dict[str, RegisteredModel]
) -> None:
    assert (
        admin_client.get("/report/bare/license/")["Location"]
        == "/models/bare/metadata/license/#field-license"
    )
    seen = {"seen-license": metadata.stamp(models["bare"], "license")}
    assert (
        admin_client.post("/report/bare/license/", {**seen, "license": "mit", "action": "save"})[
            "Location"
        ]
        == "/report/"
    )
    assert admin_client.get("/report/bare/author/").status_code == 404
    assert admin_client.get("/report/nobody/license/").status_code == 404


def test_nonsense_in_the_address_leaves_the_page_whole(
    admin_client: Client, models: dict[str, RegisteredModel]
) -> None:
    for query in ({"page": "1" * 30}, {"page": "-1"}, {"lacking": "\0"}, {"lacking": "<b>"}):
        assert admin_client.get("/report/", query).status_code == 200
    assert "No models yet" not in page_text(admin_client.get("/report/"))


def test_an_empty_registry_says_what_to_do(admin_client: Client) -> None:
    assert "No models yet" in page_text(admin_client.get("/report/"))


def test_the_page_costs_a_fixed_number_of_queries(
    admin_client: Client, make_model: Make, django_assert_max_num_queries: Any
) -> None:
    for number in range(60):
        make_model(f"model-{number}")
    with django_assert_max_num_queries(14):
        assert len(titles(admin_client)) == 50


def test_the_model_page_shows_the_score_and_what_is_missing(
    admin_client: Client, reader_client: Client, models: dict[str, RegisteredModel]
) -> None:
    html = page_text(admin_client.get("/models/half-model/"))
    assert "Missing: resource requirements, performance characteristics and its languages." in html
    assert 'href="/models/half-model/metadata/language_support/#field-language_support"' in html
    RegisteredModel.objects.update(visibility="PUBLIC")
    html = page_text(reader_client.get("/models/half-model/"))
    assert "Missing: resource requirements" in html
    assert "/metadata/language_support/" not in html

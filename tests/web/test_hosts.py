"""The server opened under a name that is not allowed, and probes under any name."""

from __future__ import annotations

import pytest
from django.test import Client

EVIL = "box.lan<script>"


@pytest.mark.parametrize("address", ["/", "/models/", "/admin/", "/login/", "/nothing-here/"])
def test_a_page_says_which_name_is_not_allowed_and_which_variable_allows_it(
    address: str, client: Client, settings: object
) -> None:
    settings.ALLOWED_HOSTS = ["127.0.0.1"]  # type: ignore[attr-defined]
    page = client.get(address, headers={"host": "box.lan:8000"})
    assert page.status_code == 400
    assert "does not answer under the name box.lan." in page.text
    assert "KAREN_ALLOWED_HOSTS=127.0.0.1,box.lan" in page.text
    assert "script-src" in page["Content-Security-Policy"]


def test_the_api_says_it_too(client: Client, settings: object) -> None:
    settings.ALLOWED_HOSTS = ["127.0.0.1"]  # type: ignore[attr-defined]
    answer = client.get("/api/models/discovered", headers={"host": "box.lan"})
    assert (answer.status_code, list(answer.json())) == (400, ["detail", "errors"])
    assert "box.lan to KAREN_ALLOWED_HOSTS" in answer.json()["detail"]


@pytest.mark.parametrize("host", [EVIL, "", "a" * 5000, "a b", "[::1", "ä.example"])
def test_a_name_that_is_none_is_refused_and_never_markup(host: str, client: Client) -> None:
    for address in ("/", "/api/models/discovered"):
        page = client.get(address, headers={"host": host})
        assert page.status_code == 400
        assert "<script>" not in page.text
        assert len(page.text) < 5000


@pytest.mark.django_db
@pytest.mark.parametrize("allowed", [["karen.example.org"], [".example.org"], ["*"], []])
@pytest.mark.parametrize("host", ["10.1.2.3:8000", EVIL])
def test_probes_answer_under_any_name(
    host: str, allowed: list[str], client: Client, settings: object
) -> None:
    settings.ALLOWED_HOSTS = allowed  # type: ignore[attr-defined]
    assert client.get("/healthz", headers={"host": host}).status_code == 200
    assert client.get("/readyz", headers={"host": host}).status_code in (200, 503)
    assert client.get("/metrics", headers={"host": host}).status_code in (200, 401)
    assert client.get("/", headers={"host": EVIL}).status_code == 400

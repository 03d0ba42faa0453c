"""The export page streams what the filter shows to whoever may see it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest
from django.test import Client

from discovery.models import RegisteredModel

Make = Callable[..., RegisteredModel]


@pytest.fixture
def shelf(make_model: Make) -> None:
    make_model("a", license="mit", visibility="PUBLIC")
    make_model("b", visibility="PUBLIC", extracted={"format": "gguf"})
    make_model("secret", visibility="ADMIN_ONLY")


def table(client: Client, query: str) -> list[str]:
    response = client.get(f"/export/?{query}")
    assert response.status_code == 200
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith('attachment; filename="models-')
    text = b"".join(response).decode()
    return [row["model_id"] for row in csv.DictReader(io.StringIO(text, newline=""))]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["a", "b", "secret"]),
        ("q=a&format=csv", ["a"]),
        ("sort=-name", ["secret", "b", "a"]),
        ("format=gguf&format=csv", ["b"]),
        ("tag=nowhere", []),
    ],
)
def test_the_filter_and_order_of_the_list_hold(
    query: str, found: list[str], shelf: None, admin_client: Client
) -> None:
    assert table(admin_client, query) == found


def test_nobody_exports_what_they_may_not_see(shelf: None, reader_client: Client) -> None:
    assert table(reader_client, "") == ["a", "b"]
    response = reader_client.get("/export/?format=json")
    assert response["Content-Type"] == "application/json"
    assert [document["model_id"] for document in json.loads(b"".join(response))] == ["a", "b"]


def test_visitors_sign_in_first(shelf: None, client: Client) -> None:
    assert client.get("/export/").status_code == 302

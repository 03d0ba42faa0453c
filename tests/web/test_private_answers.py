"""What is answered to credentials stays out of every cache; what is for everybody may be kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from discovery.services.integrations import api_tokens
from tests.support.pages import every_address, furnish, shelve

PRIVATE = "private, no-store"


@pytest.fixture
def furnished(db: None, models_root: Path, admin_user: User, config_dir: Path) -> None:
    shelve(models_root)
    furnish(admin_user)


@pytest.mark.slow
def test_every_page_part_and_export_for_somebody_signed_in_is_private(
    furnished: None, admin_client: Client
) -> None:
    for name, address in every_address():
        for headers in ({}, {"HX-Request": "true"}):
            assert admin_client.get(address, headers=headers)["Cache-Control"] == PRIVATE, name


@pytest.mark.parametrize(
    "address",
    [
        "/no/such/page/",
        "/models/nobody/",
        "/admin/",
        "/api/docs",
        "/v1/models",
        "/api/models/nobody",
        "/metrics",
    ],
)
def test_errors_the_admin_and_other_doors_are_private_too(
    admin_client: Client, address: str
) -> None:
    assert admin_client.get(address)["Cache-Control"] == PRIVATE


def test_the_api_answers_tokens_privately_and_still_says_not_modified(
    furnished: None, admin_user: User
) -> None:
    _, token = api_tokens.create(admin_user, "test")
    client = Client(headers={"Authorization": f"Bearer {token}"})
    for address in ("/api/models/discovered", "/api/models/llama-chat"):
        first = client.get(address)
        assert (first.status_code, first["Cache-Control"]) == (200, PRIVATE)
        again = client.get(address, headers={"If-None-Match": first["ETag"]})
        assert (again.status_code, again["Cache-Control"]) == (304, PRIVATE)


def test_a_browser_session_is_told_not_modified_by_the_api_as_well(
    furnished: None, admin_client: Client
) -> None:
    first = admin_client.get("/api/models/discovered")
    assert (
        admin_client.get(
            "/api/models/discovered", headers={"If-None-Match": first["ETag"]}
        ).status_code
        == 304
    )


def test_answers_to_nobody_and_static_files_may_be_kept(
    db: None, client: Client, admin_client: Client
) -> None:
    assert Client().get("/api/models/discovered")["Cache-Control"] == "private, no-cache"
    static = admin_client.get("/static/admin/css/base.css")
    static.close()
    assert static.status_code == 200
    assert "no-store" not in static["Cache-Control"]

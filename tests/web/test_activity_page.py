"""The Activity page: what changed, day by day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from discovery.models import RegisteredModel, Visibility
from discovery.services.metadata import metadata

pytestmark = pytest.mark.django_db
Make = Callable[..., RegisteredModel]
HTMX = {"headers": {"HX-Request": "true"}}


@pytest.fixture
def edited(make_model: Make, admin_user: User) -> RegisteredModel:
    model = make_model("llama <b>", visibility=Visibility.PUBLIC)
    metadata.edit(model, {"license": "mit"}, by=admin_user, channel="page")
    return model


def get(client: Client, more: Any = None, **query: str) -> str:
    response = client.get("/activity/", query, **(more or {}))
    assert response.status_code == 200
    return response.content.decode()


def test_a_day_lists_its_events_with_links_and_names(
    admin_client: Client, edited: RegisteredModel
) -> None:
    html = get(admin_client)
    assert "Changed license of llama &lt;b&gt;" in html
    assert "/history/?batch=" in html
    assert "admin" in html


def test_the_part_is_the_list_alone(admin_client: Client, edited: RegisteredModel) -> None:
    html = get(admin_client, HTMX)
    assert html.lstrip().startswith('<div id="results"')
    assert "<h1>" not in html


def test_readers_see_edits_of_their_models_and_no_names(
    reader_client: Client, edited: RegisteredModel
) -> None:
    html = get(reader_client)
    assert "Changed license" in html
    assert ">admin<" not in html
    assert "Nothing matches" in get(reader_client, by="admin")
    RegisteredModel.objects.update(visibility=Visibility.ADMIN_ONLY)
    assert "No activity yet" in get(reader_client)


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ({"since": "2026-02-30"}, "“2026-02-30” is not a day: write it as"),
        ({"until": "\0yesterday"}, "is not a day"),
        ({"kind": "nonsense"}, "“nonsense” is not a kind of event."),
    ],
)
def test_what_cannot_be_read_is_said(
    query: dict[str, str], fault: str, admin_client: Client, edited: RegisteredModel
) -> None:
    assert fault in get(admin_client, **query)


def test_filters_are_kept_in_the_form(admin_client: Client, edited: RegisteredModel) -> None:
    html = get(admin_client, kind="edit", by="admin")
    assert '<option value="edit" selected>' in html
    assert 'value="admin"' in html
    assert "Changed license" in html
    assert "Nothing matches" in get(admin_client, kind="edit", by="nobody")

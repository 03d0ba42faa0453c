"""Pages at addresses with an id from before two records became one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from discovery.models import MetadataChange, RegisteredModel
from discovery.services.metadata import metadata
from discovery.services.registry import aliases
from discovery.web.urls import urlpatterns
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]

pytestmark = pytest.mark.django_db

_PAGES = [
    each.name
    for each in urlpatterns
    if each.name and set(each.pattern.converters) in ({"model_id"}, {"model_id", "name"})
]


@pytest.fixture
def model(make_model: Make) -> RegisteredModel:
    record = make_model("now")
    aliases.add({"before": record})
    return record


def _address(page: str, model_id: str) -> str:
    has_name = page in ("model-field", "report-field")
    return reverse(page, args=[model_id, "license"] if has_name else [model_id])


def test_all_pages_of_a_model_are_looked_at() -> None:
    assert {"model", "model-files", "model-history", "model-health-act"} <= set(_PAGES)


@pytest.mark.parametrize("page", _PAGES)
def test_every_page_at_an_alias_leads_to_the_models_own(
    model: RegisteredModel, admin_client: Client, page: str
) -> None:
    response = admin_client.get(f"{_address(page, 'before')}?page=2")
    if response.status_code == 405:  # a form's address: see below
        return
    assert response.status_code == 302
    assert response["Location"] == f"{_address(page, 'now')}?page=2"


def test_forms_at_an_alias_are_taken(model: RegisteredModel, admin_client: Client) -> None:
    response = admin_client.post(_address("favourite", "before"), {"favourite": "1"})
    assert response.status_code == 302
    assert model.favoured_by.count() == 1
    response = admin_client.post(_address("model-health-act", "before"), {"action": "quarantine"})
    assert response["Location"] == _address("model-health", "now")
    model.refresh_from_db()
    assert model.quarantined_at is not None


def test_an_alias_of_a_hidden_model_is_not_found(
    model: RegisteredModel, client: Client, user: User
) -> None:
    client.force_login(user)
    for page in ("model", "model-files", "model-history"):
        assert client.get(_address(page, "before")).status_code == 404


def test_the_page_and_its_history_say_what_the_model_was_called(
    model: RegisteredModel,
    make_model: Make,
    admin_client: Client,
) -> None:
    html = page_text(admin_client.get("/models/now/"))
    assert '<dt>Aliases</dt><dd class="mono"><bdi>before</bdi></dd>' in html
    html = page_text(admin_client.get("/models/now/history/"))
    assert "Was known as <code>before</code> until" in html
    make_model("plain")
    html = page_text(admin_client.get("/models/plain/"))
    assert "Aliases" not in html


def test_an_alias_costs_pages_of_other_models_no_query(
    make_model: Make, admin_client: Client, django_assert_num_queries: Any
) -> None:
    make_model("plain")
    admin_client.get("/models/plain/files/")
    with django_assert_num_queries(11):
        admin_client.get("/models/plain/files/")


def test_addresses_with_models_in_their_query_take_aliases(
    model: RegisteredModel, make_model: Make, admin_client: Client
) -> None:
    make_model("other")
    html = page_text(admin_client.get("/compare/?id=before&id=other"))
    assert "There is no model" not in html
    assert "/models/now/" in html
    model.primary = "LANGUAGE"
    model.save()
    html = page_text(admin_client.get("/?disk=LANGUAGE&model=before"))
    assert "0 variants" in html
    assert "What the address asks for is not there" not in html
    html = page_text(admin_client.get("/logs/?model=before"))
    assert "There is no" not in html
    assert "now" in page_text(admin_client.get("/admin/discovery/registeredmodel/?q=before"))
    change = f"/admin/discovery/registeredmodel/{model.pk}/change/"
    assert "before" in page_text(admin_client.get(change))


def test_a_history_is_found_by_a_former_id(
    model: RegisteredModel, admin_client: Client, admin_user: User
) -> None:
    metadata.edit(model, {"license": "mit"}, by=admin_user, channel="page")
    assert "/models/now/" in page_text(admin_client.get("/history/?model=befor"))


def test_what_a_scan_put_together_is_told_as_its_own(
    model: RegisteredModel, admin_client: Client
) -> None:
    MetadataChange.objects.create(
        model=model,
        field="moved",
        before={"path": "now", "joined with": None},
        after={"path": "now", "joined with": "before"},
        at=timezone.now(),
        channel="scan",
        batch=uuid4(),
    )
    html = page_text(admin_client.get("/models/now/history/"))
    assert "A scan" in html
    assert "Somebody" not in html

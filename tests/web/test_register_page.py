"""The Register page: both kinds, what is there, what is refused, what is registered already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from discovery.models import RegisteredModel, Root
from tests.support import builders
from tests.support.page_text import page_text


@pytest.fixture
def shelf(admin_client: Client, models_root: Path) -> Path:
    Root.objects.create(path=str(models_root))
    builders.transformers(models_root / "tiny", hidden=64)
    return models_root


def test_administrators_alone_register(reader_client: Client) -> None:
    assert reader_client.get("/register/").status_code == 403
    assert reader_client.post("/register/", {"path": "tiny"}).status_code == 403
    assert "/register/" not in page_text(reader_client.get("/models/"))


def test_the_models_page_leads_there(admin_client: Client) -> None:
    assert '<a class="btn" href="/register/">Register a model</a>' in page_text(
        admin_client.get("/models/")
    )


def test_the_form_names_the_roots_and_takes_a_path_from_the_address(
    admin_client: Client, shelf: Path
) -> None:
    html = page_text(admin_client.get("/register/", {"path": "tiny"}))
    assert str(shelf) in html
    assert 'name="path" value="tiny"' in html
    assert 'name="endpoint"' not in html
    assert 'name="endpoint"' in page_text(admin_client.get("/register/?kind=hosted"))


def test_a_path_is_registered_with_what_is_said_about_it(admin_client: Client, shelf: Path) -> None:
    data: dict[str, Any] = {
        "kind": "disk", "path": str(shelf / "tiny"), "name": "Mine", "capabilities": ["CHAT"],
        "tags": "a\nb", "license": "mit",
        "custom-key": ["team"], "custom-kind": ["text"], "custom-value": ["search"],
        "action": "register",
    }  # fmt: skip
    response = admin_client.post("/register/", data)
    assert (response.status_code, response["Location"]) == (302, "/models/mine/")
    record = RegisteredModel.objects.get()
    assert record.architecture == "LlamaForCausalLM"
    assert {field: entry["value"] for field, entry in record.curated.items()} == {
        "display_name": "Mine", "capabilities": ["CHAT"], "tags": ["a", "b"], "license": "mit",
        "custom": {"team": "search"},
    }  # fmt: skip
    assert "Registered." in page_text(admin_client.get("/models/mine/"))


def test_a_look_says_what_is_there_and_registers_nothing(admin_client: Client, shelf: Path) -> None:
    html = page_text(
        admin_client.post("/register/", {"path": "tiny", "license": "mit", "action": "look"})
    )
    for text in ("Found at this path", "LlamaForCausalLM", "Transformers", 'value="mit"'):
        assert text in html
    assert not RegisteredModel.objects.exists()


def test_what_is_registered_already_is_linked(admin_client: Client, shelf: Path) -> None:
    admin_client.post("/register/", {"path": "tiny"})
    for action in ("register", "look"):
        response = admin_client.post(
            "/register/", {"path": str(shelf / "tiny"), "license": "mit", "action": action}
        )
        assert response.status_code == 409
        assert '<a href="/models/tiny/"><bdi>tiny</bdi></a>' in page_text(response)
    assert RegisteredModel.objects.count() == 1


def test_what_is_wrong_is_said_beside_each_field_and_what_was_entered_stays(
    admin_client: Client, shelf: Path
) -> None:
    data: dict[str, Any] = {
        "path": "../etc", "name": "n" * 301, "license": "x" * 300, "modalities": ["SMELL"],
        "context_length": "9", "description": "<b>kept</b>",
    }  # fmt: skip
    response = admin_client.post("/register/", data)
    html = page_text(response)
    assert response.status_code == 422
    assert html.count('<div class="errorlist">') == 4
    assert "must not contain" in html
    assert "&lt;b&gt;kept&lt;/b&gt;" in html
    assert '<details class="more" open>' in html
    assert (
        admin_client.post("/register/", {"path": "tiny", "context_length": "many"}).status_code
        == 422
    )
    assert not RegisteredModel.objects.exists()


@pytest.mark.parametrize(
    "path", ["", "nowhere", "a\0b", "x" * 5000, "/", "/etc/passwd", "<script>alert(1)</script>"]
)
def test_a_path_that_cannot_be_used_is_explained(
    admin_client: Client, shelf: Path, path: str
) -> None:
    response = admin_client.post("/register/", {"path": path})
    assert response.status_code == 422
    assert '<div class="errorlist">Path: ' in page_text(response)
    assert "<script>alert" not in page_text(response)


def test_a_hosted_model_is_registered_and_its_page_says_where_it_is(admin_client: Client) -> None:
    data = {
        "kind": "hosted",
        "name": "gpt-4",
        "endpoint": "http://models.example:9/v1",
        "api_key_variable": "KAREN_ENDPOINT_KEY_A",
    }
    response = admin_client.post("/register/", data)
    assert response["Location"] == "/models/gpt-4/"
    for tab in ("", "metadata/", "files/", "tensors/", "health/"):
        page = admin_client.get(f"/models/gpt-4/{tab}")
        assert page.status_code == 200
    assert "http://models.example:9/v1" in page_text(admin_client.get("/models/gpt-4/"))
    assert "http://models.example:9/v1" in page_text(admin_client.get("/models/"))
    health = page_text(admin_client.get("/models/gpt-4/health/"))
    assert "Run deep validation now" not in health
    assert "Run test load" in health
    again = admin_client.post("/register/", data)
    assert again.status_code == 409
    assert 'name="endpoint" value="http://models.example:9/v1"' in page_text(again)


def test_a_key_is_never_taken_for_the_name_of_a_variable(admin_client: Client) -> None:
    data = {
        "kind": "hosted",
        "name": "gpt-4",
        "endpoint": "http://models.example:9",
        "api_key_variable": "sk-abc",
    }
    response = admin_client.post("/register/", data)
    assert response.status_code == 422
    assert "the key itself is never stored" in page_text(response)
    assert not RegisteredModel.objects.exists()


def test_another_row_is_added_without_javascript(admin_client: Client, shelf: Path) -> None:
    html = admin_client.post(
        "/register/",
        {
            "path": "tiny",
            "custom-key": ["a"],
            "custom-kind": ["text"],
            "custom-value": ["b"],
            "action": "row-custom",
        },
    )
    assert html.content.decode().count('name="custom-key"') == 2
    assert not RegisteredModel.objects.exists()

"""The catalogue of fields: where one can be set, it is; where not, people are told why."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from discovery.admin.forms import PREFIX
from discovery.engine.core import fields
from discovery.engine.core.fields import FIELDS, Expectation, Field, Kind
from discovery.models import RegisteredModel
from discovery.services.metadata import metadata
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]

EDITABLE = [each for each in FIELDS.values() if each.editable]


@pytest.mark.parametrize("field", EDITABLE, ids=lambda field: field.name)
def test_a_field_can_be_set_on_the_tab_in_the_admin_and_in_bulk_or_says_why_not(
    field: Field, make_model: Make, admin_client: Client
) -> None:
    record = make_model("m", type="OPENAI" if field.hosted else "ONNX")
    assert f'id="field-{field.name}"' in page_text(admin_client.get("/models/m/metadata/"))
    admin = admin_client.get(f"/admin/discovery/registeredmodel/{record.pk}/change/")
    assert f'name="{PREFIX}{field.name}"' in page_text(admin)
    bulk = unescape(page_text(admin_client.post("/bulk/", {"kind": "metadata", "id": "m"})))
    if reason := field.not_in.get("bulk"):
        assert f'name="f-{field.name}"' not in bulk
        assert reason in bulk
        assert field.label in bulk
    else:
        assert f'name="f-{field.name}"' in bulk


def test_reasons_are_whole_sentences() -> None:
    for field in FIELDS.values():
        for reason in field.not_in.values():
            assert reason[0].isupper(), field.name
            assert reason.endswith("."), field.name


def test_the_admin_asks_for_a_server_only_where_there_is_one(
    make_model: Make, admin_client: Client
) -> None:
    record = make_model("m")
    page = admin_client.get(f"/admin/discovery/registeredmodel/{record.pk}/change/")
    assert f"{PREFIX}endpoint" not in page_text(page)


def test_columns_are_those_of_the_registry() -> None:
    columns = {field.name for field in RegisteredModel._meta.concrete_fields}
    for field in FIELDS.values():
        assert field.column == (field.name in columns), field.name


VALUES: dict[str, tuple[Any, Any]] = {
    "capabilities": (["CHAT", "CODE"], ["CHAT", "CODE"]),
    "primary": ("AUDIO", "AUDIO"),
    "layer_count": ("1,024", 1024),
    "use_cases": ('"Chat, code"; tests\r\nmore', ["Chat, code", "tests", "more"]),
    "custom": ('{"team": {"size": 3}}', {"team": {"size": 3}}),
    "base_model_relation": ("merge", "merge"),
}


def test_every_kind_is_set_in_the_admin_and_opening_it_again_changes_nothing(
    make_model: Make, admin_client: Client
) -> None:
    record = make_model("m")
    address = f"/admin/discovery/registeredmodel/{record.pk}/change/"
    data = {f"{PREFIX}{name}": sent for name, (sent, _) in VALUES.items()}
    assert admin_client.post(address, {"visibility": "RESTRICTED", **data}).status_code == 302
    record.refresh_from_db()
    assert {name: record.value(name) for name in VALUES} == {n: v for n, (_, v) in VALUES.items()}
    form = admin_client.get(address).context["adminform"].form
    again = {bound.html_name: bound.value() for bound in form if bound.value() is not None}
    admin_client.post(address, again)
    assert record.changes.count() == len(VALUES)


@pytest.mark.parametrize(
    ("name", "sent", "told"),
    [
        ("use_cases", '"open, ended', "Must close the quotes"),
        ("custom", "{", "Is not JSON"),
        ("custom", "[1]", "Must be an object"),
        ("resource_requirements", '{"ram": -1}', "without negative numbers"),
        ("capabilities", ["FLY"], "Select a valid choice"),
        ("use_cases", "x" * 300, "at most 200 are kept"),
    ],
)
def test_the_admin_says_what_is_wrong_beside_the_field(
    name: str, sent: Any, told: str, make_model: Make, admin_client: Client
) -> None:
    record = make_model("m")
    response = admin_client.post(
        f"/admin/discovery/registeredmodel/{record.pk}/change/",
        {"visibility": "RESTRICTED", f"{PREFIX}{name}": sent},
    )
    assert response.status_code == 200
    assert told in page_text(response)
    record.refresh_from_db()
    assert record.curated == {}


def test_two_people_at_one_list_in_the_admin_are_told(
    make_model: Make, admin_client: Client, user: User
) -> None:
    record = make_model("m")
    address = f"/admin/discovery/registeredmodel/{record.pk}/change/"
    shown = {f"initial-{PREFIX}use_cases": "", "visibility": "RESTRICTED"}
    metadata.edit(record, {"use_cases": ["theirs, all"]}, by=user, channel="page")
    response = admin_client.post(address, {**shown, f"{PREFIX}use_cases": "mine"})
    assert "Somebody else has set this" in page_text(response)
    record.refresh_from_db()
    assert record.value("use_cases") == ["theirs, all"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": "license"}, "name or label"),
        ({"label": "License"}, "name or label"),
        ({"group": "Nowhere"}, "not a group"),
        ({"wanted": Expectation("a", "b", 1)}, "bit 1 is that of description"),
        ({"wanted": Expectation("a", "b", 64)}, "not a free bit"),
        ({"wanted": Expectation("a", "b", 384)}, "not a free bit"),
        ({"limit": 0}, "needs a limit"),
        ({"kind": Kind.CHOICE}, "words are"),
        ({"words": ("A",)}, "words are"),
        ({"kind": Kind.LIST, "column": True}, "single value"),
        ({"name": "Two words"}, "a name is"),
    ],
)
def test_a_field_that_is_declared_twice_or_by_half_is_refused(
    change: dict[str, Any], why: str
) -> None:
    whole: dict[str, Any] = {"name": "novel", "label": "Novel", "limit": 9}
    with pytest.raises(ValueError, match=why):
        fields.register(Field(**{**whole, "group": fields.DESCRIPTION, **change}))
    assert "novel" not in FIELDS


def test_help_lists_the_keys_of_metadata_json(admin_client: Client) -> None:
    page = unescape(page_text(admin_client.get("/help/metadata/")))
    for field in EDITABLE:
        assert (f"<code>{field.name}</code>" in page) != field.hosted
        assert field.hosted or field.holds in page

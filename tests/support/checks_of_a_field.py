"""What has to hold for fields that only a temporary file has registered: run by
``tests/services/test_a_field_of_ones_own.py``, in a process that has them.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from discovery.engine.core.fields import FIELDS, Kind
from discovery.engine.sidecars import metadata_json
from discovery.models import RegisteredModel
from discovery.services.metadata import metadata
from discovery.services.registry import records
from discovery.services.transfer import cells, importer
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]

pytestmark = pytest.mark.django_db

#: Name → (value, as a form or a cell writes it, as pages show it).
VALUES: dict[str, tuple[Any, str, str]] = {
    "birthplace": ("Vienna", "Vienna", "Vienna"),
    "trained_on": (["books, old", "web"], '"books, old"; web', "books, old, web"),
    "training_tokens": (2_000_000_000_000, "2e12", "2,000,000,000,000"),
    "watts": (350.5, "350.5", "350.5"),
    "maturity": ("OLD", "OLD", "Well known"),
    "senses": (["SMELL", "TASTE"], "SMELL; TASTE", "Smell, Taste"),
    "diary": ({"monday": "rest"}, '{"monday": "rest"}', "rest"),
}
WRONG = {
    "birthplace": "x" * 21,
    "training_tokens": "-1",
    "watts": "many",
    "maturity": "YOUNG",
    "diary": "[1]",
}


def sent(name: str, prefix: str = "") -> dict[str, Any]:
    """The value as a form sends it."""
    value, text, _ = VALUES[name]
    if FIELDS[name].kind is Kind.WORDS:
        return {prefix + name: value}
    if FIELDS[name].kind is Kind.OBJECT and not prefix:
        return {f"{name}-json": text}
    if FIELDS[name].kind is Kind.OBJECT and prefix == "f-":
        return {prefix + name: "monday: rest"}
    return {prefix + name: text}


def value_of(record: RegisteredModel, name: str) -> Any:
    return RegisteredModel.objects.get(pk=record.pk).value(name)


@pytest.fixture
def filled(make_model: Make, admin_user: User) -> RegisteredModel:
    record = make_model("one")
    values = {name: value for name, (value, _, _) in VALUES.items()}
    metadata.edit(record, values, by=admin_user, channel="page")
    make_model("two")
    return record


@pytest.mark.parametrize("name", VALUES)
def test_the_tab_shows_it_and_sets_it(name: str, make_model: Make, admin_client: Client) -> None:
    record = make_model("m")
    page = page_text(admin_client.get("/models/m/metadata/"))
    assert f'id="field-{name}"' in page
    assert FIELDS[name].label in page
    form = page_text(admin_client.get(f"/models/m/metadata/{name}/"))
    assert FIELDS[name].help in form
    stamp = {f"seen-{name}": metadata.stamp(record, name), "action": "save"}
    if name in WRONG:
        wrong = {**sent(name), f"{name}-json": WRONG[name], name: WRONG[name], **stamp}
        assert admin_client.post(f"/models/m/metadata/{name}/", wrong).status_code == 422
    assert admin_client.post(
        f"/models/m/metadata/{name}/", {**sent(name), **stamp}
    ).status_code in (
        200,
        302,
    )
    assert value_of(record, name) == VALUES[name][0]


@pytest.mark.parametrize("name", VALUES)
def test_a_bulk_edit_sets_it(name: str, make_model: Make, admin_client: Client) -> None:
    records = [make_model("a"), make_model("b")]
    chosen = {"kind": "metadata", "id": ["a", "b"], **sent(name, "f-")}
    page = page_text(admin_client.post("/bulk/", {**chosen, "step": "preview"}))
    assert "2 models of 2 would change" in page
    mark = re.search(r'name="mark" value="(\w+)"', page)
    assert mark
    admin_client.post("/bulk/", {**chosen, "step": "apply", "mark": mark[1]})
    assert [value_of(each, name) for each in records] == [VALUES[name][0]] * 2


@pytest.mark.parametrize("name", VALUES)
def test_the_administration_sets_it(name: str, make_model: Make, admin_client: Client) -> None:
    record = make_model("m")
    address = f"/admin/discovery/registeredmodel/{record.pk}/change/"
    assert f"set_{name}" in page_text(admin_client.get(address))
    data = {"visibility": "RESTRICTED", **sent(name, "set_")}
    response = admin_client.post(address, data)
    assert response.status_code == 302
    assert value_of(record, name) == VALUES[name][0]
    admin_client.post(address, {**data, "set_author": "Ada"})
    assert RegisteredModel.objects.get(pk=record.pk).changes.filter(field=name).count() == 1


def test_a_table_goes_out_and_back_in(
    filled: RegisteredModel, admin_client: Client, admin_user: User
) -> None:
    table = b"".join(admin_client.get("/export/?format=csv")).decode()
    row = {each["model_id"]: each for each in csv.DictReader(io.StringIO(table))}
    for name, (value, _, _) in VALUES.items():
        assert cells.value(name, row["one"][name]) == value, name
        row["two"][name] = row["one"][name]
    out = io.StringIO()
    writer = csv.DictWriter(out, row["two"].keys())
    writer.writeheader()
    writer.writerows(row.values())
    report = importer.apply(io.BytesIO(out.getvalue().encode()), by=admin_user)
    assert (report.changed, report.faults) == (1, [])
    two = RegisteredModel.objects.get(model_id="two")
    assert {name: two.value(name) for name in VALUES} == {n: v for n, (v, _, _) in VALUES.items()}


def test_the_api_has_it_in_schema_document_list_and_writes(
    filled: RegisteredModel, admin_client: Client
) -> None:
    schema = admin_client.get("/api/openapi.json").json()["components"]["schemas"]
    document = admin_client.get("/api/models/one").json()
    for name, (value, _, _) in VALUES.items():
        assert name in schema["ModelDocument"]["properties"]
        assert name in schema["MetadataChange"]["properties"]
        assert document[name] == value
        assert document["sources"][name]["curated"]
    listed = admin_client.get("/api/models/discovered").json()["results"]
    assert {"birthplace": "Vienna", "trained_on": ["books, old", "web"]}.items() <= next(
        {name: each[name] for name in ("birthplace", "trained_on")}
        for each in listed
        if each["model_id"] == "one"
    ).items()
    assert next(each["trained_on"] for each in listed if each["model_id"] == "two") == []
    for name, (value, _, _) in VALUES.items():
        answer = admin_client.put(
            "/api/models/two/metadata", json.dumps({name: value}), content_type="application/json"
        )
        assert answer.json()[name] == value
    answer = admin_client.put(
        "/api/models/two/metadata",
        json.dumps({"maturity": "YOUNG"}),
        content_type="application/json",
    )
    assert answer.status_code == 422


def test_overview_compare_and_history_show_it(
    filled: RegisteredModel, admin_client: Client
) -> None:
    for address in ("/models/one/", "/compare/?id=one&id=two", "/history/"):
        page = page_text(admin_client.get(address))
        for name, (_, _, shown) in VALUES.items():
            if FIELDS[name].kind is Kind.OBJECT:
                assert "rest" in page
            else:
                assert FIELDS[name].label in page, (address, name)
                assert shown in page or address == "/history/", (address, name)


def test_metadata_json_may_say_it_and_takes_it() -> None:
    values = {name: value for name, (value, _, _) in VALUES.items()}
    assert metadata_json.fields(values) == (values, [])
    found, complaints = metadata_json.fields({"birthplace": "x" * 21, "watts": -1})
    assert not found
    assert len(complaints) == 2


def test_a_model_without_a_wanted_field_is_reported(
    filled: RegisteredModel, admin_client: Client
) -> None:
    for record in RegisteredModel.objects.all():
        records.resolve(record)
        record.save()
    page = page_text(admin_client.get("/report/?lacking=birthplace"))
    assert "No place of birth" in page
    assert "two" in page

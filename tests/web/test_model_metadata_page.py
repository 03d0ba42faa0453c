"""The Metadata tab: what it shows, editing a field in place, the whole form, conflicts, and what is
refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from discovery.models import RegisteredModel, Visibility
from discovery.services.metadata import metadata
from discovery.services.scans import registration
from discovery.web.shared.fields import FIELDS
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]
HTMX = {"HX-Request": "true"}
HOSTILE = "<script>alert(1)</script> \"'& \u202eשלום 模型 \\"


@pytest.fixture
def model(make_model: Make) -> RegisteredModel:
    return make_model(
        "tiny", license="mit", tags=["small", "old"], context_length=4096, primary="LANGUAGE",
        visibility=Visibility.PUBLIC,
        extracted={"resource_requirements": {"min_ram_gb": 8, "gpu": True, "note": "a, b",
                "sizes": ["s", "m"], "deep": {"a": [1]}}},
    )  # fmt: skip


def stamp(model: RegisteredModel, field: str) -> dict[str, str]:
    model.refresh_from_db()
    return {f"seen-{field}": metadata.stamp(model, field)}


def save(client: Client, model: RegisteredModel, field: str, htmx: bool = True, **data: Any) -> Any:
    sent = {**stamp(model, field), "action": "save", **data}
    return client.post(
        f"/models/{model.model_id}/metadata/{field}/", sent, headers=HTMX if htmx else {}
    )


def form_of(html: str) -> dict[str, list[str]]:
    """What a browser would send of the page's form, untouched."""
    data: dict[str, list[str]] = {}
    body = html[html.index('<form class="grid fields-form"') : html.index('<div class="actions">')]
    pattern = re.compile(
        r"<input([^>]*)>|<textarea([^>]*)>\n?(.*?)</textarea>|<select([^>]*)>(.*?)</select>", re.S
    )
    for tag, area, text, select, options in pattern.findall(body):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag or area or select))
        name = attributes.get("name")
        if not name or (attributes.get("type") in ("checkbox", "radio") and " checked" not in tag):
            continue
        chosen = re.findall(r'<option value="([^"]*)"[^>]* selected>', options) or re.findall(
            r'<option value="([^"]*)"', options
        )
        value = chosen[0] if select else text if area else attributes.get("value", "on")
        data.setdefault(name, []).append(unescape(value))
    data.pop("csrfmiddlewaretoken", None)
    return data


def test_every_field_that_can_be_set_has_a_row_with_value_and_source(
    admin_client: Client, model: RegisteredModel, user: User
) -> None:
    metadata.edit(model, {"license": "apache-2.0", "visibility": "PUBLIC"}, by=user, channel="page")
    html = page_text(admin_client.get("/models/tiny/metadata/"))
    for name in FIELDS.keys() - {"endpoint", "api_key_variable"}:
        assert f'id="field-{name}"' in html, name
    row = html[html.index('id="field-license"') : html.index('id="field-author"')]
    for text in (
        "apache-2.0",
        "edited by reader",
        "Automatic: <bdi>mit</bdi>",
        "config.json",
        "Back to automatic",
    ):
        assert text in row
    assert 'id="field-endpoint"' not in html
    assert "4,096" in html


def test_readers_see_the_values_and_no_way_to_change_them(
    reader_client: Client, model: RegisteredModel
) -> None:
    html = page_text(reader_client.get("/models/tiny/metadata/?edit=all"))
    assert "4,096" in html
    assert "<form" not in html[html.index('<div id="metadata">') :].replace('<form class="who"', "")
    assert reader_client.get("/models/tiny/metadata/license/").status_code == 403
    assert save(reader_client, model, "license", license="x").status_code == 403
    assert reader_client.post("/models/tiny/metadata/", {"license": "x"}).status_code == 403
    model.refresh_from_db()
    assert model.curated == {}


def test_a_model_that_one_may_not_see_has_no_fields(
    reader_client: Client, admin_client: Client, make_model: Make
) -> None:
    make_model("hidden", visibility=Visibility.ADMIN_ONLY)
    assert reader_client.get("/models/hidden/metadata/").status_code == 404
    assert reader_client.post("/models/hidden/metadata/").status_code == 404
    assert admin_client.get("/models/hidden/metadata/novel/").status_code == 404
    assert admin_client.get("/models/hidden/metadata/endpoint/").status_code == 404


def test_a_field_is_edited_in_its_place(admin_client: Client, model: RegisteredModel) -> None:
    form = page_text(admin_client.get("/models/tiny/metadata/license/", headers=HTMX))
    assert "<html" not in form
    assert 'value="mit"' in form
    assert "autofocus" in form
    response = save(admin_client, model, "license", license=" apache-2.0 ")
    html = page_text(response)
    assert response.status_code == 200
    assert "<html" not in html
    assert "edited by admin" in html
    assert "License saved." in html
    assert 'id="model-head" hx-swap-oob="true"' in html
    model.refresh_from_db()
    assert (model.license, model.curated["license"]["by"]) == ("apache-2.0", "admin")
    shown = page_text(admin_client.get("/models/tiny/metadata/license/?show=1", headers=HTMX))
    assert "<form" in shown
    assert "autofocus" in shown
    assert response["Vary"].startswith("HX-Request") or "HX-Request" in response["Vary"]


def test_without_javascript_the_same_form_is_part_of_the_page(
    admin_client: Client, model: RegisteredModel
) -> None:
    page = page_text(admin_client.get("/models/tiny/metadata/license/"))
    assert "<html" in page
    assert page.count('class="field-row editing"') == 1
    response = save(admin_client, model, "license", htmx=False, license="apache-2.0")
    assert (response.status_code, response["Location"]) == (
        302,
        "/models/tiny/metadata/#field-license",
    )
    assert "License saved." in page_text(admin_client.get("/models/tiny/metadata/"))
    assert (
        admin_client.get("/models/tiny/metadata/license/?show=1")["Location"]
        == "/models/tiny/metadata/#field-license"
    )
    assert (
        save(admin_client, model, "context_length", htmx=False, context_length="many").status_code
        == 422
    )


def test_back_to_automatic_restores_what_the_files_say(
    admin_client: Client, model: RegisteredModel
) -> None:
    save(admin_client, model, "license", license="apache-2.0")
    response = save(admin_client, model, "license", action="automatic")
    assert response.status_code == 200
    assert "License is automatic again." in page_text(response)
    model.refresh_from_db()
    assert (model.license, model.curated) == ("mit", {})
    save(admin_client, model, "license", license="apache-2.0")
    assert save(admin_client, model, "license", license="").status_code == 200
    model.refresh_from_db()
    assert (model.license, model.curated) == ("mit", {})


SENT: dict[str, tuple[dict[str, Any], Any]] = {
    "text": ({"license": "mit license"}, "mit license"),
    "long": ({"description": "one\r\n\r\ntwo"}, "one\n\ntwo"),
    "number": ({"context_length": "131,072"}, 131072),
    "choice": ({"primary": "VISION"}, "VISION"),
    "list": ({"tags": "a\r\n\r\n b \r\na"}, ["a", "b"]),
    "words": ({"capabilities": ["CHAT", "CODE"]}, ["CHAT", "CODE"]),
    "object": (
        {
            "custom-key": ["a", "b", "c", "d", "e", "f", ""],
            "custom-kind": ["text", "number", "number", "boolean", "list", "json", "text"],
            "custom-value": ["x\r\ny", "1,000", "-0.5", "No", "p, q", '{"r": [1, null]}', ""],
        },
        {"a": "x\ny", "b": 1000, "c": -0.5, "d": False, "e": ["p", "q"], "f": {"r": [1, None]}},
    ),
    "json": ({"custom-json": '{"a": 1}'}, {"a": 1}),
    "hostile": ({"description": HOSTILE.replace("\u202e", "")}, HOSTILE.replace("\u202e", "")),
}  # fmt: skip


@pytest.mark.parametrize("kind", SENT)
def test_each_kind_of_widget_sends_its_value(
    admin_client: Client, model: RegisteredModel, kind: str
) -> None:
    data, value = SENT[kind]
    field = next(iter(data)).split("-")[0]
    response = save(admin_client, model, field, **data)
    assert response.status_code == 200, page_text(response)
    model.refresh_from_db()
    assert model.curated[field]["value"] == value
    assert "<script>alert" not in page_text(response)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "number": ({"context_length": "many"}, "Context length: must be a whole number above zero."),
    "number below": ({"context_length": "-1"},
        "Context length: must be a whole number above zero."),
    "number beyond": ({"context_length": "9" * 30},
        "Context length: must be a whole number above zero."),
    "choice": ({"primary": "SMELL"}, "Category: must be one of LANGUAGE"),
    "words": ({"capabilities": ["CHAT", "COOK"]}, "is none of CHAT"),
    "NUL": ({"license": "a\0b"}, "License: has characters that cannot be stored"),
    "override": ({"description": HOSTILE}, "Description: has characters that cannot be stored"),
    "long": ({"license": "x" * 201}, "License: must be a text of at most 200 characters."),
    "tag": ({"tags": "ok\n" + "x" * 10_000},
        "Tags: entry 2 has 10,000 characters, at most 200 are kept."),
    "nameless": ({"custom-key": [""], "custom-kind": ["text"], "custom-value": ["x"]},
        "row 1 has a value and no name"),
    "twice": ({"custom-key": ["a", "a"], "custom-kind": ["text", "text"],
            "custom-value": ["x", "y"]}, "a is there twice"),
    "row number": ({"custom-key": ["a"], "custom-kind": ["number"], "custom-value": ["x"]},
        "a must be a number"),
    "row infinity": ({"custom-key": ["a"], "custom-kind": ["number"], "custom-value": ["1e999"]},
        "a is not a finite number"),
    "row kind": ({"custom-key": ["a"], "custom-kind": ["novel"], "custom-value": ["x"]},
        "a has a kind that is not offered"),
    "row boolean": ({"custom-key": ["a"], "custom-kind": ["boolean"], "custom-value": ["perhaps"]},
        "a must be yes or no"),
    "JSON": ({"custom-json": "{"}, "is not JSON: "),
    "JSON list": ({"custom-json": "[1]"}, "must be an object, written in braces"),
    "NaN": ({"custom-json": '{"a": NaN}'}, "holds NaN, which is not JSON"),
    "beyond 64 bits": ({"custom-json": '{"a": 9223372036854775808}'},
        "a is a number beyond 64 bits"),
    "5,000 digits": ({"custom-json": '{"a": ' + "9" * 5000 + "}"}, "Other fields: "),
    "surrogate": ({"custom-json": '{"a": "\\ud800"}'}, "a has characters that cannot be stored"),
    "deep": ({"custom-json": '{"a":' * 1000 + "1" + "}" * 1000}, "nested"),
    "deeper": ({"custom-json": '{"a":' * 100_000 + "1" + "}" * 100_000}, "is nested too deep"),
    "negative": (
        {"resource_requirements-key": ["ram"], "resource_requirements-kind": ["number"],
            "resource_requirements-value": ["-1"]},
        "without negative numbers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_beside_the_field_and_nothing_is_saved(
    admin_client: Client, model: RegisteredModel, case: str
) -> None:
    data, said = WRONG[case]
    field = next(iter(data)).split("-")[0]
    response = save(admin_client, model, field, **data)
    html = response.content.decode().replace("&#x27;", "'")
    assert response.status_code == 422
    assert said in html
    assert 'class="errorlist"' in html
    model.refresh_from_db()
    assert model.curated == {}


def test_an_object_goes_through_its_rows_unchanged(
    admin_client: Client, model: RegisteredModel
) -> None:
    data = form_of(admin_client.get("/models/tiny/metadata/?edit=all").content.decode())
    assert sorted(data["resource_requirements-kind"]) == [
        "boolean",
        "json",
        "list",
        "number",
        "text",
        "text",
    ]
    response = admin_client.post("/models/tiny/metadata/", {**data, "action": "save"})
    assert response.status_code == 302
    model.refresh_from_db()
    assert model.curated == {}
    assert "Nothing was changed." in page_text(admin_client.get(response["Location"]))


AWKWARD = [" edges ", "a, b; c", '"quoted" start', '["json"]', "line\nbreak", "back\\slash",
    "<b>&amp;", "שלום 模型", "\ttab", "'=1+1", "[draft]", '""', "-", "7e9"]  # fmt: skip


def test_a_form_that_nobody_touches_changes_nothing_whatever_the_values_hold(
    admin_client: Client, make_model: Make
) -> None:
    """As a browser sends it: each line break as CR LF."""
    extracted = {
        "description": "  lead\n\nand end  ",
        "author": " spaced ",
        "use_cases": AWKWARD,
        "tags": ["one"],
        "capabilities": ["CODE", "CHAT"],
        "modalities": ["SMELL"],
        "base_model_relation": "novel",
        "performance_metrics": {each: each for each in AWKWARD},
        "optimization_settings": {"a": 1.0, "b": 1e300, "B": 10**300, "c": 1e-9, "d": -7, "e": None,
            "f": [], "g": AWKWARD, "h": {"i": [1, {"j": True}]}, "k": "", "l": False},
        "custom": {f"key {number}": AWKWARD for number in range(50)},
    }  # fmt: skip
    record = make_model("awkward", extracted=extracted)
    data = form_of(admin_client.get("/models/awkward/metadata/?edit=all").content.decode())
    data = {key: [re.sub(r"\n", "\r\n", each) for each in values] for key, values in data.items()}
    response = admin_client.post("/models/awkward/metadata/", {**data, "action": "save"})
    assert response.status_code == 302
    record.refresh_from_db()
    assert record.curated == {}
    assert "Nothing was changed." in page_text(admin_client.get(response["Location"]))


def test_the_whole_form_saves_what_was_touched_and_nothing_else(
    admin_client: Client, model: RegisteredModel, user: User
) -> None:
    metadata.edit(model, {"author": "Ada"}, by=user, channel="page")
    data = form_of(admin_client.get("/models/tiny/metadata/?edit=all").content.decode())
    metadata.edit(model, {"version": "2"}, by=user, channel="page")
    data |= {
        "license": ["bsd-3-clause"],
        "tags": ["a\nb"],
        "author": [""],
        "secondary": ["CODE"],
        "modalities": ["TEXT"],
    }
    response = admin_client.post("/models/tiny/metadata/", {**data, "action": "save"})
    assert response.status_code == 302
    model.refresh_from_db()
    assert {field: entry["value"] for field, entry in model.curated.items()} == {
        "license": "bsd-3-clause", "tags": ["a", "b"], "secondary": "CODE", "modalities": ["TEXT"],
        "version": "2",
    }  # fmt: skip


def test_the_whole_form_holds_each_value_once(admin_client: Client, model: RegisteredModel) -> None:
    metadata.edit(
        model,
        {"description": "Said once.", "modalities": ["TEXT", "IMAGE"], "custom": {"note": "once"}},
        by=User.objects.get(username="admin"),
        channel="page",
    )
    html = admin_client.get("/models/tiny/metadata/?edit=all").content.decode()
    assert html.count("Said once.") == 1
    data = form_of(html)
    assert all(len(value) == 1 for name, value in data.items() if name.startswith("was-"))
    response = admin_client.post("/models/tiny/metadata/", {**data, "action": "save"}, follow=True)
    assert "Nothing was changed." in page_text(response)


def test_the_whole_form_is_all_or_nothing(admin_client: Client, model: RegisteredModel) -> None:
    data = form_of(admin_client.get("/models/tiny/metadata/?edit=all").content.decode())
    data |= {"license": ["bsd-3-clause"], "context_length": ["many"], "display_name": ["x" * 301]}
    response = admin_client.post("/models/tiny/metadata/", {**data, "action": "save"})
    html = page_text(response)
    assert response.status_code == 422
    assert "Nothing was saved." in html
    assert 'href="#field-context_length"' in html
    assert "must be a text of at most 300 characters" in html
    again = form_of(html)
    assert (again["license"], again["was-license"], again["seen-license"]) == (
        ["bsd-3-clause"],
        data["was-license"],
        data["seen-license"],
    )
    model.refresh_from_db()
    assert model.curated == {}


def test_two_people_at_one_field_see_both_values(
    admin_client: Client, model: RegisteredModel, user: User
) -> None:
    mine = stamp(model, "license")
    metadata.edit(model, {"license": "bsd-3-clause"}, by=user, channel="page")
    url = "/models/tiny/metadata/license/"
    response = admin_client.post(
        url, {**mine, "license": "gpl-3.0", "action": "save"}, headers=HTMX
    )
    html = page_text(response)
    assert response.status_code == 409
    for text in ("bsd-3-clause", "edited by reader", 'value="gpl-3.0"', "Save mine", "Keep theirs"):
        assert text in html
    model.refresh_from_db()
    assert model.license == "bsd-3-clause"
    fresh = re.search(r'name="seen-license" value="(\w+)"', html)
    assert fresh
    response = admin_client.post(
        url, {"seen-license": fresh[1], "license": "gpl-3.0", "action": "save"}, headers=HTMX
    )
    assert response.status_code == 200
    model.refresh_from_db()
    assert model.license == "gpl-3.0"
    assert admin_client.post(url, {**mine, "action": "automatic"}).status_code == 409


def test_two_people_at_the_whole_form_choose_for_each_field(
    admin_client: Client, model: RegisteredModel, user: User
) -> None:
    data = form_of(admin_client.get("/models/tiny/metadata/?edit=all").content.decode())
    metadata.edit(model, {"license": "bsd-3-clause", "author": "Bob"}, by=user, channel="page")
    data |= {"license": ["gpl-3.0"], "author": ["Ada"], "version": ["3"], "action": ["save"]}
    response = admin_client.post("/models/tiny/metadata/", data)
    html = page_text(response)
    assert response.status_code == 409
    assert html.count("This was changed in another session") == 2
    model.refresh_from_db()
    assert (model.license, model.author, model.version) == ("bsd-3-clause", "Bob", None)
    again = {
        **form_of(html),
        "choose-author": ["theirs"],
        "choose-license": ["mine"],
        "action": ["save"],
    }
    assert admin_client.post("/models/tiny/metadata/", again).status_code == 302
    model.refresh_from_db()
    assert (model.license, model.author, model.version) == ("gpl-3.0", "Bob", "3")


def test_a_422_does_not_forget_what_was_seen(
    admin_client: Client, model: RegisteredModel, user: User
) -> None:
    mine = stamp(model, "context_length")
    metadata.edit(model, {"context_length": 8}, by=user, channel="page")
    url = "/models/tiny/metadata/context_length/"
    html = page_text(
        admin_client.post(url, {**mine, "context_length": "many", "action": "save"}, headers=HTMX)
    )
    assert f'value="{mine["seen-context_length"]}"' in html
    assert (
        admin_client.post(
            url, {**mine, "context_length": "9", "action": "save"}, headers=HTMX
        ).status_code
        == 409
    )


def test_another_row_is_added_without_javascript(
    admin_client: Client, model: RegisteredModel
) -> None:
    data = form_of(admin_client.get("/models/tiny/metadata/?edit=all").content.decode())
    html = page_text(
        admin_client.post(
            "/models/tiny/metadata/", {**data, "license": "gpl-3.0", "action": "row-custom"}
        )
    )
    again = form_of(html)
    assert (len(again["custom-key"]), again["license"]) == (
        len(data["custom-key"]) + 1,
        ["gpl-3.0"],
    )
    page = save(
        admin_client,
        model,
        "custom",
        htmx=False,
        **{"custom-key": ["a"], "custom-kind": ["text"], "custom-value": ["b"], "action": "row"},
    )
    assert page.content.decode().count('name="custom-key"') == 2
    model.refresh_from_db()
    assert model.curated == {}


def test_tags_that_others_use_are_offered(
    admin_client: Client, make_model: Make, model: RegisteredModel, user: User
) -> None:
    metadata.edit(make_model("other"), {"tags": ["kept <ready>"]}, by=user, channel="page")
    html = page_text(admin_client.get("/models/tiny/metadata/tags/", headers=HTMX))
    assert '<datalist id="list-tags"><option value="kept &lt;ready&gt;"></option>' in html
    assert "kept &lt;ready&gt;" not in page_text(admin_client.get("/models/tiny/metadata/"))


def test_an_object_with_many_entries_is_written_as_one_piece(
    admin_client: Client, make_model: Make
) -> None:
    model = make_model(
        "big", extracted={"custom": {f"key {number}": number for number in range(60)}}
    )
    html = page_text(admin_client.get("/models/big/metadata/custom/"))
    assert 'name="custom-json"' in html
    assert 'name="custom-key"' not in html
    data = form_of(admin_client.get("/models/big/metadata/?edit=all").content.decode())
    assert admin_client.post("/models/big/metadata/", data).status_code == 302
    model.refresh_from_db()
    assert model.curated == {}


def test_hostile_values_are_shown_as_text(admin_client: Client, make_model: Make) -> None:
    make_model(
        "odd",
        license="<b>x</b>",
        tags=["<i>", "模" * 150],
        extracted={"custom": {"<u>": "<script>"}},
    )
    for query in ("", "?edit=all"):
        html = page_text(admin_client.get(f"/models/odd/metadata/{query}"))
        for bad in ("<b>x", "<i>", "<u>", "<script>"):
            assert bad not in html.replace("<script src", "")


def test_the_tab_costs_a_fixed_number_of_queries(
    admin_client: Client, model: RegisteredModel, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(14):
        admin_client.get("/models/tiny/metadata/")


def test_the_edit_button_leads_to_the_tab(admin_client: Client, model: RegisteredModel) -> None:
    html = page_text(admin_client.get("/models/tiny/"))
    assert '<a class="btn" href="/models/tiny/metadata/">Edit</a>' in html


def test_a_hosted_model_shows_where_it_is(admin_client: Client, admin_user: User) -> None:
    data = {"name": "gpt", "type": "OPENAI", "endpoint": "http://models.example:9/v1"}
    model = registration.register(data, by=admin_user, channel="page")
    html = page_text(admin_client.get("/models/gpt/metadata/"))
    assert "http://models.example:9/v1" in html
    response = save(admin_client, model, "api_key_variable", api_key_variable="sk-1234567890")
    assert response.status_code == 422
    assert "begins with KAREN_ENDPOINT_KEY" in page_text(response)
    assert (
        save(
            admin_client, model, "api_key_variable", api_key_variable="KAREN_ENDPOINT_KEY_A"
        ).status_code
        == 200
    )

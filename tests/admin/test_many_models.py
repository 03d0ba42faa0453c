"""Many models in the administration: set in the list, handed to the bulk page, forgotten; always
through the services.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from discovery.models import Collection, Forgotten, MetadataChange, RegisteredModel
from discovery.services.bulk.operations import KINDS
from discovery.services.findings import triage
from discovery.services.metadata import metadata
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]

LIST = "/admin/discovery/registeredmodel/"


def rows(client: Client, **changed: str) -> dict[str, str]:
    """The list as a browser would send it back, some fields changed by their names."""
    html = page_text(client.get(LIST))
    sent = dict(
        re.findall(
            r'<input type="hidden" name="((?:initial-)?form-[^"]+)"(?: value="([^"]*)")?', html
        )
    )
    sent |= dict(
        re.findall(r'<input type="text" name="(form-\d+-license)"(?: value="([^"]*)")?', html)
    )
    for name, options in re.findall(
        r'<select name="(form-\d+-visibility)".*?>(.*?)</select>', html, re.S
    ):
        chosen = re.search(r'value="(\w+)" selected', options)
        assert chosen
        sent[name] = chosen[1]
    assert {
        "form-TOTAL_FORMS",
        "form-0-id",
        "initial-form-0-license",
        "form-0-license",
        "form-0-visibility",
    } <= sent.keys()
    return {**sent, "_save": "Save", **changed}


def test_fields_are_set_in_the_list_and_keep_a_history(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    for name, known in (("a", "mit"), ("b", None)):
        make_model(name, license=known)
    sent = rows(
        admin_client,
        **{"form-0-license": "", "form-1-license": "apache-2.0", "form-1-visibility": "PUBLIC"},
    )
    metadata.edit(
        RegisteredModel.objects.get(name="a"), {"author": "Ada"}, by=admin_user, channel="page"
    )
    assert admin_client.post(LIST, sent).status_code == 302
    first, second = RegisteredModel.objects.order_by("name")
    assert (first.license, second.license, second.visibility) == ("mit", "apache-2.0", "PUBLIC")
    made = MetadataChange.objects.filter(channel="admin")
    assert {(change.model.name, change.field, change.before, change.after) for change in made} == {
        ("b", "license", None, "apache-2.0"),
        ("b", "visibility", None, "PUBLIC"),  # nobody had decided it
    }
    assert len({change.batch for change in made}) == 1


def test_a_change_that_the_list_did_not_show_is_not_overwritten(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    model = make_model("a", license="mit")
    untouched, changed = rows(admin_client), rows(admin_client, **{"form-0-license": "gpl-3.0"})
    metadata.edit(model, {"license": "apache-2.0"}, by=admin_user, channel="page")
    admin_client.post(LIST, untouched)
    response = admin_client.post(LIST, changed)
    assert "Somebody else has set it to “apache-2.0” meanwhile." in page_text(response)
    model.refresh_from_db()
    assert model.license == "apache-2.0"


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("form-0-license", "x" * 300, "at most 200 characters"),
        ("form-0-license", "bad \u202e name", "cannot be stored"),
        ("form-0-visibility", "EVERYBODY", "Select a valid choice"),
    ],
)
def test_a_wrong_value_in_the_list_is_told_at_its_field(
    admin_client: Client, make_model: Make, field: str, value: str, told: str
) -> None:
    make_model("a", license="mit")
    response = admin_client.post(LIST, rows(admin_client, **{field: value}))
    assert response.status_code == 200
    assert told in page_text(response)
    assert not MetadataChange.objects.exists()


def test_no_form_lifts_a_quarantine(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    model = make_model("a")
    triage.quarantine(model, by=admin_user)
    assert "in quarantine" in page_text(
        admin_client.post(LIST, rows(admin_client, **{"form-0-visibility": "PUBLIC"}))
    )
    assert "in quarantine" in page_text(
        admin_client.post(f"{LIST}{model.pk}/change/", {"visibility": "PUBLIC"})
    )
    model.refresh_from_db()
    assert model.visibility == "ADMIN_ONLY"


def test_access_set_in_the_form_keeps_a_history_and_leaves_collections_that_follow_a_filter_alone(
    admin_client: Client, make_model: Make
) -> None:
    model, group = make_model("a"), Group.objects.create(name="team")
    shelf, followed = (
        Collection.objects.create(name="shelf"),
        Collection.objects.create(name="followed", query="q=a"),
    )
    model.collections.add(followed)
    sent: dict[str, Any] = {"visibility": "PUBLIC", "groups": [group.pk], "collections": [shelf.pk]}
    assert admin_client.post(f"{LIST}{model.pk}/change/", sent).status_code == 302
    assert {
        (change.field, str(change.after))
        for change in MetadataChange.objects.filter(channel="admin")
    } == {
        ("visibility", "PUBLIC"),
        ("groups", "['team']"),
        ("collections", "['shelf']"),
    }
    assert set(model.collections.all()) == {shelf, followed}


@pytest.mark.parametrize("kind", KINDS)
def test_each_bulk_operation_is_an_action_that_leads_to_the_bulk_page(
    admin_client: Client, make_model: Make, kind: str
) -> None:
    models = [make_model(name) for name in ("a", "b", "c")]
    sent: dict[str, Any] = {
        "action": f"bulk_{kind}",
        "_selected_action": [model.pk for model in models[:2]],
    }
    html = page_text(admin_client.post(LIST, sent))
    assert 'action="/bulk/"' in html
    fields = dict(
        re.findall(r'<input type="hidden" name="(kind|through|ids)" value="([^"]*)"', html)
    )
    assert fields == {"kind": kind, "through": "admin", "ids": "a b"}
    assert "of 2 models</h1>" in page_text(admin_client.post("/bulk/", fields))


def test_a_bulk_edit_from_the_administration_says_so_in_the_history(
    admin_client: Client, make_model: Make
) -> None:
    make_model("a")
    sent = {"kind": "tags", "through": "admin", "ids": "a", "add": "t"}
    mark = re.search(
        r'name="mark" value="(\w+)"',
        page_text(admin_client.post("/bulk/", {**sent, "step": "preview"})),
    )
    assert mark
    admin_client.post("/bulk/", {**sent, "step": "apply", "mark": mark[1]})
    assert MetadataChange.objects.get().channel == "admin"


def test_an_action_takes_all_that_the_list_shows_when_asked_to(
    admin_client: Client, make_model: Make
) -> None:
    models = [make_model(f"m{number:02}") for number in range(60)]
    sent: dict[str, Any] = {
        "action": "bulk_tags",
        "select_across": "1",
        "_selected_action": [models[0].pk],
        "index": "0",
    }
    html = page_text(admin_client.post(f"{LIST}?q=m", sent))
    assert "tags of 60 models" in html
    assert "and 40 more" in html


def test_chosen_models_are_forgotten_and_remembered(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    models = [make_model(name) for name in ("a", "b", "c")]
    sent: dict[str, Any] = {
        "action": "delete_selected",
        "_selected_action": [model.pk for model in models[:2]],
    }
    page = page_text(admin_client.post(LIST, sent))
    assert "Their files stay where they are." in page
    assert "Forget the chosen models" in page_text(admin_client.get(LIST))
    admin_client.post(LIST, {**sent, "post": "yes"})
    assert list(RegisteredModel.objects.values_list("name", flat=True)) == ["c"]
    assert set(Forgotten.objects.values_list("model_id", "by")) == {
        ("a", admin_user.pk),
        ("b", admin_user.pk),
    }


def test_all_that_the_list_shows_is_forgotten_when_asked_to(
    admin_client: Client, make_model: Make
) -> None:
    first, *_ = [make_model(f"m{number:02}") for number in range(60)]
    sent: dict[str, Any] = {
        "action": "delete_selected",
        "select_across": "1",
        "_selected_action": [first.pk],
        "index": "0",
    }
    page = page_text(admin_client.post(LIST, sent))
    again = re.findall(
        r'<input type="hidden" name="(select_across|_selected_action|action|post)" value="([^"]*)"',
        page,
    )
    assert len(again) == 4
    admin_client.post(LIST, dict(again))
    assert not RegisteredModel.objects.exists()


def test_staff_who_may_only_look_have_no_actions_and_no_fields_in_the_list(
    client: Client, user: User, make_model: Make
) -> None:
    make_model("a")
    user.is_staff = True
    user.save()
    user.user_permissions.add(Permission.objects.get(codename="view_registeredmodel"))
    client.force_login(user)
    html = page_text(client.get(LIST))
    assert "bulk_tags" not in html
    assert "form-0-license" not in html

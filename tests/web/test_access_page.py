"""The Access page: the matrix, rules with their preview, the default, the history with its undo,
and the answer for one person; viewing as somebody else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from discovery.models import AccessChange, AccessRule, Collection, RegisteredModel, Right
from discovery.services.access import access_file, access_rules, rule_terms
from tests.people import administer, permit
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]

URL = "/access/"


@pytest.fixture
def group(db: None) -> Group:
    return Group.objects.create(name="ö \"'<b>")


def get(client: Client, address: str = URL, **query: Any) -> str:
    response = client.get(address, query)
    assert response.status_code == 200
    return page_text(response)


def post(client: Client, address: str, status: int = 302, **sent: Any) -> str:
    response = client.post(address, sent, follow=status == 302)
    assert response.status_code == (200 if status == 302 else status)
    return page_text(response)


def seen(user: User) -> set[str]:
    return set(RegisteredModel.objects.visible_to(user).values_list("name", flat=True))


def test_an_empty_page_says_what_is_missing(admin_client: Client) -> None:
    Group.objects.all().delete()
    assert "There are no groups" in get(admin_client)


def test_a_click_in_the_matrix_grants_and_the_next_one_takes_away(
    admin_client: Client, admin_user: User, user: User, group: Group, make_model: Make
) -> None:
    user.groups.add(group)
    shelf = Collection.objects.create(name="Shelf")
    make_model("m", license="mit").collections.add(shelf)
    other = Group.objects.create(name="others")
    rule = access_rules.make(
        rule_terms.term("license", "mit"), visibility="", groups=[other], by=admin_user
    )
    for row in (f"collection-{shelf.pk}", f"rule-{rule.pk}"):
        assert f'value="{row} {group.pk} 1"' in get(admin_client)
        assert seen(user) == set()
        post(admin_client, f"{URL}cell/", cell=f"{row} {group.pk} 1")
        assert seen(user) == {"m"}
        assert f'value="{row} {group.pk} 0"' in get(admin_client)
        post(admin_client, f"{URL}cell/", cell=f"{row} {group.pk} 0")
    assert seen(user) == set()
    assert AccessChange.objects.count() == 5


@pytest.mark.parametrize(
    "cell", ["", "rule-x 1 1", "rule-1", "nonsense-1 {group} 1", "rule-9 {group} 1"]
)
def test_a_cell_that_is_not_there_is_not_found(
    cell: str, admin_client: Client, group: Group
) -> None:
    sent = cell.format(group=group.pk)
    assert admin_client.post(f"{URL}cell/", {"cell": sent}).status_code == 404


def test_a_rule_is_previewed_saved_changed_and_deleted(
    admin_client: Client, user: User, group: Group, make_model: Make
) -> None:
    user.groups.add(group)
    make_model("m", license="mit")
    sent = {"kind": "license", "value": "mit", "visibility": "", "groups": [group.pk]}
    html = post(admin_client, f"{URL}rules/new/", 200, step="preview", **sent)
    assert "1 model matches now." in html
    assert not AccessRule.objects.exists()
    post(admin_client, f"{URL}rules/new/", step="save", **sent)
    assert seen(user) == {"m"}
    address = f"{URL}rules/{AccessRule.objects.get().pk}/"
    assert "License: mit" in get(admin_client, address)
    post(admin_client, address, step="save", visibility="ADMIN_ONLY")
    assert seen(user) == set()
    post(admin_client, address, step="delete")
    assert not AccessRule.objects.exists()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"kind": "license", "value": "mit"}, "Choose a visibility"),
        ({"kind": "category", "value": "POETRY", "visibility": "PUBLIC"}, "Choose one of LANGUAGE"),
        ({"kind": "tag", "value": " ", "visibility": "PUBLIC"}, "Enter a value"),
        ({"kind": "tag", "value": "x", "visibility": "SOME"}, "Choose one of the visibilities"),
        ({"kind": "nonsense", "value": "x", "groups": ["x"]}, "Choose what the models"),
    ],
)
def test_what_cannot_be_saved_is_told_beside_what_was_entered(
    sent: dict[str, Any], said: str, admin_client: Client
) -> None:
    html = post(admin_client, f"{URL}rules/new/", 422, step="save", **sent)
    assert said in html
    assert not AccessRule.objects.exists()


def test_the_history_tells_each_change_and_undoes_it(
    admin_client: Client, admin_user: User, group: Group
) -> None:
    access_rules.make(
        rule_terms.term("tag", "prod"), visibility="PUBLIC", groups=[group], by=admin_user
    )
    html = get(admin_client, f"{URL}changes/")
    assert "Tag: prod" in html
    assert "Visibility: not set → Public." in html
    assert "Undone." in post(
        admin_client, f"{URL}changes/undo/", change=AccessChange.objects.get().pk
    )
    assert not AccessRule.objects.exists()
    first = AccessChange.objects.order_by("pk").first()
    assert first is not None
    assert "changed again" in post(admin_client, f"{URL}changes/undo/", change=first.pk)


def test_the_default_is_chosen_on_the_page(admin_client: Client, make_model: Make) -> None:
    model = make_model("m")
    post(admin_client, f"{URL}default/", visibility="PUBLIC")
    model.refresh_from_db()
    assert model.visibility == "PUBLIC"
    assert "Choose one of" in post(admin_client, f"{URL}default/", visibility="SOME")


def test_what_comes_from_the_file_is_marked_and_warned_about(
    admin_client: Client, config_dir: Path, make_model: Make
) -> None:
    make_model("m")
    control = {"public_models": ["m", "nope"], "user_groups": {"developers": ["m"]}}
    (config_dir / "access_control.json").write_text(json.dumps({"access_control": control}))
    access_file.follow()
    html = get(admin_client)
    assert "from file" in html
    assert "nope" in html
    rule = AccessRule.objects.get(file_key="public_models")
    assert admin_client.get(f"{URL}rules/{rule.pk}/").status_code == 404
    developers = Group.objects.get(name="developers")
    html = post(admin_client, f"{URL}cell/", cell=f"rule-{rule.pk} {developers.pk} 1")
    assert "Change it there." in html


def test_why_somebody_sees_a_model_is_told_rule_by_rule(
    admin_client: Client, admin_user: User, user: User, group: Group, make_model: Make
) -> None:
    make_model("m", license="mit")
    user.groups.add(group)
    access_rules.make(
        rule_terms.term("license", "mit"), visibility="RESTRICTED", groups=[group], by=admin_user
    )
    html = get(admin_client, user="reader", model="m")
    assert "Can see it" in html
    assert "License: mit makes it restricted." in html
    assert "may see what the rule License: mit means." in html
    user.groups.clear()
    assert "the account is in no group" in get(admin_client, user="reader", model="m")
    assert "There is no account" in get(admin_client, user="nobody", model="m")
    assert "There is no model" in get(admin_client, user="reader", model="nothing")


def test_the_page_asks_as_often_for_many_rows_as_for_few(
    admin_client: Client, admin_user: User, make_model: Make, django_assert_max_num_queries: Any
) -> None:
    groups = [Group.objects.create(name=f"g{number:02}") for number in range(12)]
    for number in range(20):
        access_rules.make(
            rule_terms.term("tag", f"t{number}"), visibility="", groups=groups, by=admin_user
        )
        Collection.objects.create(name=f"c{number}").groups.set(groups)
    with django_assert_max_num_queries(30):
        html = get(admin_client)
    assert "Next groups" in html


# -- view as


def view(client: Client, kind: str, name: str) -> str:
    return post(client, f"{URL}view-as/", kind=kind, name=name)


def test_a_view_shows_what_the_other_one_sees_and_ends_by_one_click(
    admin_client: Client, user: User, group: Group, make_model: Make
) -> None:
    user.groups.add(group)
    make_model("open").groups.add(group)
    make_model("closed")
    for kind, name in (("group", group.name), ("person", "reader")):
        html = view(admin_client, kind, name)
        assert "You are viewing as" in html
        assert admin_client.get("/models/open/").status_code == 200
        assert admin_client.get("/models/closed/").status_code == 404
        assert admin_client.get("/api/models/closed").status_code == 404
        assert admin_client.get(URL).status_code == 403
        post(admin_client, f"{URL}view-as/end/")
        assert admin_client.get("/models/closed/").status_code == 200


def test_nothing_can_be_changed_in_a_view(
    admin_client: Client, user: User, make_model: Make
) -> None:
    model = make_model("m", visibility="PUBLIC")
    permit(user, Right.EDIT, Right.GRANT)
    view(admin_client, "person", "reader")
    for address in ("/models/m/favourite/", "/models/m/access/", f"{URL}view-as/", "/views/"):
        assert admin_client.post(address, {"visibility": "ADMIN_ONLY"}).status_code == 403
    answer = admin_client.put(
        "/api/models/m/metadata", {"license": "x"}, content_type="application/json"
    )
    assert answer.status_code == 403
    assert "viewing as somebody else" in answer.json()["detail"]
    assert admin_client.delete("/api/models/m").status_code == 403
    model.refresh_from_db()
    assert model.visibility == "PUBLIC"


def test_a_view_never_gives_more_than_the_viewer_has(
    client: Client, user: User, admin_user: User, make_model: Make
) -> None:
    admin_user.is_staff = True
    admin_user.save()
    make_model("m")
    client.force_login(permit(user, Right.GRANT, Right.VIEW_ALL))
    view(client, "person", admin_user.username)
    assert client.get("/models/m/").status_code == 200
    assert client.get("/system/").status_code == 403
    assert client.get("/admin/").status_code == 302


def test_a_view_is_over_when_the_right_to_it_is(
    client: Client, user: User, group: Group, make_model: Make
) -> None:
    make_model("m").groups.add(group)
    client.force_login(permit(user, Right.GRANT, Right.VIEW_ALL))
    view(client, "group", group.name)
    user.user_permissions.clear()
    assert client.get("/models/m/").status_code == 404
    assert "You are viewing as" not in page_text(client.get("/models/"))


@pytest.mark.parametrize(
    ("kind", "name"), [("group", "nobody"), ("person", "nobody"), ("x", ""), ("group", "\0")]
)
def test_only_groups_and_active_accounts_can_be_viewed(
    kind: str, name: str, admin_client: Client
) -> None:
    assert "There is no" in view(admin_client, kind, name)


def test_administrators_of_the_registry_may_view_as_others(client: Client, user: User) -> None:
    client.force_login(administer(user))
    assert "You are viewing as" in view(client, "person", "reader")

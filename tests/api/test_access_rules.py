"""Access rules, grants, the default visibility, their history, and people and groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from discovery.models import AccessRule, Collection, RegisteredModel, Right
from discovery.services.access import access_rules, rule_terms
from discovery.services.registry import tags
from tests.api.test_access import assert_error
from tests.api.test_tags import send
from tests.people import permit

Make = Callable[..., RegisteredModel]
RULES = "/api/access/rules"


@pytest.fixture
def editor(admin_user: User, caller: Callable[..., Client]) -> Client:
    return caller(admin_user, "write")


@pytest.fixture
def lab(db: None) -> Group:
    return Group.objects.create(name="lab")


def test_a_rule_is_previewed_created_edited_deleted_and_brought_back(
    make_model: Make, lab: Group, editor: Client
) -> None:
    tags.sync([make_model("m", tags=["prod"])])
    body = {"kind": "tag", "value": "prod", "visibility": "PUBLIC", "groups": [lab.name]}
    told = send(editor, "POST", f"{RULES}/preview", body).json()["sentences"]
    assert told[0] == "1 model matches now."
    assert not AccessRule.objects.filter(is_default=False).exists()
    made = send(editor, "POST", RULES, body)
    assert made.status_code == 201
    rule = made.json()
    assert (rule["terms"], rule["groups"]) == ([{"kind": "tag", "value": "prod"}], ["lab"])
    read = editor.get(made["Location"])
    assert (read.json(), read["ETag"]) == (rule, made["ETag"])
    assert editor.get(RULES).json()["results"] == [rule]
    assert_error(send(editor, "POST", RULES, body), 409)
    edited = send(editor, "PUT", made["Location"], {**rule, "visibility": None})
    assert (edited.json()["visibility"], edited.json()["groups"]) == (None, ["lab"])
    stale = send(editor, "PUT", made["Location"], {"groups": []}, **{"If-Match": made["ETag"]})
    assert_error(stale, 412)
    assert send(editor, "DELETE", made["Location"]).status_code == 204
    assert_error(editor.get(made["Location"]), 404)
    last = editor.get("/api/access/changes").json()["results"][0]
    assert (last["after"], last["through"], last["by"]) == (None, "api", "admin")
    undone = editor.post(f"/api/access/changes/{last['access_change_id']}/undo")
    assert (undone.status_code, undone.json()["undoes"]) == (201, last["access_change_id"])
    assert editor.get(made["Location"]).json()["groups"] == ["lab"]
    again = editor.post(f"/api/access/changes/{last['access_change_id']}/undo")
    assert assert_error(again, 409)["errors"][0]["loc"] == ["path", "access_change_id"]


@pytest.mark.parametrize(
    ("body", "place", "said"),
    [
        ({"kind": "tga", "value": "x"}, ["body", "kind"], "did you mean tag?"),
        ({"kind": "tag", "value": ""}, ["body", "value"], "empty"),
        ({"kind": "tag", "value": "x"}, ["body", "groups"], "Choose a visibility, or a group"),
        (
            {"kind": "tag", "value": "x", "groups": ["labb"]},
            ["body", "groups", 0],
            "did you mean lab?",
        ),
        (
            {"kind": "category", "value": "VISON", "visibility": "PUBLIC"},
            ["body", "value"],
            "did you mean VISION?",
        ),
        (
            {"kind": "root", "value": "/nope", "visibility": "PUBLIC"},
            ["body", "value"],
            "no root",
        ),
        (
            {"kind": "pattern", "value": "*", "visibility": "PUBLIC"},
            ["body", "value"],
            "every model",
        ),
        (
            {"kind": "tag", "value": "x", "visibility": "PUBLC"},
            ["body", "visibility"],
            "did you mean PUBLIC?",
        ),
    ],
)
def test_a_wrong_rule_is_one_error(
    lab: Group, editor: Client, body: Any, place: list[Any], said: str
) -> None:
    assert lab.pk
    [fault] = assert_error(send(editor, "POST", RULES, body), 422)["errors"]
    assert fault["loc"] == place
    assert said in fault["msg"]


def test_a_rule_of_the_access_file_is_changed_there(editor: Client) -> None:
    rule = AccessRule.objects.create(file_key="public_models", visibility="PUBLIC")
    address = f"{RULES}/{rule.pk}"
    assert editor.get(address).json()["file_key"] == "public_models"
    assert_error(send(editor, "PUT", address, {"visibility": "ADMIN_ONLY"}), 409)
    assert_error(send(editor, "DELETE", address), 409)


def test_the_default_is_set_and_given_back(editor: Client) -> None:
    address = "/api/access/default"
    assert editor.get(address).json() == {"visibility": "RESTRICTED", "source": "default"}
    told = send(editor, "PUT", address, {"visibility": "PUBLIC"}).json()
    assert told == {"visibility": "PUBLIC", "source": "person"}
    assert send(editor, "PUT", address, {"visibility": None}).json()["source"] == "default"
    [fault] = assert_error(send(editor, "PUT", address, {}), 422)["errors"]
    assert fault["loc"] == ["body", "visibility"]


def test_the_matrix_has_collections_and_rules_with_their_groups(
    make_model: Make,
    lab: Group,
    admin_user: User,
    editor: Client,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    make_model("m")
    for number in range(12):
        Collection.objects.create(name=f"Shared {number}").groups.add(lab)
        access_rules.make(
            rule_terms.term("tag", f"t{number}"), visibility="", groups=[lab], by=admin_user
        )
    editor.get("/api/access/matrix")
    with django_assert_max_num_queries(14):
        rows = editor.get("/api/access/matrix").json()["results"]
    assert {(row["kind"], *row["groups"]) for row in rows} == {
        ("collection", "lab"),
        ("rule", "lab"),
    }
    assert len(rows) == 24
    with django_assert_max_num_queries(16):
        assert editor.get(RULES).json()["count"] == 12


def test_access_is_for_who_may_share_and_sees_everything(
    user: User, caller: Callable[..., Client], anybody: Client
) -> None:
    client = caller(permit(user, Right.GRANT, Right.EDIT), "write")
    for address in (RULES, "/api/access/matrix", "/api/access/default", "/api/access/changes"):
        assert_error(client.get(address), 403)
        assert_error(anybody.get(address), 401)
    for address in ("/api/users", "/api/users/changes", "/api/groups"):
        assert_error(client.get(address), 403)


def test_people_and_groups_are_listed_and_searched(
    lab: Group,
    editor: Client,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(10):
        person = User.objects.create_user(f"ann{number}", email=f"ann{number}@example.org")
        person.groups.add(lab)
    with django_assert_max_num_queries(9):
        body = editor.get("/api/users?search=ann&group=lab&state=active").json()
    assert (body["count"], body["results"][0]["groups"]) == (10, ["lab"])
    assert "password" not in str(body)
    assert editor.get("/api/users?group=none").json()["notes"] == ["There is no group none."]
    [fault] = assert_error(editor.get("/api/users?state=activ"), 422)["errors"]
    assert "did you mean active?" in fault["msg"]
    groups = editor.get("/api/groups?search=lab").json()["results"]
    assert [(row["name"], row["members"]) for row in groups] == [("lab", 10)]
    assert editor.get("/api/users/changes").json()["count"] > 0


def test_the_default_is_not_replaced_unseen(administrator: Client) -> None:
    address = "/api/access/default"
    tag = {"If-Match": administrator.get(address)["ETag"]}
    kind = "application/json"
    theirs = administrator.generic("PUT", address, '{"visibility": "ADMIN_ONLY"}', kind)
    assert theirs["ETag"] != tag["If-Match"]
    mine = '{"visibility": "PUBLIC"}'
    assert_error(administrator.generic("PUT", address, mine, kind, headers=tag), 412)
    fresh = {"If-Match": theirs["ETag"]}
    done = administrator.generic("PUT", address, mine, kind, headers=fresh)
    assert done.json()["visibility"] == "PUBLIC"

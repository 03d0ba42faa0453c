"""Collections through the API: their fields, their models, and whom they open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from discovery.models import Collection, RegisteredModel, Right
from tests.api.test_access import assert_error
from tests.api.test_tags import send
from tests.people import permit

Make = Callable[..., RegisteredModel]
LIST = "/api/collections"


@pytest.fixture
def editor(admin_user: User, caller: Callable[..., Client]) -> Client:
    return caller(admin_user, "write")


def test_a_collection_is_created_read_edited_and_deleted(editor: Client) -> None:
    Group.objects.create(name="lab")
    made = send(editor, "POST", LIST, {"name": "Shortlist", "description": "To try."})
    assert made.status_code == 201
    body = made.json()
    assert (body["query"], body["groups"], body["models"]) == (None, [], 0)
    read = editor.get(made["Location"])
    assert (read.json(), read["ETag"]) == (body, made["ETag"])
    edited = send(editor, "PUT", made["Location"], {"groups": ["lab"]})
    assert (edited.json()["groups"], edited.json()["description"]) == (["lab"], "To try.")
    again = send(editor, "PUT", made["Location"], {**edited.json(), "name": "Tried"})
    assert again.json()["name"] == "Tried"
    assert send(editor, "DELETE", made["Location"]).status_code == 204
    assert_error(editor.get(made["Location"]), 404)


def test_a_collection_follows_a_filter_and_keeps_its_models_when_that_is_emptied(
    make_model: Make, editor: Client
) -> None:
    make_model("a", license="mit")
    make_model("b", license="bsd")
    made = send(editor, "POST", LIST, {"name": "Free", "query": "/models/?license=mit"}).json()
    assert (made["query"], made["models"]) == ("license=mit", 1)
    address = f"{LIST}/{made['collection_id']}"
    follows = send(editor, "POST", f"{address}/models", {"add": ["b"]})
    assert_error(follows, 409)
    wider = send(editor, "PUT", address, {"query": "license=mit&license=bsd"}).json()
    assert wider["models"] == 2
    by_hand = send(editor, "PUT", address, {"query": None}).json()
    assert (by_hand["query"], by_hand["models"]) == (None, 2)


@pytest.mark.parametrize(
    ("body", "place", "said"),
    [
        ({"name": ""}, ["body", "name"], "empty"),
        ({"name": "x" * 121}, ["body", "name"], "120"),
        ({"name": "x", "query": "licence=mit"}, ["body", "query"], "did you mean license?"),
        ({"name": "x", "query": "format=GGUF"}, ["body", "query"], "did you mean gguf?"),
        ({"name": "x", "query": "status=REDY"}, ["body", "query"], "did you mean READY?"),
        ({"name": "x", "query": "q=params:many"}, ["body", "query"], "params"),
        ({"name": "x", "query": "favourites=1"}, ["body", "query"], "differ for each person"),
        ({"name": "x", "groups": ["labb"]}, ["body", "groups", 0], "did you mean lab?"),
    ],
)
def test_a_wrong_collection_is_one_error(
    editor: Client, body: Any, place: list[Any], said: str
) -> None:
    Group.objects.create(name="lab")
    [fault] = assert_error(send(editor, "POST", LIST, body), 422)["errors"]
    assert fault["loc"] == place
    assert said in fault["msg"]


def test_two_people_never_overwrite_each_other(editor: Client) -> None:
    made = send(editor, "POST", LIST, {"name": "Shortlist"})
    address = made["Location"]
    send(editor, "PUT", address, {"description": "Theirs."})
    for method, body in (("PUT", {"description": "Mine."}), ("DELETE", None)):
        assert_error(send(editor, method, address, body, **{"If-Match": made["ETag"]}), 412)
    assert Collection.objects.get().description == "Theirs."
    assert_error(send(editor, "POST", LIST, {"name": "Shortlist"}), 409)


def test_models_are_put_in_and_taken_out(make_model: Make, editor: Client) -> None:
    for name in ("a", "b", "c"):
        make_model(name)
    made = send(editor, "POST", LIST, {"name": "Shortlist"}).json()
    address = f"{LIST}/{made['collection_id']}/models"
    told = send(editor, "POST", address, {"add": ["a", "b"]}).json()
    assert (told["collection"]["models"], told["edits"][0]["changed"]) == (2, 2)
    told = send(editor, "POST", address, {"add": ["c"], "remove": ["a"]}).json()
    assert [edit["changed"] for edit in told["edits"]] == [1, 1]
    assert editor.get("/api/models/discovered?collection=Shortlist").json()["count"] == 2
    body = assert_error(send(editor, "POST", address, {"add": ["a", "gone"]}), 422)
    assert [fault["loc"] for fault in body["errors"]] == [["body", "add", 1]]
    editor.post(f"/api/changes/batches/{told['edits'][1]['batch']}/undo")
    assert editor.get("/api/models/discovered?collection=Shortlist").json()["count"] == 3


def test_a_model_joins_and_leaves_single_collections(make_model: Make, editor: Client) -> None:
    make_model("m")
    Collection.objects.create(name="One")
    Collection.objects.create(name="Two", query="license=mit")
    address = "/api/models/m/collections"
    assert send(editor, "POST", address, {"add": ["One"]}).status_code == 200
    assert Collection.objects.get(name="One").models.count() == 1
    assert send(editor, "POST", address, {"remove": ["One"]}).status_code == 200
    assert Collection.objects.get(name="One").models.count() == 0
    for unknown in ("Two", "Three"):
        body = assert_error(send(editor, "POST", address, {"add": [unknown]}), 422)
        assert body["errors"][0]["loc"] == ["body", "collections"]


def test_giving_access_takes_the_permission_for_it(
    make_model: Make, user: User, caller: Callable[..., Client]
) -> None:
    make_model("m", visibility="PUBLIC")
    group = Group.objects.create(name="lab")
    opening = Collection.objects.create(name="Opening")
    opening.groups.add(group)
    plain = Collection.objects.create(name="Plain")
    rights = (Right.ADD_COLLECTION, Right.CHANGE_COLLECTION, Right.DELETE_COLLECTION, Right.EDIT)
    client = caller(permit(user, *rights), "write")
    address = f"{LIST}/{opening.pk}"
    refused = assert_error(send(client, "POST", LIST, {"name": "n", "groups": ["lab"]}), 403)
    assert refused["errors"][0]["loc"] == ["body", "groups"]
    assert_error(send(client, "PUT", address, {"description": "x"}), 403)
    assert_error(send(client, "DELETE", address), 403)
    assert_error(send(client, "POST", f"{address}/models", {"add": ["m"]}), 403)
    assert_error(send(client, "POST", "/api/models/m/collections", {"add": ["Opening"]}), 403)
    assert_error(send(client, "PUT", f"{LIST}/{plain.pk}", {"groups": ["lab"]}), 403)
    assert send(client, "PUT", f"{LIST}/{plain.pk}", {"description": "x"}).status_code == 200
    assert client.get(address).json()["groups"] == [], "groups are for who may share models"


def test_people_see_collections_of_models_that_they_see(
    make_model: Make, reader: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    seen, hidden = make_model("a", visibility="PUBLIC"), make_model("b", visibility="ADMIN_ONLY")
    for number in range(20):
        Collection.objects.create(name=f"Seen {number}").models.set([seen, hidden])
    dark = Collection.objects.create(name="Dark")
    dark.models.set([hidden])
    reader.get(LIST)
    with django_assert_max_num_queries(10):
        rows = reader.get(f"{LIST}?search=seen").json()["results"]
    assert {row["models"] for row in rows} == {1}
    assert len(rows) == 20
    assert reader.get(f"{LIST}?search=dark").json()["count"] == 0
    assert_error(reader.get(f"{LIST}/{dark.pk}"), 404)

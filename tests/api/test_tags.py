"""Tags through the API: everywhere, and single ones of a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from discovery.models import RegisteredModel, Right, Tag
from discovery.services.registry import tags
from tests.api.test_access import assert_error
from tests.people import permit

Make = Callable[..., RegisteredModel]
LIST = "/api/tags"
JSON = "application/json"


@pytest.fixture
def editor(admin_user: User, caller: Callable[..., Client]) -> Client:
    return caller(admin_user, "write")


def send(client: Client, method: str, address: str, body: Any = None, **headers: str) -> Any:
    data = "" if body is None else json.dumps(body)
    return client.generic(method, address, data, content_type=JSON, headers=headers)


@pytest.fixture
def shelf(make_model: Make) -> list[RegisteredModel]:
    """Three models: "old" and "chat", "old", and "chat"."""
    models = [
        make_model("both", tags=["old", "chat"], visibility="PUBLIC"),
        make_model("first", tags=["old"], visibility="PUBLIC"),
        make_model("second", tags=["chat"], visibility="ADMIN_ONLY"),
    ]
    tags.sync(models)
    return models


def of(model_id: str) -> Any:
    return sorted(RegisteredModel.objects.get(model_id=model_id).value("tags"))


def key(name: str) -> int:
    return Tag.objects.get(name=name).pk


def test_tags_are_searched_and_listed_with_most_models_first(
    make_model: Make, editor: Client, reader: Client
) -> None:
    models = [
        make_model("a", tags=["chat", "zoo"], visibility="PUBLIC"),
        make_model("b", tags=["zoo"], visibility="PUBLIC"),
    ]
    tags.sync(models)
    for client in (editor, reader):
        rows = client.get(f"{LIST}?ordering=-models").json()["results"]
        assert [(row["name"], row["models"]) for row in rows] == [("zoo", 2), ("chat", 1)]
        assert client.get(f"{LIST}?search=CHA").json()["count"] == 1
    body = assert_error(editor.get(f"{LIST}?ordering=models"), 422)
    assert "did you mean -models?" in body["errors"][0]["msg"]


def test_the_list_takes_a_fixed_number_of_queries(
    make_model: Make, editor: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    tags.sync([make_model("m", tags=[f"t{number}" for number in range(60)])])
    editor.get(LIST)
    with django_assert_max_num_queries(6):
        assert len(editor.get(f"{LIST}?page_size=500").json()["results"]) == 60


def test_a_tag_is_created_with_its_address_and_etag(editor: Client) -> None:
    made = send(editor, "POST", LIST, {"name": " kept   ready ", "color": "blue"})
    assert made.status_code == 201
    body = made.json()
    assert (body["name"], body["color"], body["models"]) == ("kept ready", "blue", 0)
    read = editor.get(made["Location"])
    assert (read.json(), read["ETag"]) == (body, made["ETag"])
    assert_error(send(editor, "POST", LIST, {"name": "kept ready", "color": "red"}), 409)


@pytest.mark.parametrize(
    ("body", "place", "said"),
    [
        ({"name": "x", "color": "bleu"}, ["body", "color"], "did you mean blue?"),
        ({"name": "x"}, ["body", "color"], "is missing"),
        ({"name": "", "color": "blue"}, ["body", "name"], "empty"),
        ({"name": "x\u0000", "color": "blue"}, ["body", "name"], "cannot be stored"),
        ({"name": "  ", "color": "blue"}, ["body", "name"], "cannot be a tag"),
        ({"name": "x", "color": "blue", "hue": 1}, ["body", "hue"], ""),
    ],
)
def test_a_wrong_tag_is_one_error(editor: Client, body: Any, place: list[str], said: str) -> None:
    [fault] = assert_error(send(editor, "POST", LIST, body), 422)["errors"]
    assert fault["loc"] == place
    assert said in fault["msg"]


def test_a_tag_is_renamed_everywhere_and_that_is_undone(
    shelf: list[RegisteredModel], editor: Client
) -> None:
    assert len(shelf) == 3
    send(editor, "PUT", f"{LIST}/{key('old')}", {"color": "red"})
    renamed = send(editor, "PUT", f"{LIST}/{key('old')}", {"name": "older"})
    assert renamed.status_code == 200
    body = renamed.json()
    assert (body["tag"]["name"], body["tag"]["color"], body["tag"]["models"]) == ("older", "red", 2)
    assert body["edit"]["changed"] == 2
    assert of("both") == ["chat", "older"]
    undone = editor.post(f"/api/changes/batches/{body['edit']['batch']}/undo")
    assert undone.status_code == 201
    assert of("both") == ["chat", "old"]


def test_a_name_that_is_taken_is_a_conflict_and_can_be_merged(
    shelf: list[RegisteredModel], editor: Client
) -> None:
    assert len(shelf) == 3
    old = key("old")
    assert_error(send(editor, "PUT", f"{LIST}/{old}", {"name": "chat"}), 409)
    gone = send(editor, "POST", f"{LIST}/{old}/merge", {"into": "nowhere"})
    assert assert_error(gone, 422)["errors"][0]["loc"] == ["body", "into"]
    merged = send(editor, "POST", f"{LIST}/{old}/merge", {"into": "chat"}).json()
    assert (merged["tag"]["name"], merged["tag"]["models"]) == ("chat", 3)
    assert_error(editor.get(f"{LIST}/{old}"), 404)


def test_a_tag_is_deleted_from_all_models_and_comes_back(
    shelf: list[RegisteredModel], editor: Client
) -> None:
    assert len(shelf) == 3
    gone = send(editor, "DELETE", f"{LIST}/{key('old')}").json()
    assert (gone["tag"], gone["edit"]["changed"]) == (None, 2)
    assert of("first") == []
    editor.post(f"/api/changes/batches/{gone['edit']['batch']}/undo")
    assert of("first") == ["old"]


def test_a_tag_that_somebody_else_changed_is_not_written(
    shelf: list[RegisteredModel], editor: Client
) -> None:
    assert len(shelf) == 3
    address = f"{LIST}/{key('old')}"
    read = editor.get(address)
    send(editor, "PUT", address, {"color": "green"})
    for method, body in (("PUT", {"color": "red"}), ("DELETE", None)):
        stale = send(editor, method, address, body, **{"If-Match": read["ETag"]})
        assert_error(stale, 412)
    assert Tag.objects.get(name="old").colour == "green"
    now = editor.get(address)["ETag"]
    fresh = send(editor, "PUT", address, {"color": "red"}, **{"If-Match": now})
    assert fresh.json()["tag"]["color"] == "red"


def test_a_document_that_was_read_may_be_sent_back(
    shelf: list[RegisteredModel], editor: Client
) -> None:
    assert len(shelf) == 3
    address = f"{LIST}/{key('old')}"
    read = editor.get(address).json()
    assert send(editor, "PUT", address, {**read, "color": "teal"}).status_code == 200
    read = editor.get(address).json()
    body = assert_error(send(editor, "PUT", address, {**read, "models": 5}), 422)
    assert [fault["loc"] for fault in body["errors"]] == [["body", "models"]]
    [fault] = assert_error(send(editor, "PUT", address, {"colro": "red"}), 422)["errors"]
    assert (fault["loc"], "did you mean color?" in fault["msg"]) == (["body", "colro"], True)
    assert_error(send(editor, "PUT", address, {"name": None}), 422)


def test_a_tag_is_changed_on_all_its_models_or_on_none(
    shelf: list[RegisteredModel], user: User, caller: Callable[..., Client]
) -> None:
    assert len(shelf) == 3
    client = caller(permit(user, Right.CHANGE_TAG, Right.EDIT), "write")
    assert client.get(f"{LIST}/{key('chat')}").json()["models"] == 1
    assert_error(send(client, "PUT", f"{LIST}/{key('chat')}", {"name": "x"}), 403)
    assert send(client, "PUT", f"{LIST}/{key('old')}", {"name": "x"}).status_code == 200


def test_single_tags_of_a_model_come_and_go(shelf: list[RegisteredModel], editor: Client) -> None:
    assert len(shelf) == 3
    address = "/api/models/both/tags"
    body = send(editor, "POST", address, {"add": ["new", "chat"], "remove": ["old", "none"]})
    assert body.status_code == 200
    assert body.json()["tags"] == ["chat", "new"]
    stale = send(editor, "POST", address, {"add": ["x"]}, **{"If-Match": '"gone"'})
    assert_error(stale, 412)
    assert_error(send(editor, "POST", address, {}), 422)
    both = assert_error(send(editor, "POST", address, {"add": ["x"], "remove": ["x"]}), 422)
    assert both["errors"][0]["loc"] == ["body", "tags"]
    [fault] = assert_error(send(editor, "POST", address, {"add": ["ok", ""]}), 422)["errors"]
    assert fault["loc"] == ["body", "add", 1]
    assert_error(send(editor, "POST", "/api/models/gone/tags", {"add": ["x"]}), 404)
    change = editor.get("/api/changes?model_id=both").json()["results"][0]
    assert editor.post(f"/api/changes/{change['change_id']}/undo").status_code == 201
    assert of("both") == ["chat", "old"]

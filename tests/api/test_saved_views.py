"""Saved views and favorites through the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from discovery.engine.core.service_words import TokenScope
from discovery.models import RegisteredModel, Right, SavedView, roles
from discovery.services.access import permissions
from discovery.services.integrations import api_tokens
from discovery.services.integrations.api_tokens import TokenError
from tests import doors
from tests.api.test_access import assert_error
from tests.api.test_tags import send
from tests.people import join, permit

Make = Callable[..., RegisteredModel]
LIST = "/api/views"


@pytest.fixture
def writer(user: User, caller: Callable[..., Client]) -> Client:
    """Somebody who may curate, and sees public models alone."""
    return caller(permit(user, Right.EDIT), "write")


def test_a_view_is_saved_read_changed_and_deleted(writer: Client) -> None:
    made = send(writer, "POST", LIST, {"name": "Small", "query": "/models/?format=gguf&page=3"})
    assert made.status_code == 201
    body = made.json()
    assert (body["query"], body["shared"], body["owner"]) == ("format=gguf", False, "reader")
    read = writer.get(made["Location"])
    assert (read.json(), read["ETag"]) == (body, made["ETag"])
    changed = send(writer, "PUT", made["Location"], {**body, "name": "Large"})
    assert changed.json() == {**body, "name": "Large"}
    assert send(writer, "PUT", made["Location"], {"query": "sort=-size"}).json()["query"] == (
        "sort=-size"
    )
    stale = send(writer, "PUT", made["Location"], {"name": "x"}, **{"If-Match": made["ETag"]})
    assert_error(stale, 412)
    assert_error(send(writer, "DELETE", made["Location"], **{"If-Match": made["ETag"]}), 412)
    assert send(writer, "DELETE", made["Location"]).status_code == 204
    assert not SavedView.objects.exists()


@pytest.mark.parametrize(
    ("body", "place", "said"),
    [
        ({"name": ""}, ["body", "name"], "empty"),
        ({"name": " "}, ["body", "name"], "name"),
        ({"name": "x" * 81}, ["body", "name"], "80"),
        ({"name": "x", "query": "sort=sise"}, ["body", "query"], "did you mean size?"),
        ({"name": "x", "query": "tpye=MLX"}, ["body", "query"], "did you mean type?"),
        ({"name": "x", "shared": "yes"}, ["body", "shared"], "true or false"),
    ],
)
def test_a_wrong_view_is_one_error(writer: Client, body: Any, place: list[str], said: str) -> None:
    [fault] = assert_error(send(writer, "POST", LIST, body), 422)["errors"]
    assert fault["loc"] == place
    assert said in fault["msg"]


def test_a_name_is_taken_once_a_person(writer: Client) -> None:
    send(writer, "POST", LIST, {"name": "Small"})
    other = send(writer, "POST", LIST, {"name": "Other"})
    assert_error(send(writer, "POST", LIST, {"name": "Small"}), 409)
    assert_error(send(writer, "PUT", other["Location"], {"name": "Small"}), 409)


def test_sharing_takes_a_permission_and_opens_a_view_to_everybody(
    writer: Client, admin_user: User, caller: Callable[..., Client], anybody: Client
) -> None:
    refused = assert_error(send(writer, "POST", LIST, {"name": "n", "shared": True}), 403)
    assert refused["errors"][0]["loc"] == ["body", "shared"]
    editor = caller(admin_user, "write")
    made = send(editor, "POST", LIST, {"name": "Ours"})
    assert_error(writer.get(made["Location"]), 404)
    assert send(editor, "PUT", made["Location"], {"shared": True}).json()["shared"] is True
    assert writer.get(made["Location"]).json()["owner"] == "admin"
    assert_error(send(writer, "PUT", made["Location"], {"name": "x"}), 403)
    assert_error(send(writer, "DELETE", made["Location"]), 403)
    assert_error(anybody.get(LIST), 401)
    own = send(writer, "POST", LIST, {"name": "Zoo"}).json()
    names = [row["name"] for row in writer.get(LIST).json()["results"]]
    assert names == [own["name"], "Ours"]


def test_favorites_are_ones_own_and_of_models_that_one_sees(
    make_model: Make,
    writer: Client,
    administrator: Client,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(10):
        make_model(f"m{number}", visibility="PUBLIC")
        assert send(writer, "PUT", f"/api/models/m{number}/favorite").status_code == 204
    make_model("hidden", visibility="ADMIN_ONLY")
    assert_error(send(writer, "PUT", "/api/models/hidden/favorite"), 404)
    assert send(writer, "PUT", "/api/models/m1/favorite").status_code == 204
    with django_assert_max_num_queries(10):
        body = writer.get("/api/favorites").json()
    assert [row["model_id"] for row in body["results"]] == [f"m{number}" for number in range(10)]
    assert administrator.get("/api/favorites").json()["count"] == 0
    assert send(writer, "DELETE", "/api/models/m1/favorite").status_code == 204
    RegisteredModel.objects.filter(model_id="m2").update(visibility="ADMIN_ONLY")
    assert writer.get("/api/favorites").json()["count"] == 8


def test_a_list_of_models_names_the_nearest_format_and_root(
    make_model: Make, writer: Client
) -> None:
    make_model("m", visibility="PUBLIC")
    for query, said in (("format=GGUF", "did you mean gguf?"), ("root=/nope", "not known")):
        [fault] = assert_error(writer.get(f"/api/models/discovered?{query}"), 422)["errors"]
        assert fault["loc"] == ["query", query.partition("=")[0]]
        assert said in fault["msg"]


def test_a_viewer_changes_what_is_their_own_by_token_and_nothing_else(
    user: User, make_model: Make, caller: Callable[..., Client]
) -> None:
    make_model("public", visibility="PUBLIC")
    viewer = caller(join(user, roles.VIEWER), "write")
    favorite = "/api/models/public/favorite"
    assert viewer.put(favorite).status_code == 204
    assert viewer.get("/api/favorites").json()["count"] == 1
    assert viewer.delete(favorite).status_code == 204
    made = send(viewer, "POST", LIST, {"name": "Mine", "query": "q=x"})
    assert made.status_code == 201, made.content
    assert viewer.delete(made["Location"]).status_code == 204
    assert_error(send(viewer, "PUT", "/api/models/public/metadata", {"license": "mit"}), 403)
    with pytest.raises(TokenError, match="choose read or write"):
        api_tokens.create(user, "more", "admin")


def test_each_right_that_an_admin_token_is_for_gives_one() -> None:
    closed = [
        route
        for route, cells in doors.API.items()
        for who in cells.values()
        if who.scope == TokenScope.ADMIN
        and who.level != "superuser"
        and not who.every & set(map(str, permissions.OF_SCOPES[TokenScope.ADMIN]))
    ]
    assert closed == []

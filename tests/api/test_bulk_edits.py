"""Changing many models in the same way: preview, apply, follow, stop and undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from discovery.models import BulkEdit, Collection, RegisteredModel, Right
from discovery.services.bulk import bulk_edits
from discovery.services.registry import tags
from tests.api.test_access import assert_error
from tests.api.test_tags import send
from tests.people import permit

Make = Callable[..., RegisteredModel]
LIST = "/api/bulk-edits"
PREVIEW = f"{LIST}/preview"


@pytest.fixture
def editor(admin_user: User, caller: Callable[..., Client]) -> Client:
    return caller(admin_user, "write")


@pytest.fixture
def shelf(make_model: Make) -> list[RegisteredModel]:
    models = [
        make_model("a", license="mit", tags=["old"]),
        make_model("b", license="bsd", tags=["old", "new"]),
        make_model("c", license="mit", format="gguf"),
    ]
    tags.sync(models)
    return models


def test_a_preview_counts_shows_examples_and_writes_nothing(
    shelf: list[RegisteredModel], editor: Client
) -> None:
    assert len(shelf) == 3
    body = {"filter": {}, "set": {"license": "mit"}}
    told = send(editor, "POST", PREVIEW, body).json()
    assert (told["total"], told["changing"], told["same"], told["failing"]) == (3, 3, 0, 0)
    [effect] = told["fields"]
    assert (effect["field"], effect["models"]) == ("license", 3)
    example = next(each for each in effect["examples"] if each["model_id"] == "b")
    assert (example["before"], example["after"], example["source"]) == (
        "bsd", "mit", "config.json",
    )  # fmt: skip
    assert not BulkEdit.objects.exists()


def test_what_was_previewed_is_applied_and_undone_as_one(
    shelf: list[RegisteredModel], editor: Client
) -> None:
    assert len(shelf) == 3
    body = {
        "filter": {"tag": ["old"]},
        "add": {"tags": ["kept"]},
        "remove": {"tags": ["old"]},
    }
    previewed = send(editor, "POST", PREVIEW, body)
    made = send(editor, "POST", LIST, body, **{"If-Match": previewed["ETag"]})
    assert made.status_code == 201
    told = made.json()
    assert (told["state"], told["changed"], told["kind"]) == ("done", 2, "tags")
    assert editor.get(made["Location"]).json() == told
    assert editor.get(LIST).json()["results"] == [told]
    assert RegisteredModel.objects.get(model_id="b").value("tags") == ["new", "kept"]
    undone = editor.post(f"/api/changes/batches/{told['batch']}/undo").json()
    assert undone["changed"] == 2
    assert RegisteredModel.objects.get(model_id="b").value("tags") == ["old", "new"]


def test_nothing_is_changed_when_the_models_are_not_those_of_the_preview(
    shelf: list[RegisteredModel], make_model: Make, editor: Client
) -> None:
    assert len(shelf) == 3
    body = {"filter": {"license": ["mit"]}, "set": {"author": "Ann"}}
    previewed = send(editor, "POST", PREVIEW, body)
    make_model("d", license="mit")
    assert_error(send(editor, "POST", LIST, body, **{"If-Match": previewed["ETag"]}), 412)
    assert not BulkEdit.objects.exists()


def test_a_repeated_request_changes_nothing_twice(
    shelf: list[RegisteredModel], editor: Client
) -> None:
    assert len(shelf) == 3
    body = {"models": ["a", "b"], "set": {"category": {"primary": "VISION"}}}
    first = send(editor, "POST", LIST, body, **{"Idempotency-Key": "k"})
    again = send(editor, "POST", LIST, body, **{"Idempotency-Key": "k"})
    assert (first.json(), first["Location"]) == (again.json(), again["Location"])
    assert first.json()["kind"] == "category"
    assert BulkEdit.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "place", "said"),
    [
        ({"set": {"license": "x"}}, ["body"], "one of the two"),
        ({"models": ["a"], "filter": {}, "set": {"license": "x"}}, ["body"], "one of the two"),
        ({"filter": {}}, ["body"], "say in set, add or remove"),
        ({"models": ["a", "gone"], "set": {"license": "x"}}, ["body", "models", 1], "gone"),
        (
            {"filter": {"frmat": ["gguf"]}, "set": {}},
            ["body", "filter", "frmat"],
            "did you mean format?",
        ),
        (
            {"filter": {}, "set": {"licence": "mit"}},
            ["body", "set", "licence"],
            "did you mean license?",
        ),
        (
            {"filter": {"format": ["GGUF"]}, "set": {"license": "x"}},
            ["body", "filter", "format"],
            "did you mean gguf?",
        ),
        (
            {"filter": {"status": ["REDY"]}, "set": {"license": "x"}},
            ["body", "filter", "status", 0],
            "did you mean READY?",
        ),
        (
            {"filter": {"search": "params:many"}, "set": {"license": "x"}},
            ["body", "filter", "search"],
            "params",
        ),
        (
            {"filter": {}, "set": {"category": {"primary": "VISON"}}},
            ["body", "set", "category", "primary"],
            "did you mean VISION?",
        ),
        ({"filter": {}, "set": {"model_id": "x"}}, ["body", "set", "model_id"], ""),
        (
            {"filter": {}, "add": {"tags": ["x"]}, "remove": {"tags": ["x"]}},
            ["body", "add", "tags"],
            "added and removed",
        ),
        (
            {"filter": {}, "add": {"collections": ["Nowhere"]}},
            ["body", "add", "collections"],
            "Nowhere",
        ),
        (
            {"filter": {}, "set": {"visibility": "PUBLIC", "license": "x"}},
            ["body"],
            "an edit of their own",
        ),
        (
            {"filter": {}, "action": "validate", "set": {"license": "x"}},
            ["body"],
            "changes nothing",
        ),
        ({"filter": {}, "action": "chnage"}, ["body", "action"], "did you mean change?"),
        (
            {"filter": {}, "set": {"license": "x"}, "atomic": "no"},
            ["body", "atomic"],
            "true or false",
        ),
    ],
)
def test_a_wrong_request_is_one_error_in_preview_and_apply(
    shelf: list[RegisteredModel], editor: Client, body: Any, place: list[Any], said: str
) -> None:
    assert len(shelf) == 3
    for address in (PREVIEW, LIST):
        [fault] = assert_error(send(editor, "POST", address, body), 422)["errors"]
        assert fault["loc"] == place
        assert said in fault["msg"]
    assert not BulkEdit.objects.exists()


def test_a_filter_that_finds_nothing_says_what_no_model_has(
    shelf: list[RegisteredModel], editor: Client
) -> None:
    assert len(shelf) == 3
    body = {"filter": {"tag": ["gone"]}, "set": {"license": "x"}}
    told = send(editor, "POST", PREVIEW, body).json()
    assert (told["total"], told["unknown"]) == (0, {"tag": ["gone"]})
    assert_error(send(editor, "POST", LIST, body), 409)


def test_one_model_that_cannot_be_changed_stops_all_unless_it_may_be_left_out(
    shelf: list[RegisteredModel], editor: Client
) -> None:
    RegisteredModel.objects.filter(pk=shelf[0].pk).update(
        quarantined_at=timezone.now(), visibility="ADMIN_ONLY"
    )
    body = {"filter": {}, "set": {"visibility": "PUBLIC"}}
    told = send(editor, "POST", PREVIEW, body).json()
    assert (told["failing"], told["faults"][0]["model_id"]) == (1, "a")
    refused = assert_error(send(editor, "POST", LIST, body), 409)
    assert refused["errors"][0]["loc"] == ["body", "models", "a"]
    made = send(editor, "POST", LIST, {**body, "atomic": False}).json()
    assert (made["changed"], made["skipped"]) == (2, 1)
    assert "quarantine" in made["kept"][0]["reason"]


def test_many_models_are_left_to_a_worker_and_can_be_stopped_and_resumed(
    shelf: list[RegisteredModel],
    editor: Client,
    task_queue: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert task_queue is not None
    monkeypatch.setattr(bulk_edits, "AT_ONCE", 2)
    made = send(editor, "POST", LIST, {"filter": {}, "set": {"license": "x"}})
    assert (made.status_code, made.json()["state"]) == (202, "queued")
    address = made["Location"]
    stopped = editor.post(f"{address}/cancel").json()
    assert (stopped["state"], stopped["accepted"]) == ("cancelled", True)
    assert editor.post(f"{address}/cancel").json()["accepted"] is False
    resumed = editor.post(f"{address}/resume").json()
    assert (resumed["state"], resumed["accepted"]) == ("queued", True)
    bulk_edits.execute(BulkEdit.objects.get())
    told = editor.get(address).json()
    assert (told["state"], told["changed"]) == ("done", len(shelf))


def test_each_kind_takes_its_permission_on_models_that_one_sees(
    make_model: Make, user: User, caller: Callable[..., Client]
) -> None:
    make_model("seen", visibility="PUBLIC")
    make_model("hidden", visibility="ADMIN_ONLY")
    group = Group.objects.create(name="lab")
    Collection.objects.create(name="Opening").groups.add(group)
    client = caller(permit(user, Right.EDIT, Right.CHANGE_COLLECTION), "write")
    for change in (
        {"set": {"visibility": "PUBLIC"}},
        {"add": {"groups": ["lab"]}},
        {"add": {"collections": ["Opening"]}},
        {"action": "validate"},
    ):
        for address in (PREVIEW, LIST):
            assert_error(send(client, "POST", address, {"filter": {}, **change}), 403)
    told = send(client, "POST", LIST, {"filter": {}, "set": {"license": "mit"}}).json()
    assert (told["total"], told["changed"]) == (1, 1)
    hidden = send(client, "POST", LIST, {"models": ["hidden"], "set": {"license": "mit"}})
    assert_error(hidden, 422)


def test_edits_are_ones_own(
    make_model: Make, user: User, admin_user: User, caller: Callable[..., Client]
) -> None:
    make_model("m")
    theirs = BulkEdit.objects.create(
        operation={"kind": "tags", "atomic": True, "channel": "page"},
        selection={"keys": []},
        batch=uuid4(),
        requested_by=admin_user,
    )
    client = caller(permit(user, Right.EDIT), "write")
    assert client.get(LIST).json()["count"] == 0
    assert_error(client.get(f"{LIST}/{theirs.pk}"), 404)
    assert_error(client.post(f"{LIST}/{theirs.pk}/cancel"), 404)


def test_preview_and_apply_take_a_fixed_number_of_queries(
    make_model: Make, editor: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(40):
        make_model(f"m{number}")
    body = {"filter": {"search": "m"}, "set": {"license": "mit"}}
    send(editor, "POST", PREVIEW, body)
    with django_assert_max_num_queries(12):
        assert send(editor, "POST", PREVIEW, body).json()["changing"] == 40
    with django_assert_max_num_queries(45):
        assert send(editor, "POST", LIST, body).json()["changed"] == 40

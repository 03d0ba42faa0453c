"""What was changed in all models, and undoing one change or all that were made together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from discovery.models import MetadataChange, RegisteredModel, Right
from discovery.services.metadata import metadata
from tests.api.test_access import assert_error
from tests.people import permit

Make = Callable[..., RegisteredModel]
LIST = "/api/changes"
EDITS = f"{LIST}?kind=edit"


@pytest.fixture
def editor(admin_user: User, caller: Callable[..., Client]) -> Client:
    return caller(admin_user, "write")


def results(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.content
    found: list[dict[str, Any]] = response.json()["results"]
    return found


def edit(model: RegisteredModel, by: User, **changes: Any) -> str:
    """Returns the batch."""
    made = metadata.edit(model, changes, by=by, channel="page")
    return str(made[0].batch)


def test_all_changes_are_listed_and_filtered(
    make_model: Make, admin_user: User, editor: Client
) -> None:
    other = User.objects.create_superuser("other")
    first, second = make_model("first"), make_model("second")
    batch = edit(first, admin_user, license="mit", author="Ann")
    edit(second, other, license="apache-2.0")
    MetadataChange.objects.filter(field="author").update(at=timezone.now() - timedelta(days=9))
    body = editor.get(EDITS).json()
    assert (body["count"], body["notes"]) == (3, [])
    row = body["results"][0]
    assert (row["model_id"], row["field"], row["after"]) == ("second", "license", "apache-2.0")
    assert (row["by"], row["undone"], row["undoable"]) == ("other", False, True)
    alone = editor.get(f"{LIST}/{row['change_id']}").json()
    more = {"kind": "edit", "text": "Changed license of second", "address": row["address"]}
    assert alone | more == row
    week = (timezone.now() - timedelta(days=7)).isoformat().replace("+00:00", "Z")
    for query, count in (
        ("model_id=first", 2),
        ("by=other", 1),
        ("field=license", 2),
        ("through=api", 0),
        (f"batch={batch}", 2),
        (f"since={week}", 2),
        (f"until={week}", 1),
        (f"batch={batch}&field=license", 1),
    ):
        assert editor.get(f"{EDITS}&{query}").json()["count"] == count, query


def test_an_id_that_is_not_there_is_an_empty_list_that_says_so(
    make_model: Make, admin_user: User, editor: Client
) -> None:
    edit(make_model("m"), admin_user, license="mit")
    for query in ("model_id=gone", "by=nobody", f"batch={uuid4()}"):
        body = editor.get(f"{LIST}?{query}").json()
        assert (body["count"], body["results"]) == (0, [])
        assert len(body["notes"]) == 1
    assert editor.get(f"{LIST}?model_id=gone").json()["notes"] == ["There is no model gone."]


def test_other_kinds_of_events_are_listed_where_they_may_be_known(
    make_model: Make, admin_user: User, editor: Client, reader: Client
) -> None:
    seen = make_model("seen", visibility="PUBLIC")
    edit(seen, admin_user, license="mit")
    Group.objects.create(name="lab")
    row = results(editor.get(LIST))[0]
    assert (row["kind"], row["text"], row["by"]) == ("user", "Created the group lab", None)
    assert (row["address"], row["model_id"], row["undoable"]) == ("/users/changes/", None, None)
    assert {each["kind"] for each in results(reader.get(LIST))} == {"edit"}
    assert results(editor.get(f"{LIST}?kind=scan&kind=rules")) == []
    body = editor.get(f"{LIST}?kind=user&field=license").json()
    assert (body["count"], len(body["notes"])) == (0, 1)
    assert_error(editor.get(f"{LIST}?kind=nonsense"), 422)


def test_a_walk_through_all_kinds_meets_each_once(
    make_model: Make, admin_user: User, editor: Client
) -> None:
    for number in range(3):
        edit(make_model(f"m{number}"), admin_user, license="mit")
        Group.objects.create(name=f"group {number}")
    count = editor.get(LIST).json()["count"]
    seen, address = [], f"{LIST}?cursor=&page_size=2"
    while address:
        body = editor.get(address).json()
        seen += [(row["kind"], row["text"]) for row in body["results"]]
        address = body["next"]
    assert len(seen) == len(set(seen)) == count
    for cursor in ("nonsense", "YWZ0ZXIgMQ", "eCB5IHo"):
        assert_error(editor.get(f"{LIST}?cursor={cursor}"), 422)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("through=pgae", "did you mean page?"),
        ("field=licence", "did you mean license?"),
        ("since=yesterday", ""),
        ("since=12", "ISO 8601"),
        ("batch=x", ""),
        ("model_id=a&model_id=b", "it comes 2 times"),
        ("model_id=", "it is empty"),
        ("model_id=%00", "cannot be stored"),
        ("cursor=x", "take it from next"),
        ("cursor=&page=2", "leave out page"),
        ("fields=license", "did you mean field?"),
    ],
)
def test_a_filter_that_is_wrong_is_one_error_that_says_what_to_do(
    editor: Client, query: str, said: str
) -> None:
    body = assert_error(editor.get(f"{LIST}?{query}"), 422)
    assert len(body["errors"]) == 1
    assert body["errors"][0]["loc"][0] == "query"
    assert said in body["errors"][0]["msg"]


def test_a_cursor_meets_every_change_once_while_others_are_made(
    make_model: Make, admin_user: User, editor: Client
) -> None:
    model = make_model("m")
    for number in range(5):
        edit(model, admin_user, license=f"license-{number}")
    seen, address = [], f"{EDITS}&cursor=&page_size=2"
    while address:
        body = editor.get(address).json()
        seen += [row["after"] for row in body["results"]]
        address = body["next"]
        edit(model, admin_user, author=f"author-{len(seen)}")
    assert seen == [f"license-{number}" for number in (4, 3, 2, 1, 0)]


def test_people_see_changes_of_their_models_without_who_made_them(
    make_model: Make, admin_user: User, reader: Client, anybody: Client
) -> None:
    seen = make_model("seen", visibility="PUBLIC")
    hidden = make_model("hidden", visibility="ADMIN_ONLY")
    Group.objects.create(name="lab")
    edit(seen, admin_user, license="mit", groups=["lab"])
    batch = edit(hidden, admin_user, license="mit")
    assert [(row["model_id"], row["by"]) for row in results(reader.get(LIST))] == [("seen", None)]
    assert reader.get(f"{LIST}?model_id=hidden").json()["notes"] == ["There is no model hidden."]
    assert reader.get(f"{LIST}?by=admin").json()["count"] == 0
    last = MetadataChange.objects.latest("pk")
    assert_error(reader.get(f"{LIST}/{last.pk}"), 404)
    assert_error(reader.get(f"{LIST}/batches/{batch}"), 404)
    assert_error(anybody.get(LIST), 401)


def test_a_list_takes_a_fixed_number_of_queries(
    make_model: Make,
    admin_user: User,
    editor: Client,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(12):
        edit(make_model(f"m{number}"), admin_user, license="mit", tags=["a"])
    editor.get(LIST)
    with django_assert_max_num_queries(8):
        assert len(results(editor.get(f"{EDITS}&page_size=500"))) == 24


def test_one_change_is_undone_and_the_answer_is_the_change_that_does_so(
    make_model: Make, admin_user: User, editor: Client
) -> None:
    model = make_model("m", license="mit")
    edit(model, admin_user, license="apache-2.0")
    change = MetadataChange.objects.get()
    made = editor.post(f"{LIST}/{change.pk}/undo")
    assert made.status_code == 201
    body = made.json()
    assert (body["before"], body["after"], body["through"]) == ("apache-2.0", None, "api")
    assert body["undoes"] == str(change.batch)
    assert made["Location"] == f"http://testserver{LIST}/{body['change_id']}"
    assert editor.get("/api/models/m").json()["license"] == "mit"
    assert editor.get(f"{LIST}/{change.pk}").json()["undone"] is True
    again = assert_error(editor.post(f"{LIST}/{change.pk}/undo"), 409)
    assert again["errors"][0]["loc"] == ["path", "change_id"]
    redone = editor.post(f"{LIST}/{body['change_id']}/undo")
    assert redone.status_code == 201
    assert editor.get("/api/models/m").json()["license"] == "apache-2.0"


def test_what_somebody_decided_since_is_kept(
    make_model: Make, admin_user: User, editor: Client
) -> None:
    model = make_model("m")
    edit(model, admin_user, license="mit")
    change = MetadataChange.objects.get()
    edit(model, admin_user, license="bsd")
    body = assert_error(editor.post(f"{LIST}/{change.pk}/undo"), 409)
    assert "was changed again since" in body["errors"][0]["msg"]
    assert editor.get("/api/models/m").json()["license"] == "bsd"


def test_a_batch_is_undone_and_names_what_it_kept_and_why(
    make_model: Make, admin_user: User, editor: Client
) -> None:
    models = [make_model(f"m{number}") for number in range(3)]
    made = metadata.edit_many(
        {model: {"license": "mit"} for model in models},
        by=admin_user, channel="page", batch=uuid4(),
    )  # fmt: skip
    batch = made[0].batch
    edit(models[0], admin_user, license="bsd")
    told = editor.get(f"{LIST}/batches/{batch}").json()
    assert (told["changes"], told["models"], told["undone"]) == (3, 3, 0)
    assert told["fields"] == [{"field": "license", "changes": 3}]
    undone = editor.post(f"{LIST}/batches/{batch}/undo")
    assert undone.status_code == 201
    body = undone.json()
    assert (body["state"], body["changed"], body["skipped"]) == ("done", 2, 1)
    assert [(kept["model_id"], "changed again" in kept["reason"]) for kept in body["kept"]] == [
        ("m0", True)
    ]
    assert body["undoes"] == str(batch)
    assert editor.get(undone["Location"]).json() == body
    assert editor.get(f"{LIST}/batches/{batch}").json()["undone"] == 2
    again = editor.post(f"{LIST}/batches/{body['batch']}/undo").json()
    assert again["changed"] == 2
    assert editor.get("/api/models/m1").json()["license"] == "mit"


def test_undoing_takes_the_permission_for_the_change_on_models_that_one_sees(
    make_model: Make, user: User, admin_user: User, caller: Callable[..., Client]
) -> None:
    model = make_model("m", visibility="PUBLIC")
    hidden = make_model("hidden", visibility="ADMIN_ONLY")
    edit(model, admin_user, license="mit")
    mine = MetadataChange.objects.latest("pk")
    edit(model, admin_user, visibility="RESTRICTED")
    edit(model, admin_user, visibility="PUBLIC")
    granted = MetadataChange.objects.latest("pk")
    edit(hidden, admin_user, license="mit")
    theirs = MetadataChange.objects.latest("pk")
    client = caller(permit(user, Right.EDIT), "write")
    assert_error(client.post(f"{LIST}/{granted.pk}/undo"), 403)
    assert_error(client.post(f"{LIST}/batches/{granted.batch}/undo"), 403)
    assert_error(client.post(f"{LIST}/{theirs.pk}/undo"), 404)
    assert_error(client.post(f"{LIST}/batches/{theirs.batch}/undo"), 404)
    assert client.post(f"{LIST}/{mine.pk}/undo").status_code == 201


def test_what_is_not_there_or_decided_elsewhere_is_said(
    make_model: Make, admin_user: User, editor: Client
) -> None:
    model = make_model("m")
    change = MetadataChange.objects.create(
        model=model, field="quarantine", after="x", by=admin_user, at=timezone.now(),
        channel="page", batch=uuid4(),
    )  # fmt: skip
    assert_error(editor.post(f"{LIST}/{change.pk}/undo"), 409)
    assert_error(editor.post(f"{LIST}/batches/{change.batch}/undo"), 409)
    assert_error(editor.post(f"{LIST}/99999/undo"), 404)
    assert_error(editor.post(f"{LIST}/0/undo"), 422)
    assert_error(editor.post(f"{LIST}/batches/{uuid4()}/undo"), 404)
    assert_error(editor.post(f"{LIST}/batches/nonsense/undo"), 422)


def test_the_history_of_a_model_has_what_undo_needs(
    make_model: Make, admin_user: User, editor: Client
) -> None:
    edit(make_model("m"), admin_user, license="mit")
    [row] = results(editor.get("/api/models/m/history?cursor="))
    assert editor.post(f"{LIST}/{row['change_id']}/undo").status_code == 201

"""What programs may change: one model, many at once, what is forgotten and found again, registered
by hand, scanned and tried.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import DatabaseError, connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from discovery.models import (
    Collection,
    Forgotten,
    LoadTest,
    MetadataChange,
    RegisteredModel,
    Root,
    ScanRun,
)
from discovery.services import scans
from discovery.services.health import test_loads
from discovery.services.metadata import metadata
from discovery.services.registry import deregistration, tags
from discovery.services.scans import registration
from tests.api.test_access import assert_error
from tests.support import builders
from tests.support.waiting import until

Make = Callable[..., RegisteredModel]

BULK = "/api/models/metadata/bulk-update"
REFRESH = "/api/models/discovery/refresh"
JSON = "application/json"


@pytest.fixture
def editor(admin_user: User, caller: Callable[..., Client]) -> Client:
    return caller(admin_user, "write")


def put(client: Client, address: str, body: Any, **more: Any) -> Any:
    return client.put(
        address,
        body if isinstance(body, (str, bytes)) else json.dumps(body),
        content_type=JSON,
        **more,
    )


def post(client: Client, address: str, body: Any, **more: Any) -> Any:
    return client.post(
        address,
        body if isinstance(body, (str, bytes)) else json.dumps(body),
        content_type=JSON,
        **more,
    )


# -- one model


def test_objects_merge_lists_replace_and_null_gives_back(make_model: Make, editor: Client) -> None:
    model = make_model(
        "m",
        license="mit",
        tags=["old"],
        extracted={"performance_metrics": {"speed": "fast", "accuracy_score": 0.8}},
    )
    guide = {
        "display_name": "Updated Model Name",
        "tags": ["new_tag", "updated"],
        "performance_metrics": {"accuracy_score": 0.90},
    }
    first = put(editor, "/api/models/m/metadata", guide)
    assert first.status_code == 200
    body = first.json()
    assert (body["display_name"], body["tags"]) == ("Updated Model Name", ["new_tag", "updated"])
    assert body["performance_metrics"] == {"speed": "fast", "accuracy_score": 0.9}
    assert body["sources"]["tags"] == {"source": "edited by admin", "curated": True}
    back = put(
        editor, "/api/models/m/metadata", {"tags": None, "performance_metrics": {"speed": None}}
    ).json()
    assert back["tags"] == ["old"]
    assert back["performance_metrics"] == {"accuracy_score": 0.9}
    assert set(MetadataChange.objects.filter(model=model).values_list("channel", flat=True)) == {
        "api"
    }
    assert editor.get("/api/models/m").json() == back


def test_a_category_is_set_in_part_and_given_back(make_model: Make, editor: Client) -> None:
    make_model("m", primary="VISION", secondary="CHAT")
    body = put(
        editor, "/api/models/m/category", {"primary": "LANGUAGE", "specialization": "TECHNICAL"}
    ).json()
    assert body["category"] == {
        "primary": "LANGUAGE",
        "secondary": "CHAT",
        "specialization": "TECHNICAL",
    }
    assert (
        put(editor, "/api/models/m/category", {"primary": None}).json()["category"]["primary"]
        == "VISION"
    )
    wrong = assert_error(
        put(editor, "/api/models/m/category", {"primary": "SMELL", "mood": "x"}), 422
    )
    assert {tuple(item["loc"]) for item in wrong["errors"]} == {
        ("body", "primary"),
        ("body", "mood"),
    }


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        ("{", 400, ["body"]),
        ("", 422, ["body"]),
        (b"\xff\xfe", 400, ["body"]),
        ('{"tags": NaN}', 400, ["body"]),
        ("[" * 100_000, 400, ["body"]),
        ('{"custom": ' + '{"a":' * 500 + "1" + "}" * 500 + "}", 422, None),
        ([], 422, ["body"]),
        ("null", 422, ["body"]),
        ({"tags": "chat"}, 422, ["body", "tags"]),
        ({"tags": ["ok", 5]}, 422, ["body", "tags", 1]),
        ({"tags": ["x" * 10_000]}, 422, ["body", "tags", 0]),
        ({"modalities": ["SMELL"]}, 422, ["body", "modalities", 0]),
        ({"status": "MISSING"}, 422, ["body", "status"]),
        ({"context_length": 1 << 70}, 422, ["body", "context_length"]),
        ({"context_length": True}, 422, ["body", "context_length"]),
        ({"description": "nul \0"}, 422, ["body", "description"]),
        ({"description": "\ud800"}, 422, None),
        ({"collections": ["none of that name"]}, 422, ["body", "collections"]),
        ({"custom": {"n": 1 << 70}}, 422, ["body", "custom"]),
    ],
)
def test_bad_bodies_are_refused_with_the_place_and_nothing_is_written(
    body: Any, status: int, where: list[Any] | None, make_model: Make, editor: Client
) -> None:
    make_model("m")
    told = assert_error(put(editor, "/api/models/m/metadata", body), status)
    if where is not None:
        assert told["errors"][0]["loc"] == where
    assert not MetadataChange.objects.exists()


def test_a_body_over_five_mebibytes_is_413_before_it_is_read(
    make_model: Make, editor: Client
) -> None:
    make_model("m")
    assert_error(
        put(editor, "/api/models/m/metadata", json.dumps({"description": "x" * (6 << 20)})), 413
    )
    assert_error(put(editor, "/api/models/m/metadata", "{}", CONTENT_LENGTH="9" * 50), 413)
    assert_error(put(editor, "/api/models/m/metadata", "{}", CONTENT_LENGTH="many"), 400)


def test_json_is_taken_whatever_the_content_type_says(make_model: Make, editor: Client) -> None:
    make_model("m")
    for kind in ("", "text/plain", "application/x-www-form-urlencoded"):
        assert (
            editor.put(
                "/api/models/m/metadata", '{"license": "mit"}', content_type=kind
            ).status_code
            == 200
        )


def test_changing_needs_an_administrator_and_the_scope_write(
    make_model: Make, admin_user: User, user: User, anybody: Client, caller: Callable[..., Client]
) -> None:
    make_model("m", visibility="PUBLIC")
    calls = [
        ("put", "/api/models/m/metadata"),
        ("put", "/api/models/m/category"),
        ("post", BULK),
        ("post", "/api/models/register"),
        ("delete", "/api/models/m"),
    ]
    reading = caller(admin_user, "read")
    reader = caller(user)
    for method, address in calls:
        assert_error(getattr(anybody, method)(address, "{}", content_type=JSON), 401)
        assert_error(getattr(reader, method)(address, "{}", content_type=JSON), 403)
        assert (
            "scope write"
            in assert_error(getattr(reading, method)(address, "{}", content_type=JSON), 403)[
                "detail"
            ]
        )
    assert_error(post(caller(admin_user, "write"), REFRESH, {}), 403)
    assert RegisteredModel.objects.exists()


def test_a_browser_changes_things_only_with_its_csrf_token(
    make_model: Make, admin_user: User
) -> None:
    make_model("m")
    browser = Client(enforce_csrf_checks=True, raise_request_exception=False)
    browser.force_login(admin_user)
    assert browser.get("/api/models/m").status_code == 200
    assert (
        "CSRF"
        in assert_error(put(browser, "/api/models/m/metadata", {"license": "mit"}), 403)["detail"]
    )
    browser.get("/tokens/")
    token = browser.cookies["csrftoken"].value
    assert (
        put(
            browser, "/api/models/m/metadata", {"license": "mit"}, headers={"X-CSRFToken": token}
        ).status_code
        == 200
    )


def test_if_match_refuses_to_overwrite_what_the_caller_has_not_seen(
    make_model: Make, editor: Client
) -> None:
    make_model("m")
    seen = editor.get("/api/models/m")["ETag"]
    changed = put(editor, "/api/models/m/metadata", {"license": "mit"}, headers={"If-Match": seen})
    assert changed.status_code == 200
    for method, address in (
        ("put", "/api/models/m/metadata"),
        ("put", "/api/models/m/category"),
        ("delete", "/api/models/m"),
    ):
        assert_error(
            getattr(editor, method)(address, "{}", content_type=JSON, headers={"If-Match": seen}),
            412,
        )
    for tag in (changed["ETag"], f"W/{changed['ETag']}", f'"other", {changed["ETag"]}', "*"):
        assert (
            put(editor, "/api/models/m/metadata", {}, headers={"If-Match": tag}).status_code == 200
        )
    assert editor.get("/api/models/m")["ETag"] == changed["ETag"]


def test_a_quarantine_is_not_lifted_by_an_edit(make_model: Make, editor: Client) -> None:
    model = make_model("m", visibility="ADMIN_ONLY")
    RegisteredModel.objects.filter(pk=model.pk).update(quarantined_at=model.added_at)
    assert assert_error(put(editor, "/api/models/m/metadata", {"visibility": "PUBLIC"}), 422)[
        "errors"
    ][0]["loc"] == ["body", "visibility"]


# -- many models


def test_a_bulk_update_says_per_item_what_happened(make_model: Make, editor: Client) -> None:
    for name in ("a", "b", "c"):
        make_model(name)
    updates = [
        {"model_id": "a", "metadata": {"license": "mit"}},
        {"model_id": "nobody", "metadata": {"license": "mit"}},
        {"model_id": "b", "metadata": {"license": ["mit"], "smell": 1}},
        {"model_id": "a", "metadata": {"license": "gpl-3.0"}},
        {"model_id": "c", "metadata": {"license": "mit", "custom": {"a": {"b": 1}}}},
    ]
    response = post(editor, BULK, {"updates": updates})
    assert response.status_code == 200
    body = response.json()
    assert (body["updated"], body["failed"]) == (2, 3)
    assert [result["status"] for result in body["results"]] == [
        "updated",
        "error",
        "error",
        "error",
        "updated",
    ]
    assert body["results"][1]["errors"][0]["loc"] == ["body", "updates", 1, "model_id"]
    assert {tuple(item["loc"]) for item in body["results"][2]["errors"]} == {
        ("body", "updates", 2, "metadata", "license"),
        ("body", "updates", 2, "metadata", "smell"),
    }
    assert dict(RegisteredModel.objects.values_list("model_id", "license")) == {
        "a": "mit",
        "b": None,
        "c": "mit",
    }
    assert MetadataChange.objects.values("batch").distinct().count() == 1


def test_an_atomic_bulk_update_that_fails_in_the_middle_writes_nothing(
    make_model: Make, editor: Client
) -> None:
    for name in ("a", "b", "c"):
        make_model(name)
    updates = [
        {"model_id": name, "metadata": {"license": "mit" if name != "b" else 5.5e400}}
        for name in ("a", "b", "c")
    ]
    assert_error(post(editor, f"{BULK}?atomic=true", {"updates": updates}), 400)
    updates[1]["metadata"] = {"license": ["x"]}
    response = post(editor, f"{BULK}?atomic=true", {"updates": updates})
    assert response.status_code == 422
    assert (response.json()["updated"], response.json()["failed"]) == (0, 1)
    assert [result["status"] for result in response.json()["results"]] == ["error"] * 3
    assert not MetadataChange.objects.exists()
    updates[1]["metadata"] = {"license": "mit"}
    assert post(editor, f"{BULK}?atomic=true", {"updates": updates}).json()["updated"] == 3


@pytest.mark.parametrize("atomic", ["true", "false"])
def test_a_bulk_update_whose_database_fails_in_the_middle_writes_nothing(
    atomic: str, make_model: Make, editor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        make_model(name)

    def fail(_: Any) -> None:
        raise DatabaseError("disk full")

    monkeypatch.setattr(tags, "sync", fail)
    updates = [
        {"model_id": name, "metadata": {"tags": ["new"], "license": "mit"}} for name in ("a", "b")
    ]
    assert_error(post(editor, f"{BULK}?atomic={atomic}", {"updates": updates}), 500)
    assert not MetadataChange.objects.exists()
    assert not RegisteredModel.objects.filter(license="mit").exists()


@pytest.mark.slow
def test_a_thousand_updates_take_a_fixed_number_of_queries_and_one_more_is_refused(
    make_model: Make, editor: Client, django_assert_max_num_queries: Any
) -> None:
    at_most: DjangoAssertNumQueries = django_assert_max_num_queries
    Collection.objects.create(name="Chosen")
    root = Root.objects.create(path="/srv/many")
    first = make_model("m0", root=root)
    copies = [_copy(first, number) for number in range(1, 1_000)]
    RegisteredModel.objects.bulk_create(copies)
    editor.get("/api/models/m0")
    updates = [
        {
            "model_id": f"m{n}",
            "metadata": {
                "license": "mit",
                "tags": [f"t{n % 7}"],
                "collections": ["Chosen"] if n % 2 else [],
            },
        }
        for n in range(1_000)
    ]
    with at_most(60):  # of which 26 insert the 2,500 changes: SQLite takes 999 values a statement
        body = post(editor, BULK, {"updates": updates}).json()
    assert (body["updated"], body["failed"]) == (1_000, 0)
    assert RegisteredModel.objects.filter(license="mit", tagged__name="t3").count() == 143
    assert RegisteredModel.objects.filter(collections__name="Chosen").count() == 500
    refused = assert_error(post(editor, BULK, {"updates": [*updates, updates[0]]}), 422)
    assert refused["errors"][0]["loc"] == ["body", "updates"]
    assert_error(post(editor, BULK, {"updates": []}), 422)
    assert_error(post(editor, BULK, {"updates": [{"model_id": "m1"}]}), 422)


def _copy(model: RegisteredModel, number: int) -> RegisteredModel:
    values = {
        field.attname: getattr(model, field.attname)
        for field in RegisteredModel._meta.concrete_fields
        if field.name != "id"
    }
    return RegisteredModel(
        **{
            **values,
            "model_id": f"m{number}",
            "path": f"m{number}",
            "place": f"m{number}",
            "name": f"m{number}",
        }
    )


# -- forgetting


def test_a_forgotten_model_is_gone_and_a_scan_that_finds_it_brings_all_of_it_back(
    models_root: Path, admin_user: User, user: User, editor: Client, db: None
) -> None:
    builders.transformers(models_root / "bert-tiny")
    Root.objects.create(path=str(models_root))

    def scan() -> None:
        run, _ = scans.start_now(ScanRun.Trigger.COMMAND)
        scans.execute(run)

    scan()
    model = RegisteredModel.objects.get()
    group, collection = Group.objects.create(name="g"), Collection.objects.create(name="c")
    metadata.edit(
        model,
        {"description": "Ours", "visibility": "PUBLIC", "tags": ["kept"]},
        by=admin_user,
        channel="page",
    )
    model.groups.add(group)
    model.collections.add(collection)
    model.favoured_by.add(user)
    before = editor.get(f"/api/models/{model.model_id}").json()
    history = editor.get(f"/api/models/{model.model_id}/history").json()
    gone = editor.delete(f"/api/models/{model.model_id}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert_error(editor.get(f"/api/models/{model.model_id}"), 404)
    assert_error(editor.delete(f"/api/models/{model.model_id}"), 404)
    assert (models_root / "bert-tiny/config.json").exists()
    scan()
    again = editor.get(f"/api/models/{model.model_id}").json()
    assert {**again, "last_seen_at": None} == {**before, "last_seen_at": None}
    again = editor.get(f"/api/models/{model.model_id}/history").json()
    for row in (*history["results"], *again["results"]):
        del row["change_id"]
    assert again == history
    back = RegisteredModel.objects.get()
    assert (
        list(back.groups.all()),
        list(back.collections.all()),
        list(back.favoured_by.all()),
    ) == ([group], [collection], [user])
    assert list(back.tagged.values_list("name", flat=True)) == ["kept"]
    assert not Forgotten.objects.exists()


def test_what_is_forgotten_keeps_its_id_and_outlives_people_and_groups(
    models_root: Path, admin_user: User, user: User, db: None
) -> None:
    builders.transformers(models_root / "a/bert")
    Root.objects.create(path=str(models_root))
    scans.execute(scans.start_now(ScanRun.Trigger.COMMAND)[0])
    model = RegisteredModel.objects.get()
    model.favoured_by.add(user)
    metadata.edit(model, {"license": "mit"}, by=user, channel="page")
    deregistration.forget(model, by=admin_user, channel="page")
    user.delete()
    builders.transformers(models_root / "b/bert", hidden=72)
    scans.execute(scans.start_now(ScanRun.Trigger.COMMAND)[0])
    assert RegisteredModel.objects.get(path="a/bert").model_id == "bert"
    assert RegisteredModel.objects.get(path="b/bert").model_id != "bert"
    assert RegisteredModel.objects.get(model_id="bert").license == "mit"
    assert MetadataChange.objects.get().by is None


def test_a_forgotten_model_that_is_registered_by_hand_comes_back_too(
    models_root: Path, admin_user: User, db: None
) -> None:
    builders.transformers(models_root / "bert")
    Root.objects.create(path=str(models_root))
    scans.execute(scans.start_now(ScanRun.Trigger.COMMAND)[0])
    model = RegisteredModel.objects.get()
    metadata.edit(model, {"license": "mit"}, by=admin_user, channel="page")
    deregistration.forget(model, by=admin_user, channel="page")
    back = registration.register(
        {"name": "bert", "path": str(models_root / "bert")}, by=admin_user, channel="page"
    )
    assert (back.model_id, back.license, back.registered_manually) == ("bert", "mit", True)
    assert not Forgotten.objects.exists()


# -- registering


@pytest.fixture
def beside(models_root: Path, db: None) -> Path:
    Root.objects.create(path=str(models_root))
    builders.transformers(models_root / "custom-model")
    return models_root / "custom-model"


def test_registering_reads_what_can_be_read_and_answers_with_the_document(
    beside: Path, models_root: Path, editor: Client
) -> None:
    body = {
        "name": "custom-model",
        "path": str(models_root / "custom-model"),
        "type": "HUGGINGFACE",
        "modalities": ["TEXT"],
        "capabilities": ["CHAT", "CODE"],
    }
    made = post(editor, "/api/models/register", body)
    assert made.status_code == 201, made.content
    document = made.json()
    assert (document["model_id"], document["type"], document["capabilities"]) == (
        "custom-model",
        "TRANSFORMERS",
        ["CHAT", "CODE"],
    )
    assert document["parameter_count"] > 0
    read = editor.get(made["Location"])
    assert (document, made["ETag"]) == (read.json(), read["ETag"])
    again = assert_error(post(editor, "/api/models/register", body), 409)
    assert "custom-model" in again["detail"]


def test_a_hosted_model_takes_an_endpoint_in_place_of_a_path(editor: Client) -> None:
    body = {
        "name": "gpt-4",
        "type": "OPENAI",
        "endpoint": "http://models.example:9/v1",
        "modalities": ["TEXT"],
        "capabilities": ["CHAT"],
    }
    made = post(editor, "/api/models/register", body)
    assert (made.status_code, made.json()["status"], made.json()["type"]) == (
        201,
        "REMOTE",
        "OPENAI",
    )
    assert_error(post(editor, "/api/models/register", body), 409)


OUTSIDE: list[dict[str, Any]] = [
    {"path": "/etc"}, {"path": "../../etc"}, {"path": "nowhere"}, {"path": "x\0"}, {"path": ""}, {},
    {"path": 5}, {"path": "escape"},
    {"path": "\ud800"}, {"path": "custom-model", "smell": 1},
    {"path": "custom-model", "api_key": "sk-1"}, {"path": "custom-model", "type": "FAST"},
    {"type": "OPENAI"}, {"type": "OPENAI", "endpoint": "file:///x"},
]  # fmt: skip


@pytest.mark.parametrize("given", OUTSIDE)
def test_nothing_outside_the_roots_is_registered(
    given: dict[str, Any], beside: Path, models_root: Path, editor: Client
) -> None:
    (models_root / "escape").symlink_to("/etc")
    told = assert_error(post(editor, "/api/models/register", {"name": "m", **given}), 422)
    assert told["errors"][0]["loc"][0] == "body"
    assert not RegisteredModel.objects.exists()


def test_a_registration_repeated_under_its_key_is_answered_and_not_made_again(
    beside: Path, editor: Client, admin_user: User, caller: Callable[..., Client]
) -> None:
    body, key = {"name": "m", "path": "custom-model"}, {"headers": {"Idempotency-Key": "abc-1"}}
    first, second = (
        post(editor, "/api/models/register", body, **key),
        post(editor, "/api/models/register", body, **key),
    )
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second["Idempotency-Replayed"] == "true"
    assert not first.has_header("Idempotency-Replayed")
    assert_error(post(editor, "/api/models/register", {**body, "name": "n"}, **key), 422)
    assert_error(post(caller(admin_user, "write"), "/api/models/register", body, **key), 409)
    assert_error(
        post(editor, "/api/models/register", body, headers={"Idempotency-Key": "ä" * 300}), 422
    )


def test_a_key_whose_request_failed_may_be_used_again(
    beside: Path, models_root: Path, editor: Client
) -> None:
    body, key = {"name": "m", "path": "later"}, {"headers": {"Idempotency-Key": "k"}}
    assert_error(post(editor, "/api/models/register", body, **key), 422)
    builders.transformers(models_root / "later")
    assert post(editor, "/api/models/register", body, **key).status_code == 201


# -- scanning and trying


def test_a_refresh_is_queued_once_for_one_scope(
    models_root: Path, task_queue: Any, administrator: Client
) -> None:
    (models_root / "below").mkdir()
    Root.objects.create(path=str(models_root))
    first, second = post(administrator, REFRESH, ""), post(administrator, REFRESH, {})
    assert (first.status_code, first.json()["created"], second.json()["created"]) == (
        202,
        True,
        False,
    )
    assert first.json()["scan_id"] == second.json()["scan_id"]
    below = post(administrator, REFRESH, {"path": str(models_root / "below"), "full": True}).json()
    run = ScanRun.objects.get(pk=below["scan_id"])
    assert (run.full, run.path, run.trigger) == (True, str(models_root / "below"), "api")
    assert task_queue.queue_size() == 2


def test_a_refresh_repeated_under_its_key_is_the_same_scan_even_after_its_end(
    models_root: Path, task_queue: Any, administrator: Client
) -> None:
    Root.objects.create(path=str(models_root))
    key = {"headers": {"Idempotency-Key": "nightly-7"}}
    first = post(administrator, REFRESH, "", **key).json()
    scans.execute(ScanRun.objects.get())
    assert post(administrator, REFRESH, "", **key).json() == first
    assert post(administrator, REFRESH, "").json()["created"] is True


@pytest.mark.parametrize("path", ["/", "/nowhere", "../..", "x\0y", "\ud800", 5, ["/"]])
def test_only_folders_of_the_roots_are_refreshed(
    path: Any, models_root: Path, task_queue: Any, administrator: Client
) -> None:
    Root.objects.create(path=str(models_root))
    assert assert_error(post(administrator, REFRESH, {"path": path}), 422)["errors"][0]["loc"][
        :2
    ] == ["body", "path"]
    assert_error(post(administrator, REFRESH, {"deep": True}), 422)
    assert not ScanRun.objects.exists()


def test_a_scan_is_cancelled_and_one_that_is_over_is_not(
    models_root: Path, task_queue: Any, reader: Client, administrator: Client
) -> None:
    Root.objects.create(path=str(models_root))
    run = post(administrator, REFRESH, "").json()["scan_id"]
    address = f"/api/models/discovery/scans/{run}/cancel"
    assert_error(reader.post(address), 403)
    assert administrator.post(address).json() == {
        "scan_id": run,
        "status": "cancelled",
        "cancelled": True,
    }
    assert administrator.post(address).json() == {
        "scan_id": run,
        "status": "cancelled",
        "cancelled": False,
    }
    assert_error(administrator.post("/api/models/discovery/scans/999999/cancel"), 404)
    assert_error(administrator.post("/api/models/discovery/scans/99999999999999999999/cancel"), 422)
    assert_error(administrator.post("/api/models/discovery/scans/x/cancel"), 422)


@pytest.mark.django_db(transaction=True)
def test_a_test_load_that_ends_in_time_is_answered_with_its_result(
    models_root: Path, task_queue: Any, admin_user: User, editor: Client
) -> None:
    builders.transformers(models_root / "bert")
    Root.objects.create(path=str(models_root))
    scans.execute(scans.start_now(ScanRun.Trigger.COMMAND)[0])
    model = RegisteredModel.objects.get()

    def work() -> None:
        test = until(lambda: LoadTest.objects.filter(state="queued").first())
        assert test
        LoadTest.objects.filter(pk=test.pk).update(
            state="done",
            result="passed",
            loader="safetensors",
            load_seconds=0.5,
            message="2 tensors read",
        )
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    body = editor.post(f"/api/models/{model.model_id}/test-load?wait=60")
    worker.join()
    assert body.status_code == 200
    promised = {
        "model_id",
        "status",
        "loader",
        "seconds",
        "peak_memory_bytes",
        "message",
        "finished_at",
    }
    assert promised <= set(body.json())
    assert (body.json()["status"], body.json()["seconds"]) == ("passed", 0.5)


def test_a_test_load_that_goes_on_says_where_its_result_will_be(
    make_model: Make, task_queue: Any, editor: Client, anybody: Client
) -> None:
    variants = [
        {"name": "Q4", "path": "m", "status": "READY"},
        {"name": "Q8", "path": "m", "status": "READY"},
    ]
    model = make_model("m", variants=variants)
    first = editor.post("/api/models/m/test-load?variant=Q8")
    assert first.status_code == 202
    told = first.json()
    assert (told["status"], told["variant"], told["created"]) == ("queued", "Q8", True)
    assert first["Location"] == told["location"]
    assert editor.get(told["location"]).status_code == 202
    assert editor.post("/api/models/m/test-load?variant=Q8").json()["created"] is False
    test_loads.cancel(LoadTest.objects.get(model=model))
    over = editor.get(told["location"])
    assert (over.status_code, over.json()["status"]) == (200, "cancelled")
    assert_error(editor.post("/api/models/m/test-load?variant=Q5"), 422)
    assert_error(editor.post("/api/models/m/test-load?wait=9999"), 422)
    assert_error(editor.get("/api/models/m/test-load/999999"), 404)
    assert_error(anybody.post("/api/models/m/test-load"), 401)

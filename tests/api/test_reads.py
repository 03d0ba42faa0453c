"""What can be read of a model, of discovery, of the catalogue and of the machine, and by whom."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone
from django.utils.http import urlencode

from discovery.api import waiting
from discovery.engine.core.vocabulary import Severity
from discovery.models import (
    Collection,
    DeepValidation,
    LogTopic,
    RegisteredModel,
    Root,
    ScanRun,
    Tag,
)
from discovery.services import scans
from discovery.services.core import event_log
from discovery.services.health import deep_validation
from discovery.services.machine import readiness
from discovery.services.metadata import metadata
from discovery.services.registry import tags
from tests.api.test_access import assert_error
from tests.support import builders

Make = Callable[..., RegisteredModel]


@pytest.fixture
def on_disk(models_root: Path, db: None) -> RegisteredModel:
    """A public model with real files, as a scan registers it."""
    builders.transformers(models_root / "bert-tiny")
    Root.objects.create(path=str(models_root))
    run, _ = scans.start_now(ScanRun.Trigger.COMMAND)
    scans.execute(run)
    RegisteredModel.objects.update(visibility="PUBLIC")
    return RegisteredModel.objects.get()


def test_the_metadata_of_headers_is_read_as_it_stands(
    on_disk: RegisteredModel, anybody: Client, models_root: Path
) -> None:
    body = anybody.get(f"/api/models/{on_disk.model_id}/metadata-raw").json()
    assert (body["files"], body["files_read"], body["problems"]) == (1, 1, [])
    [found] = body["results"]
    assert found["path"].endswith(".safetensors")
    assert found["metadata"] == {"format": "pt"}
    assert_error(anybody.get(f"/api/models/{on_disk.model_id}/metadata-raw?file=/etc/passwd"), 422)
    next((models_root / "bert-tiny").glob("*.safetensors")).unlink()
    body = anybody.get(f"/api/models/{on_disk.model_id}/metadata-raw").json()
    assert (body["results"], body["problems"][0]["code"]) == ([], "file_missing")


def test_files_and_tensors_are_those_on_disk(on_disk: RegisteredModel, anybody: Client) -> None:
    files = anybody.get(f"/api/models/{on_disk.model_id}/files?page_size=500").json()
    assert [[row["path"], row["size_bytes"]] for row in files["results"]] == on_disk.files
    only = anybody.get(f"/api/models/{on_disk.model_id}/files?search=CONFIG").json()
    assert 0 < only["count"] < files["count"]
    tensors = anybody.get(f"/api/models/{on_disk.model_id}/tensors").json()
    assert tensors["count"] > 0
    assert tensors["files_read"] == tensors["files"] == 1
    first = tensors["results"][0]
    assert set(first) == {"name", "dtype", "shape", "elements", "size_bytes", "file"}
    again = anybody.get(
        f"/api/models/{on_disk.model_id}/tensors?"
        + urlencode({"file": first["file"], "search": first["name"]})
    ).json()
    assert first in again["results"]
    assert_error(anybody.get(f"/api/models/{on_disk.model_id}/tensors?file=/etc/passwd"), 422)


def test_a_weight_file_that_broke_since_is_a_problem_of_the_answer(
    on_disk: RegisteredModel, models_root: Path, anybody: Client
) -> None:
    weights = next((models_root / "bert-tiny").glob("*.safetensors"))
    weights.write_bytes(b"\xff" * 20)
    body = anybody.get(f"/api/models/{on_disk.model_id}/tensors").json()
    assert body["count"] == 0
    assert body["problems"][0]["path"].endswith(weights.name)


def test_validation_reads_anew_with_post_alone_and_tells_what_was_found_with_get(
    on_disk: RegisteredModel,
    models_root: Path,
    anybody: Client,
    reader: Client,
    administrator: Client,
) -> None:
    address = f"/api/models/{on_disk.model_id}/validate"
    assert anybody.get(address).json()["valid"] is True
    next((models_root / "bert-tiny").glob("*.safetensors")).unlink()
    assert reader.get(address).json()["valid"] is True
    assert administrator.get(address).json()["valid"] is True, (
        "GET reads nothing and changes nothing"
    )
    told = administrator.post(address).json()
    assert told["valid"] is False
    assert {"weights_present"} <= {
        check["name"] for check in told["checks"] if check["status"] == "failed"
    }
    assert set(told) == {"model_id", "valid", "status", "checks", "completeness"}
    assert administrator.get(address).json() == told
    assert_error(reader.post(address), 403)
    assert_error(anybody.post(address), 401)


def test_deep_validation_is_queued_once_and_only_by_administrators(
    on_disk: RegisteredModel,
    task_queue: Any,
    anybody: Client,
    reader: Client,
    administrator: Client,
) -> None:
    address = f"/api/models/{on_disk.model_id}/validate?deep=true"
    assert_error(anybody.post(address), 401)
    assert_error(reader.post(address), 403)
    assert "validation_id" not in administrator.get(address).json()
    assert not DeepValidation.objects.exists(), "GET starts no work"
    first, second = administrator.post(address), administrator.post(address)
    assert (first.status_code, second.status_code) == (202, 202)
    assert (first.json()["created"], second.json()["created"]) == (True, False)
    assert first.json()["validation_id"] == second.json()["validation_id"]
    key, record = first.json()["validation_id"], on_disk.model_id
    place = f"http://testserver/api/models/{record}/validations/{key}"
    assert first["Location"] == first.json()["location"] == place


def test_a_deep_validation_is_followed_to_its_result(
    on_disk: RegisteredModel, task_queue: Any, reader: Client, administrator: Client
) -> None:
    base = f"/api/models/{on_disk.model_id}"
    place = administrator.post(f"{base}/validate?deep=true")["Location"]
    under_way = reader.get(place)
    assert under_way.status_code == 202
    assert under_way.json()["status"] == "queued"
    assert under_way.json()["total_bytes"] == on_disk.size_bytes
    deep_validation.execute(DeepValidation.objects.get())
    over = reader.get(place)
    assert over.status_code == 200
    assert over.json()["status"] == "done"
    assert over.json()["done_bytes"] == over.json()["total_bytes"]
    checks = {check["name"]: check["status"] for check in over.json()["report"]["checks"]}
    assert checks["checksum"] == "warning", "nobody says what it should be"
    assert [row["status"] for row in reader.get(f"{base}/validations").json()["results"]] == [
        "done"
    ]
    assert_error(reader.get(f"{base}/validations/999999"), 404)


def test_a_deep_validation_is_stopped_and_one_that_is_over_is_not(
    on_disk: RegisteredModel, task_queue: Any, reader: Client, administrator: Client
) -> None:
    base = f"/api/models/{on_disk.model_id}"
    key = administrator.post(f"{base}/validate?deep=true").json()["validation_id"]
    address = f"{base}/validations/{key}/cancel"
    assert_error(reader.post(address), 403)
    told = {"model_id": on_disk.model_id, "status": "cancelled"}
    assert administrator.post(address).json() == {**told, "cancelled": True}
    assert administrator.post(address).json() == {**told, "cancelled": False}


def test_a_deep_validation_that_is_waited_for_is_answered_with_its_result(
    on_disk: RegisteredModel, task_queue: Any, administrator: Client
) -> None:
    def work(_seconds: float) -> None:
        deep_validation.execute(DeepValidation.objects.get())

    address = f"/api/models/{on_disk.model_id}/validate"
    with patch.object(waiting.time, "sleep", work):
        over = administrator.post(f"{address}?deep=true&wait=60")
    assert over.status_code == 200
    assert over.json()["status"] == "done"
    errors = assert_error(administrator.post(f"{address}?wait=5"), 422)["errors"]
    assert errors[0]["loc"] == ["query", "wait"]


def test_a_test_load_is_stopped(
    on_disk: RegisteredModel, task_queue: Any, administrator: Client
) -> None:
    base = f"/api/models/{on_disk.model_id}/test-load"
    key = administrator.post(base).json()["test_id"]
    told = administrator.post(f"{base}/{key}/cancel").json()
    assert (told["status"], told["cancelled"]) == ("cancelled", True)
    assert administrator.get(f"{base}/{key}").json()["status"] == "cancelled"


def test_history_says_who_did_what_through_what(
    make_model: Make, admin_user: User, anybody: Client, administrator: Client
) -> None:
    model = make_model("m", visibility="PUBLIC")
    metadata.edit(model, {"license": "mit", "tags": ["a"]}, by=admin_user, channel="page")
    body = administrator.get("/api/models/m/history").json()
    assert body["count"] == 2
    row = next(row for row in body["results"] if row["field"] == "license")
    assert (row["before"], row["after"], row["by"], row["through"]) == (
        None,
        "mit",
        "admin",
        "page",
    )
    assert_error(anybody.get("/api/models/m/history"), 401)


def test_access_says_through_which_groups_people_see_a_restricted_model(
    make_model: Make, user: User, reader: Client, administrator: Client
) -> None:
    model = make_model("m", visibility="RESTRICTED")
    direct, collected = Group.objects.create(name="direct"), Group.objects.create(name="collected")
    model.groups.add(direct)
    collection = Collection.objects.create(name="Chosen")
    collection.groups.add(collected)
    model.collections.add(collection)
    user.groups.add(direct, collected)
    body = administrator.get("/api/models/m/access").json()
    assert (body["groups"], body["users"]) == (["direct"], ["reader"])
    assert body["collections"] == [{"name": "Chosen", "groups": ["collected"]}]
    mine = reader.get("/api/models/m/access").json()
    assert (mine["groups"], mine["users"]) == (["direct"], ["reader"])
    assert mine["collections"] == [{"name": "Chosen", "groups": ["collected"]}]
    direct.name = "renamed"
    direct.save()
    Group.objects.create(name="strangers").models.add(model)
    assert reader.get("/api/models/m/access").json()["groups"] == ["renamed"]
    assert administrator.get("/api/models/m/access").json()["groups"] == ["renamed", "strangers"]
    model.visibility = "ADMIN_ONLY"
    model.save()
    assert administrator.get("/api/models/m/access").json()["users"] == []


def test_status_tells_the_scan_under_way_to_administrators_and_counts_what_the_caller_sees(
    on_disk: RegisteredModel,
    make_model: Make,
    task_queue: Any,
    anybody: Client,
    administrator: Client,
) -> None:
    make_model("hidden", visibility="ADMIN_ONLY", status="CORRUPT")
    address = "/api/models/discovery/status"
    idle = administrator.get(address).json()
    assert (idle["state"], idle["scan"], idle["last_scan"]["status"]) == ("idle", None, "done")
    assert idle["models"] == {"CORRUPT": 1, "READY": 1}
    assert {root["path"]: root["reachable"] for root in idle["roots"]} == {
        "/srv/models": False,
        on_disk.root.path: True,
    }
    run, _ = scans.request(ScanRun.Trigger.PAGE)
    queued = administrator.get(address).json()
    assert (queued["state"], queued["scan"]["scan_id"]) == ("queued", run.pk)
    promised = {
        "scan_id",
        "started_at",
        "done",
        "expected",
        "found",
        "new",
        "changed",
        "missing",
        "errors",
        "current_path",
    }
    assert promised <= set(queued["scan"])
    public = anybody.get(address).json()
    assert public["models"] == {"READY": 1}
    assert (public["state"], public["scan"], public["last_scan"], public["roots"]) == (
        "queued",
        None,
        None,
        [],
    )


def test_past_scans_are_for_administrators(
    on_disk: RegisteredModel, admin_user: User, caller: Callable[..., Client], reader: Client
) -> None:
    body = caller(admin_user, "read").get("/api/models/discovery/scans").json()
    assert (body["count"], body["results"][0]["new"], body["results"][0]["trigger"]) == (
        1,
        1,
        "command",
    )
    assert_error(reader.get("/api/models/discovery/scans"), 403)


def test_the_log_is_filtered_and_readers_see_only_what_concerns_their_models(
    make_model: Make, reader: Client, anybody: Client, administrator: Client
) -> None:
    make_model("open", visibility="PUBLIC")
    make_model("hidden", visibility="ADMIN_ONLY")
    for level, topic, model_id in (
        (Severity.ERROR, LogTopic.VALIDATION, "hidden"),
        (Severity.INFO, LogTopic.METADATA, "open"),
        (Severity.WARNING, LogTopic.DISCOVERY, ""),
    ):
        event_log.record(topic, level, f"about {model_id or 'the scan'}", model_id=model_id)
    address = "/api/models/discovery/logs"
    newest = administrator.get(address).json()
    assert [row["message"] for row in newest["results"]] == [
        "about the scan",
        "about open",
        "about hidden",
    ]
    assert set(newest["results"][0]) == {
        "at",
        "level",
        "channel",
        "scan_id",
        "model_id",
        "path",
        "message",
    }
    assert [row["model_id"] for row in reader.get(address).json()["results"]] == ["open"]
    assert_error(anybody.get(address), 401)
    later = (timezone.now() + timedelta(hours=1)).isoformat()
    for query, count in (
        ("level=error&level=warning", 2),
        ("channel=metadata", 1),
        ("model_id=hidden", 1),
        ("scan_id=5", 0),
        (urlencode({"since": later}), 0),
        ("since=2020-01-01T00:00:00", 3),
    ):
        assert administrator.get(f"{address}?{query}").json()["count"] == count, query
    for wrong in (
        "level=loud",
        "channel=x",
        "scan_id=-1",
        "scan_id=99999999999999999999",
        "since=yesterday",
        "model_id=%00",
    ):
        assert_error(administrator.get(f"{address}?{wrong}"), 422)


def test_tags_collections_and_categories_count_only_what_the_caller_sees(
    make_model: Make, anybody: Client, reader: Client, administrator: Client
) -> None:
    seen = make_model("open", visibility="PUBLIC", tags=["shared"], primary="LANGUAGE")
    hidden = make_model(
        "hidden", visibility="ADMIN_ONLY", tags=["shared", "secret"], primary="LANGUAGE"
    )
    tags.sync([seen, hidden])
    Tag.objects.create(name="kept ready", colour="blue")
    for name, members in (("both", [seen, hidden]), ("dark", [hidden]), ("empty", [])):
        Collection.objects.create(name=name).models.set(members)

    def listed(client: Client, what: str) -> dict[str, int]:
        return {row["name"]: row["models"] for row in client.get(f"/api/{what}").json()["results"]}

    assert listed(anybody, "tags") == {"shared": 1}
    assert listed(administrator, "tags") == {"kept ready": 0, "secret": 1, "shared": 2}
    assert listed(reader, "collections") == {"both": 1}
    assert listed(administrator, "collections") == {"both": 2, "dark": 1, "empty": 0}
    assert anybody.get("/api/categories").json()["primary"][0] == {"value": "LANGUAGE", "models": 1}
    assert administrator.get("/api/categories").json()["primary"][0] == {
        "value": "LANGUAGE",
        "models": 2,
    }


def test_resources_are_for_administrators_with_the_scope_for_it(
    admin_user: User, caller: Callable[..., Client], reader: Client, administrator: Client
) -> None:
    body = administrator.get("/api/system/resources").json()
    assert set(body) == {"cpu", "memory", "gpus", "disks", "workers"}
    assert body["memory"]["total_bytes"] > body["memory"]["available_bytes"] > 0
    assert_error(reader.get("/api/system/resources"), 403)
    assert (
        "scope admin"
        in assert_error(caller(admin_user, "write").get("/api/system/resources"), 403)["detail"]
    )


@pytest.mark.django_db(transaction=True)
def test_probes_answer_without_credentials(
    anybody: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert anybody.get("/healthz").json() == {"status": "alive"}
    ready = anybody.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]) == (
        200,
        {"database": "ok", "migrations": "ok", "broker": "ok"},
    )
    monkeypatch.setattr(
        readiness, "faults", lambda: {"database": "", "migrations": "2 not applied", "broker": ""}
    )
    late = anybody.get("/readyz")
    assert (late.status_code, late.json()["checks"]["migrations"]) == (503, "failed")
    assert "2 not applied" not in late.text


def test_metrics_tell_each_caller_what_they_may_know(
    make_model: Make, anybody: Client, administrator: Client
) -> None:
    make_model("open", visibility="PUBLIC", size_bytes=5)
    make_model("hidden", visibility="ADMIN_ONLY", size_bytes=7)
    public = anybody.get("/metrics")
    assert public["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'karen_models{status="READY"} 1.0\n' in public.text
    assert 'karen_models_bytes{status="READY"} 5.0\n' in public.text
    assert "karen_scans" not in public.text
    everything = administrator.get("/metrics").text
    assert 'karen_models{status="READY"} 2.0\n' in everything
    assert 'karen_scans{state="done"} 0.0\n' in everything
    assert "karen_workers 0.0\n" in everything
    assert anybody.get("/metrics", headers={"Authorization": "Bearer karen_x"}).status_code == 401

"""Roots, schedules, the queue and settings by program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django_q.models import Schedule

from discovery.models import DeepValidation, RegisteredModel, Root, ScanRun, SettingChange, Webhook
from discovery.services import schedules
from discovery.services.core import config_files
from discovery.services.integrations import webhooks
from tests.api.test_access import assert_error

ROOTS = "/api/roots"
MINUTES = "discovery.scan_interval_minutes"


def send(client: Client, address: str, body: Any = None, method: str = "POST", **more: Any) -> Any:
    data = "" if body is None else json.dumps(body)
    return client.generic(method, address, data, "application/json", **more)


@pytest.fixture
def root(administrator: Client, models_root: Path, config_dir: Path, task_queue: Any) -> Any:
    """A root that was added by the API."""
    made = send(administrator, ROOTS, {"path": str(models_root), "name": "big"})
    assert made.status_code == 201, made.content
    return made


def test_a_root_is_added_and_told_with_how_it_stands(
    root: Any, administrator: Client, models_root: Path
) -> None:
    row = administrator.get(root["Location"]).json()
    assert row == root.json()
    assert (row["path"], row["name"], row["reachable"]) == (str(models_root), "big", True)
    assert row in administrator.get(ROOTS).json()["results"]
    assert str(models_root) in config_files.DISCOVERY.path.read_text()


def test_a_root_is_changed_unless_somebody_did_meanwhile(root: Any, administrator: Client) -> None:
    place, tag = root["Location"], root["ETag"]
    changed = send(administrator, place, {"max_depth": 3}, "PUT", headers={"If-Match": tag})
    assert changed.json()["max_depth"] == 3
    assert changed["ETag"] != tag
    stale = send(administrator, place, {"max_depth": 4}, "PUT", headers={"If-Match": tag})
    assert_error(stale, 412)
    back = send(administrator, place, {"max_depth": None, "read_only": True}, "PUT").json()
    assert (back["max_depth"], back["read_only"]) == (None, True)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"path": "models"}, ["body", "path"]),
        ({"path": "/nowhere"}, ["body", "path"]),
        ({"path": "/"}, ["body", "path"]),
        ({}, ["body", "path"]),
        ({"path": "/x", "depth": 3}, ["body", "depth"]),
    ],
)
def test_a_root_that_cannot_be_is_refused(
    administrator: Client, config_dir: Path, body: Any, place: list[str]
) -> None:
    [error] = assert_error(send(administrator, ROOTS, body), 422)["errors"]
    assert error["loc"] == place


@pytest.mark.parametrize("body", [{"max_depth": 0}, {"enabled": None}, {"max_depth": "3"}])
def test_a_wrong_change_of_a_root_is_refused(root: Any, administrator: Client, body: Any) -> None:
    [error] = assert_error(send(administrator, root["Location"], body, "PUT"), 422)["errors"]
    assert error["loc"] == ["body", *body]


def test_a_root_is_removed_and_its_models_stay_or_are_forgotten(
    root: Any, administrator: Client, make_model: Any, models_root: Path
) -> None:
    make_model("m", root=Root.objects.get(path=str(models_root)))
    gone = administrator.delete(root["Location"]).json()
    assert gone == {"path": str(models_root), "forgotten": 0}
    assert RegisteredModel.objects.exists()
    gone = administrator.delete(f"{root['Location']}?models=forget").json()
    assert gone["forgotten"] == 1
    assert not RegisteredModel.objects.exists()
    assert_error(administrator.get(root["Location"]), 404)


def test_a_root_that_has_moved_takes_its_models_along(
    root: Any, administrator: Client, models_root: Path
) -> None:
    there = models_root.parent / "elsewhere"
    models_root.rename(there)
    moved = send(administrator, f"{root['Location']}/move", {"path": str(there)}).json()
    assert moved["root"]["path"] == str(there)
    assert ScanRun.objects.get(pk=moved["scan_id"]).path == str(there)
    refused = send(administrator, f"{root['Location']}/move", {"path": "/nowhere"})
    assert assert_error(refused, 422)["errors"][0]["loc"] == ["body", "path"]


def test_folders_of_other_programs_are_found(
    administrator: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE", "COMFYUI_PATH"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "store").mkdir()
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "store"))
    found = administrator.get(f"{ROOTS}/found").json()["results"]
    assert any(row["path"] == str(tmp_path / "store") for row in found)


def test_roots_are_for_those_who_may_change_them(reader: Client, db: None) -> None:
    for method, address in (("GET", ROOTS), ("POST", ROOTS), ("PUT", f"{ROOTS}/1")):
        assert_error(send(reader, address, {}, method), 403)


# -- schedules and the queue


@pytest.fixture
def scheduled(db: None) -> str:
    Schedule.objects.create(
        name=schedules.SCAN,
        func="discovery.tasks.scheduled_scan",
        schedule_type=Schedule.MINUTES,
        minutes=60,
        next_run=timezone.now(),
        repeats=-1,
    )
    return "/api/schedules/scan-the-roots"


def test_a_schedule_is_paused_moved_resumed_and_run(
    scheduled: str, administrator: Client, task_queue: Any
) -> None:
    later = (timezone.now() + timezone.timedelta(days=1)).replace(microsecond=0)
    body = {"paused": True, "next_run_at": later.isoformat()}
    told = send(administrator, scheduled, body, "PUT").json()
    assert told["is_paused"] is True
    assert told["next_run_at"].startswith(f"{later:%Y-%m-%dT%H:%M:%S}")
    assert send(administrator, scheduled, {"paused": False}, "PUT").json()["is_paused"] is False
    assert send(administrator, f"{scheduled}/run").status_code == 202
    assert task_queue.queue_size() == 1
    listed = administrator.get("/api/schedules").json()
    assert "scan-the-roots" in [row["name"] for row in listed["results"]]


def test_what_a_schedule_cannot_do_is_said(scheduled: str, administrator: Client) -> None:
    past = {"next_run_at": "2020-01-01T00:00:00Z"}
    assert_error(send(administrator, scheduled, past, "PUT"), 422)
    assert_error(send(administrator, "/api/schedules/nope", {}, "PUT"), 404)
    assert_error(send(administrator, "/api/schedules/validate-deeply/run"), 409)


def test_a_schedule_that_is_not_on_the_list_is_told_and_deleted(administrator: Client) -> None:
    stray = Schedule.objects.create(func="os.system", name="stray")
    [told] = administrator.get("/api/schedules").json()["strays"]
    assert told == {"schedule_id": stray.pk, "name": "stray", "function": "os.system"}
    address = f"/api/schedules/strays/{stray.pk}"
    assert administrator.delete(address).status_code == 204
    assert_error(administrator.delete(address), 404)


def test_the_queue_tells_what_waits_and_who_asked(
    administrator: Client, make_model: Any, admin_user: Any, task_queue: Any
) -> None:
    DeepValidation.objects.create(model=make_model("m"), requested_by=admin_user)
    webhooks.ping(Webhook.objects.create(url="https://hooks.example.org", secret="x"))
    told = administrator.get("/api/system/queue").json()
    jobs = {job["kind"]: job for job in told["jobs"]}
    assert len(jobs) == len(told["jobs"]) == 2
    assert {job["state"] for job in told["jobs"]} == {"queued"}
    assert jobs["deep validation"]["requested_by"] == "admin"
    assert told["failed_last_day"] == 0


# -- settings


def test_settings_are_told_with_their_source_saved_and_undone(
    administrator: Client, config_dir: Path
) -> None:
    rows = {row["key"]: row for row in administrator.get("/api/settings").json()["results"]}
    assert rows[MINUTES]["source"] in ("default", "file")
    saved = send(administrator, "/api/settings", {"values": {MINUTES: 17}}, "PUT").json()
    assert saved["changed"] == [MINUTES]
    assert (
        json.loads(config_files.DISCOVERY.path.read_text())["discovery"]["scan_interval_minutes"]
        == 17
    )
    [change] = administrator.get("/api/settings/changes").json()["results"]
    assert (change["key"], change["after"], change["by"]) == (MINUTES, 17, "admin")
    address = f"/api/settings/changes/{change['change_id']}/undo"
    assert send(administrator, address).json()["undone_at"]
    assert_error(send(administrator, address), 409)
    assert SettingChange.objects.count() == 2


def test_a_setting_that_somebody_else_has_changed_is_not_overwritten(
    administrator: Client, config_dir: Path
) -> None:
    rows = {row["key"]: row for row in administrator.get("/api/settings").json()["results"]}
    seen = {MINUTES: rows[MINUTES]["stamp"]}
    send(administrator, "/api/settings", {"values": {MINUTES: 17}}, "PUT")
    stale = send(administrator, "/api/settings", {"values": {MINUTES: 18}, "seen": seen}, "PUT")
    assert assert_error(stale, 409)["errors"][0]["loc"] == ["body", "seen", MINUTES]


@pytest.mark.parametrize(
    ("values", "place", "told"),
    [
        ({"discovery.scan_minutes": 5}, "discovery.scan_minutes", "did you mean"),
        ({MINUTES: "often"}, MINUTES, ""),
        ({MINUTES: -1}, MINUTES, ""),
    ],
)
def test_a_wrong_setting_is_one_error_with_its_key(
    administrator: Client, config_dir: Path, values: Any, place: str, told: str
) -> None:
    answer = assert_error(send(administrator, "/api/settings", {"values": values}, "PUT"), 422)
    [error] = answer["errors"]
    assert error["loc"] == ["body", "values", place]
    assert told in error["msg"]

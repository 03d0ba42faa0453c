"""``/api/registries``: state, sync, search, matches and links."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from discovery.models import RegistrySync, RemoteMatch
from discovery.services import jobs
from discovery.services.integrations import api_tokens
from tests.support.hub import TOKEN, Answer, Hub, HubFile
from tests.support.registries import NEW, Make, cached, loose, repository
from tests.support.registries import hub as hub


@pytest.fixture
def api(admin_user: User) -> Client:
    _, token = api_tokens.create(admin_user, "registries", "admin")
    return Client(headers={"Authorization": f"Bearer {token}"})


def test_registries_are_told_without_their_keys(api: Client, hub: Hub) -> None:
    answer = api.get("/api/registries")
    rows = {row["name"]: row for row in answer.json()["results"]}
    assert (rows["huggingface"]["enabled"], rows["huggingface"]["has_key"]) == (True, True)
    assert rows["model_zoo"]["enabled"] is False
    assert TOKEN not in answer.content.decode()


def test_a_sync_is_202_with_where_to_look(
    api: Client, hub: Hub, make_model: Make, task_queue: Any
) -> None:
    hub.add(repository())
    cached(make_model)
    answer = api.post("/api/registries/huggingface/sync", content_type="application/json")
    assert (answer.status_code, answer.json()["created"]) == (202, True)
    again = api.post("/api/registries/huggingface/sync", content_type="application/json")
    assert (again.status_code, again.json()["created"]) == (202, False)
    jobs.execute(RegistrySync.objects.get())
    told = api.get(answer.headers["Location"]).json()
    assert (told["state"], told["linked"], told["requests"]) == ("done", 1, 2)


def test_a_registry_that_is_off_or_unknown_is_told(api: Client, hub: Hub) -> None:
    answer = api.post("/api/registries/model_zoo/sync", content_type="application/json")
    assert (answer.status_code, "is off" in answer.json()["detail"]) == (409, True)
    assert api.post("/api/registries/nowhere/sync").status_code == 404
    assert api.get("/api/registries/model_zoo/models?search=x").status_code == 409


def test_remote_models_are_searched(api: Client, hub: Hub) -> None:
    hub.add(repository()).gated = "auto"
    told = api.get("/api/registries/huggingface/models?search=model").json()
    row = told["results"][0]
    assert (told["count"], row["remote_id"], row["gated"]) == (1, "acme/model-0", "auto")
    hub.instead["*"] = Answer(429, b"", {"Retry-After": "30"})
    answer = api.get("/api/registries/huggingface/models?search=model")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")


def test_matches_are_listed_confirmed_and_rejected(
    api: Client, hub: Hub, make_model: Make, task_queue: Any
) -> None:
    model = hub.add(repository())
    loose(make_model)
    cached(make_model, 1)
    hub.add(repository(1)).commit(NEW, x__json=HubFile(b"{}"))
    api.post("/api/registries/huggingface/sync", content_type="application/json")
    jobs.execute(RegistrySync.objects.get())
    row = api.get("/api/registries/matches").json()["results"][0]
    assert (row["state"], row["confidence"], row["remote_id"]) == ("proposed", 85, model.id)
    update = api.get("/api/registries/matches?view=updates").json()["results"][0]["update"]
    assert update["files"]["added"] == [["x.json", 2]]
    address = f"/api/registries/matches/{row['match_id']}"
    assert api.post(f"{address}/confirm").json()["state"] == "accepted"
    assert api.get("/api/models/model-0").json()["license"] == "apache-2.0"
    source = api.get("/api/models/model-0").json()["sources"]["license"]["source"]
    assert source == "Hugging Face Hub: acme/model-0"
    assert api.post(f"{address}/reject").json()["state"] == "rejected"
    assert api.get("/api/models/model-0").json()["license"] is None


def test_a_model_is_linked_by_hand(api: Client, hub: Hub, make_model: Make) -> None:
    hub.add(repository())
    record = loose(make_model, "other")
    body = {"model_id": record.model_id, "registry": "huggingface", "remote_id": "acme/model-0"}
    answer = api.post("/api/registries/matches", body, content_type="application/json")
    assert (answer.status_code, answer.json()["state"]) == (201, "accepted")
    wrong = {**body, "remote_id": "acme/none"}
    assert api.post("/api/registries/matches", wrong, "application/json").status_code == 409
    wrong = {**body, "model_id": "none"}
    assert api.post("/api/registries/matches", wrong, "application/json").status_code == 422
    assert RemoteMatch.objects.count() == 1


def test_settings_are_changed(api: Client, config_dir: Path) -> None:
    body = {"enabled": True, "exclude": ["*-GGUF"], "api_key": "hf_x"}
    answer = api.patch("/api/registries/huggingface", body, content_type="application/json")
    told = answer.json()
    assert (told["enabled"], told["exclude"], told["has_key"]) == (True, ["*-GGUF"], True)
    assert "hf_x" not in answer.content.decode()
    wrong = api.patch("/api/registries/huggingface", {"endpoint": "x"}, "application/json")
    assert (wrong.status_code, wrong.json()["errors"][0]["loc"]) == (422, ["body", "endpoint"])

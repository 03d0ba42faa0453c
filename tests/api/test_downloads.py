"""Downloads through the API: asked for, previewed, followed, paused, resumed and canceled."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from discovery.models import Download
from discovery.services import jobs
from tests.support.downloads import offered, root
from tests.support.hub import Answer, Hub, HubFile
from tests.support.registries import hub

__all__ = ["hub", "offered", "root"]

ASK = "/api/downloads"


pytestmark = pytest.mark.usefixtures("offered", "root")


def asked(client: Client, status: int = 202, path: str = ASK, **body: Any) -> Any:
    told = {"registry": "huggingface", "remote_id": "acme/x", **body}
    response = client.post(path, told, content_type="application/json")
    assert response.status_code == status, response.content
    return response.json()


def test_a_download_from_asking_to_its_end(admin_client: Client) -> None:
    made = asked(admin_client, root="models", folder="mine/x")
    assert (made["created"], made["state"], made["folder"]) == (True, "queued", "mine/x")
    assert (made["license"], made["total_files"], made["total_bytes"]) == ("mit", 2, 102)
    assert asked(admin_client)["created"] is False
    address = f"{ASK}/{made['download_id']}"
    jobs.execute(Download.objects.get())
    told = admin_client.get(address).json()
    assert (told["state"], told["done_bytes"], told["done_files"]) == ("done", 102, 2)
    assert admin_client.get(f"{ASK}?state=done").json()["count"] == 1
    assert admin_client.get(f"{ASK}?state=queued").json()["count"] == 0
    assert admin_client.post(f"{address}/cancel").status_code == 409


def test_pause_resume_and_cancel(admin_client: Client) -> None:
    address = f"{ASK}/{asked(admin_client)['download_id']}"
    assert admin_client.post(f"{address}/pause").json()["state"] == "paused"
    assert admin_client.post(f"{address}/pause").status_code == 409
    body = {"accept_unsafe": True}
    resumed = admin_client.post(f"{address}/resume", body, content_type="application/json")
    assert resumed.json()["state"] == "queued"
    assert Download.objects.get().accepts_unsafe
    assert (
        admin_client.post(f"{address}/resume", content_type="application/json").status_code == 409
    )
    assert admin_client.post(f"{address}/cancel").json()["state"] == "cancelled"
    assert admin_client.get(f"{ASK}/99").status_code == 404


def test_a_preview_queues_nothing(hub: Hub, admin_client: Client) -> None:
    hub.models["acme/x"].files["../evil"] = HubFile(b"x")
    told = asked(admin_client, 200, f"{ASK}/preview")
    assert told["faults"] == {"files": "../evil is refused: it leads out of its folder."}
    assert {file["path"]: file["fault"] for file in told["files"]}["../evil"]
    chosen = asked(admin_client, 200, f"{ASK}/preview", files=["config.json"])
    assert (chosen["faults"], chosen["total_bytes"], chosen["folder"]) == ({}, 2, "language/x")
    assert not Download.objects.exists()


REFUSED = {
    "no such root": ({"root": "/nowhere"}, 422, "there is no such root"),
    "no such registry": ({"registry": "nowhere"}, 422, "no registry nowhere"),
    "one that is off": ({"registry": "ollama"}, 422, "is off"),
    "no such model": ({"remote_id": "acme/nothing"}, 422, "It has no model"),
    "not a name": ({"remote_id": "../../etc/passwd"}, 422, "not a name"),
    "a folder outside": ({"folder": "../x"}, 422, "leads out"),
    "no file": ({"files": []}, 422, "Choose at least one"),
    "an unknown field": ({"fodler": "x"}, 422, "folder"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_downloaded_is_told(admin_client: Client, name: str) -> None:
    body, status, words = REFUSED[name]
    assert words in json.dumps(asked(admin_client, status, **body))
    assert not Download.objects.exists()


def test_a_registry_that_is_away_is_503(hub: Hub, admin_client: Client) -> None:
    hub.instead["*"] = Answer(429, b"{}", {"Retry-After": "60"})
    assert "too many requests" in asked(admin_client, 503)["detail"]


def test_nobody_else_downloads(reader: Client) -> None:
    assert reader.get(ASK).status_code == 403
    asked(reader, 403)

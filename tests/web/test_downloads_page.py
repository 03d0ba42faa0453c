"""The Downloads pages: a preview that can be changed, the queue, and one download."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from discovery.models import Download, RemoteEntry, RemoteMatch, Root
from discovery.services import jobs
from tests.support.downloads import offered, root
from tests.support.hub import Hub, HubFile
from tests.support.page_text import page_text
from tests.support.registries import hub

__all__ = ["hub", "offered", "root"]
pytestmark = pytest.mark.usefixtures("offered")

NEW = "/downloads/new/"
WANTED = {"registry": "huggingface", "remote_id": "acme/x"}


def text_of(response: Any, status: int = 200) -> str:
    assert response.status_code == status
    return page_text(response)


def test_a_preview_shows_files_size_license_and_folder(
    hub: Hub, root: Root, admin_client: Client
) -> None:
    told = text_of(admin_client.get(NEW, WANTED))
    for words in ("config.json", "102 B in 2 files", "mit", "Free space", ">language/x<"):
        assert words in told, words
    assert not Download.objects.exists()


def test_a_name_in_no_characters_is_shown_and_refused(
    hub: Hub, root: Root, admin_client: Client
) -> None:
    hub.models["acme/x"].files["half \ud800"] = HubFile(b"x")
    told = text_of(admin_client.get(NEW, WANTED))
    assert "characters that file names cannot have" in told


def test_the_choice_is_changed_and_then_queued(hub: Hub, root: Root, admin_client: Client) -> None:
    form = {**WANTED, "chosen": "1", "revision": "a" * 40, "root": root.pk, "folder": "mine"}
    shown = admin_client.post(NEW, {**form, "file": "config.json", "action": "preview"})
    assert "2 B in 1 file" in text_of(shown)
    none = admin_client.post(NEW, {**form, "action": "download"})
    assert "Choose at least one file" in text_of(none, 422)
    queued = admin_client.post(NEW, {**form, "file": "config.json", "action": "download"})
    job = Download.objects.get()
    assert (queued.status_code, queued["Location"]) == (302, f"/downloads/{job.pk}/")
    assert ([row["path"] for row in job.files], job.folder) == (["config.json"], "mine")


def test_asking_for_pickles_chooses_anew(hub: Hub, root: Root, admin_client: Client) -> None:
    files = hub.models["acme/x"].files
    files |= {"x.safetensors": HubFile(b"x"), "pytorch_model.bin": HubFile(b"x")}
    form = {**WANTED, "chosen": "1", "file": "config.json", "pickles": "1", "action": "preview"}
    told = text_of(admin_client.post(NEW, form))
    assert "4 files" in told


def test_what_a_registry_says_instead_stands_on_the_page(
    hub: Hub, root: Root, admin_client: Client
) -> None:
    wanted = {**WANTED, "remote_id": "acme/nothing"}
    assert "It has no model" in text_of(admin_client.get(NEW, wanted))
    assert "It has no model" in text_of(admin_client.post(NEW, wanted), 422)


@pytest.fixture
def job(hub: Hub, root: Root, admin_client: Client) -> Download:
    admin_client.post(NEW, {**WANTED, "action": "download"})
    return Download.objects.get()


def press(client: Client, job: Download, action: str) -> str:
    client.post(reverse("download-act", args=[job.pk]), {"action": action})
    job.refresh_from_db()
    return str(job.state)


def test_buttons(job: Download, admin_client: Client) -> None:
    assert press(admin_client, job, "pause") == "paused"
    assert "Resume" in text_of(admin_client.get("/downloads/"))
    assert press(admin_client, job, "resume") == "queued"
    assert press(admin_client, job, "nonsense") == "queued"
    assert press(admin_client, job, "cancel") == "cancelled"
    told = text_of(admin_client.get("/downloads/"))
    assert ("Canceled" in told, "Nothing waits or runs" in told) == (True, True)


def test_the_page_refreshes_itself_until_the_end(job: Download, admin_client: Client) -> None:
    address = reverse("download", args=[job.pk])
    partial = admin_client.get(address, headers={"HX-Request": "true"})
    assert (partial.status_code, b"every 1s" in partial.content) == (200, True)
    jobs.execute(job)
    over = admin_client.get(address, headers={"HX-Request": "true"})
    assert (over.status_code, b"every 1s" in over.content) == (286, False)


def test_an_unsafe_one_is_placed_only_when_somebody_says_so(
    job: Download, admin_client: Client
) -> None:
    Download.objects.update(state="failed", fault="unsafe", message="It runs code.")
    assert "Place it anyway" in text_of(admin_client.get("/downloads/"))
    assert press(admin_client, job, "accept") == "queued"
    assert job.accepts_unsafe


def test_the_search_of_a_registry_and_an_update_lead_there(
    hub: Hub, root: Root, admin_client: Client, make_model: Any
) -> None:
    search = admin_client.get(reverse("registry-search", args=["huggingface"]), {"search": "x"})
    link = f"{NEW}?registry=huggingface&amp;remote_id=acme%2Fx"
    assert link.replace("&amp;", "&") in search.content.decode().replace("&amp;", "&")
    entry = RemoteEntry.objects.create(registry="huggingface", remote_id="acme/x")
    update = {"from": "", "to": "b" * 40, "files": {}, "counts": {}, "license": None, "card": False}
    match = RemoteMatch.objects.create(
        model=make_model("x"),
        entry=entry,
        registry="huggingface",
        state="accepted",
        update=update,
        has_update=True,
    )
    page = admin_client.get(reverse("registry-match", args=[match.pk]))
    assert "Download this revision" in text_of(page)

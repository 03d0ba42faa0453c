"""Every page and every answer of the API, as somebody sees it who is no administrator: no path of
this machine, no names of other people, groups or models that are none of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from discovery.api.app import api
from discovery.models import (
    Collection,
    DeepValidation,
    Finding,
    LoadTest,
    LogEntry,
    RegisteredModel,
    Root,
    SavedView,
    ScanRun,
    Tag,
)
from discovery.services.bulk import bulk_edits
from discovery.services.bulk.operations import Operation
from discovery.services.bulk.selections import Selection
from discovery.services.findings import triage
from discovery.services.integrations import api_tokens
from discovery.services.metadata import metadata
from tests.support.pages import every_address, furnish, shelve

HTMX = {"HX-Request": "true"}

OTHERS = (
    "zoe.boss",
    "yves-editor",
    "zebra-group",
    "hidden-collection",
    "whisper-tiny",
    "secret-tag",
)


@pytest.fixture
def boss(db: None) -> User:
    return User.objects.create_superuser("zoe.boss", password="boss")


@pytest.fixture
def viewer(boss: User, models_root: Path, config_dir: Path) -> User:
    """A reader who may see two of three models, and knows nobody else."""
    shelve(models_root)
    furnish(boss)
    editor = User.objects.create_user("yves-editor", is_staff=True)
    person = User.objects.create_user("reader", password="reader")
    Group.objects.create(name="zebra-group")
    person.groups.add(Group.objects.create(name="our-group"))
    llama, bert, hidden = (
        RegisteredModel.objects.get(model_id=name)
        for name in ("llama-chat", "bert-base", "whisper-tiny")
    )
    path = str(models_root)
    metadata.edit(
        llama,
        {"groups": ["our-group", "zebra-group"], "visibility": "RESTRICTED"},
        by=boss,
        channel="page",
    )
    metadata.edit(
        bert,
        {"visibility": "PUBLIC", "license": "apache-2.0", "primary": "LANGUAGE"},
        by=editor,
        channel="api",
    )
    metadata.edit(
        hidden, {"visibility": "ADMIN_ONLY", "tags": ["secret-tag"]}, by=editor, channel="page"
    )
    Collection.objects.create(name="hidden-collection").models.add(hidden)
    metadata.edit(
        llama, {"collections": ["Shortlist", "hidden-collection"]}, by=boss, channel="page"
    )
    metadata.edit(llama, {"collections": ["Shortlist"]}, by=boss, channel="page")
    Collection.objects.create(name="Filtered", query=f"root={path}").models.add(bert)
    # Who shares a view with everybody puts a name to it.
    generous = User.objects.create_user("generous", is_staff=True)
    SavedView.objects.create(owner=generous, name="All of it", query=f"root={path}", shared=True)
    SavedView.objects.create(owner=generous, name="Typed", query=f"q=root%3A{path}", shared=True)
    bulk_edits.request(
        Operation("tags", add={"tags": ["of-many"]}),
        Selection(ids=("llama-chat", "whisper-tiny")),
        by=boss,
    )
    said = f"The folder {path} is not there, says {path}/llama-chat."
    now = timezone.now()
    DeepValidation.objects.create(
        model=llama, state="failed", message=said, started_at=now, finished_at=now
    )
    LoadTest.objects.create(
        model=llama,
        state="done",
        result="failed",
        message=said,
        requested_by=boss,
        started_at=now,
        finished_at=now,
    )
    finding = Finding.objects.create(
        model=llama,
        source="deep",
        code="x",
        severity="error",
        message=said,
        first_seen_at=now,
        last_seen_at=now,
    )
    triage.accept([finding], by=boss, reason="fine")
    llama.problems = [
        {"code": "x", "message": said, "path": "llama-chat", "severity": "warning", "offset": None}
    ]
    llama.checks = [{"name": "path_readable", "status": "failed", "message": said, "path": ""}]
    llama.save()
    Tag.objects.get_or_create(name="secret-tag")
    Root.objects.update(frozen_reason=f"{path} is empty", missing_count=2)
    LogEntry.objects.create(
        at=now,
        level="error",
        topic="discovery",
        model_id="llama-chat",
        message=said,
        path=f"{path}/llama-chat",
    )
    ScanRun.objects.create(
        state="queued",
        trigger="page",
        path=path,
        requested_by=boss,
        current_path=f"{path}/whisper-tiny",
    )
    return person


@pytest.fixture
def pages(client: Client, viewer: User) -> Client:
    client.force_login(viewer)
    return client


@pytest.fixture
def program(viewer: User) -> Client:
    _, token = api_tokens.create(viewer, "test")
    return Client(headers={"Authorization": f"Bearer {token}"})


def told_too_much(text: str, models_root: Path) -> list[str]:
    return [name for name in (str(models_root), str(models_root.parent), *OTHERS) if name in text]


def content(response: Any) -> str:
    return (
        b"".join(response.streaming_content) if response.streaming else response.content
    ).decode()


@pytest.mark.slow
def test_no_page_tells_a_viewer_of_paths_people_groups_or_models_that_are_not_theirs(
    pages: Client, models_root: Path
) -> None:
    shown, leaks = 0, {}
    for name, address in every_address():
        for query in ({}, {"q": "root:models"}, {"columns": "category,tags,visibility"}):
            for headers in ({}, HTMX):
                response = pages.get(address, query, headers=headers)
                shown += response.status_code == 200
                if found := told_too_much(content(response), models_root):
                    leaks[name, str(query), bool(headers)] = found
    assert shown > 80
    assert not leaks, "\n".join(f"{key}: {found}" for key, found in leaks.items())


def api_addresses() -> Iterator[str]:
    for path, methods in api.get_openapi_schema()["paths"].items():
        if "get" not in methods:
            continue
        for model_id in ("llama-chat", "bert-base", "whisper-tiny"):
            yield (
                path.replace("{model_id}", model_id)
                .replace("{test_id}", "1")
                .replace("{scan_id}", "1")
            )


@pytest.mark.slow
def test_no_answer_of_the_api_tells_a_viewer_either(
    program: Client, pages: Client, models_root: Path
) -> None:
    leaks = {}
    addresses = [
        *dict.fromkeys(api_addresses()),
        "/api/models/discovered?facets=true",
        "/v1/models",
        "/v1/models/llama-chat",
        "/api/docs",
        "/api/examples",
    ]
    addresses += [
        "/metrics",
        "/readyz",
        "/healthz",
        f"/api/models/discovered?root={models_root.name}",
    ]
    for address in addresses:
        if address.startswith("/api/models/whisper-tiny") or "openapi" in address:
            continue
        for client in (program, pages):
            response = client.get(address)
            if found := told_too_much(content(response), models_root):
                leaks[address] = found
    assert not leaks, "\n".join(f"{key}: {found}" for key, found in leaks.items())


@pytest.mark.parametrize("form", ["csv", "json"])
def test_exports_tell_a_viewer_the_name_of_the_root(
    pages: Client, models_root: Path, form: str
) -> None:
    text = content(pages.get("/export/", {"format": form}))
    assert told_too_much(text, models_root) == []
    assert "models" in text
    assert "llama-chat" in text

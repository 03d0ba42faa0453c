"""The ETag of a model names what people see of it: a scan that finds the same leaves it alone, any
other change moves it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from discovery.api.preconditions import etag
from discovery.models import Finding, RegisteredModel, Root, ScanRun
from discovery.services import scans
from discovery.services.health import validation
from discovery.services.metadata import metadata
from discovery.services.registry import records, tags
from tests.support import builders

JSON = "application/json"


@pytest.fixture
def shelf(db: None, models_root: Path) -> Path:
    builders.transformers(models_root / "llama", chat=True)
    builders.gguf_folder(models_root / "Mistral-GGUF", quantizations=("Q4_K_M", "Q8_0"))
    builders.hub_cache(models_root / "hub", "org/name", revisions=2)
    (models_root / "broken").mkdir()
    (models_root / "broken/config.json").write_text("{")
    (models_root / "broken/model.safetensors").write_bytes(b"\0" * 100)
    Root.objects.create(path=str(models_root))
    scan()
    return models_root


def scan(*, full: bool = False) -> ScanRun:
    run, _ = scans.start_now(ScanRun.Trigger.COMMAND, full=full)
    return scans.execute(run)


def seen(client: Client) -> dict[str, str]:
    ids = RegisteredModel.objects.order_by("pk").values_list("model_id", flat=True)
    return {model_id: client.get(f"/api/models/{model_id}")["ETag"] for model_id in ids}


def last_seen(client: Client, model_id: str) -> str:
    told: str = client.get(f"/api/models/{model_id}").json()["last_seen_at"]
    return told


@pytest.mark.parametrize("full", [False, True])
def test_a_scan_that_finds_the_same_leaves_every_etag_alone(
    full: bool, shelf: Path, administrator: Client
) -> None:
    before = seen(administrator)
    at = last_seen(administrator, next(iter(before)))
    run = scan(full=full)
    assert run.changed == 0
    assert seen(administrator) == before
    assert last_seen(administrator, next(iter(before))) != at


def test_checks_and_findings_that_change_nothing_leave_the_etag_alone(
    shelf: Path, administrator: Client
) -> None:
    before = seen(administrator)
    for record in RegisteredModel.objects.select_related("root"):
        validation.validate(record)
    assert Finding.objects.exists()
    assert seen(administrator) == before


def test_an_if_match_from_before_a_scan_still_holds(shelf: Path, administrator: Client) -> None:
    model_id, tag = next(iter(seen(administrator).items()))
    scan(full=True)
    address = f"/api/models/{model_id}/metadata"
    done = administrator.put(
        address, json.dumps({"license": "mit"}), content_type=JSON, headers={"If-Match": tag}
    )
    assert done.status_code == 200
    again = administrator.put(
        address, json.dumps({"license": "x"}), content_type=JSON, headers={"If-Match": tag}
    )
    assert again.status_code == 412


CHANGES: dict[str, Callable[[RegisteredModel, User], Any]] = {
    "license": lambda model, user: metadata.edit(
        model, {"license": "mit"}, by=user, channel="page"
    ),
    "tags": lambda model, user: metadata.edit(model, {"tags": ["x"]}, by=user, channel="page"),
    "visibility": lambda model, user: metadata.edit(
        model, {"visibility": "PUBLIC"}, by=user, channel="page"
    ),
    "groups": lambda model, user: model.groups.add(Group.objects.create(name="research")),
    "the name of a group": lambda model, user: (
        model.groups.add(Group.objects.create(name="a")),
        Group.objects.filter(name="a").update(name="b"),
    ),
    "status": (
        lambda model, user: RegisteredModel.objects.filter(pk=model.pk).update(status="CORRUPT")
    ),
    "problems": (
        lambda model, user: RegisteredModel.objects.filter(pk=model.pk).update(
            problems=[
                {"code": "x", "message": "y", "path": "z", "severity": "error", "offset": None}
            ]
        )
    ),
    "evidence": lambda model, user: RegisteredModel.objects.filter(pk=model.pk).update(evidence={}),
    "path": (
        lambda model, user: RegisteredModel.objects.filter(pk=model.pk).update(path="elsewhere")
    ),
    "the root's path": (
        lambda model, user: Root.objects.filter(pk=model.root_id).update(path="/elsewhere")
    ),
    "who decided": lambda model, user: (
        metadata.edit(model, {"license": "mit"}, by=user, channel="page"),
        RegisteredModel.objects.filter(pk=model.pk).update(
            curated={**model.curated, "license": {**model.curated["license"], "by": "z"}}
        ),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_people_see_moves_the_etag(
    what: str, shelf: Path, administrator: Client, admin_user: User
) -> None:
    record = RegisteredModel.objects.select_related("root").get(path="llama")
    before = administrator.get(f"/api/models/{record.model_id}")["ETag"]
    CHANGES[what](record, admin_user)
    assert administrator.get(f"/api/models/{record.model_id}")["ETag"] != before


def test_every_field_of_the_document_but_one_is_in_the_etag(shelf: Path) -> None:
    shown = records.document(RegisteredModel.objects.select_related("root").get(path="llama"))
    before = etag(shown)
    still = {name for name in shown if etag({**shown, name: ["other"]}) == before}
    assert still == {"last_seen_at"}
    assert etag(dict(reversed(shown.items()))) == before


def test_the_groups_of_a_model_are_told_in_one_order(shelf: Path) -> None:
    record = RegisteredModel.objects.select_related("root").get(path="llama")
    for name in ("zebra", "ant", "bee"):
        record.groups.add(Group.objects.create(name=name))
    assert records.document(record)["groups"] == ["ant", "bee", "zebra"]
    assert tags.colours() == {}

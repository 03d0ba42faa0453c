"""Duplicates and clean-up: what could go, the plan to review, what is handed out; for
administrators alone.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from discovery.models import DeepValidation, RegisteredModel, Root, ScanRun
from discovery.services import scans
from discovery.services.cleanup import copies, duplicates, orphans
from discovery.web.duplicates import KINDS
from tests.support import builders
from tests.support.page_text import page_text

HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def fresh_disks() -> Iterator[None]:
    orphans.forget()
    yield
    orphans.forget()


@pytest.fixture
def twins(db: None, models_root: Path) -> list[RegisteredModel]:
    """Two models that look alike, and leftovers of a day ago."""
    builders.transformers(models_root / "a/llama")
    builders.transformers(models_root / "b/llama")
    (models_root / "x.part").write_bytes(b"1" * 5_000)
    (models_root / "empty").mkdir()
    old = time.time() - 86_400
    for name in ("x.part", "empty"):
        os.utime(models_root / name, (old, old))
    Root.objects.create(path=str(models_root))
    run, _ = scans.start_now(ScanRun.Trigger.COMMAND)
    scans.execute(run)
    return list(RegisteredModel.objects.order_by("path"))


def get(client: Client, **query: Any) -> str:
    response = client.get("/duplicates/", query)
    assert response.status_code == 200
    return page_text(response)


def keys(html: str) -> list[str]:
    return re.findall(r'name="remove" value="([^"]+)"', html)


def test_copies_are_listed_with_how_sure_it_is_and_where_they_lie(
    admin_client: Client, twins: list[RegisteredModel]
) -> None:
    html = get(admin_client)
    assert "1 group of models that look alike" in html
    assert "Look alike" in html
    for record in twins:
        assert f"{record.root.path}/{record.path}" in html
    assert keys(html) == [str(record.pk) for record in twins]
    assert "checked" not in html


def test_copies_beyond_the_limit_are_counted(
    admin_client: Client,
    twins: list[RegisteredModel],
    models_root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    builders.transformers(models_root / "c/llama")
    run, _ = scans.start_now(ScanRun.Trigger.COMMAND)
    scans.execute(run)
    assert "more model" not in get(admin_client)
    monkeypatch.setattr(duplicates, "MAX_COPIES", 2)
    assert "1 more model that looks like these" in get(admin_client)


def test_all_but_the_first_of_each_can_be_ticked_without_javascript(
    admin_client: Client, twins: list[RegisteredModel]
) -> None:
    html = get(admin_client, tick="rest")
    assert html.count(" checked>") == 1
    assert re.search(rf'value="{twins[1].pk}"[^>]+checked', html)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_page_that_holds_when_there_is_nothing(
    kind: str, admin_client: Client, models_root: Path
) -> None:
    Root.objects.create(path=str(models_root))
    html = get(admin_client, kind=kind)
    assert "Nothing of this kind" in html
    assert KINDS[kind][0] in html


def test_a_kind_that_does_not_exist_shows_copies(admin_client: Client, db: None) -> None:
    assert "look alike" in get(
        admin_client, kind="everything", page="1e9"
    ) or "No two models" in get(admin_client, kind="everything")


def test_leftovers_are_listed_with_why_they_are_of_no_use(
    admin_client: Client, twins: list[RegisteredModel]
) -> None:
    html = get(admin_client, kind="partial")
    assert "x.part" in html
    assert "a download that broke off" in html
    assert "1 thing, 5.0 kB can be freed" in html
    assert "Empty folders <span" in html


def test_a_plan_is_reviewed_and_then_handed_out_as_script_and_json(
    admin_client: Client, twins: list[RegisteredModel]
) -> None:
    chosen = {"kind": "copies", "remove": str(twins[1].pk)}
    response = admin_client.post("/duplicates/plan/", chosen)
    html = page_text(response)
    assert response.status_code == 200
    assert "compared with the file that stays, byte by byte" in html
    stamp = re.search(r'name="stamp" value="(\w+)"', html)
    assert stamp
    script = admin_client.post("/duplicates/plan/", {**chosen, "as": "sh", "stamp": stamp[1]})
    assert script.headers["Content-Disposition"] == 'attachment; filename="clean-up.sh"'
    assert script.content.startswith(b"#!/bin/sh\n")
    assert b"made " in script.content
    assert b"by admin" in script.content
    told = json.loads(
        admin_client.post("/duplicates/plan/", {**chosen, "as": "json", "stamp": stamp[1]}).content
    )
    assert told["steps"][0]["model_id"] == twins[1].model_id


def test_what_was_not_reviewed_is_not_handed_out(
    admin_client: Client, twins: list[RegisteredModel], models_root: Path
) -> None:
    chosen = {"kind": "copies", "remove": str(twins[1].pk), "as": "sh", "stamp": "0" * 32}
    response = admin_client.post("/duplicates/plan/", chosen)
    assert response.status_code == 409
    assert "The disk has changed since you reviewed." in page_text(response)
    assert "Content-Disposition" not in response.headers


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"kind": "copies"}, "Nothing is ticked"),
        ({"kind": "copies", "remove": ["both"]}, "no longer a copy of another"),
        ({"kind": "partial", "remove": ["0" * 32]}, "not there any more"),
        ({"kind": "formats", "remove": ["1:x"]}, "not there any more"),
    ],
)
def test_a_choice_that_cannot_be_planned_says_why(
    sent: dict[str, Any], said: str, admin_client: Client, twins: list[RegisteredModel]
) -> None:
    response = admin_client.post("/duplicates/plan/", sent)
    assert response.status_code == 422
    assert said in page_text(response)


def test_every_copy_ticked_is_refused_and_the_ticks_stay(
    admin_client: Client, twins: list[RegisteredModel]
) -> None:
    response = admin_client.post(
        "/duplicates/plan/", {"kind": "copies", "remove": [str(record.pk) for record in twins]}
    )
    html = page_text(response)
    assert response.status_code == 422
    assert "Leave out the one to keep." in html
    assert html.count(" checked>") == 2


def test_all_bytes_of_a_group_can_be_compared_in_the_background(
    admin_client: Client, twins: list[RegisteredModel], task_queue: Any
) -> None:
    response = admin_client.post("/duplicates/compare/", {"fingerprint": twins[0].fingerprint})
    assert response.headers["Location"] == "/duplicates/"
    assert DeepValidation.objects.count() == 2
    admin_client.post("/duplicates/compare/", {"fingerprint": "nothing\0"})
    assert DeepValidation.objects.count() == 2


def test_a_walk_that_takes_long_is_waited_for_by_the_page(
    admin_client: Client,
    twins: list[RegisteredModel],
    monkeypatch: pytest.MonkeyPatch,
    models_root: Path,
    silence: threading.Event,
) -> None:
    monkeypatch.setattr(orphans, "PATIENCE", 0.05)
    monkeypatch.setattr(orphans, "_walk", lambda *_: silence.wait())
    html = get(admin_client, kind="empty")
    assert "The disks are being looked through." in html
    assert 'hx-trigger="every 2s"' in html
    part = page_text(admin_client.get("/duplicates/", {"kind": "empty"}, headers=HTMX))
    assert "<html" not in part


def test_disks_that_do_not_answer_are_told(
    admin_client: Client,
    twins: list[RegisteredModel],
    monkeypatch: pytest.MonkeyPatch,
    silence: threading.Event,
) -> None:
    monkeypatch.setattr(copies, "TIMEOUT", 0.05)
    monkeypatch.setattr(copies, "_weigh", lambda *_: silence.wait())
    assert "did not answer within 0.05 seconds." in get(admin_client)


def test_looking_again_asks_the_disks_anew(
    admin_client: Client, twins: list[RegisteredModel], models_root: Path
) -> None:
    get(admin_client, kind="empty")
    (models_root / "empty").rmdir()
    assert "empty" in keys(get(admin_client, kind="empty")) or keys(get(admin_client, kind="empty"))
    assert (
        admin_client.post("/duplicates/look/", {"kind": "empty"}).headers["Location"]
        == "/duplicates/?kind=empty"
    )
    assert not keys(get(admin_client, kind="empty"))


@pytest.mark.parametrize("path", ["", "plan/", "look/", "compare/"])
def test_readers_and_visitors_are_kept_out(path: str, reader_client: Client, db: None) -> None:
    method = reader_client.post if path else reader_client.get
    assert method(f"/duplicates/{path}").status_code == 403
    reader_client.logout()
    assert method(f"/duplicates/{path}").headers["Location"].startswith("/login/")


def test_the_number_of_queries_does_not_grow_with_copies(
    admin_client: Client, twins: list[RegisteredModel], django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(13):
        get(admin_client)


def test_models_with_the_same_weights_and_another_file_differ_and_each_difference_is_confirmed(
    admin_client: Client, twins: list[RegisteredModel], models_root: Path
) -> None:
    (models_root / "b/llama/config.json").write_text("{}")
    html = get(admin_client)
    assert "Same weights, 1 file differs" in html
    assert "Not copies" in html
    assert "config.json" in html
    assert "checked" not in html
    chosen = {"kind": "copies", "remove": str(twins[1].pk)}
    for form in ("review", "sh", "json"):
        response = admin_client.post("/duplicates/plan/", {**chosen, "as": form})
        assert response.status_code == 422
        assert "Content-Disposition" not in response.headers
    html = page_text(response)
    assert "These models are not copies" in html
    confirmed = re.findall(r'name="confirm" value="(\w+)"', html)
    assert len(confirmed) == 1
    response = admin_client.post("/duplicates/plan/", {**chosen, "confirm": confirmed})
    assert response.status_code == 200
    assert "Differs, as you confirmed" in page_text(response)
    assert f'name="confirm" value="{confirmed[0]}"' in page_text(response)
    assert (
        b"confirmed: config.json"
        in admin_client.post(
            "/duplicates/plan/", {**chosen, "confirm": confirmed, "as": "sh"}
        ).content
    )


def test_a_confirmation_of_something_else_confirms_nothing(
    admin_client: Client, twins: list[RegisteredModel], models_root: Path
) -> None:
    (models_root / "b/llama/config.json").write_text("{}")
    response = admin_client.post(
        "/duplicates/plan/",
        {"kind": "copies", "remove": str(twins[1].pk), "confirm": ["0" * 32, "on", ""]},
    )
    assert response.status_code == 422

"""Scans followed by program: one by its number, waited for, compared, and what they passed by."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from discovery.api import waiting
from discovery.models import LogEntry, Root, ScanRun, SkippedPath
from discovery.services import scans
from tests.api.test_access import assert_error
from tests.support import builders

BASE = "/api/models/discovery"


@pytest.fixture
def scanned(models_root: Path, task_queue: Any, db: None) -> tuple[ScanRun, ScanRun]:
    """Two scans: one model in the first one, another in the second one instead."""
    Root.objects.create(path=str(models_root))
    builders.transformers(models_root / "bert", hidden=80)
    first = scans.execute(scans.start_now(ScanRun.Trigger.COMMAND)[0])
    (models_root / "bert").rename(models_root.parent / "bert")
    builders.transformers(models_root / "llama", hidden=64)
    builders.transformers(models_root / "falcon", hidden=72)
    run = scans.start_now(ScanRun.Trigger.COMMAND)[0]
    ScanRun.objects.filter(pk=run.pk).update(accept_missing=True)
    second = scans.execute(ScanRun.objects.get(pk=run.pk))
    return first, second


def post(client: Client, address: str, **more: Any) -> Any:
    return client.post(address, "", content_type="application/json", **more)


def answer(client: Client, address: str, **query: Any) -> Any:
    response = client.get(f"{BASE}/{address}", query)
    assert response.status_code == 200, response.content
    return response.json()


def test_a_scan_is_told_by_its_number_with_what_it_did(
    scanned: tuple[ScanRun, ScanRun], administrator: Client, reader: Client
) -> None:
    first, second = scanned
    told = answer(administrator, f"scans/{second.pk}")
    assert (told["status"], told["new"], told["missing"]) == ("done", 2, 1)
    assert told["events"]["new"] == 2
    assert told["events"]["missing"] == 1
    assert told["previous_scan_id"] == first.pk
    assert told["current_path"] is None
    assert answer(administrator, f"scans/{first.pk}")["previous_scan_id"] is None
    assert_error(administrator.get(f"{BASE}/scans/999999"), 404)
    assert_error(administrator.get(f"{BASE}/scans/x"), 422)
    assert_error(reader.get(f"{BASE}/scans/{second.pk}"), 403)


def test_a_queued_scan_tells_how_far_it_is(
    models_root: Path, task_queue: Any, administrator: Client
) -> None:
    Root.objects.create(path=str(models_root))
    asked = post(administrator, f"{BASE}/refresh")
    assert asked.status_code == 202
    assert asked["Location"] == asked.json()["location"]
    told = administrator.get(asked["Location"]).json()
    assert told["status"] == "queued"
    assert told["finished_at"] is None


def test_what_a_scan_did_is_listed_by_event_and_words(
    scanned: tuple[ScanRun, ScanRun], administrator: Client
) -> None:
    address = f"scans/{scanned[1].pk}/events"
    assert {row["path"] for row in answer(administrator, address, event="new")["results"]} == {
        "llama",
        "falcon",
    }
    assert answer(administrator, address, search="bert")["count"] == 1
    assert answer(administrator, address)["count"] == 3
    assert_error(administrator.get(f"{BASE}/{address}", {"event": "lost"}), 422)


def test_two_scans_are_compared_the_last_two_by_default(
    scanned: tuple[ScanRun, ScanRun], administrator: Client
) -> None:
    first, second = scanned
    told = answer(administrator, "comparison")
    assert (told["first"], told["second"], told["scans"]) == (first.pk, second.pk, 1)
    assert {(row["path"], row["kind"]) for row in told["results"]} == {
        ("llama", "added"),
        ("falcon", "added"),
        ("bert", "gone"),
    }
    gone = answer(administrator, "comparison", first=first.pk, second=second.pk, kind="gone")
    assert [row["events"] for row in gone["results"]] == [["missing"]]


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({"first": 999_999}, ["query", "first"]),
        ({"kind": "new"}, ["query", "kind", 0]),
        ({"first": "x"}, ["query", "first"]),
    ],
)
def test_scans_that_cannot_be_compared_are_named(
    scanned: tuple[ScanRun, ScanRun], administrator: Client, query: Any, place: list[Any]
) -> None:
    errors = assert_error(administrator.get(f"{BASE}/comparison", query), 422)["errors"]
    assert [error["loc"] for error in errors] == [place]


def test_the_later_scan_comes_second_and_there_must_be_two(
    scanned: tuple[ScanRun, ScanRun], administrator: Client
) -> None:
    first, second = scanned
    query = {"first": second.pk, "second": first.pk}
    assert_error(administrator.get(f"{BASE}/comparison", query), 422)
    ScanRun.objects.all().delete()
    errors = assert_error(administrator.get(f"{BASE}/comparison"), 422)["errors"]
    assert [error["loc"] for error in errors] == [["query", "first"], ["query", "second"]]


def test_places_that_are_not_models_are_listed_with_the_reason(
    administrator: Client, db: None
) -> None:
    root = Root.objects.create(path="/srv/models")
    for place, reason in (("a", "it has no weights"), ("b", "it is a tokenizer")):
        SkippedPath.objects.create(root=root, place=place, signature="0" * 32, reason=reason)
    told = answer(administrator, "skipped", search="tokenizer")["results"]
    assert told == [{"path": "b", "root": "/srv/models", "reason": "it is a tokenizer"}]
    with CaptureQueriesContext(connection) as few:
        answer(administrator, "skipped", search="tokenizer")
    with CaptureQueriesContext(connection) as more:
        assert answer(administrator, "skipped")["count"] == 2
    assert len(few) == len(more)


def test_a_path_is_explained_below_the_roots_and_never_below_the_working_directory(
    scanned: tuple[ScanRun, ScanRun], administrator: Client, models_root: Path
) -> None:
    told = answer(administrator, "explain", path="llama")
    assert told["path"] == str(models_root / "llama")
    assert told["models"] == ["llama"]
    assert told["tone"] == "ok"
    lost = answer(administrator, "explain", path="manage.py")
    assert lost["path"] == str(models_root / "manage.py")
    assert lost["models"] == []
    for path in ("", "x\0y"):
        assert_error(administrator.get(f"{BASE}/explain", {"path": path}), 422)


def test_a_refresh_that_is_waited_for_is_answered_with_its_end(
    models_root: Path, task_queue: Any, administrator: Client
) -> None:
    Root.objects.create(path=str(models_root))
    builders.transformers(models_root / "bert")

    def work(_seconds: float) -> None:
        scans.execute(ScanRun.objects.get(state="queued"))

    with patch.object(waiting.time, "sleep", work):
        response = post(administrator, f"{BASE}/refresh?wait=60")
    assert response.status_code == 200
    told = response.json()
    assert (told["status"], told["new"]) == ("done", 1)
    assert response["Location"].endswith(f"/scans/{told['scan_id']}")


def test_a_refresh_that_takes_longer_than_the_wait_says_where_to_look(
    models_root: Path, task_queue: Any, administrator: Client
) -> None:
    Root.objects.create(path=str(models_root))
    times = iter([0.0, 1.0, 61.0])
    clock = SimpleNamespace(sleep=lambda seconds: None, monotonic=lambda: next(times))
    with patch.object(waiting, "time", clock):
        response = post(administrator, f"{BASE}/refresh?wait=60")
    assert response.status_code == 202
    assert response.json()["status"] == "queued"
    for wait in ("-1", "121", "x"):
        assert_error(post(administrator, f"{BASE}/refresh?wait={wait}"), 422)


def test_a_repeated_refresh_under_its_key_may_wait_too(
    models_root: Path, task_queue: Any, administrator: Client
) -> None:
    Root.objects.create(path=str(models_root))
    key = {"headers": {"Idempotency-Key": "nightly"}}
    first = post(administrator, f"{BASE}/refresh?wait=0", **key)
    scans.execute(ScanRun.objects.get())
    again = post(administrator, f"{BASE}/refresh?wait=0", **key)
    assert json.loads(again.content) == json.loads(first.content)
    assert again["Location"] == first["Location"]
    assert LogEntry.objects.exists()


def test_what_is_gone_from_one_root_is_confirmed(
    models_root: Path, task_queue: Any, administrator: Client
) -> None:
    Root.objects.create(path=str(models_root))

    def send(body: Any) -> Any:
        return administrator.post(f"{BASE}/refresh", body, content_type="application/json")

    told = send({"accept_missing": True, "path": str(models_root)})
    assert ScanRun.objects.get(pk=told.json()["scan_id"]).accept_missing
    [error] = assert_error(send({"accept_missing": True}), 422)["errors"]
    assert error["loc"] == ["body", "accept_missing"]

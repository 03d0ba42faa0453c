"""The pages about the API: whole, from here alone, and every example on them runs as it stands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from discovery.api.examples import EXAMPLES, Example
from discovery.models import LoadTest, RegisteredModel, Root, ScanRun
from discovery.services import scans
from discovery.services.health import test_loads
from discovery.services.integrations import api_tokens
from tests.support import builders
from tests.support.waiting import DEADLINE

GUIDE = [
    ("POST", "/api/models/discovery/refresh"), ("GET", "/api/models/discovery/status"),
    ("GET", "/api/models/discovered"),
    ("POST", "/api/models/register"), ("PUT", "/api/models/llama-2-7b-chat/metadata"),
    ("POST", "/api/models/metadata/bulk-update"),
    ("PUT", "/api/models/llama-2-7b-chat/category"), ("GET", "/api/models/discovery/logs"),
    ("POST", "/api/models/llama-2-7b-chat/test-load"),
    ("GET", "/api/models/llama-2-7b-chat/validate"), ("GET", "/api/system/resources"),
]  # fmt: skip


@pytest.mark.parametrize("address", ["/api/docs", "/api/examples"])
def test_the_pages_are_open_to_all_and_load_nothing_from_elsewhere(
    address: str, anybody: Client, user: User, db: None
) -> None:
    signed_in = Client()
    signed_in.force_login(user)
    for client in (anybody, signed_in):
        page = client.get(address)
        assert page.status_code == 200
        assert not re.findall(r'\b(?<!-)(?:src|href|action)="(?!/|#)[^"]*"', page.text)
        assert not re.findall(r"<script>|<style| style=| on\w+=", page.text)
        assert "script-src 'self'" in page["Content-Security-Policy"]
    assert "Sign out" in page.text


def test_every_call_of_the_document_is_on_the_page_with_its_parameters(
    anybody: Client, db: None
) -> None:
    page = anybody.get("/api/docs").text
    document = anybody.get("/api/openapi.json").json()
    for path, methods in document["paths"].items():
        for details in methods.values():
            assert f'id="{details["operationId"]}"' in page
            assert path in page
            for parameter in details["parameters"]:
                assert f'id="{details["operationId"]}-{parameter["name"]}"' in page


def test_the_root_of_the_api_says_what_is_there(anybody: Client, db: None) -> None:
    told = anybody.get("/api/").json()
    assert anybody.get(told["openapi"]).json()["info"]["title"] == told["name"]
    for page in ("docs", "examples"):
        assert anybody.get(told[page]).status_code == 200
    calls = {each["call"] for each in told["calls"]}
    assert len(calls) == told["count"]
    assert "GET /api/models/discovered" in calls
    assert anybody.get("/api/?page=1").status_code == 422


@pytest.mark.parametrize("address", ["/api/", "/api/models/discovered", "/api/openapi.json"])
def test_head_is_answered_as_get_without_the_body(address: str, anybody: Client, db: None) -> None:
    got, head = anybody.get(address), anybody.head(address)
    assert (head.status_code, head.content) == (200, b"")
    assert head["ETag"] == got["ETag"]
    assert head["Content-Length"] == str(len(got.content))
    unchanged = anybody.head(address, headers={"If-None-Match": got["ETag"]})
    assert unchanged.status_code == 304
    assert anybody.head("/api/models/nope").status_code == 404


def test_every_call_of_the_guide_has_an_example() -> None:
    shown = [(example.method, example.address.partition("?")[0]) for example in EXAMPLES]
    assert [call for call in GUIDE if call in shown] == GUIDE
    assert list(dict.fromkeys(call for call in shown if call in GUIDE)) == GUIDE


@pytest.fixture
def served(
    live_server: Any, transactional_db: None, task_queue: Any, models_root: Path, admin_user: User
) -> Iterator[dict[str, str]]:
    """A server with the models that the examples speak of, and a worker for test loads.

    The environment that the page asks for.
    """
    for name, hidden in (("llama-2-7b-chat", 64), ("mistral-7b-instruct", 72)):
        builders.transformers(models_root / name, hidden=hidden)
    Root.objects.create(path=str(models_root))
    scans.execute(scans.start_now(ScanRun.Trigger.COMMAND)[0])
    RegisteredModel.objects.update(primary="LANGUAGE")
    builders.transformers(models_root / "custom-model", hidden=80)
    _, token = api_tokens.create(admin_user, "examples", "admin")
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.1):
            for test in LoadTest.objects.filter(state=LoadTest.State.QUEUED):
                test_loads.execute(test)
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    yield {**os.environ, "KAREN": live_server.url, "TOKEN": token, "PYTHONPATH": ""}
    over.set()
    worker.join()


def test_the_examples_in_curl_run_as_they_stand(served: dict[str, str]) -> None:
    if not shutil.which("curl") and not os.environ.get("CI"):
        pytest.skip("curl is not installed")
    for example in EXAMPLES:
        ended = subprocess.run(
            ["bash", "-c", example.curl],
            env=served,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=True,
        )
        answer = json.loads(ended.stdout)
        assert "detail" not in answer, (example.title, answer)
        assert_promised(example, answer)


@pytest.mark.slow
def test_the_examples_in_python_run_as_they_stand(served: dict[str, str], tmp_path: Path) -> None:
    for number, example in enumerate(EXAMPLES):
        script = tmp_path / f"example{number}.py"
        script.write_text(example.python)
        ended = subprocess.run(
            [sys.executable, str(script)],
            env=served,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert ended.returncode == 0, (example.title, ended.stderr)


def assert_promised(example: Example, answer: dict[str, Any]) -> None:
    """What the guide's reader expects of each."""
    promised = {
        "Scan now": {"scan_id", "status", "created"},
        "List models": {"count", "next", "previous", "results", "facets"},
        "Update many models": {"updated", "failed", "results"},
        "Try to load a model": {
            "model_id",
            "status",
            "loader",
            "seconds",
            "peak_memory_bytes",
            "message",
            "finished_at",
        },
        "Validate a model": {"model_id", "valid", "status", "checks", "completeness"},
        "System resources": {"cpu", "memory", "gpus", "disks", "workers"},
    }
    assert promised.get(example.title, set()) <= set(answer), (example.title, answer)
    if example.title == "Try to load a model":
        assert answer["status"] == "passed"
    if example.title == "Update many models":
        assert (answer["updated"], answer["failed"]) == (2, 0)

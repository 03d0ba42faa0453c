"""A client that openapi-python-client makes from our OpenAPI document walks a whole working day
against a server with its workers.
"""

from __future__ import annotations

import csv
import importlib
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from django.conf import settings

from discovery.demo.tree import make_demo_tree
from tests.commands.test_serve import serve, wait_for
from tests.support.ports import free_port
from tests.support.waiting import DEADLINE

#: The package that is generated.
NAME = "karen_client"
MANAGE = str(settings.BASE_DIR / "manage.py")


class Day:
    """The generated client: ``call`` asks one operation, ``made`` has the classes of bodies."""

    def __init__(self, address: str, token: str) -> None:
        self.made: Any = importlib.import_module(f"{NAME}.models")
        client = importlib.import_module(f"{NAME}.client")
        timeout = importlib.import_module("httpx").Timeout(DEADLINE)
        self._client = client.AuthenticatedClient(address, token, timeout=timeout)

    def close(self) -> None:
        self._client.get_httpx_client().close()

    def call(self, operation: str, *parts: Any, expected: int = 200, **sent: Any) -> Any:
        """The parsed answer; its status has to be the ``expected`` one."""
        response = self.answer(operation, *parts, expected=expected, **sent)
        assert response.parsed is not None or expected == 204, response.content[:1_000]
        return response.parsed

    def answer(self, operation: str, *parts: Any, expected: int = 200, **sent: Any) -> Any:
        """The whole answer, with its headers."""
        function = importlib.import_module(f"{NAME}.api.{operation}").sync_detailed
        response = function(*parts, client=self._client, **sent)
        assert response.status_code == expected, (operation, response.content[:1_000])
        return response

    def read(self, path: str, **query: str) -> Any:
        """What is not JSON, which generated functions take every answer for."""
        response = self._client.get_httpx_client().get(path, params=query)
        assert response.status_code == 200, response.content[:1_000]
        return response

    def tags(self, model_id: str) -> list[str]:
        return cast("list[str]", self.call("models.get_model", model_id).tags)


@pytest.fixture
def day(
    env: dict[str, str], installed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Day]:
    """A server with the demo's models, and the client that is generated from its document."""
    make_demo_tree(tmp_path / "models")
    address = f"http://127.0.0.1:{(port := free_port())}"
    process = serve(installed, "--port", str(port))
    try:
        wait_for(f"{address}/readyz", process)
        with urllib.request.urlopen(f"{address}/api/openapi.json", timeout=DEADLINE) as answer:
            (tmp_path / "openapi.json").write_bytes(answer.read())
        (tmp_path / "generator.yml").write_text("post_hooks: []\n")
        generator = str(Path(sys.executable).with_name("openapi-python-client"))
        options = "--path openapi.json --config generator.yml --meta none --fail-on-warning"
        _run([generator, "generate", *options.split(), "--output-path", NAME], env, tmp_path)
        made = _run(
            [sys.executable, MANAGE, "create_token", "admin", "day", "--scope", "admin"], env
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        with closing(Day(address, made.strip())) as walked:
            yield walked
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
            del sys.modules[name]
        process.terminate()
        process.communicate(timeout=DEADLINE)


def _run(command: list[str], env: dict[str, str], folder: Path | None = None) -> str:
    ended = subprocess.run(
        command, env=env, cwd=folder, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.slow
def test_a_generated_client_walks_a_working_day(day: Day) -> None:
    """The parts build on each other: one server for all of them, because starting it takes long."""
    _scan(day)
    model_id = _list_and_filter(day)
    _edit_and_undo(day, model_id)
    _change_many_and_undo(day)
    _decide_about_problems(day)
    _curate(day, model_id)
    _validate(day, model_id)
    _export(day)


def _scan(day: Day) -> None:
    """It may be the one that begins with the server: then that one is waited for."""
    response = day.answer(
        "discovery.refresh", body=day.made.Refresh(), wait=60, idempotency_key="morning"
    )
    scan = response.parsed
    assert (scan.status.value, scan.found > 30) == ("done", True)
    assert day.call("discovery.get_scan", scan.scan_id).found == scan.found
    assert response.headers["Location"].endswith(f"/scans/{scan.scan_id}")
    events = day.call("discovery.list_scan_events", scan.scan_id, page_size=5)
    assert len(events.results) == min(5, events.count)
    status = day.call("discovery.discovery_status")
    assert sum(status.models.additional_properties.values()) == scan.found


def _list_and_filter(day: Day) -> str:
    everything = day.call("models.list_models", page_size=500, facets=True)
    assert everything.count == len(everything.results)
    walked = day.call("models.list_models", page_size=20, cursor="")
    assert (len(walked.results), walked.count) == (20, everything.count)
    assert "cursor=" in walked.next_
    ready = day.call(
        "models.list_models",
        format_=["gguf"],
        status=[day.made.ListModelsStatusItem.READY],
    )
    assert 0 < ready.count < everything.count
    assert {model.format_ for model in ready.results} == {"gguf"}
    refused = day.call("models.list_models", expected=422, format_=["GGUF"])
    assert "did you mean gguf?" in refused.errors[0].msg
    return str(ready.results[0].model_id)


def _edit_and_undo(day: Day, model_id: str) -> None:
    seen = day.answer("models.get_model", model_id)
    before, tag = seen.parsed.license_, seen.headers["ETag"]
    change = day.made.MetadataChange(license_="mit", description="For short answers.")
    edited = day.call("curating.update_metadata", model_id, body=change, if_match=tag)
    assert (edited.license_, edited.sources["license"].curated) == ("mit", True)
    day.call("curating.update_metadata", model_id, body=change, if_match=tag, expected=412)
    category = day.made.CategoryChange(secondary=day.made.Secondary.CODE)
    coded = day.call("curating.update_category", model_id, body=category)
    assert coded.category.secondary == "CODE"
    changes = day.call("models.list_changes", model_id).results
    last = next(each for each in changes if each.field == "license")
    day.call("history.undo_change", last.change_id, expected=201)
    assert day.call("models.get_model", model_id).license_ == before
    day.call("history.undo_change", last.change_id, expected=409)


def _change_many_and_undo(day: Day) -> None:
    wanted = day.made.BulkRequest(
        filter_=day.made.BulkFilter(format_=["gguf"]),
        add=day.made.BulkLists(tags=["reviewed"]),
        atomic=False,
    )
    preview = day.answer("many_at_once.preview_bulk_edit", body=wanted)
    count = preview.parsed.changing
    ended = day.call(
        "many_at_once.create_bulk_edit",
        expected=201,
        body=wanted,
        if_match=preview.headers["ETag"],
        idempotency_key="reviewed",
    )
    assert (ended.changed, ended.state.value) == (count, "done")
    assert day.call("many_at_once.get_bulk_edit", ended.edit_id).changed == count > 1
    tagged = day.call("models.list_models", tag=["reviewed"])
    assert tagged.count == count
    day.answer("history.undo_batch", ended.batch, expected=201)
    assert day.call("models.list_models", tag=["reviewed"]).count == 0


def _decide_about_problems(day: Day) -> None:
    made = day.made
    opened = day.call("problems.list_problems", state=made.ListProblemsState.OPEN)
    first, second = (problem for problem in opened.results[:2])
    body = made.SnoozeProblems(problems=[first.problem_id], days=3)
    assert day.call("problems.snooze_problems", body=body).results[0].state.value == "snoozed"
    seen = made.AcceptProblemsSeen.from_dict({str(second.problem_id): second.decision})
    accept = made.AcceptProblems(problems=[second.problem_id], reason="We know it.", seen=seen)
    [accepted] = day.call("problems.accept_problems", body=accept).results
    assert accepted.accepted.reason == "We know it."
    day.call("problems.accept_problems", body=accept, expected=409)
    both = made.ReopenProblems(problems=[first.problem_id, second.problem_id])
    reopened = day.call("problems.reopen_problems", body=both)
    assert {each.state.value for each in reopened.results} == {"open"}


def _curate(day: Day, model_id: str) -> None:
    made = day.made
    shelf = day.call(
        "catalogue.create_collection", expected=201, body=made.NewCollection(name="Try")
    )
    members = made.Members(add=[model_id])
    day.call("catalogue.change_members", shelf.collection_id, body=members)
    found = day.call("models.list_models", collection=["Try"]).results
    assert [model.model_id for model in found] == [model_id]
    tag = day.call(
        "catalogue.create_tag",
        expected=201,
        body=made.NewTag(name="daily", color=made.NewTagColor.BLUE),
    )
    day.call("catalogue.change_tags", model_id, body=made.Entries(add=["daily"]))
    assert "daily" in day.tags(model_id)
    day.call("catalogue.change_tags", model_id, body=made.Entries(remove=["daily"]))
    assert "daily" not in day.tags(model_id)
    day.call("catalogue.delete_tag", tag.tag_id)
    day.call("saved_views_and_favorites.add_favorite", model_id, expected=204)
    favorites = day.call("saved_views_and_favorites.list_favorites")
    assert [model.model_id for model in favorites.results] == [model_id]
    day.call("catalogue.delete_collection", shelf.collection_id, expected=204)


def _validate(day: Day, model_id: str) -> None:
    assert day.call("health.validate_model_now", model_id).valid
    deep = day.answer("health.validate_model_now", model_id, deep=True, wait=60)
    assert deep.parsed.status.value == "done"
    assert deep.headers["Location"].endswith(f"/validations/{deep.parsed.validation_id}")


def _export(day: Day) -> None:
    rows = day.call("transfer.export_models", format_=["gguf"])
    assert {row["format"] for row in rows} == {"gguf"}
    table = day.read("/api/export", file="csv", format="gguf")
    assert table.headers["Content-Disposition"].startswith("attachment")
    assert len(list(csv.DictReader(table.text.splitlines()))) == len(rows)

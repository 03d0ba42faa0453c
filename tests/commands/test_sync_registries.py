"""``sync_registries``: exit codes, what it prints, and a dry run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from discovery.models import RemoteMatch
from tests.support.hub import Answer, Hub
from tests.support.registries import Make, cached, repository
from tests.support.registries import hub as hub


def run(capsys: Any, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        call_command("sync_registries", *arguments)
    told = capsys.readouterr()
    return int(str(ended.value.code)), told.out, told.err


def test_it_prints_one_document_and_exits_with_0(hub: Hub, make_model: Make, capsys: Any) -> None:
    hub.add(repository())
    cached(make_model)
    code, out, _ = run(capsys, "--json")
    told = json.loads(out)["registries"][0]
    assert (code, told["name"], told["state"], told["linked"]) == (0, "huggingface", "done", 1)
    assert told["results"][0]["remote_id"] == "acme/model-0"


def test_a_dry_run_writes_nothing(hub: Hub, make_model: Make, capsys: Any) -> None:
    hub.add(repository())
    cached(make_model)
    code, out, _ = run(capsys, "huggingface", "--dry-run")
    assert (code, "linked: model-0" in out) == (0, True)
    assert not RemoteMatch.objects.exists()


def test_a_model_that_cannot_be_read_is_1_and_a_registry_2(
    hub: Hub, make_model: Make, capsys: Any
) -> None:
    hub.add(repository())
    cached(make_model)
    run(capsys)
    hub.models.clear()
    assert run(capsys)[0] == 1
    hub.instead["*"] = Answer(502)
    code, out, _ = run(capsys)
    assert (code, "HTTP 502" in out) == (2, True)


def test_a_registry_that_is_unknown_or_off_is_2(hub: Hub, capsys: Any) -> None:
    code, _, error = run(capsys, "nowhere")
    assert (code, "There is no registry nowhere" in error) == (2, True)
    code, _, error = run(capsys, "model_zoo")
    assert (code, "is off" in error) == (2, True)


def test_without_an_enabled_registry_there_is_nothing_to_do(
    config_dir: Path, db: None, capsys: Any
) -> None:
    code, out, _ = run(capsys)
    assert (code, "No registry is enabled" in out) == (0, True)

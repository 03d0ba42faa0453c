"""``write_metadata`` at the command line: what it prints and how it ends."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from discovery.models import RegisteredModel
from discovery.services import scans
from discovery.services.metadata import metadata
from tests.support import builders


@pytest.fixture
def edited(models_root: Path, config_dir: Path, user: User) -> RegisteredModel:
    builders.transformers(models_root / "m")
    builders.transformers(models_root / "untouched")
    run, _ = scans.start_now("command", path=str(models_root))
    scans.execute(run)
    record = RegisteredModel.objects.get(path="m")
    metadata.edit(record, {"author": "A"}, by=user, channel="page")
    return record


def run(*arguments: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("write_metadata", *arguments, stdout=out, stderr=err)
    assert isinstance(ended.value.code, int)
    return ended.value.code, out.getvalue(), err.getvalue()


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(
    edited: RegisteredModel, models_root: Path
) -> None:
    code, out, _ = run("--dry-run")
    assert code == 0
    assert "m: author → " in out
    assert "1 file would be written" in out
    assert not (models_root / "m/metadata.json").exists()


def test_json_is_one_document_with_a_result_for_each_edited_model(
    edited: RegisteredModel, models_root: Path
) -> None:
    code, out, _ = run("--json")
    document: dict[str, Any] = json.loads(out)
    assert code == 0
    assert (
        document["written"],
        document["unchanged"],
        document["refused"],
        document["dry_run"],
    ) == (1, 0, 0, False)
    assert document["results"][0]["fields"] == ["author"]
    assert json.loads((models_root / "m/metadata.json").read_text()) == {"author": "A"}


def test_a_refusal_ends_with_1_and_an_unknown_model_with_2(
    edited: RegisteredModel, models_root: Path
) -> None:
    (models_root / "m/metadata.json").write_text("{broken")
    code, out, _ = run("m")
    assert code == 1
    assert "m: refused. metadata.json is broken" in out
    code, _, err = run("m", "nobody")
    assert code == 2
    assert "There is no model nobody" in err

"""Validating on demand: the disk is read again, the record follows, the report says what came of
it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from discovery.models import LogEntry, RegisteredModel, ScanRun
from discovery.services.health import validation
from discovery.services.health.validation import ValidationReport
from discovery.services.metadata import metadata
from tests.support import builders

Scan = Callable[..., ScanRun]

pytestmark = pytest.mark.django_db


def outcome(report: ValidationReport, check: str) -> str:
    return next(row["status"] for row in report.checks if row["name"] == check)


def test_validating_reads_again_and_the_record_follows(models_root: Path, scan: Scan) -> None:
    builders.transformers(models_root / "tiny-llama")
    scan(models_root)
    record = RegisteredModel.objects.select_related("root").get()
    assert validation.validate(record).valid
    path = models_root / "tiny-llama/model.safetensors"
    os.truncate(path, path.stat().st_size - 1)
    report = validation.validate(record)
    assert (report.valid, report.status) == (False, "INCOMPLETE")
    assert outcome(report, "size_matches_header") == "failed"
    record.refresh_from_db()
    assert record.status == "INCOMPLETE"
    assert record.findings.get(code="truncated").resolved_at is None
    assert LogEntry.objects.filter(
        topic="validation", level="error", model_id=record.model_id
    ).exists()


def test_the_tokenizer_is_compared_on_demand_and_not_by_scans(
    models_root: Path, scan: Scan
) -> None:
    builders.transformers(models_root / "tiny-llama", vocab=200)
    builders.write_json(
        models_root / "tiny-llama/tokenizer.json", {"model": {"vocab": {"a": 0, "b": 299}}}
    )
    scan(models_root)
    record = RegisteredModel.objects.select_related("root").get()
    assert outcome(validation.report(record), "tokenizer_matches_vocab") == "skipped"
    assert outcome(validation.validate(record), "tokenizer_matches_vocab") == "warning"


def test_a_license_that_a_person_has_set_is_known(
    models_root: Path, scan: Scan, user: User
) -> None:
    builders.transformers(models_root / "tiny-llama")
    (models_root / "tiny-llama/README.md").unlink()
    scan(models_root)
    record = RegisteredModel.objects.select_related("root").get()
    assert outcome(validation.report(record), "license_present") == "warning"
    metadata.edit(record, {"license": "mit"}, by=user, channel="page")
    assert outcome(validation.report(record), "license_present") == "passed"


def test_a_model_whose_files_are_gone_is_said_to_be_gone_and_keeps_its_record(
    models_root: Path, scan: Scan
) -> None:
    builders.transformers(models_root / "tiny-llama")
    scan(models_root)
    record = RegisteredModel.objects.select_related("root").get()
    shutil.rmtree(models_root / "tiny-llama")
    report = validation.validate(record)
    assert not report.valid
    assert outcome(report, "path_readable") == "failed"
    assert RegisteredModel.objects.count() == 1


@pytest.mark.parametrize("make", [
    lambda root: builders.gguf_model(root / "loose.Q4_0.gguf", "loose", builders.Sizes(), "Q4_0"),
    lambda root: builders.safetensors(root / "shelf/one.safetensors", [("w", "F32", (4, 4))]),
    lambda root: builders.diffusers(root / "a/b/pipeline"),
])  # fmt: skip
def test_models_of_every_layout_are_found_again(
    make: Callable[[Path], None], models_root: Path, scan: Scan
) -> None:
    (models_root / "shelf").mkdir()
    make(models_root)
    scan(models_root)
    record = RegisteredModel.objects.select_related("root").get()
    assert outcome(validation.validate(record), "path_readable") == "passed"


def test_completeness_is_of_what_people_see(models_root: Path, scan: Scan) -> None:
    builders.transformers(models_root / "tiny-llama")
    scan(models_root)
    record = RegisteredModel.objects.select_related("root").get()
    before = validation.report(record).completeness
    record.curated = {name: {"value": {"a": 1}, "by": "ada", "at": ""} for name in before.missing}
    assert validation.report(record).completeness == (100, [])


def test_the_command_says_which_checks_failed_and_ends_with_1(
    models_root: Path, scan: Scan, capsys: pytest.CaptureFixture[str]
) -> None:
    builders.transformers(models_root / "good-llama")
    builders.transformers(models_root / "bad-llama", hidden=72)
    os.truncate(models_root / "bad-llama/model.safetensors", 5_000)
    scan(models_root)
    with pytest.raises(SystemExit) as end:
        call_command("validate_models")
    assert end.value.code == 1
    said = capsys.readouterr().out
    assert "bad-llama: 2 checks failed" in said
    assert "size_matches_header: model.safetensors is cut short" in said
    assert "good-llama: valid" in said
    assert "2 models checked, 1 with failed checks, " in said


def test_the_command_refuses_a_model_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        call_command("validate_models", "nobody")
    assert end.value.code == 2
    assert "There is no model nobody" in capsys.readouterr().err


def test_the_command_prints_one_json_document_with_checksums_when_it_reads_deeply(
    models_root: Path, scan: Scan, capsys: pytest.CaptureFixture[str]
) -> None:
    builders.transformers(models_root / "good-llama")
    scan(models_root)
    with pytest.raises(SystemExit) as end:
        call_command("validate_models", "good-llama", "--deep", "--json")
    assert end.value.code == 0
    (report,) = json.loads(capsys.readouterr().out)
    assert report["model_id"] == "good-llama"
    assert report["valid"]
    assert [check["name"] for check in report["checks"]][-1] == "checksum"
    assert RegisteredModel.objects.get().checksums.exists()

"""Findings: they follow the disk, survive a move, hold what people decided, and the status follows them."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from discovery.engine.types import Problem, Severity
from discovery.models import Finding, MetadataChange, RegisteredModel, ScanRun
from discovery.services import findings, judgement
from tests import builders

Scan = Callable[..., ScanRun]
Make = Callable[..., RegisteredModel]

pytestmark = pytest.mark.django_db


def evil(root: Path, name: str = "evil") -> Path:
    path = root / name / "pytorch_model.bin"
    path.parent.mkdir(parents=True)
    builders.pickle_with_import(path, "os", "system")
    builders.write_json(
        path.parent / "config.json", {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    )
    return path


def codes(**conditions: object) -> list[str]:
    return sorted(Finding.objects.filter(**conditions).values_list("code", flat=True))


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada", is_staff=True)


def test_a_scan_finds_what_is_wrong_and_the_next_one_resolves_what_was_mended(
    models_root: Path, scan: Scan
) -> None:
    builders.transformers(models_root / "a")
    whole = (models_root / "a/model.safetensors").read_bytes()
    os.truncate(models_root / "a/model.safetensors", 5_000)
    scan(models_root)
    found = Finding.objects.get(code="truncated")
    assert (found.source, found.severity, found.path, found.resolved_at) == (
        "scan",
        "error",
        "a/model.safetensors",
        None,
    )
    (models_root / "a/model.safetensors").write_bytes(whole)
    scan(models_root)
    found.refresh_from_db()
    assert found.resolved_at is not None
    assert not Finding.objects.all().open().filter(severity="error").exists()


def test_an_accepted_finding_makes_the_model_ready_until_its_files_change(
    models_root: Path, scan: Scan, ada: User
) -> None:
    path = evil(models_root)
    scan(models_root)
    record = RegisteredModel.objects.get()
    assert record.status == "UNSAFE"
    rows = list(record.findings.filter(severity="error").select_related("model"))
    assert judgement.accept(rows, by=ada, reason="built by us, the call is ours") == len(rows)
    record.refresh_from_db()
    assert (record.status, record.scanned_status) == ("READY", "UNSAFE")
    assert not Finding.objects.all().open().filter(severity="error").exists()
    scan(models_root, full=True)
    record.refresh_from_db()
    assert record.status == "READY"
    change = MetadataChange.objects.get(field="finding", after__code=rows[0].code)
    assert change.after["reason"] == "built by us, the call is ours"
    path.write_bytes(path.read_bytes() + b"\n")
    scan(models_root)
    record.refresh_from_db()
    assert record.status == "UNSAFE"
    assert Finding.objects.all().open().filter(severity="error").exists()


def test_an_acceptance_moves_with_the_model(models_root: Path, scan: Scan, ada: User) -> None:
    evil(models_root)
    builders.transformers(models_root / "good")
    builders.transformers(models_root / "better", hidden=72)
    scan(models_root)
    record = RegisteredModel.objects.get(status="UNSAFE")
    judgement.accept(list(record.findings.select_related("model")), by=ada, reason="known")
    (models_root / "evil").rename(models_root / "renamed")
    scan(models_root)
    record.refresh_from_db()
    assert (record.path, record.status) == ("renamed", "READY")
    assert set(record.findings.filter(severity="error").values_list("path", flat=True)) == {
        "renamed/pytorch_model.bin"
    }


def test_an_acceptance_needs_a_reason(models_root: Path, scan: Scan, ada: User) -> None:
    evil(models_root)
    scan(models_root)
    with pytest.raises(judgement.NoReason):
        judgement.accept(list(Finding.objects.select_related("model")), by=ada, reason=" \0 ")
    assert RegisteredModel.objects.get().status == "UNSAFE"


def test_what_is_put_off_comes_back_by_itself(models_root: Path, scan: Scan, ada: User) -> None:
    evil(models_root)
    scan(models_root)
    rows = list(Finding.objects.select_related("model"))
    judgement.snooze(rows, timezone.now() + timedelta(days=7), by=ada)
    assert not Finding.objects.all().open().exists()
    Finding.objects.update(snoozed_until=timezone.now() - timedelta(seconds=1))
    assert Finding.objects.all().open().count() == len(rows)
    judgement.snooze(rows, timezone.now() + timedelta(days=7), by=ada)
    judgement.reopen(rows, by=ada)
    assert Finding.objects.all().open().count() == len(rows)


def test_deep_findings_make_a_model_corrupt_until_its_files_change(
    models_root: Path, scan: Scan
) -> None:
    builders.transformers(models_root / "a")
    scan(models_root)
    record = RegisteredModel.objects.get()
    findings.replace(
        record,
        Finding.Source.DEEP,
        [Problem("bit_rot", "its bytes changed", "a/model.safetensors")],
    )
    record.refresh_from_db()
    assert record.status == "CORRUPT"
    scan(models_root, full=True)
    record.refresh_from_db()
    assert record.status == "CORRUPT"
    os.utime(models_root / "a/model.safetensors", (1, 1))
    scan(models_root)
    record.refresh_from_db()
    assert record.status == "READY"
    assert Finding.objects.get(code="bit_rot").resolved_at is not None


def test_the_same_finding_is_one_row_however_often_it_is_found(make_model: Make) -> None:
    record = make_model()
    problem = Problem("load_failed", "it does not load", "tiny-model")
    for _ in range(3):
        findings.replace(record, Finding.Source.LOAD, [problem, problem])
    first = Finding.objects.get()
    findings.replace(record, Finding.Source.LOAD, [])
    findings.replace(record, Finding.Source.LOAD, [problem])
    assert Finding.objects.get() == first
    assert Finding.objects.get().resolved_at is None


def test_remarks_are_no_findings_and_sources_leave_each_other_alone(make_model: Make) -> None:
    record = make_model()
    findings.replace(
        record,
        Finding.Source.DEEP,
        [Problem("remark", "by the way", "", Severity.INFO), Problem("bit_rot", "bytes", "x")],
    )
    findings.replace(record, Finding.Source.LOAD, [Problem("load_failed", "no", "x")])
    findings.replace(record, Finding.Source.LOAD, [])
    assert codes(resolved_at=None) == ["bit_rot"]


def test_a_missing_model_has_one_finding_that_says_so(models_root: Path, scan: Scan) -> None:
    for name in ("a", "b", "c"):
        builders.transformers(models_root / name, hidden=64 + 8 * ord(name))
    os.truncate(models_root / "a/model.safetensors", 5_000)
    scan(models_root)
    (models_root / "a").rename(models_root.parent / "away")
    scan(models_root)
    assert codes(resolved_at=None, severity="error") == []
    assert codes(resolved_at=None, code="model_missing") == ["model_missing"]
    (models_root.parent / "away").rename(models_root / "a")
    scan(models_root)
    assert codes(resolved_at=None, severity="error") == ["truncated"]
    assert codes(resolved_at=None, code="model_missing") == []


def test_the_findings_of_a_batch_cost_the_same_statements_whatever_its_size(
    models_root: Path, scan: Scan
) -> None:
    for number in range(12):
        builders.transformers(models_root / f"m{number:02d}", hidden=64 + 8 * number)
        os.truncate(models_root / f"m{number:02d}/model.safetensors", 5_000)
    scan(models_root)
    records = list(RegisteredModel.objects.all())
    costs = []
    for part in (records[:2], records):
        with CaptureQueriesContext(connection) as queries:
            findings.after_scan(part)
        costs.append(len(queries))
    assert costs[0] == costs[1]


def test_quarantine_hides_a_model_and_lifting_it_restores_what_was(
    make_model: Make, ada: User, user: User
) -> None:
    record = make_model(visibility="PUBLIC")
    assert judgement.quarantine(record, by=ada)
    assert not judgement.quarantine(record, by=ada)
    assert not RegisteredModel.objects.visible_to(user).exists()
    assert judgement.lift_quarantine(record, by=ada)
    assert not judgement.lift_quarantine(record, by=ada)
    record.refresh_from_db()
    assert (record.visibility, record.quarantined_at) == ("PUBLIC", None)
    assert MetadataChange.objects.filter(field="quarantine").count() == 2

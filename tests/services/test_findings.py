"""Findings: they follow the disk, survive a move, hold what people decided, and the status follows
them.
"""

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

from discovery.engine.core.types import Problem
from discovery.engine.core.vocabulary import Severity
from discovery.models import Finding, MetadataChange, RegisteredModel, ScanRun
from discovery.services.findings import findings, triage
from tests.people import administer
from tests.support import builders

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
    return administer(User.objects.create_user("ada"))


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
    assert triage.accept(rows, by=ada, reason="built by us, the call is ours") == len(rows)
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
    triage.accept(list(record.findings.select_related("model")), by=ada, reason="known")
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
    with pytest.raises(triage.ReasonRequired):
        triage.accept(list(Finding.objects.select_related("model")), by=ada, reason=" \0 ")
    assert RegisteredModel.objects.get().status == "UNSAFE"


def test_what_is_put_off_comes_back_by_itself(models_root: Path, scan: Scan, ada: User) -> None:
    evil(models_root)
    scan(models_root)
    rows = list(Finding.objects.select_related("model"))
    triage.snooze(rows, timezone.now() + timedelta(days=7), by=ada)
    assert not Finding.objects.all().open().exists()
    Finding.objects.update(snoozed_until=timezone.now() - timedelta(seconds=1))
    assert Finding.objects.all().open().count() == len(rows)
    triage.snooze(rows, timezone.now() + timedelta(days=7), by=ada)
    triage.reopen(rows, by=ada)
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
    assert triage.quarantine(record, by=ada)
    assert not triage.quarantine(record, by=ada)
    assert not RegisteredModel.objects.visible_to(user).exists()
    assert triage.lift_quarantine(record, by=ada)
    assert not triage.lift_quarantine(record, by=ada)
    record.refresh_from_db()
    assert (record.visibility, record.quarantined_at) == ("PUBLIC", None)
    assert MetadataChange.objects.filter(field="quarantine").count() == 2


def told(*problems: Problem, record: RegisteredModel) -> list[Finding]:
    findings.replace(record, Finding.Source.DEEP, problems)
    return list(record.findings.filter(source="deep").order_by("pk"))


def accepted(record: RegisteredModel, ada: User, *problems: Problem) -> Finding:
    (row,) = told(*problems, record=record)
    triage.accept([row], by=ada, reason="known")
    return row


@pytest.fixture
def record(models_root: Path, scan: Scan) -> RegisteredModel:
    builders.transformers(models_root / "a")
    scan(models_root)
    return RegisteredModel.objects.get()


def test_a_better_sentence_keeps_what_was_decided(record: RegisteredModel, ada: User) -> None:
    row = accepted(
        record, ada, Problem("bit_rot", "it was said badly", "a/model.safetensors", offset=1)
    )
    (now,) = told(
        Problem("bit_rot", "It is said well.", "a/model.safetensors", offset=2), record=record
    )
    assert (now.pk, now.message, now.offset, now.is_accepted, now.resolved_at) == (
        row.pk,
        "It is said well.",
        2,
        True,
        None,
    )
    record.refresh_from_db()
    assert record.status == "READY"


def test_what_was_put_off_stays_put_off_when_its_sentence_changes(
    record: RegisteredModel, ada: User
) -> None:
    (row,) = told(Problem("bit_rot", "first", "a/x"), record=record)
    triage.snooze([row], timezone.now() + timedelta(days=3), by=ada)
    (now,) = told(Problem("bit_rot", "second", "a/x"), record=record)
    assert now.is_snoozed


def test_problems_of_one_code_in_one_file_are_told_apart_by_their_keys(
    record: RegisteredModel, ada: User
) -> None:
    first, second = (
        Problem("unsafe_pickle", f"calls {name}", "a/x.bin", key=name)
        for name in ("os.system", "os.popen")
    )
    row, other = told(first, second, record=record)
    triage.accept([row], by=ada, reason="known")
    now = told(
        Problem("unsafe_pickle", "would call os.popen", "a/x.bin", key="os.popen"), record=record
    )
    assert {each.pk: (each.is_accepted, each.resolved_at is None) for each in now} == {
        row.pk: (True, False),
        other.pk: (False, True),
    }


def test_problems_that_nothing_tells_apart_are_each_kept(record: RegisteredModel) -> None:
    assert [
        row.message
        for row in told(Problem("x", "one", "a/f"), Problem("x", "two", "a/f"), record=record)
    ] == ["one", "two"]


def test_files_of_one_name_in_two_folders_have_findings_of_their_own(
    record: RegisteredModel, ada: User
) -> None:
    rows = told(
        Problem("x", "same", "a/unet/model.bin"),
        Problem("x", "same", "a/vae/model.bin"),
        record=record,
    )
    assert [row.file for row in rows] == ["unet/model.bin", "vae/model.bin"]


def test_an_accepted_warning_that_turns_out_to_be_an_error_is_open_again(
    record: RegisteredModel, ada: User
) -> None:
    accepted(record, ada, Problem("x", "perhaps", "a/f", Severity.WARNING, key="k"))
    (now,) = told(Problem("x", "surely", "a/f", Severity.ERROR, key="k"), record=record)
    assert not now.is_accepted
    record.refresh_from_db()
    assert record.status == "CORRUPT"


def without_keys() -> None:
    """As findings were stored before they had keys."""
    Finding.objects.update(key=None, file="")


def migrated() -> None:
    from importlib import import_module

    from django.apps import apps

    import_module("discovery.migrations.0018_finding_keys").fill(apps, None)


def test_decisions_from_before_there_were_keys_are_kept(
    models_root: Path, scan: Scan, ada: User
) -> None:
    evil(models_root)
    scan(models_root)
    rows = list(Finding.objects.select_related("model"))
    triage.accept(rows, by=ada, reason="known")
    keys = {row.pk: (row.file, row.key) for row in rows}
    without_keys()
    migrated()
    scan(models_root, full=True)
    assert {row.pk: (row.file, row.key) for row in Finding.objects.all()} == keys
    assert all(row.is_accepted for row in Finding.objects.select_related("model"))


def test_an_old_finding_that_is_the_only_one_of_its_kind_is_known_without_its_sentence(
    record: RegisteredModel, ada: User
) -> None:
    row = accepted(record, ada, Problem("bit_rot", "old words", "a/model.safetensors"))
    without_keys()
    migrated()
    (now,) = told(Problem("bit_rot", "new words", "a/model.safetensors", key="new"), record=record)
    assert (now.pk, now.key, now.is_accepted) == (row.pk, "new", True)


def test_old_findings_that_cannot_be_told_apart_are_known_by_their_sentences(
    record: RegisteredModel, ada: User
) -> None:
    one, two = told(Problem("x", "one", "a/f"), Problem("x", "two", "a/f"), record=record)
    triage.accept([two], by=ada, reason="known")
    without_keys()
    migrated()
    now = told(
        Problem("x", "two", "a/f", key="2"), Problem("x", "one", "a/f", key="1"), record=record
    )
    assert {row.pk: (row.key, row.is_accepted) for row in now} == {
        one.pk: ("1", False),
        two.pk: ("2", True),
    }


def test_the_key_of_an_old_test_load_is_the_variant_it_was_about(record: RegisteredModel) -> None:
    RegisteredModel.objects.update(variants=[{"name": "Q4"}, {"name": "Q4: x"}])
    findings.replace(
        record,
        Finding.Source.LOAD,
        [
            Problem("load_failed", "Q4: x: no memory", "a/f"),
            Problem("load_failed", "Q4: no", "a/g"),
        ],
    )
    without_keys()
    migrated()
    assert dict(Finding.objects.values_list("message", "key")) == {
        "Q4: x: no memory": "Q4: x",
        "Q4: no": "Q4",
    }

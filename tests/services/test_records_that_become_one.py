"""A registry of before with all that people decided: two records that are one model now, and one
that is two.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from discovery.engine.core.types import Problem
from discovery.engine.core.vocabulary import Severity
from discovery.engine.disk import layouts
from discovery.engine.identify import gguf_models
from discovery.models import (
    Alias,
    Collection,
    FileChecksum,
    Finding,
    LogEntry,
    MetadataChange,
    ProposedJoin,
    RegisteredModel,
    SavedView,
    ScanRun,
)
from discovery.services.curation import collections
from discovery.services.findings import findings, triage
from discovery.services.metadata import merge_patch, metadata, undo
from discovery.services.registry import aliases
from discovery.services.scans import reviewing
from discovery.services.search import model_search
from tests.services.test_regrouping import gguf, quantizations, scan_as_before
from tests.support import builders
from tests.support.builders import Sizes

Scan = Callable[..., ScanRun]

pytestmark = pytest.mark.django_db

HOME = "shelf/Sample-1B-GGUF"


@pytest.fixture
def anna() -> User:
    return User.objects.create_superuser("anna", password="anna")


@pytest.fixture
def parts(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> tuple[RegisteredModel, RegisteredModel]:
    """Two quantizations in folders of their own, registered as two models; each has a checksum and
    a finding of a deep validation.
    """
    quantizations(models_root / HOME, "Q4_K_M", "Q8_0")
    builders.transformers(models_root / "other")
    _age(models_root)
    scan_as_before(scan, models_root, monkeypatch, layouts, "quantized", lambda *_: None)
    first, second = RegisteredModel.objects.exclude(path="other").order_by("path")
    for record in (first, second):
        file = record.files[0][0]
        told = [Problem("nonfinite_weights", "it has NaN", file, Severity.ERROR)]
        findings.replace(record, Finding.Source.DEEP, told)
        FileChecksum.objects.create(
            model=record,
            path=Path(file).name,
            size=1,
            mtime_ns=1,
            sha256="0" * 64,
            blake3=f"{record.pk:064}",
            checked_at=record.added_at,
        )
    return first, second


def _age(root: Path) -> None:
    """Its files are older than any scan."""
    before = time.time() - 3_600
    for path in root.rglob("*"):
        os.utime(path, (before, before))


def whole() -> RegisteredModel:
    return RegisteredModel.objects.get(path=HOME)


def edit(record: RegisteredModel, by: User, **changes: Any) -> None:
    metadata.edit(record, changes, by=by, channel="page")


def accept(record: RegisteredModel, by: User, reason: str) -> None:
    rows = record.findings.filter(code="nonfinite_weights").select_related("model")
    assert triage.accept(list(rows), by=by, reason=reason) == 1


def everything(record: RegisteredModel, anna: User) -> SavedView:
    """All kinds of decisions about one of the records; a view and a collection find it."""
    Group.objects.create(name="readers")
    Collection.objects.create(name="Chosen")
    smart = Collection.objects.create(name="Found", query="license=mit")
    edit(record, anna, description="Ours", groups=["readers"], collections=["Chosen"])
    record.refresh_from_db()
    merge_patch.update(record, {"license": "mit"}, by=anna, channel="api")
    record.favoured_by.add(anna)
    accept(record, anna, "known")
    collections.refresh([record.pk])
    assert smart.models.count() == 1
    return SavedView.objects.create(owner=anna, name="Ours", query="license=mit")


def assert_everything_is_kept(record: RegisteredModel, anna: User, view: SavedView) -> None:
    assert (record.description, record.license) == ("Ours", "mit")
    assert [group.name for group in record.groups.all()] == ["readers"]
    assert sorted(each.name for each in record.collections.all()) == ["Chosen", "Found"]
    assert list(record.favoured_by.all()) == [anna]
    channel = {row.field: row.channel for row in record.changes.all()}
    assert (channel["license"], channel["description"]) == ("api", "page")
    found = model_search.found(anna, model_search.ModelFilters.read(view.query))
    assert [row.pk for row in found] == [record.pk]
    accepted = record.findings.get(accepted_reason="known")
    assert (accepted.is_accepted, accepted.resolved_at) == (True, None)


@pytest.mark.parametrize("number", [0, 1])
def test_of_two_records_the_one_with_decisions_keeps_them_and_the_other_id_leads_to_it(
    models_root: Path,
    scan: Scan,
    parts: tuple[RegisteredModel, RegisteredModel],
    anna: User,
    number: int,
) -> None:
    kept, gone = parts[number], parts[1 - number]
    view = everything(kept, anna)
    run = scan(models_root)
    record = whole()
    assert (run.new, run.missing, record.model_id) == (0, 0, kept.model_id)
    assert_everything_is_kept(record, anna, view)
    assert aliases.find(RegisteredModel.objects.all(), gone.model_id) == record
    expected = [("/".join(each.files[0][0].split("/")[-2:]), f"{each.pk:064}") for each in parts]
    assert sorted(record.checksums.values_list("path", "blake3")) == sorted(expected)
    files = {row.file for row in record.findings.filter(code="nonfinite_weights")}
    assert files == {"Q4_K_M/Sample-1B-Q4_K_M.gguf", "Q8_0/Sample-1B-Q8_0.gguf"}
    assert record.status == "CORRUPT"  # nobody accepted what is wrong with the other part
    assert scan(models_root).unchanged == 2


def test_what_was_accepted_for_files_that_may_have_changed_is_open_again(
    models_root: Path, scan: Scan, parts: tuple[RegisteredModel, RegisteredModel], anna: User
) -> None:
    accept(parts[0], anna, "known")
    later = time.time() + 60
    os.utime(models_root / parts[0].files[0][0], (later, later))
    scan(models_root)
    assert not whole().findings.get(accepted_reason="known").is_accepted


def test_decisions_that_do_not_contradict_each_other_are_put_together(
    models_root: Path, scan: Scan, parts: tuple[RegisteredModel, RegisteredModel], anna: User
) -> None:
    first, second = parts
    Group.objects.create(name="readers")
    edit(first, anna, description="Ours", license="mit")
    edit(second, anna, author="Somebody", license="mit", groups=["readers"])
    second.favoured_by.add(anna)
    for record in parts:
        accept(record, anna, record.model_id)
    run = scan(models_root)
    record = whole()
    assert (run.new, run.missing, record.status) == (0, 0, "READY")
    assert (record.description, record.author, record.license) == ("Ours", "Somebody", "mit")
    assert [group.name for group in record.groups.all()] == ["readers"]
    assert list(record.favoured_by.all()) == [anna]
    assert all(row.is_accepted for row in record.findings.filter(code="nonfinite_weights"))
    (moved,) = record.changes.filter(field="moved")
    assert (moved.by, moved.channel) == (None, "scan")
    assert {row.alias for row in record.aliases.all()} == {
        each.model_id for each in parts if each.model_id != record.model_id
    }
    assert not ProposedJoin.objects.exists()


@pytest.fixture
def conflict(
    models_root: Path, scan: Scan, parts: tuple[RegisteredModel, RegisteredModel], anna: User
) -> tuple[RegisteredModel, RegisteredModel]:
    """(the part that is missing, the model that holds its files): each was described otherwise."""
    for record in parts:
        edit(record, anna, description=f"About {record.model_id}")
        accept(record, anna, record.model_id)
    edit(parts[0], anna, license="mit")
    edit(parts[1], anna, author="Somebody")
    run = scan(models_root)
    assert (run.new, run.missing) == (0, 1)
    (old,) = RegisteredModel.objects.filter(status="MISSING")
    return old, whole()


def test_decisions_that_contradict_each_other_are_offered_and_nothing_is_lost_meanwhile(
    models_root: Path,
    scan: Scan,
    conflict: tuple[RegisteredModel, RegisteredModel],
    django_assert_max_num_queries: Any,
) -> None:
    old, new = conflict
    assert old.description == f"About {old.model_id}"
    assert new.description == f"About {new.model_id}"
    assert not Alias.objects.filter(alias=old.model_id).exists()
    assert LogEntry.objects.filter(message__contains="Choose on the Moves page").count() == 1
    with django_assert_max_num_queries(12):
        (offer,) = reviewing.offers(list(reviewing.open_moves().select_related("root")))
    assert (offer.old, reviewing.count_open()) == (old, 1)
    assert [(each.record, each.is_whole) for each in offer.candidates] == [(new, True)]
    assert any("edited value" in phrase for phrase in offer.candidates[0].decisions)
    assert scan(models_root).unchanged == 2
    assert reviewing.count_open() == 1


def test_joining_a_part_by_hand_keeps_the_id_of_the_whole_and_what_both_sides_decided(
    models_root: Path, scan: Scan, conflict: tuple[RegisteredModel, RegisteredModel], anna: User
) -> None:
    old, new = conflict
    joined = reviewing.join(old, new, by=anna)
    assert (joined.pk, joined.model_id, joined.path) == (new.pk, new.model_id, HOME)
    assert joined.description == f"About {new.model_id}"
    assert {"license": joined.license, "author": joined.author} == {
        "license": "mit",
        "author": "Somebody",
    }
    assert {row.accepted_reason for row in joined.findings.all() if row.is_accepted} == {
        old.model_id,
        new.model_id,
    }
    assert (joined.status, len(joined.variants)) == ("READY", 2)
    assert aliases.find(RegisteredModel.objects.all(), old.model_id) == joined
    assert not reviewing.open_moves().exists()
    assert not ProposedJoin.objects.exists()
    run = scan(models_root)
    assert (run.unchanged, run.new, run.missing) == (2, 0, 0)


def test_what_joining_a_part_decided_can_be_undone(
    conflict: tuple[RegisteredModel, RegisteredModel], anna: User
) -> None:
    old, new = conflict
    joined = reviewing.join(old, new, by=anna)
    batch = MetadataChange.objects.get(model=joined, field="moved").batch
    assert MetadataChange.objects.filter(model=joined, field="description").count() >= 2
    for change in MetadataChange.objects.filter(batch=batch, field="description"):
        undo.undo_change(change, by=anna, channel="page")
        joined.refresh_from_db()
        assert joined.description == f"About {old.model_id}"
    assert joined.description in (f"About {old.model_id}", f"About {new.model_id}")


def test_a_part_that_is_said_to_be_another_model_is_not_offered_again(
    conflict: tuple[RegisteredModel, RegisteredModel], anna: User
) -> None:
    reviewing.reject(*conflict, by=anna)
    assert not reviewing.open_moves().exists()
    assert RegisteredModel.objects.filter(pk=conflict[0].pk, status="MISSING").exists()


def test_an_offer_follows_the_model_and_is_withdrawn_when_the_part_is_back(
    models_root: Path,
    scan: Scan,
    conflict: tuple[RegisteredModel, RegisteredModel],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layouts, "quantized", lambda *_: None)
    scan(models_root, full=True)
    assert not ProposedJoin.objects.exists()
    assert not reviewing.open_moves().exists()


def test_a_missing_part_that_is_back_inside_another_model_is_not_stranded(
    models_root: Path, scan: Scan, anna: User
) -> None:
    quantizations(models_root / HOME, "Q8_0")
    for number in range(3):
        builders.transformers(models_root / f"other-{number}", hidden=64 + 8 * number)
    scan(models_root)
    part = RegisteredModel.objects.get(path__startswith=HOME)
    edit(part, anna, description="Ours")
    (models_root / part.files[0][0]).rename(models_root.parent / "away.gguf")
    assert scan(models_root).missing == 1
    quantizations(models_root / HOME, "Q4_K_M", "Q8_0")
    scan(models_root)
    (record,) = RegisteredModel.objects.filter(path__startswith=HOME)
    assert (record.model_id, record.description, record.status) == (part.model_id, "Ours", "READY")
    assert len(record.variants) == 2


def test_groups_of_both_sides_are_never_put_together_unasked(
    models_root: Path, scan: Scan, parts: tuple[RegisteredModel, RegisteredModel], anna: User
) -> None:
    for number, record in enumerate(parts):
        Group.objects.create(name=f"group {number}")
        edit(record, anna, groups=[f"group {number}"])
    scan(models_root)
    assert whole().groups.count() == 1
    assert reviewing.count_open() == 1


def test_of_a_record_that_splits_the_part_with_its_main_weights_keeps_everything(
    models_root: Path, scan: Scan, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = models_root / "models--acme--collection" / "snapshots" / ("a" * 40)
    gguf(snapshot / "Sample-1B-Q4_K_M.gguf")
    gguf(snapshot / "Another-3B-Q4_K_M.gguf", name="Another 3B", sizes=Sizes(hidden=512))
    _age(models_root)
    scan_as_before(scan, models_root, monkeypatch, gguf_models, "_same_model", lambda *_: True)
    record = RegisteredModel.objects.get()
    main = record.variants[0]["files"][0]
    told = [Problem("nonfinite_weights", "it has NaN", main, Severity.ERROR)]
    findings.replace(record, Finding.Source.DEEP, told)
    view = everything(record, anna)
    run = scan(models_root)
    again = RegisteredModel.objects.get(pk=record.pk)
    other = RegisteredModel.objects.exclude(pk=record.pk).get()
    assert (run.new, run.missing, again.model_id) == (1, 0, record.model_id)
    assert [variant["files"] for variant in again.variants] == [[main]]
    assert_everything_is_kept(again, anna, view)
    assert (other.curated, other.groups.count(), other.changes.count()) == ({}, 0, 0)
    assert not Alias.objects.exists()

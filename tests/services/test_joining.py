"""Moves that people decide: what is offered, what joining keeps of both sides, and what is
refused.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from discovery.engine.core.types import Problem
from discovery.engine.core.vocabulary import Severity
from discovery.models import (
    Collection,
    Finding,
    LogEntry,
    MetadataChange,
    RegisteredModel,
    RejectedMove,
    RemoteEntry,
    RemoteMatch,
    Root,
    ScanRun,
)
from discovery.services.findings import findings, triage
from discovery.services.metadata import metadata, undo
from discovery.services.registries import entries as registry_values
from discovery.services.scans import reviewing
from tests.support import builders

Scan = Callable[..., ScanRun]
Make = Callable[..., RegisteredModel]

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna() -> User:
    return User.objects.create_user("anna", password="anna", is_staff=True)


def pair(models_root: Path, scan: Scan) -> tuple[RegisteredModel, RegisteredModel]:
    """A missing model and the same weights elsewhere, which nobody but a person can tell from
    another copy of them.
    """
    for number, name in enumerate(("x", "u", "v", "w")):
        builders.transformers(models_root / name, hidden=64 + 8 * number)
    scan(models_root)
    shutil.move(models_root / "x", models_root.parent / "x")
    scan(models_root)
    for name in ("p", "q"):
        shutil.copytree(models_root.parent / "x", models_root / name)
    scan(models_root)
    return RegisteredModel.objects.get(model_id="x"), RegisteredModel.objects.get(path="p")


def edit(record: RegisteredModel, by: User, **changes: Any) -> None:
    metadata.edit(record, changes, by=by, channel="page")


def test_what_nothing_tells_apart_is_offered_with_both_sides(
    models_root: Path, scan: Scan, anna: User
) -> None:
    old, new = pair(models_root, scan)
    edit(old, anna, description="Ours")
    (offer,) = reviewing.offers(list(reviewing.open_moves().select_related("root")))
    assert (offer.old.pk, offer.place, offer.decisions) == (
        old.pk,
        f"{models_root}/x",
        ["1 edited value", "1 change in its history"],
    )
    assert [
        (each.record.path, each.decisions, each.together, each.same_content)
        for each in offer.candidates
    ] == [
        ("p", [], False, True),
        ("q", [], False, True),
    ]
    assert LogEntry.objects.filter(message__contains="Choose on the Moves page").count() == 1
    reviewing.reject(old, new, by=anna)
    (offer,) = reviewing.offers(list(reviewing.open_moves().select_related("root")))
    assert [each.record.path for each in offer.candidates] == ["q"]


def test_the_other_pair_is_joined_by_the_next_scan_once_one_is_rejected(
    models_root: Path, scan: Scan, anna: User
) -> None:
    old, new = pair(models_root, scan)
    edit(old, anna, description="Ours")
    reviewing.reject(old, new, by=anna)
    assert scan(models_root).moved == 1
    old.refresh_from_db()
    assert (old.path, old.description) == ("q", "Ours")
    assert not reviewing.open_moves().exists()


def test_a_copy_is_offered_only_where_decisions_are_stranded(
    models_root: Path, scan: Scan, anna: User
) -> None:
    for number, name in enumerate(("x", "y", "u", "v", "w")):
        builders.transformers(models_root / name, hidden=64 + 8 * number)
    for name in ("x", "y"):
        shutil.copytree(models_root / name, models_root / f"copy-of-{name}")
    scan(models_root)
    edit(RegisteredModel.objects.get(path="x"), anna, description="Ours")
    for name in ("x", "y"):
        shutil.rmtree(models_root / name)
    scan(models_root)
    (offer,) = reviewing.offers(list(reviewing.open_moves().select_related("root")))
    assert offer.old.path == "x"
    assert [(each.record.path, each.together) for each in offer.candidates] == [("copy-of-x", True)]


def test_joining_keeps_what_both_sides_decided(models_root: Path, scan: Scan, anna: User) -> None:
    old, new = pair(models_root, scan)
    bert = User.objects.create_user("bert")
    Group.objects.bulk_create([Group(name="one"), Group(name="two")])
    Collection.objects.bulk_create([Collection(name="Left"), Collection(name="Right")])
    edit(
        old,
        anna,
        description="Old",
        license="mit",
        tags=["old"],
        groups=["one"],
        collections=["Left"],
        visibility="PUBLIC",
    )
    edit(new, anna, description="New", author="Somebody", groups=["two"], collections=["Right"])
    old.favoured_by.add(anna)
    new.favoured_by.add(anna, bert)
    RegisteredModel.objects.filter(pk=new.pk).update(registered_manually=True)
    joined = reviewing.join(old, new, by=anna)
    assert (joined.pk, joined.model_id, joined.path, joined.status, joined.registered_manually) == (
        old.pk,
        "x",
        "p",
        "READY",
        True,
    )
    values = {name: entry["value"] for name, entry in joined.curated.items()}
    assert values == {"description": "New", "license": "mit", "tags": ["old"], "author": "Somebody"}
    assert (joined.description, joined.license, joined.author, joined.visibility) == (
        "New",
        "mit",
        "Somebody",
        "PUBLIC",
    )
    assert sorted(group.name for group in joined.groups.all()) == ["one", "two"]
    assert sorted(each.name for each in joined.collections.all()) == ["Left", "Right"]
    assert sorted(user.username for user in joined.favoured_by.all()) == ["anna", "bert"]
    assert [tag.name for tag in joined.tagged.all()] == ["old"]
    assert not RegisteredModel.objects.filter(pk=new.pk).exists()


def test_joining_is_one_event_of_the_history_and_what_it_changed_can_be_undone(
    models_root: Path, scan: Scan, anna: User
) -> None:
    old, new = pair(models_root, scan)
    edit(new, anna, description="New")
    edit(old, anna, description="Old", license="mit")
    joined = reviewing.join(old, new, by=anna)
    moved = MetadataChange.objects.get(model=joined, field="moved")
    assert (moved.before, moved.after) == (
        {"path": "x", "joined with": None},
        {"path": "p", "joined with": new.model_id},
    )
    assert MetadataChange.objects.filter(model=joined, field="description").count() == 3
    change = MetadataChange.objects.get(batch=moved.batch, field="description")
    assert (change.before, change.after) == ("Old", "New")
    undo.undo_change(change, by=anna, channel="page")
    joined.refresh_from_db()
    assert joined.description == "Old"
    assert LogEntry.objects.filter(model_id="x", message__contains="anna joined").count() == 1


@pytest.mark.parametrize("side", ["old", "new"])
def test_a_quarantine_of_either_side_stays(
    models_root: Path, scan: Scan, anna: User, side: str
) -> None:
    old, new = pair(models_root, scan)
    edit(old, anna, visibility="PUBLIC")
    triage.quarantine({"old": old, "new": new}[side], by=anna)
    joined = reviewing.join(old, new, by=anna)
    assert joined.quarantined_at is not None
    assert joined.visibility == "ADMIN_ONLY"


def test_decisions_about_findings_of_both_sides_are_kept(
    models_root: Path, scan: Scan, anna: User
) -> None:
    old, new = pair(models_root, scan)
    for record, codes in (
        (old, ("nonfinite_weights", "bit_rot")),
        (new, ("nonfinite_weights", "checksum_mismatch")),
    ):
        told = [
            Problem(code, f"it is {code}", f"{record.path}/model.safetensors", Severity.ERROR)
            for code in codes
        ]
        findings.replace(record, Finding.Source.DEEP, told)
    triage.accept(
        list(old.findings.filter(code="bit_rot").select_related("model")), by=anna, reason="old"
    )
    triage.accept(
        list(new.findings.filter(code="nonfinite_weights").select_related("model")),
        by=anna,
        reason="new",
    )
    joined = reviewing.join(old, new, by=anna)
    rows = (
        joined.findings.filter(source="deep")
        .order_by("code")
        .values_list("code", "accepted_reason", "path")
    )
    assert list(rows) == [
        (code, reason, "p/model.safetensors")
        for code, reason in (
            ("bit_rot", "old"),
            ("checksum_mismatch", ""),
            ("nonfinite_weights", "new"),
        )
    ]


def test_a_missing_model_can_be_joined_with_one_whose_weights_changed(
    models_root: Path, scan: Scan, anna: User
) -> None:
    old, _ = pair(models_root, scan)
    edit(old, anna, description="Ours")
    joined = reviewing.join(old, RegisteredModel.objects.get(path="u"), by=anna)
    assert (joined.model_id, joined.path, joined.description) == ("x", "u", "Ours")


def test_what_cannot_be_the_same_model_is_refused(
    models_root: Path, scan: Scan, anna: User, make_model: Make
) -> None:
    old, new = pair(models_root, scan)
    other = make_model("gguf", root=old.root, type="LLAMA_CPP", fingerprint="1" * 32)
    remote = make_model("hosted", status="REMOTE")
    gone = make_model("gone", status="MISSING", missing_since=timezone.now())
    away = make_model(
        "away", root=Root.objects.create(path="/away", frozen_reason="The folder cannot be read.")
    )
    for left, right, reason in (
        (old, old, "two different"),
        (old, remote, "another server"),
        (old, gone, "missing too"),
        (old, other, "different types"),
        (old, away, "cannot be read now"),
        (new, old, "missing too"),
        (new, RegisteredModel.objects.get(path="q"), "where they were"),
    ):
        with pytest.raises(reviewing.NotJoined, match=reason):
            reviewing.join(left, right, by=anna)
    RegisteredModel.objects.filter(pk=new.pk).delete()
    with pytest.raises(reviewing.NotJoined, match="not registered any more"):
        reviewing.join(old, new, by=anna)


def test_joining_costs_the_same_whatever_hangs_on_the_two(
    models_root: Path, scan: Scan, anna: User, django_assert_max_num_queries: Any
) -> None:
    old, new = pair(models_root, scan)
    for number in range(30):
        edit(old, anna, description=f"Old {number}")
        edit(new, anna, description=f"New {number}")
    with django_assert_max_num_queries(80):
        reviewing.join(old, new, by=anna)
    assert not RejectedMove.objects.exists()


def test_the_list_of_open_moves_costs_a_fixed_number_of_queries(
    models_root: Path, scan: Scan, django_assert_max_num_queries: Any
) -> None:
    pair(models_root, scan)
    for number in range(12):
        shutil.copytree(models_root / "p", models_root / f"more-{number}")
    scan(models_root)
    with django_assert_max_num_queries(10):
        (offer,) = reviewing.offers(list(reviewing.open_moves().select_related("root")))
    assert (len(offer.candidates), offer.left) == (10, 4)


def test_links_to_registries_go_along_and_one_a_registry_stays(
    models_root: Path, scan: Scan, anna: User
) -> None:
    old, new = pair(models_root, scan)
    entries = [
        RemoteEntry.objects.create(registry=registry, remote_id=remote_id, author="acme")
        for registry, remote_id in (("hub", "a/x"), ("hub", "b/x"), ("zoo", "x"))
    ]
    for model, entry, state in (
        (old, entries[0], "accepted"),
        (new, entries[1], "accepted"),
        (new, entries[2], "accepted"),
    ):
        RemoteMatch.objects.create(
            model=model, entry=entry, registry=entry.registry, state=state, confidence=99
        )
    registry_values.bring([old.pk, new.pk])
    old.refresh_from_db()
    new.refresh_from_db()
    joined = reviewing.join(old, new, by=anna, channel="page")
    links = {match.entry.remote_id for match in joined.remote_matches.all()}
    assert links == {"a/x", "x"}
    assert joined.extracted["author"]["source"] == "hub: a/x"

"""What people decided follows the files: every order of moving and scanning, over all roots, by
page, config and command.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.utils import timezone

from discovery.engine.core.types import Problem
from discovery.engine.core.vocabulary import Severity, Status
from discovery.models import (
    Collection,
    FileChecksum,
    Finding,
    Forgotten,
    LogEntry,
    MetadataChange,
    RegisteredModel,
    Root,
    ScanRun,
    WebhookDelivery,
)
from discovery.services import scans
from discovery.services.findings import findings, triage
from discovery.services.integrations import webhooks
from discovery.services.metadata import metadata
from discovery.services.registry import deregistration, records
from tests.support import builders

Scan = Callable[..., ScanRun]

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna() -> User:
    return User.objects.create_user("anna", password="anna", is_staff=True)


@pytest.fixture
def old_root(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    return tmp_path / "a"


@pytest.fixture
def new_root(tmp_path: Path) -> Path:
    return tmp_path / "b"


def shelf(root: Path, *names: str) -> None:
    for number, name in enumerate(names):
        builders.transformers(root / name, hidden=64 + 8 * number)


def decide(anna: User, model_id: str) -> None:
    """Something of everything that people can decide about a model."""
    record = RegisteredModel.objects.get(model_id=model_id)
    groups, collection = (
        Group.objects.get_or_create(name="team")[0],
        Collection.objects.get_or_create(name="In production")[0],
    )
    changes = {
        "description": f"Ours: {model_id}", "tags": ["prod", model_id], "visibility": "PUBLIC",
        "groups": [groups.name],
        "collections": [collection.name],
    }  # fmt: skip
    metadata.edit(record, changes, by=anna, channel="page")
    record.favoured_by.add(anna)
    told = [
        Problem(
            "nonfinite_weights",
            "a weight is NaN",
            f"{record.path}/model.safetensors",
            Severity.ERROR,
        )
    ]
    findings.replace(record, Finding.Source.DEEP, told)
    triage.accept(list(Finding.objects.filter(model=record)), by=anna, reason="known")
    FileChecksum.objects.create(
        model=record,
        path="model.safetensors",
        size=1,
        mtime_ns=1,
        sha256="f" * 64,
        blake3="f" * 64,
        checked_at=timezone.now(),
    )
    RegisteredModel.objects.filter(pk=record.pk).update(deep_validated_at=timezone.now())


def followed(model_id: str, root: Path, path: str) -> None:
    """The model is at its new place and has all that :func:`decide` gave it."""
    record = RegisteredModel.objects.get(model_id=model_id)
    assert (record.root.path, record.path, record.status) == (str(root), path, "READY")
    assert record.description == f"Ours: {model_id}"
    assert sorted(record.tagged.values_list("name", flat=True)) == sorted(["prod", model_id])
    assert record.visibility == "PUBLIC"
    assert [group.name for group in record.groups.all()] == ["team"]
    assert [each.name for each in record.collections.all()] == ["In production"]
    assert [person.username for person in record.favoured_by.all()] == ["anna"]
    finding = Finding.objects.get(model=record, source="deep")
    assert (finding.resolved_at, finding.accepted_reason, finding.is_accepted) == (
        None,
        "known",
        True,
    )
    assert finding.path == f"{path}/model.safetensors"
    assert record.checksums.count() == 1
    assert record.deep_validated_at is not None
    assert MetadataChange.objects.filter(model=record).count() == 6
    assert (record.missing_since, record.seen_at) == (None, None)


def no_others(count: int) -> None:
    assert RegisteredModel.objects.count() == count
    assert set(RegisteredModel.objects.values_list("status", flat=True)) == {"READY"}


NAMES = ("x", "y", "z")


def three(old_root: Path, scan: Scan, anna: User) -> None:
    shelf(old_root, *NAMES)
    scan(old_root)
    for name in NAMES:
        decide(anna, name)


def everything(scan: Scan) -> ScanRun:
    return scan("")


# -- mv /a /b


def test_a_root_that_moved_and_is_added_anew_is_the_same_thirty_models(
    old_root: Path, new_root: Path, scan: Scan, anna: User
) -> None:
    three(old_root, scan, anna)
    old_root.rename(new_root)
    scans.locate(str(new_root), add=True)
    run = everything(scan)
    for name in NAMES:
        followed(name, new_root, name)
    no_others(3)
    assert (run.moved, run.new, run.missing) == (3, 0, 0)
    assert not Root.objects.exclude(frozen_reason="").exists()
    assert not LogEntry.objects.filter(scan=run, event__in=("new", "missing")).exists()


def test_a_root_that_moved_and_whose_models_were_marked_missing_first(
    old_root: Path, new_root: Path, scan: Scan, anna: User
) -> None:
    three(old_root, scan, anna)
    old_root.rename(new_root)
    scan(old_root)
    scan(old_root, accept_missing=True)
    assert set(RegisteredModel.objects.values_list("status", flat=True)) == {"MISSING"}
    assert scan(new_root).moved == 3
    for name in NAMES:
        followed(name, new_root, name)
    no_others(3)


def test_a_new_root_that_is_scanned_before_the_old_one_is_missed(
    old_root: Path, new_root: Path, scan: Scan, anna: User
) -> None:
    three(old_root, scan, anna)
    old_root.rename(new_root)
    assert scan(new_root).new == 3
    assert RegisteredModel.objects.count() == 6
    assert scan(old_root).moved == 3
    for name in NAMES:
        followed(name, new_root, name)
    no_others(3)


def test_a_root_that_was_frozen_first_is_joined_by_the_scan_of_the_new_one(
    old_root: Path, new_root: Path, scan: Scan, anna: User
) -> None:
    three(old_root, scan, anna)
    old_root.rename(new_root)
    scan(old_root)
    assert Root.objects.get(path=str(old_root)).frozen_reason
    assert scan(new_root).moved == 3
    for name in NAMES:
        followed(name, new_root, name)
    no_others(3)


def test_what_was_stranded_by_an_earlier_version_comes_together(
    old_root: Path, new_root: Path, scan: Scan, anna: User
) -> None:
    three(old_root, scan, anna)
    old_root.rename(new_root)
    scan(new_root)
    now = timezone.now()
    Root.objects.update(seen_at=None, device=None)
    RegisteredModel.objects.update(arrived_at=None)
    RegisteredModel.objects.filter(root__path=str(old_root)).update(
        status=Status.MISSING, missing_since=now
    )
    assert scan(new_root).moved == 3
    assert set(RegisteredModel.objects.values_list("model_id", "description")) == {
        (name, f"Ours: {name}") for name in NAMES
    }
    no_others(3)


def test_half_of_a_root_that_moves_leaves_the_other_half(
    old_root: Path, new_root: Path, scan: Scan, anna: User
) -> None:
    three(old_root, scan, anna)
    new_root.mkdir()
    for name in ("x", "y"):
        (old_root / name).rename(new_root / name)
    scans.locate(str(new_root), add=True)
    run = everything(scan)
    assert (run.moved, run.missing, run.new) == (2, 0, 0)
    followed("x", new_root, "x")
    followed("y", new_root, "y")
    followed("z", old_root, "z")
    no_others(3)


def test_a_move_between_roots_in_one_run_is_no_missing_no_new_and_no_such_webhook(
    old_root: Path, new_root: Path, scan: Scan, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discovery.services.integrations.http_client.fault", lambda url: "")
    three(old_root, scan, anna)
    webhooks.create(
        "http://127.0.0.1:1/", ["model.added", "model.missing", "model.changed"], by=anna
    )
    new_root.mkdir()
    scans.locate(str(new_root), add=True)
    for order in (old_root, new_root), (new_root, old_root):
        (order[0] / "x").rename(order[1] / "x")
        run = everything(scan)
        assert dict.fromkeys(
            LogEntry.objects.filter(scan=run).exclude(event="").values_list("event", "model_id")
        ) == {("moved", "x"): None}
        followed("x", order[1], "x")
    assert set(WebhookDelivery.objects.values_list("event", flat=True)) == {"model.changed"}


def test_a_missing_model_that_arrives_in_an_earlier_scan_of_another_root(
    old_root: Path, new_root: Path, scan: Scan, anna: User
) -> None:
    three(old_root, scan, anna)
    new_root.mkdir()
    (old_root / "x").rename(new_root / "renamed")
    scan(new_root)
    scan(new_root, full=True)
    scan(old_root)
    followed("x", new_root, "renamed")
    no_others(3)


def test_a_round_trip_leaves_everything_where_it_was(
    old_root: Path, new_root: Path, scan: Scan, anna: User
) -> None:
    three(old_root, scan, anna)
    new_root.mkdir()
    (old_root / "x").rename(new_root / "x")
    scan(new_root)
    (new_root / "x").rename(old_root / "x")
    scan(old_root)
    scan(new_root, accept_missing=True)
    followed("x", old_root, "x")
    (old_root / "x").rename(new_root / "x")
    everything(scan)
    followed("x", new_root, "x")
    (new_root / "x").rename(old_root / "once-more")
    scan(old_root)
    scan(new_root, accept_missing=True)
    followed("x", old_root, "once-more")


def test_a_joined_model_reads_like_one_that_was_always_there(
    old_root: Path, new_root: Path, scan: Scan, anna: User
) -> None:
    """The documents equal those of a scan into an empty database with the edits applied."""
    shelf(old_root, *NAMES)
    scan(old_root)
    change = {"description": "Ours", "tags": ["prod"], "license": "mit"}
    metadata.edit(RegisteredModel.objects.get(model_id="x"), change, by=anna, channel="page")
    old_root.rename(new_root)
    scans.locate(str(new_root), add=True)
    everything(scan)
    joined = _documents()
    RegisteredModel.objects.all().delete()
    Root.objects.all().delete()
    scan(new_root)
    metadata.edit(RegisteredModel.objects.get(model_id="x"), change, by=anna, channel="page")
    assert joined == _documents()


def _documents() -> list[dict[str, Any]]:
    told = [
        records.document(record)
        for record in RegisteredModel.objects.select_related("root").order_by("model_id")
    ]
    for each in told:
        for name in ("added_at", "last_seen_at"):
            each.pop(name)
    return told


# -- twins


def test_twins_below_a_shelf_that_moves_are_told_apart_by_their_paths(
    old_root: Path, scan: Scan, anna: User
) -> None:
    shelf(old_root, "old/one/m", "other")
    shutil.copytree(old_root / "old/one", old_root / "old/two")
    scan(old_root)
    ids = dict(RegisteredModel.objects.values_list("path", "model_id"))
    for model_id in ids.values():
        decide(anna, model_id)
    (old_root / "old").rename(old_root / "new")
    assert scan(old_root).moved == 2
    followed(ids["old/one/m"], old_root, "new/one/m")
    followed(ids["old/two/m"], old_root, "new/two/m")
    no_others(3)


def test_twins_whose_folders_were_renamed_follow_the_neighbours_that_moved_with_them(
    old_root: Path, scan: Scan, anna: User
) -> None:
    shelf(old_root, "p/x/m", "p/only-p", "q/only-q", "stays", "stays-2", "stays-3", "stays-4")
    shutil.copytree(old_root / "p/x", old_root / "q/x")
    scan(old_root)
    ids = dict(RegisteredModel.objects.values_list("path", "model_id"))
    for path in ("p/x/m", "q/x/m"):
        decide(anna, ids[path])
    (old_root / "p").rename(old_root / "left")
    (old_root / "q").rename(old_root / "right")
    scan(old_root)
    followed(ids["p/x/m"], old_root, "left/x/m")
    followed(ids["q/x/m"], old_root, "right/x/m")
    no_others(8)


def test_a_copy_that_was_there_beside_it_is_not_where_it_went(
    old_root: Path, scan: Scan, anna: User
) -> None:
    three(old_root, scan, anna)
    shutil.copytree(old_root / "x", old_root / "copy")
    scan(old_root)
    (old_root / "x").rename(old_root / "elsewhere")
    scan(old_root)
    followed("x", old_root, "elsewhere")
    assert RegisteredModel.objects.get(path="copy").curated == {}
    no_others(4)


def test_a_copy_does_not_inherit_what_was_decided_about_a_model_that_is_deleted(
    old_root: Path, scan: Scan, anna: User
) -> None:
    three(old_root, scan, anna)
    shutil.copytree(old_root / "x", old_root / "copy")
    scan(old_root)
    shutil.rmtree(old_root / "x")
    scan(old_root)
    assert RegisteredModel.objects.get(model_id="x").status == "MISSING"
    assert RegisteredModel.objects.get(path="copy").curated == {}


def test_a_pair_that_somebody_rejected_is_not_joined(
    old_root: Path, scan: Scan, anna: User
) -> None:
    from discovery.services.scans import reviewing

    three(old_root, scan, anna)
    (old_root / "x").rename(old_root.with_name("away"))
    scan(old_root)
    shutil.copytree(old_root.with_name("away"), old_root / "p")
    shutil.copytree(old_root.with_name("away"), old_root / "q")
    scan(old_root)
    old = RegisteredModel.objects.get(model_id="x")
    assert old.status == "MISSING"
    for new in RegisteredModel.objects.filter(path__in=("p", "q")):
        reviewing.reject(old, new, by=anna)
    shutil.rmtree(old_root / "q")
    scan(old_root)
    assert RegisteredModel.objects.get(model_id="x").status == "MISSING"
    assert RegisteredModel.objects.get(path="p").curated == {}


# -- what could not be looked at


def test_an_unmounted_disk_whose_copy_is_elsewhere_keeps_its_models(
    old_root: Path, new_root: Path, scan: Scan, anna: User
) -> None:
    """The device of the old place is away: nobody can tell whether its models are where they
    were.
    """
    three(old_root, scan, anna)
    Root.objects.filter(path=str(old_root)).update(device=12345)
    old_root.rename(old_root.with_name("unplugged"))
    shutil.copytree(old_root.with_name("unplugged"), new_root)
    scans.locate(str(new_root), add=True)
    everything(scan)
    assert RegisteredModel.objects.count() == 6
    for name in NAMES:
        followed(name, old_root, name)


def test_an_empty_mount_point_gives_nothing_away(
    old_root: Path, new_root: Path, scan: Scan, anna: User
) -> None:
    three(old_root, scan, anna)
    Root.objects.filter(path=str(old_root)).update(device=12345)
    shutil.copytree(old_root, new_root)
    for name in NAMES:
        shutil.rmtree(old_root / name)
    scans.locate(str(new_root), add=True)
    run = everything(scan)
    assert run.missing == 0
    assert "file system" in Root.objects.get(path=str(old_root)).frozen_reason
    for name in NAMES:
        followed(name, old_root, name)


@pytest.mark.parametrize("number", [5, 13, 116])
def test_nothing_below_a_folder_that_cannot_be_read_is_lost(
    old_root: Path, scan: Scan, anna: User, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    shelf(old_root, "shelf/x", "shelf/deep/y", "z", "u", "v", "w")
    scan(old_root)
    decide(anna, "x")
    shutil.rmtree(old_root / "z")
    refuse(monkeypatch, old_root / "shelf", number)
    run = scan(old_root)
    statuses = dict(RegisteredModel.objects.values_list("path", "status"))
    assert statuses == {
        "shelf/x": "READY",
        "shelf/deep/y": "READY",
        "z": "MISSING",
        "u": "READY",
        "v": "READY",
        "w": "READY",
    }
    assert f"{old_root}/shelf: 2 models could not be looked at" in run.message
    assert LogEntry.objects.filter(scan=run, level="error", path=f"{old_root}/shelf").exists()
    monkeypatch.undo()
    assert scan(old_root).missing == 0
    followed("x", old_root, "shelf/x")


def refuse(monkeypatch: pytest.MonkeyPatch, folder: Path, number: int) -> None:
    """The folder answers with an error, as a disk does that fails: rights do not stop root."""
    real = os.scandir

    def failing(path: Any = ".") -> Any:
        if str(path) == str(folder):
            raise OSError(number, os.strerror(number), str(folder))
        return real(path)

    monkeypatch.setattr(os, "scandir", failing)


def test_a_part_that_cannot_be_read_does_not_make_its_model_missing(
    old_root: Path, scan: Scan, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    three(old_root, scan, anna)
    folder = old_root / "models--org--name" / "snapshots" / "abc"
    shutil.copytree(old_root / "x", folder)
    scan(old_root)
    refuse(monkeypatch, old_root / "models--org--name" / "snapshots", 5)
    run = scan(old_root)
    assert run.missing == 0
    monkeypatch.undo()
    scan(old_root)
    no_others(4)


def test_a_folder_that_is_another_one_at_the_end_of_the_scan_loses_nothing(
    old_root: Path, scan: Scan, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf(old_root, "disk/x", "disk/y", "here/z", "here/u", "here/v", "here/w")
    scan(old_root)
    decide(anna, "x")
    real = os.scandir

    def unmount(path: Any = ".") -> Any:
        if str(path) == str(old_root / "disk") and (old_root / "disk/x").exists():
            (old_root / "disk").rename(old_root.with_name("away"))
            (old_root / "disk").mkdir()
        return real(path)

    monkeypatch.setattr(os, "scandir", unmount)
    run = scan(old_root)
    monkeypatch.undo()
    assert run.missing == 0
    assert f"{old_root}/disk: 2 models" in run.message
    (old_root / "disk").rmdir()
    old_root.with_name("away").rename(old_root / "disk")
    scan(old_root)
    followed("x", old_root, "disk/x")


def test_a_root_that_is_another_folder_at_the_end_of_the_scan_loses_nothing(
    old_root: Path, scan: Scan, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    three(old_root, scan, anna)
    shelf(old_root, "shelf/u", "shelf/v", "shelf/w")
    scan(old_root)
    real = os.scandir

    def swap(path: Any = ".") -> Any:
        if str(path) == str(old_root / "x") and not old_root.with_name("away").exists():
            old_root.rename(old_root.with_name("away"))
            shutil.copytree(old_root.with_name("away") / "shelf", old_root / "shelf")
        return real(path)

    monkeypatch.setattr(os, "scandir", swap)
    run = scan(old_root)
    monkeypatch.undo()
    assert run.missing == 0
    shutil.rmtree(old_root)
    old_root.with_name("away").rename(old_root)
    scan(old_root)
    for name in NAMES:
        followed(name, old_root, name)


def test_a_mount_point_that_is_empty_now_is_not_believed_until_a_person_confirms(
    old_root: Path, scan: Scan, anna: User
) -> None:
    shelf(old_root, "disk/x", "z", "u", "v")
    scan(old_root)
    decide(anna, "x")
    Root.objects.update(mounts={"disk": 12345})
    (old_root / "disk" / "x").rename(old_root.with_name("x"))
    for _ in range(2):
        run = scan(old_root)
        assert run.missing == 0
        assert (
            "disk was a file system of its own and is not mounted now"
            in Root.objects.get().frozen_reason
        )
        assert Root.objects.get().missing_count == 1
    assert scan(old_root, accept_missing=True).missing == 1
    assert (Root.objects.get().frozen_reason, Root.objects.get().mounts) == ("", {})


# -- the path of a root


def by_page(client: Any, root: Root, path: Path) -> None:
    client.post(f"/scans/roots/{root.pk}/", {"path": str(path)})


def test_a_root_whose_path_is_changed_keeps_everything_and_reads_nothing_again(
    old_root: Path, new_root: Path, scan: Scan, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    three(old_root, scan, anna)
    old_root.rename(new_root)
    out = StringIO()
    call_command("move_root", str(old_root), str(new_root), stdout=out)
    assert f"The root {old_root} is {new_root} now, with 3 models." in out.getvalue()
    opened: list[str] = []
    real = os.open
    monkeypatch.setattr(
        os,
        "open",
        lambda path, *rest, **more: opened.append(str(path)) or real(path, *rest, **more),
    )
    run = everything(scan)
    assert (run.unchanged, run.moved, run.new, run.missing) == (3, 0, 0, 0)
    assert [path for path in opened if path.startswith(str(new_root))] == []
    monkeypatch.undo()
    for name in NAMES:
        followed(name, new_root, name)
    assert LogEntry.objects.filter(
        path=str(new_root), message__contains="path of a root was changed"
    ).exists()


def test_a_named_root_follows_its_config(
    old_root: Path, new_root: Path, scan: Scan, anna: User, config_dir: Path
) -> None:
    configured(config_dir, {"path": str(old_root), "name": "main"})
    shelf(old_root, *NAMES)
    everything(scan)
    for name in NAMES:
        decide(anna, name)
    old_root.rename(new_root)
    configured(config_dir, {"path": str(new_root), "name": "main"})
    run = everything(scan)
    assert (run.unchanged, run.new, run.missing, run.message) == (3, 0, 0, "")
    for name in NAMES:
        followed(name, new_root, name)
    assert list(Root.objects.values_list("name", "path")) == [("main", str(new_root))]


def test_a_named_root_that_cannot_follow_stays_and_the_run_says_why(
    old_root: Path, new_root: Path, scan: Scan, anna: User, config_dir: Path
) -> None:
    configured(config_dir, {"path": str(old_root), "name": "main"})
    shelf(old_root, *NAMES)
    everything(scan)
    configured(config_dir, {"path": str(new_root), "name": "main"})
    run = everything(scan)
    assert (
        f"The root main cannot follow model_discovery.json: {new_root} does not exist."
        in run.message
    )
    assert Root.objects.get().path == str(old_root)


def test_a_name_follows_models_that_joined_another_root_by_themselves(
    old_root: Path, new_root: Path, scan: Scan, anna: User, config_dir: Path
) -> None:
    configured(config_dir, {"path": str(old_root), "name": "main"})
    three(old_root, lambda _: everything(scan), anna)
    old_root.rename(new_root)
    scan(new_root)
    scan(old_root)
    configured(config_dir, {"path": str(new_root), "name": "main"})
    everything(scan)
    assert dict(Root.objects.values_list("path", "name")) == {
        str(old_root): "",
        str(new_root): "main",
    }


def configured(config_dir: Path, *roots: Any, **more: Any) -> None:
    builders.write_json(
        config_dir / "model_discovery.json", {"discovery": {"roots": list(roots), **more}}
    )


def test_a_root_is_switched_off_by_the_config(old_root: Path, scan: Scan, config_dir: Path) -> None:
    configured(config_dir, {"path": str(old_root), "enabled": False})
    everything(scan)
    assert not Root.objects.get().enabled


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "Give the new path"),
        ("relative/path", "absolute path"),
        ("{tmp}/nowhere", "does not exist"),
        ("{tmp}/file", "is not a folder"),
        ("{tmp}/a", "is its path already"),
        ("{tmp}/other", "is a root already"),
        ("{tmp}/link", "is a root already"),
        ("{tmp}/other/full", "lies in the root"),
        ("/" + "x" * 1200, "at most 1,000"),
    ],
)
def test_a_root_is_not_moved_where_it_cannot_be(
    old_root: Path, tmp_path: Path, scan: Scan, path: str, reason: str
) -> None:
    shelf(old_root, "x")
    shelf(tmp_path / "other", "full/y")
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    scan(old_root)
    scan(tmp_path / "other")
    root = Root.objects.get(path=str(old_root))
    with pytest.raises(scans.NotMoved, match=reason):
        scans.move_root(root, path.format(tmp=tmp_path), channel="page")
    assert Root.objects.get(pk=root.pk).path == str(old_root)


def test_nested_roots_can_follow_one_after_the_other(tmp_path: Path, scan: Scan) -> None:
    outer = tmp_path / "data"
    shelf(outer, "x", "private/y")
    Root.objects.create(path=str(outer / "private"))
    scan(outer)
    scan(outer / "private")
    outer.rename(tmp_path / "mnt")
    scans.move_root(Root.objects.get(path=str(outer)), str(tmp_path / "mnt"), channel="command")
    scans.move_root(
        Root.objects.get(path=str(outer / "private")),
        str(tmp_path / "mnt/private"),
        channel="command",
    )
    run = everything(scan)
    assert (run.unchanged, run.new, run.missing) == (2, 0, 0)


def test_a_root_that_would_come_to_lie_around_another_one_stays(tmp_path: Path, scan: Scan) -> None:
    shelf(tmp_path / "a", "inner/x")
    shelf(tmp_path / "b", "inner/y")
    scan(tmp_path / "a")
    scan(tmp_path / "b/inner")
    with pytest.raises(scans.NotMoved, match="lies in"):
        scans.move_root(
            Root.objects.get(path=str(tmp_path / "a")), str(tmp_path / "b"), channel="command"
        )


def test_a_root_that_is_being_scanned_stays(old_root: Path, new_root: Path, scan: Scan) -> None:
    shelf(old_root, "x")
    scan(old_root)
    new_root.mkdir()
    run = ScanRun.objects.create(trigger="command", state="running", path=str(old_root))
    Root.objects.update(claim=run)
    with pytest.raises(scans.NotMoved, match="is running"):
        scans.move_root(Root.objects.get(), str(new_root), channel="command")


def test_the_command_says_what_it_did_and_what_it_could_not(
    old_root: Path, new_root: Path, scan: Scan, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf(old_root, "x")
    scan(old_root)
    Root.objects.update(name="main")
    old_root.rename(new_root)
    out = StringIO()
    call_command("move_root", "main", str(new_root), "--json", stdout=out)
    assert out.getvalue().strip() == f'{{"root": "{new_root}", "was": "{old_root}", "models": 1}}'
    err = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("move_root", "nothing", str(new_root), stderr=err)
    assert ended.value.code == 2
    assert f"nothing is not a root. Roots: {new_root}." in err.getvalue()


# -- the rest


def test_a_forgotten_model_whose_folder_moves_is_known_again(
    old_root: Path, new_root: Path, scan: Scan, anna: User
) -> None:
    three(old_root, scan, anna)
    for name in ("x", "y"):
        deregistration.forget(RegisteredModel.objects.get(model_id=name), by=anna, channel="page")
    (old_root / "x").rename(old_root / "renamed")
    scan(old_root)
    record = RegisteredModel.objects.get(model_id="x")
    assert (record.path, record.description, record.visibility) == ("renamed", "Ours: x", "PUBLIC")
    assert RegisteredModel.objects.get(model_id="y").description == "Ours: y"
    assert not Forgotten.objects.exists()
    no_others(3)


def test_a_copy_of_a_forgotten_model_does_not_inherit(
    old_root: Path, scan: Scan, anna: User
) -> None:
    three(old_root, scan, anna)
    deregistration.forget(RegisteredModel.objects.get(model_id="x"), by=anna, channel="page")
    shutil.copytree(old_root / "x", old_root / "a-copy")
    scan(old_root)
    assert RegisteredModel.objects.get(model_id="x").path == "x"
    assert RegisteredModel.objects.get(path="a-copy").curated == {}


def test_a_single_file_that_moves_keeps_the_decisions_about_its_findings(
    old_root: Path, scan: Scan, anna: User
) -> None:
    for number, name in enumerate(("one", "two", "three")):
        builders.gguf_model(
            old_root / name / f"{name}.gguf",
            name,
            builders.Sizes(hidden=256 * (number + 1)),
            "Q4_0",
        )
    scan(old_root)
    record = RegisteredModel.objects.get(path="one/one.gguf")
    told = [Problem("nonfinite_weights", "a weight is NaN", record.path, Severity.ERROR)]
    findings.replace(record, Finding.Source.DEEP, told)
    triage.accept(list(Finding.objects.filter(model=record)), by=anna, reason="known")
    (old_root / "one").rename(old_root / "moved")
    scan(old_root)
    record.refresh_from_db()
    assert (record.path, record.status) == ("moved/one.gguf", "READY")
    finding = Finding.objects.get(model=record, source="deep")
    assert (finding.is_accepted, finding.resolved_at, finding.path) == (
        True,
        None,
        "moved/one.gguf",
    )


def test_what_was_tested_at_the_new_place_comes_along(
    old_root: Path, new_root: Path, scan: Scan, anna: User
) -> None:
    from discovery.models import DeepValidation, LoadTest

    three(old_root, scan, anna)
    new_root.mkdir()
    (old_root / "x").rename(new_root / "x")
    scan(new_root)
    arrival = RegisteredModel.objects.get(root__path=str(new_root))
    DeepValidation.objects.create(model=arrival, state="done")
    LoadTest.objects.create(model=arrival, state="done", result="passed")
    later = timezone.now() + timedelta(seconds=5)
    for path, sha in (("model.safetensors", "e" * 64), ("config.json", "d" * 64)):
        FileChecksum.objects.create(
            model=arrival, path=path, size=2, mtime_ns=2, sha256=sha, blake3=sha, checked_at=later
        )
    findings.replace(
        arrival,
        Finding.Source.LOAD,
        [Problem("load_failed", "out of memory", "x", Severity.WARNING)],
    )
    scan(old_root)
    record = RegisteredModel.objects.get(model_id="x")
    assert dict(record.checksums.values_list("path", "sha256")) == {
        "model.safetensors": "e" * 64,
        "config.json": "d" * 64,
    }
    assert (record.deep_validations.count(), record.load_tests.count()) == (1, 1)
    assert set(record.findings.filter(resolved_at=None).values_list("code", flat=True)) == {
        "nonfinite_weights",
        "load_failed",
    }
    assert not LogEntry.objects.filter(model_id=arrival.model_id).exists()


def test_a_scan_that_is_stopped_marks_nothing_missing_and_the_next_one_joins(
    old_root: Path, new_root: Path, scan: Scan, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from discovery.services.jobs.progress import Stopped
    from discovery.services.scans import settling

    three(old_root, scan, anna)
    new_root.mkdir()
    scans.locate(str(new_root), add=True)
    (old_root / "x").rename(new_root / "x")

    def stop(*_: Any) -> None:
        raise Stopped

    monkeypatch.setattr(settling, "settle", stop)
    assert everything(scan).state == "cancelled"
    assert Root.objects.filter(claim=None).count() == 2
    monkeypatch.undo()
    everything(scan)
    followed("x", new_root, "x")
    no_others(3)

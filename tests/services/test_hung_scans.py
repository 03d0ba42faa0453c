"""Scans and other background work beside a share that hangs: it is left out, everything else goes
on in time, and nothing of it is lost.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from discovery.models import DeepValidation, LoadTest, LogEntry, RegisteredModel, Root, ScanRun
from discovery.services import scans
from discovery.services.health import deep_validation, test_loads, validation
from discovery.services.jobs.heartbeat import SILENCE
from discovery.services.machine import root_probes
from discovery.services.machine.root_probes import RootSilent
from discovery.services.metadata import write_back
from discovery.services.scans import attended
from tests.hanging import hanging
from tests.support import builders
from tests.support.waiting import until

Shelf = tuple[Path, Path]


@pytest.fixture
def shelf(db: None, tmp_path: Path) -> Shelf:
    """Two roots with two models each, scanned."""
    found = []
    for name in ("nas", "local"):
        for number in range(2):
            builders.transformers(tmp_path / name / f"{name}{number}", hidden=64 + 8 * number)
        Root.objects.create(path=str(tmp_path / name))
        found.append(tmp_path / name)
    scan()
    assert RegisteredModel.objects.count() == 4
    return found[0], found[1]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disks have a second to go on, and two to wake up."""
    monkeypatch.setattr(attended, "STALL", 1.0)
    monkeypatch.setattr(attended, "DOUBT", 0.2)
    monkeypatch.setattr(root_probes, "WAKE_SECONDS", 2.0)


def scan(
    path: str = "", trigger: ScanRun.Trigger = ScanRun.Trigger.SCHEDULE, **more: Any
) -> ScanRun:
    run, _ = scans.start_now(trigger, path=path, **more)
    return scans.execute(run)


def statuses() -> list[str]:
    return list(RegisteredModel.objects.order_by("path").values_list("status", flat=True))


def test_a_root_that_hangs_is_left_out_and_the_others_are_scanned_on_time(shelf: Shelf) -> None:
    nas, local = shelf
    builders.transformers(local / "arrival", hidden=96)
    with hanging(nas) as held:
        run = scan()
        asked = held.asked
        assert scan().state == "done"
        assert held.asked == asked, "it is known to hang, and skipped at once"
    assert (run.state, run.new, run.missing, run.errors) == ("done", 1, 0, 1)
    assert f"{nas} does not answer and was left out; its models stay as they are." in run.message
    assert statuses() == ["READY"] * 5
    assert Root.objects.get(path=str(local)).last_scan_at
    assert Root.objects.get(path=str(nas)).claim is None
    assert LogEntry.objects.filter(scan=run, path=str(nas), level="warning").exists()


def test_a_root_that_hangs_in_the_middle_is_given_up_and_keeps_what_it_had(shelf: Shelf) -> None:
    nas, local = shelf
    builders.transformers(local / "arrival", hidden=96)
    for number in range(2):
        os.utime(nas / f"nas{number}/model.safetensors", (1, 1))
    with hanging(nas / "nas1"):
        run = scan()
    assert (run.state, run.new, run.missing) == ("done", 1, 0)
    assert "was left out" in run.message
    assert statuses() == ["READY"] * 5
    assert Root.objects.get(path=str(nas)).frozen_reason == ""
    again = scan()
    assert (again.message, again.missing, again.found) == ("", 0, 5)


def test_a_nested_root_that_hangs_does_not_stop_the_scan_around_it(shelf: Shelf) -> None:
    _nas, local = shelf
    inner = local / "inner"
    builders.transformers(inner / "deep", hidden=96)
    Root.objects.create(path=str(inner))
    with hanging(inner):
        run = scan()
    assert "was left out" in run.message
    assert (run.state, run.missing, run.found) == ("done", 0, 4)
    assert not RegisteredModel.objects.filter(path__contains="deep").exists()


def test_a_scan_of_nothing_but_a_root_that_hangs_fails_with_a_sentence(shelf: Shelf) -> None:
    nas, _ = shelf
    with hanging(nas):
        run = scan(str(nas))
        assert (run.state, "did not answer" in run.message) == ("failed", True)
        run = scan(str(nas / "nas0"))
        assert (run.state, "did not answer" in run.message) == ("failed", True)
    assert statuses() == ["READY"] * 4


def test_that_somebody_confirmed_the_loss_marks_nothing_missing_on_a_root_that_hangs(
    shelf: Shelf,
) -> None:
    nas, _ = shelf
    with hanging(nas):
        run = ScanRun.objects.create(trigger="page", path=str(nas), accept_missing=True)
        scans.execute(run)
    assert statuses() == ["READY"] * 4


@pytest.mark.django_db(transaction=True)
def test_a_scan_that_waits_for_a_disk_says_that_it_lives_and_hears_stop(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    nas, _ = shelf
    monkeypatch.setattr(attended, "STALL", 60.0)
    os.utime(nas / "nas0/model.safetensors", (1, 1))
    with hanging(nas / "nas0"):
        run, _ = scans.start_now(ScanRun.Trigger.PAGE, path=str(nas))
        beats = []

        def watch(_: Any) -> None:
            beats.append(ScanRun.objects.values_list("heartbeat_at", flat=True).get(pk=run.pk))
            if len(beats) == 3:
                scans.cancel(run)

        run = scans.execute(run, watch)
    assert run.state == "cancelled"
    assert len(set(beats)) >= 2
    assert timezone.now() - beats[-1] < SILENCE


def test_a_disk_that_slept_is_waited_for(shelf: Shelf) -> None:
    nas, _ = shelf
    with hanging(nas) as held:
        threading.Timer(1.5, held.let_go).start()
        run = scan()
    assert (run.message, run.found) == ("", 4)


def test_a_root_that_answers_again_is_scanned_again(shelf: Shelf) -> None:
    nas, _ = shelf
    with hanging(nas):
        scan()
        assert Root.objects.get(path=str(nas)).silent_since
    builders.transformers(nas / "arrival", hidden=96)
    run = scan()
    assert (run.message, run.new) == ("", 1)
    assert Root.objects.get(path=str(nas)).silent_since is None


def test_a_preview_of_a_root_that_hangs_ends_with_a_sentence(shelf: Shelf) -> None:
    nas, _ = shelf
    with hanging(nas), pytest.raises(RootSilent, match="did not answer"):
        scans.preview([str(nas)], full=False)


@pytest.mark.slow
def test_a_deep_validation_of_a_root_that_hangs_ends_and_its_worker_goes_on(shelf: Shelf) -> None:
    nas, _ = shelf
    for held in (nas, nas / "nas0/model.safetensors"):
        run, _ = deep_validation.start_now(RegisteredModel.objects.get(path="nas0"))
        with hanging(held):
            run = deep_validation.execute(run)
        assert (run.state, "did not answer" in run.message) == ("failed", True)
    with hanging(nas):
        assert deep_validation.run_due(60) == 2, "those of the other root"
    assert not DeepValidation.objects.filter(state="running").exists()


def test_a_test_load_of_a_root_that_hangs_is_refused(shelf: Shelf) -> None:
    nas, _ = shelf
    test = LoadTest.objects.create(model=RegisteredModel.objects.get(path="nas0"))
    with hanging(nas):
        test = test_loads.execute(test)
    assert (test.result, "did not answer" in test.message) == ("refused", True)


def test_validating_many_passes_by_a_root_that_hangs(shelf: Shelf) -> None:
    nas, _ = shelf
    before = list(RegisteredModel.objects.filter(root__path=str(nas)).order_by("pk").values())
    with hanging(nas):
        assert (
            validation.validate_many(
                list(RegisteredModel.objects.order_by("pk").values_list("pk", flat=True))
            )
            == 2
        )
    assert (
        list(RegisteredModel.objects.filter(root__path=str(nas)).order_by("pk").values()) == before
    )


def test_what_could_not_be_written_in_time_is_not_written_later(shelf: Shelf) -> None:
    nas, _ = shelf
    model = RegisteredModel.objects.get(path="nas0")
    model.curated = {"license": {"value": "mit", "by": "ada", "at": "2026-01-01T00:00:00Z"}}
    model.save()
    with hanging(nas) as held:
        (result,) = write_back.write([model])
        assert (result.outcome, "did not answer" in result.reason) == ("refused", True)
        held.let_go()
        (reading,) = root_probes.calls_of(model.root.path).calls.values()
        until(lambda: reading.is_over)
    assert not (nas / "nas0/metadata.json").exists()


# -- paths, compared after their links are resolved


@pytest.fixture
def linked(shelf: Shelf, tmp_path: Path) -> Iterator[Path]:
    nas, _ = shelf
    outside = tmp_path / "outside"
    builders.transformers(outside / "secret", hidden=96)
    (nas / "out").symlink_to(outside)
    (tmp_path / "alias").symlink_to(nas)
    (nas / "inside").symlink_to(nas / "nas0")
    return tmp_path


def test_a_link_that_leads_out_of_a_root_is_outside(linked: Path) -> None:
    for path in (linked / "nas/out", linked / "nas/out/secret"):
        for add in (True, False):
            with pytest.raises(
                scans.NoSuchFolder, match="leads through a link to a place outside the root"
            ):
                scans.locate(str(path), add=add)
    assert Root.objects.count() == 2


def test_another_name_of_a_root_is_that_root(linked: Path) -> None:
    root = Root.objects.get(path=str(linked / "nas"))
    assert scans.locate(str(linked / "alias"), add=True) == (root, ".")
    assert scans.locate(str(linked / "alias/nas1"), add=True) == (root, "nas1")
    assert scans.locate(str(linked / "nas/inside"), add=True) == (root, "nas0")
    assert scans.locate(str(linked / "outside/../alias"), add=False) == (root, ".")


def test_a_root_that_is_a_link_itself_is_one(linked: Path) -> None:
    (linked / "outside-link").symlink_to(linked / "outside")
    root = Root.objects.create(path=str(linked / "outside-link"))
    assert scans.locate(str(linked / "outside-link/secret"), add=False) == (root, "secret")
    assert scans.locate(str(linked / "outside/secret"), add=False) == (root, "secret")
    run = scan(f"{root.path}/secret")
    assert (run.state, run.new) == ("done", 1)


def test_a_folder_that_became_a_link_out_since_it_was_asked_for_is_not_scanned(
    linked: Path,
) -> None:
    run = ScanRun.objects.create(trigger="api", path=str(linked / "nas/later"))
    (linked / "nas/later").symlink_to(linked / "outside")
    run = scans.execute(run)
    assert (run.state, "outside the root" in run.message) == ("failed", True)
    run = scans.execute(ScanRun.objects.create(trigger="api", path=str(linked / "outside")))
    assert (run.state, "is in no root" in run.message) == ("failed", True)
    assert Root.objects.count() == 2
    assert not RegisteredModel.objects.filter(path__contains="secret").exists()


def test_links_of_the_hubs_cache_to_its_blobs_stay_inside(shelf: Shelf) -> None:
    nas, _ = shelf
    builders.hub_cache(nas / "hub", "org/name")
    run = scan(str(nas / "hub"))
    assert (run.state, run.new) == ("done", 1)
    record = RegisteredModel.objects.get(path__startswith="hub/")
    assert validation.validate(record).status == "READY"
    assert scans.locate(f"{nas}/{record.path}", add=False) == (record.root, record.path)

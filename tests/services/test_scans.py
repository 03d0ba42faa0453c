"""The registry after a scan: what is new, changed, moved, missing, frozen; and what survives a scan
that is cut off.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from discovery.engine.core.vocabulary import Status
from discovery.models import LogEntry, RegisteredModel, Root, ScanRun, SkippedPath
from discovery.services import jobs, scans
from discovery.services.jobs.progress import Stopped
from discovery.services.metadata import metadata
from discovery.services.scans import claims, root_scan, settling
from tests.support import builders

Scan = Callable[..., ScanRun]

pytestmark = pytest.mark.django_db


def shelf(root: Path, *names: str) -> None:
    """Models that differ in size, so that their fingerprints do."""
    for number, name in enumerate(names):
        builders.transformers(root / name, hidden=64 + 8 * number)


def counts(run: ScanRun) -> dict[str, int]:
    names = ("found", "new", "changed", "unchanged", "moved", "missing", "errors")
    return {name: getattr(run, name) for name in names if getattr(run, name)}


def statuses() -> dict[str, str]:
    return dict(RegisteredModel.objects.values_list("path", "status"))


def test_a_first_scan_registers_every_model(models_root: Path, scan: Scan) -> None:
    shelf(models_root, "a", "b")
    run = scan(models_root)
    assert (run.state, counts(run)) == ("done", {"found": 2, "new": 2})
    record = RegisteredModel.objects.get(model_id="a")
    assert (record.status, record.type, record.format, record.architecture) == (
        "READY",
        "TRANSFORMERS",
        "safetensors",
        "LlamaForCausalLM",
    )
    assert record.extracted["context_length"] == {"value": 2048, "source": "config.json"}
    assert record.visibility == "RESTRICTED"


def test_an_unchanged_model_is_neither_opened_nor_written(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf(models_root, "a", "b")
    builders.write_json(models_root / "not-a-model" / "config.json", {"port": 3000})
    scan(models_root)
    before = list(RegisteredModel.objects.values())
    opened: list[str] = []
    real = os.open
    monkeypatch.setattr(
        os,
        "open",
        lambda path, *rest, **more: opened.append(str(path)) or real(path, *rest, **more),
    )
    run = scan(models_root)
    assert counts(run) == {"found": 2, "unchanged": 2}
    assert [path for path in opened if path.startswith(str(models_root))] == []
    assert list(RegisteredModel.objects.values()) == before


def test_a_first_scan_opens_each_file_of_a_model_once(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf(models_root, "a", "b", "c")
    opened: list[str] = []
    real = os.open
    monkeypatch.setattr(
        os,
        "open",
        lambda path, *rest, **more: opened.append(str(path)) or real(path, *rest, **more),
    )
    assert scan(models_root).new == 3
    inside = sorted(path for path in opened if path.startswith(str(models_root)))
    assert inside == sorted(str(path) for path in models_root.rglob("*") if path.is_file())


def test_only_what_changed_is_read_again_unless_a_full_scan_is_asked_for(
    models_root: Path, scan: Scan
) -> None:
    shelf(models_root, "a", "b")
    scan(models_root)
    builders.write_text(models_root / "a" / "README.md", "---\nlicense: mit\n---\n")
    assert counts(scan(models_root)) == {"found": 2, "changed": 1, "unchanged": 1}
    assert RegisteredModel.objects.get(model_id="a").license == "mit"
    assert counts(scan(models_root, full=True)) == {"found": 2, "unchanged": 2}


def test_a_full_scan_reads_what_a_signature_cannot_show(models_root: Path, scan: Scan) -> None:
    shelf(models_root, "a", "b")
    scan(models_root)
    path = models_root / "a" / "config.json"
    before = path.stat()
    path.write_text(path.read_text().replace('"LlamaForCausalLM"', '"QlamaForCausalLM"'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert counts(scan(models_root)) == {"found": 2, "unchanged": 2}
    assert counts(scan(models_root, full=True)) == {"found": 2, "changed": 1, "unchanged": 1}
    assert RegisteredModel.objects.get(path="a").architecture == "QlamaForCausalLM"


def test_a_root_whose_folder_is_gone_can_be_given_up(models_root: Path, scan: Scan) -> None:
    shelf(models_root, "a", "b")
    scan(models_root)
    shutil.rmtree(models_root)
    scan(models_root)
    assert set(statuses().values()) == {"READY"}
    assert counts(scan(models_root, accept_missing=True)) == {"missing": 2}
    assert set(statuses().values()) == {"MISSING"}
    assert Root.objects.get().frozen_reason == ""


def test_the_same_name_in_two_folders_gets_two_ids(models_root: Path, scan: Scan) -> None:
    shelf(models_root, "a/b-c", "a-b/c", "x/same", "y/same")
    scan(models_root)
    ids = dict(RegisteredModel.objects.values_list("path", "model_id"))
    assert len(set(ids.values())) == 4
    assert {ids["a/b-c"], ids["a-b/c"]} == {"b-c", "c"}
    assert {ids["x/same"], ids["y/same"]} == {"same", "y-same"}


@pytest.mark.parametrize("name", ["discovered", "discovery", "register", "metadata"])
def test_no_model_takes_an_id_that_is_a_word_of_the_api(
    models_root: Path, scan: Scan, name: str
) -> None:
    shelf(models_root, name)
    scan(models_root)
    assert not RegisteredModel.objects.filter(model_id=name).exists()


def edit(model_id: str, **changes: Any) -> RegisteredModel:
    user, _ = User.objects.get_or_create(username="anna", defaults={"is_staff": True})
    record = RegisteredModel.objects.get(model_id=model_id)
    metadata.edit(record, changes, by=user, channel="page")
    return record


def test_a_deleted_model_becomes_missing_and_keeps_its_edits(models_root: Path, scan: Scan) -> None:
    shelf(models_root, "a", "b", "c")
    scan(models_root)
    edit("a", display_name="My favourite", tags=["kept"])
    shutil.rmtree(models_root / "a")
    assert counts(scan(models_root)) == {"found": 2, "unchanged": 2, "missing": 1}
    record = RegisteredModel.objects.get(model_id="a")
    assert record.status == Status.MISSING
    assert record.missing_since is not None
    assert record.display_name == "My favourite"
    assert record.value("tags") == ["kept"]


def test_a_missing_model_that_comes_back_is_ready_again(
    models_root: Path, scan: Scan, tmp_path: Path
) -> None:
    shelf(models_root, "a", "b", "c")
    scan(models_root)
    (models_root / "a").rename(tmp_path / "a")
    scan(models_root)
    (tmp_path / "a").rename(models_root / "a")
    assert counts(scan(models_root)) == {"found": 3, "changed": 1, "unchanged": 2}
    assert statuses()["a"] == Status.READY


def test_a_renamed_folder_keeps_its_id_its_edits_and_its_grants(
    models_root: Path, scan: Scan
) -> None:
    shelf(models_root, "a", "b", "c")
    scan(models_root)
    record = edit("a", description="Ours")
    record.groups.add(Group.objects.create(name="team"))
    (models_root / "a").rename(models_root / "renamed")
    assert counts(scan(models_root)) == {"found": 3, "unchanged": 2, "moved": 1}
    moved = RegisteredModel.objects.get(path="renamed")
    assert (moved.pk, moved.model_id, moved.description) == (record.pk, "a", "Ours")
    assert [group.name for group in moved.groups.all()] == ["team"]
    assert RegisteredModel.objects.count() == 3


def test_a_model_that_moves_to_another_root_is_recognized(
    models_root: Path, scan: Scan, tmp_path: Path
) -> None:
    shelf(models_root, "a", "b", "c")
    other = tmp_path / "other"
    other.mkdir()
    scan(models_root)
    (models_root / "a").rename(other / "a")
    scan(models_root)
    assert statuses()["a"] == Status.MISSING
    assert counts(scan(other)) == {"found": 1, "moved": 1}
    assert RegisteredModel.objects.get(model_id="a").root.path == str(other)


def test_a_whole_shelf_that_is_renamed_is_moved_not_lost(models_root: Path, scan: Scan) -> None:
    shelf(models_root, *(f"old/m{i}" for i in range(5)))
    scan(models_root)
    (models_root / "old").rename(models_root / "new")
    assert counts(scan(models_root)) == {"found": 5, "moved": 5}
    assert set(statuses()) == {f"new/m{i}" for i in range(5)}


def test_nobody_guesses_between_two_models_with_the_same_weights(
    models_root: Path, scan: Scan
) -> None:
    shelf(models_root, "a", "b", "c", "d")
    shutil.copytree(models_root / "a", models_root / "twin")
    scan(models_root)
    (models_root / "a").rename(models_root / "x")
    (models_root / "twin").rename(models_root / "y")
    run = scan(models_root)
    assert counts(run) == {"found": 5, "new": 2, "unchanged": 3, "missing": 2}
    assert LogEntry.objects.filter(scan=run, message__contains="may have moved").exists()


def test_a_copy_is_a_model_of_its_own(models_root: Path, scan: Scan) -> None:
    shelf(models_root, "a", "b")
    scan(models_root)
    shutil.copytree(models_root / "a", models_root / "copy")
    assert counts(scan(models_root)) == {"found": 3, "new": 1, "unchanged": 2}


def test_deleting_one_of_two_equal_models_joins_nothing(models_root: Path, scan: Scan) -> None:
    shelf(models_root, "a", "b", "c")
    shutil.copytree(models_root / "a", models_root / "copy")
    scan(models_root)
    shutil.rmtree(models_root / "a")
    scan(models_root)
    assert statuses() == {"a": "MISSING", "b": "READY", "c": "READY", "copy": "READY"}


def test_an_unmounted_disk_marks_nothing_missing(models_root: Path, scan: Scan) -> None:
    shelf(models_root, "a", "b")
    scan(models_root)
    models_root.rename(models_root.with_name("elsewhere"))
    run = ScanRun.objects.create(trigger=ScanRun.Trigger.SCHEDULE)
    run = scans.execute(run)
    assert statuses() == {"a": "READY", "b": "READY"}
    assert "cannot be read" in run.message
    assert "cannot be read" in Root.objects.get(path=str(models_root)).frozen_reason


def test_an_empty_mount_point_marks_nothing_missing(models_root: Path, scan: Scan) -> None:
    shelf(models_root, "a")
    scan(models_root)
    shutil.rmtree(models_root / "a")
    run = scan(models_root)
    assert statuses() == {"a": "READY"}
    assert "Is the disk mounted?" in run.message
    assert Root.objects.get().frozen_reason


def test_more_than_half_gone_freezes_the_root_until_a_person_confirms(
    models_root: Path, scan: Scan
) -> None:
    shelf(models_root, "a", "b", "c")
    scan(models_root)
    shutil.rmtree(models_root / "a")
    shutil.rmtree(models_root / "b")
    scan(models_root)
    root = Root.objects.get()
    assert set(statuses().values()) == {"READY"}
    assert root.missing_count == 2
    run = scan(models_root, accept_missing=True)
    assert counts(run) == {"found": 1, "unchanged": 1, "missing": 2}
    assert Root.objects.get().frozen_reason == ""
    assert statuses() == {"a": "MISSING", "b": "MISSING", "c": "READY"}


def test_a_frozen_root_thaws_when_its_models_are_back(models_root: Path, scan: Scan) -> None:
    shelf(models_root, "a")
    scan(models_root)
    (models_root / "a").rename(models_root.with_name("a"))
    scan(models_root)
    models_root.with_name("a").rename(models_root / "a")
    scan(models_root)
    assert Root.objects.get().frozen_reason == ""


def test_scanning_one_folder_says_nothing_about_its_neighbours(
    models_root: Path, scan: Scan
) -> None:
    shelf(models_root, "shelf/a", "shelf/b", "other/c")
    scan(models_root)
    shutil.rmtree(models_root / "shelf" / "a")
    shutil.rmtree(models_root / "other" / "c")
    assert counts(scan(models_root / "shelf")) == {"found": 1, "unchanged": 1, "missing": 1}
    assert statuses()["other/c"] == Status.READY


def test_one_gguf_that_leaves_a_shared_folder_is_missing_alone(
    models_root: Path, scan: Scan
) -> None:
    for number, name in enumerate(("one", "two", "three")):
        builders.gguf_model(
            models_root / f"{name}.Q4_0.gguf",
            name,
            builders.Sizes(hidden=256 * (number + 1)),
            "Q4_0",
        )
    scan(models_root)
    (models_root / "two.Q4_0.gguf").unlink()
    scan(models_root)
    assert statuses() == {
        "one.Q4_0.gguf": "READY",
        "two.Q4_0.gguf": "MISSING",
        "three.Q4_0.gguf": "READY",
    }


def test_a_quantization_that_joins_keeps_the_model_and_its_edits(
    models_root: Path, scan: Scan
) -> None:
    sizes = builders.Sizes(hidden=256)
    builders.gguf_model(models_root / "m.Q8_0.gguf", "m", sizes, "Q8_0")
    scan(models_root)
    edit("m", description="kept")
    builders.gguf_model(models_root / "m.Q2_K.gguf", "m", sizes, "Q2_K")
    scan(models_root)
    record = RegisteredModel.objects.get()
    assert (record.description, len(record.variants)) == ("kept", 2)


def test_a_folder_that_is_no_model_is_remembered_with_the_reason(
    models_root: Path, scan: Scan
) -> None:
    builders.write_json(models_root / "app" / "config.json", {"port": 3000})
    run = scan(models_root)
    assert counts(run) == {}
    assert [(skipped.place, skipped.reason) for skipped in SkippedPath.objects.all()] == [
        ("app", "config.json describes no model and there are no weights")
    ]
    shutil.rmtree(models_root / "app")
    scan(models_root)
    assert not SkippedPath.objects.exists()


def test_a_broken_model_is_registered_and_counted_as_an_error(
    models_root: Path, scan: Scan
) -> None:
    shelf(models_root, "good", "bad")
    (models_root / "bad" / "model.safetensors").write_bytes(b"{}")
    run = scan(models_root)
    assert counts(run) == {"found": 2, "new": 2, "errors": 1}
    assert statuses() == {"good": "READY", "bad": "CORRUPT"}
    assert LogEntry.objects.filter(scan=run, model_id="bad", level="error").exists()


def test_a_reader_that_fails_unexpectedly_hides_no_neighbour(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shelf(models_root, "a", "b")
    real = root_scan.identify

    def failing(root: str, candidate: Any, *rest: Any) -> Any:
        if candidate.place == "a":
            raise ZeroDivisionError("a bug of ours")
        return real(root, candidate, *rest)

    monkeypatch.setattr(root_scan, "identify", failing)
    run = scan(models_root)
    assert (run.state, statuses(), run.errors) == ("done", {"b": "READY"}, 1)
    monkeypatch.undo()
    assert counts(scan(models_root)) == {"found": 2, "new": 1, "unchanged": 1}


def test_stopping_keeps_what_was_read_and_the_next_scan_goes_on(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf(models_root, *(f"m{i}" for i in range(6)))
    monkeypatch.setattr(root_scan, "BATCH", 2)
    calls = iter(range(100))

    def stop_after_four(self: Any, *_: Any, **__: Any) -> None:
        if next(calls) == 1:
            raise Stopped

    monkeypatch.setattr("discovery.services.jobs.progress.Progress.tick", stop_after_four)
    run = scan(models_root)
    assert run.state == "cancelled"
    registered = RegisteredModel.objects.count()
    assert 0 < registered < 6
    assert Root.objects.get().claim is None
    monkeypatch.undo()
    assert counts(scan(models_root)) == {"found": 6, "new": 6 - registered, "unchanged": registered}


def test_a_move_that_an_interrupted_scan_saw_half_of_is_still_a_move(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf(models_root, "a", "b", "c")
    scan(models_root)
    edit("a", description="kept")
    (models_root / "a").rename(models_root / "z")

    def stop(*_: Any) -> None:
        raise Stopped

    monkeypatch.setattr(settling, "settle", stop)
    scan(models_root)
    assert RegisteredModel.objects.count() == 4
    monkeypatch.undo()
    assert counts(scan(models_root))["moved"] == 1
    assert RegisteredModel.objects.get(path="z").description == "kept"


def test_only_one_run_has_a_root_at_a_time() -> None:
    root = Root.objects.create(path="/x")
    first, second = (
        ScanRun.objects.create(trigger="command", state="running", path=path) for path in ("/x", "")
    )
    assert claims.claim(root, first)
    assert not claims.claim(root, second)
    claims.release(root, first)
    assert claims.claim(root, second)


def test_a_dead_run_is_interrupted_and_its_root_is_free_again() -> None:
    root = Root.objects.create(path="/x")
    now = timezone.now()
    run = ScanRun.objects.create(
        trigger="command",
        state="running",
        host="elsewhere",
        pid=1,
        started_at=now,
        heartbeat_at=now - timedelta(minutes=5),
    )
    claims.claim(root, run)
    assert jobs.reap_all() == 1
    run.refresh_from_db()
    root.refresh_from_db()
    assert (run.state, root.claim) == ("interrupted", None)


def test_a_run_whose_process_is_gone_from_this_host_is_dead_at_once() -> None:
    import socket

    now = timezone.now()
    ScanRun.objects.create(
        trigger="command",
        state="running",
        host=socket.gethostname(),
        pid=2**22 + 1,
        started_at=now,
        heartbeat_at=now,
    )
    assert jobs.reap_all() == 1


def test_asking_twice_gives_the_same_run() -> None:
    first, created = scans.start_now(ScanRun.Trigger.PAGE)
    again, created_again = scans.start_now(ScanRun.Trigger.SCHEDULE)
    assert (created, created_again, again.pk) == (True, False, first.pk)


def test_a_queued_run_is_cancelled_at_once() -> None:
    run, _ = scans.start_now(ScanRun.Trigger.PAGE)
    assert scans.cancel(run)
    assert scans.execute(run).state == "cancelled"


def test_a_root_inside_another_has_its_models_to_itself(models_root: Path, scan: Scan) -> None:
    shelf(models_root, "outer", "inner/deep")
    Root.objects.create(path=str(models_root / "inner"))
    scan(models_root)
    scan(models_root / "inner")
    assert dict(RegisteredModel.objects.values_list("path", "root__path")) == {
        "outer": str(models_root),
        "deep": str(models_root / "inner"),
    }


def test_every_batch_costs_the_same_number_of_queries(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(root_scan, "BATCH", 10)
    monkeypatch.setattr("discovery.services.jobs.progress.INTERVAL", 3600)
    shelf(models_root, "first")
    scan(models_root)
    spent = []
    for total in (10, 20, 30):
        shelf(models_root, *(f"t{total}/m{i}" for i in range(total)))
        with CaptureQueriesContext(connection) as queries:
            assert scan(models_root).new == total
        spent.append(len(queries))
    # Seven of them say who sees the models; PostgreSQL is asked for a lock besides.
    most = 24 + (connection.vendor == "postgresql")
    assert spent[1] - spent[0] == spent[2] - spent[1] <= most


def test_an_unchanged_rescan_costs_a_fixed_number_of_queries(models_root: Path, scan: Scan) -> None:
    spent = []
    for total in (3, 30):
        shelf(models_root, *(f"t{total}/m{i}" for i in range(total)))
        scan(models_root)
        with CaptureQueriesContext(connection) as queries:
            scan(models_root)
        spent.append(len(queries))
    assert spent[0] == spent[1]


def test_names_that_are_not_utf8_are_registered_and_found_again(
    models_root: Path, scan: Scan
) -> None:
    folder = os.path.join(os.fsencode(models_root), b"bad\xff\xfename")
    os.mkdir(folder)
    with open(os.path.join(folder, b"config.json"), "wb") as file:
        file.write(b'{"model_type": "bert"}')
    assert counts(scan(models_root)) == {"found": 1, "new": 1, "errors": 1}
    assert RegisteredModel.objects.get().path == "bad\\xff\\xfename"
    assert counts(scan(models_root)) == {"found": 1, "unchanged": 1, "errors": 1}


def test_the_preview_writes_nothing(models_root: Path) -> None:
    shelf(models_root, "a", "b")
    progress = scans.preview([str(models_root)], full=False)
    assert (progress.found, progress.new) == (2, 2)
    assert not RegisteredModel.objects.exists()
    assert not Root.objects.filter(path=str(models_root)).exists()


def test_the_schedule_follows_the_config_file(config_dir: Path) -> None:
    from django_q.models import Schedule

    builders.write_json(
        config_dir / "model_discovery.json", {"discovery": {"scan_interval_minutes": 7}}
    )
    scans.sync_schedule()
    assert Schedule.objects.get().minutes == 7
    builders.write_json(
        config_dir / "model_discovery.json", {"discovery": {"scan_interval_minutes": 0}}
    )
    scans.sync_schedule()
    assert not Schedule.objects.exists()


def test_scheduled_tasks_have_the_names_that_are_stored_with_them() -> None:
    from django.utils.module_loading import import_string

    assert all(
        callable(import_string(f"discovery.tasks.{name}"))
        for name in ("run_scan", "scheduled_scan")
    )

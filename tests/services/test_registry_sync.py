"""Syncs with the real client against a server that speaks the Hub's API.

Matches have their evidence, values their source, updates their difference, and requests are few.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from discovery.engine.core.service_words import MatchState, RegistryFault
from discovery.models import (
    FileChecksum,
    LogEntry,
    RegisteredModel,
    RegistryState,
    RegistrySync,
    RemoteEntry,
    RemoteMatch,
    Root,
    ScanRun,
)
from discovery.services import scans
from discovery.services.health import deep_validation, validation
from discovery.services.registries import entries, entry_reader, published, sync_run, syncing
from discovery.services.registry import deregistration
from tests.support import builders
from tests.support.hub import Answer, Hub, HubFile
from tests.support.registries import NEW, OLD, Make, cached, configure, loose, repository
from tests.support.registries import hub as hub


def sync(*, dry_run: bool = False) -> tuple[RegistrySync, list[dict[str, Any]]]:
    report: list[dict[str, Any]] = []
    job, created = syncing.run_now("huggingface", dry_run=dry_run, report=report)
    assert created
    return job, report


def test_a_model_of_the_hubs_cache_is_linked_and_told_of_by_the_registry(
    hub: Hub, make_model: Make
) -> None:
    hub.add(repository())
    record = cached(make_model)
    job, report = sync()
    assert (job.state, job.linked, job.proposed, job.updates) == ("done", 1, 0, 0), job.message
    match = RemoteMatch.objects.get()
    assert (match.state, match.confidence, match.local_revision) == ("accepted", 100, OLD)
    assert [each["kind"] for each in match.evidence] == ["hub_cache", "commit", "sizes", "name"]
    entry = match.entry
    assert (entry.downloads, entry.likes, entry.license) == (10, 1, "apache-2.0")
    assert entry.card.endswith("# Model 0")
    assert {file["path"] for file in entry.files} == set(hub.models["acme/model-0"].files)
    record.refresh_from_db()
    assert (record.license, record.value("tags")) == ("apache-2.0", ["transformers", "safetensors"])
    source = record.extracted["license"]["source"]
    assert source == "Hugging Face Hub: acme/model-0"
    assert sorted(record.tagged.values_list("name", flat=True)) == ["safetensors", "transformers"]
    assert report[0]["what"] == "linked"


def test_what_files_and_people_say_beats_the_registry_which_beats_a_folders_name(
    hub: Hub, make_model: Make
) -> None:
    model = hub.add(repository())
    model.info = {"author": "Acme Labs"}
    told = {
        "license": {"value": "mit", "source": "README.md"},
        "author": {"value": "acme", "source": "folder name"},
    }
    record = cached(make_model)
    record.extracted |= told
    record.curated = {"tags": {"value": ["mine"], "by": "anna", "at": "2026-01-01T00:00:00Z"}}
    record.save()
    sync()
    record.refresh_from_db()
    assert (record.license, record.author, record.value("tags")) == ("mit", "Acme Labs", ["mine"])
    RemoteMatch.objects.all().delete()
    entries.bring([record.pk])
    record.refresh_from_db()
    assert (record.license, record.author, record.value("tags")) == ("mit", "acme", ["mine"])
    assert record.extracted["author"] == told["author"]


@pytest.mark.slow
def test_500_models_cost_one_list_then_two_requests_each_and_later_one_list(
    hub: Hub, make_model: Make
) -> None:
    for number in range(500):
        hub.add(repository(number))
        cached(make_model, number)
    job, _ = sync()
    assert (job.state, job.linked, job.total, job.done) == ("done", 500, 500, 500), job.message
    # A list of the author's, then model and card of each.
    assert len(hub.asked) == job.requests == 1 + 2 * 500
    hub.asked.clear()
    with CaptureQueriesContext(connection) as queries:
        job, _ = sync()
    assert (job.state, job.done, len(hub.asked)) == ("done", 500, 1)
    # Besides heartbeats, which go by the clock.
    told = [each for each in queries if "registrysync" not in each["sql"]]
    assert len(told) <= 45, len(told)


def test_an_update_is_found_with_its_difference(hub: Hub, make_model: Make) -> None:
    model = hub.add(repository())
    cached(make_model, license="apache-2.0")
    sync()
    model.commit(
        NEW,
        README__md=HubFile(b"# New\n"),
        model__safetensors=HubFile(b"better weights", is_lfs=True),
        extra__json=HubFile(b"{}"),
        config__json=None,
    )
    model.license = "llama3"
    hub.asked.clear()
    job, report = sync()
    assert (job.updates, [each["what"] for each in report]) == (1, ["update"])
    match = RemoteMatch.objects.get()
    assert match.has_update
    assert match.update is not None
    assert (match.update["from"], match.update["to"]) == (OLD, NEW)
    assert match.update["files"] == {
        "added": [["extra.json", 2]],
        "removed": [["config.json", 2]],
        "changed": [["README.md", 38, 6], ["model.safetensors", 7, 14]],
    }
    assert match.update["here"] == ["model.safetensors"]
    assert (match.update["license"], match.update["card"]) == (["apache-2.0", "llama3"], True)
    # The model, its card, and its files at the commit that is here.
    assert len(hub.asked) == 3
    hub.asked.clear()
    job, report = sync()
    assert (job.updates, report, len(hub.asked)) == (1, [], 1)


def test_a_model_that_was_updated_here_has_no_update_any_more(hub: Hub, make_model: Make) -> None:
    model = hub.add(repository())
    record = cached(make_model)
    model.commit(NEW, model__safetensors=HubFile(b"other", is_lfs=True))
    sync()
    assert RemoteMatch.objects.get().has_update
    text = json.dumps([record.files, record.variants]).replace(OLD, NEW)
    record.files, record.variants = json.loads(text)
    record.save()
    sync()
    match = RemoteMatch.objects.get()
    assert (match.has_update, match.update, match.local_revision) == (False, None, NEW)


def test_a_name_with_the_same_sizes_waits_for_a_person(hub: Hub, make_model: Make) -> None:
    hub.add(repository())
    loose(make_model)
    job, _ = sync()
    assert (job.linked, job.proposed) == (0, 1), job.message
    match = RemoteMatch.objects.get()
    assert (match.state, match.confidence) == (MatchState.PROPOSED, 85)
    assert [each["kind"] for each in match.evidence] == ["sizes", "name"]
    assert RegisteredModel.objects.get().license is None
    hub.asked.clear()
    job, _ = sync()
    assert (job.linked, job.proposed, RemoteMatch.objects.count()) == (0, 0, 1)


def test_equal_checksums_link_by_themselves(hub: Hub, make_model: Make) -> None:
    hub.add(repository())
    record = loose(make_model)
    _checksum(record, b"weights")
    job, _ = sync()
    assert (job.linked, RemoteMatch.objects.get().evidence[0]["kind"]) == (1, "checksums")


def test_other_bytes_under_the_same_name_are_not_even_proposed(hub: Hub, make_model: Make) -> None:
    hub.add(repository())
    record = loose(make_model)
    _checksum(record, b"WEIGHTS")
    job, _ = sync()
    assert (job.linked, job.proposed, job.state) == (0, 0, "done")


def _checksum(record: RegisteredModel, content: bytes) -> None:
    FileChecksum.objects.create(
        model=record, path="model.safetensors", size=len(content), mtime_ns=1, blake3="0" * 64,
        sha256=hashlib.sha256(content).hexdigest(), checked_at=timezone.now(),
    )  # fmt: skip


def test_a_name_is_searched_for_once_a_week(hub: Hub, make_model: Make) -> None:
    loose(make_model, "unheard-of")
    sync()
    assert len(hub.asked) == 1
    sync()
    assert len(hub.asked) == 1


def test_an_origin_that_a_person_wrote_down_counts(hub: Hub, make_model: Make) -> None:
    hub.add(repository())
    loose(make_model, "renamed", custom={"source": "https://huggingface.co/acme/model-0"})
    sync()
    match = RemoteMatch.objects.get()
    assert (match.state, match.evidence[0]["kind"]) == ("accepted", "origin")


def test_a_folder_that_only_looks_like_a_name_of_the_hub_is_not_an_error(
    hub: Hub, make_model: Make
) -> None:
    loose(make_model, "nothing-there")
    RegisteredModel.objects.update(path="models/nothing-there")
    job, _ = sync()
    assert (job.state, job.errors) == ("done", 0)
    assert RemoteEntry.objects.count() == 0


def test_patterns_decide_which_remote_models_count(
    hub: Hub, make_model: Make, config_dir: Path
) -> None:
    hub.add(repository())
    cached(make_model)
    configure(config_dir, hub, exclude=["acme/*"])
    job, _ = sync()
    assert (job.linked, len(hub.asked)) == (0, 1)


def test_a_gated_model_is_told_of_without_its_card(hub: Hub, make_model: Make) -> None:
    hub.add(repository()).gated = "manual"
    cached(make_model)
    job, _ = sync()
    entry = RemoteEntry.objects.get()
    assert (job.state, entry.gated, entry.card, entry.license) == (
        "done",
        "manual",
        "",
        "apache-2.0",
    )


def test_a_linked_model_that_is_gone_is_told_and_keeps_what_was_known(
    hub: Hub, make_model: Make
) -> None:
    hub.add(repository())
    record = cached(make_model)
    sync()
    hub.models.clear()
    job, _ = sync()
    entry = RemoteEntry.objects.get()
    assert (job.state, job.errors, entry.fault) == ("done", 1, RegistryFault.GONE)
    record.refresh_from_db()
    assert record.license == "apache-2.0"


def test_a_short_pause_that_the_registry_asks_for_is_kept(
    hub: Hub, make_model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(repository())
    cached(make_model)
    slept: list[float] = []
    clock = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds
        hub.instead.clear()

    monkeypatch.setattr(entry_reader.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(
        syncing, "SyncRun", lambda *args, **more: sync_run.SyncRun(*args, **more, sleep=sleep)
    )
    hub.instead["/api/models/acme/model-0"] = Answer(429, b"", {"Retry-After": "3"})
    job, _ = sync()
    assert (job.state, job.linked, sum(slept)) == ("done", 1, 3.0)


def test_a_long_pause_ends_the_sync_and_the_next_one_waits_for_it(
    hub: Hub, make_model: Make
) -> None:
    hub.add(repository())
    cached(make_model)
    hub.instead["*"] = Answer(429, b"", {"Retry-After": "7200"})
    job, _ = sync()
    assert (job.state, job.fault, "7200 seconds" in job.message) == ("failed", "busy", True)
    state = RegistryState.objects.get()
    assert state.retry_at is not None
    assert state.tried_at is not None
    assert state.retry_at - state.tried_at == timedelta(hours=2)
    assert LogEntry.objects.filter(message__contains="huggingface").exists()
    hub.instead.clear()
    sync()
    state.refresh_from_db()
    assert (state.fault, state.retry_at, state.failures_in_a_row) == ("", None, 0)


def test_each_failure_in_a_row_doubles_the_pause(hub: Hub, make_model: Make) -> None:
    cached(make_model)
    hub.instead["*"] = Answer(502)
    pauses = []
    for _ in range(3):
        sync()
        state = RegistryState.objects.get()
        assert state.retry_at is not None
        assert state.tried_at is not None
        pauses.append((state.retry_at - state.tried_at).total_seconds() / 60)
    assert pauses == [5, 10, 20]


def test_a_wrong_key_fails_the_sync_with_a_sentence_that_does_not_hold_it(
    hub: Hub, make_model: Make, config_dir: Path
) -> None:
    configure(config_dir, hub, api_key="hf_revoked_key")
    hub.add(repository())
    cached(make_model)
    job, _ = sync()
    assert (job.state, job.fault) == ("failed", RegistryFault.KEY)
    assert "revoked" in job.message
    kept = [
        *RegistryState.objects.values(),
        *RegistrySync.objects.values(),
        *LogEntry.objects.values(),
    ]
    assert "hf_revoked_key" not in str(kept)


def test_a_dry_run_tells_and_writes_nothing(hub: Hub, make_model: Make) -> None:
    hub.add(repository())
    record = cached(make_model)
    job, report = sync(dry_run=True)
    assert (job.state, [each["what"] for each in report]) == ("done", ["linked"])
    assert not RemoteEntry.objects.exists()
    assert not RegistryState.objects.exists()
    record.refresh_from_db()
    assert record.license is None


def test_a_registry_is_synced_by_its_interval_and_only_where_it_is_enabled(
    hub: Hub, config_dir: Path, task_queue: Any
) -> None:
    syncing.request_due()
    syncing.request_due()
    assert RegistrySync.objects.count() == 1
    RegistrySync.objects.update(state="done")
    now = timezone.now()
    RegistryState.objects.create(name="huggingface", synced_at=now, tried_at=now)
    syncing.request_due()
    assert RegistrySync.objects.count() == 1
    RegistryState.objects.update(tried_at=now - timedelta(hours=25))
    configure(config_dir, hub, enabled=False)
    syncing.request_due()
    configure(config_dir, hub, sync_interval_hours=0)
    syncing.request_due()
    assert RegistrySync.objects.count() == 1
    configure(config_dir, hub)
    syncing.request_due()
    assert RegistrySync.objects.count() == 2


def test_a_deep_validation_compares_with_what_the_registry_has_for_that_revision(
    hub: Hub, models_root: Path
) -> None:
    folder = models_root / "models--acme--model-0" / "snapshots" / OLD
    builders.transformers(folder)
    whole = (folder / "model.safetensors").read_bytes()
    model = hub.add(repository(0, whole))
    (folder / "model.safetensors").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    Root.objects.create(path=str(models_root))
    run, _ = scans.start_now(ScanRun.Trigger.COMMAND)
    scans.execute(run)
    record = RegisteredModel.objects.get()
    sync()
    deep, _ = deep_validation.start_now(record)
    deep_validation.execute(deep)
    row = FileChecksum.objects.get(model=record, path__endswith="model.safetensors")
    assert row.expected_sha256 == hashlib.sha256(whole).hexdigest()
    assert row.expected_from == "Hugging Face Hub (acme/model-0)"
    checks = {each["name"]: each for each in validation.report(record).checks}
    assert checks["checksum"]["status"] == "failed"
    # Of another revision nothing is said.
    model.commit(NEW, model__safetensors=HubFile(b"other", is_lfs=True))
    RemoteMatch.objects.update(local_revision="c" * 40, base_files=[])
    assert published.checksums(record) == {}


def test_what_a_person_decides_during_a_sync_stands(
    hub: Hub, make_model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(repository())
    cached(make_model)
    sync()
    update = sync_run.SyncRun._update

    def reject(self: Any, *arguments: Any) -> Any:
        RemoteMatch.objects.update(state="rejected")
        update(self, *arguments)
        return {"from": OLD, "to": NEW}

    monkeypatch.setattr(sync_run.SyncRun, "_update", reject)
    sync()
    match = RemoteMatch.objects.get()
    assert (match.state, match.has_update) == ("rejected", False)


def test_a_sync_that_breaks_or_is_stopped_is_not_asked_for_every_minute(
    hub: Hub, make_model: Make, monkeypatch: pytest.MonkeyPatch, task_queue: Any
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(sync_run.SyncRun, "run", broken)
    job, _ = sync()
    assert (job.state, "unforeseen" in job.message) == ("failed", True)
    syncing.request_due()
    assert RegistrySync.objects.count() == 1


def test_links_and_decisions_come_back_with_a_model_that_was_forgotten(
    hub: Hub, models_root: Path, admin_user: User
) -> None:
    folder = models_root / "models--acme--model-0" / "snapshots" / OLD
    builders.transformers(folder)
    hub.add(repository(0, (folder / "model.safetensors").read_bytes()))
    hub.add(repository(1))
    root = Root.objects.create(path=str(models_root))
    run, _ = scans.start_now(ScanRun.Trigger.COMMAND)
    scans.execute(run)
    record = RegisteredModel.objects.get()
    sync()
    other = RemoteEntry.objects.create(registry="huggingface", remote_id="acme/model-1")
    RemoteMatch.objects.create(
        model=record, entry=other, registry="huggingface", state="rejected", decided_by=admin_user
    )
    deregistration.forget(record, by=admin_user, channel="page")
    assert not RemoteMatch.objects.exists()
    run, _ = scans.start_now(ScanRun.Trigger.COMMAND, full=True)
    scans.execute(run)
    record = RegisteredModel.objects.get()
    assert root.pk == record.root_id
    assert {match.state for match in record.remote_matches.all()} == {"accepted", "rejected"}
    assert record.remote_values["author"]["value"] == "acme"
    assert record.extracted["author"]["source"] == "Hugging Face Hub: acme/model-0"

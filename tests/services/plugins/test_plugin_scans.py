"""What plugins find goes through scans as everything else does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from discovery.models import LogEntry, Plugin, RegisteredModel, ScanRun, SkippedPath
from discovery.services.metadata import metadata
from discovery.services.plugins.asking import PluginSession
from tests.support import builders
from tests.support.plugin_files import GUIDE, write_plugin

pytestmark = pytest.mark.django_db

Scan = Callable[..., ScanRun]

READING = """
version = "1"
def extract_metadata(self, path):
    return ModelMetadata(description="From a plugin.", license="mit", parameter_count=7, made="yes")
def detect_modalities(self, path):
    return [Modality.AUDIO]
"""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """``claim NAME`` and ``read NAME`` of each path that a plugin is asked about."""
    paths: list[str] = []
    ask = PluginSession._ask

    def noted(self: PluginSession, about: str, wanted: Any) -> Any:
        paths.extend(f"{about} {os.path.basename(path)}" for path in wanted)
        return ask(self, about, wanted)

    monkeypatch.setattr(PluginSession, "_ask", noted)
    return paths


def test_the_guides_sample_registers_its_paths(
    plugins_dir: Path, models_root: Path, scan: Scan
) -> None:
    (plugins_dir / "custom_model_discovery.py").write_text(GUIDE)
    (plugins_dir / "custom_model_discovery.py").chmod(0o644)
    (models_root / "thing.custom").write_bytes(b"weights")
    builders.transformers(models_root / "bert-base")
    run = scan(models_root)
    assert (run.state, run.found, run.errors) == ("done", 2, 0)
    record = RegisteredModel.objects.get(path="thing.custom")
    assert (record.type, record.format, record.status, record.name) == (
        "PLUGIN",
        "custom-model-discovery",
        "READY",
        "thing",
    )
    assert record.size_bytes == 7


def test_what_it_says_has_the_plugin_as_its_source_and_edits_outlive_rescans(
    plugins_dir: Path, models_root: Path, scan: Scan, asked: list[str], admin_user: User
) -> None:
    write_plugin(plugins_dir, "reads", READING)
    (models_root / "a").mkdir()
    (models_root / "a/thing.custom").write_bytes(b"weights")
    (models_root / "a/README.md").write_text(
        "---\nlicense: apache-2.0\nlanguage: en\n---\n# Thing\n"
    )
    (models_root / "a/notes.txt").write_text("nothing")
    scan(models_root)
    record = RegisteredModel.objects.get()
    assert (record.path, record.license, record.parameter_count) == ("a", "mit", 7)
    assert record.extracted["modalities"]["value"] == ["AUDIO"]
    assert record.extracted["license"]["source"] == "plugin Sample"
    assert record.extracted["custom"]["value"]["made"] == "yes"
    assert record.extracted["language_support"]["value"] == ["en"]
    metadata.edit(record, {"license": "gpl-3.0"}, by=admin_user, channel="page")
    asked.clear()
    again = scan(models_root)
    assert (again.unchanged, again.changed, asked) == (1, 0, [])
    write_plugin(plugins_dir, "reads", READING.replace("From a plugin", "Read anew"))
    scan(models_root)
    record.refresh_from_db()
    assert (record.description, record.license) == ("Read anew.", "gpl-3.0")
    assert "read thing.custom" in asked


def test_only_what_has_changed_is_asked_about_again(
    plugins_dir: Path, models_root: Path, scan: Scan, asked: list[str]
) -> None:
    write_plugin(plugins_dir, "reads", READING)
    for name in ("a", "b"):
        (models_root / name).mkdir()
        (models_root / name / "notes.txt").write_text("nothing")
    scan(models_root)
    asked.clear()
    scan(models_root)
    assert asked == []
    (models_root / "a/notes.txt").write_text("something else")
    scan(models_root)
    assert asked == ["claim a", "claim notes.txt"]
    asked.clear()
    scan(models_root, full=True)
    assert len(asked) == 4


def test_more_files_than_a_batch_are_read_by_one_child(
    plugins_dir: Path, models_root: Path, scan: Scan
) -> None:
    write_plugin(plugins_dir, "reads", READING)
    for number in range(230):
        (models_root / f"{number:03d}.custom").write_bytes(b"weights")
    run = scan(models_root)
    assert (run.found, run.errors) == (230, 0)


def test_a_folder_can_be_a_model(plugins_dir: Path, models_root: Path, scan: Scan) -> None:
    write_plugin(plugins_dir, "reads", READING)
    (models_root / "x.custom/inner").mkdir(parents=True)
    (models_root / "x.custom/index.dat").write_bytes(b"12")
    (models_root / "x.custom/inner/y.custom").write_bytes(b"345")
    scan(models_root)
    record = RegisteredModel.objects.get()
    assert (record.path, record.size_bytes, record.file_count) == ("x.custom", 5, 2)
    again = scan(models_root)
    assert (again.unchanged, again.found) == (1, 1)


def test_a_config_beside_its_file_makes_no_second_model(
    plugins_dir: Path, models_root: Path, scan: Scan
) -> None:
    builders.transformers(models_root / "m")
    (models_root / "m/model.safetensors").unlink()
    (models_root / "m/model.custom").write_bytes(b"weights")
    scan(models_root)
    before = RegisteredModel.objects.get()
    assert before.status == "INCOMPLETE"
    write_plugin(plugins_dir, "reads", READING)
    scan(models_root)
    after = RegisteredModel.objects.get()
    assert (after.pk, after.status, after.format) == (before.pk, "READY", "sample")
    again = scan(models_root)
    assert (again.unchanged, again.missing, again.new) == (1, 0, 0)


def test_models_of_a_plugin_that_is_off_or_gone_stay_as_they_are(
    plugins_dir: Path, models_root: Path, scan: Scan
) -> None:
    path = write_plugin(plugins_dir, "reads", READING)
    (models_root / "thing.custom").write_bytes(b"weights")
    scan(models_root)
    Plugin.objects.update(enabled=False)
    run = scan(models_root)
    assert (run.missing, run.unchanged) == (0, 1)
    assert RegisteredModel.objects.get().status == "READY"
    path.unlink()
    scan(models_root)
    assert RegisteredModel.objects.get().status == "READY"


@pytest.mark.parametrize("code", [None, "def broken(:\n"])
def test_so_do_those_of_one_that_is_on_and_cannot_be_loaded_any_more(
    code: str | None, plugins_dir: Path, models_root: Path, scan: Scan
) -> None:
    path = write_plugin(plugins_dir, "reads", READING)
    (models_root / "thing.custom").write_bytes(b"weights")
    scan(models_root)
    path.unlink()
    if code is not None:
        write_plugin(plugins_dir, "reads", "").write_text(code)
    for _ in range(2):
        run = scan(models_root)
        assert (run.missing, run.unchanged) == (0, 1)
    row = Plugin.objects.get()
    assert (row.key, bool(row.load_error)) == ("reads.Sample", code is not None)
    write_plugin(plugins_dir, "reads", READING)
    assert scan(models_root).found == 1
    assert Plugin.objects.get().load_error == ""


def test_the_first_plugin_that_says_yes_reads_it_and_the_config_sets_the_order(
    plugins_dir: Path, models_root: Path, scan: Scan, settings: Any, tmp_path: Path
) -> None:
    for name in ("alpha", "beta"):
        write_plugin(plugins_dir, name, f"label = '{name}'")
    (models_root / "thing.custom").write_bytes(b"weights")
    scan(models_root)
    assert RegisteredModel.objects.get().format == "alpha"
    settings.CONFIG_DIR = tmp_path
    (tmp_path / "model_discovery.json").write_text('{"discovery": {"plugins": ["beta.Sample"]}}')
    scan(models_root)
    assert RegisteredModel.objects.get().format == "beta"


def test_a_file_that_it_no_longer_handles_goes_missing(
    plugins_dir: Path, models_root: Path, scan: Scan
) -> None:
    write_plugin(plugins_dir, "reads", READING)
    (models_root / "thing.custom").write_bytes(b"weights")
    builders.transformers(models_root / "bert-base")
    builders.transformers(models_root / "bert-large", hidden=80)
    scan(models_root)
    write_plugin(plugins_dir, "reads", "def can_handle(self, path):\n    return False")
    scan(models_root)
    assert RegisteredModel.objects.get(path="thing.custom").status == "MISSING"


def test_its_checks_are_problems_and_its_evidence_decides_the_category(
    plugins_dir: Path, models_root: Path, scan: Scan
) -> None:
    write_plugin(
        plugins_dir,
        "reads",
        """
        def collect_evidence(self, path):
            return {"pipeline_tags": ["automatic-speech-recognition"]}
        def check(self, path):
            return ["The vocabulary is empty."]
        """,
    )
    (models_root / "thing.custom").write_bytes(b"weights")
    scan(models_root)
    record = RegisteredModel.objects.get()
    assert record.primary == "AUDIO"
    assert record.evidence["modalities"][0]["where"] == "plugin Sample"
    assert [problem["code"] for problem in record.problems] == ["plugin_finding"]
    assert "The vocabulary is empty." in record.problems[0]["message"]


def test_the_ledger_counts_its_files_as_a_models(
    plugins_dir: Path, models_root: Path, scan: Scan
) -> None:
    write_plugin(plugins_dir, "reads", READING)
    builders.transformers(models_root / "m")
    (models_root / "m/model.safetensors").unlink()
    (models_root / "m/model.custom").write_bytes(b"x" * 3_000_000)
    (models_root / "thing.custom").write_bytes(b"x" * 2_000_000)
    for _ in range(2):
        scan(models_root)
        ledger = RegisteredModel.objects.first().root.ledger  # type: ignore[union-attr]
        assert ledger["unrecognized"] == {"files": 0, "bytes": 0}
        assert ledger["model"]["bytes"] == 5_000_000


def test_a_plugin_that_fails_to_read_a_new_file_is_named_with_it(
    plugins_dir: Path, models_root: Path, scan: Scan, asked: list[str]
) -> None:
    write_plugin(
        plugins_dir, "breaks", "def extract_metadata(self, path):\n    raise ValueError('odd')"
    )
    (models_root / "thing.custom").write_bytes(b"weights")
    run = scan(models_root)
    assert (run.state, run.found, run.errors) == ("done", 0, 1)
    problem = LogEntry.objects.get(level="error")
    assert (problem.path, "Sample" in problem.message) == ("thing.custom", True)
    assert "ValueError: odd" in SkippedPath.objects.get().reason
    asked.clear()
    assert scan(models_root).errors == 1
    assert asked == []
    assert SkippedPath.objects.count() == 1


def test_a_record_outlives_a_plugin_that_fails_later(
    plugins_dir: Path, models_root: Path, scan: Scan
) -> None:
    write_plugin(plugins_dir, "reads", READING)
    (models_root / "thing.custom").write_bytes(b"weights")
    scan(models_root)
    write_plugin(
        plugins_dir, "reads", "def extract_metadata(self, path):\n    raise ValueError('odd')"
    )
    for _ in range(2):
        run = scan(models_root)
        record = RegisteredModel.objects.get()
        assert (run.errors, run.found, record.status, record.license) == (1, 1, "READY", "mit")
    assert Plugin.objects.get().failures_in_a_row == 2

"""A plugin may raise, hang, leak, print or return nonsense: scans finish, and say which one did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from discovery.models import LogEntry, Plugin, RegisteredModel, ScanRun, SkippedPath
from discovery.services.plugins import asking, catalogue, switching
from tests.support import builders
from tests.support.plugin_files import write_plugin

pytestmark = pytest.mark.django_db

Scan = Callable[..., ScanRun]

METHODS = ("can_handle", "extract_metadata", "detect_modalities", "collect_evidence", "check")


@pytest.fixture
def scanned(plugins_dir: Path, models_root: Path, scan: Scan) -> Callable[[str], ScanRun]:
    """Scans a root with a good model and one that the plugin has to do with."""

    def scanning(body: str) -> ScanRun:
        write_plugin(plugins_dir, "odd", body)
        builders.transformers(models_root / "bert-base")
        (models_root / "thing.custom").write_bytes(b"weights")
        return scan(models_root)

    return scanning


def messages() -> list[tuple[str, str]]:
    rows = LogEntry.objects.filter(level="error", message__contains="plugin").order_by("pk")
    return [(row.path, row.message) for row in rows]


@pytest.mark.parametrize("method", METHODS)
def test_one_that_raises_in_a_method(method: str, scanned: Callable[[str], ScanRun]) -> None:
    run = scanned(f"def {method}(self, path):\n    raise RuntimeError('no idea')")
    assert (run.state, run.found, run.errors) == ("done", 1, 1)
    assert messages() == [("thing.custom", "the plugin Sample failed: RuntimeError: no idea")]


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("can_handle", "did not answer within 0.5 seconds"),
        ("extract_metadata", "did not answer within 0.5 seconds"),
        ("detect_modalities", "did not answer within 0.5 seconds"),
    ],
)
def test_one_that_hangs(
    method: str, said: str, scanned: Callable[[str], ScanRun], hurried: None
) -> None:
    run = scanned(f"def {method}(self, path):\n    import time; time.sleep(1000)")
    assert (run.state, run.found) == ("done", 1)
    assert all(said in message for _, message in messages())
    assert messages()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("bytearray(10 << 30)", "It needs more memory than the 1.0 GiB it may use."),
        ("import os\n    while True: os.fork()", "os.fork is not allowed in a plugin"),
        ("import os; os._exit(3)", "Its process ended with status 3."),
        ("import os; os.kill(os.getpid(), 11)", "Its process was ended by SIGSEGV."),
        ("open('/etc/passwd').read()", "PermissionError"),
        ("open(path, 'w')", "is not allowed in a plugin"),
        ("import socket; socket.create_connection(('127.0.0.1', 9))", "is not allowed in a plugin"),
        ("raise SystemExit(1)", "SystemExit: 1"),
        ("return object()", "which is not data"),
        ("return 'x' * 3_000_000", "more than 1 MiB"),
    ],
)
def test_one_that_does_harm_while_it_reads(
    body: str, said: str, scanned: Callable[[str], ScanRun]
) -> None:
    run = scanned(f"def extract_metadata(self, path):\n    {body}")
    assert (run.state, run.found) == ("done", 1)
    [(path, message)] = messages()
    assert path == "thing.custom"
    assert said in message


def test_one_that_prints_disturbs_nothing(scanned: Callable[[str], ScanRun], capfd: Any) -> None:
    run = scanned("def extract_metadata(self, path):\n    print('{}\\n' * 9)")
    assert (run.state, run.found, run.errors) == ("done", 2, 0)
    assert "{}" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def extract_metadata(self, path):\n    return 7", "must return ModelMetadata or None"),
        (
            "def extract_metadata(self, path):\n    return ModelMetadata(parameter_count='many')",
            "parameter_count must be a whole number",
        ),
        ("def detect_modalities(self, path):\n    return ['SMELL']", "a list of Modality"),
        ("def detect_modalities(self, path):\n    return 'TEXT'", "a list of Modality"),
        ("def collect_evidence(self, path):\n    return [1]", "must return a dict"),
        ("def check(self, path):\n    return 'fine'", "must return a list of sentences"),
    ],
)
def test_wrong_types_are_problems_of_the_model_and_left_out(
    body: str, said: str, scanned: Callable[[str], ScanRun]
) -> None:
    assert scanned(body).found == 2
    record = RegisteredModel.objects.get(path="thing.custom")
    assert [problem["code"] for problem in record.problems] == ["plugin_answer_invalid"]
    assert "Sample" in record.problems[0]["message"]
    assert said in record.problems[0]["message"]
    assert Plugin.objects.get().failures_in_a_row == 1


def test_a_can_handle_that_says_neither_yes_nor_no(scanned: Callable[[str], ScanRun]) -> None:
    scanned("def can_handle(self, path):\n    return 'maybe'")
    assert {message for _, message in messages()} == {
        "the plugin Sample failed: can_handle must return True or False."
    }


def test_repeated_failures_switch_it_off_until_somebody_switches_it_on(
    plugins_dir: Path, models_root: Path, scan: Scan, admin_user: User
) -> None:
    write_plugin(plugins_dir, "odd", "def extract_metadata(self, path):\n    raise ValueError('x')")
    for number in range(8):
        (models_root / f"{number}.custom").write_bytes(b"1")
    scan(models_root)
    row = Plugin.objects.get()
    assert (row.enabled, row.failures_in_a_row, len(row.failures)) == (False, 5, 5)
    assert row.off_reason == "It failed 5 times in a row. The last time: ValueError: x"
    assert f"the plugin Sample was switched off. {row.off_reason}" in [m for _, m in messages()]
    assert SkippedPath.objects.count() == 5
    assert scan(models_root).errors == 5
    write_plugin(plugins_dir, "odd", "")
    switching.switch(row, on=True, by=admin_user)
    scan(models_root)
    assert RegisteredModel.objects.count() == 8


def test_a_plugin_has_its_time_in_a_scan_and_the_next_one_goes_on(
    plugins_dir: Path, models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plugin(plugins_dir, "slow", "")
    (models_root / "thing.custom").write_bytes(b"weights")
    with monkeypatch.context() as patched:
        patched.setattr(asking, "SCAN_SECONDS", 0.0)
        assert scan(models_root).found == 0
    assert LogEntry.objects.filter(message__contains="seconds of this scan").exists()
    assert scan(models_root).found == 1


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def broken(:\n", "Line 1 has a syntax error"),
        ("import a_module_that_is_not_there\n", "ModuleNotFoundError"),
        ("raise SystemExit\n", "SystemExit"),
        ("x = 1\n", "It has no class"),
    ],
)
def test_a_module_that_cannot_be_loaded_is_told_once(
    code: str, said: str, plugins_dir: Path, models_root: Path, scan: Scan
) -> None:
    path = plugins_dir / "broken.py"
    path.write_text(code)
    path.chmod(0o644)
    for _ in range(2):
        assert scan(models_root).state == "done"
    row = Plugin.objects.get()
    assert (row.key, row.class_name) == ("broken", "")
    assert said in row.load_error
    assert LogEntry.objects.filter(message__contains="broken.py is not loaded").count() == 1


def test_an_endless_import_is_ended(plugins_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("discovery.loading.plugin_host.IMPORT_SECONDS", 0.5)
    path = plugins_dir / "endless.py"
    path.write_text("while True:\n    pass\n")
    path.chmod(0o644)
    catalogue.refresh()
    assert "did not answer within 0.5 seconds" in Plugin.objects.get().load_error


def test_the_child_knows_no_secrets(
    scanned: Callable[[str], ScanRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    body = "def extract_metadata(self, path):\n    import os; return dict(env=sorted(os.environ))"
    scanned(body)
    record = RegisteredModel.objects.get(path="thing.custom")
    assert "HF_TOKEN" not in record.extracted["custom"]["value"]["env"]
    assert "HOME" in record.extracted["custom"]["value"]["env"]
